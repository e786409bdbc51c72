//! Forwards the `log` facade to the daemon's log.

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::host;

/// A logger that forwards all records. The daemon decides which levels are shown.
struct ToDaemon;

impl Log for ToDaemon {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Trace
    }

    fn log(&self, record: &Record<'_>) {
        let message = record.args().to_string();
        // The request is refused before the library is loaded, when there is no log yet.
        let _ = host::ask(|host| host.log(record.level(), record.target(), &message));
    }

    fn flush(&self) {}
}

/// Makes `log::info!` and the like reach the daemon.
pub(crate) fn install() {
    // This fails if a static initialiser of the app has installed a logger; that logger is kept.
    if log::set_logger(&ToDaemon).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}
