//! An upgrade as the process world sees it: stage, raise, convert, switch, lower, sweep; or abort.
//!
//! Until the switch nothing that a process can see has changed: new code is *staged*, new states are *shadows* beside
//! the live ones. The switch flips the tables and the fate of all shadows with two stores; a process takes its shadow
//! at its next activation, or the sweep does it for it. So aborting is forgetting.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::code::{Behaviour, Instance, Module};
use crate::code_server::Code;
use crate::context;
use crate::convert::{self, Conversion, ConvertError, Converted, leave};
use crate::exit::Exit;
use crate::gate::{self, Gate, Member, Processes};
use crate::journal::Entries;
use crate::pid::Pid;
use crate::process::{Actor, Body, Card, Signal};
use crate::slot::Unclaimed;
use crate::supervisor;
use crate::world::World;

/// How many processes a pool job sweeps before it lets others run.
const CHUNK: usize = 128;

/// What has become of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Open = 0,
    Committed = 1,
    Aborted = 2,
}

/// The fates of all upgrades of a node, by number: a byte each, for the node's life. Shadows carry the number, for a
/// counted reference would be one that all workers write to.
#[derive(Debug, Default)]
pub(crate) struct Fates(boxcar::Vec<AtomicU8>);

impl Fates {
    /// Begins an upgrade and returns its number.
    fn begin(&self) -> usize {
        self.0.push(AtomicU8::new(Fate::Open as u8))
    }

    pub(crate) fn of(&self, upgrade: usize) -> Fate {
        match self.0.get(upgrade).map(|fate| fate.load(Ordering::Acquire)) {
            Some(0) => Fate::Open,
            Some(1) => Fate::Committed,
            _ => Fate::Aborted,
        }
    }

    fn set(&self, upgrade: usize, fate: Fate) {
        if let Some(slot) = self.0.get(upgrade) {
            slot.store(fate as u8, Ordering::Release);
        }
    }
}

/// A converted state beside the live one.
pub(crate) struct Shadow {
    pub(crate) upgrade: usize,
    pub(crate) code: Arc<Code>,
    pub(crate) instance: Box<dyn Instance>,
}

/// How long members were held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pause {
    /// Median.
    pub p50: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// Longest.
    pub max: Duration,
    /// How many were held.
    pub processes: usize,
}

/// One upgrade under way. One at a time per node.
pub struct Upgrade {
    world: Arc<World>,
    gate: Option<Arc<Gate>>,
    /// Its number among the [`Fates`]; another one after each discard.
    number: usize,
    /// Who is held while the gate is up.
    members: Members,
    /// Which of `members` came to rest, and when (from the raise on).
    rested: Vec<Duration>,
    raised: Option<Instant>,
    left: Vec<Pid>,
}

/// The members of an upgrade, by module.
#[derive(Default)]
struct Members(HashMap<String, Vec<Pid>>);

impl Members {
    /// Adds a process of that module; one whose state cannot be converted is none.
    fn add(&mut self, module: Option<&str>, pid: Pid) {
        let Some(module) = module else { return };
        self.0.entry(module.to_owned()).or_default().push(pid);
    }

    fn of(&self, module: &str) -> &[Pid] {
        self.0.get(module).map_or(&[], Vec::as_slice)
    }

    fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn iter(&self) -> impl Iterator<Item = Pid> + Clone {
        self.0.values().flatten().copied()
    }
}

/// The codes met while members are looked for. Thousands of processes share a few, so each name is looked up once.
struct Codes<'a> {
    gate: &'a Gate,
    /// Code that is to become current. Who runs it already, as processes of a restarted app do, has nothing to change.
    staged: Vec<Arc<Code>>,
    met: Vec<(Arc<Code>, bool)>,
    last: usize,
}

