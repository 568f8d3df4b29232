//! Doing one operation to a store.

mod notices;

use std::time::Duration;

use jiff::Timestamp;
use provider::lane::LaneState;
use store::{
    Act, Actor, AuditNote, Compared, Group, Lease, NewMember, Replacement, Room, Rotation, Store, Subscribed, Whom,
};
use webinar::{EventType, SeriesId};
use wire::{AccountId, EndpointId, SubscriptionId};

use super::observe::NEWER_TZDB;
use super::operation::{Fate, GroupPick, Operation, Progress, Shape, VersionPick, WhomPick};
use super::player::{Player, mango, mangoes, pick, plan, series, told};
use crate::world::{LEASE, NODE, Plan, Report, member_who};

/// Nothing that this operation points to exists yet.
pub(super) const NOTHING: &str = "nothing to do it to";
const PHONES: [&str; 3] = ["", "+44 20 7946 0000", "0049 30 1234"];
const ZONES: [&str; 3] = ["Europe/London", "", "+05:45"];
const IDS: [&str; 4] = ["msg_a", "msg_b", "msg_c", "msg_d"];
const BODIES: [&str; 3] = ["{\"n\":1}", "{\"n\": 1}", "{\"email\":\"P3@example.com\"}"];

impl<S: Store> Player<S> {
    /// Does it, learns from the answer, and tells the answer.
    pub(super) async fn apply(&mut self, operation: &Operation) -> String {
        match operation {
            Operation::AddKey { .. }
            | Operation::ReplaceKey { .. }
            | Operation::UseKey { .. }
            | Operation::RevokeKey { .. }
            | Operation::CreateMango { .. }
            | Operation::Enrol { .. }
            | Operation::Leave { .. } => self.apply_to_people(operation).await,
            Operation::Save { account, series, version, shape } => self.save(*account, *series, *version, *shape).await,
            Operation::Subscribe { account, url, filter, event } => {
                self.subscribe(*account, *url, *filter, *event).await
            }
            Operation::Compare { account, series, version } => self.compare(*account, *series, *version).await,
            Operation::Unsubscribe { account, nth } => {
                let unknown = SubscriptionId::from_bytes([9; 16]);
                let id = pick(&self.subscriptions, *nth).unwrap_or(unknown);
                told(self.world.store.unsubscribe(self.accounts[*account], id).await)
            }
            Operation::Switch { account, nth, change } => {
                let id = pick(&self.endpoints, *nth).unwrap_or(EndpointId::from_bytes([9; 16]));
                let now = self.world.now();
                told(self.world.store.change_endpoint(self.accounts[*account], id, change.clone(), now).await)
            }
            Operation::Steer { .. } | Operation::Drop { .. } => self.apply_to_backlog(operation).await,
            Operation::Rotate { account, nth, overlap } => {
                let id = pick(&self.endpoints, *nth).unwrap_or(EndpointId::from_bytes([9; 16]));
                let (secret, now) = (self.world.secret(), self.world.now());
                let rotation = Rotation { secret, old_until: now + Duration::from_secs(*overlap), now };
                told(self.world.store.rotate_secret(self.accounts[*account], id, rotation).await)
            }
            Operation::RemoveExpired => told(self.world.store.remove_expired_secrets(self.world.now()).await),
            Operation::Replay { .. } | Operation::SteerReplay { .. } | Operation::Revive { .. } => {
                self.apply_to_replays(operation).await
            }
            Operation::Accept { sender, id, body } => {
                let accepted = self.world.accept(&self.senders[*sender], IDS[*id], BODIES[*body]).await;
                // As `Player::new` has made them.
                let account = self.accounts[usize::from(*sender == 2)];
                told(accepted.map(|acceptance| self.number(account, &acceptance)))
            }
            Operation::Erase { account, whom } => {
                let whom = match whom {
                    WhomPick::Number(number) => Whom::Number(*number),
                    WhomPick::Address(person) => Whom::Email(format!("p{person}@EXAMPLE.com")),
                };
                let erased = self.world.erase_whom(self.accounts[*account], whom).await;
                self.erasures.extend(erased.iter().flatten().map(|erasure| erasure.id));
                told(erased)
            }
            Operation::Search => told(self.world.search_on().await),
            Operation::Seal => told(self.world.store.seal(self.world.now()).await),
            // How many went at a time is each store's own affair.
            Operation::Prune { account, what } => {
                told(self.world.prune(self.accounts[*account], *what).await.map(|_| ()))
            }
            Operation::Pass { seconds } => self.world.pass(Duration::from_secs(*seconds)).to_string(),
            Operation::Claim { .. }
            | Operation::Renew { .. }
            | Operation::Release { .. }
            | Operation::Work { .. }
            | Operation::Settle { .. } => self.apply_to_lane(operation).await,
            Operation::Introduce { .. }
            | Operation::ClaimHandler { .. }
            | Operation::RenewHandler { .. }
            | Operation::SettleRuns { .. }
            | Operation::OrderRuns { .. }
            | Operation::KeepAgenda { .. }
            | Operation::CalendarToken { .. } => self.apply_to_handlers(operation).await,
            Operation::ForgetKeys => told(self.world.store.forget_keys(self.world.now(), 2).await.map(|_| ())),
            Operation::Raise { .. }
            | Operation::ClaimNotices { .. }
            | Operation::SettleNotice { .. }
            | Operation::ReadNotice { .. } => self.apply_to_notices(operation).await,
        }
    }

