//! One callback on its way: the future that owns the state, polled until it gives the state back.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::exit::{Exit, NotStarted};
use crate::host;
use crate::wait::Wait;
use crate::waker::{self, Wakers};

/// A callback's work: owns the state, and gives it back at its end. `Err` is a crash, and the state is gone.
///
/// Unlike OTP, no terminate follows a crash: the state that it would get was moved into the future that failed.
pub(crate) type Work<S> = Pin<Box<dyn Future<Output = Result<Done<S>, Exit>> + Send>>;

/// How a callback ended.
#[derive(Debug)]
pub(crate) struct Done<S> {
    /// None once the process ends here.
    pub(crate) state: Option<Box<S>>,
    pub(crate) next: After,
    pub(crate) reply: Option<Vec<u8>>,
}

/// What the process does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    Continue,
    Stop(Exit),
    Ignore,
}

impl<S> Done<S> {
    /// Goes on with the next message.
    pub(crate) fn go_on(state: Box<S>) -> Self {
        Self { state: Some(state), next: After::Continue, reply: None }
    }

    /// Makes no process.
    pub(crate) fn not_started(why: NotStarted) -> Self {
        let next = match why {
            NotStarted::Ignore => After::Ignore,
            NotStarted::Stop(exit) => After::Stop(exit),
        };
        Self { state: None, next, reply: None }
    }
}

/// How often a callback that wakes itself is polled again before others get their turn.
const POLLS_IN_A_ROW: u32 = 16;

/// A callback that may wait.
pub(crate) struct Callback<S> {
    work: Work<S>,
    wakers: Wakers,
    /// Open while a callback that keeps waking itself lets others go first.
    turn: Option<Wait>,
}

impl<S> Callback<S> {
    pub(crate) fn new(work: Work<S>) -> Self {
        Self { work, wakers: Wakers::default(), turn: None }
    }

    /// Goes on as far as possible; `completed` are the references that were answered since.
    pub(crate) fn poll(&mut self, completed: &[u64]) -> Poll<Result<Done<S>, Exit>> {
        self.turn = None;
        self.wakers.wake(completed);
        let work = &mut self.work;
        let polled = waker::lend(&mut self.wakers, || poll_while_woken(work));
        if polled.is_pending() && waker::is_woken() {
            self.turn = host::ask(|host| host.sleep(0)).and_then(|opened| opened).ok().map(Wait::new);
        }
        polled
    }
}

/// Polls until the work neither ends nor wakes itself, with a bound; beyond it, the wake is left noted.
fn poll_while_woken<S>(work: &mut Work<S>) -> Poll<Result<Done<S>, Exit>> {
    let mut context = Context::from_waker(waker::root());
    for _ in 0..POLLS_IN_A_ROW {
        waker::clear_woken();
        let polled = work.as_mut().poll(&mut context);
        if polled.is_ready() || !waker::is_woken() {
            return polled;
        }
    }
    Poll::Pending
}
