//! A child process and all it starts: fed, read and killed as one group, so that nothing it does can hold us up.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

/// What is kept of the output, and as much of the errors, bytes.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// More output is read than is kept, so that a talkative command is not held up; beyond this something is wrong with it.
pub(super) const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// After the command has ended, what it wrote is already in the pipes; only somebody who left the group can hold them open.
const LAST_WORDS: Duration = Duration::from_millis(250);

pub(super) struct Child {
    child: tokio::process::Child,
    group: Group,
}

pub(super) enum Ended {
    Exited { status: ExitStatus, output: Vec<u8>, errors: Vec<u8> },
    TooMuchOutput,
    Unknown(io::Error),
}

/// Kills the whole group when dropped, however that comes about.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // It fails where nobody of the group is left.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Child {
    pub(super) fn start(command: &mut Command) -> io::Result<Child> {
        // Dropped with its group; the runtime collects its status.
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        Ok(Child { child, group })
    }

    /// Feeds it, reads it and waits for its end, which is not the end of what it has started: that is killed.
    pub(super) async fn run(mut self, input: &[u8]) -> Ended {
        let (mut output, mut errors) = (Kept::default(), Kept::default());
        let (stdin, stdout, stderr) = (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let mut talk = Box::pin(async {
            let (_, output, errors) = tokio::join!(feed(stdin, input), output.read(stdout), errors.read(stderr));
            output.and(errors)
        });
        let mut is_talking = true;
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                talked = &mut talk, if is_talking => match talked {
                    Ok(()) => is_talking = false,
                    Err(TooMuch) => return Ended::TooMuchOutput,
                },
            }
        };
        drop(self.group);
        if is_talking && matches!(timeout(LAST_WORDS, &mut talk).await, Ok(Err(TooMuch))) {
            return Ended::TooMuchOutput;
        }
        drop(talk);
        match status {
            Ok(status) => Ended::Exited { status, output: output.bytes, errors: errors.bytes },
            Err(error) => Ended::Unknown(error),
        }
    }
}

/// A command need not read what it gets: then writing fails, and that is its own affair.
async fn feed(pipe: Option<impl AsyncWrite + Unpin>, input: &[u8]) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(input).await;
        let _ = pipe.shutdown().await;
    }
}

struct TooMuch;

/// The first bytes of a pipe.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
}

impl Kept {
    /// Reads to the end, and keeps the first bytes and the last.
    async fn read(&mut self, pipe: Option<impl AsyncRead + Unpin>) -> Result<(), TooMuch> {
        let Some(mut pipe) = pipe else { return Ok(()) };
        let mut piece = vec![0; 8 * 1024];
        let mut total = 0;
        // A pipe that cannot be read any more has ended.
        while let Ok(count @ 1..) = pipe.read(&mut piece).await {
            total += count;
            if total > OUTPUT_BYTES_MAX {
                return Err(TooMuch);
            }
            self.keep(&piece[..count]);
        }
        Ok(())
    }

    fn keep(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        if self.bytes.len() > KEPT_BYTES_MAX {
            // The beginning of the output and the end of the errors are of use: a half of each is kept.
            let half = KEPT_BYTES_MAX / 2;
            let last = self.bytes.len() - half;
            self.bytes.copy_within(last.., half);
            self.bytes.truncate(KEPT_BYTES_MAX);
        }
    }
}
