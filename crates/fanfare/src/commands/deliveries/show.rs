//! `fanfare deliveries show`: one delivery with its attempts.

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use wire::DeliveryId;

use super::DeliveryRow;
use super::attempt::Attempt;
use crate::cli::AccountArg;
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, ListFormat, Row, tame};

/// Which delivery to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its id, as the list shows it.
    #[arg(value_name = "dlv_…")]
    delivery: DeliveryId,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Serialize)]
struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryRow,
    history: Vec<Attempt>,
}

pub(super) async fn run(args: ShowArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let found = store.delivery(account, args.delivery).await?;
    let detail = found.with_context(|| {
        format!("there is no delivery {}, or its participant has not been reached yet", args.delivery)
    })?;
    let history: Vec<Attempt> = detail.attempts.into_iter().map(Attempt::from).collect();
    let delivery = DeliveryRow::from(detail.summary);
    if args.json {
        return output::print_json(&DeliveryDetail { delivery, history });
    }
    for (column, cell) in DeliveryRow::COLUMNS.iter().zip(delivery.cells()) {
        output::print_line(&format!("{column:<13} {}", tame(&cell)));
    }
    output::print_line("");
    output::print_list(ListFormat::Table, &history, "no attempt has ended yet")
}
