//! Public keys.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use minisign_verify::{PublicKey, Signature};
use reld_plan::{AppName, Vsn};
use serde::{Deserialize, Serialize};

use crate::claim::Claim;

/// The number of a key, as minisign prints it: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyId(u64);

impl KeyId {
    /// Reads the number from the decoded form of a key or signature: two bytes name the algorithm,
    /// and the next eight are the number.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(bytes.get(2..10)?.try_into().ok()?)))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

impl FromStr for KeyId {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        id.map(Self).ok_or_else(|| BadKey::Id(text.chars().take(40).collect()))
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for KeyId {
    type Error = BadKey;

    fn try_from(text: String) -> Result<Self, BadKey> {
        text.parse()
    }
}

/// The releases that a key may sign.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The names of the releases; all if empty.
    #[serde(default)]
    pub names: Vec<AppName>,
    /// The last serial. A serial ends a key on every node alike, with or without a clock.
    #[serde(default)]
    pub not_after: Option<u64>,
}

impl Limits {
    /// Returns whether the key may sign all releases.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The base64 form of a public key, as the second line of a key file of minisign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyLine {
    id: KeyId,
    public: PublicKey,
    text: String,
}

impl KeyLine {
    /// Reads a key from a file of minisign, or from the base64 line alone.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        if text.contains("secret key") && !text.contains("public key") {
            return Err(BadKey::Secret);
        }
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        let public = PublicKey::from_base64(line).map_err(|_| BadKey::Form)?;
        let bytes = BASE64_STANDARD.decode(line).map_err(|_| BadKey::Form)?;
        let id = KeyId::of_bytes(&bytes).ok_or(BadKey::Form)?;
        Ok(Self { id, public, text: line.to_owned() })
    }

    /// Returns the key with a name and limits.
    pub fn with(&self, name: &str, limits: Limits) -> Key {
        Key { name: name.to_owned(), id: self.id, limits, brought_by: None, public: self.public.clone() }
    }
}

impl From<KeyLine> for String {
    fn from(line: KeyLine) -> Self {
        line.text
    }
}

impl TryFrom<String> for KeyLine {
    type Error = BadKey;

    fn try_from(text: String) -> Result<Self, BadKey> {
        Self::parse(&text)
    }
}

/// The maximum length of a key's name.
const NAME_MAX: usize = 64;

/// Refuses names that would be hard to read in a message.
pub(crate) fn check_name(name: &str) -> Result<(), BadKey> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=NAME_MAX).contains(&name.len()) && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(BadKey::Name(name.chars().take(NAME_MAX).collect()))
}

/// A public key with a name for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The name of the key.
    pub name: String,
    /// The number of the key.
    pub id: KeyId,
    /// The releases that it may sign.
    pub limits: Limits,
    /// The release that has brought it; `None` for a key of the administrator.
    pub brought_by: Option<Vsn>,
    public: PublicKey,
}

/// The reason why a text is not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// The text is not in minisign's form.
    #[error("it is no public key of minisign, which starts with RW")]
    Form,
    /// The text is a secret key.
    #[error("it is a secret key; a node needs only the public key")]
    Secret,
    /// The text cannot be the name of a key.
    #[error("{0:?} cannot be the name of a key: use letters, digits, `.`, `_` and `-`, at most {NAME_MAX}")]
    Name(String),
    /// The text is not the number of a key.
    #[error("{0:?} is not the number of a key, which has 16 hexadecimal digits")]
    Id(String),
}

impl Key {
    /// Returns whether a signature by this key is valid for a content, including the trusted
    /// comment.
    pub(crate) fn has_signed(&self, content: &[u8], signature: &Signature) -> bool {
        self.public.verify(content, signature, true).is_ok()
    }

    /// Returns whether the key may sign a release of this name.
    pub(crate) fn is_for(&self, claim: &Claim) -> bool {
        self.limits.names.is_empty() || self.limits.names.contains(&claim.name)
    }

    /// Returns whether the key may not sign releases with this serial any more.
    pub(crate) fn has_ended(&self, claim: &Claim) -> bool {
        self.limits.not_after.is_some_and(|last| claim.serial > last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINISIGN: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn a_key_is_read_from_a_file_of_minisign_or_from_its_line() {
        let file = format!("untrusted comment: minisign public key E7620F1842B4E81F\n{MINISIGN}\n");
        for text in [file.as_str(), MINISIGN] {
            let key = KeyLine::parse(text).unwrap().with("author", Limits::default());
            assert_eq!(key.id.to_string(), "E7620F1842B4E81F");
            assert_eq!("e7620f1842b4e81f".parse(), Ok(key.id));
        }
    }

    #[test]
    fn other_texts_are_no_keys() {
        let read = |text: &str| KeyLine::parse(text).unwrap_err();
        assert_eq!(read(""), BadKey::Form);
        assert_eq!(read("RWQf6LRC"), BadKey::Form);
        assert_eq!(read("untrusted comment: minisign encrypted secret key\nRWRTY0Iy"), BadKey::Secret);
        assert_eq!("12".parse::<KeyId>(), Err(BadKey::Id("12".to_owned())));
        assert_eq!("+123456789abcdef".parse::<KeyId>(), Err(BadKey::Id("+123456789abcdef".to_owned())));
    }
}
