//! `fanfare notices`: what an account's owner should know, in the terminal.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::value::RawValue;
use store::{NoticeRecord, NoticeSubject};

use crate::cli::{AccountArg, LimitArg, ListArgs};
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, Row, instant};

/// What to do with notices.
#[derive(Debug, Subcommand)]
pub(crate) enum NoticesCommand {
    /// List notices, newest first.
    List(NoticeListArgs),
}

/// Which notices to list.
#[derive(Debug, Args)]
pub(crate) struct NoticeListArgs {
    #[command(flatten)]
    limit: LimitArg,
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(command: NoticesCommand) -> anyhow::Result<()> {
    let NoticesCommand::List(args) = command;
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let found = args.limit.gather(async |after, limit| store.notices(account, after, limit).await).await?;
    let rows: Vec<_> = found.into_iter().map(NoticeRow::from).collect();
    output::print_list(args.output.format(), &rows, "there is no notice; nothing needs you")
}

/// A notice, in the shape of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NoticeRow {
    id: String,
    r#type: &'static str,
    subject: String,
    data: Option<Box<RawValue>>,
    created_at: String,
    read_at: Option<String>,
}

impl From<NoticeRecord> for NoticeRow {
    fn from(notice: NoticeRecord) -> NoticeRow {
        NoticeRow {
            id: notice.id.to_string(),
            r#type: notice.kind.as_str(),
            subject: match notice.subject {
                NoticeSubject::Endpoint(id) => id.to_string(),
                NoticeSubject::Series(id) => id.to_string(),
            },
            data: RawValue::from_string(notice.details).ok(),
            created_at: instant(notice.created_at),
            read_at: notice.read_at.map(instant),
        }
    }
}

impl Row for NoticeRow {
    const COLUMNS: &'static [&'static str] = &["notice", "type", "about", "created", "read", "details"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.r#type.to_owned(),
            self.subject.clone(),
            self.created_at.clone(),
            self.read_at.clone().unwrap_or_default(),
            self.data.as_ref().map(|data| data.get().to_owned()).unwrap_or_default(),
        ]
    }
}
