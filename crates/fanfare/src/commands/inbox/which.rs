//! Which messages a command is about.

use clap::Args;
use jiff::Timestamp;
use store::{MessageFilter, Store};
use wire::AccountId;

use super::labels::SourceLabels;

/// Messages by where they came in and when.
#[derive(Debug, Args)]
pub(super) struct WhichArgs {
    /// Of this source, by id or name.
    #[arg(long, value_name = "src_…|NAME")]
    pub(super) source: Option<String>,
    /// Received at this time or later, such as 2027-03-05T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<Timestamp>,
    /// Received before this time.
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<Timestamp>,
}

impl WhichArgs {
    pub(super) fn is_everything(&self) -> bool {
        self.source.is_none() && self.from.is_none() && self.to.is_none()
    }

    pub(super) async fn filter(
        &self,
        store: &dyn Store,
        account: AccountId,
        labels: &SourceLabels,
    ) -> anyhow::Result<MessageFilter> {
        let source = match &self.source {
            Some(text) => Some(labels.find(store, account, text).await?),
            None => None,
        };
        Ok(MessageFilter { source, from: self.from, to: self.to })
    }
}
