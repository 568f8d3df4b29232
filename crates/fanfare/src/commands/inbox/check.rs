//! `fanfare inbox check`: every mistake in a settings file at once; `fanfare inbox schema`: the tables of the sql handler.

use std::path::PathBuf;

use ::handlers::sql::{Dialect, SqlPrefix, schema};
use anyhow::bail;
use clap::{Args, ValueEnum};
use inbox::config::{HandlerConfig, InboxConfig};
use receiver::Source;
use serde::Serialize;
use wire::AccountId;

use crate::config::ConfigFile;
use crate::output::{self, counted};
use crate::receiving;

/// Which file to check.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The settings file, as for `serve --config`.
    #[arg(value_name = "CONFIG")]
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Which tables to print.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// For which database.
    #[arg(value_enum, value_name = "DATABASE")]
    database: SchemaDialect,
    /// What the tables' names begin with [default: webinar_]
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
}

/// A database the sql handler can write into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaDialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

/// What a file without mistakes sets up.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    sources: Vec<SourceSummary>,
    handlers: Vec<HandlerSummary>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceSummary {
    name: String,
    /// Left out where it is the secret.
    path: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HandlerSummary {
    name: String,
    r#type: &'static str,
    events: Vec<String>,
    sources: Vec<String>,
}

/// Says what is wrong with the file, or what it sets up. Connects to nothing.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let text = receiving::read_text(&args.file)?;
    let config = receiving::read(&args.file, &text, AccountId::from_u32(0)).map_err(|mistakes| {
        // The file is what was asked about, not how: a check that fails is no wrong usage.
        anyhow::anyhow!("{mistakes}")
    })?;
    ConfigFile::read(Some(&args.file)).map_err(|mistake| anyhow::anyhow!("{mistake}"))?;
    if config.is_empty() {
        bail!("{} has no [[source]] and no [[handler]]; docs/receiving shows what to write", args.file.display());
    }
    let summary = Summary::of(&config);
    if args.json {
        return output::print_json(&summary);
    }
    for source in &summary.sources {
        let path = source.path.as_deref().unwrap_or("at its secret path");
        output::print_line(&format!("source   {:<20} {path}", source.name));
    }
    for handler in &summary.handlers {
        let all = |names: &[String]| if names.is_empty() { "all".to_owned() } else { names.join(", ") };
        let (events, sources) = (all(&handler.events), all(&handler.sources));
        output::print_line(&format!(
            "handler  {:<20} {:<9} events: {events}; sources: {sources}",
            handler.name, handler.r#type
        ));
    }
    for handler in &config.handlers {
        if let Err(mend) = handler.kind.look() {
            output::say(&format!("On this machine, handler {:?}: {mend}", handler.rules.name));
        }
    }
    let sources = counted(summary.sources.len() as u64, "source", "sources");
    let handlers = counted(summary.handlers.len() as u64, "handler", "handlers");
    output::say(&format!("No mistake found: {sources}, {handlers}."));
    Ok(())
}

/// Prints the tables, to be made by hand where the handler may not.
pub(crate) fn print_schema(args: &SchemaArgs) -> anyhow::Result<()> {
    let prefix = args.prefix.as_deref().map(SqlPrefix::parse).transpose().map_err(anyhow::Error::msg)?;
    let dialect = match args.database {
        SchemaDialect::Postgres => Dialect::Postgres,
        SchemaDialect::Sqlite => Dialect::Sqlite,
    };
    let prefix = prefix.map_or_else(|| SqlPrefix::parse("webinar_"), Ok).map_err(anyhow::Error::msg)?;
    output::print_line(schema(dialect, Some(&prefix)).trim_end());
    Ok(())
}

impl Summary {
    fn of(config: &InboxConfig) -> Summary {
        let source = |source: &Source| SourceSummary {
            name: source.name().to_owned(),
            path: (!source.scheme().is_path_secret()).then(|| format!("/in/{}", source.path().as_str())),
        };
        let handler = |handler: &HandlerConfig| HandlerSummary {
            name: handler.rules.name.clone(),
            r#type: handler.kind.name(),
            events: handler.rules.events.clone(),
            sources: handler.rules.sources.clone(),
        };
        Summary {
            sources: config.sources.iter().map(source).collect(),
            handlers: config.handlers.iter().map(handler).collect(),
        }
    }
}
