//! The rehearsal of a script's calls predicts before an install which calls would fail. Calls about
//! children are simulated on a copy of the current children:
//!
//! | call | fails if | consequence |
//! |---|---|---|
//! | `rename_child`, `restart_child`, `start_child` | the supervisor would refuse | an obstacle: the install would go back |
//! | `delete_child` | the child runs at that point | an obstacle: the child would keep running |
//! | `terminate_child`, `delete_child` | there is no such child | a warning: other nodes may have one |
//! | all | there is no such supervisor | as for a missing child |
//!
//! The simulation has the order of an install: in each window first the renamings, then the
//! children that updates add, then the other calls. A missing supervisor is no error if the script
//! itself may start or rename it. Trees of apps that the script starts are skipped. The whole
//! rehearsal is skipped if a new init could not be tried, or if the script stops children by
//! module.
//!
//! Calls of functions in staged code, and their undos, are tried on that code too. Otherwise a
//! missing undo would be found only when it is needed.

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::{Action, BuiltIn, ModuleName, Script, Step};
use reld_wire::path;
use serde_json::Value;

use crate::action::{built_in_call, loaded};
use crate::error::Obstacle;
use crate::foresight::Foresight;
use crate::material::Material;
use crate::node::{ChangedChildren, Child, Node};
use crate::process::Pid;

/// The children of a supervisor by id, and whether each runs.
type Family = BTreeMap<String, bool>;

struct Rehearsal<'a, N> {
    node: &'a N,
    /// The apps of the new release.
    apps: BTreeSet<&'a str>,
    /// The apps with trees that the script starts.
    begun: BTreeSet<&'a str>,
    families: BTreeMap<Pid, Option<Family>>,
    /// The ids of children that the script started or renamed.
    placed: Vec<Value>,
    /// Whether the script started a child, which may register any name.
    has_started: bool,
}

/// Why a call would fail.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    Missing(String),
    Refused(String),
}

/// Simulates all calls, and records the calls that would fail. `updates` are the children that
/// updates of supervisors change.
pub(crate) fn rehearse<N: Node>(
    node: &N,
    script: &Script,
    material: &Material,
    updates: &[ChangedChildren],
    found: &mut Foresight,
) {
    let begun = script.steps.iter().filter_map(|step| match &step.action {
        Action::StartApplication { app, .. } | Action::RestartApplication { app, .. } => Some(app.as_str()),
        _ => None,
    });
    let mut rehearsal = Rehearsal {
        node,
        apps: material.apps.iter().map(|app| app.name.as_str()).collect(),
        begun: begun.collect(),
        families: BTreeMap::new(),
        placed: Vec::new(),
        has_started: false,
    };
    let mut first = 1;
    for steps in script.windows() {
        let calls: Vec<(usize, BuiltIn)> =
            (first..).zip(steps).filter_map(|(number, step)| Some((number, built_in_call(step)?))).collect();
        let (renamings, others): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|(_, call)| call.undo().is_some());
        renamings.iter().for_each(|(step, call)| rehearsal.note(*step, call, found));
        rehearsal.update(steps, updates);
        others.iter().for_each(|(step, call)| rehearsal.note(*step, call, found));
        first += steps.len();
    }
}

/// Records calls of functions that the new code does not have, or that reject these arguments.
pub(crate) fn functions<N: Node>(node: &N, script: &Script, material: &Material, found: &mut Foresight) {
    let mut staged = BTreeMap::new();
    for (step, action) in (1..).zip(script.steps.iter().map(|step| &step.action)) {
        match action {
            Action::Load { module, app, .. } => drop(staged.insert(module, app)),
            Action::Apply(call) => {
                for call in [Some(call), call.undo.as_deref()].into_iter().flatten() {
                    let library = staged.get(&call.module).and_then(|app| material.libraries.get(*app));
                    let is_task = material.behaviours.of(&call.module).is_none_or(|word| word == "task");
                    // The planner already reports a module that is not a task as a misfit.
                    let library = library.filter(|_| is_task);
                    let refused = library.and_then(|library| node.refuses(library, call));
                    let obstacle = |reason| Obstacle::Call { step, call: call.to_string(), reason };
                    found.obstacles.extend(refused.map(obstacle));
                }
            }
            _ => {}
        }
    }
}

