//! The upgrade of a node's processes: stage, pre-copy, raise, convert, switch, lower, sweep; or
//! abort.
//!
//! ```text
//! enlist   finds the members among all processes; at first all members are dirty
//! precopy  converts dirty members in rounds while everything runs: a process at rest gets a shadow
//!          and is clean until it begins a callback
//! raise    the pause begins: waits until the dirty members rest
//! convert  converts the dirty members
//! switch   makes new code and shadows current
//! serve    lets held members handle one call, such as the start of a child
//! lower    the pause ends: wakes the held members
//! sweep    installs the remaining shadows, process by process
//! ```
//!
//! So the pause does not grow with the number of members, as long as few of them run. Until the
//! switch, processes see no change: new code is *staged*, and new states are *shadows* beside the
//! live ones. The switch is two stores: one makes the staged code current, the other decides the
//! fate of all shadows. A process installs its shadow at its next activation, unless the sweep does
//! so first. So aborting an upgrade only drops things.
//!
//! **Knows** `words`, `process`, `pool`, `world` and `tree`.

pub(crate) mod by_hand;
pub(crate) mod conversion;
pub(crate) mod convert;
mod members;
pub(crate) mod pause;
pub(crate) mod sweep;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use self::conversion::{Conversion, ConvertError, Converted, Passage, Precopied};
use self::convert::{Done, Order};
use self::members::{Members, Todo};
use self::pause::Pause;
use crate::process::body::Answer;
use crate::process::gate::{Gate, LOOK_EVERY, Member, Processes, Round};
use crate::process::shadow::Fate;
use crate::process::slot::Rest;
use crate::tree::supervisor::Change;
use crate::upgrade::sweep::sweep;
use crate::words::code::{Bytes, From, Module};
use crate::words::code_server::Code;
use crate::words::pid::Pid;
use crate::world::World;
use crate::world::journal::Entries;

/// The maximum number of pre-copy rounds.
const ROUNDS: usize = 3;
/// When at most this many processes are dirty, no further round of pre-copy runs: they are
/// converted inside the pause, which takes well below a millisecond.
const FEW: usize = 128;

/// An upgrade in progress. A node has at most one at a time.
pub struct Upgrade {
    world: Arc<World>,
    /// Records the members that run or start; while it is raised, it holds them.
    gate: Option<Arc<Gate>>,
    /// The upgrade's number in [`Fates`](crate::process::shadow::Fates); a discard changes it.
    number: usize,
    /// The processes that the gate holds.
    members: Members,
    /// The other direct supervisors of members, sorted. The gate holds them too.
    supervisors: Vec<Pid>,
    /// The members that were started after [`Upgrade::enlist`].
    newborn: Vec<Pid>,
    /// True until a round of pre-copy has run; until then all members are dirty.
    is_unseen: bool,
    /// The members that had no shadow when they came to rest.
    dirty: Members,
    /// The changes that pre-copied supervisors make to their children, by module of the supervisor.
    children: HashMap<String, BTreeMap<Pid, Change>>,
    /// The number of members that already had a shadow when all members had come to rest.
    precopied: usize,
    /// The number of members in `precopied` that were also converted back as a trial.
    tried: usize,
    /// The time that each dirty member took to come to rest.
    rested: Vec<Duration>,
    /// The number of held processes that rested already when the gate was raised.
    clean: usize,
    raised: Option<Instant>,
    /// How long members were held; known once the gate is down.
    pause: Pause,
    excluded: Vec<Pid>,
    /// The children that are deleted right after the switch: pid of the supervisor, and id.
    to_be_deleted: Arc<[(Pid, Bytes)]>,
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("fate", &self.world.fates.of(self.number))
            .field("members", &self.members.len())
            .finish_non_exhaustive()
    }
}

impl Upgrade {
    /// Stages new code and the removal of modules, and opens the journal.
    pub(crate) fn stage(
        world: &Arc<World>,
        new: Vec<Arc<dyn Module>>,
        removed: &[String],
        at_once: &[String],
    ) -> Self {
        world.code.stage(new, removed, at_once);
        world.journal.open();
        Self {
            world: Arc::clone(world),
            gate: None,
            number: world.fates.begin(),
            members: Members::default(),
            supervisors: Vec::new(),
            newborn: Vec::new(),
            is_unseen: true,
            dirty: Members::default(),
            children: HashMap::new(),
            precopied: 0,
            tried: 0,
            rested: Vec::new(),
            clean: 0,
            raised: None,
            pause: Pause::default(),
            excluded: Vec::new(),
            to_be_deleted: Arc::default(),
        }
    }

