//! Opens the door to good keys and keeps guesses out: what has opened before is remembered for a moment, what is wrong
//! is counted, and who sends too much of it is told to wait before anything is read.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use provider::api_key::{ApiKey, KeyState, StoredKey};
use store::{KeyRecord, Store};
use tokio::time::Instant;

use super::address::network_of;
use super::known_keys::{Generation, KnownKeys, Recalled};
use super::wrong_keys::{Subject, WrongKeys};
use crate::problem::Problem;

/// One for a process.
#[derive(Default)]
pub(crate) struct Doors {
    known: KnownKeys,
    wrong: WrongKeys,
}

/// What a key is compared with where its public id is unknown, so that it takes as long as a wrong one.
const NOBODYS_HASH: [u8; 32] = [0; 32];

impl Doors {
    /// The record of a key that is good now.
    ///
    /// A key that has opened since this process started always opens, whatever else comes from its address. One that is
    /// new here is not looked at while its network has to wait for its wrong keys. The wrong keys of one public id are
    /// answered with a wait as well, but never keep the right one out: the id is no secret.
    pub(crate) async fn open(
        &self,
        store: &dyn Store,
        text: &str,
        from: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<KeyRecord, Problem> {
        let instant = Instant::now();
        let Ok(key) = ApiKey::parse(text) else {
            return Err(self.refuse(None, from, instant).unwrap_or_else(not_a_key));
        };
        let stored = key.to_stored();
        let generation = match self.known.recall(&stored.hash, instant) {
            (Recalled::Fresh(record), _) if record.lifetime.state(now) == KeyState::Good => {
                self.keep_use(store, &record, now).await;
                return Ok(record);
            }
            (Recalled::Fresh(_) | Recalled::Stale, generation) => generation,
            (Recalled::Unknown, generation) => {
                if let Some(wait) = from.and_then(|from| self.wrong.wait(&Subject::Network(network_of(from)), instant))
                {
                    return Err(Problem::too_many_wrong_keys(wait));
                }
                generation
            }
        };
        match self.read(store, &key, generation, now).await? {
            Ok(record) => Ok(record),
            Err(why) => Err(self.refuse(Some(stored.public_id), from, instant).unwrap_or(why)),
        }
    }

    /// A key of this process has been changed; what is remembered of it does not hold any more.
    pub(crate) fn forget(&self, public_id: &str) {
        self.known.forget(public_id);
    }

    /// Reads and compares: the same work for an unknown public id as for a wrong secret, and the same answer.
    async fn read(
        &self,
        store: &dyn Store,
        key: &ApiKey,
        generation: Generation,
        now: Timestamp,
    ) -> Result<Result<KeyRecord, Problem>, Problem> {
        let hash = key.to_stored().hash;
        let found = store.find_key(key.public_id()).await.inspect_err(|_| self.known.forget_hash(&hash))?;
        let nobodys = StoredKey { public_id: String::new(), hash: NOBODYS_HASH };
        let is_right = key.opens(found.as_ref().map_or(&nobodys, |record| &record.key));
        let Some(record) = found.filter(|_| is_right) else {
            return Ok(Err(Problem::unauthorized("it is unknown here; make one with: fanfare account key create")));
        };
        match record.lifetime.state(now) {
            KeyState::Good => {}
            state => {
                self.known.forget_hash(&hash);
                let why = format!("it is {}; make another with: fanfare account key create", state.as_str());
                return Ok(Err(Problem::unauthorized(&why)));
            }
        }
        self.known.remember(hash, record.clone(), generation, Instant::now());
        self.keep_use(store, &record, now).await;
        Ok(Ok(record))
    }

    /// Keeps when a key was used last. A store that cannot write must not keep readers out.
    async fn keep_use(&self, store: &dyn Store, record: &KeyRecord, now: Timestamp) {
        if !self.known.is_use_to_be_kept(&record.key.hash, now) {
            return;
        }
        if let Err(error) = store.note_key_use(record.account, &record.key.public_id, now).await {
            tracing::debug!(key = record.key.public_id, %error, "the last use of a key was not kept");
        }
    }

    /// Counts a wrong key; the wait, where there is one already.
    fn refuse(&self, public_id: Option<String>, from: Option<IpAddr>, now: Instant) -> Option<Problem> {
        let network = from.map(network_of).map(Subject::Network);
        let subjects = network.into_iter().chain(public_id.map(Subject::Key));
        let mut longest: Option<Duration> = None;
        for subject in subjects {
            longest = longest.max(self.wrong.wait(&subject, now));
            if let Some(wait) = self.wrong.count(subject.clone(), now) {
                match subject {
                    Subject::Network(network) => tracing::warn!(%network, ?wait, "too many wrong API keys from here"),
                    Subject::Key(key) => tracing::warn!(key, ?wait, "too many wrong secrets for this API key"),
                }
            }
        }
        longest.map(Problem::too_many_wrong_keys)
    }
}

fn not_a_key() -> Problem {
    Problem::unauthorized(&provider::api_key::NotAKey.to_string())
}
