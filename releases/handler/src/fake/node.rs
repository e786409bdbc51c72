//! The implementation of [`Node`] for the fake.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reld_plan::{AppName, Apply, BuiltIn, ModuleName, PurgeMethod, Vsn};
use reld_wire::path;
use serde_json::{Map, Value};

use super::Fake;
use super::world::{Proc, Slots, StagedWorld};
use crate::interrupt::Interrupt;
use crate::node::NodeError;
use crate::node::{
    AppSpec, Child, Coming, Comparison, Conversion, Converted, Exited, Foreseen, Gate, Held, Idle, Image,
    Library, Look, Node, OldCode, OrphanPolicy, Outsider, OutsiderKind, Passage, Pause, Precopied, Purged,
    Raised, Resident, Slot, Staged, Staging, StateChange, Switched, Tried, Unrest,
};
use crate::process::{Pid, Process};

impl Node for Fake {
    fn old_code(&self) -> Vec<OldCode> {
        let old = |(module, slots): (&ModuleName, &Slots)| {
            let image = slots.old?;
            let vsn = self.world.images[&image].1.clone();
            Some(OldCode { module: module.clone(), vsn, lingering: self.lingering(module, image) })
        };
        self.world.modules.iter().filter_map(old).collect()
    }

    fn outsiders(&self, modules: &[ModuleName]) -> Vec<Outsider> {
        let users = self.world.processes.iter().filter(|(_, process)| modules.contains(&process.module));
        users
            .filter_map(|(pid, process)| Some(Outsider { process: self.process(*pid), kind: process.kind? }))
            .collect()
    }

    /// The first process of an app counts as the app's process.
    fn which_applications(&self) -> BTreeMap<AppName, Option<Pid>> {
        let process = |app: &AppName| self.processes_of(app).first().map(|process| process.pid);
        self.world.running_apps.iter().map(|app| (app.clone(), process(app))).collect()
    }

    fn fallen(&self) -> Vec<(AppName, String)> {
        self.fallen.iter().map(|app| (app.clone(), "shutdown".to_owned())).collect()
    }

    fn processes_of(&self, app: &AppName) -> Vec<Process> {
        self.listed(|_, process| process.app == *app && process.kind.is_none())
    }

    fn probe(&self, library: &Library) -> Result<Tried, NodeError> {
        if self.crashes_when_probed.as_ref() != Some(&library.app) {
            return Ok(Tried { behaviours: self.behaviours.clone(), stays: self.stays.clone() });
        }
        let reason = "it ended by signal 6".to_owned();
        Err(NodeError::Load { app: library.app.clone(), vsn: library.vsn.clone(), reason })
    }

    fn refuses_spec(&self, app: &AppSpec) -> Option<String> {
        app.env.contains_key("$bin").then(|| "env.$bin cannot be handed over".to_owned())
    }

