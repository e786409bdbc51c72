//! The thread that carries releases out: one order after the other, to the end, whoever hangs up meanwhile.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use parking_lot::Mutex;
use reld_api::ErrorReport;
use reld_handler::{Progress, ReleaseHandler, StatusTable, Vsn};
use tokio::sync::oneshot;

use crate::node::RuntimeNode;

pub(crate) type Handler = ReleaseHandler<RuntimeNode>;

type Order = Box<dyn FnOnce(&mut Handler) + Send>;

/// Gives orders to the thread. Cloning gives another handle.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    orders: mpsc::Sender<Order>,
    board: Arc<Mutex<Board>>,
}

/// What can be known while an order is carried out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    pub(crate) releases: StatusTable,
    /// The release that runs; `None` while the node is idle.
    pub(crate) running: Option<Vsn>,
    /// The upgrade under way.
    pub(crate) progress: Option<reld_api::response::Progress>,
}

impl Operator {
    /// Starts the thread.
    pub(crate) fn start(mut handler: Handler) -> std::io::Result<Self> {
        let (orders, queue) = mpsc::channel::<Order>();
        let board = Arc::new(Mutex::new(Board::default()));
        let shown = Arc::clone(&board);
        show(&shown, &handler);
        thread::Builder::new().name("reld-operator".to_owned()).spawn(move || {
            for order in queue {
                order(&mut handler);
                show(&shown, &handler);
            }
        })?;
        Ok(Self { orders, board })
    }

    /// Has something done, after everything that was ordered before. It is done even if nobody waits any more.
    pub(crate) async fn order<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Handler) -> R + Send + 'static,
    ) -> Result<R, ErrorReport> {
        let (done, answer) = oneshot::channel();
        let board = Arc::clone(&self.board);
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

    /// Returns what is known now.
    pub(crate) fn board(&self) -> Board {
        self.board.lock().clone()
    }

    /// Returns an observer of the upgrade to `to`.
    pub(crate) fn observer(&self, to: String) -> impl FnMut(Progress<'_>) + Send + 'static {
        let board = Arc::clone(&self.board);
        move |progress| {
            tracing::info!(
                name: "release.install.step", vsn = to, step = progress.step, of = progress.steps,
                title = progress.title, "step"
            );
            board.lock().progress = Some(reld_api::response::Progress {
                to: to.clone(),
                step: progress.step,
                of: progress.steps,
                text: progress.title.to_owned(),
            });
        }
    }
}

fn show(board: &Mutex<Board>, handler: &Handler) {
    *board.lock() =
        Board { releases: handler.releases().clone(), running: handler.running().cloned(), progress: None };
}
