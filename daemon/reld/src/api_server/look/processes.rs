//! Processes, from the daemon's tables and from the answers of the processes themselves.

use std::collections::HashMap;
use std::time::Duration;

use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport};
use reld_runtime::{self as runtime, Letter, ProcessInfo, Status};
use reld_wire::Pid;
use serde_json::Value;

use super::words::{age, behaviour, json, millis, process_status};
use crate::api_server::api::Api;

/// The time limit for a process to finish its callback.
pub(in crate::api_server) const BOUNDARY: Duration = Duration::from_secs(5);

pub(in crate::api_server) fn processes(api: &Api) -> r::ProcessList {
    let mut ids = Ids::default();
    let list = api.runtime.processes();
    r::ProcessList { processes: list.iter().map(|info| process(api, info, &mut ids)).collect() }
}

/// The maximum duration of a measurement by `top`.
const LOOK_MAX: Duration = Duration::from_secs(10);

pub(in crate::api_server) async fn top(api: Api, request: q::Top) -> Result<r::TopList, ErrorReport> {
    let time = Duration::from_millis(request.for_ms).min(LOOK_MAX);
    let (runs, mut list) = api.wait(move |runtime| Ok((runtime.sample(time), runtime.processes()))).await?;
    let of = list.len() as u64;
    let run = |info: &ProcessInfo| runs.get(&info.pid).copied().unwrap_or_default();
    list.sort_by(|a, b| {
        let (by_run, by_mailbox) = (run(b).total_cmp(&run(a)), b.queued.cmp(&a.queued));
        match request.sort {
            q::TopSort::Run => by_run.then(by_mailbox),
            q::TopSort::Mailbox => by_mailbox.then(by_run),
        }
    });
    list.truncate(request.count);
    let mut ids = Ids::default();
    let row = |info: &ProcessInfo| r::TopProcess {
        process: process(&api, info, &mut ids),
        run_percent: (run(info) * 1000.0).round() / 10.0,
    };
    Ok(r::TopList { for_ms: millis(time), of, processes: list.iter().map(row).collect() })
}

/// The child ids of each supervisor, cached for one request.
#[derive(Default)]
pub(in crate::api_server) struct Ids {
    supervisors: HashMap<Pid, HashMap<Pid, Value>>,
}

impl Ids {
    fn of(&mut self, api: &Api, supervisor: Pid, child: Pid) -> Value {
        let children = self.supervisors.entry(supervisor).or_insert_with(|| {
            let rows = api.runtime.which_children(supervisor).unwrap_or_default();
            rows.into_iter().filter_map(|row| Some((row.pid?, json(&row.id)))).collect()
        });
        children.get(&child).cloned().unwrap_or_default()
    }
}

pub(in crate::api_server) fn process(api: &Api, info: &ProcessInfo, ids: &mut Ids) -> r::Process {
    r::Process {
        pid: info.pid.to_string(),
        name: info.names.first().cloned(),
        behaviour: behaviour(info.behaviour),
        app: info.app.clone(),
        module: info.module.clone(),
        version: info.version.clone(),
        code: age(info),
        status: process_status(info),
        supervisor: info.parent.map(|parent| api.runtime.called(parent)),
        id: info.parent.map_or(Value::Null, |parent| ids.of(api, parent, info.pid)),
        queue: info.queued as u64,
        queue_max: info.bound.map(|(max, _)| max as u64),
        dropped: info.bound.map_or(0, |(_, dropped)| dropped),
        callback: info.callback.as_ref().map(callback),
    }
}

pub(in crate::api_server) fn callback(info: &runtime::CallbackInfo) -> r::Callback {
    let wait = |wait: &runtime::Wait| match wait {
        runtime::Wait::Answer(pid) => format!("answer of {pid}"),
        runtime::Wait::Start(pid) => format!("start of {pid}"),
        runtime::Wait::End(pid) => format!("end of {pid}"),
        runtime::Wait::Time => "time".to_owned(),
        runtime::Wait::Port => "port".to_owned(),
        runtime::Wait::Blocking => "blocking work".to_owned(),
        runtime::Wait::Message => "message".to_owned(),
    };
    r::Callback {
        about: info.about.clone(),
        for_ms: millis(info.since.elapsed()),
        waits_for: info.waits_for.iter().map(wait).collect(),
    }
}

pub(in crate::api_server) async fn proc(
    api: Api,
    request: &q::Process,
) -> Result<r::ProcessDetails, ErrorReport> {
    let mut details = details(&api, &request.process).await?;
    if details.in_callback {
        let pid = api.find(&request.process)?;
        // Run this on a blocking thread, because it waits for the thread of the process and reads
        // files.
        details.frames = api.wait(move |runtime| Ok(runtime.frames(pid))).await?;
    }
    Ok(details)
}

pub(in crate::api_server) async fn details(api: &Api, name: &str) -> Result<r::ProcessDetails, ErrorReport> {
    let pid = api.find(name)?;
    let noproc = move || sys_error(&runtime::SysError::Noproc(pid));
    let found = api.wait(move |runtime| runtime.shown(pid, BOUNDARY).ok_or_else(noproc)).await?;
    let (info, ties) = (&found.info, found.info.ties.as_ref());
    let inside = found.inside.as_ref();
    Ok(r::ProcessDetails {
        process: process(api, info, &mut Ids::default()),
        names: info.names.clone(),
        in_callback: inside.is_none() || info.status == Status::Waiting,
        frames: Vec::new(),
        old_frames: u64::from(info.is_old && (inside.is_none() || info.callback.is_some())),
        traps_exits: ties.is_some_and(|ties| ties.traps_exits),
        links: ties.map_or_else(Vec::new, |ties| texts(&ties.links)),
        monitors: inside.map_or_else(Vec::new, |i| texts(i.monitors.iter().map(|(_, pid)| pid))),
        monitored_by: inside.map_or_else(Vec::new, |inside| texts(&inside.monitored_by)),
        mailbox: inside.map_or_else(Vec::new, |inside| inside.mailbox.iter().map(letter).collect()),
        unanswered: inside.map_or_else(Vec::new, |i| texts(i.unanswered.iter().map(|from| &from.caller))),
        timers: found.timers.iter().map(|(timer, body)| pending(timer.at_ns, body)).collect(),
    })
}

