//! `fanfare inbox export`: messages as they came, one JSON object a line, newest first. One message is in memory at a time,
//! however many there are.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use store::{MessageFilter, Store};
use wire::AccountId;

use super::labels::SourceLabels;
use super::message::{BodyText, MessageJson};
use super::which::WhichArgs;
use crate::cli::AccountArg;
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, counted};
use crate::progress::Progress;

/// Messages of one page, without their bodies: a few kilobytes each.
const PAGE: usize = 200;

/// What to export, and whereto.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// A new file, readable by its owner alone; without it, standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    account: AccountArg,
    /// Lines of JSON are what it prints anyway.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// A message as it is exported.
#[derive(Serialize)]
struct Exported {
    #[serde(flatten)]
    message: MessageJson,
    #[serde(flatten)]
    body: BodyText,
}

enum Whereto {
    Stdout,
    File(BufWriter<File>),
}

pub(super) async fn run(args: ExportArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let labels = SourceLabels::read(&*store, account, &args.database).await?;
    let filter = args.which.filter(&*store, account, &labels).await?;
    let mut whereto = args.output.as_deref().map_or(Ok(Whereto::Stdout), create)?;
    let exported = export(&*store, account, filter, &mut whereto).await;
    let exported = exported.and_then(|count| whereto.finish().map(|()| count));
    let count = exported.with_context(|| match &args.output {
        Some(path) => format!("cannot export to {}; what is there is not whole", path.display()),
        None => "cannot export; what was printed is not whole".to_owned(),
    })?;
    output::say(&format!("{} exported", counted(count, "message", "messages")));
    Ok(())
}

async fn export(
    store: &dyn Store,
    account: AccountId,
    filter: MessageFilter,
    whereto: &mut Whereto,
) -> anyhow::Result<u64> {
    let total = match filter {
        MessageFilter { source: None, from: None, to: None } => store.message_counts(account).await?.stored,
        _ => 0,
    };
    let progress = matches!(whereto, Whereto::File(_)).then(|| Progress::start("messages", total));
    let (mut after, mut count) = (None, 0);
    loop {
        let page = store.messages(account, filter, after, PAGE).await?;
        for listed in page.items {
            // It may have been erased or have gone since it was listed.
            let Some(mut message) = store.message(account, listed.number).await? else { continue };
            let body = BodyText::take(&mut message);
            whereto.write(&Exported { message: message.into(), body })?;
            count += 1;
            progress.iter().for_each(|progress| progress.set(count));
        }
        after = page.next;
        if after.is_none() {
            progress.iter().for_each(Progress::finish);
            return Ok(count);
        }
    }
}

/// It holds what people sent, so it is for its owner alone, and takes no other's place.
fn create(path: &Path) -> anyhow::Result<Whereto> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file =
        file.with_context(|| format!("cannot make {}; give --output a file that is not there", path.display()))?;
    Ok(Whereto::File(BufWriter::new(file)))
}

impl Whereto {
    fn write(&mut self, exported: &Exported) -> anyhow::Result<()> {
        match self {
            Whereto::Stdout => output::print_json(exported),
            Whereto::File(file) => {
                serde_json::to_writer(&mut *file, exported)?;
                Ok(file.write_all(b"\n")?)
            }
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Whereto::Stdout => Ok(()),
            Whereto::File(file) => Ok(file.into_inner()?.sync_all()?),
        }
    }
}
