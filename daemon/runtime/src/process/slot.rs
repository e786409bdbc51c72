//! The claim protocol: which thread may touch a process, and when the process must be run.
//!
//! A slot is one place of the process table. Its lock guards the mail, the signals and the *body*
//! of the process in that place. **While the body is present, no thread runs the process**: to run,
//! convert or end the process, a thread takes the body out under the lock (a claim). That thread
//! then owns the body until it puts the body back or closes the slot. There is no second lock.
//!
//! | body    | scheduled | meaning                                                       |
//! |---------|-----------|---------------------------------------------------------------|
//! | present | no        | idle, or held: mail may wait, and no worker will look at it   |
//! | present | yes       | the slot's number is in a run queue                           |
//! | taken   | yes       | claimed: new arrivals are seen when the body is put back      |
//!
//! Mail wakes a process only while no [`Hold`] is set; signals always wake it. The operations never
//! schedule by themselves: they return [`Wake`] and the caller acts on it, so loom can check the
//! protocol without a scheduler.

use std::num::NonZeroU32;
use std::ops::{BitOr, BitOrAssign};

use crate::process::queue::Queue;
use crate::words::sync::{AtomicBool, AtomicU32, Mutex, MutexGuard, Ordering};

/// The types that make up a process.
pub(crate) trait Kind {
    /// The part that a claim takes out.
    type Body;
    /// Messages that wait while the process is held.
    type Mail;
    /// Signals that wake the process even while it is held.
    type Signal;
    /// The part that other threads can read even while the body is taken.
    type Card: Clone;

    /// Makes room for the first mail of an empty mailbox.
    fn room_for_mail() -> Queue<Self::Mail> {
        Queue::EMPTY
    }

    /// Makes room for the first signal.
    fn room_for_signals() -> Queue<Self::Signal> {
        Queue::EMPTY
    }
}

/// Whether the caller has to put the process into a run queue.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Schedule,
    Nothing,
}

/// The reasons why mail does not wake a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Hold(u8);

impl Hold {
    pub(crate) const NONE: Self = Self(0);
    /// A callback waits: only its answers let it continue.
    pub(crate) const WAITING: Self = Self(1);
    /// A system message has suspended the process.
    pub(crate) const SUSPENDED: Self = Self(2);
    /// The raised gate of an upgrade has stopped the process.
    pub(crate) const PARKED: Self = Self(4);

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Hold {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Hold {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// Identifies the gate of one upgrade.
pub(crate) type GateNumber = NonZeroU32;

/// One place of the process table. It has a cache line of its own, so that threads with processes
/// in neighbouring places do not slow each other down.
#[repr(align(64))]
pub(crate) struct Slot<K: Kind> {
    live: Mutex<Option<Live<K>>>,
    /// The generation of the process that lives here now, or lived here last. It is read and
    /// written under the lock, and is outside only because it finds room there.
    generation: AtomicU32,
    /// Set with every signal, and when the running process has work before its next message. So a
    /// running process can check for both between two callbacks without taking the lock.
    attention: AtomicBool,
}

struct Live<K: Kind> {
    body: Option<K::Body>,
    card: K::Card,
    mail: Queue<K::Mail>,
    signals: Queue<K::Signal>,
    scheduled: bool,
    hold: Hold,
    bound: Option<Box<Bound>>,
    /// The gate that waits for this process to come to rest. A number is needed rather than a flag,
    /// because an older gate may have left its mark behind.
    counted: Option<GateNumber>,
}

/// The mailbox bound of a process that has set one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    /// How many messages may wait at once.
    pub(crate) max: usize,
    /// How many messages the claimer has taken out and not handled yet.
    held: usize,
    /// How many messages found the mailbox full.
    pub(crate) refused: u64,
}

/// Whether a full mailbox accepts a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Accepts the message, because the process itself has asked for it.
    Always,
    /// Refuses the message.
    Bounded,
}

/// Mail that was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unposted<M> {
    /// The process has ended.
    Dead(M),
    /// The mailbox is full; the number counts the refusals so far.
    Full(M, u64),
}

/// A body that was taken out, with the mail and signals that had arrived for it.
pub(crate) struct Claim<K: Kind> {
    pub(crate) body: K::Body,
    pub(crate) mail: Queue<K::Mail>,
    pub(crate) signals: Queue<K::Signal>,
}

