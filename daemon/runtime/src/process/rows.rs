//! The rows of a supervisor: its children, in start order, found by id and by pid.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
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
    /// The child spec. For a child with an id, it has neither the id nor the start argument, so
    /// that similar children share it. All children of a simple_one_for_one share their template.
    pub(crate) terms: Arc<ChildSpec>,
    /// The id, if the child has one, and then its own start argument. `None` once the start
    /// argument of a child without id was dropped.
    own: Option<Box<[u8]>>,
    id_len: u32,
    /// The state of the child.
    pub(crate) child: Child,
}

impl Row {
    /// Returns a row for a child with an id. It shares what it can with `sibling`.
    fn named(spec: ChildSpec, child: Child, sibling: Option<&Self>) -> Self {
        let (id, args) = (spec.id, spec.args);
        let terms = ChildSpec { id: ByteBuf::new(), args: ByteBuf::new(), ..spec };
        let shared = sibling.filter(|sibling| *sibling.terms == terms);
        let terms = shared.map_or_else(|| Arc::new(terms), |sibling| Arc::clone(&sibling.terms));
        let mut row = Self { terms, own: None, id_len: 0, child };
        row.put(&id, &args);
        row
    }

    fn put(&mut self, id: &[u8], args: &[u8]) {
        self.own = Some([id, args].concat().into());
        self.id_len = u32::try_from(id.len()).expect("MessagePack has no longer ids");
    }

    fn split(&self) -> (&[u8], Option<&[u8]>) {
        self.own.as_deref().map_or((&[], None), |own| {
            let (id, args) = own.split_at(self.id_len as usize);
            (id, Some(args))
        })
    }

    /// Returns the child's id, or the id of its template.
    pub(crate) fn id(&self) -> &[u8] {
        if self.id_len == 0 { &self.terms.id } else { self.split().0 }
    }

    /// Returns the start argument.
    pub(crate) fn args(&self) -> &[u8] {
        self.split().1.unwrap_or(&self.terms.args)
    }

    /// Returns whether the child could be started again with its start argument.
    pub(crate) fn has_args(&self) -> bool {
        self.own.is_some()
    }

    /// Returns whether this is the row of a child with this spec.
    pub(crate) fn is_of(&self, spec: &ChildSpec) -> bool {
        let ChildSpec { id, module, args, restart, significant, shutdown, child_type } = spec;
        let terms = &*self.terms;
        (self.id(), self.args(), &terms.module) == (id, args, module)
            && (terms.restart, terms.significant) == (*restart, *significant)
            && (terms.shutdown, terms.child_type) == (*shutdown, *child_type)
    }
}

/// A row, or the gap that a removed row has left.
#[derive(Debug, Clone)]
struct Place {
    seq: Seq,
    row: Option<Row>,
}

