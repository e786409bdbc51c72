//! What became of processes, and who runs which code.

use std::time::Instant;

use reld_handler::{
    Comparison, Exited, ModuleName, OldCode, Outsider, OutsiderKind, Pid, Process, PurgeMethod, Purged, Slot,
};
use reld_runtime::{self as runtime, Behaviour, Place, ProcessInfo};

use super::RuntimeNode;
use super::words::{app, app_of, find_all, lingerers, module, pid, process, vsn};

/// What became of the processes of some modules during an upgrade that is over.
#[derive(Debug, Default)]
pub(super) struct Over {
    pub(super) modules: Vec<String>,
    pub(super) journal: runtime::Entries,
}

impl RuntimeNode {
    pub(super) fn compared(&self) -> Comparison {
        let (staged, journal, unconverted) = match &self.window {
            Some(window) => (window.modules(), window.journal(), window.unconverted()),
            None => (self.over.modules.clone(), self.over.journal.clone(), Vec::new()),
        };
        let is_staged = |module: &str| staged.iter().any(|staged| staged == module);
        let concerned = |pids: &[runtime::Pid]| {
            let mut processes = find_all(&self.runtime, pids);
            processes.retain(|process| is_staged(process.module.as_str()));
            processes
        };
        let died = journal.died.into_iter().filter(|death| is_staged(&death.module));
        let exits = died.map(|death| Exited {
            process: Process {
                pid: pid(death.pid),
                name: death.name,
                app: app_of(&self.runtime, &death.module),
                module: module(&death.module),
            },
            reason: death.exit.to_string(),
        });
        Comparison {
            exits: exits.collect(),
            starts: concerned(&journal.started),
            unconverted: find_all(&self.runtime, &unconverted),
            timeouts: concerned(&journal.timed_out).len(),
        }
    }

    pub(super) fn crashed(&self) -> Vec<Exited> {
        let crash = |crash: runtime::Crash| Exited {
            process: Process {
                pid: pid(crash.pid),
                name: crash.name,
                module: module(&crash.module),
                app: app(&crash.app),
            },
            reason: crash.exit.to_string(),
        };
        self.runtime.crashes().into_iter().map(crash).collect()
    }

    pub(super) fn code_that_is_old(&self) -> Vec<OldCode> {
        let old = self.runtime.code().into_iter().filter(|version| version.place == Place::Old);
        old.map(|version| OldCode {
            lingering: lingerers(&self.runtime, &self.runtime.users(&version.module, Place::Old)),
            module: module(&version.module),
            vsn: vsn(&version.version),
        })
        .collect()
    }

    pub(super) fn outside(&self, modules: &[ModuleName]) -> Vec<Outsider> {
        let modules: Vec<&str> = modules.iter().map(ModuleName::as_str).collect();
        let kind = |info: &ProcessInfo| match info.behaviour {
            Behaviour::Task => OutsiderKind::Task,
            _ => OutsiderKind::Orphan,
        };
        let outsiders = self.runtime.outsiders(&modules).into_iter();
        outsiders.map(|info| Outsider { process: process(&info), kind: kind(&info) }).collect()
    }

    pub(super) fn purge_each(
        &self,
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
            let before = self.runtime.users(name.as_str(), place);
            let who = find_all(&self.runtime, &before);
            let result = match method {
                PurgeMethod::Soft => self.runtime.soft_purge(name.as_str(), place),
                PurgeMethod::Brutal => self.runtime.purge(name.as_str(), place, deadline),
            };
            // A module that the node does not have is purged.
            let result = result.unwrap_or_default();
            let killed: Vec<Pid> = result.killed.iter().map(|killed| pid(*killed)).collect();
            purged.killed.extend(who.into_iter().filter(|process| killed.contains(&process.pid)));
            if result.lingering.is_empty() {
                purged.modules.push(name.clone());
            }
            purged.lingering.extend(lingerers(&self.runtime, &result.lingering));
        }
        purged
    }
}
