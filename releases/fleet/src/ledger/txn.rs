//! Transactions on keys with revisions, in the form that etcd has.

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// The revision of the last write of the key. etcd: `mod_revision`.
    pub revision: u64,
}

/// A transaction: it does all its writes if all comparisons hold, and nothing otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Txn {
    /// The comparisons.
    pub compares: Vec<Compare>,
    /// The keys to write.
    pub puts: Vec<Put>,
    /// The keys to delete.
    pub deletes: Vec<Delete>,
}

/// A comparison: the key has this revision, and revision 0 is that of an absent key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// The key.
    pub key: String,
    /// The expected revision.
    pub revision: u64,
}

/// A key to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The key.
    pub key: String,
    /// The new value.
    pub value: String,
}

/// Keys to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delete {
    /// One key.
    Key(String),
    /// All keys that begin with this text.
    Below(String),
}

impl Txn {
    /// Adds a comparison.
    #[must_use]
    pub fn when(mut self, key: impl Into<String>, revision: u64) -> Self {
        self.compares.push(Compare { key: key.into(), revision });
        self
    }

    /// Adds a write.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.puts.push(Put { key: key.into(), value: value.into() });
        self
    }

    /// Adds the removal of a key.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.deletes.push(Delete::Key(key.into()));
        self
    }

    /// Adds the removal of all keys that begin with this text.
    #[must_use]
    pub fn delete_below(mut self, prefix: impl Into<String>) -> Self {
        self.deletes.push(Delete::Below(prefix.into()));
        self
    }
}

/// Writes a document of the ledger.
pub(super) fn json(document: &impl serde::Serialize) -> String {
    serde_json::to_string(document).expect("the documents of the ledger have only text keys")
}
