//! The thread that carries out orders, one after the other. Each order runs to its end.
//!
//! A new order begins at once, or is refused with a reason, or waits in a queue that `relctl
//! status` shows. A waiting order leaves the queue when its client disconnects. Reads do not wait
//! for orders, because they use the [`Board`].

mod board;
mod desk;
mod queue;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use reld_api::response::Report;
use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_handler::{Checker, Ended, Error, Interrupt, Order, Wish};
use tokio::sync::{oneshot, watch};

pub(crate) use self::board::{Board, Waiting};
use self::desk::{Answer, Desk, Job};
pub(crate) use self::desk::{Booted, Done};
pub(crate) use self::queue::Entry;
use self::queue::{Turn, stopping, take_turn};
use crate::gate::Gate;
use crate::history::{Origin, Records};
use crate::next::Next;
use crate::node::{Handler, RuntimeNode};

/// A handle to the thread. It gives orders.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    jobs: mpsc::Sender<Job>,
    board: watch::Sender<Board>,
    interrupt: Interrupt,
    records: Records,
    gate: Option<Gate>,
}

impl Operator {
    /// Starts the thread. When an order requires a restart of the node, the thread sets `next`.
    pub(crate) fn start(
        handler: Handler,
        records: Records,
        next: watch::Sender<Next>,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let board = watch::Sender::new(Board::default());
        let interrupt = handler.interrupt();
        let desk = Desk::new(handler, board.clone(), records.clone(), next);
        thread::Builder::new().name("reld-operator".to_owned()).spawn(move || desk.work(&queue))?;
        Ok(Self { jobs, board, interrupt, records, gate: None })
    }

    /// Lets orders that change the running release pass this gate.
    pub(crate) fn behind(self, gate: Option<Gate>) -> Self {
        Self { gate, ..self }
    }

    /// Waits for the order's turn, then carries the order out. An order that has begun runs to its
    /// end even if the client disconnects.
    ///
    /// # Errors
    /// `busy` if the order cannot begin at once and must not wait; `stopping` if the daemon is
    /// stopping.
    pub(crate) async fn carry_out(
        &self,
        order: Order,
        entry: Entry,
        origin: Origin,
    ) -> Result<Done, ErrorReport> {
        let (answer, ended) = oneshot::channel();
        self.begin(order, entry, origin, Answer::whole(answer)).await?;
        ended.await.map_err(|_| bug())
    }

    /// Like [`carry_out`](Self::carry_out), but returns `None` if the order is `revoked` before it
    /// begins: while it waits for its turn or for the lock.
    ///
    /// # Errors
    /// Those of [`carry_out`](Self::carry_out).
    pub(crate) async fn carry_out_unless(
        &self,
        revoked: impl Future<Output = ()> + Send,
        order: Order,
        entry: Entry,
        origin: Origin,
    ) -> Result<Option<Done>, ErrorReport> {
        let (answer, ended) = oneshot::channel();
        tokio::select! {
            biased;
            () = revoked => return Ok(None),
            begun = self.begin(order, entry, origin, Answer::whole(answer)) => begun?,
        }
        ended.await.map(Some).map_err(|_| bug())
    }

    /// Like [`carry_out`](Self::carry_out), but returns as soon as the order begins to change the
    /// node.
    pub(crate) async fn begin_only(
        &self,
        order: Order,
        entry: Entry,
        origin: Origin,
    ) -> Result<Begun, ErrorReport> {
        let (begun, has_begun) = oneshot::channel();
        let (answer, ended) = oneshot::channel();
        self.begin(order, entry, origin, Answer { begun: Some(begun), ended: answer }).await?;
        tokio::select! {
            biased;
            Ok(report) = has_begun => Ok(Begun::UnderWay(Box::new(report))),
            ended = ended => ended.map(Begun::Ended).map_err(|_| bug()),
        }
    }

    async fn begin(
        &self,
        order: Order,
        entry: Entry,
        origin: Origin,
        answer: Answer,
    ) -> Result<(), ErrorReport> {
        let fits = fits(&order, &entry);
        let turn = self.turn(entry.clone(), fits).await?;
        if let Some(gate) = self.gate.as_ref().filter(|_| self.board.borrow().disrupts(&order)) {
            let shows = |busy| self.board.send_modify(|board| board.busy = Some(busy));
            gate.pass(entry.what(), entry.waits(), shows).await?;
        }
        self.send(turn, move |desk| desk.carry_out(order, origin, answer))
    }

    /// Carries out an order that removes releases and does not change the running node.
    pub(crate) async fn remove(
        &self,
        order: Order,
        entry: Entry,
    ) -> Result<Result<Ended, Error>, ErrorReport> {
        let fits = fits(&order, &entry);
        let turn = self.turn(entry, fits).await?;
        self.done(turn, |handler| handler.carry_out(order, &mut |_| ())).await
    }

