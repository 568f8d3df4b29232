//! Which messages a command is about.

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use receiver::Source;
use store::{Inbox, MessageFilter};
use store_sqlite::SqliteStore;
use wire::{AccountId, SourceId};

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

    pub(super) async fn filter(&self, store: &SqliteStore, account: AccountId) -> anyhow::Result<MessageFilter> {
        let source = match &self.source {
            Some(text) => Some(find_source(store, account, text).await?),
            None => None,
        };
        Ok(MessageFilter { source, from: self.from, to: self.to })
    }
}

/// A source by its id or its name.
async fn find_source(store: &SqliteStore, account: AccountId, text: &str) -> anyhow::Result<SourceId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let known = store.sources(account).await?;
    if let Some(source) = known.iter().find(|source| source.name == text) {
        return Ok(source.id);
    }
    // One of the settings file is known here by what came from it alone.
    let id = Source::id_of_name(account, text);
    let filter = MessageFilter { source: Some(id), ..MessageFilter::default() };
    if store.messages(account, filter, None, 1).await?.items.is_empty() {
        bail!(
            "{text:?} is neither a source's id nor its name, or nothing has come from it yet; fanfare inbox list shows \
             where messages came in"
        );
    }
    Ok(id)
}
