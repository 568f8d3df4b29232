//! The identity of a fan-out: made from its event and endpoint, so that deciding it again gives the same one.

use aws_lc_rs::digest;
use wire::{EndpointId, EventId, FanOutId, ReplayId};

/// Bytes of a UUID version 7 that hold its time.
const TIME_BYTES: usize = 6;

/// The fan-out of one event to one endpoint. It begins with the event's time, so that fan-outs sort as events do.
pub fn fan_out_id(event: EventId, endpoint: EndpointId) -> FanOutId {
    derived(b"fanfare fan-out", event.as_bytes(), endpoint)
}

/// The fan-out of a replay to one endpoint. It sorts by the time of the replay.
pub fn replay_fan_out_id(replay: ReplayId, endpoint: EndpointId) -> FanOutId {
    derived(b"fanfare replay", replay.as_bytes(), endpoint)
}

fn derived(purpose: &[u8], of: &[u8; 16], endpoint: EndpointId) -> FanOutId {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(purpose);
    context.update(of);
    context.update(endpoint.as_bytes());
    let hash = context.finish();
    let mut bytes = *of;
    let (_, rest) = bytes.split_at_mut(TIME_BYTES);
    rest.copy_from_slice(&hash.as_ref()[..rest.len()]);
    FanOutId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fan_out_has_one_identity_for_each_event_and_endpoint() {
        let (event, endpoint) = (EventId::from_bytes([1; 16]), EndpointId::from_bytes([2; 16]));
        let id = fan_out_id(event, endpoint);
        assert_eq!(id, fan_out_id(event, endpoint));
        assert_ne!(id, fan_out_id(event, EndpointId::from_bytes([3; 16])));
        assert_ne!(id, fan_out_id(EventId::from_bytes([4; 16]), endpoint));
        assert_eq!(id.as_bytes()[..TIME_BYTES], event.as_bytes()[..TIME_BYTES]);
        assert_ne!(id, replay_fan_out_id(ReplayId::from_bytes([1; 16]), endpoint), "a replay is no event");
    }
}
