//! `fanfare deliveries`: the delivery log in the terminal.

mod attempt;
mod show;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use store::{DeliveryFilter, DeliveryStatus, DeliverySummary, Store};
use wire::{AccountId, EndpointId, EventId};

use crate::cli::{AccountArg, LimitArg, ListArgs};
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, Row, instant};
use attempt::Attempt;
use show::ShowArgs;

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub(crate) enum DeliveriesCommand {
    /// List deliveries, newest first; all conditions hold together.
    List(DeliveryListArgs),
    /// Show one delivery with all its attempts: why each failed, and where the time went.
    Show(ShowArgs),
}

/// Which deliveries to list.
#[derive(Debug, Args)]
pub(crate) struct DeliveryListArgs {
    /// Of this event.
    #[arg(long, value_name = "evt_…")]
    event: Option<EventId>,
    /// To this endpoint.
    #[arg(long, value_name = "ep_…")]
    endpoint: Option<EndpointId>,
    /// For this participant, by number or e-mail address.
    #[arg(long, value_name = "NUMBER|E-MAIL")]
    participant: Option<String>,
    /// In this state.
    #[arg(long, value_enum)]
    status: Option<Status>,
    #[command(flatten)]
    limit: LimitArg,
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    pub(crate) output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// The receiver has it.
    Delivered,
    /// To be tried again.
    Retrying,
    /// To be tried again once its event is no longer paused.
    Held,
    /// Given up.
    Abandoned,
    /// A newer version of the webinar took its place.
    Superseded,
    /// Called off by its owner.
    Skipped,
    /// Called off: the person was erased.
    Erased,
}

/// Does it.
pub(crate) async fn run(command: DeliveriesCommand) -> anyhow::Result<()> {
    match command {
        DeliveriesCommand::List(args) => list(args).await,
        DeliveriesCommand::Show(args) => show::run(args).await,
    }
}

async fn list(args: DeliveryListArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let filter = DeliveryFilter {
        event: args.event,
        endpoint: args.endpoint,
        participant: match &args.participant {
            Some(who) => Some(participant_number(&*store, account, who).await?),
            None => None,
        },
        status: args.status.map(DeliveryStatus::from),
    };
    let found = args.limit.gather(async |after, limit| store.deliveries(account, filter, after, limit).await).await?;
    let rows: Vec<_> = found.into_iter().map(DeliveryRow::from).collect();
    output::print_list(args.output.format(), &rows, "no delivery matches; those not tried yet are in no list")
}

async fn participant_number(store: &dyn Store, account: AccountId, who: &str) -> anyhow::Result<u64> {
    if let Ok(number) = who.parse() {
        return Ok(number);
    }
    let found = store.participant_by_email(account, who).await?;
    Ok(found.with_context(|| format!("no participant has the e-mail address {who:?}"))?.number)
}

impl From<Status> for DeliveryStatus {
    fn from(status: Status) -> DeliveryStatus {
        match status {
            Status::Delivered => DeliveryStatus::Delivered,
            Status::Retrying => DeliveryStatus::Retrying,
            Status::Held => DeliveryStatus::Held,
            Status::Abandoned => DeliveryStatus::Abandoned,
            Status::Superseded => DeliveryStatus::Superseded,
            Status::Skipped => DeliveryStatus::Skipped,
            Status::Erased => DeliveryStatus::Erased,
        }
    }
}

impl From<DeliveryStatus> for Status {
    fn from(status: DeliveryStatus) -> Status {
        match status {
            DeliveryStatus::Delivered => Status::Delivered,
            DeliveryStatus::Retrying => Status::Retrying,
            DeliveryStatus::Held => Status::Held,
            DeliveryStatus::Abandoned => Status::Abandoned,
            DeliveryStatus::Superseded => Status::Superseded,
            DeliveryStatus::Skipped => Status::Skipped,
            DeliveryStatus::Erased => Status::Erased,
        }
    }
}

/// A delivery, in the shape of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryRow {
    id: String,
    event: String,
    endpoint: String,
    participant: Person,
    status: Status,
    attempts: u16,
    last_attempt: Option<Attempt>,
    next_attempt_at: Option<String>,
}

/// Name and address are those of now, and null where the person is no longer on the roster.
#[derive(Serialize)]
struct Person {
    number: u64,
    name: Option<String>,
    email: Option<String>,
}

impl From<DeliverySummary> for DeliveryRow {
    fn from(delivery: DeliverySummary) -> DeliveryRow {
        let (name, email) = delivery.person.unzip();
        DeliveryRow {
            id: delivery.id.to_string(),
            event: delivery.event.to_string(),
            endpoint: delivery.endpoint.to_string(),
            participant: Person { number: delivery.participant, name, email },
            status: delivery.status.into(),
            attempts: delivery.attempts,
            last_attempt: delivery.last.map(Attempt::from),
            next_attempt_at: delivery.next_attempt_at.map(instant),
        }
    }
}

impl Row for DeliveryRow {
    const COLUMNS: &'static [&'static str] =
        &["delivery", "participant", "e-mail", "status", "attempts", "outcome", "ms", "last attempt", "next attempt"];

    fn cells(&self) -> Vec<String> {
        let status = DeliveryStatus::from(self.status).name();
        let last = self.last_attempt.as_ref();
        let of_last = |cell: fn(&Attempt) -> String| last.map_or_else(String::new, cell);
        vec![
            self.id.clone(),
            self.participant.number.to_string(),
            self.participant.email.clone().unwrap_or_default(),
            status.to_owned(),
            self.attempts.to_string(),
            of_last(Attempt::in_words),
            of_last(Attempt::latency),
            of_last(Attempt::ended),
            self.next_attempt_at.clone().unwrap_or_default(),
        ]
    }
}
