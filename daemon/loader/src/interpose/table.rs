//! The table of everything that libraries have registered with threads. It is plain data without
//! foreign code, and its owner protects it with a lock.
//!
//! A duty is work that a thread must do before a library can be unmapped. A duty stays in the table
//! until it is done, so the table shows whether a library can be unmapped. While a thread runs a
//! destructor of a library, the duty is [`Duty::Running`], with the time at which the destructor
//! started.

use std::collections::BTreeSet;
use std::ffi::c_void;
use std::ops::Range;
use std::time::{Duration, Instant};

/// A destructor of a library.
pub(super) type Destructor = unsafe extern "C" fn(*mut c_void);

/// The system's id of a thread of the daemon.
pub(crate) type ThreadId = i32;

/// A `pthread_key_t`.
pub(super) type Key = u32;

/// A duty of a thread for the library at `owner`.
#[derive(Debug)]
struct Entry {
    id: u64,
    thread: ThreadId,
    owner: usize,
    duty: Duty,
}

#[derive(Debug, Clone, Copy)]
enum Duty {
    /// Run a destructor of a thread-local value.
    Destroy { run: Destructor, object: usize },
    /// Take the thread's value of a key, and run the key's destructor on it.
    Release { key: Key },
    /// Restore this alternate stack, which the library's stack has replaced.
    Restore { before: Stack },
    /// End. The library has started the thread.
    End,
    /// One of the first three duties, which has been running since this time.
    Running { since: Instant },
}

impl Duty {
    fn is_release(&self, of: Key) -> bool {
        matches!(self, Self::Release { key } if *key == of)
    }

    fn is_end(&self) -> bool {
        matches!(self, Self::End)
    }
}

/// The alternate stack of a thread, in the kernel's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stack {
    pub(super) start: usize,
    pub(super) flags: i32,
    pub(super) size: usize,
}

/// A key that a library made.
#[derive(Debug)]
struct LibraryKey {
    key: Key,
    owner: usize,
    run: Option<Destructor>,
}

/// The call that performs a duty.
#[derive(Debug, Clone, Copy)]
pub(super) enum Call {
    /// Call this destructor with this object.
    Destroy(Destructor, usize),
    /// Call this destructor with the calling thread's value of the key.
    Release(Key, Option<Destructor>),
    /// Set this alternate stack.
    Restore(Stack),
}

/// A duty that a thread has to do now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) id: u64,
    /// An address in the library for which the duty is done.
    pub(super) owner: usize,
    pub(super) call: Call,
}

/// Selects the duties to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The duties for condemned libraries.
    Condemned,
    /// The duties for the condemned library at this address.
    Of(usize),
    /// All duties, because the thread ends.
    All,
}

/// Everything that libraries have registered with threads.
#[derive(Debug)]
pub(super) struct Table {
    last: u64,
    entries: Vec<Entry>,
    keys: Vec<LibraryKey>,
    condemned: Vec<Range<usize>>,
}

impl Table {
    pub(super) const fn new() -> Self {
        Self { last: 0, entries: Vec::new(), keys: Vec::new(), condemned: Vec::new() }
    }

    fn add(&mut self, thread: ThreadId, owner: usize, duty: Duty) -> u64 {
        self.last += 1;
        self.entries.push(Entry { id: self.last, thread, owner, duty });
        self.last
    }

    /// Records a destructor of a thread-local value.
    pub(super) fn destroy_later(&mut self, thread: ThreadId, owner: usize, run: Destructor, object: usize) {
        self.add(thread, owner, Duty::Destroy { run, object });
    }

    /// Records a thread that a library is about to start. Its thread id is not known yet.
    pub(super) fn thread_starts(&mut self, owner: usize) -> u64 {
        self.add(0, owner, Duty::End)
    }

