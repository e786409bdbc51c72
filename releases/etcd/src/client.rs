//! The client: one method for each request.

use std::time::Duration;

use crate::error::Error;
use crate::http::Http;
use crate::lease::Lease;
use crate::settings::Settings;
use crate::txn::{Committed, Txn};
use crate::watch::Watch;
use crate::wire;

/// A client of a cluster. Its requests block the thread, at most for a time limit per endpoint.
#[derive(Debug)]
pub struct Client(Http);

/// The keys below a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The revision of the store that the keys were read at.
    pub revision: u64,
    /// The keys, sorted.
    pub keys: Vec<KeyValue>,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The name. Bytes that are no text are replaced.
    pub key: String,
    /// The value. Bytes that are no text are replaced.
    pub value: String,
    /// The revision of the last change.
    pub mod_revision: u64,
}

impl Client {
    /// Makes a client. It connects with its first request.
    ///
    /// # Errors
    /// [`Error::Endpoint`] or [`Error::Pem`].
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Http::new(settings).map(Self)
    }

    /// Returns all keys with a prefix. The answer is at least as new as every change that was
    /// answered before.
    ///
    /// # Errors
    /// The faults of a request.
    pub fn range(&self, prefix: &str) -> Result<Range, Error> {
        let answer: wire::RangeAnswer = self.0.ask("/v3/kv/range", &wire::Keys::below(prefix))?;
        let keys = answer.kvs.into_iter().map(|kv| KeyValue {
            key: wire::text(&kv.key),
            value: wire::text(&kv.value),
            mod_revision: kv.mod_revision,
        });
        Ok(Range { revision: answer.header.revision, keys: keys.collect() })
    }

    /// Changes keys if all comparisons hold. After an error the keys may have changed or not.
    ///
    /// # Errors
    /// The faults of a request.
    pub fn txn(&self, txn: &Txn) -> Result<Committed, Error> {
        let answer: wire::TxnAnswer = self.0.ask("/v3/kv/txn", &wire::TxnQuestion::of(txn))?;
        Ok(if answer.succeeded { Committed::At(answer.header.revision) } else { Committed::Not })
    }

    /// Makes a lease that ends after this time, unless it is kept alive.
    ///
    /// # Errors
    /// The faults of a request.
    pub fn grant(&self, ttl: Duration) -> Result<Lease, Error> {
        let question = wire::GrantQuestion { ttl: ttl.as_secs().max(1).to_string() };
        let answer: wire::GrantAnswer = self.0.ask("/v3/lease/grant", &question)?;
        Ok(Lease(answer.id))
    }

    /// Prolongs a lease by its whole time. Returns `false` if it has ended.
    ///
    /// # Errors
    /// The faults of a request.
    pub fn keep_alive(&self, lease: Lease) -> Result<bool, Error> {
        let answer: wire::Message<wire::KeepAliveAnswer> =
            self.0.ask("/v3/lease/keepalive", &wire::LeaseQuestion::of(lease))?;
        Ok(answer.result.is_some_and(|result| result.ttl > 0))
    }

    /// Ends a lease with its keys. A lease that has ended is no error.
    ///
    /// # Errors
    /// The faults of a request.
    pub fn revoke(&self, lease: Lease) -> Result<(), Error> {
        match self.0.ask("/v3/lease/revoke", &wire::LeaseQuestion::of(lease)) {
            Ok(wire::Nothing {}) | Err(Error::NoLease) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Begins to wait for changes below a prefix, from a revision on. No change is missed between a
    /// [`range`](Self::range) and a watch from the next revision.
    ///
    /// # Errors
    /// The faults of a request.
    pub fn watch(&self, prefix: &str, from: u64, silence: Duration) -> Result<Watch, Error> {
        let question = wire::WatchQuestion::of(prefix, from);
        let (endpoint, content) = self.0.stream("/v3/watch", &question, silence)?;
        Ok(Watch::new(endpoint, content))
    }
}
