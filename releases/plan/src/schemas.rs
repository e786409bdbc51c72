//! `schema.json`: what the modules of an app read and write. The packer writes it from what the library says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::doc_error::DocError;
use crate::name::ModuleName;
use crate::read::Fault;

/// The schemas of one app version. A module that is not in it, or says nothing, is compared by hand.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schemas {
    /// The app's modules.
    pub modules: BTreeMap<ModuleName, ModuleSchema>,
}

/// What is known of one module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModuleSchema {
    /// OTP's word for its behaviour; `task` for a home-brewed process.
    pub behaviour: String,
    /// What it says about itself, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
}

/// What a module says about itself: JSON schemas of what it reads and writes. What it leaves out is unknown.
///
/// A type may be written in another form than it is read in: serde's `default` makes a field of what is read optional.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interface {
    /// The state of its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
    /// Fields of an older state that it means to lose, each by its place, as the SDK's `GenServer::DROPPED` spells them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// The start argument, as it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    /// Requests that want a reply, as they are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Value>,
    /// The reply to them, as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Value>,
    /// Requests without reply, as they are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cast: Option<Value>,
    /// Any other message, as it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Value>,
    /// The other form of these five, by their names, where it differs: of the reply as it is read, of the others as they
    /// are written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, Value>,
    /// What the init of a supervisor answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor: Option<SupervisorSpec>,
}

/// OTP: `{SupFlags, [ChildSpec]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorSpec {
    /// OTP's word for the strategy.
    pub strategy: String,
    /// So many restarts in one period are too many.
    pub intensity: u32,
    /// The period, in milliseconds.
    pub period_ms: u64,
    /// Whether it ends with its significant children; absent: `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_shutdown: Option<String>,
    /// The children, in start order; of a `simple_one_for_one` supervisor the template.
    pub children: Vec<ChildSpec>,
}

/// OTP: child spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildSpec {
    /// Unique in its supervisor.
    pub id: Value,
    /// The callback module.
    pub module: String,
    /// The start argument.
    pub args: Value,
    /// When it is restarted.
    pub restart: String,
    /// Whether its end for good counts for the supervisor's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub significant: bool,
    /// How it is stopped.
    pub shutdown: Value,
    /// `worker` or `supervisor`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Schemas {
    /// Returns the schemas that the text of a `schema.json` describes. `path` is only shown in errors.
    ///
    /// # Errors
    /// It is no JSON, or of another shape, with the place.
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

/// Returns the byte of a place that is given by line and column, both counted from 1.
fn place(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    before + column.saturating_sub(1)
}
