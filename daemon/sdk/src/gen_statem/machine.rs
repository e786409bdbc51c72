//! The engine of a machine: handles one event, and all events that follow from it inside the
//! machine.
//!
//! ```text
//! event --> event time-out ends --> callback --> transition
//!   ^                                               | replies go out
//!   |                                               | another state: its time-out ends, postponed events come back
//!   |                                               | state enter, if STATE_ENTER is set
//!   |                                               | time-outs are set
//!   +------ inserted events, then postponed ones <--+
//! ```
//!
//! A turn ends when no event is left. Only then does the process take its next message, and only
//! then can an upgrade convert its state.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::timeout_message;
use super::{GenStatem, Kept, SetTimeout, StatemEvent, Target, TimeoutKind, Transition};
use crate::codec::{self, Undecodable};
use crate::exit::Exit;
use crate::host::{self, Refused};
use crate::names::Timer;
use crate::process::{cancel_timer, self_pid, send_after};
use crate::value::{State, Value};

/// A machine between two events.
#[derive(Debug)]
pub struct Machine<M: GenStatem> {
    pub(crate) state: M::State,
    pub(crate) data: M,
    engine: Engine,
}

/// The data of the engine, besides the state and data of the app.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Engine {
    /// The postponed events, oldest first.
    postponed: Vec<Kept>,
    timeouts: Vec<Running>,
    /// The number of the latest time-out. The message of each time-out contains the time-out's
    /// number.
    last_timeout: u64,
}

/// A running time-out.
#[derive(Debug, Serialize, Deserialize)]
struct Running {
    number: u64,
    kind: TimeoutKind,
    /// `None` for a time-out of zero, which is an event of the current turn.
    timer: Option<Timer>,
    body: Value,
}

/// The remaining work of a turn.
enum Task {
    Event(Kept),
    /// A time-out of zero. It is handled unless it is cancelled before.
    Due(u64),
}

impl<M: GenStatem> Machine<M> {
    /// Returns the current state.
    pub fn state(&self) -> &M::State {
        &self.state
    }

    /// Returns the data of the machine.
    pub fn data(&self) -> &M {
        &self.data
    }

    /// Returns the number of postponed events.
    pub fn postponed(&self) -> usize {
        self.engine.postponed.len()
    }

    /// Enters the first state. Returns `Some` if the machine ends.
    pub(super) async fn start(first: Transition<M>, data: M) -> Result<(Box<Self>, Option<Exit>), Exit> {
        let Target::Next(state) = first.to else {
            return Err(Exit::error("init must return the first state by Transition::next"));
        };
        let mut machine = Box::new(Self { state: state.clone(), data, engine: Engine::default() });
        let mut tasks = VecDeque::new();
        let first = Transition { to: Target::Repeat, ..first };
        let mut stop = machine.go(first, None, &mut tasks).await?;
        if stop.is_none() {
            stop = machine.work(tasks).await?;
        }
        Ok((machine, stop))
    }

    /// Handles an event, and all events that follow from it. Returns `Some` if the machine ends.
    pub(super) async fn run(&mut self, event: Kept) -> Result<Option<Exit>, Exit> {
        self.work(VecDeque::from([Task::Event(event)])).await
    }

    async fn work(&mut self, mut tasks: VecDeque<Task>) -> Result<Option<Exit>, Exit> {
        while let Some(task) = tasks.pop_front() {
            let event = match task {
                Task::Event(event) => event,
                Task::Due(number) => match self.fired(number) {
                    Some(event) => event,
                    None => continue,
                },
            };
            self.engine.cancel(&TimeoutKind::Event);
            let read = event.read()?;
            let transition = self.data.handle_event(&self.state, read).await;
            if let Some(exit) = self.go(transition, Some(event), &mut tasks).await? {
                return Ok(Some(exit));
            }
        }
        Ok(None)
    }

