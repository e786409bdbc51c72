//! What an application's process is told, and the root that it names. OTP: `application`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::pid::Pid;

/// The argument of an application's init. `E` is the app's environment: a map by key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartArgs<E> {
    /// How the app is started.
    #[serde(rename = "type")]
    pub start_type: StartType,
    /// Its environment.
    pub env: E,
}

/// How an app is started. OTP: start type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartType {
    /// On this node, with nothing to take over.
    Normal,
}

/// The root supervisor that an application's init names; nil for none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Its module.
    pub module: String,
    /// The start argument: a MessagePack value.
    pub args: ByteBuf,
}

/// A phase of an app's start: `RELD_EVENT_START_PHASE`. Since ABI 1.3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartPhase {
    /// Its name in app.toml.
    pub phase: String,
    /// How the app is started.
    #[serde(rename = "type")]
    pub start_type: StartType,
    /// Its argument in app.toml: a MessagePack value.
    pub arg: ByteBuf,
}

/// What an app is told that is about to be stopped: `RELD_EVENT_PREP_STOP`. Since ABI 1.3; before, the body is `root`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepStop {
    /// Its root supervisor, if that still runs.
    pub root: Option<Pid>,
    /// Why it is stopped.
    pub cause: StopCause,
}

/// Why an app is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// By an operator, this app alone.
    #[default]
    ByHand,
    /// The node stops.
    NodeStops,
    /// The node stops, to start again at once.
    NodeRestarts,
    /// An upgrade restarts or removes the app, or takes back that it started it.
    Upgrade,
    /// Its tree has ended by itself: there is no root any more. Since ABI 1.4.
    TreeEnded,
}

/// What changed in an app's environment: `RELD_EVENT_CONFIG_CHANGE`. Since ABI 1.1. OTP: the arguments of
/// `config_change/3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvChange<V> {
    /// Keys with another value.
    pub changed: BTreeMap<String, V>,
    /// Keys that were not there.
    pub new: BTreeMap<String, V>,
    /// Keys that are not there any more.
    pub removed: Vec<String>,
}
