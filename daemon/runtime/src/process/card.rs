//! The part of a process that other threads may read while it runs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::process::batch::Batch;
use crate::process::rows::Rows;
use crate::words::code::Bytes;
use crate::words::code_server::Code;
use crate::words::pid::Pid;

/// The part of a process that other threads may read while it runs. A card never changes: the
/// process gets a new card instead (`World::show`).
#[derive(Clone)]
pub(crate) struct Card {
    pub(crate) code: Arc<Code>,
    pub(crate) app: Arc<Env>,
    /// The process that started this one and is notified when it ends, or [`Pid::NONE`].
    pub(crate) parent: Pid,
    /// The children of a supervisor.
    pub(crate) rows: Option<Arc<RwLock<Rows>>>,
}

thread_local! {
    static CARDS: RefCell<Batch<Card>> = const { RefCell::new(Batch::new()) };
}

impl Card {
    /// Returns the card of a process without children. Processes with the same parent are mostly
    /// started and upgraded in a row, so a batch of them shares one card.
    pub(crate) fn of(code: &Arc<Code>, app: &Arc<Env>, parent: Pid) -> Arc<Self> {
        let is = |card: &Self| {
            Arc::ptr_eq(&card.code, code)
                && Arc::ptr_eq(&card.app, app)
                && card.parent == parent
                && card.rows.is_none()
        };
        let make = || Self { code: Arc::clone(code), app: Arc::clone(app), parent, rows: None };
        CARDS.with_borrow_mut(|cards| cards.next(is, make))
    }

    /// Returns the card of the same process with this code.
    pub(crate) fn with_code(&self, code: &Arc<Code>) -> Arc<Self> {
        match &self.rows {
            None => Self::of(code, &self.app, self.parent),
            Some(_) => Arc::new(Self { code: Arc::clone(code), ..self.clone() }),
        }
    }

    /// Returns the card of the same process with these children.
    pub(crate) fn with_rows(&self, rows: &Arc<RwLock<Rows>>) -> Arc<Self> {
        Arc::new(Self { rows: Some(Arc::clone(rows)), ..self.clone() })
    }
}

/// The application that a process belongs to, as processes see it.
#[derive(Debug, Default)]
pub struct Env {
    /// The application's name.
    pub name: String,
    /// The application's environment: MessagePack values by key.
    pub values: RwLock<HashMap<String, Bytes>>,
}
