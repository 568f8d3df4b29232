//! What a process has used: CPU, memory, disk; and how it is printed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;
use serde::Serialize;
use store_sqlite::CommitStats;
use tokio::time::Instant;

use crate::output;

/// Figures of one run, per unit of work.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    /// What was measured.
    pub(super) bench: &'static str,
    /// Units of work done: deliveries, or messages accepted.
    pub(super) units: u64,
    /// Wall time of the work.
    pub(super) seconds: f64,
    /// Units each second.
    pub(super) per_second: f64,
    /// CPU of the measured process, user and system.
    pub(super) cpu_micros_per_unit: f64,
    /// Highest resident memory during the work.
    pub(super) peak_memory_bytes: u64,
    /// Growth of the database file, its log emptied.
    pub(super) disk_bytes_per_unit: f64,
    /// Median time of a commit, with its fsync.
    pub(super) commit_micros_p50: u32,
    /// 99th percentile of the same.
    pub(super) commit_micros_p99: u32,
    /// Writes that shared a commit, on average.
    pub(super) writes_per_commit: f64,
    /// Time until the save was answered; only for deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) publish_millis: Option<f64>,
}

/// What this process uses from `start` to `stop`.
pub(super) struct Cost {
    cpu: Duration,
}

impl Cost {
    pub(super) fn start() -> Cost {
        // Linux counts the peak anew from here; elsewhere it includes the preparations.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Cost { cpu: cpu_used() }
    }

    /// CPU, and the highest resident memory in bytes.
    pub(super) fn stop(&self) -> (Duration, u64) {
        (cpu_used().saturating_sub(self.cpu), peak_memory())
    }
}

/// Measures from `start` to `stop`.
pub(super) struct Meter {
    started: Instant,
    cost: Cost,
    disk_bytes: u64,
    commits: CommitStats,
}

impl Meter {
    pub(super) fn start(database: &Path, commits: CommitStats) -> Meter {
        Meter { started: Instant::now(), cost: Cost::start(), disk_bytes: file_size(database), commits }
    }

    /// Time and CPU end here; the disk is looked at by [`Meter::figures`], after a checkpoint.
    pub(super) fn stop(&self) -> Reading {
        let (cpu, peak) = self.cost.stop();
        Reading { seconds: self.started.elapsed().as_secs_f64(), cpu, peak }
    }

    pub(super) fn figures(
        &self,
        bench: &'static str,
        units: u64,
        reading: &Reading,
        database: &Path,
        commits: CommitStats,
    ) -> Figures {
        let per_unit = |total: f64| if units == 0 { 0.0 } else { total / units as f64 };
        // The preparations had commits too, and far larger ones.
        let mut micros: Vec<u32> = commits.recent_micros.into_iter().skip(self.commits.recent_micros.len()).collect();
        micros.sort_unstable();
        let quantile = |share: f64| micros.get((micros.len() as f64 * share) as usize).copied().unwrap_or(0);
        let new_commits = (commits.commits - self.commits.commits).max(1);
        Figures {
            bench,
            units,
            seconds: reading.seconds,
            per_second: units as f64 / reading.seconds,
            cpu_micros_per_unit: per_unit(reading.cpu.as_secs_f64() * 1e6),
            peak_memory_bytes: reading.peak,
            disk_bytes_per_unit: per_unit(file_size(database).saturating_sub(self.disk_bytes) as f64),
            commit_micros_p50: quantile(0.5),
            commit_micros_p99: quantile(0.99),
            writes_per_commit: (commits.writes - self.commits.writes) as f64 / new_commits as f64,
            publish_millis: None,
        }
    }
}

/// What was used between start and stop.
pub(super) struct Reading {
    pub(super) seconds: f64,
    cpu: Duration,
    peak: u64,
}

impl Reading {
    /// This time, but CPU and memory up to a later reading: of what was left to do when the time was over.
    pub(super) fn with_cost_until(&self, later: &Reading) -> Reading {
        Reading { seconds: self.seconds, ..*later }
    }
}

impl Figures {
    /// On stdout: one JSON object, or a table.
    pub(super) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            return output::print_json(self);
        }
        print_rows(&self.rows());
        Ok(())
    }

    /// For a table: what, and how much.
    pub(super) fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("rate", format!("{:.0} /s ({} in {:.1} s)", self.per_second, self.units, self.seconds)),
            ("CPU", format!("{:.1} µs each, of the measured process", self.cpu_micros_per_unit)),
            ("peak memory", format!("{:.1} MB", self.peak_memory_bytes as f64 / 1e6)),
            ("disk", format!("{:.1} bytes each", self.disk_bytes_per_unit)),
            (
                "commit",
                format!(
                    "{:.2} ms median, {:.2} ms p99, {:.1} writes each",
                    f64::from(self.commit_micros_p50) / 1e3,
                    f64::from(self.commit_micros_p99) / 1e3,
                    self.writes_per_commit
                ),
            ),
        ];
        if let Some(millis) = self.publish_millis {
            rows.insert(0, ("publish", format!("{millis:.2} ms until it was on disk and answered")));
        }
        rows
    }
}

/// A table on stdout.
pub(super) fn print_rows(rows: &[(&'static str, String)]) {
    for (name, value) in rows {
        output::print_line(&format!("{name:<12} {value}"));
    }
}

/// Binds this process, and the threads it will start, to one core. On machines with a single one it does nothing.
pub(super) fn pin_to(core: usize) {
    let mut cores = CpuSet::new();
    if cores.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cores)).is_err() {
        tracing::warn!(core, "could not bind to this core; the figures share one with others");
    }
}

fn cpu_used() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let time = |value: nix::sys::time::TimeVal| {
        Duration::new(value.tv_sec().unsigned_abs(), (value.tv_usec().unsigned_abs() * 1000) as u32)
    };
    time(usage.user_time()) + time(usage.system_time())
}

fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    kibibytes * 1024
}

fn file_size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
