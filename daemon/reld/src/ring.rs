//! A bounded ring of the newest records of the daemon, for any number of readers.
//!
//! ```text
//!   first of this daemon     oldest                 newest
//!          |---- forgotten ----|-------- kept --------|
//!                    ^ a reader at this position has missed the records up to the oldest
//! ```
//!
//! A reader is just the number of the record that it reads next. So it has no queue and blocks no
//! other thread. A slow reader is treated like one that reconnects late: it learns how many records
//! it has missed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::record::Record;

/// The maximum number of records that a reader copies at once. Writers wait meanwhile.
const AT_ONCE: usize = 256;

/// A handle to a ring of records.
#[derive(Debug, Clone)]
pub(crate) struct Ring(Arc<watch::Sender<Kept>>);

#[derive(Debug)]
struct Kept {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    bytes_max: usize,
    /// The numbers of this daemon's first record and of its next record.
    first: u64,
    next: u64,
}

/// An item that a reader gets.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// A record, with its number.
    Record(u64, Arc<Record>),
    /// Records that are not kept any more.
    Missed(Missed),
}

/// The records that a reader has missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missed {
    /// The number of the last missed record.
    pub(crate) last: u64,
    /// How many records of this daemon were missed.
    pub(crate) count: u64,
    /// Whether the reader's number is from an earlier daemon or another node.
    pub(crate) restarted: bool,
}

impl Ring {
    /// Makes an empty ring that keeps `bytes_max` bytes. The first number is derived from the
    /// current time, so that it differs from all numbers of the previous daemon.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let first = u64::try_from(since.as_micros()).unwrap_or(u64::MAX / 2).max(1);
        Self::beginning_with(first, bytes_max)
    }

    fn beginning_with(first: u64, bytes_max: usize) -> Self {
        let kept = Kept { records: VecDeque::new(), bytes: 0, bytes_max, first, next: first };
        Self(Arc::new(watch::Sender::new(kept)))
    }

    /// Adds a record. This never waits for a reader.
    pub(crate) fn push(&self, record: impl Into<Arc<Record>>) {
        let record = record.into();
        self.0.send_modify(|kept| kept.push(record));
    }

    /// Returns whether there is more than one reader.
    pub(crate) fn has_others(&self) -> bool {
        self.0.receiver_count() > 1
    }

    /// Adds a reader, and wakes the readers that wait in [`Reader::changed`].
    fn subscribe(&self) -> watch::Receiver<Kept> {
        let ring = self.0.subscribe();
        self.0.send_modify(|_| ());
        ring
    }

    /// Returns a reader of the records after this number, or of new records if there is no number.
    pub(crate) fn after(&self, number: Option<u64>) -> Reader {
        let ring = self.subscribe();
        let (first, next) = {
            let kept = ring.borrow();
            (kept.first, kept.next)
        };
        match number {
            None => Reader { ring, next, restarted: false },
            Some(number) if number >= first && number < next => {
                Reader { ring, next: number + 1, restarted: false }
            }
            Some(number) => Reader { ring, next: first, restarted: number != 0 },
        }
    }

    /// Returns a reader that starts `count` wanted records before the end.
    pub(crate) fn last(&self, count: usize, wanted: impl Fn(&Record) -> bool) -> Reader {
        let ring = self.subscribe();
        let next = {
            let kept = ring.borrow();
            let newest_first = kept.numbered().rev().filter(|(_, record)| wanted(record));
            newest_first.take(count).last().map_or(kept.next, |(number, _)| number)
        };
        Reader { ring, next, restarted: false }
    }
}

impl Kept {
    fn push(&mut self, record: Arc<Record>) {
        self.bytes += record.bytes();
        self.next += 1;
        self.records.push_back(record);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.records.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }

    fn oldest(&self) -> u64 {
        self.next - self.records.len() as u64
    }

    fn numbered(&self) -> impl DoubleEndedIterator<Item = (u64, &Arc<Record>)> {
        let oldest = self.oldest();
        self.records.iter().enumerate().map(move |(at, record)| (oldest + at as u64, record))
    }
}

/// A reader of a ring.
#[derive(Debug)]
pub(crate) struct Reader {
    ring: watch::Receiver<Kept>,
    next: u64,
    /// Whether this reader started from a number of another daemon.
    restarted: bool,
}

