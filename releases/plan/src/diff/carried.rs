//! Carries over states that no code of the author converts.
//!
//! In an upgrade, the newer version must read the whole state, because a place that it does not
//! know may be a forgotten rename. In a downgrade, the older version cannot know the places that
//! were added later, so the schemas of both versions decide:
//!
//! | only the newer state has | only the older state has | result |
//! |---|---|---|
//! | nothing | anything | the state is read unchanged |
//! | some places | none, or places that the newer version declares in DROPPED | the places of the newer state are dropped |
//! | some places | other places | a place may be renamed or moved: the state is not carried over |
//!
//! No place is dropped where the schemas are not precise enough: if another value has the same
//! path, if the place is below indistinguishable shapes (an `untagged` enum) or merged shapes
//! (`flatten`) or in a recursive type, or if a type is replaced by another one.

use super::schema::{Difference, Differences, Kind, Unread, Verdict, compare};
use crate::dropped::Dropped;
use crate::instr::Mode;
use crate::schemas::ModuleSchema;

/// How the states of a module are carried over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried {
    /// The differences between the written and the read type.
    pub(super) differences: Differences,
    /// Fields to drop before the target version reads the state.
    pub(crate) dropped: Dropped,
    /// Places that may be the same place under two names. If there are any, nothing is dropped.
    pub(crate) moved: Option<Moved>,
}

/// Places that may be the same under another name or path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The places that only the source version has.
    pub(crate) left: Vec<String>,
    /// The places that only the target version has.
    pub(crate) to: Vec<String>,
}

/// Compares the states of two versions of a module; `None` if a version does not describe its
/// state.
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
    /// Returns the texts of the differences that the target version may be unable to read.
    pub(crate) fn unread(&self) -> Vec<String> {
        let unread = self.differences.0.iter().filter(|one| one.verdict == Verdict::NeedsCode);
        unread.map(|one| one.text.clone()).collect()
    }

    /// Decides whether to drop the places that only the newer state has. `declares` lists the
    /// fields of older states that the newer version declares dropped.
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

/// Returns the place of a field that the source version writes and the target version cannot
/// accept: it does not read the field, and either does not declare it in DROPPED or denies unknown
/// fields. In a downgrade, this is a field that the newer version added.
fn added(difference: &Difference) -> Option<&str> {
    match &difference.kind {
        Kind::Gone(place) if difference.verdict == Verdict::NeedsCode => Some(place),
        _ => None,
    }
}

/// Returns the place that the target version reads and the source version does not write.
fn missing(difference: &Difference) -> Option<&String> {
    match &difference.kind {
        Kind::New(place) => Some(place),
        _ => None,
    }
}
