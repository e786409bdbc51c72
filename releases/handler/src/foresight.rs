//! The predictions of the check about supervisors' children, start arguments, states and messages.
//!
//! The node tries the new code in a disposable child process
//! ([`Node::foresee`](crate::Node::foresee)); this module judges the answers:
//!
//! | the new code | if its supervisor is updated | if not |
//! |---|---|---|
//! | names other children than the old code, without an instruction for them | an obstacle | an obstacle: the update is missing |
//! | names a child with another spec | as intended | a warning: the spec takes effect when the supervisor restarts |
//! | rejects a remaining start argument, or the supervisor's own | an obstacle | a warning |
//! | rejects a state that no change_code converts | an obstacle, with the doubts of the schemas | the same |
//! | names a supervisor as another process is registered | an obstacle; a warning if an earlier step may end that process | a warning |
//! | rejects a waiting message | a warning: the process would crash | the same |
//! | could not be asked | a warning | the same |
//!
//! Loading a library by hand updates no supervisor and has no rollback. There, a rejected state or
//! message is an obstacle, and all other findings are warnings.
//!
//! With several windows, a call that deletes or renames a child excuses a rejected start argument
//! only if it comes no later than the window that installs the rejecting code. The rehearsal
//! (`rehearsal.rs`) tests whether the calls succeed in their order.

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::{Action, AppName, BuiltIn, Dropped, MemberChange, ModuleName, Script, Step, Warning};
use serde_json::Value;

use crate::action::{built_in_call, loaded};
use crate::children::unexpected;
use crate::error::Obstacle;
use crate::material::Material;
use crate::node::{Coming, Foreseen, ForeseenChildren, ForeseenRefusal, Library, Look, Node, Refusable};
use crate::refusal::{alike, sentence};
use crate::rehearsal::{functions, rehearse};

/// The findings of a prediction.
#[derive(Debug, Default)]
pub struct Foresight {
    /// The obstacles.
    pub obstacles: Vec<Obstacle>,
    /// Remarks for the operator.
    pub warnings: Vec<String>,
    /// The modules that reject a state. The warnings of their schemas would repeat this finding.
    pub(crate) unread: BTreeSet<ModuleName>,
}

/// The calls of a script, and the windows of its modules and calls.
struct Calls<'a> {
    /// The window in which each module becomes current.
    moves: BTreeMap<&'a ModuleName, usize>,
    /// The calls of built-in modules.
    made: Vec<BuiltIn>,
    /// The window of each call.
    windows: Vec<usize>,
}

/// Predicts the effects of a script.
pub(crate) fn foresee<N: Node>(node: &N, script: &Script, material: &Material, look: Look) -> Foresight {
    let is_restarted = |wanted: &AppName| {
        script
            .steps
            .iter()
            .any(|step| matches!(&step.action, Action::RestartApplication { app, .. } if app == wanted))
    };
    let coming: Vec<Coming<'_>> = script
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            // Processes of a restarted app start without their old states, so nothing old meets the
            // new code.
            Action::Load { module, app, dropped, .. }
                if material.replaceable.contains(module) && !is_restarted(app) =>
            {
                let (library, change) = (material.libraries.get(app)?, change(script, module));
                let is_doubtful = doubt(script, module).is_some();
                Some(Coming { module, library, change, dropped, is_doubtful })
            }
            _ => None,
        })
        .collect();
    let updated: BTreeSet<&ModuleName> = coming
        .iter()
        .filter(|coming| coming.change != MemberChange::Soft)
        .map(|coming| coming.module)
        .collect();
    let foreseen = if coming.is_empty() { Foreseen::default() } else { node.foresee(&coming, look) };
    let Foreseen { children, refused, unknown, unasked } = foreseen;
    let calls = Calls::of(script);
    let stops = script.steps.iter().any(|step| matches!(step.action, Action::Stop { .. }));
    let is_known = unknown.is_empty() && !stops;
    let mut foresight = Foresight { warnings: [unknown, unasked].concat(), ..Foresight::default() };
    let mut updates = Vec::new();
    for children in children {
        let is_updated = updated.contains(&children.changed.supervisor.module);
        updates.extend(is_updated.then(|| children.changed.clone()));
        foresight.children(node, children, &calls.made, is_updated);
    }
    let refused = refused.into_iter().filter(|refusal| !calls.settle(node, refusal));
    for (refusal, more) in alike(refused) {
        let stops = match refusal.what {
            Refusable::StartArgument(_) | Refusable::Init => updated.contains(&refusal.process.module),
            Refusable::Name(_) => {
                updated.contains(&refusal.process.module) && !may_free_names(script, &refusal.module)
            }
            Refusable::State => true,
            Refusable::Message => false,
        };
        let doubt = doubt(script, &refusal.module);
        foresight.refusal(refusal, more, stops, doubt);
    }
    if is_known {
        rehearse(node, script, material, &updates, &mut foresight);
    }
    functions(node, script, material, &mut foresight);
    foresight
}

