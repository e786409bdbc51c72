//! The messages of the gateway. Keys and values are base64 text, 64-bit numbers are text, and a
//! field with the value 0 or `false` is absent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};

use crate::lease::Lease;
use crate::txn::{Compare, Delete, Put, Txn};

/// One key, or all keys with a prefix.
#[derive(Debug, Serialize)]
pub(crate) struct Keys {
    key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    range_end: String,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Header {
    #[serde(default, deserialize_with = "number")]
    pub(crate) revision: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RangeAnswer {
    pub(crate) header: Header,
    #[serde(default)]
    pub(crate) kvs: Vec<Kv>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Kv {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) value: String,
    #[serde(default, deserialize_with = "number")]
    pub(crate) mod_revision: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct TxnQuestion {
    compare: Vec<Comparison>,
    success: Vec<Operation>,
}

#[derive(Debug, Serialize)]
struct Comparison {
    key: String,
    target: &'static str,
    result: &'static str,
    mod_revision: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Operation {
    RequestPut { key: String, value: String, lease: String },
    RequestDeleteRange(Keys),
}

#[derive(Debug, Deserialize)]
pub(crate) struct TxnAnswer {
    pub(crate) header: Header,
    #[serde(default)]
    pub(crate) succeeded: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct GrantQuestion {
    #[serde(rename = "TTL")]
    pub(crate) ttl: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GrantAnswer {
    #[serde(rename = "ID", deserialize_with = "number")]
    pub(crate) id: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct LeaseQuestion {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct KeepAliveAnswer {
    #[serde(rename = "TTL", default, deserialize_with = "number")]
    pub(crate) ttl: i64,
}

/// An answer without a field that matters.
#[derive(Debug, Deserialize)]
pub(crate) struct Nothing {}

/// A message of a stream.
#[derive(Debug, Deserialize)]
pub(crate) struct Message<T> {
    #[serde(default = "none")]
    pub(crate) result: Option<T>,
    #[serde(default)]
    error: Option<StreamFault>,
}

const fn none<T>() -> Option<T> {
    None
}

#[derive(Debug, Deserialize)]
struct StreamFault {
    message: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct WatchQuestion {
    create_request: CreateWatch,
}

#[derive(Debug, Serialize)]
struct CreateWatch {
    #[serde(flatten)]
    keys: Keys,
    start_revision: String,
}

#[derive(Debug, Deserialize)]
struct WatchAnswer {
    #[serde(default)]
    header: Header,
    #[serde(default)]
    canceled: bool,
    #[serde(default)]
    cancel_reason: String,
    #[serde(default, deserialize_with = "number")]
    compact_revision: u64,
    #[serde(default)]
    events: Vec<Nothing>,
}

/// A message of a watch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The watch has begun, or goes on.
    None,
    /// Keys have changed.
    At(u64),
    /// etcd has ended the watch, for this reason.
    Ended(String),
}

#[derive(Debug, Serialize)]
pub(crate) struct LoginQuestion<'a> {
    pub(crate) name: &'a str,
    pub(crate) password: &'a str,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LoginAnswer {
    pub(crate) token: String,
}

/// The answer of etcd to a request that it refuses. Newer versions have no `error`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Refusal {
    Old { error: String, code: i64 },
    New { message: String, code: i64 },
}

impl Keys {
    pub(crate) fn below(prefix: &str) -> Self {
        Self { key: BASE64.encode(prefix), range_end: BASE64.encode(end_of(prefix)) }
    }
}

impl WatchQuestion {
    pub(crate) fn of(prefix: &str, from: u64) -> Self {
        let create_request = CreateWatch { keys: Keys::below(prefix), start_revision: from.to_string() };
        Self { create_request }
    }
}

impl LeaseQuestion {
    pub(crate) fn of(lease: Lease) -> Self {
        Self { id: lease.0.to_string() }
    }
}

impl TxnQuestion {
    pub(crate) fn of(txn: &Txn) -> Self {
        let comparison = |Compare { key, mod_revision }: &Compare| Comparison {
            key: BASE64.encode(key),
            target: "MOD",
            result: "EQUAL",
            mod_revision: mod_revision.to_string(),
        };
        let put = |Put { key, value, lease }: &Put| Operation::RequestPut {
            key: BASE64.encode(key),
            value: BASE64.encode(value),
            lease: lease.map_or(0, |lease| lease.0).to_string(),
        };
        let delete = |delete: &Delete| {
            Operation::RequestDeleteRange(match delete {
                Delete::Key(key) => Keys { key: BASE64.encode(key), range_end: String::new() },
                Delete::Below(prefix) => Keys::below(prefix),
            })
        };
        Self {
            compare: txn.compares.iter().map(comparison).collect(),
            success: txn.puts.iter().map(put).chain(txn.deletes.iter().map(delete)).collect(),
        }
    }
}

/// Returns the first key behind all keys with a prefix. A byte 0xff does not occur in text.
fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        Some(last) => *last += 1,
        // etcd: "\0" as the end means all keys.
        None => end.push(0),
    }
    end
}

/// Decodes a key or a value. Nonsense in etcd is left to the caller, as text that means nothing.
pub(crate) fn text(base64: &str) -> String {
    String::from_utf8_lossy(&BASE64.decode(base64).unwrap_or_default()).into_owned()
}

/// Reads a line of a watch.
pub(crate) fn change(line: &str) -> serde_json::Result<Change> {
    let message: Message<WatchAnswer> = serde_json::from_str(line)?;
    Ok(match message {
        Message { error: Some(fault), .. } => Change::Ended(fault.message),
        Message { result: Some(answer), .. } if answer.compact_revision > 0 => {
            Change::At(answer.compact_revision)
        }
        Message { result: Some(answer), .. } if answer.canceled => Change::Ended(answer.cancel_reason),
        Message { result: Some(answer), .. } if !answer.events.is_empty() => {
            Change::At(answer.header.revision)
        }
        Message { .. } => Change::None,
    })
}

/// Reads a number that JSON has as text, or as a number.
fn number<'de, D: Deserializer<'de>, T: DeserializeOwned + std::str::FromStr>(
    from: D,
) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form<T> {
        Text(String),
        Number(T),
    }
    match Form::deserialize(from)? {
        Form::Number(number) => Ok(number),
        Form::Text(text) => text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no number"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_transaction_compares_revisions_and_changes_keys() {
        let txn = Txn { compares: vec![Compare::at("a", 7), Compare::absent("b")], ..Txn::default() };
        let mut txn = txn.put("a", "1").put_under(Lease(9), "b", "2");
        txn.deletes = vec![Delete::Key("c".to_owned()), Delete::Below("d/".to_owned())];
        let expected = json!({
            "compare": [
                {"key": "YQ==", "target": "MOD", "result": "EQUAL", "mod_revision": "7"},
                {"key": "Yg==", "target": "MOD", "result": "EQUAL", "mod_revision": "0"},
            ],
            "success": [
                {"request_put": {"key": "YQ==", "value": "MQ==", "lease": "0"}},
                {"request_put": {"key": "Yg==", "value": "Mg==", "lease": "9"}},
                {"request_delete_range": {"key": "Yw=="}},
                {"request_delete_range": {"key": "ZC8=", "range_end": "ZDA="}},
            ],
        });
        assert_eq!(serde_json::to_value(TxnQuestion::of(&txn)).unwrap(), expected);
    }

    #[test]
    fn a_prefix_ends_before_the_next_text() {
        assert_eq!(end_of("/shop/"), b"/shop0");
        assert_eq!(end_of(""), b"\0");
    }

    #[test]
    fn an_answer_is_read_with_and_without_its_fields() {
        let answer: RangeAnswer = serde_json::from_str(
            r#"{"header":{"cluster_id":"1","revision":"8"},"kvs":[{"key":"YQ==","mod_revision":"7","version":"1"}],"count":"1"}"#,
        )
        .unwrap();
        assert_eq!((answer.header.revision, answer.kvs[0].mod_revision), (8, 7));
        assert_eq!((text(&answer.kvs[0].key).as_str(), text(&answer.kvs[0].value).as_str()), ("a", ""));
        let empty: TxnAnswer = serde_json::from_str(r#"{"header":{"revision":9}}"#).unwrap();
        assert_eq!((empty.header.revision, empty.succeeded), (9, false));
        assert!(serde_json::from_str::<Header>(r#"{"revision":"nine"}"#).is_err());
    }

    #[track_caller]
    fn check(line: &str, expected: Change) {
        assert_eq!(change(line).unwrap(), expected);
    }

    #[test]
    fn a_line_of_a_watch_is_a_change_or_a_beginning_or_the_end() {
        check(r#"{"result":{"header":{"revision":"3"},"created":true}}"#, Change::None);
        let event = r#"{"result":{"header":{"revision":"4"},"events":[{"kv":{"key":"YQ=="}}]}}"#;
        check(event, Change::At(4));
        let compacted = r#"{"result":{"header":{"revision":"9"},"canceled":true,"compact_revision":"5"}}"#;
        check(compacted, Change::At(5));
        let ended = r#"{"result":{"header":{},"created":true,"canceled":true,"cancel_reason":"denied"}}"#;
        check(ended, Change::Ended("denied".to_owned()));
        let fault = r#"{"error":{"grpc_code":14,"http_code":503,"message":"no leader"}}"#;
        check(fault, Change::Ended("no leader".to_owned()));
        assert!(change("<html>").is_err());
    }
}
