//! What stands against unmapping a library: everything that may still call it, or read what is in
//! it.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::address_space::{self, Memory};
use crate::image::Mapping;
use crate::interpose::{self, ThreadId};
use crate::keepers::{VARIABLES, Variable};

/// More entries than any environment has.
const ENTRIES_MAX: u64 = 1 << 16;

/// How much of the name of a variable of the environment is shown.
const NAME_MAX: usize = 64;

/// Why a purged library stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// So many threads that it started still run.
    Threads(usize),
    /// These threads hold values of it.
    Holders(BTreeSet<ThreadId>),
    /// It handles a signal at this moment.
    Signal(i32),
    /// The environment has a variable of it.
    Environment(String),
    /// A variable of the system's libraries points into it.
    Variable(&'static str),
    /// One did when another library came, which may have kept the address to put it back.
    Seen(Arc<str>),
    /// Code of it runs that the loader has called.
    Runs,
    /// For once it could not be looked at.
    Unknown(String),
    /// It imports what keeps addresses and cannot be asked.
    Imports(Arc<str>),
    /// It was closed and is still there.
    Pinned(Option<String>),
    /// This daemon unmaps nothing.
    Forbidden(Arc<str>),
}

impl Obstacle {
    /// Its last functions cannot run.
    pub(crate) fn no_thread(error: io::Error) -> Self {
        Self::Unknown(format!("there is no thread to run its last functions on: {error}"))
    }

    /// Whether it will never be overcome.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Imports(_) | Self::Seen(_) | Self::Pinned(_) | Self::Forbidden(_))
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads(1) => write!(f, "a thread that it started still runs"),
            Self::Threads(count) => write!(f, "{count} threads that it started still run"),
            Self::Holders(threads) => {
                let names: Vec<String> =
                    threads.iter().map(|thread| address_space::thread(*thread)).collect();
                let names = names.join(", ");
                write!(
                    f,
                    "thread-local values of it live on {names}; it goes when that returns from what it runs"
                )
            }
            Self::Signal(number) => write!(f, "it handles signal {number}"),
            Self::Environment(name) => write!(f, "{name} of the environment lies in it"),
            Self::Variable(name) => write!(f, "{name} points into it"),
            Self::Runs => write!(f, "its last functions run"),
            Self::Unknown(error) => write!(f, "{error}"),
            Self::Imports(why) | Self::Seen(why) => write!(f, "{why}"),
            Self::Pinned(Some(error)) => write!(f, "dlclose refused: {error}"),
            Self::Pinned(None) => write!(f, "it was closed, yet something outside the daemon refers to it"),
            Self::Forbidden(why) => write!(f, "nothing is unmapped: {why}"),
        }
    }
}

/// Returns what stands against unmapping a library that was purged; what passes in a moment comes
/// first. Takes its signal handlers off when no thread is left that may count on them.
pub(crate) fn against(mapping: &Mapping) -> Option<Obstacle> {
    let span = mapping.span();
    let threads = interpose::threads(span);
    if threads > 0 {
        return Some(Obstacle::Threads(threads));
    }
    let holders = interpose::holders(span);
    if !holders.is_empty() {
        return Some(Obstacle::Holders(holders));
    }
    let asked = || {
        Outside::of(mapping).pointing().unwrap_or_else(|error| {
            Some(Obstacle::Unknown(format!("what points into it cannot be known: {error}")))
        })
    };
    interpose::remove_handlers(span)
        .map(Obstacle::Signal)
        .or_else(|| mapping.kept_by().map(Obstacle::Imports))
        .or_else(asked)
}

/// The variables of the system's libraries that a library can name.
#[derive(Debug)]
pub(crate) struct Outside {
    span: Range<u64>,
    variables: Vec<(&'static Variable, u64)>,
}

impl Outside {
    pub(crate) fn of(mapping: &Mapping) -> Self {
        let span = mapping.span().start as u64..mapping.span().end as u64;
        let at = |symbol| mapping.symbol(symbol).filter(|at| !span.contains(at));
        let variables = VARIABLES.iter().filter_map(|variable| Some((variable, at(variable.symbol)?)));
        Self { variables: variables.collect(), span }
    }

    /// Looks for one that points into the library.
    pub(crate) fn pointing(&self) -> io::Result<Option<Obstacle>> {
        let memory = Memory::open()?;
        for (variable, at) in &self.variables {
            for word in 0..variable.words {
                if self.span.contains(&memory.word(at + word * WORD)?) {
                    return Ok(Some(Obstacle::Variable(variable.name)));
                }
            }
        }
        match self.variables.iter().find(|(variable, _)| variable.symbol == "environ") {
            Some((_, environ)) => entries(&memory, memory.word(*environ)?, &self.span),
            None => Ok(None),
        }
    }
}

/// Looks at the entries of the environment. Another thread may change it meanwhile; then it is
/// looked at again later.
fn entries(memory: &Memory, environment: u64, span: &Range<u64>) -> io::Result<Option<Obstacle>> {
    if environment == 0 {
        return Ok(None);
    }
    for entry in 0..ENTRIES_MAX {
        match memory.word(environment + entry * WORD)? {
            0 => return Ok(None),
            text if span.contains(&text) => {
                return Ok(Some(Obstacle::Environment(memory.text(text, b'=', NAME_MAX))));
            }
            _ => {}
        }
    }
    Err(io::Error::other("the environment has no end"))
}

const WORD: u64 = size_of::<u64>() as u64;
