//! The thread that carries releases out: one order after the other, to the end, whoever hangs up meanwhile.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use reld_api::ErrorReport;
use reld_api::response::{HistoryEntry, HistoryKind, Report};
use reld_handler::{GaveWay, Interrupt, Progress, ReleaseHandler, StatusTable, Vsn, Wish};
use tokio::sync::{oneshot, watch};

use crate::history::{Asked, Records};
use crate::node::RuntimeNode;

pub(crate) type Handler = ReleaseHandler<RuntimeNode>;

type Order = Box<dyn FnOnce(&mut Handler) + Send>;

/// Gives orders to the thread. Cloning gives another handle.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    orders: mpsc::Sender<Order>,
    board: watch::Sender<Board>,
    interrupt: Interrupt,
    records: Records,
}

/// What can be known while an order is carried out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    pub(crate) releases: StatusTable,
    /// The release that runs; `None` while the node is idle.
    pub(crate) running: Option<Vsn>,
    /// The release that failed to boot too often.
    pub(crate) gave_way: Option<GaveWay>,
    /// What is under way.
    pub(crate) under_way: Option<HistoryKind>,
    /// How far it is.
    pub(crate) progress: Option<reld_api::response::Progress>,
    /// How many upgrades have ended, and the last of them.
    pub(crate) ended: usize,
    pub(crate) last: Option<Arc<HistoryEntry>>,
}

impl Operator {
    /// Starts the thread.
    pub(crate) fn start(mut handler: Handler, records: Records) -> std::io::Result<Self> {
        let (orders, queue) = mpsc::channel::<Order>();
        let board = watch::Sender::new(Board::default());
        let (shown, interrupt) = (board.clone(), handler.interrupt());
        show(&shown, &handler);
        thread::Builder::new().name("reld-operator".to_owned()).spawn(move || {
            for order in queue {
                order(&mut handler);
                show(&shown, &handler);
            }
        })?;
        Ok(Self { orders, board, interrupt, records })
    }

    /// Has something done, after everything that was ordered before. It is done even if nobody waits any more.
    pub(crate) async fn order<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Handler) -> R + Send + 'static,
    ) -> Result<R, ErrorReport> {
        let (done, answer) = oneshot::channel();
        let board = self.board.clone();
        let order: Order = Box::new(move |handler| {
            let result = work(handler);
            // Whoever is answered sees the board as it is after the order.
            show(&board, handler);
            // An asker that hung up has no use for the answer.
            let _ = done.send(result);
        });
        let gone = || ErrorReport::refused("stopping", "the node is about to stop and takes no more orders");
        self.orders.send(order).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    /// Carries an upgrade out, on the operator's thread: writes it into the history, before and after, and shows that
    /// it is under way.
    pub(crate) fn carry_out(
        &self,
        handler: &mut Handler,
        asked: &Asked,
        from: Option<String>,
        to: String,
        work: impl FnOnce(&mut Handler) -> Result<Report, ErrorReport>,
    ) -> Result<Report, ErrorReport> {
        let mut entry = self.records.begin(asked, from, to);
        // From when it is shown on, an abort is meant for this one.
        self.interrupt.begin();
        self.board.send_modify(|board| board.under_way = Some(asked.kind));
        let mut answer = work(handler);
        self.records.end(&mut entry, &mut answer);
        // Who waits for the end sees the board as it is after it.
        self.board.send_modify(|board| {
            board.show(handler);
            board.under_way = None;
            board.ended += 1;
            board.last = Some(Arc::new(entry));
        });
        answer
    }

    /// Asks the upgrade under way to end early.
    pub(crate) fn abort(&self) {
        self.interrupt.ask(Wish::Abort);
    }

    /// Has the upgrade under way end early since the daemon stops, and waits until it has.
    pub(crate) async fn stop(&self) {
        self.interrupt.ask(Wish::Stop);
        // Refused where the thread is gone, so nothing is under way.
        let _ = self.order(|_| ()).await;
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

    /// Shows how the node is now, in the middle of an order.
    pub(crate) fn show(&self, handler: &Handler) {
        show(&self.board, handler);
    }

    /// Returns an observer of the upgrade to `to`.
    pub(crate) fn observer(&self, to: String) -> impl FnMut(Progress<'_>) + Send + 'static {
        let board = self.board.clone();
        move |progress| {
            tracing::info!(
                name: "release.install.step", vsn = to, step = progress.step, of = progress.steps,
                title = progress.title, "step"
            );
            board.send_modify(|board| {
                board.progress = Some(reld_api::response::Progress {
                    to: to.clone(),
                    step: progress.step,
                    of: progress.steps,
                    text: progress.title.to_owned(),
                });
            });
        }
    }
}

impl Board {
    fn show(&mut self, handler: &Handler) {
        self.releases = handler.releases().clone();
        self.running = handler.running().cloned();
        self.gave_way = handler.gave_way();
        self.progress = None;
    }
}

fn show(board: &watch::Sender<Board>, handler: &Handler) {
    board.send_modify(|board| board.show(handler));
}
