//! The loader thread. Libraries run their constructors, load and unload functions, and destructors
//! on it.
//!
//! As long as all work returns, it is always the same thread, so values that a library binds to the
//! thread that loads it never live on a worker thread. If work does not return, its thread is
//! abandoned: the next work runs on a new thread, and the abandoned thread ends when its work
//! returns.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use reld_runtime::contained;

type Work = Box<dyn FnOnce(&AtomicBool) + Send>;

/// Runs work on the loader thread.
#[derive(Debug, Default)]
pub(crate) struct LoaderThread(Mutex<Option<Worker>>);

#[derive(Debug)]
struct Worker {
    work: SyncSender<Work>,
    is_busy: Arc<AtomicBool>,
}

/// Work on the loader thread, whose result can be awaited.
#[derive(Debug)]
pub(crate) struct Job<T>(Receiver<T>);

impl<T> Job<T> {
    /// Waits for the result of the work.
    ///
    /// # Errors
    /// The work did not finish in time, or has panicked.
    pub(crate) fn wait(&self, patience: Duration) -> Result<T, RecvTimeoutError> {
        self.0.recv_timeout(patience)
    }
}

impl LoaderThread {
    /// Starts work at once, on a new thread if the current one is busy.
    ///
    /// # Errors
    /// No thread can be started, and the work is not done.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Job<T>> {
        // The channel has room for the result, so that the thread never waits for a caller that has
        // stopped waiting.
        let (answer, answered) = mpsc::sync_channel(1);
        let work = Box::new(move |is_busy: &AtomicBool| {
            let result = contained(work);
            // Mark the thread as idle before the caller gets the result, so that the caller's next
            // work finds this thread.
            is_busy.store(false, Ordering::Release);
            result.into_iter().for_each(|result| drop(answer.send(result)));
        });
        let mut worker = self.0.lock();
        let idle = match worker.take().filter(|worker| !worker.is_busy.swap(true, Ordering::AcqRel)) {
            Some(idle) => idle,
            None => Worker::start()?,
        };
        // This fails only if the thread has ended, and the caller then sees a disconnected channel.
        let _ = idle.work.send(work);
        *worker = Some(idle);
        Ok(Job(answered))
    }
}

impl Worker {
    /// Starts a thread. It is marked as busy, because it gets work at once.
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
    fn work_runs_on_one_thread_and_on_a_new_one_while_that_is_busy() {
        let loader_thread = LoaderThread::default();
        let id = || thread::current().id();
        let run = || loader_thread.run(id).unwrap().wait(LONG).unwrap();
        let first = run();
        assert_eq!(run(), first);
        let (end, ends) = mpsc::channel::<()>();
        let late = loader_thread.run(move || (ends.recv().is_err(), id())).unwrap();
        let second = run();
        assert_ne!(second, first);
        assert!(late.wait(Duration::ZERO).is_err());
        assert_eq!(run(), second);
        drop(end);
        assert_eq!(late.wait(LONG).unwrap(), (true, first), "its result is not lost");
    }

    #[test]
    fn a_panic_ends_the_work_that_it_happens_in_and_the_thread_goes_on() {
        let loader_thread = LoaderThread::default();
        let first = loader_thread.run(|| thread::current().id()).unwrap().wait(LONG).unwrap();
        let odd = loader_thread.run(|| panic!("a bug in the loader")).unwrap().wait(LONG);
        assert_eq!(odd, Err::<(), _>(RecvTimeoutError::Disconnected));
        assert_eq!(loader_thread.run(|| thread::current().id()).unwrap().wait(LONG), Ok(first));
    }
}
