//! The CPU that a PostgreSQL server on this machine has used: of its first process, and of all that it has started.

use std::fs;
use std::time::Duration;

/// Ticks of the clock in `/proc`, each second; the same on every Linux there is.
const TICKS_A_SECOND: u64 = 100;

/// The CPU used so far, if the server runs on this machine and we may look; `backend` is one of its processes.
pub(super) fn cpu_of_server(backend: u32) -> Option<Duration> {
    let first = stat(backend)?.parent;
    let mut ticks = stat(first).map(|stat| stat.own + stat.ended_children)?;
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let process = entry.file_name().to_string_lossy().parse().ok().and_then(stat);
        ticks += process.filter(|stat| stat.parent == first).map_or(0, |stat| stat.own);
    }
    Some(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
}

struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

/// A process as `proc(5)` describes it: fields 4 and 14 to 17, counted after the name, which may hold anything.
fn stat(process: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(11)? + ticks(12)?,
        ended_children: ticks(13)? + ticks(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_parent_and_its_own_time() {
        let own = stat(std::process::id()).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        assert!(cpu_of_server(std::process::id()).is_some());
    }
}