/// Predicts the effects of loading a library by hand.
pub(crate) fn foresee_load<N: Node>(node: &N, library: &Library) -> Foresight {
    let (change, dropped) = (MemberChange::Soft, Dropped::default());
    let coming = |module| Coming { module, library, change, dropped: &dropped, is_doubtful: true };
    let coming: Vec<Coming<'_>> = library.modules.iter().map(coming).collect();
    let Foreseen { children, refused, unknown, unasked } = node.foresee(&coming, Look::Moment);
    let mut foresight = Foresight { warnings: [unknown, unasked].concat(), ..Foresight::default() };
    for ForeseenChildren { changed, differing } in children {
        let ids = listed(changed.vanished.iter().chain(&changed.added).chain(&differing));
        foresight.warnings.push(format!(
            "the new init of {} changes its children {ids}; the change takes effect when the supervisor restarts",
            changed.supervisor
        ));
    }
    for (refusal, more) in alike(refused) {
        let stops = matches!(refusal.what, Refusable::State | Refusable::Message);
        foresight.refusal(refusal, more, stops, None);
    }
    foresight
}

/// Returns the differences of the schemas that make it doubtful whether a module can read its old
/// states.
fn doubt<'a>(script: &'a Script, wanted: &ModuleName) -> Option<&'a [String]> {
    script.warnings.iter().find_map(|warning| match warning {
        Warning::StateNotRead { module, why, .. } if module == wanted => Some(why.as_slice()),
        _ => None,
    })
}

/// Returns whether a step before the conversion of a module's processes may end processes, or make
/// them free their names.
fn may_free_names(script: &Script, module: &ModuleName) -> bool {
    let changes = |step: &&Step| matches!(&step.action, Action::CodeChange { module: changed, .. } if changed == module);
    let earlier = script.steps.iter().take_while(|step| !changes(step));
    earlier.into_iter().any(|step| match &step.action {
        Action::Apply(call) => matches!(
            call.built_in(),
            None | Some(Ok(BuiltIn::TerminateChild { .. } | BuiltIn::StopApplication(_)))
        ),
        Action::StopApplication { .. } => true,
        _ => false,
    })
}

/// Returns the change of the processes of a module.
fn change(script: &Script, wanted: &ModuleName) -> MemberChange {
    let of_member = script.steps.iter().find_map(|step| match &step.action {
        Action::Suspend { modules } => modules.iter().find(|member| member.module == *wanted),
        _ => None,
    });
    let of_code_change = script.steps.iter().find_map(|step| match &step.action {
        Action::CodeChange { module, change, .. } if module == wanted => Some(*change),
        _ => None,
    });
    let stopped = of_member.map(|member| member.change).filter(|change| *change == MemberChange::Stop);
    stopped.or(of_code_change).unwrap_or(MemberChange::Soft)
}

impl<'a> Calls<'a> {
    fn of(script: &'a Script) -> Self {
        let (mut moves, mut made, mut windows) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (window, steps) in script.windows().enumerate() {
            moves.extend(steps.iter().filter_map(loaded).map(|module| (module, window)));
            made.extend(steps.iter().filter_map(built_in_call));
            windows.resize(made.len(), window);
        }
        Self { moves, made, windows }
    }

    /// Returns whether a call of the script makes a rejected start argument irrelevant: a renamed
    /// child gets the start argument of its new spec, and a deleted child is never restarted.
    fn settle<N: Node>(&self, node: &N, refusal: &ForeseenRefusal) -> bool {
        let Refusable::StartArgument(wanted) = &refusal.what else { return false };
        let moves = [&refusal.module, &refusal.process.module].map(|module| self.moves.get(module));
        let last = moves.into_iter().flatten().max();
        let in_time = self.made.iter().zip(&self.windows).filter(|(_, window)| Some(*window) <= last);
        in_time.map(|(call, _)| call).any(|call| match call {
            BuiltIn::RenameChild { supervisor, id, .. } | BuiltIn::DeleteChild { supervisor, id } => {
                id == wanted && node.supervisor(supervisor) == Ok(refusal.process.pid)
            }
            _ => false,
        })
    }
}

