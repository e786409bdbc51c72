//! The claim protocol: who may touch a process, and when it must be run.
//!
//! A slot is one place of the process table. Its lock guards the mail, the signals and the *body* of the process that
//! lives there. **Body present = nobody runs it**: whoever wants to run, convert or end a process takes the body out
//! under the lock (a claim) and puts it back. There is no second lock and no other owner.
//!
//! | body    | scheduled | meaning                                              |
//! |---------|-----------|------------------------------------------------------|
//! | present | no        | idle, or held: mail may wait, nobody will look       |
//! | present | yes       | its number is in a run queue                         |
//! | taken   | yes       | claimed; what arrives is seen when it is put back    |
//!
//! Mail wakes a process only while nothing *holds* it ([`Hold`]); signals always do. The operations never schedule by
//! themselves: they answer [`Wake`] and the caller acts on it, so the protocol is checked by loom without a scheduler.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::ops::{BitOr, BitOrAssign};

use crate::words::sync::{AtomicBool, Mutex, MutexGuard, Ordering};

/// The types that make up a process.
pub(crate) trait Kind {
    /// What a claim takes out.
    type Body;
    /// What waits while the process is held.
    type Mail;
    /// What does not.
    type Signal;
    /// What others may read even while the body is taken.
    type Card: Clone;

    /// Makes room for the first mail of an empty mailbox.
    fn room_for_mail() -> VecDeque<Self::Mail> {
        VecDeque::new()
    }

    /// Makes room for the first signal.
    fn room_for_signals() -> Vec<Self::Signal> {
        Vec::new()
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
    /// A callback waits: only answers matter to it.
    pub(crate) const WAITING: Self = Self(1);
    /// Suspended by a system message.
    pub(crate) const SUSPENDED: Self = Self(2);
    /// Found the gate of an upgrade raised.
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

/// Tells one upgrade's gate from another's.
pub(crate) type GateNumber = NonZeroU32;

/// One place of the process table.
pub(crate) struct Slot<K: Kind> {
    inner: Mutex<Inner<K>>,
    /// Set with every signal, so that a running process looks between two callbacks without taking the lock.
    attention: AtomicBool,
}

struct Inner<K: Kind> {
    generation: u32,
    live: Option<Live<K>>,
}

struct Live<K: Kind> {
    body: Option<K::Body>,
    card: K::Card,
    mail: VecDeque<K::Mail>,
    signals: Vec<K::Signal>,
    scheduled: bool,
    hold: Hold,
    bound: Option<Box<Bound>>,
    /// The gate that counts it as not yet at rest. A number, for an older gate may have left its count behind.
    counted: Option<GateNumber>,
}

/// How many messages may wait at once, for a process that asked for a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) max: usize,
    /// How many of those that the claimer has taken are not handled yet.
    held: usize,
    /// How many found the mailbox full.
    pub(crate) refused: u64,
}

/// Whether a full mailbox takes a message all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// It does: the process itself has asked for it.
    Always,
    /// It does not.
    Bounded,
}

/// Mail that was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unposted<M> {
    /// The process has ended.
    Dead(M),
    /// Its mailbox is full; how often that has happened.
    Full(M, u64),
}

/// A body taken out, with what has arrived for it.
pub(crate) struct Claim<K: Kind> {
    pub(crate) body: K::Body,
    pub(crate) mail: VecDeque<K::Mail>,
    pub(crate) signals: Vec<K::Signal>,
}

/// Why a process could not be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unclaimed {
    /// It has ended.
    Dead,
    /// Somebody else has it and will see what has arrived.
    Taken,
}

/// What a look from outside tells about a process.
pub(crate) struct Glance<K: Kind> {
    pub(crate) card: K::Card,
    pub(crate) queued: usize,
    pub(crate) bound: Option<Bound>,
    pub(crate) hold: Hold,
    pub(crate) taken: bool,
    pub(crate) scheduled: bool,
}

/// What a gate finds when it looks at a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// No callback runs or waits.
    Quiet,
    /// One does; the process is counted now and [`PutBack::rested`] will say when it rests.
    Counted,
    /// The process has ended.
    Dead,
}

/// What putting a body back came to.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PutBack {
    pub(crate) wake: Wake,
    /// The gate that counted the process, which has come to rest now.
    pub(crate) rested: Option<GateNumber>,
}

impl<K: Kind> Slot<K> {
    /// Returns a place where nobody has lived yet.
    pub(crate) fn empty() -> Self {
        Self { inner: Mutex::new(Inner { generation: 0, live: None }), attention: AtomicBool::new(false) }
    }

