//! `fanfare inbox show`: one message as it came, what it says, and what its handlers made of it.

use anyhow::Context;
use clap::Args;
use receiver::reading::{Person, Reading, SessionRead, WebinarEvent};
use serde::Serialize;
use serde_json::Value;
use store::{PAGE_SIZE_MAX, RunFilter};
use wire::InboxMessageId;

use super::labels::SourceLabels;
use super::message::{BodyText, MessageJson};
use super::runs::RunRow;
use crate::cli::AccountArg;
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, ListFormat, print_line, tame};

/// Which message to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its id, as the list shows it.
    #[arg(value_name = "inm_…")]
    message: InboxMessageId,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// A message, in the shape of the API.
#[derive(Serialize)]
struct MessageDetail {
    #[serde(flatten)]
    message: MessageJson,
    #[serde(flatten)]
    body: BodyText,
    reading: Option<Value>,
    runs: Vec<RunRow>,
}

pub(super) async fn run(args: ShowArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let found = store.message(account, args.message.as_u64()).await?;
    let mut message = found.with_context(|| format!("there is no message {}", args.message))?;
    let filter = RunFilter { message: Some(message.number), ..RunFilter::default() };
    let runs = store.runs(account, filter, None, PAGE_SIZE_MAX).await?.items;
    let runs: Vec<_> = runs.into_iter().map(RunRow::from).collect();
    let labels = SourceLabels::read(&*store, account, &args.database).await?;
    let (said, source_name) = (labels.reading(&message), labels.name(message.source));
    let reading = said.as_ref().map(|reading| without_body(reading.to_json(&message.body)));
    let body = BodyText::take(&mut message);
    let detail = MessageDetail { message: message.into(), body, reading, runs };
    if args.json {
        return output::print_json(&detail);
    }
    print(&detail, &source_name, said.as_ref())
}

/// The body stands beside it.
fn without_body(mut reading: Value) -> Value {
    if let Some(members) = reading.as_object_mut() {
        members.remove("body");
    }
    reading
}

fn print(detail: &MessageDetail, source_name: &str, said: Option<&Reading>) -> anyhow::Result<()> {
    let MessageJson { id, source, message_id, headers, received_at, duplicates, conflicts, .. } = &detail.message;
    line("message", id);
    line("received", received_at);
    line("source", &if source_name == source { source.clone() } else { format!("{source_name}, {source}") });
    line("sender's id", message_id.as_deref().unwrap_or("none"));
    line("copies", &format!("{}, of which {conflicts} with other content", duplicates + 1));
    for (name, value) in headers {
        line("header", &format!("{name}: {value}"));
    }
    match said {
        Some(reading) => print_reading(reading),
        None => line("content", &format!("{}: body and headers are gone", detail.message.content)),
    }
    print_line("");
    output::print_list(ListFormat::Table, &detail.runs, "no handler has begun it")?;
    match &detail.body {
        BodyText::Text { body } => {
            print_line(&format!("\n{}", body.lines().map(tame).collect::<Vec<_>>().join("\n")));
        }
        BodyText::Other { .. } => print_line("\nThe body is not UTF-8 text; --json gives it as base64."),
        BodyText::Gone {} => {}
    }
    Ok(())
}

fn print_reading(reading: &Reading) {
    line("event", reading.event().unwrap_or("not named by anything"));
    let Reading::Webinar(webinar) = reading else { return };
    print_webinar(webinar);
}

fn print_webinar(webinar: &WebinarEvent) {
    if webinar.is_test {
        line("test", "it only tries whether the receiver works");
    }
    line("about", &person_text(&webinar.person));
    if let Some(series) = &webinar.series {
        line("series", &format!("{}, version {}", series.id, series.version));
    }
    for session in &webinar.sessions {
        line("session", &session_text(session));
    }
    for repair in &webinar.repairs {
        line(
            "repaired",
            &match repair.pointer.as_str() {
                "" => format!("the body {}", repair.what),
                pointer => format!("{pointer}: {}", repair.what),
            },
        );
    }
}

fn person_text(person: &Person) -> String {
    let offset = person.offset.map(|offset| format!("UTC{offset}"));
    let parts = [Some(person.name.clone()), person.email.clone(), person.phone.clone(), offset];
    let told: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    if told.is_empty() { "nobody that it names".to_owned() } else { told.join(", ") }
}

fn session_text(session: &SessionRead) -> String {
    let begin = session.begin.map_or_else(
        || "at no time that it tells".to_owned(),
        |begin| format!("{} UTC{} ({})", begin.wall, begin.offset, begin.instant),
    );
    format!("{begin}, {:?}, {}", session.title, session.id)
}

fn line(name: &str, value: &str) {
    print_line(&format!("{name:<12} {}", tame(value)));
}