    /// Runs a change of the handler that conflicts with an upgrade under way and with a settling
    /// release.
    pub(crate) async fn change<R: Send + 'static>(
        &self,
        entry: Entry,
        work: impl FnOnce(&mut Handler) -> R + Send + 'static,
    ) -> Result<R, ErrorReport> {
        let turn = self.turn(entry, |_| false).await?;
        self.done(turn, work).await
    }

    /// Runs a change of the handler that does not conflict with a settling release.
    pub(crate) async fn change_beside<R: Send + 'static>(
        &self,
        entry: Entry,
        work: impl FnOnce(&mut Handler) -> R + Send + 'static,
    ) -> Result<R, ErrorReport> {
        let turn = self.turn(entry, |_| true).await?;
        self.done(turn, work).await
    }

    /// Answers a question about an install, on a thread of its own. The question is refused while
    /// an order is carried out. The work ends early if the client disconnects.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        what: &str,
        work: impl FnOnce(&Checker<RuntimeNode>) -> R + Send + 'static,
    ) -> Result<R, ErrorReport> {
        queue::may_ask(&self.board.borrow(), what)?;
        let client = Client::default();
        let left = Arc::clone(&client.0);
        let checker = move |handler: &mut Handler| handler.checker(handler.node().for_questions(left));
        let checker = self.done(Turn::none(), checker).await?;
        tokio::task::spawn_blocking(move || work(&checker)).await.map_err(|_| bug())
    }

    async fn turn(&self, entry: Entry, beside: impl Fn(&Board) -> bool + Send) -> Result<Turn, ErrorReport> {
        if self.interrupt.wish() == Some(Wish::Stop) {
            return Err(stopping());
        }
        take_turn(&self.board, entry, beside).await
    }

    async fn done<R: Send + 'static>(
        &self,
        turn: Turn,
        work: impl FnOnce(&mut Handler) -> R + Send + 'static,
    ) -> Result<R, ErrorReport> {
        let (done, answer) = oneshot::channel();
        self.send(turn, move |desk| {
            // The client disconnected before its order began.
            if done.is_closed() {
                return;
            }
            match catch_unwind(AssertUnwindSafe(|| desk.change(work))) {
                // The send fails if the client has disconnected.
                Ok(answer) => drop(done.send(answer)),
                Err(panic) => {
                    // End the turn before the client gets its answer, as after a success.
                    desk.end_turn();
                    drop(done);
                    resume_unwind(panic);
                }
            }
        })?;
        answer.await.map_err(|_| bug())
    }

    /// Queues a job. The job's turn ends before its client gets the answer, so that the client can
    /// give its next order at once.
    fn send(&self, turn: Turn, work: impl FnOnce(&mut Desk) + Send + 'static) -> Result<(), ErrorReport> {
        let job: Job = Box::new(move |desk| {
            desk.begin(turn);
            work(desk);
            desk.look();
            desk.end_turn();
        });
        self.jobs.send(job).map_err(|_| stopping())
    }

    /// Queues the boot of the permanent release, and returns a future of its result. Call this
    /// before orders can arrive.
    pub(crate) fn boot(&self) -> impl Future<Output = Result<Booted, ErrorReport>> + use<> {
        self.boot_in(queue::first_turn(&self.board, "the boot"))
    }

    /// Boots the permanent release again when no order is under way.
    pub(crate) async fn boot_again(&self) -> Result<Booted, ErrorReport> {
        let turn = self.turn(Entry::new("the boot", None, true), |_| false).await?;
        self.boot_in(turn).await
    }

    fn boot_in(&self, turn: Turn) -> impl Future<Output = Result<Booted, ErrorReport>> + use<> {
        let (done, answer) = oneshot::channel();
        let sent = self.send(turn, move |desk| drop(done.send(desk.boot())));
        async move {
            sent?;
            answer.await.map_err(|_| bug())
        }
    }

    /// Makes the upgrade under way end early.
    pub(crate) fn abort(&self) {
        self.interrupt.ask(Wish::Abort);
        // This job makes the thread check a settling release once more. Sending fails if the thread
        // is gone.
        let _ = self.send(Turn::none(), |_| ());
    }

    /// Makes the upgrade under way end early because the daemon stops, and waits until it has
    /// ended.
    pub(crate) async fn stop(&self) {
        self.interrupt.ask(Wish::Stop);
        // Waiting orders are refused, because the daemon will not carry them out.
        self.board.send_modify(|board| board.stops = true);
        self.pass().await;
    }

    /// Waits until all earlier jobs are done and a settling release was checked.
    pub(crate) async fn pass(&self) {
        let (done, passed) = oneshot::channel();
        // Sending fails if the thread is gone. In that case no order is under way.
        if self
            .send(Turn::none(), |desk| {
                desk.look();
                let _ = done.send(());
            })
            .is_ok()
        {
            let _ = passed.await;
        }
    }

    /// Returns the current board.
    pub(crate) fn board(&self) -> Board {
        self.board.borrow().clone()
    }

    /// Returns a receiver that follows the board.
    pub(crate) fn follow(&self) -> watch::Receiver<Board> {
        self.board.subscribe()
    }

    /// Returns the history.
    pub(crate) fn records(&self) -> &Records {
        &self.records
    }
}

