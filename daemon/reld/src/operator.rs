//! The thread that carries orders out, one after the other, each to its end.
//!
//! An order begins at once, or it is refused with the reason, or it waits in a queue that everybody can see, and leaves
//! that with its client. Looks never wait for an order: they read the [`Board`].

mod board;
mod desk;
mod queue;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use reld_api::response::Report;
use reld_api::{ErrorReport, ExitCode};
use reld_handler::{Checker, Ended, Error, Interrupt, Order, Wish};
use tokio::sync::{oneshot, watch};

pub(crate) use self::board::{Board, Waiting};
use self::desk::{Answer, Desk, Job};
pub(crate) use self::desk::{Booted, Done};
pub(crate) use self::queue::Entry;
use self::queue::{Turn, stopping, take_turn};
use crate::history::{Asked, Records};
use crate::next::Next;
use crate::node::{Handler, RuntimeNode};

/// Gives orders to the thread. Cloning gives another handle.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    jobs: mpsc::Sender<Job>,
    board: watch::Sender<Board>,
    interrupt: Interrupt,
    records: Records,
}

impl Operator {
    /// Starts the thread. Where an order ends so that the node has to restart, `next` says so.
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
        Ok(Self { jobs, board, interrupt, records })
    }

    /// Has an order carried out, once it may begin. From then on it goes to its end, whoever hangs up.
    ///
    /// # Errors
    /// `busy` where it cannot begin at once and is not to wait; `stopping`.
    pub(crate) async fn carry_out(
        &self,
        order: Order,
        entry: Entry,
        asked: Asked,
    ) -> Result<Done, ErrorReport> {
        let (answer, ended) = oneshot::channel();
        self.begin(order, entry, asked, Answer::whole(answer)).await?;
        ended.await.map_err(|_| bug())
    }

    /// Has a release gone to like [`carry_out`](Self::carry_out), and is answered as soon as that has begun.
    pub(crate) async fn begin_only(
        &self,
        order: Order,
        entry: Entry,
        asked: Asked,
    ) -> Result<Begun, ErrorReport> {
        let (begun, has_begun) = oneshot::channel();
        let (answer, ended) = oneshot::channel();
        self.begin(order, entry, asked, Answer { begun: Some(begun), ended: answer }).await?;
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
        asked: Asked,
        answer: Answer,
    ) -> Result<(), ErrorReport> {
        let fits = fits(&order, &entry);
        let turn = self.turn(entry, fits).await?;
        self.send(turn, move |desk| desk.carry_out(order, asked, answer))
    }

    /// Has an order carried out that removes releases and does not move the node.
    pub(crate) async fn remove(
        &self,
        order: Order,
        entry: Entry,
    ) -> Result<Result<Ended, Error>, ErrorReport> {
        let fits = fits(&order, &entry);
        let turn = self.turn(entry, fits).await?;
        self.done(turn, |handler| handler.carry_out(order, &mut |_| ())).await
    }

    /// Has something done to the handler that no upgrade may be under way for, and no release settle.
    pub(crate) async fn change<R: Send + 'static>(
        &self,
        entry: Entry,
        work: impl FnOnce(&mut Handler) -> R + Send + 'static,
    ) -> Result<R, ErrorReport> {
        let turn = self.turn(entry, |_| false).await?;
        self.done(turn, work).await
    }

    /// Has something done that does not matter to a release that settles.
    pub(crate) async fn change_beside<R: Send + 'static>(
        &self,
        entry: Entry,
        work: impl FnOnce(&mut Handler) -> R + Send + 'static,
    ) -> Result<R, ErrorReport> {
        let turn = self.turn(entry, |_| true).await?;
        self.done(turn, work).await
    }

    /// Asks about installs, on a thread that nothing else waits for. Refused at once while an order is carried out; when the
    /// client leaves, the question ends.
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
            // What has not begun when its client leaves is dropped.
            if done.is_closed() {
                return;
            }
            match catch_unwind(AssertUnwindSafe(|| desk.change(work))) {
                // A client that leaves later has no use for the answer.
                Ok(answer) => drop(done.send(answer)),
                Err(panic) => {
                    // A panic ends the turn before its client learns of it, too.
                    desk.end_turn();
                    drop(done);
                    resume_unwind(panic);
                }
            }
        })?;
        answer.await.map_err(|_| bug())
    }

    /// The turn ends before the answer: the client may give its next order at once.
    fn send(&self, turn: Turn, work: impl FnOnce(&mut Desk) + Send + 'static) -> Result<(), ErrorReport> {
        let job: Job = Box::new(move |desk| {
            desk.begin(turn);
            work(desk);
            desk.look();
            desk.end_turn();
        });
        self.jobs.send(job).map_err(|_| stopping())
    }

    /// Begins to boot the permanent release, and returns what comes of it. To be called before any order can come.
    pub(crate) fn boot(&self) -> impl Future<Output = Result<Booted, ErrorReport>> + use<> {
        self.boot_in(queue::first_turn(&self.board, "the boot"))
    }

    /// Boots the permanent release again, once no order is under way.
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

    /// Asks the upgrade under way to end early.
    pub(crate) fn abort(&self) {
        self.interrupt.ask(Wish::Abort);
        // A settling release is looked at once more. Without a thread there is none.
        let _ = self.send(Turn::none(), |_| ());
    }

    /// Has the upgrade under way end early since the daemon stops, and waits until it has.
    pub(crate) async fn stop(&self) {
        self.interrupt.ask(Wish::Stop);
        // Whoever waits is answered now: later the daemon is gone.
        self.board.send_modify(|board| board.stops = true);
        self.pass().await;
    }

    /// Waits until what was ordered before is done, and a settling release was looked at.
    pub(crate) async fn pass(&self) {
        let (done, passed) = oneshot::channel();
        // Refused where the thread is gone, so nothing is under way.
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

    /// Returns what is known now.
    pub(crate) fn board(&self) -> Board {
        self.board.borrow().clone()
    }

    /// Returns what is known, now and whenever it changes.
    pub(crate) fn follow(&self) -> watch::Receiver<Board> {
        self.board.subscribe()
    }

    /// Returns the history.
    pub(crate) fn records(&self) -> &Records {
        &self.records
    }
}

