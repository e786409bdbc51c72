//! `schema.json`: the types that the modules of an app read and write. The packer writes it from
//! the descriptions in the library.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::doc_error::DocError;
use crate::name::ModuleName;
use crate::read::Fault;

/// The schemas of one app version. A module without a schema must be compared by hand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schemas {
    /// The app's modules.
    pub modules: BTreeMap<ModuleName, ModuleSchema>,
}

/// The description of one module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModuleSchema {
    /// OTP's name for its behaviour; `task` for a process without an OTP behaviour.
    pub behaviour: String,
    /// The types of its interface, if it describes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
}

/// The interface of a module: JSON schemas of the types that it reads and writes. A missing schema
/// means unknown.
///
/// The written form of a type may differ from the read form: serde's `default` makes a field
/// optional in the read form.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interface {
    /// The state of its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
    /// The places of fields of an older state that may be dropped, in the notation of the SDK's
    /// `GenServer::DROPPED`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// The start argument, in the form that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// Requests that expect a reply, in the form that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Value>,
    /// The reply, in the form that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
    /// Requests without a reply, in the form that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cast: Option<Value>,
    /// All other messages, in the form that is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Value>,
    /// The opposite form of the five types above, by name, if it differs: the read form of the
    /// reply, the written form of the other types.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, Value>,
    /// The result of a supervisor's init.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<SupervisorSpec>,
}

/// The result of `init`. OTP: `{SupFlags, [ChildSpec]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorSpec {
    /// The registered name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// OTP's name for the strategy.
    pub strategy: String,
    /// The restart intensity: the maximum number of restarts in one period.
    pub intensity: u32,
    /// The period, in milliseconds.
    pub period_ms: u64,
    /// When the supervisor shuts down with its significant children; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_shutdown: Option<String>,
    /// The children in start order; for a `simple_one_for_one` supervisor, the template.
    pub children: Vec<ChildSpec>,
}

/// OTP: child spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildSpec {
    /// The id, unique within its supervisor.
    pub id: Value,
    /// The callback module.
    pub module: String,
    /// The start argument.
    pub args: Value,
    /// The restart type.
    pub restart: String,
    /// Whether its termination counts for the supervisor's automatic shutdown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub significant: bool,
    /// The shutdown method.
    pub shutdown: Value,
    /// `worker` or `supervisor`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Schemas {
    /// Returns the schemas that the text of a `schema.json` describes. `path` is only shown in
    /// errors.
    ///
    /// # Errors
    /// The text is no JSON or has an unexpected shape; the error has the place.
    pub fn parse(path: &str, text: &str) -> Result<Self, DocError> {
        serde_json::from_str(text).map_err(|error| {
            let at = place(text, error.line(), error.column());
            DocError::new(path, text, &Fault { span: at..at, message: error.to_string() })
        })
    }

    /// Prints the schemas as a `schema.json` that parses back to the same value.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("names and JSON values have a form in JSON");
        text.push('\n');
        text
    }
}

/// Returns the byte offset of a line and column, both counted from 1.
fn place(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column.saturating_sub(1)
}
