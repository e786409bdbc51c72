//! The gate: before an order changes the running release, the node takes a lock of a FleetLock
//! server, so that only as many nodes as the server allows change at a time. It gives the lock back
//! when it is at rest again.
//!
//! ```text
//!  an order has its turn ──> pre-reboot ──> it changes the node ──> at rest ──> steady-state
//!                                └── refused or no answer: the order is refused, or waits
//! ```
//!
//! A lock belongs to a node, not to an order: the node may take it or give it back repeatedly.
//! After a start of the daemon it is not known whether the node holds the lock, so the node gives
//! it back.

mod fleetlock;
mod node_id;

use std::sync::Arc;
use std::time::Duration;

use reld_api::{ErrorCode, ErrorReport};
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

pub(crate) use self::fleetlock::{FleetLock, server};
use self::fleetlock::{Refusal, Verb};
pub(crate) use self::node_id::{group, id, id_of_machine};
use crate::alarms::Alarms;

/// The longest time for which an order waits for the lock, and the pause between two requests.
const WAIT_MAX: Duration = Duration::from_secs(600);
const AGAIN: Duration = Duration::from_secs(2);

/// The pause before the node tries again to give the lock back. It doubles from `PAUSE` to
/// `PAUSE_MAX`.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The subject of the alarm.
const ALARM: &str = "gate";

/// The gate of a node.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    lock: Arc<FleetLock>,
    /// Whether the node may hold the lock. A request holds the mutex, so that a late steady-state
    /// cannot give back the lock of the next order.
    is_held: Arc<Mutex<bool>>,
    alarms: Alarms,
}

impl Gate {
    pub(crate) fn new(lock: FleetLock, alarms: Alarms) -> Self {
        Self { lock: Arc::new(lock), is_held: Arc::new(Mutex::new(true)), alarms }
    }

    /// Takes the lock for an order that has its turn. An order that `waits` asks again; `shows`
    /// gets the order, with the reason for which it waits.
    ///
    /// # Errors
    /// The answer of the server, or its silence.
    pub(crate) async fn pass(
        &self,
        order: &str,
        waits: bool,
        shows: impl Fn(String) + Send,
    ) -> Result<(), ErrorReport> {
        let deadline = Instant::now() + WAIT_MAX;
        while let Err(refusal) = self.request(Verb::PreReboot, || true).await {
            if !waits || Instant::now() + AGAIN > deadline {
                return Err(locked_out(order, &refusal, waits));
            }
            shows(format!("{order}, which waits for the lock: {refusal}"));
            sleep(AGAIN).await;
        }
        shows(order.to_owned());
        Ok(())
    }

    /// Gives the lock back whenever the node is at rest and may hold it. Runs as long as the
    /// daemon.
    pub(crate) async fn give_back<Board: Send + Sync>(
        &self,
        mut board: watch::Receiver<Board>,
        is_at_rest: fn(&Board) -> bool,
    ) {
        let mut pause = PAUSE;
        loop {
            let rests = is_at_rest(&board.borrow_and_update());
            let given = if rests && *self.is_held.lock().await {
                self.request(Verb::SteadyState, || is_at_rest(&board.borrow())).await
            } else {
                Ok(())
            };
            if let Err(refusal) = given {
                let text = format!("cannot give the lock of this node back: {refusal}; it is tried again");
                self.alarms.raise(ALARM, text);
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                continue;
            }
            self.alarms.lower(ALARM);
            pause = PAUSE;
            if board.changed().await.is_err() {
                return;
            }
        }
    }

    /// Sends a request when all earlier ones have ended, if it `may` still be sent then. It runs to
    /// its end even if the caller is dropped.
    async fn request(&self, verb: Verb, may: impl Fn() -> bool + Send) -> Result<(), Refusal> {
        let mut is_held = Arc::clone(&self.is_held).lock_owned().await;
        if !may() {
            return Ok(());
        }
        let lock = Arc::clone(&self.lock);
        let ended = spawn_blocking(move || {
            // The answer may be lost.
            *is_held = true;
            lock.post(verb)?;
            *is_held = verb == Verb::PreReboot;
            tracing::info!(name: "gate.passed", "{}", verb.done());
            Ok(())
        });
        ended.await.unwrap_or_else(|panicked| Err(Refusal(panicked.to_string())))
    }
}

fn locked_out(order: &str, refusal: &Refusal, waits: bool) -> ErrorReport {
    let report = ErrorReport::refused(ErrorCode::LockedOut, format!("cannot begin {order}: {refusal}"));
    let hint = "--wait waits up to ten minutes for the lock; `--gate` of the daemon names the server";
    if waits { report } else { report.with_hint(hint) }
}
