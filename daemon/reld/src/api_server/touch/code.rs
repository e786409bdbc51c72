//! Changes of one process by hand, and changes of its code.

use std::time::{Duration, Instant};

use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport};
use reld_runtime::Place;
use reld_wire::{Exit, Pid};

use super::messages::bytes;
use crate::api_server::api::Api;
use crate::api_server::look::{BOUNDARY, lingering, not_loaded, sys_error};

/// The time limit for killed processes to end.
const KILL_GRACE: Duration = Duration::from_secs(1);

pub(super) async fn suspend(api: Api, request: q::Suspend) -> Result<r::Suspended, ErrorReport> {
    let pid = api.find(&request.process)?;
    api.wait(move |runtime| runtime.suspend(pid, BOUNDARY).map_err(|e| sys_error(&e))).await?;
    Ok(r::Suspended { pid: pid.to_string() })
}

pub(super) async fn resume(api: Api, request: q::Resume) -> Result<r::Resumed, ErrorReport> {
    let pid = api.find(&request.process)?;
    let queue = api.runtime.process(pid).map_or(0, |info| info.queued as u64);
    api.wait(move |runtime| runtime.resume(pid, BOUNDARY).map_err(|e| sys_error(&e))).await?;
    Ok(r::Resumed { pid: pid.to_string(), queue })
}

/// Sends a system message to a process. The process handles it after its current callback.
async fn sys(
    api: Api,
    process: &str,
    ask: impl FnOnce(&reld_runtime::Runtime, Pid) -> Result<(), reld_runtime::SysError> + Send + 'static,
) -> Result<r::SysDone, ErrorReport> {
    let pid = api.find(process)?;
    api.wait(move |runtime| ask(runtime, pid).map_err(|e| sys_error(&e))).await?;
    Ok(r::SysDone { pid: pid.to_string() })
}

pub(super) async fn replace_state(api: Api, request: q::ReplaceState) -> Result<r::SysDone, ErrorReport> {
    let state = bytes(&request.state)?;
    sys(api, &request.process, |runtime, pid| runtime.replace_state(pid, state, BOUNDARY)).await
}

pub(super) async fn terminate(api: Api, request: q::Terminate) -> Result<r::SysDone, ErrorReport> {
    let reason = exit_reason(&request.reason);
    sys(api, &request.process, |runtime, pid| runtime.terminate(pid, reason, BOUNDARY)).await
}

pub(super) async fn count(api: Api, request: q::CountMessages) -> Result<r::SysDone, ErrorReport> {
    sys(api, &request.process, move |runtime, pid| runtime.count(pid, request.on, BOUNDARY)).await
}

pub(super) async fn keep_log(api: Api, request: q::KeepLog) -> Result<r::SysDone, ErrorReport> {
    let max = request.max.map(|max| max as usize);
    sys(api, &request.process, move |runtime, pid| runtime.keep_log(pid, max, BOUNDARY)).await
}

pub(super) async fn no_debug(api: Api, request: q::NoDebug) -> Result<r::SysDone, ErrorReport> {
    sys(api, &request.process, move |runtime, pid| runtime.no_debug(pid, BOUNDARY)).await
}

pub(super) async fn change_code(api: Api, request: q::ChangeCode) -> Result<r::CodeChanged, ErrorReport> {
    let pid = api.find(&request.process)?;
    let runs = api.runtime.process(pid).map(|info| info.module).unwrap_or_default();
    if runs != request.module {
        let message = format!("{pid} runs module {runs}, not {}", request.module);
        return Err(ErrorReport::refused(ErrorCode::OtherModule, message));
    }
    let (from, extra) = (request.from_version, bytes(&request.extra)?);
    api.wait(move |runtime| runtime.change_code(pid, &from, extra, BOUNDARY).map_err(|e| sys_error(&e)))
        .await?;
    api.shared.lock().dirty = true;
    let version = api.runtime.process(pid).map(|info| info.version).unwrap_or_default();
    Ok(r::CodeChanged { pid: pid.to_string(), module: request.module, version })
}

pub(super) async fn purge(api: Api, module: String) -> Result<r::Purged, ErrorReport> {
    let lingerers = lingering(&api, |info| info.module == module);
    let name = module.clone();
    let purged = purge_by_hand(&api, module.clone(), move |runtime| {
        runtime.purge(&name, Place::Old, Instant::now() + KILL_GRACE)
    });
    let purged = purged.await?;
    if !purged.lingering.is_empty() {
        let stuck: Vec<String> = purged.lingering.iter().map(Pid::to_string).collect();
        let message =
            format!("cannot purge module {module}: its code does not return in {}", stuck.join(", "));
        return Err(ErrorReport::refused(ErrorCode::Lingering, message));
    }
    let was_killed = |lingerer: &r::Lingerer| purged.killed.iter().any(|pid| pid.to_string() == lingerer.pid);
    let killed = lingerers.into_iter().filter(was_killed);
    let killed = killed.map(|lingerer| r::Ended {
        pid: lingerer.pid,
        name: lingerer.name,
        module: lingerer.module,
        reason: Exit::Killed.to_string(),
    });
    Ok(r::Purged { module, killed: killed.collect() })
}

pub(super) async fn soft_purge(api: Api, module: String) -> Result<r::SoftPurged, ErrorReport> {
    let name = module.clone();
    let purge = move |runtime: &reld_runtime::Runtime| runtime.soft_purge(&name, Place::Old);
    let purged = purge_by_hand(&api, module.clone(), purge).await?.lingering.is_empty();
    let lingering = if purged { Vec::new() } else { lingering(&api, |info| info.module == module) };
    Ok(r::SoftPurged { module, purged, lingering })
}

/// Purges code by hand. This is refused while an upgrade is under way.
async fn purge_by_hand(
    api: &Api,
    module: String,
    purge: impl FnOnce(&reld_runtime::Runtime) -> Result<reld_runtime::Purge, reld_runtime::CodeError>
    + Send
    + 'static,
) -> Result<reld_runtime::Purge, ErrorReport> {
    let runtime = api.runtime.clone();
    let done = api.operator.change(api.entry("a purge by hand", false), move |handler| {
        let purged = purge(&runtime);
        handler.node_mut().purged_by_hand();
        purged
    });
    done.await?.map_err(|_| not_loaded(&module))
}

pub(super) fn kill(api: &Api, request: &q::Kill) -> Result<r::ExitSent, ErrorReport> {
    let pid = api.find(&request.process)?;
    api.runtime.exit(pid, exit_reason(&request.reason));
    Ok(r::ExitSent { pid: pid.to_string() })
}

/// Parses the exit reason of a request.
fn exit_reason(text: &str) -> Exit {
    match text {
        "kill" => Exit::Killed,
        "shutdown" => Exit::shutdown(),
        "normal" => Exit::Normal,
        text => Exit::Error(text.to_owned()),
    }
}
