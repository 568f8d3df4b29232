//! The account of a run: what the store tells of every fan-out, against what was promised and what receivers saw.

use std::collections::BTreeMap;

use store::{
    Catalog, DeliveryCursor, DeliveryFilter, DeliveryStatus, FanOutProgress, FanOutState, Journal, PAGE_SIZE_MAX,
};
use wire::{DeliveryId, EventId, FanOutId, ParticipantNumber};

use crate::network::endpoint_id;
use crate::options::{Act, EndpointOptions, Options};
use crate::oracle::{End, FanOutLedger, Held};
use crate::receiver::Temper;
use crate::simulation::Simulation;
use crate::world::{ACCOUNT, made};

/// In the end every delivery is delivered or given up, and the store's counts and log say so.
pub(crate) fn agree(simulation: &Simulation) -> Held {
    let progress = all_progress(simulation);
    let log = whole_log(simulation);
    let oracle = simulation.oracle();
    if progress.len() != oracle.fan_outs().len() {
        return Err(format!("{} fan-outs are stored, {} were promised", progress.len(), oracle.fan_outs().len()));
    }
    for (id, ledger) in oracle.fan_outs() {
        let found = progress.get(id).ok_or_else(|| format!("{id} is not stored"))?;
        counts_agree(found, ledger)?;
        log_agrees(*id, ledger, &log)?;
    }
    let promised: usize = oracle.fan_outs().values().map(|ledger| ledger.deliveries.len()).sum();
    if log.len() == promised { Ok(()) } else { Err(format!("the log has {} deliveries, not {promised}", log.len())) }
}

/// Before healing: one bad receiver or one refused person has held up nobody else.
pub(crate) fn nobody_was_held_up(simulation: &Simulation) -> Held {
    let options = &simulation.options;
    let oracle = simulation.oracle();
    for (place, endpoint) in options.endpoints.iter().enumerate().filter(|(place, _)| is_good(*place, options)) {
        for (id, ledger) in oracle.fan_outs().iter().filter(|(_, ledger)| ledger.endpoint == endpoint_id(place)) {
            let mut others = ledger.deliveries.iter().filter(|(number, _)| !is_refused(**number, endpoint));
            if let Some((number, _)) = others.find(|(_, delivery)| delivery.finished != Some(End::Delivered)) {
                return Err(format!("({id}, {number}) was held up, though its receiver takes it and nothing is wrong"));
            }
        }
    }
    Ok(())
}

/// Quick, and never bad for anybody but those it refuses.
fn is_good(place: usize, options: &Options) -> bool {
    let endpoint = &options.endpoints[place];
    let has_spell = |act: &Act| matches!(act, Act::ReceiverSpell { endpoint, .. } if *endpoint == place);
    endpoint.latency_ms_max <= 20
        && matches!(endpoint.temper, Temper::Fine | Temper::Refusing { .. })
        && !options.acts.iter().any(|planned| has_spell(&planned.act))
}

fn is_refused(number: u64, endpoint: &EndpointOptions) -> bool {
    let for_now = matches!(endpoint.temper, Temper::Refusing { one_in, .. } if number.is_multiple_of(one_in));
    let one_in = endpoint.refuses_for_ever_one_in;
    for_now || (one_in > 0 && number.is_multiple_of(one_in))
}

fn counts_agree(found: &FanOutProgress, ledger: &FanOutLedger) -> Held {
    let count = |end| ledger.deliveries.values().filter(|delivery| delivery.finished == Some(end)).count() as u64;
    let counted = (found.state, found.delivered, found.retrying + found.held, found.abandoned, found.called_off);
    let (delivered, abandoned) = (count(End::Delivered), count(End::Abandoned));
    let expected = (FanOutState::Swept, delivered, 0, abandoned, count(End::Superseded));
    if counted == expected { Ok(()) } else { Err(format!("{} counts {counted:?}, not {expected:?}", found.id)) }
}

type Log = BTreeMap<DeliveryId, (DeliveryStatus, u16)>;

fn log_agrees(id: FanOutId, ledger: &FanOutLedger, log: &Log) -> Held {
    for (number, delivery) in &ledger.deliveries {
        let number = ParticipantNumber::new(*number).map_err(|error| error.to_string())?;
        let found = log.get(&DeliveryId::new(id, number)).copied();
        let status = delivery.finished.map(|end| match end {
            End::Delivered => DeliveryStatus::Delivered,
            End::Abandoned => DeliveryStatus::Abandoned,
            End::Superseded => DeliveryStatus::Superseded,
        });
        let expected = status.map(|status| (status, delivery.attempts));
        if found != expected {
            return Err(format!("the log says {found:?} of ({id}, {number}), not {expected:?}"));
        }
        if delivery.finished == Some(End::Delivered) && delivery.acted == 0 {
            return Err(format!("({id}, {number}) is delivered, but its receiver never got it"));
        }
    }
    Ok(())
}

fn all_progress(simulation: &Simulation) -> BTreeMap<FanOutId, FanOutProgress> {
    let (mut all, mut after) = (BTreeMap::new(), None::<EventId>);
    loop {
        let page = made(simulation.store.events(ACCOUNT, after, PAGE_SIZE_MAX));
        all.extend(page.items.into_iter().flat_map(|event| event.fan_outs).map(|fan_out| (fan_out.id, fan_out)));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn whole_log(simulation: &Simulation) -> Log {
    let (mut all, mut after) = (Log::new(), None::<DeliveryCursor>);
    loop {
        let page = made(simulation.store.deliveries(ACCOUNT, DeliveryFilter::default(), after, PAGE_SIZE_MAX));
        all.extend(page.items.into_iter().map(|delivery| (delivery.id, (delivery.status, delivery.attempts))));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}
