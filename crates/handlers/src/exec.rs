//! The `exec` handler: a command that gets the event on its standard input, in an environment of its own, within limits
//! on memory and output. What it starts ends with it; `exec/child.rs` sees to that. Time is the run worker's: dropping the
//! future kills the command.

mod child;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use async_trait::async_trait;
use receiver::{RunFailure, RunFailureKind};
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::words::tame;
use crate::{Handler, Job};
use child::{Child, Ended, OUTPUT_BYTES_MAX};

/// Where commands are looked for, unless `env` says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What is kept of a line of output, characters.
const LINE_CHARS_MAX: usize = 200;
/// Sets limits and becomes the command. A core dump would hold the event.
const SHELL: &str = "ulimit -c 0; ulimit -d \"$0\"; exec \"$@\"";

/// What the `exec` handler does.
pub struct ExecSettings {
    /// The program, by its path or by a name that is looked up in `PATH`, and its arguments as they are.
    pub command: Vec<String>,
    /// Where it runs, and its `HOME`.
    pub directory: PathBuf,
    /// Besides what is always there.
    pub env: BTreeMap<String, Zeroizing<String>>,
    /// What it reads.
    pub stdin: Stdin,
    /// Memory for data of each of its processes, bytes.
    pub memory_bytes_max: u64,
    /// Whether the first line of its output and the last of its errors are kept. They may name the person.
    pub keep_output: bool,
}

/// What a command reads on its standard input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stdin {
    /// The event, as `Job::to_json` gives it.
    #[default]
    Event,
    /// The body as it came.
    Body,
    /// Nothing.
    Nothing,
}

impl std::str::FromStr for Stdin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Stdin, &'static str> {
        match text {
            "event" => Ok(Stdin::Event),
            "body" => Ok(Stdin::Body),
            "nothing" => Ok(Stdin::Nothing),
            _ => Err("is nothing to read; write \"event\", \"body\" or \"nothing\""),
        }
    }
}

impl ExecSettings {
    /// What is missing on this machine now, with the mend. No reason not to start: while it is missing, the handler rests.
    pub fn look(&self) -> Result<(), String> {
        if !self.directory.is_dir() {
            return Err(format!("directory {} is not there; create it", self.directory.display()));
        }
        let name = self.command.first().map(String::as_str).unwrap_or_default();
        if name.starts_with('/') && !std::path::Path::new(name).is_file() {
            return Err(format!("command {name} is not there; check its path"));
        }
        Ok(())
    }
}

/// The `exec` handler.
pub struct Exec {
    settings: ExecSettings,
}

impl Exec {
    /// Ready to run.
    #[must_use]
    pub fn new(settings: ExecSettings) -> Exec {
        Exec { settings }
    }

    /// The command with its limits. Only what is listed here gets into its environment.
    fn command(&self, job: &Job) -> Command {
        let settings = &self.settings;
        let kibibytes = (settings.memory_bytes_max / 1024).to_string();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SHELL, &kibibytes])
            .args(&settings.command)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", &settings.directory)
            .env("LANG", "C.UTF-8")
            .env("FANFARE_MESSAGE", job.message.id.to_string())
            .env("FANFARE_EVENT", job.message.reading.event().unwrap_or_default().replace('\0', ""))
            .env("FANFARE_ATTEMPT", job.attempt.to_string())
            .env("FANFARE_IDEMPOTENCY_KEY", job.idempotency_key())
            .envs(settings.env.iter().map(|(name, value)| (name, value.as_str())))
            .current_dir(&settings.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn input(&self, job: &Job) -> Vec<u8> {
        match self.settings.stdin {
            Stdin::Event => job.to_json().to_string().into_bytes(),
            Stdin::Body => job.message.body.to_vec(),
            Stdin::Nothing => Vec::new(),
        }
    }

    fn program(&self) -> &str {
        let name = self.settings.command.first().map(String::as_str).unwrap_or_default();
        name.rsplit('/').next().unwrap_or(name)
    }

    fn judge(&self, status: ExitStatus, output: &[u8], errors: &[u8]) -> Result<String, RunFailure> {
        if status.success() {
            let line = self.settings.keep_output.then(|| first_line(output)).filter(|line| !line.is_empty());
            return Ok(line.unwrap_or_else(|| format!("{} ended well", self.program())));
        }
        let (kind, what) = meaning(status);
        let mut reason = format!("{} {what}", self.program());
        let last = last_line(errors);
        if self.settings.keep_output && !last.is_empty() {
            reason.push_str(&format!("; it said: {last}"));
        } else if !last.is_empty() {
            reason.push_str("; set keep-output = true to see the last line of its errors");
        }
        Err(RunFailure { kind, reason })
    }
}

#[async_trait]
impl Handler for Exec {
    async fn handle(&self, job: &Job) -> Result<String, RunFailure> {
        let child = Child::start(&mut self.command(job)).map_err(|error| {
            let reason = format!("{} could not be started: {error}", self.program());
            RunFailure { kind: TARGET, reason }
        })?;
        match child.run(&self.input(job)).await {
            Ended::Exited { status, output, errors } => self.judge(status, &output, &errors),
            Ended::TooMuchOutput => {
                let reason = format!(
                    "{} wrote more than {} MiB and was stopped; write to a file instead",
                    self.program(),
                    OUTPUT_BYTES_MAX / (1024 * 1024)
                );
                Err(RunFailure { kind: RunFailureKind::Retry { after: None }, reason })
            }
            Ended::Unknown(error) => {
                let reason = format!("how {} ended is not known: {error}", self.program());
                Err(RunFailure { kind: RunFailureKind::Retry { after: None }, reason })
            }
        }
    }

    async fn foresee(&self, job: &Job) -> Result<String, RunFailure> {
        let input = self.input(job);
        let command = self.settings.command.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" ");
        Ok(format!(
            "run {command}\nin {}\nwith on its standard input:\n{}",
            self.settings.directory.display(),
            String::from_utf8_lossy(&input)
        ))
    }
}

const TARGET: RunFailureKind = RunFailureKind::Target { after: None };

/// What an exit says; the numbers from 64 on are those of `sysexits.h`, 126 and 127 the shell's.
fn meaning(status: ExitStatus) -> (RunFailureKind, String) {
    let retry = RunFailureKind::Retry { after: None };
    if let Some(signal) = status.signal() {
        let name =
            nix::sys::signal::Signal::try_from(signal).map_or_else(|_| signal.to_string(), |name| name.to_string());
        let hint = if matches!(name.as_str(), "SIGKILL" | "SIGABRT" | "SIGSEGV") {
            "; perhaps it needs more memory"
        } else {
            ""
        };
        return (retry, format!("was killed by {name}{hint}"));
    }
    let code = status.code().unwrap_or_default();
    let (kind, what) = match code {
        65 => (RunFailureKind::Hopeless, "it cannot use this event"),
        69 => (TARGET, "what it needs is not available"),
        75 => (retry, "it asks to be run again later"),
        78 => (TARGET, "its settings are wrong"),
        126 => (TARGET, "the command may not be run; check its permissions"),
        127 => (TARGET, "the command was not found; write its whole path"),
        _ => (retry, "it failed"),
    };
    (kind, format!("ended with {code}: {what}"))
}

fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(|line| tame(line, LINE_CHARS_MAX)).find(|line| !line.is_empty()).unwrap_or_default()
}

fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().rev().map(|line| tame(line, LINE_CHARS_MAX)).find(|line| !line.is_empty()).unwrap_or_default()
}
