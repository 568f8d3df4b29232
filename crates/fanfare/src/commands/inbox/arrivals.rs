//! `fanfare inbox arrivals`: where the sender is a Fanfare, which webhooks of a fan-out have not come.

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use store::Arrivals;
use wire::FanOutId;

use crate::cli::{AccountArg, ListArgs};
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, Row};

/// Fan-outs listed where none is named: each is counted, message by message.
const LISTED: usize = 10;
/// Gaps told in a line of a table.
const GAPS_TOLD: usize = 5;

/// Which fan-out.
#[derive(Debug, Args)]
pub(crate) struct ArrivalsArgs {
    /// Its id, which the header fanfare-fanout of its webhooks tells; without it those of which anything came last.
    #[arg(value_name = "fan_…")]
    fan_out: Option<FanOutId>,
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: ArrivalsArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let found = match args.fan_out {
        None => store.fan_outs_seen(account, LISTED).await?,
        Some(id) => {
            let arrivals = store.arrivals(account, id).await?;
            vec![(id, arrivals.with_context(|| format!("nothing of {id} has come"))?)]
        }
    };
    let rows: Vec<_> = found.into_iter().map(|(id, arrivals)| ArrivalsRow::of(id, arrivals)).collect();
    let empty = "nothing has come that tells its fan-out, as webhooks of a Fanfare do";
    output::print_list(args.output.format(), &rows, empty)
}

/// A fan-out, in the shape of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArrivalsRow {
    fan_out: String,
    total: u64,
    arrived: u64,
    missing: Vec<Gap>,
    more: bool,
}

#[derive(Serialize)]
struct Gap {
    from: u64,
    to: u64,
}

impl ArrivalsRow {
    fn of(fan_out: FanOutId, arrivals: Arrivals) -> ArrivalsRow {
        ArrivalsRow {
            fan_out: fan_out.to_string(),
            total: arrivals.total,
            arrived: arrivals.arrived,
            missing: arrivals.missing.iter().map(|gap| Gap { from: *gap.start(), to: *gap.end() }).collect(),
            more: arrivals.more,
        }
    }
}

impl Row for ArrivalsRow {
    const COLUMNS: &'static [&'static str] = &["fan-out", "arrived", "of", "missing"];

    fn cells(&self) -> Vec<String> {
        let gaps = self.missing.iter().take(GAPS_TOLD).map(|gap| match gap {
            Gap { from, to } if from == to => from.to_string(),
            Gap { from, to } => format!("{from}-{to}"),
        });
        let mut missing = gaps.collect::<Vec<_>>().join(", ");
        if self.more || self.missing.len() > GAPS_TOLD {
            missing.push_str(", …");
        }
        vec![self.fan_out.clone(), self.arrived.to_string(), self.total.to_string(), missing]
    }
}
