//! A wait for changes.

use std::fmt;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};

use ureq::{BodyReader, Timeout};

use crate::error::Error;
use crate::wire;

/// The longest message, in bytes. A message has the values of all changes of one transaction.
const LINE_MAX: u64 = 16 << 20;

/// A stream of changes, which ends after a silence. A thread that reads it is held no longer than
/// that, also while etcd is cut off.
pub struct Watch {
    endpoint: String,
    lines: BufReader<BodyReader<'static>>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Watch {
    pub(crate) fn new(endpoint: String, content: BodyReader<'static>) -> Self {
        Self { endpoint, lines: BufReader::new(content) }
    }

    /// Waits for the next change, and returns its revision, or `None` after a silence. The watch
    /// has ended after a silence and after an error.
    ///
    /// If the wanted revision is no longer kept, that counts as a change: the caller has to read
    /// the keys in each case.
    ///
    /// # Errors
    /// The connection broke, or etcd ended the watch.
    pub fn wait(&mut self) -> Result<Option<u64>, Error> {
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            match wire::change(&line) {
                Ok(wire::Change::None) => {}
                Ok(wire::Change::At(revision)) => return Ok(Some(revision)),
                Ok(wire::Change::Ended(reason)) => {
                    return Err(Error::Unavailable { endpoint: self.endpoint.clone(), reason });
                }
                Err(fault) => return Err(Error::nonsense(&self.endpoint, fault)),
            }
        }
    }

    fn line(&mut self) -> Result<Option<String>, Error> {
        let mut line = String::new();
        match self.lines.by_ref().take(LINE_MAX).read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => Ok(Some(line)),
            Ok(_) => Err(Error::unreachable(&self.endpoint, "the connection has ended")),
            Err(error) if is_silence(&error) => Ok(None),
            Err(error) => Err(Error::unreachable(&self.endpoint, error)),
        }
    }
}

fn is_silence(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    matches!(inner, Some(ureq::Error::Timeout(Timeout::PerRead)))
        || matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}
