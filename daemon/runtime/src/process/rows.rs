//! The rows of a supervisor: its children, in start order, found by id and by pid.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_bytes::ByteBuf;

use crate::words::child_spec::{ChildSpec, Restart};
use crate::words::code::Bytes;
use crate::words::pid::Pid;
use crate::words::term;

/// Identifies a row as long as the supervisor has it. A later row has a greater number.
pub(crate) type Seq = u64;

/// The state of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// The child does not run: it was never started, has ended for good, or was terminated.
    Stopped,
    /// The init of the child runs.
    Starting(Pid),
    /// The child is alive.
    Running(Pid),
    /// The child has ended and is about to be restarted.
    Restarting,
}

impl Child {
    /// Returns the child's process, if the child runs or its init does.
    pub fn pid(self) -> Option<Pid> {
        match self {
            Self::Starting(pid) | Self::Running(pid) => Some(pid),
            Self::Stopped | Self::Restarting => None,
        }
    }

    /// Returns whether the child neither runs nor is about to run.
    pub(crate) fn is_stopped(self) -> bool {
        self == Self::Stopped
    }
}

/// One child of a supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The child spec; all children of a simple_one_for_one share their template.
    pub(crate) spec: Arc<ChildSpec>,
    /// The start argument, if it differs from the argument in the spec.
    pub(crate) args: Option<Box<[u8]>>,
    /// The state of the child.
    pub(crate) child: Child,
}

impl Row {
    /// Returns the start argument.
    pub(crate) fn args(&self) -> &[u8] {
        self.args.as_deref().unwrap_or(&self.spec.args)
    }
}

/// All children of a supervisor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    rows: BTreeMap<Seq, Row>,
    by_id: HashMap<Bytes, Seq>,
    /// Hashed without a key, which is safe: the node chooses the pids, so an attacker cannot make
    /// them collide.
    by_pid: FxHashMap<Pid, Seq>,
    next: Seq,
    /// Whether these are the children of a simple_one_for_one, which have no ids of their own.
    anonymous: bool,
}

impl Rows {
    pub(crate) fn new(anonymous: bool) -> Self {
        Self { anonymous, ..Self::default() }
    }

    /// Returns whether these are the children of a simple_one_for_one.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Appends a row. Its id must be new.
    pub(crate) fn push(&mut self, row: Row) -> Seq {
        let seq = self.next;
        self.next += 1;
        if !self.anonymous {
            self.by_id.insert(row.spec.id.to_vec(), seq);
        }
        if let Some(pid) = row.child.pid() {
            self.by_pid.insert(pid, seq);
        }
        self.rows.insert(seq, row);
        seq
    }

    pub(crate) fn remove(&mut self, seq: Seq) {
        if let Some(row) = self.rows.remove(&seq) {
            self.by_id.remove(row.spec.id.as_slice());
            if let Some(pid) = row.child.pid() {
                self.by_pid.remove(&pid);
            }
        }
    }

    /// Gives a row another id, which must be new.
    pub(crate) fn rename(&mut self, seq: Seq, id: ByteBuf) {
        if let Some(row) = self.rows.get_mut(&seq) {
            self.by_id.remove(row.spec.id.as_slice());
            self.by_id.insert(id.to_vec(), seq);
            row.spec = Arc::new(ChildSpec { id, ..(*row.spec).clone() });
        }
    }

    pub(crate) fn set(&mut self, seq: Seq, child: Child) {
        if let Some(row) = self.rows.get_mut(&seq) {
            let (old, new) = (row.child.pid(), child.pid());
            row.child = child;
            if old != new {
                old.map(|pid| self.by_pid.remove(&pid));
                new.map(|pid| self.by_pid.insert(pid, seq));
            }
        }
    }

    /// Replaces the template of a simple_one_for_one in all rows. The template's id identifies no
    /// row, so `by_id` does not change. A row without its own start argument gets the template as
    /// temporary: the argument was dropped, so the child could not be restarted with it.
    pub(crate) fn set_template(&mut self, template: &Arc<ChildSpec>) {
        debug_assert!(self.anonymous, "rows with ids have specs of their own");
        let once = Arc::new(ChildSpec { restart: Restart::Temporary, ..(**template).clone() });
        for row in self.rows.values_mut() {
            row.spec = Arc::clone(if row.args.is_some() { template } else { &once });
        }
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<&Row> {
        self.rows.get(&seq)
    }

    pub(crate) fn by_id(&self, id: &[u8]) -> Option<(Seq, &Row)> {
        let seq = *self.by_id.get(id)?;
        Some((seq, self.rows.get(&seq)?))
    }

    pub(crate) fn by_pid(&self, pid: Pid) -> Option<(Seq, &Row)> {
        let seq = *self.by_pid.get(&pid)?;
        Some((seq, self.rows.get(&seq)?))
    }

    /// Returns the numbers of the rows that are about to be restarted, in start order.
    pub(crate) fn restarting(&self) -> Vec<Seq> {
        let is_restarting = |(_, row): &(&Seq, &Row)| row.child == Child::Restarting;
        self.rows.iter().filter(is_restarting).map(|(seq, _)| *seq).collect()
    }

    /// Returns that row and all later ones, in start order.
    pub(crate) fn since(&self, seq: Seq) -> impl DoubleEndedIterator<Item = (Seq, &Row)> {
        self.rows.range(seq..).map(|(seq, row)| (*seq, row))
    }

    /// Drops the start argument of a child that is never restarted.
    pub(crate) fn drop_args(&mut self, seq: Seq) {
        let Some(row) = self.rows.get_mut(&seq) else { return };
        row.args = None;
        // The template of a simple_one_for_one is shared and must not change.
        if let Some(spec) = Arc::get_mut(&mut row.spec) {
            spec.args = ByteBuf::from(term::encode(&()));
        }
    }

    /// Returns the numbers of all rows, in start order.
    pub(crate) fn seqs(&self) -> Vec<Seq> {
        self.rows.keys().copied().collect()
    }

    /// Returns all rows, in start order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.values()
    }

    /// Returns how many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns the id under which a row is displayed; `None` for the children of a
    /// simple_one_for_one.
    pub(crate) fn id<'a>(&self, row: &'a Row) -> Option<&'a [u8]> {
        (!self.anonymous).then_some(row.spec.id.as_slice())
    }
}