impl Foresight {
    fn children<N: Node>(
        &mut self,
        node: &N,
        children: ForeseenChildren,
        calls: &[BuiltIn],
        is_updated: bool,
    ) {
        let ForeseenChildren { changed, differing } = children;
        if is_updated {
            let found = unexpected(&changed, calls, |place| node.supervisor(place).ok());
            self.obstacles.extend(found.map(|found| Obstacle::Children(found.to_string())));
            return;
        }
        let supervisor = &changed.supervisor;
        if !changed.vanished.is_empty() || !changed.added.is_empty() {
            let ids = listed(changed.vanished.iter().chain(&changed.added));
            self.obstacles.push(Obstacle::Children(format!(
                "the new init of {supervisor} names other children ({ids}), but the appup does not update its module; \
                 add {{ update = \"{}\", change = \"supervisor\" }}, and an instruction for each of these children",
                supervisor.module
            )));
        } else if !differing.is_empty() {
            self.warnings.push(format!(
                "the new init of {supervisor} gives other specs to {}, but the appup does not update its module: the specs \
                 take effect when the supervisor restarts",
                listed(&differing)
            ));
        }
    }

    /// Adds a sentence about a rejection, and about `more` of the same kind.
    fn refusal(&mut self, refusal: ForeseenRefusal, more: usize, stops: bool, doubt: Option<&[String]>) {
        // One rejected state per module is enough, because all states of a module have the same
        // type.
        if refusal.what == Refusable::State && !self.unread.insert(refusal.module.clone()) {
            return;
        }
        let text = sentence(&refusal, more, doubt);
        if stops {
            self.obstacles.push(Obstacle::NotTaken { module: refusal.module, text });
        } else {
            self.warnings.push(text);
        }
    }
}

