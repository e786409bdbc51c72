//! Look verbs: read from the daemon's own tables.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use axum::Router;
use reld_api::request as q;
use reld_api::response as r;
use reld_api::{ErrorReport, term};
use reld_loader::Resident;
use reld_runtime::{self as runtime, Behaviour, Child, Letter, Node, Pid, Place, ProcessInfo, Status};
use serde_json::Value;

use super::alarms::alarms;
use super::libraries::libraries;
use super::{Api, on};
use crate::node::Shared;
use crate::operator::Waiting;

/// How long a process may take to come to a callback boundary before it is said to be busy.
const BOUNDARY: Duration = Duration::from_secs(5);

/// How many processes are named that an upgrade waits for.
const AWAITED_MAX: usize = 8;

/// App code that computes for so long without a break is told in the node's status.
const STUCK: Duration = Duration::from_secs(1);

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on(router, |api: Api, _: q::Status| async move { Ok(status(&api)) });
    let router = on(router, |api: Api, request: q::Tree| async move { tree(&api, &request) });
    let router = on(router, |api: Api, _: q::Processes| async move { Ok(processes(&api)) });
    let router = on(router, |api: Api, request: q::Top| async move { top(api, request).await });
    let router = on(router, |api: Api, request: q::SysStatus| async move { sys_status(api, &request).await });
    let router = on(router, |api: Api, request: q::Process| async move { proc(api, &request).await });
    let router = on(router, |api: Api, _: q::Apps| async move { Ok(apps(&api)) });
    let router =
        on(router, |api: Api, request: q::Code| async move { code(&api, request.module.as_deref()) });
    let router = on(router, |api: Api, _: q::Ports| async move { Ok(ports(&api)) });
    let router = on(router, |api: Api, _: q::Tables| async move { Ok(tables(&api)) });
    let router =
        on(router, |api: Api, request: q::Statistics| async move { statistics(api, &request).await });
    let router =
        on(router, |api: Api, request: q::MessageLog| async move { message_log(api, &request).await });
    on(router, |api: Api, request: q::State| async move { state(api, &request).await })
}

fn status(api: &Api) -> r::NodeStatus {
    let board = api.operator.board();
    let runs = board.switched.as_ref().or(board.running.as_ref()).and_then(|vsn| board.releases.get(vsn));
    let release = runs.map(|known| r::RunningRelease {
        name: known.name.to_string(),
        version: known.version.to_string(),
        // Right after the switch the table has it as it was before.
        status: match super::release::status(known.status) {
            r::ReleaseStatus::Permanent => r::ReleaseStatus::Permanent,
            _ => r::ReleaseStatus::Current,
        },
    });
    let upgrade = board.progress.map(|at| r::Progress { waits_for: awaited(api), ..at });
    let dirty = api.shared.lock().dirty;
    let stuck = stuck(api);
    r::NodeStatus {
        reld: env!("CARGO_PKG_VERSION").to_owned(),
        os_pid: std::process::id(),
        uptime_ms: millis(api.started.elapsed()),
        release,
        permanent: board.releases.permanent().map(|known| known.version.to_string()),
        processes: api.runtime.figures().processes as u64,
        dirty,
        degraded: !late(api).is_empty() || stuck.iter().any(|stuck| stuck.detached),
        alarms: alarms(api).into_iter().map(|alarm| alarm.text).collect(),
        settling: board.settling.as_ref().map(|settling| settling.trip().to.to_string()),
        order: board.busy,
        waiting: board.waiting.iter().map(waiting).collect(),
        upgrade,
        lingering: lingering(api, |_| true),
        ended: ended(api),
        stuck,
    }
}

/// Returns the processes that an upgrade under way waits for, for people.
fn awaited(api: &Api) -> Vec<String> {
    let named = |info: ProcessInfo| match info.names.first() {
        Some(name) => format!("{name} {}", info.pid),
        None => info.pid.to_string(),
    };
    api.runtime.awaited().into_iter().take(AWAITED_MAX).map(named).collect()
}

fn waiting(waiting: &Waiting) -> r::WaitingOrder {
    r::WaitingOrder {
        order: waiting.what.clone(),
        uid: waiting.uid,
        waits_ms: millis(waiting.since.elapsed()),
    }
}

fn ended(api: &Api) -> Vec<r::EndedApp> {
    let ended = |(spec, status): (runtime::AppSpec, runtime::AppStatus)| match status {
        runtime::AppStatus::Stopped(Some(exit)) => {
            Some(r::EndedApp { app: spec.name, version: spec.version, reason: exit.to_string() })
        }
        _ => None,
    };
    api.runtime.applications().into_iter().filter_map(ended).collect()
}

