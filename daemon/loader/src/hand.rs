//! The thread on which the loader has libraries run code of theirs: what they do when they are
//! loaded, and when they go.
//!
//! It is one thread as long as everything returns, so that what a library binds to the thread that
//! loads it meets no worker. One that does not come back is left to itself: the next work finds
//! another thread in its place, and the first one ends when it returns.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use reld_runtime::contained;

type Work = Box<dyn FnOnce(&AtomicBool) + Send>;

/// Has work done on a thread of the loader's own.
#[derive(Debug, Default)]
pub(crate) struct Hand(Mutex<Option<Worker>>);

#[derive(Debug)]
struct Worker {
    work: SyncSender<Work>,
    is_busy: Arc<AtomicBool>,
}

/// Work that was handed out.
#[derive(Debug)]
pub(crate) struct Errand<T>(Receiver<T>);

impl<T> Errand<T> {
    /// Waits for what the work comes to.
    ///
    /// # Errors
    /// It was not done in time, or has panicked.
    pub(crate) fn wait(&self, patience: Duration) -> Result<T, RecvTimeoutError> {
        self.0.recv_timeout(patience)
    }
}

impl Hand {
    /// Has work done at once.
    ///
    /// # Errors
    /// The system gives no thread, and the work is not done.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Errand<T>> {
        // Room for the answer, so that the thread never waits for an asker that has gone.
        let (answer, answered) = mpsc::sync_channel(1);
        let work = Box::new(move |is_busy: &AtomicBool| {
            let result = contained(work);
            // Whoever has the answer finds the thread idle.
            is_busy.store(false, Ordering::Release);
            result.into_iter().for_each(|result| drop(answer.send(result)));
        });
        let mut worker = self.0.lock();
        let idle = match worker.take().filter(|worker| !worker.is_busy.swap(true, Ordering::AcqRel)) {
            Some(idle) => idle,
            None => Worker::start()?,
        };
        // Refused by no thread that serves; the asker would see that nothing comes.
        let _ = idle.work.send(work);
        *worker = Some(idle);
        Ok(Errand(answered))
    }
}

impl Worker {
    /// Starts a thread that is about to get work.
    fn start() -> io::Result<Self> {
        let (work, queue) = mpsc::sync_channel::<Work>(1);
        let is_busy = Arc::new(AtomicBool::new(true));
        let busy = Arc::clone(&is_busy);
        let serve = move || {
            for work in queue {
                work(&busy);
            }
        };
        thread::Builder::new().name("reld-loader".into()).spawn(serve)?;
        Ok(Self { work, is_busy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn work_is_done_on_one_thread_and_on_another_one_while_that_is_busy() {
        let hand = Hand::default();
        let id = || thread::current().id();
        let ask = || hand.run(id).unwrap().wait(LONG).unwrap();
        let first = ask();
        assert_eq!(ask(), first);
        let (end, ends) = mpsc::channel::<()>();
        let late = hand.run(move || (ends.recv().is_err(), id())).unwrap();
        let second = ask();
        assert_ne!(second, first);
        assert!(late.wait(Duration::ZERO).is_err());
        assert_eq!(ask(), second);
        drop(end);
        assert_eq!(late.wait(LONG).unwrap(), (true, first), "what it comes to is not lost");
    }

    #[test]
    fn a_panic_ends_the_work_that_it_happens_in_and_the_thread_goes_on() {
        let hand = Hand::default();
        let first = hand.run(|| thread::current().id()).unwrap().wait(LONG).unwrap();
        let odd = hand.run(|| panic!("a bug in the loader")).unwrap().wait(LONG);
        assert_eq!(odd, Err::<(), _>(RecvTimeoutError::Disconnected));
        assert_eq!(hand.run(|| thread::current().id()).unwrap().wait(LONG), Ok(first));
    }
}