    async fn apply_to_people(&mut self, operation: &Operation) -> String {
        let now = self.world.now();
        match operation {
            Operation::AddKey { account } => {
                let (key, account) = (self.world.new_key(), self.accounts[*account]);
                let note = note(account, Act::KeyCreate, &key.key.public_id, now);
                told(self.world.store.noting(note).add_key(account, key).await)
            }
            Operation::ReplaceKey { account, nth, overlap } => {
                let Some(public_id) = self.some_key(*nth).await else { return NOTHING.to_owned() };
                let account = self.accounts[*account];
                let by = Replacement { new: self.world.new_key(), old_until: now + Duration::from_secs(*overlap) };
                let store = self.world.store.noting(note(account, Act::KeyRotate, &public_id, now));
                told(store.replace_key(account, &public_id, by).await)
            }
            Operation::UseKey { account, nth } => {
                let Some(public_id) = self.some_key(*nth).await else { return NOTHING.to_owned() };
                told(self.world.store.note_key_use(self.accounts[*account], &public_id, now).await)
            }
            Operation::RevokeKey { account, nth } => {
                let Some(public_id) = self.some_key(*nth).await else { return NOTHING.to_owned() };
                let account = self.accounts[*account];
                let store = self.world.store.noting(note(account, Act::KeyRevoke, &public_id, now));
                told(store.revoke_key(account, &public_id, now).await)
            }
            Operation::CreateMango { account, mango: index } => {
                let mango = store::Mango { id: mango(*index), ..self.world.new_mango() };
                told(self.world.store.create_mango(self.accounts[*account], mango).await)
            }
            Operation::Enrol { account, group, people } => {
                let members = people.iter().map(|(person, detail)| somebody(*person, *detail)).collect();
                told(self.world.store.enrol(self.accounts[*account], group_of(*group), members).await)
            }
            Operation::Leave { account, group, participant } => {
                told(self.world.store.leave(self.accounts[*account], group_of(*group), *participant).await)
            }
            other => unreachable!("{other:?} is for another part"),
        }
    }

    /// One of the keys of both accounts.
    async fn some_key(&self, nth: usize) -> Option<String> {
        let mut keys = Vec::new();
        for account in &self.accounts {
            keys.extend(self.world.store.keys(*account).await.unwrap_or_default());
        }
        Some(keys.get(nth.checked_rem(keys.len())?)?.key.public_id.clone())
    }

    /// Notes that a series was compared with the tz database that [`Player::observe`] asks about.
    async fn compare(&mut self, account: usize, index: usize, version: VersionPick) -> String {
        let (account, series) = (self.accounts[account], series(index));
        let newest = self.world.store.series(account, series).await.ok().flatten().map_or(0, |record| record.version);
        let version = match version {
            VersionPick::Newest => newest,
            VersionPick::Stale => newest.wrapping_sub(1),
        };
        told(self.world.store.note_compared(NEWER_TZDB, vec![Compared { account, series, version }]).await)
    }

    async fn save(&mut self, account: usize, index: usize, version: VersionPick, shape: Shape) -> String {
        let account = self.accounts[account];
        let newest = self.world.store.series(account, series(index)).await;
        let newest = newest.ok().flatten().map_or(0, |record| record.version);
        let from_version = match version {
            VersionPick::Newest => newest,
            VersionPick::Stale => newest.wrapping_sub(1).min(7),
        };
        let plan = Plan {
            from_version,
            sessions: shape.sessions,
            mangoes: mangoes(shape.mangoes),
            excluded: mangoes(shape.excluded),
            ending: shape.ending,
            ..plan(index)
        };
        let saved = self.world.save(account, &plan).await;
        if let Ok(saved) = &saved {
            self.fan_outs.extend(saved.fan_outs.iter().map(|(id, endpoint)| (account, *endpoint, *id)));
        }
        told(saved)
    }

    async fn subscribe(&mut self, account: usize, url: usize, filter: Option<usize>, event: EventType) -> String {
        let mut new = self.world.new_subscription(&format!("https://receiver.example/{url}"));
        new.event = event;
        // The first three are series, the others the third session of each.
        new.webinar = filter.map(|index| match plan(index % 3).with_sessions(3).session_ids(&self.world.zones)[2] {
            session if index >= 3 => session.into(),
            _ => SeriesId::into(series(index)),
        });
        let subscribed = self.world.store.subscribe(self.accounts[account], new).await;
        if let Ok(Subscribed::WithNewEndpoint(record, _) | Subscribed::AtKnownEndpoint(record, _)) = &subscribed {
            self.subscriptions.push(record.subscription.id);
        }
        if let Ok(Subscribed::WithNewEndpoint(_, endpoint)) = &subscribed {
            self.endpoints.push(endpoint.id);
        }
        told(subscribed)
    }

