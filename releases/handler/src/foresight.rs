//! What the check says of the future: supervisors' children, start arguments, states and messages.
//!
//! The node asks the code that is to come in a process that is thrown away ([`Node::foresee`](crate::Node::foresee)); here
//! is judged what the answers mean:
//!
//! | the new code | its supervisor is updated | is not |
//! |---|---|---|
//! | names other children than the old, without an instruction for them | stops the install | stops it: the update is missing |
//! | names a child with another spec | as meant | a warning: it is in force when the supervisor starts anew |
//! | does not take a start argument that stays, or the supervisor's own | stops the install | a warning |
//! | does not take a state, which no change_code changes | stops the install, with what the schemas say of it | the same |
//! | does not take a message that waits | a warning: its process would crash | the same |
//! | could not be asked | a warning | the same |
//!
//! A library that is loaded by hand updates nothing and takes nothing back: a state and a message stop it, all else is a
//! warning.
//!
//! Of a script of several windows those calls make up for a start argument that come no later than the code which does
//! not take it. Whether calls come in an order in which they succeed is seen by playing them through (`rehearsal.rs`).

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::{Action, AppName, BuiltIn, Dropped, MemberChange, ModuleName, Script, Warning};
use serde_json::Value;

use crate::action::{built_in_call, loaded};
use crate::children::unexpected;
use crate::error::Obstacle;
use crate::material::Material;
use crate::node::{Coming, Foreseen, ForeseenChildren, ForeseenRefusal, Library, Look, Node, Refusable};
use crate::rehearsal::{functions, rehearse};

/// What was found.
#[derive(Debug, Default)]
pub struct Foresight {
    /// What stands in the way.
    pub obstacles: Vec<Obstacle>,
    /// What a person should know before.
    pub warnings: Vec<String>,
    /// The modules that do not take a state: what the schemas say of these needs no warning of its
    /// own.
    pub(crate) unread: BTreeSet<ModuleName>,
}

/// What a script does to children, and when.
struct Calls<'a> {
    /// The window in which each module becomes current.
    moves: BTreeMap<&'a ModuleName, usize>,
    /// The calls of built-in modules.
    made: Vec<BuiltIn>,
    /// The window of each.
    windows: Vec<usize>,
}

/// Looks at everything that a script would meet.
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
            // Processes of an app that is restarted start afresh.
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
    for refusal in refused.into_iter().filter(|refusal| !calls.settle(node, refusal)) {
        let stops = match refusal.what {
            Refusable::StartArgument(_) | Refusable::Init => updated.contains(&refusal.process.module),
            Refusable::State => true,
            Refusable::Message => false,
        };
        let doubt = doubt(script, &refusal.module);
        foresight.refusal(refusal, stops, doubt);
    }
    if is_known {
        rehearse(node, script, material, &updates, &mut foresight);
    }
    functions(node, script, material, &mut foresight);
    foresight
}

/// Looks at everything that a library would meet that is loaded by hand.
pub(crate) fn foresee_load<N: Node>(node: &N, library: &Library) -> Foresight {
    let (change, dropped) = (MemberChange::Soft, Dropped::default());
    let coming = |module| Coming { module, library, change, dropped: &dropped, is_doubtful: true };
    let coming: Vec<Coming<'_>> = library.modules.iter().map(coming).collect();
    let Foreseen { children, refused, unknown, unasked } = node.foresee(&coming, Look::Moment);
    let mut foresight = Foresight { warnings: [unknown, unasked].concat(), ..Foresight::default() };
    for ForeseenChildren { changed, differing } in children {
        let ids = listed(changed.vanished.iter().chain(&changed.added).chain(&differing));
        foresight.warnings.push(format!(
            "the new init of {} changes its children {ids}: that is in force when the supervisor starts anew",
            changed.supervisor
        ));
    }
    for refusal in refused {
        let stops = matches!(refusal.what, Refusable::State | Refusable::Message);
        foresight.refusal(refusal, stops, None);
    }
    foresight
}

/// Returns why the schemas say that a module may not read a state as it is.
fn doubt<'a>(script: &'a Script, wanted: &ModuleName) -> Option<&'a [String]> {
    script.warnings.iter().find_map(|warning| match warning {
        Warning::StateNotRead { module, why, .. } if module == wanted => Some(why.as_slice()),
        _ => None,
    })
}