impl<N: Node> Rehearsal<'_, N> {
    fn note(&mut self, step: usize, call: &BuiltIn, found: &mut Foresight) {
        let played = self.play(call);
        self.place(call);
        match played {
            Ok(()) => {}
            Err(Trouble::Missing(reason)) if call.ends() => {
                found.warnings.push(format!("step {step}: {call} would find nothing to end: {reason}"));
            }
            Err(Trouble::Missing(reason) | Trouble::Refused(reason)) => {
                found.obstacles.push(Obstacle::Call { step, call: call.to_string(), reason });
            }
        }
    }

    fn play(&mut self, call: &BuiltIn) -> Result<(), Trouble> {
        let (place, id) = match call {
            BuiltIn::StartChild { supervisor, spec } => (supervisor, &spec["id"]),
            BuiltIn::RestartChild { supervisor, id }
            | BuiltIn::TerminateChild { supervisor, id }
            | BuiltIn::DeleteChild { supervisor, id }
            | BuiltIn::RenameChild { supervisor, id, .. } => (supervisor, id),
            _ => return Ok(()),
        };
        let Some(family) = self.family(place)? else { return Ok(()) };
        let runs = family.get(&id.to_string()).copied();
        let refused = |why: &str| Err(Trouble::Refused(format!("child {id} of {place} {why}")));
        match (call, runs) {
            (BuiltIn::StartChild { .. }, Some(_)) => return refused("exists already"),
            (BuiltIn::StartChild { .. }, None) => {}
            (_, None) => return Err(Trouble::Missing(format!("{place} has no child {id} at that point"))),
            (BuiltIn::RestartChild { .. }, Some(true)) => return refused("is already running"),
            (BuiltIn::DeleteChild { .. }, Some(true)) => {
                return refused("is running at that point; terminate it first");
            }
            (BuiltIn::RenameChild { new, .. }, _) if family.contains_key(&new.to_string()) => {
                return Err(Trouble::Refused(format!("{place} already has a child {new}")));
            }
            _ => {}
        }
        play(family, call, id, runs.unwrap_or_default());
        Ok(())
    }

    /// Returns the children of a supervisor; `None` if they are unknown.
    fn family(&mut self, place: &str) -> Result<Option<&mut Family>, Trouble> {
        // If the place does not begin with the name of an app, it is a registered name, which may
        // be in any tree.
        let (app, _) = path::split(place);
        if self.begun.contains(app) || !self.begun.is_empty() && !self.apps.contains(app) {
            return Ok(None);
        }
        match self.node.supervisor(place) {
            Ok(pid) => Ok(self.of(pid)),
            Err(_) if self.may_come(place) => Ok(None),
            Err(missing) => Err(Trouble::Missing(missing)),
        }
    }

    /// Returns whether the script may have created a supervisor at this place.
    fn may_come(&self, place: &str) -> bool {
        let (first, parts) = path::split(place);
        let may_be_name = parts.is_empty() || !self.apps.contains(first);
        let is_placed = |part| self.placed.iter().any(|id| means(part, id));
        may_be_name && self.has_started || parts.into_iter().any(|(_, part)| is_placed(part))
    }

    fn place(&mut self, call: &BuiltIn) {
        let id = match call {
            BuiltIn::StartChild { spec, .. } => &spec["id"],
            BuiltIn::RestartChild { id, .. } | BuiltIn::RenameChild { new: id, .. } => id,
            _ => return,
        };
        self.placed.push(id.clone());
        self.has_started |= call.undo().is_none();
    }

    fn of(&mut self, pid: Pid) -> Option<&mut Family> {
        let listed = || {
            let row = |child: Child| (child.id.to_string(), child.runs);
            Some(self.node.children(pid)?.into_iter().map(row).collect())
        };
        self.families.entry(pid).or_insert_with(listed).as_mut()
    }

    /// Adds the children that the updates of this window add. An update does not start them.
    fn update(&mut self, steps: &[Step], updates: &[ChangedChildren]) {
        let moved: BTreeSet<&ModuleName> = steps.iter().filter_map(loaded).collect();
        for ChangedChildren { supervisor, added, .. } in updates {
            if moved.contains(&supervisor.module)
                && let Some(family) = self.of(supervisor.pid)
            {
                added.iter().for_each(|id| {
                    family.entry(id.to_string()).or_insert(false);
                });
            }
        }
    }
}

/// Returns whether a part of a path means the child with this id.
fn means(part: &str, id: &Value) -> bool {
    id == part || serde_json::from_str(part).is_ok_and(|json: Value| json == *id)
}

