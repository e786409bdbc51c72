//! Process identifiers.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names a process for ever: no later process gets the same one.
///
/// Prints as `<slot.generation>`. Unlike OTP, whose pid numbers wrap around, a slot whose generations are used up is
/// retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pid {
    /// Place in the process table.
    pub slot: u32,
    /// How often that place has been used; never 0 for a process.
    pub generation: u32,
}

impl Pid {
    /// The pid that no process has.
    pub const NONE: Self = Self { slot: 0, generation: 0 };

    /// The asker outside the process world: the API, the release handler.
    pub(crate) const OUTSIDE: Self = Self { slot: u32::MAX, generation: u32::MAX };
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}>", self.slot, self.generation)
    }
}

/// Why a text is no pid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no pid; a pid looks like <41.1>")]
pub struct ParsePidError {
    text: String,
}

impl FromStr for Pid {
    type Err = ParsePidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || -> Option<Result<Self, ParseIntError>> {
            let (slot, generation) = text.strip_prefix('<')?.strip_suffix('>')?.split_once('.')?;
            Some(slot.parse().and_then(|slot| Ok(Self { slot, generation: generation.parse()? })))
        };
        match parse() {
            Some(Ok(pid)) if pid.generation != 0 => Ok(pid),
            _ => Err(ParsePidError { text: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u32, u32)>) {
        let pid = text.parse::<Pid>().ok();
        assert_eq!(pid.map(|p| (p.slot, p.generation)), expected);
        if let Some(pid) = pid {
            assert_eq!(pid.to_string(), text);
        }
    }

    #[test]
    fn a_pid_reads_back_as_it_prints_and_nothing_else_is_a_pid() {
        check("<41.1>", Some((41, 1)));
        check("<0.4294967295>", Some((0, u32::MAX)));
        check("<41.0>", None);
        check("41.1", None);
        check("<41>", None);
        check("<a.b>", None);
        check("", None);
    }
}
