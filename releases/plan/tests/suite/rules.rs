//! Every rule of a script, with a script that violates it.

use reld_plan::{Action, Apply, Mark, Mode, ModuleName, Script, plan};
use serde_json::{Value, json};

use crate::documents::Documents;

/// A script that updates m1 and loads m2 implicitly:
/// 1 load_object_code, 2 load m1, 3 load m2, 4 suspend, 5 code_change, 6 switch, 7 resume.
fn script() -> Script {
    let side = |side: &str, vsn: &str| {
        format!(
            "--- {side}/release.toml\nname = 'shop'\nversion = '{vsn}'\ndaemon = '1.0.0'\n\
             [[app]]\nname = 'a'\nversion = '{vsn}'\n\
             --- {side}/a/app.toml\nname = 'a'\nversion = '{vsn}'\nmodules = ['m1', 'm2']\n"
        )
    };
    let appup = "--- to/a/appup.toml\napp = 'a'\nversion = '2.0.0'\n[[up]]\nfrom = '1.0.0'\n\
                 instructions = [{ update = 'm1', change = 'supervisor' }]\n";
    let documents = Documents::parse(&(side("from", "1.0.0") + &side("to", "2.0.0") + appup));
    plan(&documents.release("from").unwrap(), &documents.release("to").unwrap()).unwrap()
}

#[track_caller]
fn check(spoil: impl FnOnce(&mut Script), expected: &str) {
    let mut script = script();
    assert_eq!((script.mode, script.check()), (Mode::Up, Ok(())));
    spoil(&mut script);
    assert_eq!(script.check().unwrap_err().to_string(), expected);
}

fn m2() -> ModuleName {
    ModuleName::new("m2").unwrap()
}

#[test]
fn there_is_one_switch() {
    check(|script| drop(script.steps.remove(5)), "step 1: the script has 0 switches instead of one");
    check(
        |script| script.steps.push(script.steps[5].clone()),
        "step 6: the script has 2 switches instead of one",
    );
}

#[test]
fn a_module_is_in_one_library_and_loaded_once_from_it() {
    check(|script| script.steps.insert(1, script.steps[0].clone()), "step 2: module m1 is in two libraries");
    check(|script| script.steps.insert(3, script.steps[1].clone()), "step 4: module m1 is loaded twice");
    check(
        |script| drop(script.steps.remove(0)),
        "step 1: module m1 is loaded, but no load_object_code before it opens its library",
    );
}

#[test]
fn a_state_is_converted_while_suspended_and_for_new_code() {
    check(|script| drop(script.steps.remove(3)), "step 4: code_change of module m1, which is not suspended");
    check(
        |script| drop(script.steps.remove(1)),
        "step 4: code_change of module m1, which is not loaded: does its app's version change?",
    );
}

#[test]
fn exactly_the_suspended_modules_are_resumed() {
    check(
        |script| drop(script.steps.remove(6)),
        "step 4: module m1 is suspended, but neither resumed nor stopped",
    );
    check(
        |script| script.steps[6].action = Action::Resume { modules: vec![m2()] },
        "step 7: module m2 is resumed, but not suspended",
    );
}

#[test]
fn steps_that_can_fail_come_before_the_switch_and_final_steps_after_it() {
    check(|script| script.steps.swap(4, 6), "step 5: resume comes before the switch");
    check(|script| script.steps.swap(4, 5), "step 6: code_change comes after the switch");
    check(
        |script| {
            script.steps[2].action = Action::Purge { modules: vec![m2()] };
            script.steps[2].mark = Mark::Undone;
        },
        "step 3: purge comes before the switch",
    );
}

#[test]
fn a_call_of_a_built_in_module_is_valid() {
    check(
        |script| script.steps[2].action = Action::Apply(restart_child(vec![json!("sup")])),
        "step 3: apply supervisor:restart_child(\"sup\"): the arguments must be the supervisor and the child's id",
    );
}

fn restart_child(args: Vec<Value>) -> Apply {
    let module = "supervisor".parse().unwrap();
    Apply { module, function: "restart_child".to_owned(), args, undo: None }
}

#[test]
fn a_restart_is_the_first_step_or_the_last() {
    check(
        |script| script.steps[2].action = Action::RestartNewDaemon,
        "step 3: restart_new_daemon comes between other steps",
    );
    check(
        |script| script.steps[2].action = Action::RestartDaemon,
        "step 3: restart_daemon comes between other steps",
    );
}
