//! Transactions.

use crate::lease::Lease;

/// A change of several keys at once, made only if all comparisons hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Txn {
    /// The keys that must have these revisions.
    pub compares: Vec<Compare>,
    /// The keys that are written.
    pub puts: Vec<Put>,
    /// The keys that are deleted.
    pub deletes: Vec<Delete>,
}

/// A comparison of a key's last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: String,
    /// The revision of its last change; 0 if the key must be absent.
    pub mod_revision: u64,
}

/// A key to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// The lease that the key ends with.
    pub lease: Option<Lease>,
}

/// Keys to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delete {
    /// One key.
    Key(String),
    /// All keys with this prefix.
    Below(String),
}

/// The result of a transaction.
///
/// The answer to a transaction can be lost. The client then makes it again at the next endpoint, so
/// after `Not` a caller has to look whether its own earlier attempt was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// The keys have changed at this revision.
    At(u64),
    /// A comparison did not hold. Nothing has changed.
    Not,
}

impl Compare {
    /// A key that must have this revision.
    pub fn at(key: impl Into<String>, mod_revision: u64) -> Self {
        Self { key: key.into(), mod_revision }
    }

    /// A key that must be absent.
    pub fn absent(key: impl Into<String>) -> Self {
        Self::at(key, 0)
    }
}

impl Txn {
    /// Adds a key without a lease.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.puts.push(Put { key: key.into(), value: value.into(), lease: None });
        self
    }

    /// Adds a key that ends with a lease.
    #[must_use]
    pub fn put_under(mut self, lease: Lease, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.puts.push(Put { key: key.into(), value: value.into(), lease: Some(lease) });
        self
    }
}
