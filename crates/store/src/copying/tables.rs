//! The tables of a database as copies know them: which there are, in an order in which what is referred to comes first, and
//! their columns. Each engine tests that it has no other.

/// A table that is copied.
#[derive(Debug)]
pub struct CopiedTable {
    /// Its name.
    pub name: &'static str,
    /// The columns by which its rows are ordered, and told apart.
    pub key: &'static [&'static str],
    /// All columns. Leases are left out: nobody holds one in a new house.
    pub columns: &'static [&'static str],
    /// Rows read at once where an engine cannot stop before the end: so many of the largest fit into memory.
    pub rows_at_once: usize,
}

/// Rows of a few hundred bytes.
const SMALL: usize = 2_000;
/// Rows of some KiB.
const LARGE: usize = 500;
/// Rows with bodies of up to 1 MiB.
const HUGE: usize = 32;

impl CopiedTable {
    /// Where a sealed secret stands in it, or the key of such; the account and the id it belongs to are its first columns.
    pub fn sealed_column(&self) -> Option<usize> {
        ["sealed", "sealed_keys", "key_id"].iter().find_map(|column| self.position(column))
    }

    /// Where a column stands in its rows.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| *known == column)
    }
}

macro_rules! tables {
    ($($name:ident ($($key:ident)+) $size:ident: $($column:ident)+;)*) => {
        /// All of them, in the order in which they are copied.
        pub const COPIED_TABLES: &[CopiedTable] = &[$(CopiedTable {
            name: stringify!($name),
            key: &[$(stringify!($key)),+],
            columns: &[$(stringify!($column)),+],
            rows_at_once: $size,
        }),*];
    };
}

tables! {
    account (account) SMALL: account name timezone created_at revision participants events;
    api_key (public_id) SMALL: public_id account hash scopes created_at expires_at revoked_at last_used_at;
    retention (account) SMALL: account bodies_days log_days metadata_days;
    audit (account entry) SMALL: account entry at actor source_address act object;
    mango (account mango) SMALL: account mango name created_at;
    participant (account participant) SMALL: account participant name email phone timezone attributes;
    membership (account team participant joined) SMALL: account team participant joined ended;
    series (account series) SMALL:
        account series version created_at cancelled_at ends_at tzdb_announced tzdb_compared;
    series_version (account series version) LARGE: account series version draft saved_at;
    session (account session) SMALL:
        account session series original_start start timezone duration_minutes state announced_at announced_offset;
    event (account event) HUGE:
        account event type cause series version title mangoes excluded revision listed series_part attendee_instant
        tzdb_version created_at audience;
    endpoint (account endpoint) SMALL:
        account endpoint url switch rate_per_minute burst concurrency_max older_versions created_at;
    sealing_key (key_id) SMALL: key_id;
    endpoint_secret (account endpoint number) SMALL: account endpoint number sealed created_at valid_until;
    subscription (account subscription) SMALL: account subscription endpoint event_type webinar created_at;
    lane (account endpoint) SMALL:
        account endpoint health failures slow_window open_until failing_since ended_since last_failure_at last_failure
        due_at epoch signal per_minute;
    fan_out (account fan_out) LARGE:
        account fan_out event endpoint position series version state cursor_participant cursor_index delivered retrying
        held abandoned called_off erased created_at is_logged logged_since replay origin listed per_minute
        even_if_outdated;
    exception (account fan_out participant) SMALL:
        account fan_out participant place endpoint state due_at attempt charged last_outcome last_at replay;
    replay (account replay) SMALL:
        account replay scope event endpoint since fan_out participant way state per_minute counted begun delivered
        cursor_fan_out cursor_participant next_at created_at;
    segment (account fan_out last_participant first_participant segment) LARGE:
        account fan_out day segment first_participant last_participant entries outcomes;
    attempt_failure (account fan_out participant attempt finished_at) SMALL:
        account fan_out day participant attempt finished_at dns connect tls first_byte total reused reason;
    notice (account notice) SMALL: account notice kind subject details created_at read_at;
    notice_delivery (account notice endpoint) SMALL:
        account notice endpoint state due_at attempts last_outcome last_at epoch;
    source (account source) SMALL: account source name preset sealed_keys created_at;
    message (account number) HUGE:
        account number source dedupe_key digest message_id headers received_at emptied fan_out fan_out_index
        fan_out_total body;
    message_seen (account fingerprint) SMALL: account fingerprint number;
    message_duplicate (account number) SMALL: account number copies conflicts last_at;
    handler (account handler) SMALL: account handler name cursor epoch waiting done skipped parked;
    run (account handler number) SMALL:
        account handler number state attempts generation changed_at due_at reason;
    handled (account handler subject) SMALL: account handler subject version number;
    agenda (account person handler series) LARGE: account person handler series version number entries;
    calendar (token) SMALL: token account person series handler;
    message_expiry (account) SMALL: account number;
    erasure (account erasure) SMALL:
        account erasure participant state email phone memberships retries messages searched emptied read_to last_number
        requested_at finished_at;
}