    /// Records the id of a thread that has started.
    pub(super) fn thread_runs(&mut self, id: u64, thread: ThreadId) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) {
            entry.thread = thread;
        }
    }

    /// Records a key that a library creates, and the destructor that the library passes.
    pub(super) fn add_key(&mut self, key: Key, owner: usize, run: Option<Destructor>) {
        self.keys.push(LibraryKey { key, owner, run });
    }

    /// Removes a key and all its values.
    pub(super) fn remove_key(&mut self, key: Key) {
        self.keys.retain(|known| known.key != key);
        self.entries.retain(|entry| !entry.duty.is_release(key));
    }

    /// Records that a thread has a value of a key, if the key belongs to a library.
    pub(super) fn release_later(&mut self, thread: ThreadId, key: Key) {
        let Some(owner) = self.keys.iter().find(|known| known.key == key).map(|known| known.owner) else {
            return;
        };
        if !self.entries.iter().any(|entry| entry.thread == thread && entry.duty.is_release(key)) {
            self.add(thread, owner, Duty::Release { key });
        }
    }

    /// Returns the alternate stack that a thread had before libraries replaced it, if they did.
    pub(super) fn stack_before(&self, thread: ThreadId) -> Option<Stack> {
        self.entries.iter().filter(|entry| entry.thread == thread).find_map(|entry| match entry.duty {
            Duty::Restore { before } => Some(before),
            _ => None,
        })
    }

    /// Records that a thread has a new alternate stack, which belongs to a library or to the
    /// daemon, and the previous stack.
    pub(super) fn stack_is(&mut self, thread: ThreadId, owner: Option<usize>, before: Stack) {
        let of_it = |entry: &Entry| entry.thread == thread && matches!(entry.duty, Duty::Restore { .. });
        let known = self.entries.iter().position(of_it).map(|at| self.entries.remove(at).duty);
        if let Some(owner) = owner {
            // If a library replaces the stack of another library, the first replaced stack is still
            // the one to restore.
            self.add(thread, owner, known.unwrap_or(Duty::Restore { before }));
        }
    }

    /// Returns the next call of a thread. As in glibc, destructors come first, in reverse order,
    /// followed by keys. The entry stays in the table until [`Table::done`].
    pub(super) fn next(&mut self, thread: ThreadId, whose: Whose) -> Option<Due> {
        let due = |entry: &&mut Entry| {
            let mut condemned = self.condemned.iter().filter(|span| span.contains(&entry.owner));
            let is_asked = match whose {
                Whose::Condemned => condemned.next().is_some(),
                Whose::Of(address) => condemned.any(|span| span.contains(&address)),
                Whose::All => true,
            };
            entry.thread == thread && is_asked
        };
        let mut due: Vec<&mut Entry> = self.entries.iter_mut().rev().filter(due).collect();
        let first = |is_it: fn(&Duty) -> bool| due.iter().position(|entry| is_it(&entry.duty));
        let at = first(|duty| matches!(duty, Duty::Destroy { .. }))
            .or_else(|| first(|duty| matches!(duty, Duty::Release { .. })))
            .or_else(|| first(|duty| matches!(duty, Duty::Restore { .. })))?;
        let entry = due.swap_remove(at);
        let call = match std::mem::replace(&mut entry.duty, Duty::Running { since: Instant::now() }) {
            Duty::Destroy { run, object } => Call::Destroy(run, object),
            Duty::Release { key } => {
                let run = self.keys.iter().find(|known| known.key == key).and_then(|known| known.run);
                Call::Release(key, run)
            }
            Duty::Restore { before } => Call::Restore(before),
            Duty::End | Duty::Running { .. } => unreachable!("only the other duties were searched for"),
        };
        Some(Due { id: entry.id, owner: entry.owner, call })
    }

    /// Removes an entry.
    pub(super) fn done(&mut self, id: u64) {
        self.entries.retain(|entry| entry.id != id);
    }

    /// Removes the entries of a thread that ends.
    pub(super) fn thread_ended(&mut self, thread: ThreadId) {
        self.entries.retain(|entry| entry.thread != thread);
    }

    /// Marks the library in `span` as condemned. Every thread does its duties for the library at
    /// its next flush.
    pub(super) fn condemn(&mut self, span: &Range<usize>) {
        if !self.condemned.contains(span) {
            self.condemned.push(span.clone());
        }
    }

    /// Returns the number of running threads that the library in `span` has started.
    pub(super) fn threads(&self, span: &Range<usize>) -> usize {
        let of_it = |entry: &&Entry| span.contains(&entry.owner) && entry.duty.is_end();
        self.entries.iter().filter(of_it).count()
    }

    /// Returns the threads with duties for the library in `span`.
    pub(super) fn holders(&self, span: &Range<usize>) -> BTreeSet<ThreadId> {
        let of_it = |entry: &&Entry| span.contains(&entry.owner) && !entry.duty.is_end();
        self.entries.iter().filter(of_it).map(|entry| entry.thread).collect()
    }

    /// Returns a thread that has been running a duty for the library in `span` for at least
    /// `after`.
    pub(super) fn late(&self, span: &Range<usize>, after: Duration) -> Option<ThreadId> {
        let is_late = |entry: &&Entry| match entry.duty {
            Duty::Running { since } => span.contains(&entry.owner) && since.elapsed() >= after,
            _ => false,
        };
        self.entries.iter().find(is_late).map(|entry| entry.thread)
    }

    /// Returns the keys that the library in `span` has created.
    pub(super) fn keys(&self, span: &Range<usize>) -> Vec<Key> {
        self.keys.iter().filter(|known| span.contains(&known.owner)).map(|known| known.key).collect()
    }

    /// Removes all entries of the library in `span`, because it is unmapped.
    pub(super) fn forget(&mut self, span: &Range<usize>) {
        self.entries.retain(|entry| !span.contains(&entry.owner));
        self.keys.retain(|known| !span.contains(&known.owner));
        self.condemned.retain(|condemned| condemned != span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Range<usize> = 0x1000..0x2000;
    const B: Range<usize> = 0x2000..0x3000;

    unsafe extern "C" fn first(_: *mut c_void) {}

    /// Makes a table with a thread that has two values of A, one value of B, and a key of A.
    fn table() -> Table {
        let mut table = Table::new();
        table.add_key(7, 0x1010, Some(first));
        table.release_later(1, 7);
        table.destroy_later(1, 0x1000, first, 1);
        table.destroy_later(1, 0x2000, first, 2);
        table.destroy_later(1, 0x1fff, first, 3);
        table
    }

    fn drain(table: &mut Table, thread: ThreadId, whose: Whose) -> Vec<usize> {
        let mut objects = Vec::new();
        while let Some(Due { id, call, .. }) = table.next(thread, whose) {
            objects.push(match call {
                Call::Destroy(_, object) => object,
                Call::Release(key, _) => 100 + key as usize,
                Call::Restore(before) => before.start,
            });
            table.done(id);
        }
        objects
    }

    #[test]
    fn a_thread_that_ends_does_all_its_duties_the_latest_first_and_keys_last() {
        assert_eq!(drain(&mut table(), 1, Whose::All), [3, 2, 1, 107]);
        assert_eq!(drain(&mut table(), 2, Whose::All), [0; 0]);
    }

    #[test]
    fn only_duties_for_condemned_libraries_are_flushed() {
        let mut table = table();
        assert_eq!(drain(&mut table, 1, Whose::Condemned), [0; 0]);
        table.condemn(&A);
        assert_eq!(drain(&mut table, 1, Whose::Of(B.start)), [0; 0]);
        assert_eq!(drain(&mut table, 1, Whose::Of(A.start)), [3, 1, 107]);
        table.destroy_later(1, A.start, first, 4);
        assert_eq!(drain(&mut table, 1, Whose::Condemned), [4]);
        assert_eq!(table.holders(&A), BTreeSet::new());
        assert_eq!(table.holders(&B), BTreeSet::from([1]));
    }

    #[test]
    fn a_destructor_that_runs_still_holds_its_library() {
        let mut table = table();
        table.forget(&B);
        table.condemn(&A);
        let (mut id, mut calls) = (0, 0);
        assert_eq!(table.late(&A, Duration::ZERO), None);
        while let Some(next) = table.next(1, Whose::Condemned) {
            table.done(id);
            (id, calls) = (next.id, calls + 1);
            assert_eq!(table.holders(&A), BTreeSet::from([1]));
            assert_eq!((table.late(&A, Duration::ZERO), table.late(&A, Duration::MAX)), (Some(1), None));
        }
        table.done(id);
        assert_eq!((calls, table.holders(&A).len()), (3, 0));
    }

    #[test]
    fn a_thread_counts_from_before_its_start_to_its_end() {
        let mut table = Table::new();
        let id = table.thread_starts(0x1000);
        assert_eq!((table.threads(&A), table.threads(&B)), (1, 0));
        table.thread_runs(id, 9);
        assert!(table.holders(&A).is_empty(), "it is counted as a thread");
        table.thread_ended(9);
        assert_eq!(table.threads(&A), 0);
    }

    #[test]
    fn a_thread_gets_the_stack_back_that_it_had_before_those_of_libraries() {
        let stack = |start| Stack { start, flags: 0, size: 1 };
        let mut table = Table::new();
        table.stack_is(1, Some(0x1000), stack(7));
        table.stack_is(1, Some(0x2000), stack(0x1000));
        assert_eq!((table.holders(&A), table.holders(&B)), (BTreeSet::new(), BTreeSet::from([1])));
        assert_eq!((table.stack_before(1), table.stack_before(2)), (Some(stack(7)), None));
        table.condemn(&B);
        assert_eq!(drain(&mut table, 1, Whose::Condemned), [7]);
        table.stack_is(1, Some(0x1000), stack(7));
        table.stack_is(1, None, stack(0x1000));
        assert_eq!(table.holders(&A), BTreeSet::new(), "the thread has another stack now");
    }

    #[test]
    fn a_key_is_held_once_by_each_thread_and_goes_with_its_values() {
        let mut table = table();
        table.release_later(1, 7);
        table.release_later(2, 7);
        table.release_later(2, 8);
        assert_eq!((table.keys(&A), table.holders(&A)), (vec![7], BTreeSet::from([1, 2])));
        table.remove_key(7);
        assert_eq!((table.keys(&A), table.holders(&A)), (vec![], BTreeSet::from([1])));
    }
}
