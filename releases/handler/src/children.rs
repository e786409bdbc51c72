//! Children that an update of their supervisor changes without an instruction in the appup.
//!
//! OTP does not report such changes: a child that the new init omits keeps running, a child that
//! only the new init names is not started, and a renamed child runs twice after the next restart of
//! all children. Here the appup must declare each change, or the upgrade fails:
//!
//! | the new init | the appup needs |
//! |---|---|
//! | omits a child of the old one | `supervisor:delete_child` of it, or `rename_child` |
//! | names a child that the old one omitted | `supervisor:restart_child` of it, or `rename_child` to it |
//!
//! An install renames children before it updates their supervisor. A check therefore treats planned
//! renamings as done.

use std::fmt;

use reld_plan::BuiltIn;
use serde_json::Value;

use crate::node::ChangedChildren;
use crate::process::{Pid, Process};

/// The changes to one supervisor's children that no instruction declares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unexpected {
    pub(crate) supervisor: Process,
    vanished: Vec<Value>,
    added: Vec<Value>,
}

/// Compares the children of a supervisor's new init with the calls of the script.
pub(crate) fn unexpected(
    change: &ChangedChildren,
    expected: &[BuiltIn],
    find: impl Fn(&str) -> Option<Pid>,
) -> Option<Unexpected> {
    let is_it = |place: &String| find(place) == Some(change.supervisor.pid);
    let is_deleted = |wanted: &&Value| {
        let deletes = |call: &BuiltIn| matches!(call, BuiltIn::DeleteChild { supervisor, id } | BuiltIn::RenameChild { supervisor, id, .. } if id == *wanted && is_it(supervisor));
        expected.iter().any(deletes)
    };
    let is_started = |wanted: &&Value| {
        let starts = |call: &BuiltIn| matches!(call, BuiltIn::RestartChild { supervisor, id } | BuiltIn::RenameChild { supervisor, new: id, .. } if id == *wanted && is_it(supervisor));
        expected.iter().any(starts)
    };
    let vanished: Vec<Value> = change.vanished.iter().filter(|id| !is_deleted(id)).cloned().collect();
    let added: Vec<Value> = change.added.iter().filter(|id| !is_started(id)).cloned().collect();
    let is_expected = vanished.is_empty() && added.is_empty();
    (!is_expected).then(|| Unexpected { supervisor: change.supervisor.clone(), vanished, added })
}

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { supervisor, vanished, added } = self;
        write!(f, "the children of {supervisor} change without an instruction in the appup:")?;
        for id in vanished {
            write!(f, " {id} vanishes (add supervisor:delete_child, or rename_child to its new id);")?;
        }
        for id in added {
            write!(f, " {id} is new (add supervisor:restart_child);")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(vanished: &[&str], added: &[&str]) -> ChangedChildren {
        let (module, app) = ("sup".parse().unwrap(), "shop".parse().unwrap());
        let supervisor = Process { pid: Pid { slot: 1, generation: 1 }, name: None, module, app };
        let ids = |ids: &[&str]| ids.iter().map(|id| json!(id)).collect();
        ChangedChildren { supervisor, vanished: ids(vanished), added: ids(added) }
    }

    /// Compares changes of the supervisor at the place `sup` with calls. Every other place is
    /// another supervisor.
    #[track_caller]
    fn check(change: &ChangedChildren, expected: &[BuiltIn], text: Option<&str>) {
        let slot = |place: &str| if place == "sup" { 1 } else { 2 };
        let find = |place: &str| Some(Pid { slot: slot(place), generation: 1 });
        assert_eq!(
            unexpected(change, expected, find).map(|unexpected| unexpected.to_string()).as_deref(),
            text
        );
    }

    fn delete(supervisor: &str, id: &str) -> BuiltIn {
        BuiltIn::DeleteChild { supervisor: supervisor.to_owned(), id: json!(id) }
    }

    fn restart(supervisor: &str, id: &str) -> BuiltIn {
        BuiltIn::RestartChild { supervisor: supervisor.to_owned(), id: json!(id) }
    }

    #[test]
    fn each_child_that_goes_or_comes_needs_its_instruction() {
        check(&change(&[], &[]), &[], None);
        check(&change(&["a"], &["b"]), &[delete("sup", "a"), restart("sup", "b")], None);
        let (id, new) = (json!("a"), json!("b"));
        check(
            &change(&["a"], &["b"]),
            &[BuiltIn::RenameChild { supervisor: "sup".to_owned(), id, new }],
            None,
        );
        let head = "the children of <1.1> (shop:sup) change without an instruction in the appup:";
        let gone =
            format!("{head} \"a\" vanishes (add supervisor:delete_child, or rename_child to its new id);");
        check(&change(&["a"], &["b"]), &[restart("sup", "b")], Some(&gone));
        let new = format!("{head} \"b\" is new (add supervisor:restart_child);");
        check(&change(&["a"], &["b"]), &[delete("sup", "a")], Some(&new));
        check(&change(&["a"], &[]), &[delete("another", "a")], Some(&gone));
        check(&change(&["a"], &[]), &[delete("sup", "b"), restart("sup", "a")], Some(&gone));
    }
}