impl Codes<'_> {
    /// Returns the number of a process's code, if such processes are members.
    fn number(&mut self, card: &Card) -> Option<usize> {
        let is_its = |(code, _): &(Arc<Code>, bool)| Arc::ptr_eq(code, &card.code);
        if !self.met.get(self.last).is_some_and(is_its) {
            self.last = self.met.iter().position(is_its).unwrap_or_else(|| {
                let is_new = self.staged.iter().any(|staged| Arc::ptr_eq(staged, &card.code));
                let is_member = !is_new && self.gate.is_member(card.stateful_module());
                self.met.push((Arc::clone(&card.code), is_member));
                self.met.len() - 1
            });
        }
        self.met[self.last].1.then_some(self.last)
    }
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
            rested: Vec::new(),
            raised: None,
            left: Vec::new(),
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

    /// Returns the members that did not come to rest and are not converted.
    pub fn left(&self) -> &[Pid] {
        &self.left
    }

    /// Raises the gate and brings all processes of these modules to rest.
    ///
    /// `include` says of a process and its parent whether it is a member; orphans may not be.
    ///
    /// # Errors
    /// The members that did not come to rest in their time and whose module does not allow that; the gate is down
    /// again then.
    pub fn raise(
        &mut self,
        members: HashMap<String, Member>,
        include: impl Fn(Pid, Option<Pid>) -> bool,
    ) -> Result<(), Vec<Pid>> {
        let gate = self.world.gate.build(members);
        // Found before the gate is up; whoever is born meanwhile makes itself known to the gate.
        let (members, supervisors) = self.find_members(&gate, include);
        self.members = members;
        self.gate = Some(Arc::clone(&gate));
        let raised = Instant::now();
        self.raised = Some(raised);
        let mut rested = Vec::with_capacity(self.members.len());
        let result = gate.raise(&self.world.gate, &*self.world, self.members.iter(), &supervisors, |_| {
            rested.push(raised.elapsed());
        });
        // Those that drained first came to rest by now at the latest; each of them is held from then on.
        let drained = self.members.len().saturating_sub(rested.len());
        rested.extend(std::iter::repeat_n(raised.elapsed(), drained));
        self.rested = rested;
        match result {
            Ok(left) => {
                for pid in gate.newborn(self.members.iter()) {
                    self.world.module(pid, |module| self.members.add(module, pid));
                }
                self.left = left;
                Ok(())
            }
            Err(late) => {
                self.lower();
                Err(late)
            }
        }
    }

    /// Returns the members and their direct supervisors. `include` is asked when no process is locked: it may look at
    /// them.
    fn find_members(&self, gate: &Gate, include: impl Fn(Pid, Option<Pid>) -> bool) -> (Members, Vec<Pid>) {
        let mut codes = Codes { gate, staged: self.world.code.all_staged(), met: Vec::new(), last: 0 };
        let mut found = self.world.collect(|pid, card| Some((pid, card.parent, codes.number(card)?)));
        found.retain(|(pid, parent, _)| include(*pid, (*parent != Pid::NONE).then_some(*parent)));
        let mut pids = vec![Vec::new(); codes.met.len()];
        for (pid, _, code) in &found {
            pids[*code].push(*pid);
        }
        let mut members = Members::default();
        for ((code, _), pids) in codes.met.iter().zip(pids).filter(|(_, pids)| !pids.is_empty()) {
            members.0.entry(code.name().to_owned()).or_default().extend(pids);
        }
        let parents = found.iter().map(|(_, parent, _)| *parent);
        let supervisors = gate::supervisors_of(parents, members.iter());
        (members, supervisors)
    }

    /// Leaves these members out of all conversions: they are to be killed after the switch.
    pub fn give_up(&mut self, pids: &[Pid]) {
        self.left.extend(pids);
    }

    /// Converts the states of all members of one module to shadows; each may take `limit`. `[raised]`
    ///
    /// # Errors
    /// The first process whose conversion failed or did not come back. What was converted stays until the switch or
    /// [`Upgrade::discard`].
    pub fn convert(&self, module: &str, how: Conversion, limit: Duration) -> Result<Converted, ConvertError> {
        let Some(code) = self.world.code.staged(module) else { return Ok(Converted::default()) };
        convert::convert(&self.world, self.members_of(module), code, how, self.number, limit)
    }

    fn members_of(&self, module: &str) -> Vec<Pid> {
        self.members.of(module).iter().filter(|pid| !self.left.contains(pid)).copied().collect()
    }

    /// Returns the members of these modules that live, rest, and have no shadow.
    pub fn unconverted(&self, modules: &[&str]) -> Vec<Pid> {
        let lacks = |pid: &Pid| {
            let slot = self.world.slot(*pid)?;
            slot.peek(pid.generation, |body| {
                // A supervisor's state is the daemon's own; without a new init nothing of it changes.
                let stateful = body.instance().is_some_and(|instance| instance.supervisor().is_none());
                stateful && body.shadow.is_none()
            })
        };
        let members = modules.iter().flat_map(|module| self.members.of(module)).copied();
        members.filter(|pid| lacks(pid) == Some(true) && !self.left.contains(pid)).collect()
    }

    /// Drops all shadows; a conversion may begin anew.
    pub fn discard(&mut self) {
        self.world.fates.set(self.number, Fate::Aborted);
        self.number = self.world.fates.begin();
        self.sweep_soon();
    }

    /// Makes the staged code current and the shadows the states. Cannot fail, writes a few words. `[raised]`
    pub fn switch(&mut self) {
        self.world.code.switch();
        self.world.fates.set(self.number, Fate::Committed);
    }

    /// Lowers the gate and says how long each member was held.
    pub fn lower(&mut self) -> Pause {
        let (Some(raised), Some(gate)) = (self.raised.take(), self.gate.take()) else {
            return Pause::default();
        };
        gate.lower(&self.world.gate, &*self.world);
        self.world.gate.tear_down();
        let lowered = raised.elapsed();
        Pause::of(self.rested.drain(..).map(|rest| lowered.saturating_sub(rest)).collect())
    }

    /// Moves every shadow into place (who has one runs stale code until then), and users of stale code that have none on
    /// to the current code. Returns when all idle processes are done, or at the deadline.
    pub fn sweep(&self, deadline: Instant) {
        sweep(&self.world, &self.users_of_stale_code(), deadline);
    }

    fn users_of_stale_code(&self) -> Vec<Pid> {
        self.world.find(|_, card| card.code.is_stale() && card.code.behaviour() != Behaviour::Task)
    }

    /// Drops shadows in the background: nobody waits for memory.
    fn sweep_soon(&self) {
        let members: Vec<Pid> = self.members.iter().collect();
        sweep(&self.world, &members, Instant::now());
    }

    /// Ends the upgrade, whatever came of it: closes the journal, takes the gate away.
    pub fn finish(mut self) -> Entries {
        self.end()
    }

    fn end(&mut self) -> Entries {
        if self.raised.is_some() {
            self.lower();
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

impl Pause {
    fn of(mut held: Vec<Duration>) -> Self {
        held.sort_unstable();
        let Some(last) = held.len().checked_sub(1) else { return Self::default() };
        let at = |per_cent: usize| held[last * per_cent / 100];
        Self { p50: at(50), p99: at(99), max: held[last], processes: held.len() }
    }
}

// --- taking shadows --------------------------------------------------------------------------------------------------

/// Takes the shadow of a committed upgrade, drops that of a failed one. For the claimer of the process.
pub(crate) fn settle(world: &World, body: &mut Body) {
    let Some(shadow) = body.shadow.take() else { return };
    match world.fates.of(shadow.upgrade) {
        Fate::Open => body.shadow = Some(shadow),
        Fate::Committed => {
            let Shadow { code, instance, .. } = *shadow;
            take_rows(world, body, &*instance);
            body.actor = Actor::Resting(instance);
            enter(world, body, code);
        }
        Fate::Aborted => {}
    }
}

/// Carries a process to the current version of its module, by bytes. For the claimer of the process, at a boundary.
pub(crate) fn move_on(world: &World, body: &mut Body) -> Result<(), Exit> {
    let Some(new) = world.code.current(body.card.code.name()) else { return Ok(()) };
    if Arc::ptr_eq(&new, &body.card.code) {
        return Ok(());
    }
    if body.card.code.behaviour() != Behaviour::Supervisor
        && let Some(instance) = body.instance()
    {
        let state = instance.export()?;
        body.actor = Actor::Resting(new.module.import(&state)?);
    }
    enter(world, body, new);
    Ok(())
}

/// Converts a suspended process by hand. OTP: `sys:change_code/4`.
pub(crate) fn change_by_hand(world: &World, body: &mut Body, from: &str, extra: &[u8]) -> Result<(), Exit> {
    let module = body.card.code.name().to_owned();
    let new = world
        .code
        .current(&module)
        .ok_or_else(|| Exit::Error(format!("module {module} has no current code")))?;
    let Actor::Resting(instance) = &body.actor else {
        return Err(Exit::Error(format!("{} has no state", body.pid)));
    };
    let changed = match instance.supervisor() {
        Some(old) => supervisor::change(old, &new, &world.code)?.0,
        None => new.module.change_code(from, &instance.export()?, extra)?,
    };
    take_rows(world, body, &*changed);
    body.actor = Actor::Resting(changed);
    enter(world, body, new);
    Ok(())
}

/// A changed supervisor has a table of its own.
fn take_rows(world: &World, body: &mut Body, instance: &dyn Instance) {
    if let Some(supervisor) = instance.supervisor() {
        context::publish(world, body, supervisor.rows());
    }
}

fn enter(world: &World, body: &mut Body, code: Arc<Code>) {
    body.card.code = Arc::clone(&code);
    if let Some(slot) = world.slot(body.pid) {
        slot.edit_card(body.pid.generation, |card| card.code = code);
    }
}

/// How long the sweep waits for processes that are running when it comes by. Theirs is a matter of one callback; one
/// that stays inside its callback moves on by itself when that returns.
const PASSING: Duration = Duration::from_millis(100);

/// Makes each of these processes take its shadow or move on, as far as they rest, and waits for that.
pub(crate) fn sweep(world: &Arc<World>, pids: &[Pid], deadline: Instant) {
    let (chunks, passing) = (Arc::new(Countdown::default()), Arc::new(Countdown::default()));
    for chunk in pids.chunks(CHUNK) {
        let (world_, chunk) = (Arc::clone(world), chunk.to_vec());
        let (left, passing) = (Pending::of(&chunks), Arc::clone(&passing));
        world.scheduler.job(Box::new(move || {
            chunk.iter().for_each(|pid| nudge(&world_, *pid, &passing));
            drop(left);
        }));
    }
    chunks.wait(deadline);
    passing.wait(deadline.min(Instant::now() + PASSING));
}

/// Does for a resting process what its next boundary would. One that is in a callback does it by itself there.
fn nudge(world: &World, pid: Pid, passing: &Arc<Countdown>) {
    let Some(slot) = world.slot(pid) else { return };
    let mut body = match slot.visit(pid.generation) {
        Ok(body) => body,
        Err(Unclaimed::Dead) => return,
        Err(Unclaimed::Taken) => {
            // It may be past its last boundary: this makes it come to another one.
            let passed = Pending::of(passing);
            world.signal(pid, Signal::System(Box::new(|_| drop(passed))));
            return;
        }
    };
    settle(world, &mut body);
    let undecided = body.shadow.is_some();
    let moves = body.card.code.is_stale() && !body.suspended && !undecided && body.instance().is_some();
    let moved = if moves { move_on(world, &mut body) } else { Ok(()) };
    leave(world, slot, body);
    if let Err(exit) = moved {
        world.signal(pid, Signal::End(exit));
    }
}

/// One thing that a countdown waits for; done, or given up, when it is dropped.
struct Pending(Arc<Countdown>);

impl Pending {
    fn of(countdown: &Arc<Countdown>) -> Self {
        *countdown.left.lock() += 1;
        Self(Arc::clone(countdown))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        *self.0.left.lock() -= 1;
        self.0.zero.notify_all();
    }
}

/// Counts what is still to come.
#[derive(Default)]
struct Countdown {
    left: Mutex<usize>,
    zero: Condvar,
}

impl Countdown {
    fn wait(&self, deadline: Instant) {
        let mut left = self.left.lock();
        while *left > 0 && !self.zero.wait_until(&mut left, deadline).timed_out() {}
    }
}
