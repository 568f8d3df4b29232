//! The API as its callers see it: requests in, answers out, over the real store.