fn listed<'a>(ids: impl IntoIterator<Item = &'a Value>) -> String {
    ids.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use reld_plan::Windows;
    use serde_json::json;

    use super::*;
    use crate::check::Check;
    use crate::fake::Fake;
    use crate::handler::ReleaseHandler;
    use crate::node::{ChangedChildren, Child};
    use crate::options::InstallOptions;
    use crate::process::Pid;
    use crate::report::Outcome;
    use crate::site::{Site, Target, both_ways, options, vsn};

    const UPDATED: &str = "{ update = \"counter\", change = \"supervisor\" }, \
                           { apply = \"supervisor:delete_child\", args = [\"shop\", \"gone\"] }, \
                           { apply = \"supervisor:rename_child\", args = [\"shop\", \"old\", \"new\"] }";

    /// A node that runs 1.0.0 and has unpacked 1.1.0, with this instruction in its appup.
    fn shop(instruction: &str) -> (Site, ReleaseHandler<Fake>) {
        let site = Site::new();
        let mut handler = site.handler();
        handler.goes(&site.pack_modules(0, &["counter"], ""), Outcome::Installed);
        handler.unpacks(&site.pack_modules(1, &["counter"], &both_ways(1, instruction)));
        (site, handler)
    }

    fn changed(vanished: &[&str], added: &[&str], differing: &[&str]) -> Foreseen {
        let ids = |ids: &[&str]| ids.iter().map(|id| json!(id)).collect();
        let (module, app) = ("counter".parse().unwrap(), "shop".parse().unwrap());
        let supervisor =
            crate::process::Process { pid: Pid { slot: 1, generation: 1 }, name: None, module, app };
        let changed = ChangedChildren { supervisor, vanished: ids(vanished), added: ids(added) };
        let children = ForeseenChildren { changed, differing: ids(differing) };
        Foreseen { children: vec![children], ..Foreseen::default() }
    }

    fn refused(what: Refusable) -> Foreseen {
        let Foreseen { children, .. } = changed(&[], &[], &[]);
        let process = children[0].changed.supervisor.clone();
        let refusal = ForeseenRefusal {
            module: process.module.clone(),
            process,
            what,
            vsn: vsn(1),
            reason: "missing field `n`".to_owned(),
        };
        Foreseen { refused: vec![refusal], ..Foreseen::default() }
    }

    /// Compares the findings of the check on a prediction, and tests that an obstacle also stops
    /// the install.
    #[track_caller]
    fn check(instruction: &str, foreseen: Foreseen, obstacle: Option<(&str, &str)>, warning: Option<&str>) {
        let (_site, mut handler) = shop(instruction);
        handler.node_mut().foreseen = foreseen;
        let Check { obstacles, warnings, .. } = handler.check_install(&vsn(1), options()).unwrap();
        let found: Vec<_> =
            obstacles.iter().map(|found| (found.code().as_str(), found.to_string())).collect();
        assert_eq!(found.len(), usize::from(obstacle.is_some()), "{found:?}");
        for ((class, text), (wanted, words)) in found.iter().zip(obstacle) {
            assert!(*class == wanted && text.contains(words), "{class}: {text}");
        }
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{warnings:?}");
        assert!(warnings.iter().zip(warning).all(|(text, words)| text.contains(words)), "{warnings:?}");
        let installed = handler.upgrade(&Target::Version(vsn(1)), options(), &mut |_| ());
        assert_eq!(installed.is_err(), obstacle.is_some(), "{installed:?}");
    }

    #[test]
    fn children_that_come_and_go_need_an_update_and_their_instructions() {
        check(UPDATED, changed(&["gone", "old"], &["new"], &["same"]), None, None);
        let more = changed(&["gone", "other"], &["fresh"], &[]);
        check(UPDATED, more, Some(("children", "\"other\" vanishes")), None);
        let soft = "{ load_module = \"counter\" }";
        let missing = Some((
            "children",
            "names other children (\"a\", \"b\"), but the appup does not update its module",
        ));
        check(soft, changed(&["a"], &["b"], &[]), missing, None);
        check(soft, changed(&[], &[], &["c"]), None, Some("gives other specs to \"c\""));
    }

    /// Updates three modules in three windows, the supervisor in the second, with a call before and
    /// after it. Compares the findings of the check on a prediction, and tests that an obstacle
    /// also stops the install.
    #[track_caller]
    fn check_windows(before: &str, after: &str, foreseen: Foreseen, obstacle: Option<&str>) {
        let call = |call: &str| match call.split_once(' ') {
            Some((function, args)) => {
                format!("{{ apply = \"supervisor:{function}\", args = [\"shop\", {args}] }},")
            }
            None => String::new(),
        };
        let instructions = format!(
            "{{ update = \"helper\" }}, {} {{ update = \"counter\", change = \"supervisor\" }}, {} {{ update = \"till\" }}",
            call(before),
            call(after)
        );
        let site = Site::new();
        let modules = ["counter", "helper", "till"];
        let mut handler = site.handler();
        handler.goes(&site.pack_modules(0, &modules, ""), Outcome::Installed);
        handler.unpacks(&site.pack_modules(1, &modules, &both_ways(1, &instructions)));
        handler.node_mut().foreseen = foreseen;
        let child = |id, runs| Child { id: json!(id), runs };
        handler.node_mut().rows = Some(vec![child("gone", false), child("old", true)]);
        let options = InstallOptions { windows: Windows::Group, ..options() };
        let Check { obstacles, script, .. } = handler.check_install(&vsn(1), options).unwrap();
        assert_eq!(script.unwrap().windows().count(), 3);
        let found: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), usize::from(obstacle.is_some()), "{found:?}");
        assert!(found.iter().zip(obstacle).all(|(text, words)| text.contains(words)), "{found:?}");
        let installed = handler.upgrade(&Target::Version(vsn(1)), options, &mut |_| ());
        assert_eq!(installed.is_err(), obstacle.is_some(), "{installed:?}");
    }

    #[test]
    fn with_several_windows_only_calls_in_time_count() {
        let gone = || changed(&["gone"], &[], &[]);
        check_windows("delete_child \"gone\"", "", gone(), None);
        check_windows("", "delete_child \"gone\"", gone(), None);
        let renamed = || changed(&["old"], &["new"], &[]);
        check_windows("rename_child \"old\", \"new\"", "", renamed(), None);
        // After the update, the call belongs to the next window, where both ids have child specs.
        check_windows("", "rename_child \"old\", \"new\"", renamed(), Some("already has a child \"new\""));
        let fresh = || changed(&[], &["fresh"], &[]);
        check_windows("", "restart_child \"fresh\"", fresh(), None);
        check_windows("restart_child \"fresh\"", "", fresh(), Some("has no child \"fresh\" at that point"));
        let start = || refused(Refusable::StartArgument(json!("gone")));
        check_windows("delete_child \"gone\"", "", start(), None);
        check_windows("", "delete_child \"gone\"", start(), Some("terminate and delete it first"));
    }

    /// Schemas of a counter with one field of this name.
    fn with_field(name: &str) -> String {
        let state = json!({"type": "object", "properties": {name: {"type": "integer"}}, "required": [name]});
        let counter = json!({"behaviour": "gen_server", "interface": {"state": state}});
        json!({"modules": {"counter": counter}}).to_string()
    }

    #[test]
    fn doubts_of_the_schemas_are_a_warning_until_the_code_rejects_a_state_and_are_reported_once() {
        let site = Site::new();
        let modules = ["counter"];
        let mut handler = site.handler();
        handler.goes(&site.pack_described(0, &modules, "", with_field("made")), Outcome::Installed);
        let up = "[[up]]\nfrom = \"0.1.0\"\ninstructions = [{ load_module = \"counter\" }]\n";
        handler.unpacks(&site.pack_described(1, &modules, up, with_field("total")));
        let both = "`made` is gone, and not declared in DROPPED; `total` is new and has no default";
        // The missing way back of the appup is another warning.
        let of_states = |warnings: Vec<String>| -> Vec<String> {
            warnings.into_iter().filter(|warning| !warning.starts_with("there is no way back")).collect()
        };
        let Check { obstacles, warnings, .. } = handler.check_install(&vsn(1), options()).unwrap();
        let warnings = of_states(warnings);
        assert!(obstacles.is_empty() && warnings.len() == 1 && warnings[0].contains(both), "{warnings:?}");
        let Foreseen { refused: one, .. } = refused(Refusable::State);
        // Two processes of one type.
        handler.node_mut().foreseen =
            Foreseen { refused: [one.clone(), one].concat(), ..Foreseen::default() };
        let Check { obstacles, warnings, .. } = handler.check_install(&vsn(1), options()).unwrap();
        let obstacles: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        let text = format!("does not take the state of <1.1> (shop:counter): missing field `n` ({both})");
        assert!(obstacles.len() == 1 && obstacles[0].contains(&text), "{obstacles:?}");
        assert_eq!(of_states(warnings), Vec::<String>::new());
    }

    #[test]
    fn data_that_new_code_rejects_stops_a_load_by_hand_if_a_process_would_crash() {
        let (_site, mut handler) = shop("{ load_module = \"counter\" }");
        let library = Library {
            app: "shop".parse().unwrap(),
            vsn: vsn(1),
            dir: PathBuf::new(),
            file: PathBuf::new(),
            sha256: String::new(),
            modules: vec!["counter".parse().unwrap()],
        };
        let start = || Refusable::StartArgument(json!("x"));
        for (what, stops) in
            [(Refusable::State, true), (Refusable::Message, true), (Refusable::Init, false), (start(), false)]
        {
            handler.node_mut().foreseen = refused(what.clone());
            let Foresight { obstacles, warnings, .. } = handler.foresee_load(&library);
            assert_eq!(
                [obstacles.len(), warnings.len()],
                [usize::from(stops), usize::from(!stops)],
                "{what:?}"
            );
        }
        handler.node_mut().foreseen = changed(&["gone"], &["new"], &["same"]);
        let Foresight { obstacles, warnings, .. } = handler.foresee_load(&library);
        assert!(obstacles.is_empty() && warnings[0].contains("\"gone\", \"new\", \"same\""), "{warnings:?}");
    }

    #[test]
    fn data_that_new_code_rejects_stops_the_install_or_is_a_warning() {
        let start = || Refusable::StartArgument(json!("x"));
        let soft = "{ load_module = \"counter\" }";
        check(
            UPDATED,
            refused(start()),
            Some(("not_taken", "child \"x\" of <1.1> (shop:counter) could not")),
            None,
        );
        for over in ["old", "gone"] {
            check(UPDATED, refused(Refusable::StartArgument(json!(over))), None, None);
        }
        check(soft, refused(start()), None, Some("could not be started again"));
        check(
            UPDATED,
            refused(Refusable::Init),
            Some(("not_taken", "<1.1> (shop:counter) could not be started again")),
            None,
        );
        let name = || refused(Refusable::Name("till".to_owned()));
        let words = "<1.1> (shop:counter) cannot have the name till of its spec in counter 1.1.0";
        check(UPDATED, name(), Some(("not_taken", words)), None);
        check(soft, name(), None, Some(words));
        check(soft, refused(Refusable::State), Some(("not_taken", "does not take the state of")), None);
        check(soft, refused(Refusable::Message), None, Some("does not take a message that waits"));
        let twice = |what: Refusable| {
            let Foreseen { refused, .. } = refused(what);
            Foreseen { refused: [refused.clone(), refused].concat(), ..Foreseen::default() }
        };
        let more = "a message that waits for <1.1> (shop:counter) and 1 more";
        check(soft, twice(Refusable::Message), None, Some(more));
        check(soft, twice(start()), None, Some("child \"x\" and 1 more of <1.1> (shop:counter)"));
        let unknown = Foreseen { unknown: vec!["init hangs".to_owned()], ..Foreseen::default() };
        check(soft, unknown, None, Some("init hangs"));
    }
}
