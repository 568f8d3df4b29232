//! Zones of people as a store reads them: of many rows few zones, each looked up once.

use std::collections::HashMap;

use webinar::{AttendeeZone, Zones};

/// Zones that were looked up already.
pub struct KnownZones {
    zones: Zones,
    seen: HashMap<String, Option<AttendeeZone>>,
}

impl KnownZones {
    /// Of this tz database.
    pub fn new(zones: &Zones) -> KnownZones {
        KnownZones { zones: zones.clone(), seen: HashMap::new() }
    }

    /// The zone of this name; `None` where the tz database no longer has it.
    pub fn find(&mut self, name: &str) -> Option<AttendeeZone> {
        if let Some(known) = self.seen.get(name) {
            return known.clone();
        }
        let zone = AttendeeZone::parse(name, &self.zones).ok().flatten();
        self.seen.insert(name.to_owned(), zone.clone());
        zone
    }
}
