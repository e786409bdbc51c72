//! Conversions of types: state conversions and their errors, between the handler and the runtime.

use std::time::Duration;

use reld_api::term;
use reld_handler::{
    ChangedChildren, Conversion, Converted, Dropped, Mode, ModuleName, NodeError, Passage, Process,
    StateChange,
};
use reld_runtime::{self as runtime, ConvertError, Runtime};

use super::words::{self, app_of, find, millis, vsn};

pub(super) fn passage(passage: &Passage) -> Result<runtime::Passage, NodeError> {
    let Passage { conversion: Conversion { module, change }, back } = passage;
    let back = back.as_ref().map(|back| how(module, back)).transpose()?;
    Ok(runtime::Passage { how: how(module, change)?, back })
}

pub(super) fn how(module: &ModuleName, change: &StateChange) -> Result<runtime::Conversion, NodeError> {
    let bytes = |extra| {
        let refuse = |error: term::TermError| NodeError::Stage {
            module: module.clone(),
            reason: format!("the data of its instruction cannot be encoded: {error}"),
        };
        term::to_msgpack(extra).map_err(refuse)
    };
    Ok(match change {
        StateChange::Soft(dropped) => runtime::Conversion::Soft { cut: cut(dropped) },
        StateChange::Supervisor => runtime::Conversion::Supervisor,
        StateChange::Advanced { mode: Mode::Up, vsn, extra, .. } => {
            runtime::Conversion::Up { from: vsn.to_string(), extra: bytes(extra)? }
        }
        StateChange::Advanced { mode: Mode::Down, vsn, extra, dropped } => {
            runtime::Conversion::Down { to: vsn.to_string(), extra: bytes(extra)?, cut: cut(dropped) }
        }
    })
}

pub(super) fn cut(Dropped(places): &Dropped) -> runtime::Cut {
    runtime::Cut::new(places)
}

/// Returns the handler's form of a conversion's result, including the supervisors with changed
/// children.
pub(super) fn converted(runtime: &Runtime, converted: runtime::Converted) -> Converted {
    let runtime::Converted { processes, children } = converted;
    let changed = children.into_iter().filter_map(|(pid, change)| changed(runtime, pid, &change));
    Converted { processes, children: changed.collect() }
}

fn changed(runtime: &Runtime, pid: reld_wire::Pid, change: &runtime::Change) -> Option<ChangedChildren> {
    if change.vanished.is_empty() && change.added.is_empty() {
        return None;
    }
    let ids = |ids: &[Vec<u8>]| ids.iter().map(|id| term::to_json(id).unwrap_or_default()).collect();
    Some(ChangedChildren {
        supervisor: find(runtime, pid)?,
        vanished: ids(&change.vanished),
        added: ids(&change.added),
    })
}

/// Returns the handler's form of a failed conversion of a module's process.
pub(super) fn refusal(
    runtime: &Runtime,
    error: ConvertError,
    module: &ModuleName,
    limit: Duration,
) -> NodeError {
    let unknown = |pid: reld_wire::Pid| Process {
        pid: words::pid(pid),
        name: None,
        module: module.clone(),
        app: app_of(runtime, module.as_str()),
    };
    let named = |pid: reld_wire::Pid| Box::new(find(runtime, pid).unwrap_or_else(|| unknown(pid)));
    match error {
        ConvertError::Refused { pid, version, exit } => {
            NodeError::ChangeCode { process: named(pid), vsn: vsn(&version), reason: exit.to_string() }
        }
        ConvertError::TimedOut { pid, version } => {
            NodeError::ChangeCodeTimedOut { process: named(pid), vsn: vsn(&version), after_ms: millis(limit) }
        }
        ConvertError::NoWayBack { from, to, cause } => {
            let Some(pid) = cause.pid() else { return refusal(runtime, *cause, module, limit) };
            let reason = no_way_back(&cause, limit);
            NodeError::NoWayBack { process: named(pid), from: vsn(&from), to: vsn(&to), reason }
        }
        ConvertError::GivenUp => NodeError::GivenUp,
        ConvertError::Starved => NodeError::Starved { module: module.clone(), after_ms: millis(limit) },
    }
}

/// Describes the failure of a trial conversion of new states back to the old version.
fn no_way_back(cause: &ConvertError, limit: Duration) -> String {
    match cause {
        ConvertError::Refused { version, exit, .. } => format!("{version} answered: {exit}"),
        ConvertError::TimedOut { version, .. } => {
            format!("{version} did not return within {} ms", millis(limit))
        }
        ConvertError::NoWayBack { .. } | ConvertError::Starved | ConvertError::GivenUp => cause.to_string(),
    }
}
