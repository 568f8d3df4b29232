//! Where a sealed secret stands: text moved to another row, table or account does not open there.

use wire::{AccountId, EndpointId, SourceId};

/// A row that holds a sealed secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// A signing secret of an endpoint.
    Endpoint(AccountId, EndpointId),
    /// The keys of a source of the inbox.
    Source(AccountId, SourceId),
}

impl SecretPlace {
    /// The place as it is sealed in: the table's name, a zero byte, then account and id in their fixed lengths, so that
    /// no two places are alike.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let (table, account, id) = match &self {
            SecretPlace::Endpoint(account, id) => ("endpoint_secret", account, id.as_bytes()),
            SecretPlace::Source(account, id) => ("source", account, id.as_bytes()),
        };
        [table.as_bytes(), b"\0", &account.as_u32().to_be_bytes(), id].concat()
    }
}