    /// Returns the journal since staging.
    pub fn journal(&self) -> Entries {
        self.world.journal.read()
    }

    /// Returns the members, including those started since staging.
    pub fn members(&self) -> impl Iterator<Item = Pid> {
        self.members.iter()
    }

    /// Returns the number of members.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Returns the members that were started after [`Upgrade::enlist`].
    pub fn newborn(&self) -> &[Pid] {
        &self.newborn
    }

    /// Returns the number of members that already had a shadow when all members had come to rest.
    pub fn precopied(&self) -> usize {
        self.precopied
    }

    /// Returns the number of pre-copied members that were also converted back as a trial.
    pub fn tried(&self) -> usize {
        self.tried
    }

    /// Returns the members that are not converted: they did not come to rest, or were given up.
    pub fn excluded(&self) -> &[Pid] {
        &self.excluded
    }

    /// Finds all processes of these modules and their direct supervisors. From now on each member
    /// that runs or starts is recorded. Looks at every process, and holds none.
    ///
    /// `include` gets a process and its parent, and returns whether the process is a member; this
    /// can leave out orphans. Processes of these modules that start later are always members.
    pub fn enlist<'a>(
        &mut self,
        modules: impl IntoIterator<Item = &'a str>,
        include: impl Fn(Pid, Option<Pid>) -> bool,
    ) {
        let gate = self.world.gate.build(modules.into_iter().map(str::to_owned).collect());
        // The gate is built first, so it records each member that starts during the search.
        (self.members, self.supervisors) = members::find(&self.world, &gate, include);
        gate.oversee(&self.supervisors);
        (self.is_unseen, self.newborn, self.excluded) = (true, Vec::new(), Vec::new());
        let mut newborn: HashSet<Pid> = gate.newborn().into_iter().collect();
        if !newborn.is_empty() {
            self.members.iter().for_each(|known| {
                newborn.remove(&known);
            });
        }
        self.add_newborn(newborn);
        self.gate = Some(gate);
    }

    fn add_newborn(&mut self, newborn: impl IntoIterator<Item = Pid>) {
        for pid in newborn {
            self.world.module(pid, |module| self.members.add(module, pid));
            self.newborn.push(pid);
        }
    }

    /// Converts the states of these modules' members to shadows while everything runs, so that few
    /// members remain to be converted in the pause. Each conversion may take `limit`. Call
    /// [`Upgrade::enlist`] first.
    ///
    /// A process that begins a callback afterwards drops its shadow, and is converted again here or
    /// by [`Upgrade::convert`]. Members of other modules, and members that were given up, get no
    /// shadow.
    ///
    /// With a trial, a shadow is placed only after the new state was converted back successfully.
    ///
    /// # Errors
    /// The first process with a conversion or trial that failed or did not return. After an error
    /// no shadow is kept; no process was held at any time.
    pub fn precopy(
        &mut self,
        passages: &HashMap<String, Passage>,
        limit: Duration,
    ) -> Result<Precopied, ConvertError> {
        let Some(gate) = self.gate.clone() else { return Ok(Precopied::default()) };
        let (mut rounds, mut before, mut trial) = (0, usize::MAX, Duration::ZERO);
        loop {
            let newborn = gate.newborn();
            self.add_newborn(newborn);
            let is_first = std::mem::take(&mut self.is_unseen);
            let dirty = gate.take_dirty();
            let is_enough = rounds == ROUNDS || dirty.len() <= FEW || dirty.len() >= before;
            if is_enough && !is_first {
                gate.note(dirty);
                break;
            }
            before = if is_first { usize::MAX } else { dirty.len() };
            rounds += 1;
            let todo = if is_first { self.all_members() } else { self.sorted(dirty) };
            match self.round(&gate, todo, passages, limit) {
                Ok(took) => trial += took,
                Err(error) => {
                    self.discard();
                    return Err(error);
                }
            }
        }
        Ok(Precopied { processes: self.world.fates.shadows(self.number), rounds, trial })
    }

    /// Runs one round of pre-copy over these processes. Returns the time that the trials took.
    fn round(
        &mut self,
        gate: &Gate,
        todo: Todo,
        passages: &HashMap<String, Passage>,
        limit: Duration,
    ) -> Result<Duration, ConvertError> {
        let round = self.world.gate.begin_round();
        gate.note(self.go_over(todo.held, None, round, false, limit)?.dirty);
        let mut trial = Duration::ZERO;
        for (module, pids) in todo.members.0 {
            let to = passages
                .get(&module)
                .and_then(|passage| Some((self.world.code.staged(&module)?, passage.clone())));
            if to.is_none() {
                gate.note(pids);
                continue;
            }
            let done = self.go_over(pids, to, round, false, limit)?;
            gate.note(done.dirty);
            trial += done.trial;
            self.children.entry(module).or_default().extend(done.converted.children);
        }
        Ok(trial)
    }

    fn go_over(
        &self,
        pids: Vec<Pid>,
        to: Option<(Arc<Code>, Passage)>,
        round: Round,
        is_held: bool,
        limit: Duration,
    ) -> Result<Done, ConvertError> {
        let (to_be_deleted, upgrade) = (Arc::clone(&self.to_be_deleted), self.number);
        convert::convert(&self.world, Order { pids, to, to_be_deleted, upgrade, round, is_held }, limit)
    }

    fn all_members(&self) -> Todo {
        let mut todo = Todo { members: self.members.clone(), held: self.supervisors.clone() };
        if !self.excluded.is_empty() {
            let excluded: HashSet<Pid> = self.excluded.iter().copied().collect();
            todo.members.0.values_mut().for_each(|pids| pids.retain(|pid| !excluded.contains(pid)));
            todo.held.extend(excluded);
        }
        todo
    }

    /// Divides processes into those to convert and those to hold only. Dead processes are left out.
    fn sorted(&self, pids: Vec<Pid>) -> Todo {
        let excluded: HashSet<Pid> = self.excluded.iter().copied().collect();
        let mut todo = Todo::default();
        for pid in pids {
            if excluded.contains(&pid) || self.supervisors.binary_search(&pid).is_ok() {
                todo.held.push(pid);
            } else {
                self.world.module(pid, |module| todo.members.add(module, pid));
            }
        }
        todo
    }

    /// Raises the gate and waits until all processes of these modules rest. Looks only at dirty
    /// members; without a pre-copy over the same modules, all members are dirty.
    ///
    /// `include` is used as in [`Upgrade::enlist`], for an upgrade without pre-copy.
    ///
    /// # Errors
    /// The members that did not rest in time, unless their module allows that. After an error the
    /// gate is down again.
    pub fn raise(
        &mut self,
        members: HashMap<String, Member>,
        include: impl Fn(Pid, Option<Pid>) -> bool,
    ) -> Result<(), Vec<Pid>> {
        if !self.gate.as_ref().is_some_and(|gate| gate.is_for(&members)) {
            self.enlist(members.keys().map(String::as_str), include);
        }
        let Some(gate) = self.gate.clone() else { return Ok(()) };
        if std::mem::take(&mut self.is_unseen) {
            gate.note(self.members.iter().chain(self.supervisors.iter().copied()));
        }
        self.add_newborn(gate.newborn());
        let held = self.members.len() + self.supervisors.len();
        let raised = Instant::now();
        self.raised = Some(raised);
        let (mut seen, mut draining) = (0, 0);
        let result = gate.raise(&self.world.gate, &*self.world, &members, |rest| {
            seen += 1;
            match rest {
                Rest::Quiet => self.rested.push(raised.elapsed()),
                Rest::Counted => draining += 1,
                Rest::Dead => {}
            }
        });
        // Members that had to drain rest by now at the latest, so they count as held from now on.
        self.rested.extend(std::iter::repeat_n(raised.elapsed(), draining));
        self.clean = held.saturating_sub(seen);
        match result {
            Ok(late) => {
                self.excluded.extend(late);
                self.add_newborn(gate.newborn());
                self.dirty = self.sorted(gate.dirty()).members;
                self.precopied = self.world.fates.shadows(self.number);
                self.tried = self.world.fates.tried(self.number);
                Ok(())
            }
            Err(late) => {
                self.lower();
                Err(late)
            }
        }
    }

    /// Records children (pid of the supervisor, and id) that are deleted right after the switch.
    /// The new code need not accept their start arguments.
    pub fn expect_deleted(&mut self, children: Vec<(Pid, Bytes)>) {
        self.to_be_deleted = children.into();
    }

    /// Excludes these members from all conversions: they will be killed after the switch.
    pub fn give_up(&mut self, pids: &[Pid]) {
        self.excluded.extend(pids);
    }

    /// Converts the states of the members of one module that have no shadow yet. Each conversion
    /// may take `limit`. Call [`Upgrade::raise`] first.
    ///
    /// Returns the number of states that it converted, and the changes of all supervisors of the
    /// module, including pre-copied ones.
    ///
    /// # Errors
    /// The first process with a conversion that failed or did not return. The shadows made so far
    /// stay until the switch or [`Upgrade::discard`].
    pub fn convert(&self, module: &str, how: Conversion, limit: Duration) -> Result<Converted, ConvertError> {
        let Some(code) = self.world.code.staged(module) else { return Ok(Converted::default()) };
        if let Some(current) = self.world.code.current(module) {
            code.replaces(&current, how.cut().clone());
        }
        let round = self.world.gate.begin_round();
        // Inside the pause no trial is made.
        let passage = Passage { how, back: None };
        let done = self.go_over(self.dirty_of(module), Some((code, passage)), round, true, limit)?;
        let mut children = self.children.get(module).cloned().unwrap_or_default();
        children.retain(|pid, _| !self.excluded.contains(pid));
        children.extend(done.converted.children);
        Ok(Converted { processes: done.converted.processes, children: children.into_iter().collect() })
    }

    fn dirty_of(&self, module: &str) -> Vec<Pid> {
        let excluded: HashSet<Pid> = self.excluded.iter().copied().collect();
        self.dirty.of(module).iter().filter(|pid| !excluded.contains(pid)).copied().collect()
    }

    /// Returns the living members of these modules that rest and have no shadow. Only members that
    /// were dirty when they came to rest can be among them.
    pub fn unconverted(&self, modules: &[&str]) -> Vec<Pid> {
        let lacks = |pid: &Pid| {
            let slot = self.world.slot(*pid)?;
            slot.peek(pid.generation, |body| {
                // The state of a supervisor belongs to the daemon; only a new init changes it.
                let stateful = body.instance().is_some_and(|instance| instance.own().is_none());
                stateful && body.shadow.is_none()
            })
        };
        let dirty = modules.iter().flat_map(|module| self.dirty_of(module));
        dirty.filter(|pid| lacks(pid) == Some(true)).collect()
    }

    /// Drops all shadows. Conversion may then start over.
    pub fn discard(&mut self) {
        self.world.fates.set(self.number, Fate::Aborted);
        self.number = self.world.fates.begin();
        self.children.clear();
        if self.raised.is_some() {
            self.dirty = self.members.clone();
        } else if self.gate.take().is_some() {
            // No member counts as clean any more. An upgrade that goes on calls `enlist` again.
            self.world.gate.tear_down();
        }
        self.sweep_soon();
    }

    /// Makes staged code, shadows and reserved names current. Call [`Upgrade::raise`] first.
    pub fn switch(&mut self) {
        self.world.code.switch();
        self.world.registry.switch(&self.excluded);
        self.world.fates.set(self.number, Fate::Committed);
    }

    /// Lets a call through the gate, and the calls that its answer depends on, until it is
    /// answered. Returns `None` if there is no answer by `held`, or if no gate is up. Call it after
    /// the switch.
    pub(crate) fn serve(&self, call: From, answer: &mpsc::Receiver<Answer>, held: Instant) -> Option<Answer> {
        let gate = self.gate.as_ref()?;
        while Instant::now() < held && !self.world.is_given_up() {
            gate.serve(&*self.world, call);
            if let Ok(answer) = answer.recv_timeout(LOOK_EVERY) {
                gate.served();
                return Some(answer);
            }
        }
        None
    }

    /// Lowers the gate, if it is up, and returns the times for which members were held.
    pub fn lower(&mut self) -> Pause {
        let (Some(raised), Some(gate)) = (self.raised.take(), self.gate.take()) else {
            return self.pause;
        };
        gate.lower(&self.world.gate, &*self.world);
        self.world.gate.tear_down();
        let lowered = raised.elapsed();
        let rested = self.rested.drain(..).map(|rest| lowered.saturating_sub(rest)).collect();
        self.pause = Pause::of(rested, self.clean, lowered);
        self.pause
    }

    /// Installs every shadow, and moves other users of stale code on to the current code. Returns
    /// when all idle processes are done, or at the deadline.
    pub fn sweep(&self, deadline: Instant) {
        sweep(&self.world, deadline);
    }

    /// Frees reserved names, and drops shadows in the background: no caller waits for the memory.
    fn sweep_soon(&self) {
        self.world.registry.drop_reserved();
        sweep(&self.world, Instant::now());
    }

    /// Ends the upgrade, switched or not: closes the journal and removes the gate.
    pub fn finish(mut self) -> Entries {
        self.end()
    }

    fn end(&mut self) -> Entries {
        if self.raised.is_some() {
            self.lower();
        } else if self.gate.take().is_some() {
            self.world.gate.tear_down();
        }
        if self.world.fates.of(self.number) == Fate::Open {
            self.world.fates.set(self.number, Fate::Aborted);
            self.world.code.unstage();
            self.sweep_soon();
        }
        self.world.journal.close()
    }
}

impl Drop for Upgrade {
    fn drop(&mut self) {
        self.end();
    }
}