/// Returns a test whether the order may begin while a release settles. An order that may wait does
/// not begin then, but waits until the release has settled.
fn fits<'a>(order: &'a Order, entry: &Entry) -> impl Fn(&Board) -> bool + use<'a> {
    let waits = entry.waits();
    move |board| !waits && board.settling.as_ref().is_some_and(|settling| order.fits(settling.trip()))
}

/// A client. Dropping this value records that the client has disconnected.
#[derive(Debug, Default)]
struct Client(Arc<AtomicBool>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The answer of [`Operator::begin_only`].
#[derive(Debug)]
pub(crate) enum Begun {
    UnderWay(Box<Report>),
    /// The order ended before it began to change the node.
    Ended(Done),
}

/// The error of a job that was dropped without an answer, because it has panicked.
fn bug() -> ErrorReport {
    let message = "the daemon panicked while it carried out the order; this is a bug in reld";
    ErrorReport::new(ErrorCode::Bug, message, ExitCode::Bug)
        .with_hint("the daemon's log has the panic; `relctl status` shows the running release")
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use reld_api::response::HistoryKind;
    use reld_handler::{Abi, Limits, Platform, Store, Vsn};
    use reld_loader::Loader;
    use reld_runtime::Runtime;

    use super::*;

    /// The operator of an idle node.
    fn operator(root: &std::path::Path) -> Operator {
        let store = Store::open(root).unwrap();
        let runtime = Runtime::new(1);
        let loader = Loader::start(&store.root().run_dir(), || ()).unwrap();
        let scratch = root.join("scratch");
        let node = RuntimeNode::new(runtime, Arc::new(loader), Arc::new(Mutex::default()), scratch);
        let records = Records::new(store.history());
        let reld = Vsn::new(0, 1, 0);
        let platform = Platform { target: "none".to_owned(), abi: Abi { major: 1, minor: 0 }, reld };
        let handler = Handler::new(node, store, platform, Limits::default());
        Operator::start(handler, records, watch::Sender::new(Next::Serve)).unwrap()
    }

    fn entry() -> Entry {
        Entry::new("the order", None, false)
    }

    #[tokio::test]
    async fn a_panic_fails_its_order_and_leaves_the_thread_alive() {
        let root = tempfile::tempdir().unwrap();
        let operator = operator(root.path());
        let failed = operator.change(entry(), |_| -> u8 { panic!("planted") }).await.unwrap_err();
        assert_eq!((failed.kind.as_str(), failed.exit_code), ("bug", ExitCode::Bug));
        assert_eq!(operator.change(entry(), |_| 5).await.unwrap(), 5);
        assert_eq!(operator.ask("ask", |_| 6).await.unwrap(), 6);
        assert_eq!(operator.board().busy, None);
    }

    #[tokio::test]
    async fn an_order_that_is_revoked_while_it_waits_does_not_begin() {
        let root = tempfile::tempdir().unwrap();
        let operator = operator(root.path());
        let turn = operator.turn(entry(), |_| false).await.unwrap();
        let (revoke, revoked) = oneshot::channel::<()>();
        let revoked = async { drop(revoked.await) };
        let waits = Entry::new("the order", None, true);
        let origin = Origin { kind: HistoryKind::Commit, uid: None, rollout: None };
        let order =
            operator.carry_out_unless(revoked, Order::Commit { vsn: None }, waits.clone(), origin.clone());
        let mut order = Box::pin(order);
        let begins = tokio::time::timeout(std::time::Duration::ZERO, order.as_mut()).await;
        assert!(begins.is_err() && operator.board().waiting.len() == 1, "it waits for its turn");
        revoke.send(()).unwrap();
        assert!(order.await.unwrap().is_none());
        drop(turn);
        let never = std::future::pending();
        let done = operator.carry_out_unless(never, Order::Commit { vsn: None }, waits, origin).await;
        assert!(done.unwrap().is_some(), "the order is refused by the idle node");
        assert_eq!(operator.board().waiting.len(), 0);
    }

    #[tokio::test]
    async fn an_order_whose_client_leaves_before_it_begins_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let operator = operator(root.path());
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let first = tokio::spawn({
            let operator = operator.clone();
            // This job occupies the thread without a turn, the right to carry out an order. So the
            // next order gets its turn at once, and then waits for the thread.
            async move {
                let work = move |_: &mut Handler| {
                    begun.send(()).unwrap();
                    wait.recv().unwrap();
                };
                operator.done(Turn::none(), work).await
            }
        });
        has_begun.await.unwrap();
        let mut second = Box::pin(operator.change(entry(), |_| unreachable!("its client has left")));
        let begins = tokio::time::timeout(std::time::Duration::ZERO, second.as_mut()).await;
        assert!(begins.is_err(), "it waits in the queue");
        drop(second);
        go.send(()).unwrap();
        first.await.unwrap().unwrap();
        operator.pass().await;
        assert_eq!(operator.change(entry(), |_| 7).await.unwrap(), 7);
    }
}
