//! An upgrade as the process world sees it: stage, pre-copy, raise, convert, switch, lower, sweep; or abort.
//!
//! ```text
//! enlist   finds the members, O(N): everybody is dirty
//! precopy  rounds over the dirty ones, while everything runs: who rests gets a shadow and is clean, until it begins a
//!          callback
//! raise    looks at the dirty ones, and waits until they rest: the pause begins
//! convert  the dirty ones
//! switch   flips
//! serve    lets members answer what waits for them though they are held: a child that starts
//! lower    wakes who was parked: the pause ends
//! sweep    moves the shadows in, O(N)
//! ```
//!
//! So nothing in the pause grows with the number of members, as long as few of them run. Until the switch nothing that a
//! process can see has changed: new code is *staged*, new states are *shadows* beside the live ones. The switch flips
//! the tables and the fate of all shadows with two stores; a process takes its shadow at its next activation, or the
//! sweep does it for it. So aborting is forgetting.
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

/// How often pre-copy goes over those that ran meanwhile, at most.
const ROUNDS: usize = 3;
/// So few dirty processes are converted inside the pause rather than in another round: it takes well below a
/// millisecond.
const FEW: usize = 128;

/// One upgrade under way. One at a time per node.
pub struct Upgrade {
    world: Arc<World>,
    /// Hears of members that run or are born; up while they are held.
    gate: Option<Arc<Gate>>,
    /// Its number among the [`Fates`]; another one after each discard.
    number: usize,
    /// Who is held while the gate is up.
    members: Members,
    /// Their direct supervisors that are none themselves, in order; held too.
    supervisors: Vec<Pid>,
    /// Those of `members` that were born when the others were known.
    newborn: Vec<Pid>,
    /// No round of pre-copy has gone over the members yet: all are dirty.
    is_unseen: bool,
    /// The members that had no shadow when they were brought to rest.
    dirty: Members,
    /// What became of the children of supervisors that have a shadow from the pre-copy, by module.
    children: HashMap<String, BTreeMap<Pid, Change>>,
    /// How many had a shadow when all had come to rest.
    precopied: usize,
    /// Of how many of these the way back was tried.
    tried: usize,
    /// How long those that were dirty took to come to rest.
    rested: Vec<Duration>,
    /// How many rested when the gate was raised, without being looked at.
    clean: usize,
    raised: Option<Instant>,
    /// How long members were held until the gate came down.
    pause: Pause,
    left: Vec<Pid>,
    /// Children, by supervisor and id, that are deleted right after the switch.
    leaving: Arc<[(Pid, Bytes)]>,
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
            left: Vec::new(),
            leaving: Arc::default(),
        }
    }

    /// Returns what happened since staging.
    pub fn journal(&self) -> Entries {
        self.world.journal.read()
    }

    /// Returns the members, those born since staging included.
    pub fn members(&self) -> impl Iterator<Item = Pid> {
        self.members.iter()
    }

    /// Returns how many members there are.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// Returns the members that were born after [`Upgrade::enlist`].
    pub fn newborn(&self) -> &[Pid] {
        &self.newborn
    }

    /// Returns how many members had a shadow already when all had come to rest.
    pub fn precopied(&self) -> usize {
        self.precopied
    }

    /// Returns of how many of these members the way back was tried.
    pub fn tried(&self) -> usize {
        self.tried
    }

    /// Returns the members that are not converted: they did not come to rest, or were given up.
    pub fn left(&self) -> &[Pid] {
        &self.left
    }

    /// Finds all processes of these modules and their direct supervisors, and hears of each that runs or is born from
    /// now on. Takes as long as there are processes; nobody is held.
    ///
    /// `include` says of a process and its parent whether it is a member; orphans may not be. Who is born later is one.
    pub fn enlist<'a>(
        &mut self,
        modules: impl IntoIterator<Item = &'a str>,
        include: impl Fn(Pid, Option<Pid>) -> bool,
    ) {
        let gate = self.world.gate.build(modules.into_iter().map(str::to_owned).collect());
        // The gate listens already: whoever is born while members are looked for makes itself known.
        (self.members, self.supervisors) = members::find(&self.world, &gate, include);
        gate.oversee(&self.supervisors);
        (self.is_unseen, self.newborn, self.left) = (true, Vec::new(), Vec::new());
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

    /// Converts the states of the members of these modules to shadows while everything runs, so that few are left to
    /// convert when members are held. Each state may take `limit`. `[enlisted]`
    ///
    /// A process that begins a callback afterwards drops its shadow and is gone over again, here or by
    /// [`Upgrade::convert`]. Members of other modules, and those given up, get none.
    ///
    /// Where the way back is tried, a shadow is placed only when it was carried back.
    ///
    /// # Errors
    /// The first process whose conversion, or trial, failed or did not come back. Nothing is left
    /// of the others, and nobody was held.
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
            let everybody = std::mem::take(&mut self.is_unseen);
            let dirty = gate.take_dirty();
            let is_enough = rounds == ROUNDS || dirty.len() <= FEW || dirty.len() >= before;
            if is_enough && !everybody {
                gate.note(dirty);
                break;
            }
            before = if everybody { usize::MAX } else { dirty.len() };
            rounds += 1;
            let todo = if everybody { self.everybody() } else { self.sorted(dirty) };
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

    /// One round of pre-copy over these processes. Returns how long its trials took.
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
        let (leaving, upgrade) = (Arc::clone(&self.leaving), self.number);
        convert::convert(&self.world, Order { pids, to, leaving, upgrade, round, is_held }, limit)
    }

    fn everybody(&self) -> Todo {
        let mut todo = Todo { members: self.members.clone(), held: self.supervisors.clone() };
        if !self.left.is_empty() {
            let left: HashSet<Pid> = self.left.iter().copied().collect();
            todo.members.0.values_mut().for_each(|pids| pids.retain(|pid| !left.contains(pid)));
            todo.held.extend(left);
        }
        todo
    }

    /// Sorts some members and supervisors by what is to be done about them; the dead drop out.
    fn sorted(&self, pids: Vec<Pid>) -> Todo {
        let left: HashSet<Pid> = self.left.iter().copied().collect();
        let mut todo = Todo::default();
        for pid in pids {
            if left.contains(&pid) || self.supervisors.binary_search(&pid).is_ok() {
                todo.held.push(pid);
            } else {
                self.world.module(pid, |module| todo.members.add(module, pid));
            }
        }
        todo
    }

    /// Raises the gate and brings all processes of these modules to rest. Only the dirty ones are looked at; without a
    /// pre-copy over the same modules these are all.
    ///
    /// `include` is [`Upgrade::enlist`]'s, for an upgrade without pre-copy.
    ///
    /// # Errors
    /// The members that did not come to rest in their time and whose module does not allow that; the gate is down
    /// again then.
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
        // Those that drained first came to rest by now at the latest; each of them is held from then on.
        self.rested.extend(std::iter::repeat_n(raised.elapsed(), draining));
        self.clean = held.saturating_sub(seen);
        match result {
            Ok(late) => {
                self.left.extend(late);
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

    /// Notes children, by supervisor and id, that are deleted right after the switch: the code that is to come need not
    /// take their start arguments.
    pub fn leave(&mut self, children: Vec<(Pid, Bytes)>) {
        self.leaving = children.into();
    }

    /// Leaves these members out of all conversions: they are to be killed after the switch.
    pub fn give_up(&mut self, pids: &[Pid]) {
        self.left.extend(pids);
    }

    /// Converts the states of those members of one module to shadows that have none; each may take `limit`. `[raised]`
    ///
    /// Returns how many it converted, and the changes of all supervisors of the module, those of the pre-copy included.
    ///
    /// # Errors
    /// The first process whose conversion failed or did not come back. What was converted stays until the switch or
    /// [`Upgrade::discard`].
    pub fn convert(&self, module: &str, how: Conversion, limit: Duration) -> Result<Converted, ConvertError> {
        let Some(code) = self.world.code.staged(module) else { return Ok(Converted::default()) };
        if let Some(current) = self.world.code.current(module) {
            code.replaces(&current, how.cut().clone());
        }
        let round = self.world.gate.begin_round();
        // Nothing is tried inside the pause.
        let passage = Passage { how, back: None };
        let done = self.go_over(self.dirty_of(module), Some((code, passage)), round, true, limit)?;
        let mut children = self.children.get(module).cloned().unwrap_or_default();
        children.retain(|pid, _| !self.left.contains(pid));
        children.extend(done.converted.children);
        Ok(Converted { processes: done.converted.processes, children: children.into_iter().collect() })
    }

    fn dirty_of(&self, module: &str) -> Vec<Pid> {
        let left: HashSet<Pid> = self.left.iter().copied().collect();
        self.dirty.of(module).iter().filter(|pid| !left.contains(pid)).copied().collect()
    }

    /// Returns the members of these modules that live, rest, and have no shadow. Only those that were dirty when they
    /// were brought to rest can be among them.
    pub fn unconverted(&self, modules: &[&str]) -> Vec<Pid> {
        let lacks = |pid: &Pid| {
            let slot = self.world.slot(*pid)?;
            slot.peek(pid.generation, |body| {
                // A supervisor's state is the daemon's own; without a new init nothing of it changes.
                let stateful = body.instance().is_some_and(|instance| instance.own().is_none());
                stateful && body.shadow.is_none()
            })
        };
        let dirty = modules.iter().flat_map(|module| self.dirty_of(module));
        dirty.filter(|pid| lacks(pid) == Some(true)).collect()
    }

    /// Drops all shadows; a conversion may begin anew.
    pub fn discard(&mut self) {
        self.world.fates.set(self.number, Fate::Aborted);
        self.number = self.world.fates.begin();
        self.children.clear();
        if self.raised.is_some() {
            self.dirty = self.members.clone();
        } else if self.gate.take().is_some() {
            // Nobody is clean any more: who goes on from here enlists anew.
            self.world.gate.tear_down();
        }
        self.sweep_soon();
    }

    /// Makes the staged code current and the shadows the states. Cannot fail, writes a few words. `[raised]`
    pub fn switch(&mut self) {
        self.world.code.switch();
        self.world.fates.set(self.number, Fate::Committed);
    }

    /// Lets a call through, and what it waits for, until it is answered. Returns `None` where it is not at `held`, or no
    /// gate is up. `[switched]`
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

    /// Lowers the gate, if it is up, and says how long each member was held.
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

    /// Moves every shadow into place (who has one runs stale code until then), and users of stale code that have none on
    /// to the current code. Returns when all idle processes are done, or at the deadline.
    pub fn sweep(&self, deadline: Instant) {
        sweep(&self.world, deadline);
    }

    /// Drops shadows in the background: nobody waits for memory.
    fn sweep_soon(&self) {
        sweep(&self.world, Instant::now());
    }

    /// Ends the upgrade, whatever came of it: closes the journal, takes the gate away.
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