impl Reader {
    /// Returns the next batch of records. The batch is empty if there are no new records.
    pub(crate) fn read(&mut self) -> Vec<Found> {
        let kept = self.ring.borrow_and_update();
        let oldest = kept.oldest();
        let mut found = Vec::new();
        if self.next < oldest || self.restarted {
            let count = oldest.saturating_sub(self.next);
            let restarted = std::mem::take(&mut self.restarted);
            self.next = self.next.max(oldest);
            found.push(Found::Missed(Missed { last: self.next - 1, count, restarted }));
        }
        let at = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
        let records = kept.records.iter().skip(at).take(AT_ONCE);
        for record in records {
            found.push(Found::Record(self.next, Arc::clone(record)));
            self.next += 1;
        }
        found
    }

    /// Waits for the next batch of records. The batch is empty if the ring is gone.
    pub(crate) async fn wait(&mut self) -> Vec<Found> {
        loop {
            let found = self.read();
            if !found.is_empty() || self.ring.changed().await.is_err() {
                return found;
            }
        }
    }
}

impl Reader {
    /// Waits for a new record or a new reader.
    pub(crate) async fn changed(&mut self) {
        // This fails if the ring is gone.
        let _ = self.ring.changed().await;
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn record(text: &str) -> Record {
        Record::plain(Level::INFO, text)
    }

    fn text(record: &Record) -> String {
        let fields: serde_json::Value = serde_json::from_slice(record.json()).unwrap();
        fields["message"].as_str().unwrap().to_owned()
    }

    /// Makes a ring with room for three records with one-letter texts.
    fn ring(texts: &[&str]) -> Ring {
        let ring = Ring::beginning_with(100, 3 * record("a").bytes());
        texts.iter().for_each(|text| ring.push(record(text)));
        ring
    }

    fn shown(mut reader: Reader) -> Vec<String> {
        let found = reader.read().into_iter().map(|found| match found {
            Found::Record(number, record) => format!("{number} {}", text(&record)),
            Found::Missed(Missed { last, count, restarted: false }) => format!("{count} missed to {last}"),
            Found::Missed(Missed { last, count, restarted: true }) => {
                format!("restarted, {count} missed to {last}")
            }
        });
        let found = found.collect();
        assert_eq!(reader.read().len(), 0, "it is read once");
        found
    }

    #[track_caller]
    fn check(texts: &[&str], after: Option<u64>, expected: &[&str]) {
        assert_eq!(shown(ring(texts).after(after)), expected);
    }

    #[test]
    fn a_reader_finds_what_follows_its_number_or_how_much_of_that_is_gone() {
        let texts = ["a", "b", "c", "d", "e"];
        check(&texts, Some(102), &["103 d", "104 e"]);
        check(&texts, Some(104), &[]);
        check(&texts, None, &[]);
        check(&texts, Some(100), &["1 missed to 101", "102 c", "103 d", "104 e"]);
        check(&texts, Some(0), &["2 missed to 101", "102 c", "103 d", "104 e"]);
        check(&[], Some(0), &[]);
    }

    #[test]
    fn a_reader_with_a_number_of_another_daemon_is_notified_and_finds_all() {
        for number in [1, 99, 102, u64::MAX] {
            check(&["a", "b"], Some(number), &["restarted, 0 missed to 99", "100 a", "101 b"]);
        }
        check(&[], Some(42), &["restarted, 0 missed to 99"]);
        check(&["a", "b", "c", "d"], Some(42), &["restarted, 1 missed to 100", "101 b", "102 c", "103 d"]);
    }

    #[test]
    fn a_reader_that_is_too_slow_learns_how_many_it_has_missed() {
        let ring = ring(&["a"]);
        let mut slow = ring.after(Some(0));
        assert_eq!(slow.read().len(), 1);
        ["b", "c", "d", "e"].into_iter().for_each(|text| ring.push(record(text)));
        assert_eq!(shown(slow), ["1 missed to 101", "102 c", "103 d", "104 e"]);
    }

    #[test]
    fn a_reader_starts_at_the_last_wanted_records() {
        let is_a = |record: &Record| text(record) == "a";
        let ring = ring(&["a", "b", "a"]);
        assert_eq!(shown(ring.last(1, is_a)), ["102 a"]);
        assert_eq!(shown(ring.last(9, is_a)), ["100 a", "101 b", "102 a"]);
        assert_eq!(shown(ring.last(0, is_a)), [""; 0]);
        assert_eq!(shown(ring.last(9, |record| text(record) == "x")), [""; 0]);
    }

    #[test]
    fn a_record_that_is_larger_than_the_ring_is_missed() {
        let long = "x".repeat(4096);
        check(&["a", &long], Some(0), &["2 missed to 101"]);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken_by_a_record() {
        let ring = ring(&[]);
        let mut reader = ring.after(None);
        let waits = tokio::spawn(async move { reader.wait().await.len() });
        tokio::task::yield_now().await;
        ring.push(record("a"));
        assert_eq!(waits.await.unwrap(), 1);
    }
}