/// The reason why a process could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unclaimed {
    /// The process has ended.
    Dead,
    /// Another thread has the body. It will see the new arrivals when it puts the body back.
    Taken,
}

/// A view of a process from outside.
pub(crate) struct Glance<K: Kind> {
    pub(crate) card: K::Card,
    pub(crate) queued: usize,
    pub(crate) bound: Option<Bound>,
    pub(crate) hold: Hold,
    pub(crate) taken: bool,
    pub(crate) scheduled: bool,
}

/// The state in which a gate finds a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// No callback runs or waits.
    Quiet,
    /// A callback runs or waits. The process is now marked as counted, and [`PutBack::rested`] will
    /// report when it comes to rest.
    Counted,
    /// The process has ended.
    Dead,
}

/// The result of putting a body back.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PutBack {
    pub(crate) wake: Wake,
    /// The gate that counted the process, if the process has come to rest now.
    pub(crate) rested: Option<GateNumber>,
}

impl<K: Kind> Slot<K> {
    /// Returns a place that no process has used yet.
    pub(crate) fn empty() -> Self {
        let (generation, attention) = (AtomicU32::new(0), AtomicBool::new(false));
        Self { live: Mutex::new(None), generation, attention }
    }

    fn live(&self, generation: u32) -> Option<LiveGuard<'_, K>> {
        let guard = self.live.lock();
        (self.generation() == generation && guard.is_some()).then_some(LiveGuard(guard))
    }

    /// Returns the generation. The caller has the lock.
    fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Opens the slot for a new process, already scheduled. `body` makes the body for the new
    /// generation. Returns `None` when the generations of this slot are used up: the slot must not
    /// be offered again.
    pub(crate) fn open(&self, card: K::Card, body: impl FnOnce(u32) -> K::Body) -> Option<u32> {
        let mut live = self.live.lock();
        debug_assert!(live.is_none(), "a slot was offered while its process lives");
        let generation = self.generation().checked_add(1)?;
        self.generation.store(generation, Ordering::Relaxed);
        *live = Some(Live {
            body: Some(body(generation)),
            card,
            mail: Queue::EMPTY,
            signals: Queue::EMPTY,
            scheduled: true,
            hold: Hold::NONE,
            bound: None,
            counted: None,
        });
        Some(generation)
    }

    /// Appends a message and returns how many now wait in this slot. Returns the message itself
    /// when the process has ended or its mailbox is full.
    pub(crate) fn push_mail(
        &self,
        generation: u32,
        mail: K::Mail,
        room: Room,
    ) -> Result<(Wake, usize), Unposted<K::Mail>> {
        let Some(mut live) = self.live(generation) else { return Err(Unposted::Dead(mail)) };
        let queued = live.mail.len() + 1;
        if let Some(bound) = &mut live.bound
            && room == Room::Bounded
            && bound.held + queued > bound.max
        {
            bound.refused += 1;
            return Err(Unposted::Full(mail, bound.refused));
        }
        if !live.mail.has_buffer() {
            live.mail = K::room_for_mail();
        }
        live.mail.push_back(mail);
        Ok((if live.hold == Hold::NONE { live.schedule() } else { Wake::Nothing }, queued))
    }

    /// Appends a signal, or returns it when the process has ended.
    pub(crate) fn push_signal(&self, generation: u32, signal: K::Signal) -> Result<Wake, K::Signal> {
        let Some(mut live) = self.live(generation) else { return Err(signal) };
        if !live.signals.has_buffer() {
            live.signals = K::room_for_signals();
        }
        live.signals.push_back(signal);
        self.attention.store(true, Ordering::Release);
        Ok(live.schedule())
    }

    /// Claims the process that lives in this slot now, of any generation.
    pub(crate) fn claim_any(&self) -> Result<Claim<K>, Unclaimed> {
        let mut guard = self.live.lock();
        guard.as_mut().map_or(Err(Unclaimed::Dead), |live| self.take(live))
    }

    fn take(&self, live: &mut Live<K>) -> Result<Claim<K>, Unclaimed> {
        let body = live.body.take().ok_or(Unclaimed::Taken)?;
        live.scheduled = true;
        if let Some(bound) = &mut live.bound {
            bound.held += live.mail.len();
        }
        self.attention.store(false, Ordering::Release);
        Ok(Claim { body, mail: std::mem::take(&mut live.mail), signals: std::mem::take(&mut live.signals) })
    }

    /// Returns whether signals may have arrived since the claim, or the process was interrupted.
    /// Costs one load.
    pub(crate) fn wants_attention(&self) -> bool {
        self.attention.load(Ordering::Acquire)
    }

    /// Returns the flag behind [`Slot::wants_attention`].
    pub(crate) fn attention(&self) -> &AtomicBool {
        &self.attention
    }

    /// Makes the claimer look for signals before its next message. The claimer itself calls this.
    pub(crate) fn interrupt(&self) {
        self.attention.store(true, Ordering::Release);
    }

    /// Takes the signals that have arrived since the claim. Only the claimer calls this.
    pub(crate) fn more_signals(&self) -> Queue<K::Signal> {
        let mut guard = self.live.lock();
        self.attention.store(false, Ordering::Release);
        guard.as_mut().map(|live| std::mem::take(&mut live.signals)).unwrap_or_default()
    }

    /// Takes the body for a moment and leaves mail and signals in place. [`Slot::leave`] ends the
    /// visit.
    pub(crate) fn visit(&self, generation: u32) -> Result<K::Body, Unclaimed> {
        let mut live = self.live(generation).ok_or(Unclaimed::Dead)?;
        let body = live.body.take().ok_or(Unclaimed::Taken)?;
        live.scheduled = true;
        Ok(body)
    }

    /// Visits the process that lives in this slot now if `wants` returns true for its card and its
    /// body. If the body is taken, `wants` gets `None` for it, and the caller gets the generation
    /// without a body.
    pub(crate) fn visit_if(
        &self,
        wants: impl FnOnce(&K::Card, Option<&K::Body>) -> bool,
    ) -> Option<(u32, Option<K::Body>)> {
        let mut guard = self.live.lock();
        let generation = self.generation();
        let live = guard.as_mut().filter(|live| wants(&live.card, live.body.as_ref()))?;
        live.scheduled = true;
        Some((generation, live.body.take()))
    }

    /// Ends a visit. `left` is true if the body itself has work left.
    pub(crate) fn leave(&self, body: K::Body, left: bool) -> PutBack {
        self.give_back(body, None, left)
    }

    /// Ends a claim. From now on `hold` decides whether mail wakes the process. `left` is true if
    /// the body itself has work left.
    pub(crate) fn put_back(&self, body: K::Body, hold: Hold, left: bool) -> PutBack {
        self.give_back(body, Some(hold), left)
    }

    fn give_back(&self, body: K::Body, hold: Option<Hold>, left: bool) -> PutBack {
        let mut guard = self.live.lock();
        let Some(live) = guard.as_mut() else {
            debug_assert!(false, "a body came back to a closed slot; only its claimer closes a slot");
            return PutBack { wake: Wake::Nothing, rested: None };
        };
        live.body = Some(body);
        live.hold = hold.unwrap_or(live.hold);
        live.scheduled = false;
        let rested = if live.hold.has(Hold::WAITING) { None } else { live.counted.take() };
        let work = !live.signals.is_empty() || (live.hold == Hold::NONE && (left || !live.mail.is_empty()));
        PutBack { wake: if work { live.schedule() } else { Wake::Nothing }, rested }
    }

    /// Ends a claim and the process. Returns the mail and signals that were not handled any more,
    /// and the gate that had counted the process.
    pub(crate) fn close(&self) -> (Queue<K::Mail>, Queue<K::Signal>, Option<GateNumber>) {
        let live = self.live.lock().take();
        live.map_or_else(Default::default, |live| (live.mail, live.signals, live.counted))
    }

    /// Sets or removes the mailbox bound. Only the claimer calls this; `held` is the number of
    /// messages that it has taken out and not handled yet.
    pub(crate) fn set_bound(&self, max: Option<usize>, held: usize) {
        if let Some(live) = self.live.lock().as_mut() {
            let refused = live.bound.as_ref().map_or(0, |bound| bound.refused);
            live.bound = max.map(|max| Box::new(Bound { max, held, refused }));
        }
    }

    /// Records how many messages the claimer has not handled yet. Only the claimer calls this.
    pub(crate) fn set_held(&self, held: usize) {
        if let Some(bound) = self.live.lock().as_mut().and_then(|live| live.bound.as_mut()) {
            bound.held = held;
        }
    }

    /// Lets mail wake a parked process again.
    pub(crate) fn unpark(&self, generation: u32) -> Wake {
        let Some(mut live) = self.live(generation) else { return Wake::Nothing };
        live.hold = live.hold.without(Hold::PARKED);
        // The process is scheduled even if no mail waits here: the body may hold mail too, which
        // only its next claimer can see.
        live.schedule()
    }

    /// Checks whether the process rests. If it does not, marks it as counted by that gate.
    pub(crate) fn rest(&self, generation: u32, gate: GateNumber) -> Rest {
        let Some(mut live) = self.live(generation) else { return Rest::Dead };
        let at_rest = live.body.is_some() && !live.hold.has(Hold::WAITING);
        live.counted = (!at_rest).then_some(gate);
        if at_rest { Rest::Quiet } else { Rest::Counted }
    }

    /// Marks a process as counted that its claimer is about to run although the gate is raised.
    /// Returns false if that gate had already counted it.
    pub(crate) fn count(&self, gate: GateNumber) -> bool {
        let mut guard = self.live.lock();
        guard.as_mut().is_some_and(|live| live.counted.replace(gate) != Some(gate))
    }

    /// Lets `look` read the card of the process that lives in this slot now, of any generation.
    pub(crate) fn card_any<R>(&self, look: impl FnOnce(u32, &K::Card) -> R) -> Option<R> {
        let guard = self.live.lock();
        guard.as_ref().map(|live| look(self.generation(), &live.card))
    }

    /// Lets `look` read the process that lives in this slot now, all under one lock: its card, its
    /// body (`None` while it is taken), the number of waiting messages, and its holds.
    pub(crate) fn survey<R>(
        &self,
        look: impl FnOnce(&K::Card, Option<&K::Body>, usize, Hold) -> R,
    ) -> Option<R> {
        let guard = self.live.lock();
        guard.as_ref().map(|live| look(&live.card, live.body.as_ref(), live.mail.len(), live.hold))
    }

    /// Lets `look` read the card of one process.
    pub(crate) fn card<R>(&self, generation: u32, look: impl FnOnce(&K::Card) -> R) -> Option<R> {
        self.live(generation).map(|live| look(&live.card))
    }

    /// Returns whether that gate waits for this process.
    pub(crate) fn is_counted(&self, generation: u32, gate: GateNumber) -> bool {
        self.live(generation).is_some_and(|live| live.counted == Some(gate))
    }

    /// Returns a view of one process. `look` reads body and mail under the same lock, unless the
    /// body is taken.
    pub(crate) fn glance<R>(
        &self,
        generation: u32,
        look: impl FnOnce(&K::Body, &Queue<K::Mail>) -> R,
    ) -> Option<(Glance<K>, Option<R>)> {
        let live = self.live(generation)?;
        Some((Glance::of(&live), live.body.as_ref().map(|body| look(body, &live.mail))))
    }

    /// Lets `look` read the body, unless it is taken.
    pub(crate) fn peek<R>(&self, generation: u32, look: impl FnOnce(&K::Body) -> R) -> Option<R> {
        self.live(generation)?.body.as_ref().map(look)
    }

    /// Gives a process another card.
    pub(crate) fn set_card(&self, generation: u32, card: K::Card) {
        if let Some(mut live) = self.live(generation) {
            live.card = card;
        }
    }
}

impl<K: Kind> Live<K> {
    fn schedule(&mut self) -> Wake {
        if std::mem::replace(&mut self.scheduled, true) { Wake::Nothing } else { Wake::Schedule }
    }
}

impl<K: Kind> Glance<K> {
    fn of(live: &Live<K>) -> Self {
        Self {
            card: live.card.clone(),
            queued: live.mail.len(),
            bound: live.bound.as_deref().copied(),
            hold: live.hold,
            taken: live.body.is_none(),
            scheduled: live.scheduled,
        }
    }
}

/// A lock on a slot with a live process.
struct LiveGuard<'a, K: Kind>(MutexGuard<'a, Option<Live<K>>>);

impl<K: Kind> std::ops::Deref for LiveGuard<'_, K> {
    type Target = Live<K>;

    fn deref(&self) -> &Live<K> {
        self.0.as_ref().expect("checked when the guard was made")
    }
}

impl<K: Kind> std::ops::DerefMut for LiveGuard<'_, K> {
    fn deref_mut(&mut self) -> &mut Live<K> {
        self.0.as_mut().expect("checked when the guard was made")
    }
}

#[cfg(all(test, feature = "loom"))]
mod model;