/// Says whether an order may begin beside a release that settles. One that is to wait leaves that its time.
fn fits<'a>(order: &'a Order, entry: &Entry) -> impl Fn(&Board) -> bool + use<'a> {
    let waits = entry.waits();
    move |board| !waits && board.settling.as_ref().is_some_and(|settling| order.fits(settling.trip()))
}

/// Notes that a client has left, when it is dropped.
#[derive(Debug, Default)]
struct Client(Arc<AtomicBool>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How an order that is answered early was answered.
#[derive(Debug)]
pub(crate) enum Begun {
    UnderWay(Box<Report>),
    /// It ended before it could begin.
    Ended(Done),
}

/// A job that is dropped without an answer has panicked.
fn bug() -> ErrorReport {
    let message = "the daemon panicked while it carried the order out; this is a bug of reld";
    ErrorReport::new("bug", message, ExitCode::Bug)
        .with_hint("the daemon's log has the panic; `relctl status` says what runs")
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
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
    async fn an_order_whose_client_leaves_before_it_begins_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let operator = operator(root.path());
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let first = tokio::spawn({
            let operator = operator.clone();
            // It takes no turn, so the order gets its own and stands behind it in the thread's queue.
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
        assert!(begins.is_err(), "it stands in the queue");
        drop(second);
        go.send(()).unwrap();
        first.await.unwrap().unwrap();
        operator.pass().await;
        assert_eq!(operator.change(entry(), |_| 7).await.unwrap(), 7);
    }
}