/// Returns what a script does with the processes of a module.
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

    /// Says whether nobody will have to take what was refused: a renamed child gets the start argument of the one that it
    /// is from then on, a deleted one is started no more.
    fn settle<N: Node>(&self, node: &N, refusal: &ForeseenRefusal) -> bool {
        let Refusable::StartArgument(wanted) = &refusal.what else { return false };
        let moves = [&refusal.module, &refusal.process.module].map(|module| self.moves.get(module));
        let last = moves.into_iter().flatten().max();
        let in_time = self.made.iter().zip(&self.windows).filter(|(_, window)| Some(*window) <= last);
        in_time.map(|(call, _)| call).any(|call| match call {
            BuiltIn::RenameChild { supervisor, id, .. } | BuiltIn::DeleteChild { supervisor, id } => {
                id == wanted && node.supervisor(supervisor) == Some(refusal.process.pid)
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
            let found = unexpected(&changed, calls, |place| node.supervisor(place));
            self.obstacles.extend(found.map(|found| Obstacle::Children(found.to_string())));
            return;
        }
        let supervisor = &changed.supervisor;
        if !changed.vanished.is_empty() || !changed.added.is_empty() {
            let ids = listed(changed.vanished.iter().chain(&changed.added));
            self.obstacles.push(Obstacle::Children(format!(
                "the new init of {supervisor} names other children ({ids}), and no update of its module says so; \
                 write {{ update = \"{}\", change = \"supervisor\" }}, and what becomes of them",
                supervisor.module
            )));
        } else if !differing.is_empty() {
            self.warnings.push(format!(
                "the new init of {supervisor} gives other specs to {}, and no update of its module says so: they are in \
                 force when the supervisor starts anew",
                listed(&differing)
            ));
        }
    }

    fn refusal(&mut self, refusal: ForeseenRefusal, stops: bool, doubt: Option<&[String]>) {
        let ForeseenRefusal { process, what, module, vsn, reason } = refusal;
        // One of several is enough: they are of one type.
        if what == Refusable::State && !self.unread.insert(module.clone()) {
            return;
        }
        let doubt = doubt.map(|why| format!(" ({})", why.join("; "))).unwrap_or_default();
        let text = match &what {
            Refusable::StartArgument(id) => format!(
                "child {id} of {process} could not be started again: module {module} {vsn} does not take its start \
                 argument: {reason}; terminate and delete it first"
            ),
            Refusable::Init => {
                format!("module {module} {vsn} could not be started again as {process} was: {reason}")
            }
            Refusable::State => format!(
                "module {module} {vsn} does not take the state of {process}: {reason}{doubt}; update it with a change_code"
            ),
            Refusable::Message => format!(
                "module {module} {vsn} does not take a message that waits for {process}, which would end of it: {reason}"
            ),
        };
        if stops {
            self.obstacles.push(Obstacle::NotTaken(text));
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

    /// A node that runs 1.0.0, and has 1.1.0 with this instruction.
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

    /// Checks what the check says of a future, and that an install is refused for the same.
    #[track_caller]
    fn check(instruction: &str, foreseen: Foreseen, obstacle: Option<(&str, &str)>, warning: Option<&str>) {
        let (_site, mut handler) = shop(instruction);
        handler.node_mut().foreseen = foreseen;
        let Check { obstacles, warnings, .. } = handler.check_install(&vsn(1), options()).unwrap();
        let said: Vec<_> = obstacles.iter().map(|found| (found.class(), found.to_string())).collect();
        assert_eq!(said.len(), usize::from(obstacle.is_some()), "{said:?}");
        for ((class, text), (wanted, words)) in said.iter().zip(obstacle) {
            assert!(*class == wanted && text.contains(words), "{class}: {text}");
        }
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{warnings:?}");
        assert!(warnings.iter().zip(warning).all(|(said, words)| said.contains(words)), "{warnings:?}");
        let installed = handler.upgrade(&Target::Version(vsn(1)), options(), &mut |_| ());
        assert_eq!(installed.is_err(), obstacle.is_some(), "{installed:?}");
    }

    #[test]
    fn children_that_come_and_go_need_an_update_and_their_instructions() {
        check(UPDATED, changed(&["gone", "old"], &["new"], &["same"]), None, None);
        let more = changed(&["gone", "other"], &["fresh"], &[]);
        check(UPDATED, more, Some(("children", "\"other\" vanishes")), None);
        let soft = "{ load_module = \"counter\" }";
        let missing =
            Some(("children", "names other children (\"a\", \"b\"), and no update of its module says so"));
        check(soft, changed(&["a"], &["b"], &[]), missing, None);
        check(soft, changed(&[], &[], &["c"]), None, Some("gives other specs to \"c\""));
    }

    /// Updates three modules in a window each, the supervisor's in the second, with a call before and one after it; checks
    /// what the check says of this future, and that an install is refused for the same.
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
        let said: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), usize::from(obstacle.is_some()), "{said:?}");
        assert!(said.iter().zip(obstacle).all(|(said, words)| said.contains(words)), "{said:?}");
        let installed = handler.upgrade(&Target::Version(vsn(1)), options, &mut |_| ());
        assert_eq!(installed.is_err(), obstacle.is_some(), "{installed:?}");
    }

    #[test]
    fn of_several_windows_the_calls_count_that_come_in_time() {
        let gone = || changed(&["gone"], &[], &[]);
        check_windows("delete_child \"gone\"", "", gone(), None);
        check_windows("", "delete_child \"gone\"", gone(), None);
        let renamed = || changed(&["old"], &["new"], &[]);
        check_windows("rename_child \"old\", \"new\"", "", renamed(), None);
        // After the update it belongs to the next window, where both ids have their rows.
        check_windows("", "rename_child \"old\", \"new\"", renamed(), Some("has a child \"new\" already"));
        let fresh = || changed(&[], &["fresh"], &[]);
        check_windows("", "restart_child \"fresh\"", fresh(), None);
        check_windows("restart_child \"fresh\"", "", fresh(), Some("has no child \"fresh\" then"));
        let start = || refused(Refusable::StartArgument(json!("gone")));
        check_windows("delete_child \"gone\"", "", start(), None);
        check_windows("", "delete_child \"gone\"", start(), Some("terminate and delete it first"));
    }

    /// The counter with one field, of that name.
    fn with_field(name: &str) -> String {
        let state = json!({"type": "object", "properties": {name: {"type": "integer"}}, "required": [name]});
        let counter = json!({"behaviour": "gen_server", "interface": {"state": state}});
        json!({"modules": {"counter": counter}}).to_string()
    }

    #[test]
    fn what_the_schemas_say_of_a_state_is_a_warning_until_the_code_refuses_one_and_is_told_once() {
        let site = Site::new();
        let modules = ["counter"];
        let mut handler = site.handler();
        handler.goes(&site.pack_described(0, &modules, "", with_field("made")), Outcome::Installed);
        let up = "[[up]]\nfrom = \"0.1.0\"\ninstructions = [{ load_module = \"counter\" }]\n";
        handler.unpacks(&site.pack_described(1, &modules, up, with_field("total")));
        let both = "`made` is gone, and not declared in DROPPED; `total` is new and has no default";
        // That its appup has no way back is another warning.
        let of_states = |warnings: Vec<String>| -> Vec<String> {
            warnings.into_iter().filter(|warning| !warning.starts_with("there is no way back")).collect()
        };
        let Check { obstacles, warnings, .. } = handler.check_install(&vsn(1), options()).unwrap();
        let warnings = of_states(warnings);
        assert!(obstacles.is_empty() && warnings.len() == 1 && warnings[0].contains(both), "{warnings:?}");
        let Foreseen { refused: one, .. } = refused(Refusable::State);
        // Of two processes of one type.
        handler.node_mut().foreseen =
            Foreseen { refused: [one.clone(), one].concat(), ..Foreseen::default() };
        let Check { obstacles, warnings, .. } = handler.check_install(&vsn(1), options()).unwrap();
        let obstacles: Vec<String> = obstacles.iter().map(ToString::to_string).collect();
        let told = format!("does not take the state of <1.1> (shop:counter): missing field `n` ({both})");
        assert!(obstacles.len() == 1 && obstacles[0].contains(&told), "{obstacles:?}");
        assert_eq!(of_states(warnings), Vec::<String>::new());
    }

    #[test]
    fn what_new_code_does_not_take_stops_a_load_by_hand_where_a_process_would_end_of_it() {
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
    fn what_new_code_does_not_take_stops_the_install_or_is_told() {
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
        check(UPDATED, refused(Refusable::Init), Some(("not_taken", "could not be started again as")), None);
        check(soft, refused(Refusable::State), Some(("not_taken", "does not take the state of")), None);
        check(soft, refused(Refusable::Message), None, Some("does not take a message that waits"));
        let unknown = Foreseen { unknown: vec!["init hangs".to_owned()], ..Foreseen::default() };
        check(soft, unknown, None, Some("init hangs"));
    }
}
