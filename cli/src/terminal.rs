//! The way to stdout and stderr. What comes from others passes here: nothing in it moves the cursor, names a window or
//! turns a line around.

use std::io::{self, Write as _};

use reld_plan::printable;

/// Writes data.
pub(crate) fn out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(printable(text).as_bytes())?;
    out.flush()
}

/// Writes what goes beside the data. With stderr gone there is nobody left to tell; the exit code stays.
pub(crate) fn err(text: &str) {
    let _ = io::stderr().write_all(printable(text).as_bytes());
}

/// Clears the terminal, and writes data into its first corner.
pub(crate) fn redraw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "\x1b[H\x1b[J{}", printable(text))?;
    out.flush()
}

/// Replaces the current line of the terminal.
pub(crate) fn replace_line(text: &str) {
    let _ = write!(io::stderr(), "\r\x1b[K{}", printable(text));
}