    fn live(&self, generation: u32) -> Option<LiveGuard<'_, K>> {
        let guard = self.inner.lock();
        (guard.generation == generation && guard.live.is_some()).then_some(LiveGuard(guard))
    }

    /// Moves a process in, already scheduled; `body` is made for the new generation. `None` when the generations of
    /// this place are used up: it must not be offered again.
    pub(crate) fn open(&self, card: K::Card, body: impl FnOnce(u32) -> K::Body) -> Option<u32> {
        let mut inner = self.inner.lock();
        debug_assert!(inner.live.is_none(), "a slot was offered while its process lives");
        inner.generation = inner.generation.checked_add(1)?;
        let generation = inner.generation;
        inner.live = Some(Live {
            body: Some(body(generation)),
            card,
            mail: VecDeque::new(),
            signals: Vec::new(),
            scheduled: true,
            hold: Hold::NONE,
            bound: None,
            counted: None,
        });
        Some(generation)
    }

    /// Appends a message, and says how many wait here then; gives it back when the process has ended or its mailbox is
    /// full.
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
        if live.mail.capacity() == 0 {
            live.mail = K::room_for_mail();
        }
        live.mail.push_back(mail);
        Ok((if live.hold == Hold::NONE { live.schedule() } else { Wake::Nothing }, queued))
    }

    /// Appends a signal; gives it back when the process has ended.
    pub(crate) fn push_signal(&self, generation: u32, signal: K::Signal) -> Result<Wake, K::Signal> {
        let Some(mut live) = self.live(generation) else { return Err(signal) };
        if live.signals.capacity() == 0 {
            live.signals = K::room_for_signals();
        }
        live.signals.push(signal);
        self.attention.store(true, Ordering::Release);
        Ok(live.schedule())
    }

    /// Takes the body of whoever lives here now.
    pub(crate) fn claim_any(&self) -> Result<Claim<K>, Unclaimed> {
        let mut guard = self.inner.lock();
        guard.live.as_mut().map_or(Err(Unclaimed::Dead), |live| self.take(live))
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

    /// Says whether signals may have arrived since the claim. One load.
    pub(crate) fn wants_attention(&self) -> bool {
        self.attention.load(Ordering::Acquire)
    }

    /// Takes what has arrived since the claim; only the claimer calls it.
    pub(crate) fn more_signals(&self) -> Vec<K::Signal> {
        let mut guard = self.inner.lock();
        self.attention.store(false, Ordering::Release);
        guard.live.as_mut().map(|live| std::mem::take(&mut live.signals)).unwrap_or_default()
    }

    /// Takes the body for a moment and leaves everything else where it is. [`Slot::leave`] ends it.
    pub(crate) fn visit(&self, generation: u32) -> Result<K::Body, Unclaimed> {
        let mut live = self.live(generation).ok_or(Unclaimed::Dead)?;
        let body = live.body.take().ok_or(Unclaimed::Taken)?;
        live.scheduled = true;
        Ok(body)
    }

    /// Visits whoever lives here now, if `wants` says so of its card and of its body, which may be taken. Returns the
    /// generation, and the body unless it is.
    pub(crate) fn visit_if(
        &self,
        wants: impl FnOnce(&K::Card, Option<&K::Body>) -> bool,
    ) -> Option<(u32, Option<K::Body>)> {
        let mut guard = self.inner.lock();
        let generation = guard.generation;
        let live = guard.live.as_mut().filter(|live| wants(&live.card, live.body.as_ref()))?;
        live.scheduled = true;
        Some((generation, live.body.take()))
    }

    /// Ends a visit. `left` says that the body has work of its own.
    pub(crate) fn leave(&self, body: K::Body, left: bool) -> PutBack {
        self.give_back(body, None, left)
    }

    /// Ends a claim; from now on `hold` says what wakes the process. `left` says that the body has work of its own.
    pub(crate) fn put_back(&self, body: K::Body, hold: Hold, left: bool) -> PutBack {
        self.give_back(body, Some(hold), left)
    }

    fn give_back(&self, body: K::Body, hold: Option<Hold>, left: bool) -> PutBack {
        let mut guard = self.inner.lock();
        let Some(live) = guard.live.as_mut() else {
            debug_assert!(false, "only a closed slot has no life, and its claimer closed it");
            return PutBack { wake: Wake::Nothing, rested: None };
        };
        live.body = Some(body);
        live.hold = hold.unwrap_or(live.hold);
        live.scheduled = false;
        let rested = if live.hold.has(Hold::WAITING) { None } else { live.counted.take() };
        let work = !live.signals.is_empty() || (live.hold == Hold::NONE && (left || !live.mail.is_empty()));
        PutBack { wake: if work { live.schedule() } else { Wake::Nothing }, rested }
    }

    /// Ends a claim and the process. Returns what arrived too late, and the gate that had counted it.
    pub(crate) fn close(&self) -> (VecDeque<K::Mail>, Vec<K::Signal>, Option<GateNumber>) {
        let live = self.inner.lock().live.take();
        live.map_or_else(Default::default, |live| (live.mail, live.signals, live.counted))
    }

    /// Sets how many messages may wait, or no bound; `held` are with the claimer, who calls it.
    pub(crate) fn bound(&self, max: Option<usize>, held: usize) {
        if let Some(live) = self.inner.lock().live.as_mut() {
            let refused = live.bound.as_ref().map_or(0, |bound| bound.refused);
            live.bound = max.map(|max| Box::new(Bound { max, held, refused }));
        }
    }

    /// Takes note of how many messages its claimer, who calls it, has not handled yet.
    pub(crate) fn holds(&self, held: usize) {
        if let Some(bound) = self.inner.lock().live.as_mut().and_then(|live| live.bound.as_mut()) {
            bound.held = held;
        }
    }

    /// Lets mail wake a parked process again.
    pub(crate) fn unpark(&self, generation: u32) -> Wake {
        let Some(mut live) = self.live(generation) else { return Wake::Nothing };
        live.hold = live.hold.without(Hold::PARKED);
        // The body may hold mail of its own, which only its next claimer can see.
        live.schedule()
    }

    /// Asks whether the process rests, and counts it for that gate if not.
    pub(crate) fn rest(&self, generation: u32, gate: GateNumber) -> Rest {
        let Some(mut live) = self.live(generation) else { return Rest::Dead };
        let at_rest = live.body.is_some() && !live.hold.has(Hold::WAITING);
        live.counted = (!at_rest).then_some(gate);
        if at_rest { Rest::Quiet } else { Rest::Counted }
    }

    /// Counts a process that its claimer is about to run although the gate is raised; says whether it was not yet.
    pub(crate) fn count(&self, gate: GateNumber) -> bool {
        let mut guard = self.inner.lock();
        guard.live.as_mut().is_some_and(|live| live.counted.replace(gate) != Some(gate))
    }

    /// Lets `look` read the card of whoever lives here now.
    pub(crate) fn card_any<R>(&self, look: impl FnOnce(u32, &K::Card) -> R) -> Option<R> {
        let guard = self.inner.lock();
        guard.live.as_ref().map(|live| look(guard.generation, &live.card))
    }

    /// Lets `look` read the card of whoever lives here now, the body unless it is taken, how many messages wait, and what wakes
    /// the process: all at the same moment.
    pub(crate) fn survey<R>(
        &self,
        look: impl FnOnce(&K::Card, Option<&K::Body>, usize, Hold) -> R,
    ) -> Option<R> {
        let guard = self.inner.lock();
        guard.live.as_ref().map(|live| look(&live.card, live.body.as_ref(), live.mail.len(), live.hold))
    }

    /// Lets `look` read the card of one process.
    pub(crate) fn card<R>(&self, generation: u32, look: impl FnOnce(&K::Card) -> R) -> Option<R> {
        self.live(generation).map(|live| look(&live.card))
    }

    /// Says whether that gate waits for this process.
    pub(crate) fn is_counted(&self, generation: u32, gate: GateNumber) -> bool {
        self.live(generation).is_some_and(|live| live.counted == Some(gate))
    }

    /// Looks at one process, and lets `look` read body and mail unless it is taken: all at the same moment.
    pub(crate) fn glance<R>(
        &self,
        generation: u32,
        look: impl FnOnce(&K::Body, &VecDeque<K::Mail>) -> R,
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

/// A lock on a slot known to be lived in.
struct LiveGuard<'a, K: Kind>(MutexGuard<'a, Inner<K>>);

impl<K: Kind> std::ops::Deref for LiveGuard<'_, K> {
    type Target = Live<K>;

    fn deref(&self) -> &Live<K> {
        self.0.live.as_ref().expect("checked when the guard was made")
    }
}

impl<K: Kind> std::ops::DerefMut for LiveGuard<'_, K> {
    fn deref_mut(&mut self) -> &mut Live<K> {
        self.0.live.as_mut().expect("checked when the guard was made")
    }
}

#[cfg(all(test, feature = "loom"))]
mod model;