    fn foresee(&self, coming: &[Coming<'_>], _: Look) -> Foreseen {
        assert!(!coming.is_empty());
        self.foreseen.clone()
    }

    fn refuses(&self, _: &Library, call: &Apply) -> Option<String> {
        (call.function == "ghost").then(|| "unknown variant `ghost`".to_owned())
    }

    fn threads(&self, app: &AppName, _: &Vsn) -> usize {
        usize::from(self.starts_threads.as_ref() == Some(app))
    }

    fn comparison(&self) -> Comparison {
        let unconverted = |pid: &Pid, process: &Proc| {
            process.is_held
                && process.shadow.is_none()
                && !self.doomed.contains(pid)
                && !self.held.contains(pid)
                && self
                    .world
                    .staged
                    .as_ref()
                    .is_some_and(|staged| staged.modules.get(&process.module) != Some(&process.image))
        };
        Comparison {
            exits: self.exits.clone(),
            unconverted: self.listed(unconverted),
            ..Comparison::default()
        }
    }

    /// In the fake node, every name means the first process, and no other place exists.
    fn supervisor(&self, place: &str) -> Result<Pid, String> {
        let (_, below) = path::split(place);
        let found = self.world.processes.keys().next().filter(|_| below.is_empty());
        found.copied().ok_or_else(|| format!("cannot find {place}"))
    }

    fn children(&self, _: Pid) -> Option<Vec<Child>> {
        self.rows.clone()
    }

    fn crashes(&self) -> Vec<Exited> {
        self.crashes.clone()
    }

    fn successor(&self) -> Result<Vsn, NodeError> {
        self.successor.clone().unwrap_or(Ok(Vsn::new(1, 0, 0)))
    }

    fn residents(&self) -> Vec<Resident> {
        vec![]
    }

    fn load(&mut self, library: &Library, _: Instant, _: &Interrupt) -> Result<Image, NodeError> {
        let Library { app, vsn, .. } = library.clone();
        if self.fails("load") {
            return Err(NodeError::Load { app, vsn, reason: "no such file".to_owned() });
        }
        let known = self.world.images.iter().find(|(_, known)| **known == (app.clone(), vsn.clone()));
        if let Some((image, _)) = known {
            return Ok(*image);
        }
        self.images += 1;
        self.world.images.insert(Image(self.images), (app, vsn));
        Ok(Image(self.images))
    }

    fn unload(&mut self, image: Image) -> Result<(), NodeError> {
        let (app, vsn) = self.world.images[&image].clone();
        if self.fails("unload") {
            return Err(NodeError::Unload { app, vsn, reason: "busy".to_owned() });
        }
        if !self.world.is_used(image) {
            self.world.images.remove(&image);
        }
        Ok(())
    }

    fn stage(&mut self, idle: Idle, staging: &Staging) -> Result<Staged, NodeError> {
        if self.fails("stage") {
            let module = staging.modules.keys().next().cloned().unwrap_or_else(|| "none".parse().unwrap());
            return Err(NodeError::Stage { module, reason: "name taken".to_owned() });
        }
        let app = |app: &AppSpec| (app.name.clone(), app.vsn.clone(), app.env.clone());
        self.exits.clear();
        let loaded = staging.apps.iter().filter(|app| !app.start_type.starts());
        self.loaded = loaded.map(|app| app.name.clone()).collect();
        self.world.staged = Some(StagedWorld {
            modules: staging.modules.clone(),
            removals: staging.removals.clone(),
            at_once: staging.at_once.clone(),
            apps: staging.apps.iter().map(app).collect(),
        });
        Ok(idle.stage())
    }

    fn unstage(&mut self, _: Staged) {
        self.world.staged = None;
    }

    fn start_application(&mut self, app: &AppName, _: Instant) -> Result<(), NodeError> {
        let staged = self.world.staged.iter().flat_map(|staged| &staged.apps);
        let staged = staged.map(|(name, vsn, _)| (name, vsn)).find(|(name, _)| *name == app);
        let known = self.world.apps.get(app).map(|(vsn, _)| vsn);
        let vsn = staged.map(|(_, vsn)| vsn).or(known).unwrap().clone();
        if self.fails("start_application") {
            return Err(NodeError::StartApplication {
                app: app.clone(),
                vsn,
                reason: "port taken".to_owned(),
            });
        }
        if self.loaded.contains(app) {
            return Ok(());
        }
        self.world.running_apps.insert(app.clone());
        self.fallen.remove(app);
        if let Some(module) = self.world.module_of(app, &vsn) {
            self.spawn(module.as_str(), None);
        }
        Ok(())
    }

    fn stop_application(&mut self, app: &AppName, _: Instant) -> Result<(), NodeError> {
        let fails = self.fails("stop_application");
        let processes = self.listed(|_, process| process.app == *app && process.kind.is_none());
        if fails {
            return Err(NodeError::StopApplication { app: app.clone(), left: processes });
        }
        assert!(
            processes.iter().all(|process| !self.world.processes[&process.pid].is_held),
            "{app} stopped at rest"
        );
        processes.iter().for_each(|process| self.die(process.pid, "shutdown"));
        self.world.running_apps.remove(app);
        Ok(())
    }

    fn unload_application(&mut self, app: &AppName) {
        if self.world.staged.is_none() {
            self.world.apps.remove(app);
        }
    }

    fn apply(&mut self, call: &Apply, _: Instant) -> Result<(), NodeError> {
        if self.fails("apply") {
            return Err(NodeError::Apply { call: call.to_string(), reason: "no power".to_owned() });
        }
        self.do_or_undo(&call.function, "undo_");
        Ok(())
    }

    fn call(&mut self, call: &BuiltIn, _: Instant) -> Result<(), NodeError> {
        if self.fails("call") {
            return Err(NodeError::Call { call: call.to_string(), reason: "not_found".to_owned() });
        }
        let done = call.to_string();
        let undone = call.undo().map(|undo| undo.to_string());
        match self.world.applied.iter().position(|earlier| Some(earlier) == undone.as_ref()) {
            Some(at) => drop(self.world.applied.remove(at)),
            None => self.world.applied.push(done),
        }
        Ok(())
    }

    fn start_child(
        &mut self,
        _: &Switched,
        call: &BuiltIn,
        _: Instant,
        deadline: Instant,
    ) -> Result<(), NodeError> {
        assert!(!self.world.gate.is_empty(), "members are held until it runs");
        self.call(call, deadline)
    }

    fn stop_children(&mut self, modules: &[ModuleName], _: Instant) -> Result<(), NodeError> {
        let held = std::mem::take(&mut self.held);
        let fails = self.fails("stop_children");
        for pid in held {
            self.stopped.extend(self.world.processes.get(&pid).map(|process| process.module.clone()));
            self.die(pid, "shutdown");
        }
        assert!(self.stopped.iter().all(|module| modules.contains(module)), "{:?} stopped", self.stopped);
        let error = || NodeError::Call { call: "terminate_child".to_owned(), reason: "not_found".to_owned() };
        if fails { Err(error()) } else { Ok(()) }
    }

    fn start_children(&mut self, modules: &[ModuleName], _: Instant) -> Result<(), NodeError> {
        if self.fails("start_children") {
            return Err(NodeError::Call {
                call: "restart_child".to_owned(),
                reason: "start_failed".to_owned(),
            });
        }
        for module in std::mem::take(&mut self.stopped).iter().filter(|module| modules.contains(module)) {
            self.spawn(module.as_str(), None);
        }
        Ok(())
    }

    fn config_change(&mut self, _: Instant) -> Vec<String> {
        Vec::new()
    }

    fn configure(&mut self, app: &AppName, env: &Map<String, Value>, _: Instant) -> Result<(), NodeError> {
        if self.fails("configure") {
            return Err(NodeError::Configure { app: app.clone(), reason: format!("app {app}: no") });
        }
        if let Some((_, current)) = self.world.apps.get_mut(app) {
            current.clone_from(env);
        }
        Ok(())
    }

    /// A planned failure happens at the last process of the last module, after all other processes
    /// were converted or tried. It leaves no shadow state.
    fn precopy(
        &mut self,
        staged: &Staged,
        gate: &Gate,
        passages: &[Passage],
        _: Duration,
    ) -> Result<Precopied, NodeError> {
        assert!(self.world.gate.is_empty(), "pre-copied inside the pause");
        let fails = self.fails("precopy");
        let spared = [OrphanPolicy::Kill, OrphanPolicy::Ignore].contains(&gate.orphans);
        let mut processes = 0;
        let mut last = None;
        self.tried.clear();
        for Passage { conversion, back } in passages {
            let is_member = |process: &Proc| match process.kind {
                None => true,
                Some(OutsiderKind::Orphan) => !spared,
                Some(OutsiderKind::Task) => false,
            };
            let mut pids = self.of(&conversion.module, is_member);
            pids.retain(|pid| !self.restless.contains(pid));
            processes += self.shadow(conversion, &pids);
            last = pids.last().map(|pid| (*pid, conversion.module.clone())).or(last);
            self.tried.extend(pids.into_iter().filter(|_| back.is_some()));
        }
        if fails {
            self.discard(staged);
            return Err(match last {
                Some((pid, module)) => self.change_code_error(pid, &module),
                None => self.nothing_to_convert(passages.first().map(|passage| &passage.conversion.module)),
            });
        }
        let trial = if self.tried.is_empty() { Duration::ZERO } else { Duration::from_micros(7) };
        if !self.tried.is_empty() && self.fails("trial") {
            self.discard(staged);
            return Err(self.no_way_back());
        }
        Ok(Precopied { processes, rounds: 1, trial })
    }

    fn raise(
        &mut self,
        staged: Staged,
        gate: &Gate,
        _: Instant,
    ) -> Result<(Held, Raised), (Staged, NodeError)> {
        assert!(self.world.gate.is_empty(), "the gate is raised twice");
        let fails = self.fails("raise");
        let unrest = |process: &Proc| {
            let member = gate.members.iter().find(|member| member.module == process.module)?;
            (process.kind.is_none() || process.kind == Some(OutsiderKind::Orphan)).then_some(member.unrest)
        };
        let is_restless =
            |pid: &Pid, how| self.restless.contains(pid) && unrest(&self.world.processes[pid]) == Some(how);
        let aborting = self.listed(|pid, _| is_restless(pid, Unrest::Abort));
        let left = self.listed(|pid, _| is_restless(pid, Unrest::Leave));
        let is_orphan = |process: &Proc| process.kind == Some(OutsiderKind::Orphan);
        let doomed = self.listed(|pid, process| {
            let by_orphans =
                is_orphan(process) && gate.orphans == OrphanPolicy::Kill && unrest(process).is_some();
            by_orphans || is_restless(pid, Unrest::Kill)
        });
        let spared = |pid: &Pid, process: &Proc| {
            left.iter().any(|left| left.pid == *pid)
                || (is_orphan(process) && gate.orphans == OrphanPolicy::Ignore)
        };
        let held = self.listed(|pid, process| unrest(process).is_some() && !spared(pid, process));
        if fails || !aborting.is_empty() {
            return Err((staged, NodeError::NotAtRest { processes: aborting, after_ms: 1000 }));
        }
        for process in &held {
            if let Some(process) = self.world.processes.get_mut(&process.pid) {
                process.is_held = true;
            }
        }
        self.world.gate = gate.members.iter().map(|member| member.module.clone()).collect();
        self.doomed = doomed.iter().map(|process| process.pid).collect();
        let stops =
            |module: &ModuleName| gate.members.iter().any(|member| member.stop && member.module == *module);
        self.held = held.iter().filter(|process| stops(&process.module)).map(|process| process.pid).collect();
        let shadowed = self.world.processes.iter().filter(|(_, process)| process.shadow.is_some());
        let precopied = shadowed.clone().count();
        let tried = shadowed.filter(|(pid, _)| self.tried.contains(pid)).count();
        let at_rest = held.len() - doomed.len();
        Ok((staged.hold(), Raised { at_rest, precopied, tried, left, doomed }))
    }

    /// A planned failure happens at the last process without a shadow state, after all other
    /// processes were converted.
    fn convert(&mut self, _: &Held, conversion: &Conversion, _: Duration) -> Result<Converted, NodeError> {
        let module = &conversion.module;
        assert!(self.world.gate.contains(module), "{module} is converted outside the gate");
        let fails = self.fails("convert");
        let mut dirty = self.of(module, |process| process.is_held && process.shadow.is_none());
        dirty.retain(|pid| !self.doomed.contains(pid));
        let failed = if fails { Some(dirty.pop()) } else { None };
        let processes = self.shadow(conversion, &dirty);
        match failed {
            None if conversion.change == StateChange::Supervisor => {
                Ok(Converted { processes, children: self.children.clone() })
            }
            None => Ok(Converted { processes, children: vec![] }),
            Some(Some(pid)) => Err(self.change_code_error(pid, module)),
            Some(None) => Err(self.nothing_to_convert(Some(module))),
        }
    }

    fn discard(&mut self, _: &Staged) {
        self.world.processes.values_mut().for_each(|process| process.shadow = None);
    }

    fn switch(&mut self, held: Held) -> Switched {
        let StagedWorld { modules, removals, apps, .. } = self.world.staged.take().unwrap();
        for (module, image) in &modules {
            self.world.flip(module, Some(*image));
        }
        removals.iter().for_each(|module| self.world.flip(module, None));
        self.world.apps.extend(apps.into_iter().map(|(app, vsn, env)| (app, (vsn, env))));
        for process in self.world.processes.values_mut() {
            if let Some((image, state)) = process.shadow.take() {
                (process.image, process.state) = (image, state);
            }
        }
        held.switch()
    }

    fn lower(&mut self, held: Held) -> (Staged, Pause) {
        self.held.clear();
        (held.lower(), self.let_go())
    }

    fn resume(&mut self, _: &Switched) -> Pause {
        self.let_go()
    }

    fn sweep(&mut self, _: Switched, _: Instant) {
        let is_held = |(pid, process): (&Pid, &Proc)| process.is_held && !self.held.contains(pid);
        assert!(!self.world.processes.iter().any(is_held), "swept inside the pause");
    }

    fn kill(&mut self, pids: &[Pid]) {
        pids.iter().for_each(|pid| self.die(*pid, "killed"));
    }

    fn purge(&mut self, slot: Slot, modules: &[ModuleName], method: PurgeMethod, _: Instant) -> Purged {
        assert_eq!(self.world.staged, None, "purged before the switch");
        let mut purged = Purged::default();
        for module in modules {
            let slots = self.world.modules.get(module).cloned().unwrap_or_default();
            let Some(image) = (if slot == Slot::Old { slots.old } else { slots.condemned }) else { continue };
            let mut lingering = self.lingering(module, image);
            if method == PurgeMethod::Brutal {
                purged.killed.extend(lingering.drain(..).map(|lingerer| lingerer.process));
            }
            if lingering.is_empty() {
                let slots = self.world.modules.get_mut(module).unwrap();
                *(if slot == Slot::Old { &mut slots.old } else { &mut slots.condemned }) = None;
                purged.modules.push(module.clone());
            }
            purged.lingering.append(&mut lingering);
        }
        let killed: Vec<Pid> = purged.killed.iter().map(|process| process.pid).collect();
        self.kill(&killed);
        self.world.collect();
        purged
    }
}
