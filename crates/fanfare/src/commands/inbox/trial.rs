//! `fanfare inbox try`: one payload run through a settings file, without doing anything.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::handlers::{Templates, Tools};
use anyhow::Context;
use clap::Args;
use egress::{Egress, SystemResolver};
use inbox::trial::{self, Outcome, Payload, Trial};
use provider::target::TargetPolicy;
use serde_json::{Value, json};
use store::Clock;
use wire::AccountId;

use crate::clock::{SystemChance, SystemClock};
use crate::config::{ConfigFile, UsageError};
use crate::output::{self, tame};
use crate::receiving;

/// As much as a source takes at most.
const PAYLOAD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What to try.
#[derive(Debug, Args)]
pub(crate) struct TryArgs {
    /// The settings file, as for `serve --config`.
    #[arg(value_name = "CONFIG")]
    file: PathBuf,
    /// A file with the body of one webhook; - for standard input.
    #[arg(value_name = "FILE")]
    payload: PathBuf,
    /// The source it comes in at; needed only where the file has several.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// A header it comes with, such as "fanfare-event: webinar.created.single"; may be given several times.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Shows what the payload says and what each handler would do. Whether it is signed is not asked.
pub(crate) async fn run(args: TryArgs) -> anyhow::Result<()> {
    let text = receiving::read_text(&args.file)?;
    let config = receiving::read(&args.file, &text, AccountId::from_u32(0))?;
    let payload =
        Payload { source: args.source, headers: header_lines(&args.headers)?, body: read(&args.payload)?.into() };
    let resolver = Arc::new(SystemResolver::from_system()?);
    let tools = Tools {
        egress: Egress::new(targets(&args.file)?, egress::Limits::default(), resolver)?,
        agendas: Arc::new(trial::NoAgendas),
        chance: Arc::new(SystemChance),
        templates: Templates::default(),
        public_url: None,
    };
    let trial = trial::run(config, payload, tools, SystemClock.now()).await?;
    if args.json { output::print_json(&as_json(&trial)) } else { print(&trial) }
}

/// As a server on this file would have them.
fn targets(file: &Path) -> anyhow::Result<TargetPolicy> {
    Ok(TargetPolicy { allow: ConfigFile::read(Some(file))?.allow_target, ..TargetPolicy::default() })
}

fn print(trial: &Trial) -> anyhow::Result<()> {
    let mut event = trial.event.clone();
    // The raw body is what was given; what it was read as is the news.
    event.as_object_mut().map(|members| members.remove("body"));
    output::print_line(&format!("At source {} it is read as:", tame(&trial.source)));
    for line in serde_json::to_string_pretty(&event)?.lines() {
        output::print_line(&format!("  {}", tame(line)));
    }
    if trial.runs.is_empty() {
        output::say("There is no [[handler]]; it would be kept, and that is all.");
    }
    for (name, kind, outcome) in &trial.runs {
        let (verb, text) = match outcome {
            Outcome::PassedOver(why) => ("passes over it", (*why).to_owned()),
            Outcome::Would(text) => ("would do this", text.clone()),
            Outcome::WouldFail(why) => ("would fail", why.clone()),
        };
        output::print_line(&format!("\nHandler {name} ({kind}) {verb}:"));
        for line in text.lines() {
            output::print_line(&format!("  {}", tame(line)));
        }
    }
    Ok(())
}

fn as_json(trial: &Trial) -> Value {
    let run = |(name, kind, outcome): &(String, &'static str, Outcome)| match outcome {
        Outcome::PassedOver(why) => json!({ "handler": name, "type": kind, "outcome": "passed over", "text": why }),
        Outcome::Would(text) => json!({ "handler": name, "type": kind, "outcome": "would", "text": text }),
        Outcome::WouldFail(why) => json!({ "handler": name, "type": kind, "outcome": "would fail", "text": why }),
    };
    json!({ "source": trial.source, "event": trial.event, "runs": trial.runs.iter().map(run).collect::<Vec<_>>() })
}

fn header_lines(headers: &[String]) -> Result<String, UsageError> {
    let line = |header: &String| {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| UsageError(format!("--header {header:?} has no colon; write it such as \"name: value\"")))?;
        Ok(format!("{}: {}\n", name.trim().to_lowercase(), value.trim()))
    };
    headers.iter().map(line).collect()
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let told = || format!("cannot read the payload {}", path.display());
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(PAYLOAD_BYTES_MAX).read_to_end(&mut bytes).with_context(told)?;
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(PAYLOAD_BYTES_MAX).read_to_end(&mut bytes))
            .with_context(told)?;
    }
    Ok(bytes)
}