    async fn apply_to_backlog(&mut self, operation: &Operation) -> String {
        let (store, now) = (&self.world.store, self.world.now());
        let unknown = EndpointId::from_bytes([9; 16]);
        match operation {
            Operation::Steer { account, nth, endpoint, steer } => {
                let account = self.accounts[*account];
                let events = store.events(account, None, 20).await.map(|page| page.items).unwrap_or_default();
                let Some(event) = events.get(nth % events.len().max(1)) else { return NOTHING.to_owned() };
                let only = endpoint.map(|nth| pick(&self.endpoints, nth).unwrap_or(unknown));
                told(store.steer(account, event.id, only, *steer, now).await)
            }
            Operation::Drop { account, nth } => {
                let id = pick(&self.endpoints, *nth).unwrap_or(unknown);
                told(store.drop_backlog(self.accounts[*account], id, now).await)
            }
            other => unreachable!("{other:?} is for another part"),
        }
    }

    async fn apply_to_lane(&mut self, operation: &Operation) -> String {
        let now = self.world.now();
        if let Operation::Claim { limit } = operation {
            let claimed = self.world.store.claim(NODE, now, LEASE, Room::of(*limit)).await;
            self.leases.extend(claimed.iter().flatten());
            return told(claimed);
        }
        match operation {
            Operation::Renew { nth } => match pick(&self.leases, *nth) {
                Some(lease) => told(self.world.store.renew(lease, now, LEASE).await),
                None => NOTHING.to_owned(),
            },
            Operation::Release { nth } => match pick(&self.leases, *nth) {
                Some(lease) => told(self.world.store.release(lease, now).await),
                None => NOTHING.to_owned(),
            },
            Operation::Work { nth } => match pick(&self.leases, *nth) {
                Some(lease) => told(self.world.work(lease).await),
                None => NOTHING.to_owned(),
            },
            Operation::Settle { nth, fan_out, fates, progress, health } => match pick(&self.leases, *nth) {
                Some(lease) => self.settle(lease, *fan_out, (fates, *progress, *health)).await,
                None => NOTHING.to_owned(),
            },
            other => unreachable!("{other:?} is for another part"),
        }
    }

    async fn settle(
        &mut self,
        lease: Lease,
        fan_out: usize,
        (fates, progress, health): (&[Fate], Progress, Option<usize>),
    ) -> String {
        let is_of_lane = |(account, endpoint, _): &&_| (*account, *endpoint) == (lease.account, lease.endpoint);
        let of_lane: Vec<_> = self.fan_outs.iter().filter(is_of_lane).copied().collect();
        let Some((.., fan_out)) = pick(&of_lane, fan_out) else { return NOTHING.to_owned() };
        // No two settlements at one time, so that attempts have an order.
        let now = self.world.pass(Duration::from_millis(1));
        let audience = self.world.audience(lease.account, fan_out).await.unwrap_or_default();
        let mut report = Report::of(fan_out, now);
        for (recipient, fate) in audience.iter().zip(fates) {
            let place = recipient.place;
            report = match *fate {
                Fate::Untouched => report,
                Fate::Delivered => report.delivered([place.participant]).recovered(place.participant),
                Fate::Retrying { attempt, wait } => report.retrying(place, attempt, now + Duration::from_secs(wait)),
                Fate::Abandoned { attempt } => report.abandoned(place, attempt),
                Fate::Straggling => report.straggling(place, now + LEASE),
            };
        }
        report = match (progress, audience.get(fates.len() / 2)) {
            (Progress::Cursor, Some(recipient)) => report.up_to(recipient.place),
            (Progress::Swept, _) => report.swept(),
            (Progress::None | Progress::Cursor, _) => report,
        };
        let states = [
            LaneState::Healthy { failures: 3 },
            LaneState::SlowStart { window: 4, failures: 2 },
            LaneState::Open { failures: 1, until: now + LEASE / 2, since: now },
            LaneState::Disabled { since: now },
            LaneState::Gone { since: now },
        ];
        let report = match health {
            Some(index) => report.health(states[index]),
            None => report,
        };
        told(self.world.settle(lease, report).await)
    }
}

fn group_of(pick: GroupPick) -> Group {
    match pick {
        GroupPick::Mango(index) => Group::Mango(mango(index)),
        GroupPick::Series(index) => Group::Series(series(index)),
    }
}

fn somebody(person: usize, detail: usize) -> NewMember {
    let mut member = member_who(&format!("p{person}"), PHONES[detail], ZONES[detail]);
    if detail == 1 {
        member.participant.email = member.participant.email.to_uppercase();
        member.attributes = Some("{\"tier\":1}".to_owned());
    }
    member
}

fn note(account: AccountId, act: Act, object: &str, at: Timestamp) -> AuditNote {
    AuditNote { account, at, actor: Actor::CommandLine, from: None, act, object: object.to_owned() }
}
