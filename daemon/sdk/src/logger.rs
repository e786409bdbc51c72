//! The `log` facade, forwarded to the daemon's log.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::host;

/// Forwards; which levels are shown is the daemon's decision.
struct ToDaemon;

impl Log for ToDaemon {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Trace
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args().to_string();
        // Refused before the library is loaded, when nobody could read it.
        let _ = host::ask(|host| host.log(record.level(), record.target(), &message));
    }

    fn flush(&self) {}
}

/// Makes `log::info!` and its kin reach the daemon.
pub(crate) fn install() {
    // Fails when the app installed a logger of its own in a static initialiser; then that one is wanted.
    if log::set_logger(&ToDaemon).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}
