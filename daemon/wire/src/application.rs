//! The bodies that pass between the node and the process of an application. OTP: `application`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::pid::Pid;

/// The argument of an application's init. `E` is the app's environment: a map from key to value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartArgs<E> {
    /// The start type of the app.
    #[serde(rename = "type")]
    pub start_type: StartType,
    /// The app's environment.
    pub env: E,
}

/// How an app is started. OTP: start type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartType {
    /// The app starts on this node and takes nothing over.
    Normal,
}

/// The root supervisor that an application's init returns. An app without one returns nil.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The module of the root supervisor.
    pub module: String,
    /// The start argument of the root supervisor, a MessagePack value.
    pub args: ByteBuf,
}

/// An event of an app's start: `RELD_EVENT_START_PHASE`. Since ABI 1.3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartPhase {
    /// The name of the phase in app.toml.
    pub phase: String,
    /// The start type of the app.
    #[serde(rename = "type")]
    pub start_type: StartType,
    /// The argument of the phase in app.toml, a MessagePack value.
    pub arg: ByteBuf,
}

/// Notifies an app that it is about to be stopped: `RELD_EVENT_PREP_STOP`. Since ABI 1.3. For older
/// libraries the body is only `root`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepStop {
    /// The root supervisor of the app, if it still runs.
    pub root: Option<Pid>,
    /// The reason why the app is stopped.
    pub cause: StopCause,
}

/// The reason why an app is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// An operator stops this app alone.
    #[default]
    ByHand,
    /// The node stops.
    NodeStops,
    /// The node stops, and starts again at once.
    NodeRestarts,
    /// An upgrade restarts or removes the app, or undoes its start.
    Upgrade,
    /// The supervision tree has ended by itself, so there is no root. Since ABI 1.4.
    TreeEnded,
}

/// The changes of an app's environment: `RELD_EVENT_CONFIG_CHANGE`. Since ABI 1.1. OTP: the
/// arguments of `config_change/3`. Since ABI 1.6 a text as the reply refuses the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvChange<V> {
    /// Keys with a changed value.
    pub changed: BTreeMap<String, V>,
    /// Added keys.
    pub new: BTreeMap<String, V>,
    /// Removed keys.
    pub removed: Vec<String>,
}
