//! One running callback: a future that owns the state, and is polled until it returns the state.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::body::Body;
use crate::exit::{Exit, NotStarted};
use crate::host;
use crate::wait::Wait;
use crate::waker::{self, Wakers};

/// The work of a callback. It owns the state, and returns the state at the end. `Err` is a crash;
/// the state is lost.
///
/// Unlike OTP, terminate is not called after a crash, because the state was moved into the future
/// that failed.
pub(crate) type Work<S> = Pin<Box<dyn Future<Output = Result<Done<S>, Exit>> + Send>>;

/// The result of a callback.
#[derive(Debug)]
pub(crate) struct Done<S> {
    /// `None` if the process ends here.
    pub(crate) state: Option<Box<S>>,
    pub(crate) next: After,
    pub(crate) reply: Option<Body>,
}

/// The next action of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    Continue,
    Stop(Exit),
    Ignore,
}

impl<S> Done<S> {
    /// Continues with the next message.
    pub(crate) fn go_on(state: Box<S>) -> Self {
        Self { state: Some(state), next: After::Continue, reply: None }
    }

    /// Returns the result of an init that starts no process.
    pub(crate) fn not_started(why: NotStarted) -> Self {
        let next = match why {
            NotStarted::Ignore => After::Ignore,
            NotStarted::Stop(exit) => After::Stop(exit),
        };
        Self { state: None, next, reply: None }
    }
}

/// The state of a callback after a poll.
pub(crate) type Polled<S> = Poll<Result<Done<S>, Exit>>;

/// How often a callback that wakes itself is polled again before other processes get their turn.
const POLLS_IN_A_ROW: u32 = 16;

/// A callback that may wait.
pub(crate) struct Callback<S> {
    work: Work<S>,
    wakers: Wakers,
    /// A request that is open while a callback that keeps waking itself lets other processes go
    /// first.
    turn: Option<Wait>,
}

impl<S> Callback<S> {
    pub(crate) fn new(work: Work<S>) -> Self {
        Self { work, wakers: Wakers::default(), turn: None }
    }

    /// Returns whether a callback that has ended holds no value of the app. Its work is an async
    /// function that has returned, so only wakers may be left.
    pub(crate) fn is_spent(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Runs the callback as far as possible. `completed` holds the references that were answered
    /// since the last poll. The result is written where the caller reads it, because it is large.
    pub(crate) fn poll(&mut self, completed: &[u64], polled: &mut Polled<S>) {
        self.turn = None;
        self.wakers.wake(completed);
        let work = &mut self.work;
        if waker::lend(&mut self.wakers, |woken| poll_while_woken(work, woken, polled)) {
            self.turn = host::ask(|host| host.sleep(0)).and_then(|opened| opened).ok().map(Wait::new);
        }
    }
}

/// Polls until the work ends or stops waking itself, at most [`POLLS_IN_A_ROW`] times. Returns
/// whether the work has woken itself again in the last poll.
fn poll_while_woken<S>(work: &mut Work<S>, woken: &Cell<bool>, polled: &mut Polled<S>) -> bool {
    let mut context = Context::from_waker(waker::root());
    for _ in 0..POLLS_IN_A_ROW {
        woken.set(false);
        *polled = work.as_mut().poll(&mut context);
        if polled.is_ready() || !woken.get() {
            return false;
        }
    }
    true
}
