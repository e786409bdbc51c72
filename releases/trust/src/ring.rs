//! The keys of a node.

use reld_plan::Vsn;
use serde::{Deserialize, Serialize};

use crate::change::{KeyChange, NewKey};
use crate::key::{Key, KeyId};

/// The keys that releases have brought, and the retired ones. The status table holds them, so that
/// one write commits a release together with its keys.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The retired keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<KeyId>,
    /// The keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brought: Vec<BroughtKey>,
}

/// A key that a release has brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroughtKey {
    /// The version of the release.
    pub by: Vsn,
    /// The key.
    pub new: NewKey,
}

impl Keys {
    /// Takes over the keys of a committed release. No release brings a retired key back: a thief of
    /// its secret could have signed that release. The administrator may, with a file in `keys.d`.
    pub fn take(&mut self, by: &Vsn, change: &KeyChange) {
        for id in &change.retire {
            self.brought.retain(|known| known.new.key().id != *id);
            self.retired.retain(|known| known != id);
            self.retired.push(*id);
        }
        for new in &change.add {
            let id = new.key().id;
            if self.retired.contains(&id) {
                continue;
            }
            self.brought.retain(|known| known.new.key().id != id);
            self.brought.push(BroughtKey { by: by.clone(), new: new.clone() });
        }
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.retired.is_empty() && self.brought.is_empty()
    }
}

/// All keys of a node.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    keys: Vec<Key>,
    retired: Vec<KeyId>,
}

/// The standing of a key on a node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Standing<'a> {
    Present(&'a Key),
    Retired,
    Unknown,
}

impl Ring {
    /// Joins the keys of the administrator and the keys of releases. A release can neither retire
    /// nor replace a key of the administrator, nor take its name: the name of such a key gets the
    /// version of the release.
    pub fn new(configured: Vec<Key>, keys: &Keys) -> Self {
        let mut joined = configured;
        for BroughtKey { by, new } in &keys.brought {
            let mut key = new.key();
            key.brought_by = Some(by.clone());
            if joined.iter().any(|known| known.id == key.id) {
                continue;
            }
            if joined.iter().any(|known| known.name == key.name) {
                key.name = format!("{}@{by}", key.name);
            }
            joined.push(key);
        }
        Self { keys: joined, retired: keys.retired.clone() }
    }

    /// Returns the keys that may sign.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub(crate) fn standing(&self, id: KeyId) -> Standing<'_> {
        match self.keys.iter().find(|key| key.id == id) {
            Some(key) => Standing::Present(key),
            None if self.retired.contains(&id) => Standing::Retired,
            None => Standing::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::{Author, claim};
    use crate::key::Limits;

    fn change(retire: &[&Author], add: &[&Author]) -> KeyChange {
        KeyChange {
            retire: retire.iter().map(|author| author.id()).collect(),
            add: add.iter().map(|author| author.new_key()).collect(),
        }
    }

    fn names(ring: &Ring) -> Vec<&str> {
        ring.keys().iter().map(|key| key.name.as_str()).collect()
    }

    #[test]
    fn releases_add_and_retire_their_keys_but_never_those_of_the_administrator() {
        let [root, old, new] = ["root", "old", "new"].map(Author::new);
        let vsn = Vsn::new(1, 0, 0);
        let mut keys = Keys::default();
        keys.take(&vsn, &change(&[], &[&old]));
        keys.take(&vsn, &change(&[&old, &root], &[&new, &root]));
        let ring = Ring::new(vec![root.key()], &keys);
        assert_eq!(names(&ring), ["root", "new"]);
        assert!(matches!(ring.standing(old.id()), Standing::Retired));
        keys.take(&vsn, &change(&[], &[&old]));
        let ring = Ring::new(vec![root.key()], &keys);
        assert_eq!(names(&ring), ["root", "new"], "no release brings a retired key back");
        let ring = Ring::new(vec![root.key(), old.key()], &keys);
        assert_eq!(names(&ring), ["root", "old", "new"], "the administrator may");
    }

    #[test]
    fn limits_of_the_administrator_hold_for_a_key_that_a_release_has_brought() {
        let stolen = Author::new("stolen");
        let mut keys = Keys::default();
        keys.take(&Vsn::new(1, 0, 0), &change(&[], &[&stolen]));
        let limits = Limits { names: vec!["nobody".parse().unwrap()], not_after: None };
        let ring = Ring::new(vec![stolen.key_within(limits)], &keys);
        assert_eq!(ring.keys().len(), 1);
        let Standing::Present(key) = ring.standing(stolen.id()) else { panic!("it is known") };
        assert!(!key.is_for(&claim("1.1.0", 1)), "it signs no release");
    }

    #[test]
    fn a_release_cannot_give_its_key_the_name_of_another() {
        let [root, thief] = ["root", "root"].map(Author::new);
        let mut keys = Keys::default();
        keys.take(&Vsn::new(1, 0, 0), &change(&[], &[&thief]));
        let ring = Ring::new(vec![root.key()], &keys);
        assert_eq!(names(&ring), ["root", "root@1.0.0"]);
        assert_eq!(ring.keys().iter().filter(|key| key.brought_by.is_some()).count(), 1);
        let own = Ring::new(vec![root.key(), thief.key()], &keys);
        assert!(own.keys().iter().all(|key| key.brought_by.is_none()), "the administrator has it too");
    }

    #[test]
    fn keys_round_trip_through_a_document() {
        let mut keys = Keys::default();
        assert_eq!(toml::to_string(&keys).unwrap(), "");
        keys.take(&Vsn::new(1, 0, 0), &change(&[&Author::new("old")], &[&Author::new("new")]));
        assert_eq!(toml::from_str(&toml::to_string(&keys).unwrap()), Ok(keys));
    }
}