/// All children of a supervisor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    /// In start order. The gaps are closed when they are the greater part.
    places: Vec<Place>,
    gaps: usize,
    /// The indexes of the rows with an id, hashed by the id.
    by_id: HashTable<u32>,
    /// The indexes of the rows with a process, hashed by the pid.
    by_pid: HashTable<u32>,
    hasher: DefaultHashBuilder,
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

    /// Appends the row of a child with an id, which must be new.
    pub(crate) fn push(&mut self, spec: ChildSpec, child: Child) -> Seq {
        debug_assert!(!self.anonymous, "the children have no ids");
        let sibling = self.places.last().and_then(|place| place.row.as_ref());
        let row = Row::named(spec, child, sibling);
        self.push_row(row)
    }

    /// Appends the row of a child of a simple_one_for_one.
    pub(crate) fn push_anonymous(&mut self, template: &Arc<ChildSpec>, args: Bytes) -> Seq {
        debug_assert!(self.anonymous, "the children have ids");
        let (terms, own) = (Arc::clone(template), Some(args.into()));
        self.push_row(Row { terms, own, id_len: 0, child: Child::Stopped })
    }

    /// Appends a row as it was in other rows. Its id must be new.
    pub(crate) fn push_row(&mut self, row: Row) -> Seq {
        let seq = self.next;
        self.next += 1;
        self.places.push(Place { seq, row: Some(row) });
        self.index(self.places.len() - 1);
        seq
    }

    /// Makes a row that was just placed there findable.
    fn index(&mut self, at: usize) {
        let Some(row) = &self.places[at].row else { return };
        let (id, pid) = ((!self.anonymous).then(|| self.hasher.hash_one(row.id())), row.child.pid());
        if let Some(id) = id {
            self.insert_id(id, at);
        }
        if let Some(pid) = pid {
            self.insert_pid(pid, at);
        }
    }

    fn insert_id(&mut self, hash: u64, at: usize) {
        let (places, hasher) = (&self.places, &self.hasher);
        let again = |at: &u32| places[*at as usize].row.as_ref().map_or(0, |row| hasher.hash_one(row.id()));
        self.by_id.insert_unique(hash, place_number(at), again);
    }

    fn insert_pid(&mut self, pid: Pid, at: usize) {
        let (places, hasher) = (&self.places, &self.hasher);
        let pid_at = |at: &u32| places[*at as usize].row.as_ref().and_then(|row| row.child.pid());
        let again = |at: &u32| pid_at(at).map_or(0, |pid| hasher.hash_one(pid));
        self.by_pid.insert_unique(hasher.hash_one(pid), place_number(at), again);
    }

    fn forget_id(&mut self, id: &[u8], at: usize) {
        let hash = self.hasher.hash_one(id);
        if let Ok(entry) = self.by_id.find_entry(hash, |found| *found as usize == at) {
            entry.remove();
        }
    }

    fn forget_pid(&mut self, pid: Pid, at: usize) {
        let hash = self.hasher.hash_one(pid);
        if let Ok(entry) = self.by_pid.find_entry(hash, |found| *found as usize == at) {
            entry.remove();
        }
    }

    fn at(&self, seq: Seq) -> Option<usize> {
        // Most look-ups are for the row that was added last.
        match self.places.last() {
            Some(last) if last.seq == seq => Some(self.places.len() - 1),
            _ => self.places.binary_search_by_key(&seq, |place| place.seq).ok(),
        }
    }

    fn row_mut(&mut self, seq: Seq) -> Option<&mut Row> {
        let at = self.at(seq)?;
        self.places[at].row.as_mut()
    }

    pub(crate) fn remove(&mut self, seq: Seq) {
        let Some(at) = self.at(seq) else { return };
        let Some(row) = self.places[at].row.take() else { return };
        if !self.anonymous {
            self.forget_id(row.id(), at);
        }
        if let Some(pid) = row.child.pid() {
            self.forget_pid(pid, at);
        }
        self.gaps += 1;
        if self.gaps * 2 > self.places.len() {
            self.close_gaps();
        }
    }

    /// Closes the gaps and gives back the memory that they took.
    fn close_gaps(&mut self) {
        self.gaps = 0;
        self.places.retain(|place| place.row.is_some());
        self.places.shrink_to(2 * self.places.len());
        (self.by_id, self.by_pid) = (HashTable::new(), HashTable::new());
        for at in 0..self.places.len() {
            self.index(at);
        }
    }

    /// Gives a row another id, which must be new.
    pub(crate) fn rename(&mut self, seq: Seq, id: &[u8]) {
        let Some(at) = self.at(seq) else { return };
        let Some(mut row) = self.places[at].row.take() else { return };
        self.forget_id(row.id(), at);
        let args = row.args().to_vec();
        row.put(id, &args);
        self.places[at].row = Some(row);
        self.insert_id(self.hasher.hash_one(id), at);
    }

    pub(crate) fn set(&mut self, seq: Seq, child: Child) {
        let Some(at) = self.at(seq) else { return };
        let Some(row) = &mut self.places[at].row else { return };
        let (old, new) = (row.child.pid(), child.pid());
        row.child = child;
        if old != new {
            if let Some(pid) = old {
                self.forget_pid(pid, at);
            }
            if let Some(pid) = new {
                self.insert_pid(pid, at);
            }
        }
    }

    /// Replaces the template of a simple_one_for_one in all rows. A row without its own start
    /// argument gets the template as temporary: the argument was dropped, so the child could not be
    /// restarted with it.
    pub(crate) fn set_template(&mut self, template: &Arc<ChildSpec>) {
        debug_assert!(self.anonymous, "rows with ids have specs of their own");
        let once = Arc::new(ChildSpec { restart: Restart::Temporary, ..(**template).clone() });
        for row in self.places.iter_mut().filter_map(|place| place.row.as_mut()) {
            row.terms = Arc::clone(if row.has_args() { template } else { &once });
        }
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<&Row> {
        self.places[self.at(seq)?].row.as_ref()
    }

    pub(crate) fn by_id(&self, id: &[u8]) -> Option<(Seq, &Row)> {
        let is_it = |at: &u32| self.places[*at as usize].row.as_ref().is_some_and(|row| row.id() == id);
        self.found(*self.by_id.find(self.hasher.hash_one(id), is_it)?)
    }

    pub(crate) fn by_pid(&self, pid: Pid) -> Option<(Seq, &Row)> {
        let is_it =
            |at: &u32| self.places[*at as usize].row.as_ref().is_some_and(|row| row.child.pid() == Some(pid));
        self.found(*self.by_pid.find(self.hasher.hash_one(pid), is_it)?)
    }

    fn found(&self, at: u32) -> Option<(Seq, &Row)> {
        let Place { seq, row } = &self.places[at as usize];
        Some((*seq, row.as_ref()?))
    }

    /// Returns the numbers of the rows that are about to be restarted, in start order.
    pub(crate) fn restarting(&self) -> Vec<Seq> {
        let is_restarting = |(_, row): &(Seq, &Row)| row.child == Child::Restarting;
        self.since(Seq::MIN).filter(is_restarting).map(|(seq, _)| seq).collect()
    }

    /// Returns that row and all later ones, in start order.
    pub(crate) fn since(&self, seq: Seq) -> impl DoubleEndedIterator<Item = (Seq, &Row)> {
        let from = self.places.partition_point(|place| place.seq < seq);
        self.places[from..].iter().filter_map(|place| Some((place.seq, place.row.as_ref()?)))
    }

    /// Drops the start argument of a child that is never restarted.
    pub(crate) fn drop_args(&mut self, seq: Seq) {
        let is_anonymous = self.anonymous;
        let Some(row) = self.row_mut(seq) else { return };
        if is_anonymous {
            row.own = None;
        } else {
            let id = row.id().to_vec();
            row.put(&id, &term::encode(&()));
        }
    }

    /// Returns the numbers of all rows, in start order.
    pub(crate) fn seqs(&self) -> Vec<Seq> {
        self.since(Seq::MIN).map(|(seq, _)| seq).collect()
    }

    /// Returns all rows, in start order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.places.iter().filter_map(|place| place.row.as_ref())
    }

    /// Returns the child spec of a row: the template, for a child of a simple_one_for_one.
    pub(crate) fn spec(&self, row: &Row) -> ChildSpec {
        let terms = (*row.terms).clone();
        if self.anonymous {
            return terms;
        }
        ChildSpec { id: ByteBuf::from(row.id()), args: ByteBuf::from(row.args()), ..terms }
    }

    /// Returns how many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.gaps
    }

    /// Returns the id under which a row is displayed; `None` for the children of a
    /// simple_one_for_one.
    pub(crate) fn id<'a>(&self, row: &'a Row) -> Option<&'a [u8]> {
        (!self.anonymous).then_some(row.id())
    }
}

/// Returns the number of a place, as the hash tables hold it.
fn place_number(at: usize) -> u32 {
    u32::try_from(at).expect("a supervisor has fewer children than the node has pids")
}

#[cfg(test)]
mod tests;
