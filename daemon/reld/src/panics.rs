//! Panics of the daemon. Each panic is a bug. It is logged and raises an alarm.
//!
//! A table in `ARCHITECTURE.md` shows the effect of a panic on the work around it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::future::Future;
use std::panic::PanicHookInfo;
use std::thread;
use std::time::Duration;

use reld_runtime::contained_task;

use crate::alarms::Alarms;
use crate::log::Log;

/// The time limit for writing the log after a panic. The panicking thread waits, because the panic
/// may end the daemon.
const FLUSH: Duration = Duration::from_millis(200);

/// The pause of a task between its panic and its next start.
const REST: Duration = Duration::from_secs(1);

/// The maximum length of a panic's message in an alarm.
const MESSAGE_MAX: usize = 200;

/// Installs the panic hook. Rust's default hook writes to stderr, where a full pipe would block it.
pub(crate) fn report(log: Log, alarms: Alarms) {
    std::panic::set_hook(Box::new(move |info| report_one(info, &log, &alarms)));
}

fn report_one(info: &PanicHookInfo<'_>, log: &Log, alarms: &Alarms) {
    let thread = thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let message = info.payload_as_str().unwrap_or("no message");
    let backtrace = Backtrace::capture();
    let frames = match backtrace.status() {
        BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    log.error(&format!("the daemon panicked at {place}, on thread {thread}: {message}{frames}"));
    let short: String = message.chars().take(MESSAGE_MAX).collect();
    let text = format!(
        "a bug: the daemon panicked at {place}, on thread {thread}: {short}; its work there has failed, see the log"
    );
    alarms.raise(&place, text);
    log.flush(FLUSH);
}

/// Runs a task that the node depends on. If the task panics, it is started again.
pub(crate) async fn lasting<T, F: Future<Output = T>>(name: &str, begin: impl Fn() -> F) -> T {
    loop {
        if let Ok(ended) = contained_task(async { begin().await }).await {
            return ended;
        }
        tracing::error!(name: "daemon.again", task = name, "restarting a task after a panic");
        tokio::time::sleep(REST).await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::log::Form;

    #[test]
    fn a_panic_on_any_thread_is_logged_and_raised_as_an_alarm() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (log, alarms) = (Log::start(writer, Form::Text, 1 << 20).unwrap(), Alarms::default());
        report(log, alarms.clone());
        let odd = thread::Builder::new().name("reld-odd".to_owned());
        let ended = odd.spawn(|| panic!("a bug of {} thread", 1)).unwrap().join();
        drop(std::panic::take_hook());
        assert!(ended.is_err());
        let words = "on thread reld-odd: a bug of 1 thread";
        assert!(alarms.list().iter().any(|alarm| alarm.text.contains(words)), "{:?}", alarms.list());
        let mut text = [0; 200];
        let length = reader.read(&mut text).unwrap();
        let text = String::from_utf8_lossy(&text[..length]);
        assert!(text.contains("ERROR reld::log: the daemon panicked at daemon/reld/src/panics.rs"), "{text}");
        assert!(text.contains(words), "{text}");
    }

    #[tokio::test]
    async fn a_task_that_panics_is_restarted_and_one_that_ends_is_not() {
        let begun = AtomicU64::new(0);
        let times = lasting("a test", || async {
            let times = begun.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::task::yield_now().await;
            assert!(times > 1, "a bug in a task");
            times
        });
        assert_eq!(times.await, 2);
    }
}
