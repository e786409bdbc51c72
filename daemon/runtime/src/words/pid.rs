//! The text form of process identifiers.
//!
//! In OTP, pid numbers wrap around. Unlike OTP, a slot without generations left is retired.

use std::num::ParseIntError;

pub(crate) use reld_wire::Pid;

/// A text that is not a pid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a pid; a pid looks like <41.1>")]
pub struct ParsePidError {
    text: String,
}

/// Parses the printed form of a pid.
///
/// # Errors
/// The text is not a pid.
pub fn parse_pid(text: &str) -> Result<Pid, ParsePidError> {
    let parse = || -> Option<Result<Pid, ParseIntError>> {
        let (slot, generation) = text.strip_prefix('<')?.strip_suffix('>')?.split_once('.')?;
        Some(slot.parse().and_then(|slot| Ok(Pid { slot, generation: generation.parse()? })))
    };
    match parse() {
        Some(Ok(pid)) if pid.generation != 0 => Ok(pid),
        _ => Err(ParsePidError { text: text.to_owned() }),
    }
}

/// Parses a pid in its printed form or without the brackets, which a shell treats as redirections.
pub(crate) fn from_either(text: &str) -> Option<Pid> {
    let bare = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text);
    let (slot, generation) = bare.split_once('.')?;
    let pid = Pid { slot: slot.parse().ok()?, generation: generation.parse().ok()? };
    (pid.generation != 0).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u32, u32)>) {
        let pid = parse_pid(text).ok();
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

    #[test]
    fn a_pid_is_read_with_and_without_its_brackets() {
        let expected = Some(Pid { slot: 4, generation: 1 });
        assert_eq!((from_either("<4.1>"), from_either("4.1")), (expected, expected));
        assert_eq!(["<4.1", "4.0", "4", "counter", "<<4.1>>"].map(from_either), [None; 5]);
    }
}
