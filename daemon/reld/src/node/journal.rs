//! The starts and ends of processes during an upgrade, and the processes that use old code.

use std::time::Instant;

use reld_handler::{
    Comparison, Exited, ModuleName, OldCode, Outsider, OutsiderKind, Pid, Process, PurgeMethod, Purged, Slot,
};
use reld_runtime::{self as runtime, Behaviour, Place, ProcessInfo, Runtime};

use super::window::{Over, Window};
use super::words::{app, app_of, find_all, lingerers, module, pid, process, vsn};

pub(super) fn comparison(runtime: &Runtime, window: Option<&Window>, over: &Over) -> Comparison {
    let (staged, journal, unconverted) = match window {
        Some(window) => (window.modules(), window.journal(), window.unconverted()),
        None => (over.modules.clone(), over.journal.clone(), Vec::new()),
    };
    let is_staged = |module: &str| staged.iter().any(|staged| staged == module);
    let concerned = |pids: &[reld_wire::Pid]| {
        let mut processes = find_all(runtime, pids);
        processes.retain(|process| is_staged(process.module.as_str()));
        processes
    };
    let died = journal.died.into_iter().filter(|death| is_staged(&death.module));
    let exits = died.map(|death| Exited {
        process: Process {
            pid: pid(death.pid),
            name: death.name,
            app: app_of(runtime, &death.module),
            module: module(&death.module),
        },
        reason: death.exit.to_string(),
    });
    Comparison {
        exits: exits.collect(),
        starts: concerned(&journal.started),
        unconverted: find_all(runtime, &unconverted),
        timeouts: concerned(&journal.timed_out).len(),
    }
}

pub(super) fn crashes(runtime: &Runtime) -> Vec<Exited> {
    let crash = |crash: runtime::Crash| Exited {
        process: Process {
            pid: pid(crash.pid),
            name: crash.name,
            module: module(&crash.module),
            app: app(&crash.app),
        },
        reason: crash.exit.to_string(),
    };
    runtime.crashes().into_iter().map(crash).collect()
}

pub(super) fn old_code(runtime: &Runtime) -> Vec<OldCode> {
    let old = runtime.code().into_iter().filter(|version| version.place == Place::Old);
    old.map(|version| OldCode {
        lingering: lingerers(runtime, &runtime.users(&version.module, Place::Old)),
        module: module(&version.module),
        vsn: vsn(&version.version),
    })
    .collect()
}

pub(super) fn outsiders(runtime: &Runtime, modules: &[ModuleName]) -> Vec<Outsider> {
    let modules: Vec<&str> = modules.iter().map(ModuleName::as_str).collect();
    let kind = |info: &ProcessInfo| match info.behaviour {
        Behaviour::Task => OutsiderKind::Task,
        _ => OutsiderKind::Orphan,
    };
    let outsiders = runtime.outsiders(&modules).into_iter();
    outsiders.map(|info| Outsider { process: process(&info), kind: kind(&info) }).collect()
}

pub(super) fn purge(
    runtime: &Runtime,
    slot: Slot,
    modules: &[ModuleName],
    method: PurgeMethod,
    deadline: Instant,
) -> Purged {
    let place = match slot {
        Slot::Old => Place::Old,
        Slot::Condemned => Place::Condemned,
    };
    let mut purged = Purged::default();
    for name in modules {
        let before = runtime.users(name.as_str(), place);
        let users = find_all(runtime, &before);
        let result = match method {
            PurgeMethod::Soft => runtime.soft_purge(name.as_str(), place),
            PurgeMethod::Brutal => runtime.purge(name.as_str(), place, deadline),
        };
        // A module that is not loaded counts as purged.
        let result = result.unwrap_or_default();
        let killed: Vec<Pid> = result.killed.iter().map(|killed| pid(*killed)).collect();
        purged.killed.extend(users.into_iter().filter(|process| killed.contains(&process.pid)));
        if result.lingering.is_empty() {
            purged.modules.push(name.clone());
        }
        purged.lingering.extend(lingerers(runtime, &result.lingering));
    }
    purged
}
