//! `fanfare participants`: shows a person, and erases one everywhere, through the database itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use store::{Act, Chance, Clock, Erase, Erasure, ErasureState, ParticipantRecord, Store, Whom};
use tokio::time::{Instant, sleep};
use web::erasures::{ErasureView, note, state_name};
use webinar::parse_email;
use wire::{AccountId, ErasureId};
use workers::{Janitor, Turn};

use crate::cli::AccountArg;
use crate::clock::{SystemChance, SystemClock};
use crate::database::{DatabaseArgs, by_hand, the_account};
use crate::output;

/// Emptying the database's log waits for readers; a server that is always read does it later by itself.
const SEALING_TIME_MAX: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// What to do with people.
#[derive(Debug, Subcommand)]
pub(crate) enum ParticipantsCommand {
    /// Show one person.
    Show(ShowArgs),
    /// Erase one person everywhere: roster, memberships, retries, inbox. It cannot be undone.
    Erase(EraseArgs),
}

/// Which person.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Who {
    /// By e-mail address.
    #[arg(long, value_name = "E-MAIL", value_parser = parse_address)]
    email: Option<String>,
    /// By number within the account.
    #[arg(long, value_name = "N")]
    number: Option<u64>,
}

/// Whom to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Whom to erase.
#[derive(Debug, Args)]
#[command(
    after_help = "What is on its way to a receiver at that moment may still arrive; nothing is sent afterwards. \
    The inbox is searched for messages that hold the address or the phone number; their bodies and headers go. Somebody \
    who is in the inbox alone is erased by --email too. Backups, and what receivers were sent, are not in our hands."
)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    who: Who,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(command: ParticipantsCommand) -> anyhow::Result<()> {
    match command {
        ParticipantsCommand::Show(args) => show(args).await,
        ParticipantsCommand::Erase(args) => erase(args).await,
    }
}

impl Who {
    fn whom(self) -> Whom {
        match (self.email, self.number) {
            (Some(email), _) => Whom::Email(email),
            (None, number) => Whom::Number(number.unwrap_or(0)),
        }
    }
}

async fn show(args: ShowArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let found = match args.who.whom() {
        Whom::Number(number) => store.participant(account, number).await?,
        Whom::Email(email) => store.participant_by_email(account, &email).await?,
    };
    let person = PersonView::from(found.context("nobody on the roster has this number or address")?);
    if args.json {
        return output::print_json(&person);
    }
    let PersonView { number, name, email, phone, timezone } = person;
    let cells = [("name", name), ("email", email), ("phone", phone.unwrap_or_default())];
    output::print_line(&format!("{:<10} {number}", "number"));
    for (title, cell) in cells.into_iter().chain([("timezone", timezone.unwrap_or_default())]) {
        output::print_line(format!("{title:<10} {}", output::tame(&cell)).trim_end());
    }
    Ok(())
}

async fn erase(args: EraseArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let chance: &dyn Chance = &SystemChance;
    let now = SystemClock.now();
    let id = ErasureId::from_bytes(chance.id_bytes(now));
    let Some(begun) = store
        .noting(by_hand(account, Act::ParticipantErase, id))
        .erase(account, Erase { id, whom: args.who.whom(), now })
        .await?
    else {
        bail!("nobody on the roster of {account} has this number");
    };
    let erasure = finish(&store, account, begun).await?;
    if args.json {
        return output::print_json(&ErasureView::from(&erasure));
    }
    let who = match erasure.participant {
        Some(number) => format!("participant {number}"),
        None => "an address that is on no roster".to_owned(),
    };
    output::print_line(&format!(
        "erased {who}: {} ended, {} called off, {} of {} emptied\n{}  {}",
        output::counted(erasure.memberships, "membership", "memberships"),
        output::counted(erasure.retries, "retry", "retries"),
        output::grouped(erasure.emptied),
        output::counted(erasure.searched, "message", "messages"),
        erasure.id,
        state_name(erasure.state),
    ));
    output::say(note(erasure.state));
    Ok(())
}

/// Does the janitor's part, since no server may be running; beside one the two share it.
async fn finish(store: &Arc<dyn Store>, account: AccountId, begun: Erasure) -> anyhow::Result<Erasure> {
    let janitor = Janitor::new(store.clone(), Arc::new(SystemClock));
    let mut erasure = begun;
    let mut sealing_until = None;
    loop {
        let turn = janitor.further_erasures().await?;
        erasure = store.erasure(account, erasure.id).await?.context("the erasure is not there any more")?;
        let is_over = match erasure.state {
            ErasureState::Done { .. } => true,
            ErasureState::Searching => false,
            ErasureState::Sealing => {
                *sealing_until.get_or_insert_with(|| Instant::now() + SEALING_TIME_MAX) < Instant::now()
            }
        };
        if is_over {
            return Ok(erasure);
        }
        if turn == Turn::Idle {
            sleep(PAUSE).await;
        }
    }
}

fn parse_address(text: &str) -> Result<String, String> {
    parse_email(text).map_err(|mistake| mistake.to_string())
}

/// A person, in the shape of the API.
#[derive(Serialize)]
struct PersonView {
    number: u64,
    name: String,
    email: String,
    phone: Option<String>,
    timezone: Option<String>,
}

impl From<ParticipantRecord> for PersonView {
    fn from(record: ParticipantRecord) -> PersonView {
        let person = record.participant;
        PersonView {
            number: record.number,
            name: person.name,
            email: person.email,
            phone: person.phone.map(|phone| phone.to_string()),
            timezone: person.timezone.map(|zone| zone.to_string()),
        }
    }
}
