//! The rows of a supervisor: its children, in start order, found by id and by pid.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_bytes::ByteBuf;

use crate::child_spec::ChildSpec;
use crate::code::Bytes;
use crate::pid::Pid;

/// Names a row for as long as its supervisor has it; later rows have greater numbers.
pub(crate) type Seq = u64;

/// Where a child stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// Not running: never started, ended for good, or terminated.
    Stopped,
    /// Its init runs.
    Starting(Pid),
    /// It lives.
    Running(Pid),
    /// It ended, and so did the last attempt to start it again.
    Restarting,
}

impl Child {
    /// Returns the child's process, born or about to be.
    pub fn pid(self) -> Option<Pid> {
        match self {
            Self::Starting(pid) | Self::Running(pid) => Some(pid),
            Self::Stopped | Self::Restarting => None,
        }
    }
}

/// One child of a supervisor.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its spec; children of a simple_one_for_one share their template.
    pub(crate) spec: Arc<ChildSpec>,
    /// The argument it was started with, where that is not the spec's.
    pub(crate) args: Option<Bytes>,
    /// Where it stands.
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
    by_pid: HashMap<Pid, Seq>,
    next: Seq,
    /// Children of a simple_one_for_one have no id of their own.
    anonymous: bool,
}

impl Rows {
    pub(crate) fn new(anonymous: bool) -> Self {
        Self { anonymous, ..Self::default() }
    }

    /// Appends a row; its id is new.
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

    /// Gives a row another id, which is new.
    pub(crate) fn rename(&mut self, seq: Seq, id: ByteBuf) {
        if let Some(row) = self.rows.get_mut(&seq) {
            self.by_id.remove(row.spec.id.as_slice());
            self.by_id.insert(id.to_vec(), seq);
            row.spec = Arc::new(ChildSpec { id, ..(*row.spec).clone() });
        }
    }

    pub(crate) fn set(&mut self, seq: Seq, child: Child) {
        if let Some(row) = self.rows.get_mut(&seq) {
            if let Some(pid) = row.child.pid() {
                self.by_pid.remove(&pid);
            }
            if let Some(pid) = child.pid() {
                self.by_pid.insert(pid, seq);
            }
            row.child = child;
        }
    }

    /// Gives all rows this spec. Those of a simple_one_for_one, which are not found by the id in it.
    pub(crate) fn set_template(&mut self, template: &Arc<ChildSpec>) {
        debug_assert!(self.anonymous, "rows with ids have specs of their own");
        self.rows.values_mut().for_each(|row| row.spec = Arc::clone(template));
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

    /// Returns the number of the first row, in start order, for which `wanted` holds.
    pub(crate) fn first(&self, wanted: impl Fn(&Row) -> bool) -> Option<Seq> {
        self.rows.iter().find(|(_, row)| wanted(row)).map(|(seq, _)| *seq)
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

    /// Returns the id under which people find a row: nil for children of a simple_one_for_one.
    pub(crate) fn id<'a>(&self, row: &'a Row) -> Option<&'a [u8]> {
        (!self.anonymous).then_some(row.spec.id.as_slice())
    }
}
