//! Time and chance as the halves see them. The binary supplies the real ones, tests theirs.

use jiff::Timestamp;

/// The wall clock.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The source of random bytes.
pub trait Chance: Send + Sync {
    /// Fills `bytes` from a cryptographically secure source.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Chance {
    /// Random bytes of a fixed number.
    pub fn bytes<const COUNT: usize>(&self) -> [u8; COUNT] {
        let mut bytes = [0; COUNT];
        self.fill(&mut bytes);
        bytes
    }

    /// The bytes of a new UUID version 7 (RFC 9562 section 5.7): ids that sort by time.
    pub fn id_bytes(&self, now: Timestamp) -> [u8; 16] {
        wire::uuid_v7_bytes(now.as_millisecond().max(0) as u64, self.bytes())
    }
}