fn stuck(api: &Api) -> Vec<r::StuckCode> {
    let stuck = |stuck: runtime::Stuck| r::StuckCode {
        pid: stuck.pid.to_string(),
        name: api.runtime.process(stuck.pid).and_then(|info| info.names.into_iter().next()),
        module: stuck.module,
        version: stuck.version,
        app: stuck.app,
        detached: stuck.is_detached,
        for_ms: millis(stuck.since.elapsed()),
        frames: stuck.frames,
    };
    api.runtime.stuck(STUCK).into_iter().map(stuck).collect()
}

fn ports(api: &Api) -> r::PortList {
    let port = |info: runtime::PortInfo| r::Port {
        port: info.port.0,
        owner: info.owner.to_string(),
        local: info.local,
        peer: info.peer,
        unread: info.unread as u64,
        unsent: info.unsent as u64,
    };
    r::PortList { ports: api.runtime.ports().into_iter().map(port).collect() }
}

fn tables(api: &Api) -> r::TableList {
    let table = |info: runtime::TableInfo| r::Table {
        table: info.table.0,
        name: info.name,
        kind: match info.kind {
            runtime::TableKind::Set => "set".to_owned(),
            runtime::TableKind::OrderedSet => "ordered_set".to_owned(),
        },
        access: match info.access {
            runtime::Access::Public => "public".to_owned(),
            runtime::Access::Protected => "protected".to_owned(),
            runtime::Access::Private => "private".to_owned(),
        },
        owner: info.owner.to_string(),
        heir: info.heir.map(|heir| heir.to_string()),
        rows: info.rows as u64,
        bytes: info.bytes as u64,
    };
    r::TableList { tables: api.runtime.tables().into_iter().map(table).collect() }
}

// --- the tree --------------------------------------------------------------------------------------------------------

fn tree(api: &Api, request: &q::Tree) -> Result<r::Forest, ErrorReport> {
    if let Some(supervisor) = &request.supervisor {
        let pid = api.find_supervisor(supervisor)?;
        let node = api.runtime.tree(pid).filter(|node| node.is_supervisor).ok_or_else(|| {
            ErrorReport::refused(
                "not_a_supervisor",
                format!("process {supervisor} is a worker, no supervisor"),
            )
        })?;
        return Ok(r::Forest { roots: vec![place(&node, false)], outside: Vec::new() });
    }
    let apps = api.runtime.applications();
    if let Some(app) = &request.app
        && !apps.iter().any(|(spec, _)| spec.name == *app)
    {
        return Err(ErrorReport::refused("no_such_application", format!("there is no app {app}"))
            .with_hint("`relctl apps` lists the apps"));
    }
    let roots = apps.iter().filter(|(spec, _)| request.app.as_ref().is_none_or(|app| spec.name == *app));
    let roots = roots.filter_map(|(_, status)| match status {
        runtime::AppStatus::Running { root: Some(root), .. } => api.runtime.tree(*root),
        _ => None,
    });
    let outside = if request.app.is_none() { outside(api) } else { Vec::new() };
    Ok(r::Forest { roots: roots.map(|node| place(&node, true)).collect(), outside })
}

/// Processes that no supervisor knows. The processes of applications stand for their trees and are not shown.
fn outside(api: &Api) -> Vec<r::TreeNode> {
    let without = |info: &ProcessInfo| info.parent.is_none() && info.behaviour != Behaviour::Application;
    let loose = api.runtime.processes().into_iter().filter(without);
    loose.filter_map(|info| api.runtime.tree(info.pid)).map(|node| place(&node, false)).collect()
}

fn place(node: &Node, root: bool) -> r::TreeNode {
    let process = node.process.as_ref();
    let children: Vec<r::TreeNode> = node.children.iter().map(|child| place(child, false)).collect();
    let related = |pid: &Pid| {
        process.and_then(|info| info.parent) == Some(*pid)
            || node.children.iter().any(|child| child.child.pid() == Some(*pid))
    };
    r::TreeNode {
        id: node.id.as_deref().map_or(Value::Null, json),
        pid: node.child.pid().map(|pid| pid.to_string()),
        name: process.and_then(|info| info.names.first().cloned()),
        behaviour: process.map_or(
            if node.is_supervisor { r::Behaviour::Supervisor } else { r::Behaviour::GenServer },
            |info| behaviour(info.behaviour),
        ),
        root,
        app: process.map(|info| info.app.clone()).unwrap_or_default(),
        module: node.module.clone(),
        version: process.map(|info| info.version.clone()),
        code: process.map(age),
        status: match node.child {
            Child::Stopped => r::ProcessStatus::NotStarted,
            Child::Restarting => r::ProcessStatus::Restarting,
            Child::Starting(_) | Child::Running(_) => {
                process.map_or(r::ProcessStatus::Running, process_status)
            }
        },
        links: process
            .and_then(|info| info.ties.as_ref())
            .map(|ties| ties.links.iter().filter(|pid| !related(pid)).map(Pid::to_string).collect())
            .unwrap_or_default(),
        children,
    }
}

