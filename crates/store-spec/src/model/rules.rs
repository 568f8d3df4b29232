//! What was announced of series still to come, in memory.

use async_trait::async_trait;
use jiff::Timestamp;
use store::{Compared, Page, Rules, StoreResult, ToCompare};
use webinar::{Announced, SeriesId};
use wire::AccountId;

use super::Model;

#[async_trait]
impl Rules for Model {
    async fn series_to_compare(
        &self,
        tzdb_version: &str,
        now: Timestamp,
        after: Option<ToCompare>,
        limit: usize,
    ) -> StoreResult<Page<ToCompare, ToCompare>> {
        let tables = self.tables();
        let other = tables.series.iter().filter(|(_, row)| row.compared != tzdb_version && row.ends_at > now);
        let mut places: Vec<_> = other
            .map(|((account, series), row)| ToCompare { ends_at: row.ends_at, account: *account, series: *series })
            .filter(|place| after.is_none_or(|after| *place > after))
            .collect();
        places.sort();
        places.truncate(limit + 1);
        Ok(Page::cut(places, limit, |last| *last))
    }

    async fn announced(&self, account: AccountId, series: SeriesId) -> StoreResult<Option<Announced>> {
        Ok(self.tables().series.get(&(account, series)).map(|row| row.announced.clone()))
    }

    async fn note_compared(&self, tzdb_version: &str, compared: Vec<Compared>) -> StoreResult<()> {
        let mut tables = self.tables();
        for one in compared {
            if let Some(row) = tables.series.get_mut(&(one.account, one.series))
                && row.record.version == one.version
            {
                row.compared = tzdb_version.to_owned();
            }
        }
        Ok(())
    }
}