pub(in crate::api_server) fn texts<'a>(pids: impl IntoIterator<Item = &'a Pid>) -> Vec<String> {
    pids.into_iter().map(Pid::to_string).collect()
}

pub(in crate::api_server) fn pending(at_ns: u64, body: &[u8]) -> r::PendingTimer {
    r::PendingTimer { at_us: at_ns / 1_000, message: json(body) }
}

pub(in crate::api_server) fn letter(letter: &Letter) -> r::Letter {
    let (kind, from, body) = match letter {
        Letter::Call(from, body) => {
            (r::LetterKind::Call, &from.caller, body.as_deref().map_or(Value::Null, json))
        }
        Letter::Cast(from, body) => (r::LetterKind::Cast, from, json(body)),
        Letter::Info(from, body) => (r::LetterKind::Info, from, json(body)),
        Letter::Told(event) => (r::LetterKind::Told, &Pid::NONE, json(event)),
        Letter::Exit(from, exit) => (r::LetterKind::Exit, from, Value::String(exit.to_string())),
        Letter::Down(_, from, exit) => (r::LetterKind::Down, from, Value::String(exit.to_string())),
    };
    r::Letter { kind, from: from.to_string(), body }
}

pub(in crate::api_server) async fn state(
    api: Api,
    request: &q::State,
) -> Result<r::ProcessState, ErrorReport> {
    let pid = api.find(&request.process)?;
    let bytes =
        api.wait(move |runtime| runtime.get_state(pid, BOUNDARY).map_err(|error| sys_error(&error))).await?;
    let info = api.runtime.process(pid).ok_or_else(|| sys_error(&runtime::SysError::Noproc(pid)))?;
    Ok(r::ProcessState {
        pid: pid.to_string(),
        name: info.names.first().cloned(),
        module: info.module.clone(),
        version: info.version.clone(),
        status: process_status(&info),
        state: json(&bytes),
    })
}

pub(in crate::api_server) async fn sys_status(
    api: Api,
    request: &q::SysStatus,
) -> Result<r::SysStatus, ErrorReport> {
    let pid = api.find(&request.process)?;
    let status =
        api.wait(move |runtime| runtime.sys_status(pid, BOUNDARY).map_err(|error| sys_error(&error))).await?;
    let info = api.runtime.process(pid).ok_or_else(|| sys_error(&runtime::SysError::Noproc(pid)))?;
    Ok(r::SysStatus {
        process: process(&api, &info, &mut Ids::default()),
        suspended: status.is_suspended,
        statistics: status.counts,
        log_max: status.log_max.map(|max| max as u64),
        state: json(&status.state),
    })
}

pub(in crate::api_server) async fn statistics(
    api: Api,
    request: &q::Statistics,
) -> Result<r::ProcessStatistics, ErrorReport> {
    let pid = api.find(&request.process)?;
    let statistics =
        api.wait(move |runtime| runtime.statistics(pid, BOUNDARY).map_err(|error| sys_error(&error))).await?;
    let statistics = statistics.map(|counted| r::MessageCounts {
        for_ms: ago(counted.since),
        messages_in: counted.messages_in,
        messages_out: counted.messages_out,
    });
    Ok(r::ProcessStatistics { pid: pid.to_string(), statistics })
}

pub(in crate::api_server) async fn message_log(
    api: Api,
    request: &q::MessageLog,
) -> Result<r::ProcessLog, ErrorReport> {
    let pid = api.find(&request.process)?;
    let log = api.wait(move |runtime| runtime.log(pid, BOUNDARY).map_err(|error| sys_error(&error))).await?;
    let message = |logged: runtime::Logged| r::LoggedMessage {
        ago_ms: ago(logged.at),
        way: if logged.way == runtime::Way::In { "in" } else { "out" }.to_owned(),
        what: logged.what.to_owned(),
        other: logged.other.map(|pid| pid.to_string()),
        message: if logged.body.is_empty() { Value::Null } else { json(&logged.body) },
    };
    Ok(r::ProcessLog {
        pid: pid.to_string(),
        messages: log.map(|log| log.into_iter().map(message).collect()),
    })
}

/// Returns the time since `at` in milliseconds, or 0 if the clock was set back.
pub(in crate::api_server) fn ago(at: std::time::SystemTime) -> u64 {
    at.elapsed().map_or(0, millis)
}

pub(in crate::api_server) fn sys_error(error: &runtime::SysError) -> ErrorReport {
    let code = match error {
        runtime::SysError::Noproc(_) => ErrorCode::Noproc,
        runtime::SysError::TimedOut { .. } => ErrorCode::Timeout,
        runtime::SysError::Task(_) => ErrorCode::Task,
        runtime::SysError::NotSuspended(_) => ErrorCode::NotSuspended,
        runtime::SysError::Refused { .. } => ErrorCode::Refused,
    };
    ErrorReport::refused(code, error.to_string())
}