// --- processes -------------------------------------------------------------------------------------------------------

fn processes(api: &Api) -> r::ProcessList {
    let mut ids = Ids::default();
    let list = api.runtime.processes();
    r::ProcessList { processes: list.iter().map(|info| process(api, info, &mut ids)).collect() }
}

/// Nobody looks at a node for longer before he is told.
const LOOK_MAX: Duration = Duration::from_secs(10);

async fn top(api: Api, request: q::Top) -> Result<r::TopList, ErrorReport> {
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

/// Child ids, read once for each supervisor.
#[derive(Default)]
struct Ids {
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

fn process(api: &Api, info: &ProcessInfo, ids: &mut Ids) -> r::Process {
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

fn callback(info: &runtime::CallbackInfo) -> r::Callback {
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

async fn proc(api: Api, request: &q::Process) -> Result<r::ProcessDetails, ErrorReport> {
    let mut details = details(&api, &request.process).await?;
    if details.in_callback {
        let pid = api.find(&request.process)?;
        // It waits for the thread and reads files.
        details.frames = api.wait(move |runtime| Ok(runtime.frames(pid))).await?;
    }
    Ok(details)
}

async fn details(api: &Api, name: &str) -> Result<r::ProcessDetails, ErrorReport> {
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

fn texts<'a>(pids: impl IntoIterator<Item = &'a Pid>) -> Vec<String> {
    pids.into_iter().map(Pid::to_string).collect()
}

fn pending(at_ns: u64, body: &[u8]) -> r::PendingTimer {
    r::PendingTimer { at_us: at_ns / 1_000, message: json(body) }
}

fn letter(letter: &Letter) -> r::Letter {
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

async fn state(api: Api, request: &q::State) -> Result<r::ProcessState, ErrorReport> {
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

async fn sys_status(api: Api, request: &q::SysStatus) -> Result<r::SysStatus, ErrorReport> {
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

async fn statistics(api: Api, request: &q::Statistics) -> Result<r::ProcessStatistics, ErrorReport> {
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

async fn message_log(api: Api, request: &q::MessageLog) -> Result<r::ProcessLog, ErrorReport> {
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

/// Returns how long ago that was, in milliseconds; 0 when the clock was set back meanwhile.
fn ago(at: std::time::SystemTime) -> u64 {
    at.elapsed().map_or(0, millis)
}

pub(super) fn sys_error(error: &runtime::SysError) -> ErrorReport {
    let kind = match error {
        runtime::SysError::Noproc(_) => "noproc",
        runtime::SysError::TimedOut { .. } => "timeout",
        runtime::SysError::Task(_) => "task",
        runtime::SysError::NotSuspended(_) => "not_suspended",
        runtime::SysError::Refused { .. } => "refused",
    };
    ErrorReport::refused(kind, error.to_string())
}

// --- apps and code ---------------------------------------------------------------------------------------------------

fn apps(api: &Api) -> r::AppList {
    let (specs, code, processes) =
        (api.shared.lock().apps.clone(), api.runtime.code(), api.runtime.processes());
    let app = |(spec, status): (runtime::AppSpec, runtime::AppStatus)| r::App {
        status: match &status {
            runtime::AppStatus::Running { .. } => r::AppStatus::Running,
            runtime::AppStatus::Stopped(Some(_)) => r::AppStatus::Ended,
            _ => r::AppStatus::Loaded,
        },
        reason: match status {
            runtime::AppStatus::Stopped(exit) => exit.map(|exit| exit.to_string()),
            _ => None,
        },
        start_type: specs
            .iter()
            .find(|(name, _)| name.as_str() == spec.name)
            .map_or_else(|| "permanent".to_owned(), |(_, spec)| spec.start_type.to_string()),
        modules: code
            .iter()
            .filter(|version| version.app == spec.name && version.place == Place::Current)
            .map(|version| version.module.clone())
            .collect(),
        processes: processes.iter().filter(|info| info.app == spec.name).count() as u64,
        env: environment(api, &spec.name),
        name: spec.name,
        version: spec.version,
    };
    r::AppList { apps: api.runtime.applications().into_iter().map(app).collect() }
}

fn environment(api: &Api, app: &str) -> BTreeMap<String, Value> {
    let values = api.runtime.environment(app).unwrap_or_default();
    values.iter().map(|(key, value)| (key.clone(), json(value))).collect()
}

fn code(api: &Api, module: Option<&str>) -> Result<r::CodeTable, ErrorReport> {
    let versions = api.runtime.code();
    let wanted = |name: &str| module.is_none_or(|module| module == name);
    let mut names: Vec<&str> =
        versions.iter().map(|version| version.module.as_str()).filter(|n| wanted(n)).collect();
    names.dedup();
    if let (Some(module), true) = (module, names.is_empty()) {
        return Err(not_loaded(module));
    }
    let processes = api.runtime.processes();
    let mut users: HashMap<&str, u64> = HashMap::new();
    for info in processes.iter().filter(|info| !info.is_old) {
        *users.entry(&info.module).or_default() += 1;
    }
    let current_users = |name: &str| users.get(name).copied().unwrap_or_default();
    let row = |name: &&str| module_row(api, name, &versions, current_users(name));
    let modules: Vec<r::Module> = names.iter().map(row).collect();
    let is_asked =
        |library: &r::Library| module.is_none() || modules.iter().any(|module| module.app == library.app);
    let libraries = libraries(api, &api.runtime.census()).into_iter().filter(is_asked).collect();
    Ok(r::CodeTable { modules, libraries, residents: residents(api) })
}

/// Returns the libraries that are purged and still mapped.
pub(super) fn residents(api: &Api) -> Vec<r::Resident> {
    let purged = api.loader.residents().into_iter().filter_map(|library| {
        let since = library.condemned?;
        Some(r::Resident {
            app: library.app,
            version: library.version,
            bytes: library.bytes.unwrap_or_default(),
            reason: library.reason,
            for_ms: millis(since.elapsed()),
        })
    });
    purged.collect()
}

/// Returns the libraries that do not return where the daemon has called them.
pub(super) fn late(api: &Api) -> Vec<Resident> {
    api.loader.residents().into_iter().filter(|library| library.stuck.is_some()).collect()
}

pub(super) fn not_loaded(module: &str) -> ErrorReport {
    ErrorReport::refused("not_loaded", format!("module {module} is not loaded"))
        .with_hint("`relctl code` lists the modules")
}

fn module_row(api: &Api, name: &str, versions: &[runtime::Version], current_processes: u64) -> r::Module {
    let at = |place| versions.iter().find(|version| version.module == name && version.place == place);
    let current = at(Place::Current);
    r::Module {
        module: name.to_owned(),
        app: versions
            .iter()
            .find(|version| version.module == name)
            .map(|version| version.app.clone())
            .unwrap_or_default(),
        current: current.map(|version| version.version.clone()),
        current_processes,
        old: at(Place::Old).map(|version| r::OldCode {
            version: version.version.clone(),
            lingering: lingering(api, |info| info.module == name),
        }),
    }
}

/// Returns who runs old code.
pub(super) fn lingering(api: &Api, wanted: impl Fn(&ProcessInfo) -> bool) -> Vec<r::Lingerer> {
    let old = api.runtime.processes().into_iter().filter(|info| info.is_old && wanted(info));
    let shared = api.shared.lock();
    old.map(|info| lingerer(api, &shared, &info)).collect()
}

fn lingerer(api: &Api, shared: &Shared, info: &ProcessInfo) -> r::Lingerer {
    let since = shared.old_since.get(&info.module).copied().unwrap_or_else(Instant::now);
    r::Lingerer {
        pid: info.pid.to_string(),
        name: info.names.first().cloned(),
        supervisor: info.parent.map(|parent| api.runtime.called(parent)),
        module: info.module.clone(),
        version: info.version.clone(),
        since_ms: millis(since.elapsed()),
    }
}

// --- words -----------------------------------------------------------------------------------------------------------

/// A value in JSON; what is no MessagePack came from a library that broke its promise, and is shown as bytes.
pub(super) fn json(bytes: &[u8]) -> Value {
    term::to_json(bytes).unwrap_or_else(|_| Value::String(format!("{bytes:02x?}")))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn behaviour(behaviour: Behaviour) -> r::Behaviour {
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

fn age(info: &ProcessInfo) -> r::CodeAge {
    if info.is_old { r::CodeAge::Old } else { r::CodeAge::Current }
}

fn process_status(info: &ProcessInfo) -> r::ProcessStatus {
    match info.status {
        Status::Suspended => r::ProcessStatus::Suspended,
        Status::Idle | Status::Running | Status::Waiting => r::ProcessStatus::Running,
    }
}
