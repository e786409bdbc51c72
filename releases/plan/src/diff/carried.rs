//! How a state is carried over that no code of its author converts.
//!
//! Going up, the newer version has to read all of it: a place that it does not know may be a
//! forgotten rename. Going down, the older version cannot know what came after it, so both schemas
//! decide:
//!
//! | only the newer state has | only the older state has | |
//! |---|---|---|
//! | nothing | anything | it is read as it is |
//! | some places | none, or what the newer version declares in DROPPED | these places are dropped |
//! | some places | others | one may be the other, renamed or moved: it is not carried over |
//!
//! Nothing is dropped where the schemas do not tell enough: where another value is spelled like one
//! of these places, below shapes that look alike (an `untagged` enum) or lie over each other
//! (`flatten`), in a type that holds itself, or where a type is another one altogether.

use super::schema::{Difference, Differences, Kind, Unread, Verdict, compare};
use crate::dropped::Dropped;
use crate::instr::Mode;
use crate::schemas::ModuleSchema;

/// What becomes of the states of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried {
    /// What the version gone to reads otherwise than it was written, or not at all.
    pub(super) differences: Differences,
    /// What is cut out before it reads.
    pub(crate) dropped: Dropped,
    /// Why nothing is: places that may be the same.
    pub(crate) moved: Option<Moved>,
}

/// Places that may be the same under another name, or elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Those that only the version left has.
    pub(crate) left: Vec<String>,
    /// Those that only the version gone to has.
    pub(crate) to: Vec<String>,
}

/// Compares the states of two versions of a module; `None` where a version does not describe its
/// own.
pub(crate) fn carried(left: &ModuleSchema, to: &ModuleSchema, mode: Mode) -> Option<Carried> {
    let (left, to) = (left.interface.as_ref()?, to.interface.as_ref()?);
    let differences = compare(left.state.as_ref()?, to.state.as_ref()?, Unread::Refused(&to.dropped));
    let mut carried = Carried { differences, dropped: Dropped::default(), moved: None };
    if mode == Mode::Down {
        carried.drop_added(&left.dropped);
    }
    Some(carried)
}

impl Carried {
    /// Returns what the version gone to may not read.
    pub(crate) fn unread(&self) -> Vec<String> {
        let unread = self.differences.0.iter().filter(|one| one.verdict == Verdict::NeedsCode);
        unread.map(|one| one.text.clone()).collect()
    }

    /// Decides about the places that only the newer state has. It `declares` what of older ones it
    /// means to lose.
    fn drop_added(&mut self, declares: &[String]) {
        let differences = &mut self.differences.0;
        let left: Vec<String> = differences.iter().filter_map(added).map(str::to_owned).collect();
        let to = differences.iter().filter_map(missing).filter(|place| !declares.contains(*place));
        let to: Vec<String> = to.cloned().collect();
        if left.is_empty() {
            return;
        }
        if !to.is_empty() {
            self.moved = Some(Moved { left, to });
        } else if !differences.iter().any(|one| matches!(one.kind, Kind::GoneBelow | Kind::Hidden)) {
            for one in differences {
                if let Some(place) = added(one) {
                    one.text = format!("`{place}` is dropped: only the newer state has it");
                    one.verdict = Verdict::Additive;
                }
            }
            self.dropped = Dropped(left);
        }
    }
}

/// Returns the place that is written, and neither read nor declared.
fn added(difference: &Difference) -> Option<&str> {
    match &difference.kind {
        Kind::Gone(place) if difference.verdict == Verdict::NeedsCode => Some(place),
        _ => None,
    }
}

/// Returns the place that is read, and not written.
fn missing(difference: &Difference) -> Option<&String> {
    match &difference.kind {
        Kind::New(place) => Some(place),
        _ => None,
    }
}
