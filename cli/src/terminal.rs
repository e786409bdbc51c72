//! Output to stdout and stderr. Text from the daemon and from apps is escaped here, so that it
//! cannot move the cursor, set the window title or reverse a line.

use std::io::{self, Write as _};

use reld_plan::printable;

pub(crate) fn out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(printable(text).as_bytes())?;
    out.flush()
}

/// Writes messages to stderr. An error is ignored: without stderr there is no place to report it,
/// and the exit code stays.
pub(crate) fn err(text: &str) {
    let _ = io::stderr().write_all(printable(text).as_bytes());
}

/// Clears the terminal and writes data from its upper left corner on.
pub(crate) fn redraw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "\x1b[H\x1b[J{}", printable(text))?;
    out.flush()
}

pub(crate) fn replace_line(text: &str) {
    let _ = write!(io::stderr(), "\r\x1b[K{}", printable(text));
}