fn play(family: &mut Family, call: &BuiltIn, id: &Value, runs: bool) {
    let id = id.to_string();
    match call {
        BuiltIn::TerminateChild { .. } => drop(family.insert(id, false)),
        BuiltIn::DeleteChild { .. } => drop(family.remove(&id)),
        BuiltIn::RenameChild { new, .. } => {
            family.remove(&id);
            family.insert(new.to_string(), runs);
        }
        _ => drop(family.insert(id, true)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::Check;
    use crate::fake::Fake;
    use crate::handler::ReleaseHandler;
    use crate::node::Foreseen;
    use crate::report::Outcome;
    use crate::site::{Site, both_ways, options, vsn};

    /// Checks a release with these calls to a supervisor that has a running child `runs` and a
    /// stopped child `rests`. A call to another supervisor begins with its place, as in `'a/b': `.
    fn checked(calls: &[&str], foreseen: Foreseen) -> Check {
        let site = Site::new();
        let mut handler: ReleaseHandler<Fake> = site.handler();
        handler.goes(&site.pack_modules(0, &["counter"], ""), Outcome::Installed);
        let call = |call: &&str| match call.split_once(' ') {
            Some(_) => {
                let (place, call) = call.split_once(": ").unwrap_or(("'shop'", call));
                let (function, args) = call.split_once(' ').unwrap();
                format!(", {{ apply = \"supervisor:{function}\", args = [{place}, {args}] }}")
            }
            None => format!(", {{ apply = \"counter:{call}\", undo = {{ apply = \"counter:ghost\" }} }}"),
        };
        let calls: String = calls.iter().map(call).collect();
        let instructions = format!("{{ update = \"counter\", change = \"supervisor\" }}{calls}");
        handler.unpacks(&site.pack_modules(1, &["counter"], &both_ways(1, &instructions)));
        let child = |id, runs| Child { id: json!(id), runs };
        handler.node_mut().rows = Some(vec![child("runs", true), child("rests", false)]);
        handler.node_mut().foreseen = foreseen;
        handler.check_install(&vsn(1), options()).unwrap()
    }

    #[track_caller]
    fn check(calls: &[&str], obstacle: Option<&str>, warning: Option<&str>) {
        let found = checked(calls, Foreseen::default());
        let obstacles: Vec<String> = found.obstacles.iter().map(ToString::to_string).collect();
        for (texts, wanted) in [(&obstacles, obstacle), (&found.warnings, warning)] {
            assert_eq!(texts.len(), usize::from(wanted.is_some()), "{calls:?}: {texts:?}");
            assert!(texts.iter().zip(wanted).all(|(text, words)| text.contains(words)), "{texts:?}");
        }
    }

    #[test]
    fn an_init_that_could_not_be_asked_skips_the_rehearsal() {
        let unknown = Foreseen { unknown: vec!["init hangs".to_owned()], ..Foreseen::default() };
        assert_eq!(checked(&["restart_child \"fresh\""], unknown).obstacles, []);
        // Start arguments that were not tried do not make children unknown.
        let unasked = Foreseen { unasked: vec!["too many".to_owned()], ..Foreseen::default() };
        let Check { obstacles, warnings, .. } = checked(&["restart_child \"fresh\""], unasked);
        assert_eq!((obstacles.len(), warnings), (1, vec!["too many".to_owned()]));
    }

    #[test]
    fn a_supervisor_that_the_script_starts_may_be_called() {
        let start =
            |id: &str| format!("start_child {{ id = {id}, module = 'counter', type = 'supervisor' }}");
        for (id, part) in [
            ("'a'", "a"),
            ("'a/b'", r#""a/b""#),
            ("3", "3"),
            ("'3'", r#""3""#),
            ("['a/b', 3]", r#"["a/b", 3]"#),
        ] {
            let call = format!("'shop/{part}': restart_child 'x'");
            check(&[&start(id), &call], None, None);
            check(&[&call], Some("cannot find shop/"), None);
        }
        // Another id, with an equal piece.
        check(&[&start("'b'"), r#"'shop/"a/b"': restart_child 'x'"#], Some("cannot find shop/"), None);
    }

    #[test]
    fn calls_that_a_supervisor_would_refuse_are_reported_by_the_check() {
        check(&["terminate_child \"runs\"", "delete_child \"runs\"", "delete_child \"rests\""], None, None);
        check(&["rename_child \"runs\", \"x\"", "terminate_child \"x\"", "restart_child \"x\""], None, None);
        check(
            &[
                "delete_child \"rests\"",
                "start_child { id = \"rests\", module = \"counter\", type = \"supervisor\" }",
            ],
            None,
            None,
        );
        check(
            &["delete_child \"runs\""],
            Some("child \"runs\" of shop is running at that point; terminate it first"),
            None,
        );
        check(&["restart_child \"runs\""], Some("is already running"), None);
        check(
            &["restart_child \"ghost\""],
            Some("shop has no child \"ghost\" at that point; correct the appup"),
            None,
        );
        check(&["rename_child \"ghost\", \"x\""], Some("shop has no child \"ghost\""), None);
        check(&["rename_child \"runs\", \"rests\""], Some("shop already has a child \"rests\""), None);
        let again = "start_child { id = \"runs\", module = \"counter\", type = \"supervisor\" }";
        check(&[again], Some("child \"runs\" of shop exists already"), None);
        check(
            &["terminate_child \"ghost\""],
            None,
            Some("would find nothing to end: shop has no child \"ghost\""),
        );
    }
}
