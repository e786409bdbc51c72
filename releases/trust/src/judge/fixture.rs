//! Authors with secret keys.

use std::io::Cursor;

use minisign::KeyPair;

use crate::change::NewKey;
use crate::claim::Claim;
use crate::key::{Key, KeyId, KeyLine, Limits};
use crate::seal::Seal;

/// A person with a pair of keys.
pub(crate) struct Author {
    name: String,
    pair: KeyPair,
}

impl Author {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), pair: KeyPair::generate_unencrypted_keypair().unwrap() }
    }

    pub(crate) fn line(&self) -> KeyLine {
        KeyLine::parse(&self.pair.pk.to_base64()).unwrap()
    }

    pub(crate) fn key(&self) -> Key {
        self.key_within(Limits::default())
    }

    pub(crate) fn key_within(&self, limits: Limits) -> Key {
        self.line().with(&self.name, limits)
    }

    pub(crate) fn new_key(&self) -> NewKey {
        NewKey { name: self.name.clone(), key: self.line(), names: Vec::new(), not_after: None }
    }

    pub(crate) fn id(&self) -> KeyId {
        self.key().id
    }

    pub(crate) fn sign(&self, content: &[u8], comment: &str) -> Seal {
        let signed = minisign::sign(None, &self.pair.sk, Cursor::new(content), Some(comment), None).unwrap();
        Seal::parse(&signed.into_string()).unwrap()
    }
}

pub(crate) fn claim(version: &str, serial: u64) -> Claim {
    let (name, version) = ("shop".parse().unwrap(), version.parse().unwrap());
    Claim { name, version, serial, identity: "0123".to_owned() }
}
