//! Obstacles to unmapping a library, which are all the ways in which its code may still be called
//! or its data read.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::address_space::{self, Memory};
use crate::image::Mapping;
use crate::interpose::{self, ThreadId};
use crate::keepers::{VARIABLES, Variable};

/// The maximum number of environment entries. It is more than any environment has.
const ENTRIES_MAX: u64 = 1 << 16;

/// The number of bytes that are displayed of the name of an environment variable.
const NAME_MAX: usize = 64;

/// The reason why a purged library stays mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The library has started this number of threads, which still run.
    Threads(usize),
    /// These threads hold values of the library.
    Holders(BTreeSet<ThreadId>),
    /// A handler of the library for this signal is running.
    Signal(i32),
    /// The entry of this environment variable lies in the library.
    Environment(String),
    /// This variable of the system's libraries points into the library.
    Variable(&'static str),
    /// A variable pointed into this library when another library was loaded. The other library may
    /// have saved the pointer and may restore it.
    Seen(Arc<str>),
    /// The loader has called the library, and the call has not returned.
    Runs,
    /// The check failed and must be repeated.
    Unknown(String),
    /// The library imports a function that keeps addresses that the daemon cannot look up.
    Imports(Arc<str>),
    /// The library was closed, but the kernel still has it mapped.
    Pinned(Option<String>),
    /// This daemon must not unmap libraries, for this reason.
    Forbidden(Arc<str>),
}

impl Obstacle {
    /// Returns the obstacle that no thread can be started to run the library's unload function or
    /// destructors.
    pub(crate) fn no_thread(error: io::Error) -> Self {
        Self::Unknown(format!("cannot start a thread to run its unload function or destructors: {error}"))
    }

    /// Returns whether the obstacle is permanent.
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
                    "thread-local values of it live on {names}; it is unmapped when the current callback there returns"
                )
            }
            Self::Signal(number) => write!(f, "it handles signal {number}"),
            Self::Environment(name) => write!(f, "the environment variable {name} lies in it"),
            Self::Variable(name) => write!(f, "{name} points into it"),
            Self::Runs => write!(f, "its unload function or destructors are running"),
            Self::Unknown(error) => write!(f, "{error}"),
            Self::Imports(why) | Self::Seen(why) => write!(f, "{why}"),
            Self::Pinned(Some(error)) => write!(f, "dlclose failed: {error}"),
            Self::Pinned(None) => {
                write!(f, "it was closed, but something outside the daemon still refers to it")
            }
            Self::Forbidden(why) => write!(f, "this daemon unmaps no libraries: {why}"),
        }
    }
}

/// Returns an obstacle to unmapping a purged library, preferably one that may pass soon. Removes
/// the library's signal handlers as soon as the library has no more threads that may rely on them.
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
    let pointing = || {
        Outside::of(mapping).pointing().unwrap_or_else(|error| {
            Some(Obstacle::Unknown(format!(
                "cannot check the variables of the system's libraries for pointers into it: {error}"
            )))
        })
    };
    interpose::remove_handlers(span)
        .map(Obstacle::Signal)
        .or_else(|| mapping.kept_by().map(Obstacle::Imports))
        .or_else(pointing)
}

/// The variables of the system's libraries to which a library can write.
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

    /// Returns a variable that points into the library.
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

/// Checks the entries of the environment. This fails if another thread changes the entries
/// meanwhile, and a later check then repeats it.
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
