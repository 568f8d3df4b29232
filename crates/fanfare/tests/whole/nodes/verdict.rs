//! The judge: what happened against what was promised. It asks the API, the database, the receiver and the user's own
//! database.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Row;

use super::cluster::{CRM, Cluster, STORE};
use super::fleet::Fleet;
use super::wait_for;

impl Fleet {
    /// Waits until everybody was told of everything, and every message of the inbox has had its effect.
    pub(crate) async fn wait_until_all_is_done(&self, crm: &Cluster) {
        wait_for("everything promised is delivered", async || self.is_all_delivered().await).await;
        let effects = "select count(distinct message) from effect";
        let messages = self.load.promises().acknowledged.len() as i64;
        wait_for("every message has its effect", async || crm.count(CRM, effects).await >= messages).await;
    }

    /// Whether the API says that all of every announcement is delivered.
    pub(crate) async fn is_all_delivered(&self) -> bool {
        let members = self.load.estate.size.members as u64;
        let announced: usize = self.load.promises().saves.values().sum();
        let Some(events) = self.load.progress().await else { return false };
        events.len() >= announced && events.iter().flatten().all(|(_, delivered)| *delivered == members)
    }

    /// Holds what happened against what was promised, once all is done; the most copies that one message came in.
    pub(crate) async fn judge(&self, store: &Cluster, crm: &Cluster, copies_max: usize) {
        let (promises, size) = (self.load.promises(), self.load.estate.size);
        let sql = "select encode(series, 'hex'), count(*) from event where version > 1 group by 1";
        let events = counted(&store.rows(STORE, sql).await);
        assert_eq!(events, promises.saves, "a save that was asked for until it was kept is one event");

        let copies = self.receiver.copies();
        let told = self.load.progress().await.expect("a node answers");
        let fan_outs: BTreeMap<String, u64> = told.iter().flatten().cloned().collect();
        assert_eq!(
            fan_outs.len(),
            promises.saves.values().sum::<usize>() * size.endpoints,
            "each endpoint is told of each"
        );
        assert!(copies.keys().all(|fan_out| fan_outs.contains_key(fan_out)), "nothing comes that nobody announced");
        for (fan_out, delivered) in &fan_outs {
            let received = copies.get(fan_out).map_or(0, BTreeMap::len);
            assert_eq!(received, size.members, "everyone is told once of {fan_out}, under one id");
            assert_eq!(*delivered, received as u64, "{fan_out} is counted as it was received");
        }
        let most = copies.values().flat_map(BTreeMap::values).copied().max().unwrap_or(0);
        assert!(most <= copies_max, "{most} copies of one message");

        let messages = counted(&store.rows(STORE, "select message_id, count(*) from message group by 1").await);
        let effects = counted(&crm.rows(CRM, "select message, count(*) from effect group by 1").await);
        for (what, found) in [("message", &messages), ("effect", &effects)] {
            let twice: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
            assert!(twice.is_empty(), "one {what} for each id: {twice:?}");
            let lost: Vec<_> = promises.acknowledged.iter().filter(|id| !found.contains_key(*id)).collect();
            assert!(lost.is_empty(), "acknowledged, but no {what}: {lost:?}");
            assert!(found.keys().all(|id| promises.sent.contains(id)), "no {what} of what nobody sent");
        }
    }

    /// How many webhooks came more than once.
    pub(crate) fn duplicates(&self) -> usize {
        self.receiver.copies().values().flat_map(BTreeMap::values).filter(|copies| **copies > 1).count()
    }

    /// How many webhooks have come, copies too.
    pub(crate) fn received(&self) -> usize {
        self.receiver.copies().values().flat_map(BTreeMap::values).sum()
    }
}

fn counted(rows: &[Row]) -> BTreeMap<String, usize> {
    rows.iter().map(|row| (row.get(0), usize::try_from(row.get::<_, i64>(1)).unwrap())).collect()
}

/// How long each fan-out stood still that was under way at that moment: the longest time after it without a webhook.
pub(crate) fn stand_stills(fleet: &Fleet, since: Instant) -> Vec<Duration> {
    let under_way = |times: &Vec<Instant>| times.iter().any(|at| *at < since) && times.iter().any(|at| *at > since);
    let longest = |times: Vec<Instant>| {
        let after = times.iter().filter(|at| **at > since);
        let (_, longest) = after.fold((since, Duration::ZERO), |(last, longest), at| (*at, longest.max(*at - last)));
        longest
    };
    fleet.receiver.times().into_values().filter(under_way).map(longest).collect()
}