    /// Carries out the transition after `event`. Without an event, it is the transition to the
    /// first state.
    async fn go(
        &mut self,
        transition: Transition<M>,
        event: Option<Kept>,
        tasks: &mut VecDeque<Task>,
    ) -> Result<Option<Exit>, Exit> {
        let Transition { to, postpone, replies, timeouts, inserted, failed } = transition;
        if let Some(failed) = failed {
            return Err(failed.into());
        }
        for (from, reply) in replies {
            host::ask(|host| host.reply(from, reply))??;
        }
        if postpone {
            self.engine.postponed.extend(event);
        }
        let old = self.state.clone();
        let enters = match to {
            Target::Stop(exit) => return Ok(Some(exit)),
            Target::Keep => false,
            Target::Repeat => true,
            Target::Next(state) if state == self.state => false,
            Target::Next(state) => {
                self.state = state;
                self.engine.cancel(&TimeoutKind::State);
                let back = std::mem::take(&mut self.engine.postponed);
                back.into_iter().rev().for_each(|event| tasks.push_front(Task::Event(event)));
                true
            }
        };
        inserted.into_iter().rev().for_each(|event| tasks.push_front(Task::Event(event)));
        for timeout in timeouts {
            tasks.extend(self.engine.set(timeout)?);
        }
        if enters && M::STATE_ENTER { self.enter(old, tasks).await } else { Ok(None) }
    }

    /// Calls the handler for entering a state. OTP: state enter call.
    async fn enter(&mut self, old: M::State, tasks: &mut VecDeque<Task>) -> Result<Option<Exit>, Exit> {
        let entered = self.data.handle_event(&self.state, StatemEvent::Enter(old)).await;
        let leaves = matches!(&entered.to, Target::Next(state) if *state != self.state);
        if leaves || entered.postpone || matches!(entered.to, Target::Repeat) {
            return Err(Exit::error(
                "an Enter event can neither change nor repeat the state, nor be postponed",
            ));
        }
        // Boxed because of the recursion. It is only one level deep, because entering a state does
        // not cause another state to be entered.
        Box::pin(self.go(entered, None, tasks)).await
    }

    /// Takes a time-out that has fired. Returns `None` if the time-out was cancelled.
    pub(super) fn fired(&mut self, number: u64) -> Option<Kept> {
        let at = self.engine.timeouts.iter().position(|running| running.number == number)?;
        let Running { kind, body, .. } = self.engine.timeouts.remove(at);
        Some(Kept::Timeout { kind, body })
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, Undecodable> {
        let state = codec::encode(&self.state).map_err(|error| error.of("state"))?;
        let data = codec::encode(&self.data).map_err(|error| error.of("data"))?;
        self.write_with(&state, &data)
    }

    /// Encodes the machine with another state and other data, both of which are already encoded.
    pub(super) fn write_with(&self, state: &[u8], data: &[u8]) -> Result<Vec<u8>, Undecodable> {
        let engine = codec::encode(&self.engine).map_err(|error| error.of("engine"))?;
        codec::join([("state", state), ("data", data), ("engine", &engine)])
    }

    /// Decodes a machine; `convert` makes the state and data of this version from the encoded ones.
    pub(super) fn read(
        bytes: &[u8],
        convert: impl FnOnce(State, State) -> Result<(M::State, M), Exit>,
    ) -> Result<Self, Exit> {
        let [state, data, engine] =
            codec::split(bytes, ["state", "data", "engine"]).map_err(|error| error.of("state machine"))?;
        let engine = codec::decode_all(engine, &[]).map_err(|error| error.of("engine"))?;
        let (state, data) = convert(State::from_bytes(state), State::from_bytes(data))?;
        Ok(Self { state, data, engine })
    }
}

impl Engine {
    fn cancel(&mut self, kind: &TimeoutKind) {
        if let Some(at) = self.timeouts.iter().position(|running| running.kind == *kind)
            && let Some(timer) = self.timeouts.remove(at).timer
        {
            // The message of the timer may be on its way. It is ignored then, because no time-out
            // has its number.
            cancel_timer(timer);
        }
    }

    /// Sets or cancels a time-out. A time-out of zero becomes an event after the remaining work of
    /// the turn.
    fn set(&mut self, SetTimeout { kind, set }: SetTimeout) -> Result<Option<Task>, Exit> {
        self.cancel(&kind);
        let Some((after, body)) = set else { return Ok(None) };
        self.last_timeout += 1;
        let number = self.last_timeout;
        let timer = match after {
            Duration::ZERO => None,
            after => Some(send_after(self_pid().ok_or(Refused)?, after, &timeout_message(number))?),
        };
        let due = timer.is_none().then_some(Task::Due(number));
        self.timeouts.push(Running { number, kind, timer, body });
        Ok(due)
    }
}
