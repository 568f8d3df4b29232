//! What was announced of a series, against the rules of now.

use store::SeriesRecord;
use webinar::{Announced, RuleChange, Series};
use wire::AccountId;

use crate::app::App;
use crate::problem::Problem;

/// What was announced of this version.
pub(super) async fn announced(
    app: &App,
    account: AccountId,
    record: &SeriesRecord,
) -> Result<Option<Announced>, Problem> {
    let announced = app.store().announced(account, record.id).await?;
    Ok(announced.filter(|announced| announced.version == record.version))
}

/// How newer rules move sessions that people were told of, if they do and nobody has announced it yet.
pub(super) async fn pending_change(
    app: &App,
    account: AccountId,
    record: &SeriesRecord,
    series: &Series,
) -> Result<Option<RuleChange>, Problem> {
    let announced = announced(app, account, record).await?;
    Ok(announced.and_then(|announced| RuleChange::between(&announced, series, &app.context.zones, app.now())))
}

#[cfg(test)]
mod tests;
