//! `fleet.toml`: the membership of a node in a fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::doc_error::DocError;
use crate::keys;
use crate::read::{self, Fault, Fields, Node};
use crate::rollout::duration;

/// The membership of a node in a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetFile {
    /// The URLs of the members of etcd.
    pub endpoints: Vec<String>,
    /// The name of the fleet.
    pub fleet: String,
    /// The name of the node; `None` for the host name.
    pub node: Option<String>,
    /// The labels of the node.
    pub labels: BTreeMap<String, String>,
    /// Whether the node converges to a finished rollout that it has missed.
    pub follow: bool,
    /// The file with the certificate of the authority of etcd.
    pub ca: Option<String>,
    /// The files with the certificate of the client and its key.
    pub certificate: Option<[String; 2]>,
    /// The user of etcd, and the file with the password.
    pub login: Option<[String; 2]>,
    /// Whether the node joins although it accepts unsigned releases.
    pub allow_unsigned: bool,
    /// The longest wait for the other nodes of a `sync_nodes`, before any process is held.
    pub sync_timeout: Option<Duration>,
    /// The longest wait for their decision, while processes are held.
    pub sync_pause: Option<Duration>,
    /// The commands that a rollout may name as its probe.
    pub probes: BTreeMap<String, String>,
}

impl FleetFile {
    /// Parses a `fleet.toml`. `path` is only shown in errors.
    ///
    /// # Errors
    /// Unknown keys, wrong types, missing keys, and half of a pair, each with its place.
    pub fn parse(path: &str, text: &str) -> Result<Self, DocError> {
        Self::read(text).map_err(|fault| DocError::new(path, text, &fault))
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let mut fields = Fields::document(text, &keys::FLEET)?;
        Ok(Self {
            endpoints: fields.required("endpoints", some_strings)?,
            fleet: fields.required("fleet", read::string)?,
            node: fields.optional("node", read::string)?,
            labels: fields.or_default("labels", texts)?,
            follow: fields.or_default("follow", read::yes_or_no)?,
            ca: fields.optional("ca", read::string)?,
            certificate: pair(&mut fields, ["cert", "key"])?,
            login: pair(&mut fields, ["user", "password_file"])?,
            allow_unsigned: fields.or_default("allow_unsigned", read::yes_or_no)?,
            sync_timeout: fields.optional("sync_timeout", duration)?,
            sync_pause: fields.optional("sync_pause", duration)?,
            probes: fields.or_default("probes", texts)?,
        })
    }
}

fn some_strings(node: Node<'_>) -> Result<Vec<String>, Fault> {
    let empty = Fault::at(&node, "expected at least one URL, such as \"http://127.0.0.1:2379\"");
    let strings = read::list(read::string)(node)?;
    if strings.is_empty() { Err(empty) } else { Ok(strings) }
}

fn texts(node: Node<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let text = |(key, node): (toml::Spanned<std::borrow::Cow<'_, str>>, Node<'_>)| {
        Ok((key.into_inner().into_owned(), read::string(node)?))
    };
    Fields::any(node)?.into_entries().map(text).collect()
}

/// Reads two keys that need each other.
fn pair(fields: &mut Fields<'_>, names: [&str; 2]) -> Result<Option<[String; 2]>, Fault> {
    let [one, other] = names;
    match names.map(|name| fields.take(name)) {
        [None, None] => Ok(None),
        [Some(first), Some(second)] => Ok(Some([read::string(first)?, read::string(second)?])),
        [Some(alone), None] => Err(Fault::at(&alone, format!("`{one}` needs `{other}`"))),
        [None, Some(alone)] => Err(Fault::at(&alone, format!("`{other}` needs `{one}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let error = FleetFile::parse("fleet.toml", text).unwrap_err();
        assert!(error.message.contains(expected), "{error}");
    }

    #[test]
    fn half_of_a_pair_and_an_empty_list_are_refused() {
        let least = "endpoints = ['http://e:2379']\nfleet = 'shop'\n";
        check_refused("endpoints = []\nfleet = 'shop'", "at least one URL");
        check_refused(&format!("{least}cert = 'a.pem'"), "`cert` needs `key`");
        check_refused(&format!("{least}key = 'a.key'"), "`key` needs `cert`");
        check_refused(&format!("{least}user = 'reld'"), "`user` needs `password_file`");
        check_refused(&format!("{least}password_file = 'p'"), "`password_file` needs `user`");
        check_refused(&format!("{least}labels = {{ zone = 1 }}"), "expected a string");
        check_refused(&format!("{least}sync_pause = 2"), "expected a string");
        check_refused(&format!("{least}probes = ['smoke']"), "expected a table");
    }
}
