//! `fanfare import`: brings the members of a mango from a CSV file, as a stream, through the database itself. Good lines
//! are kept, bad ones are told with their number.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use store::{Group, NewMember, Store, StoreError};
use web::members::{BATCH_SIZE, ListFormat, MemberReader, MemberReport};
use webinar::MangoId;
use wire::AccountId;

use crate::cli::AccountArg;
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, tame};
use crate::progress::Progress;
use crate::zones;

/// What is read from the file at a time: large enough that the reads cost nothing.
const CHUNK_BYTES: usize = 64 * 1024;

/// Which list to bring, and whereto.
#[derive(Debug, Args)]
#[command(
    after_help = "The first line names the columns: name,email,phone,timezone in any order. phone and timezone may \
    be missing or empty; a time zone is an IANA name or an offset such as +05:30; further columns are kept as \
    attributes. Who is known by e-mail is corrected, not doubled, so a list may be brought again.\n\nExit code 1 if any \
    line was left out; the others are kept."
)]
pub(crate) struct ImportArgs {
    /// The mango, by its id of 24 hexadecimal digits.
    #[arg(long, value_name = "ID")]
    mango: MangoId,
    /// The CSV file; - for standard input.
    file: PathBuf,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object: {"lines", "added", "updated", "unchanged", "rejected", "errors"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let (list, size) = open_list(&args.file)?;
    let store = args.database.open_existing().await?;
    let account = the_account(&*store, args.account.account).await?;
    if store.mangoes_named(account.id, &[args.mango]).await?.is_empty() {
        bail!("account {} has no mango {}; make it with POST /api/v1/mangoes", account.id, args.mango);
    }
    let progress = Progress::start_bytes("bytes read", size);
    let mut import = Import {
        store,
        account: account.id,
        mango: args.mango,
        batch: Vec::with_capacity(BATCH_SIZE),
        report: MemberReport::default(),
    };
    let read = import.read_all(list, &progress).await;
    progress.finish();
    if read.is_err() && import.report.lines > 0 {
        let kept = import.report.lines - import.report.rejected;
        output::say(&format!("{kept} people are kept from before the error; the same file may be imported again"));
    }
    read.with_context(|| format!("cannot import {}", args.file.display()))?;
    show(&import.report, args.json)?;
    Ok(if import.report.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The list and its size in bytes, 0 where it is not known.
fn open_list(path: &Path) -> anyhow::Result<(Box<dyn Read + Send>, u64)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), 0));
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    Ok((Box::new(file), size))
}

struct Import {
    store: Arc<dyn Store>,
    account: AccountId,
    mango: MangoId,
    batch: Vec<NewMember>,
    report: MemberReport,
}

impl Import {
    async fn read_all(&mut self, mut list: Box<dyn Read + Send>, progress: &Progress) -> anyhow::Result<()> {
        let mut reader = MemberReader::new(ListFormat::Csv, zones::newest());
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut bytes_read = 0;
        loop {
            let length = list.read(&mut chunk)?;
            match length {
                0 => reader.finish(),
                _ => reader.feed(&chunk[..length]),
            }
            while let Some(line) = reader.next_line()? {
                match line.member {
                    Ok(member) => self.batch.push(member),
                    Err(errors) => self.report.reject(line.number, errors),
                }
                if self.batch.len() == BATCH_SIZE {
                    self.enrol().await?;
                }
            }
            bytes_read += length as u64;
            progress.set(bytes_read);
            if length == 0 {
                return self.enrol().await;
            }
        }
    }

    async fn enrol(&mut self) -> anyhow::Result<()> {
        let members = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_SIZE));
        if members.is_empty() {
            return Ok(());
        }
        let group = Group::Mango(self.mango);
        let enrolled = self.store.enrol(self.account, group, members).await;
        self.report.count(enrolled.map_err(|error| match error {
            StoreError::Missing(_) => anyhow::anyhow!("the mango was removed meanwhile"),
            other => other.into(),
        })?);
        Ok(())
    }
}

fn show(report: &MemberReport, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::print_json(report);
    }
    for bad in &report.errors {
        for error in &bad.errors {
            let column = error.pointer.trim_start_matches('/');
            let column = if column.is_empty() { String::new() } else { format!("{column} ") };
            output::say(&tame(&format!("line {}: {column}{}", bad.line, error.detail)));
        }
    }
    let untold = report.rejected - report.errors.len() as u64;
    if untold > 0 {
        output::say(&format!("and {untold} more lines that were left out"));
    }
    let MemberReport { lines, added, updated, unchanged, rejected, .. } = report;
    output::print_line(&format!(
        "{}: {added} added, {updated} updated, {unchanged} unchanged, {rejected} left out",
        output::counted(*lines, "line", "lines")
    ));
    Ok(())
}
