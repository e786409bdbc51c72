//! The `log` facade, forwarded to the daemon's log.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::host;

/// Forwards all records; the daemon decides which levels are shown.
struct ToDaemon;

impl Log for ToDaemon {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Trace
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args().to_string();
        // Refused before the library is loaded; then there is no reader.
        let _ = host::ask(|host| host.log(record.level(), record.target(), &message));
    }

    fn flush(&self) {}
}

/// Makes `log::info!` and the like reach the daemon.
pub(crate) fn install() {
    // Fails if the app installed a logger of its own in a static initialiser; that one is kept.
    if log::set_logger(&ToDaemon).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}
