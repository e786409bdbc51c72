//! Conversions from types of the runtime to types of the API.

use std::time::Duration;

use reld_api::response as r;
use reld_api::term;
use reld_runtime::{Behaviour, ProcessInfo, Status};
use serde_json::Value;

/// Returns a MessagePack value as JSON. Bytes that are not MessagePack come from a faulty library
/// and are shown as a hex dump.
pub(in crate::api_server) fn json(bytes: &[u8]) -> Value {
    term::to_json(bytes).unwrap_or_else(|_| Value::String(format!("{bytes:02x?}")))
}

pub(in crate::api_server) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(in crate::api_server) fn behaviour(behaviour: Behaviour) -> r::Behaviour {
    match behaviour {
        Behaviour::GenServer => r::Behaviour::GenServer,
        Behaviour::GenStatem => r::Behaviour::GenStatem,
        Behaviour::GenEvent => r::Behaviour::GenEvent,
        Behaviour::EventHandler => r::Behaviour::EventHandler,
        Behaviour::Supervisor => r::Behaviour::Supervisor,
        Behaviour::Application => r::Behaviour::Application,
        Behaviour::Task => r::Behaviour::Task,
    }
}

pub(in crate::api_server) fn age(info: &ProcessInfo) -> r::CodeAge {
    if info.is_old { r::CodeAge::Old } else { r::CodeAge::Current }
}

pub(in crate::api_server) fn process_status(info: &ProcessInfo) -> r::ProcessStatus {
    match info.status {
        Status::Suspended => r::ProcessStatus::Suspended,
        Status::Idle | Status::Running | Status::Waiting => r::ProcessStatus::Running,
    }
}
