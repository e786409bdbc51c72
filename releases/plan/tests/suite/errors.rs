//! One test document for every error class.

use reld_plan::{PlanError, RelupOptions, make_relups, pick_direction, plan};
use serde_json::{Value, json};

use crate::documents::Documents;

/// Release 1.0.0 and 2.0.0 of `a` (m1, m2) and `b` 1.0.0 (b1); the up entry of a has these
/// instructions.
fn upgrade(instructions: &str) -> String {
    format!(
        "{}--- to/a/appup.toml\napp = 'a'\nversion = '2.0.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = [{instructions}]\n",
        without_appup()
    )
}

fn without_appup() -> String {
    let side = |side: &str, vsn: &str| {
        format!(
            "--- {side}/release.toml\nname = 'shop'\nversion = '{vsn}'\ndaemon = '1.0.0'\n\
             [[app]]\nname = 'a'\nversion = '{vsn}'\n[[app]]\nname = 'b'\nversion = '1.0.0'\n\
             --- {side}/a/app.toml\nname = 'a'\nversion = '{vsn}'\nmodules = ['m1', 'm2']\n\
             --- {side}/b/app.toml\nname = 'b'\nversion = '1.0.0'\nmodules = ['b1']\n"
        )
    };
    side("from", "1.0.0") + &side("to", "2.0.0")
}

fn up(documents: &str) -> Value {
    let documents = Documents::parse(documents);
    let (top, base) = (documents.release("to"), documents.release("from"));
    json!(make_relups(top.as_ref(), base.as_ref(), RelupOptions::default()))["up"].clone()
}

#[track_caller]
fn check(instructions: &str, class: &str) {
    assert_eq!(up(&upgrade(instructions))["error"]["class"], class, "{instructions}");
}

#[track_caller]
fn check_documents(documents: &str, class: &str) {
    let shown = up(documents);
    assert_eq!(shown["error"]["class"], class, "{shown}");
}

#[test]
fn every_part_of_an_instruction_has_its_class() {
    for (instruction, class) in [
        ("{ update = 3 }", "bad_module"),
        ("{ update = 'm1', deps = ['1m'] }", "bad_module"),
        ("{ update = 'm1', change = 'hard' }", "bad_change"),
        ("{ update = 'm1', change = { advance = 1 } }", "bad_change"),
        ("{ update = 'm1', mod_type = 'statik' }", "bad_mod_type"),
        ("{ update = 'm1', pre_purge = 'brutal_purge' }", "bad_purge_method"),
        ("{ load_module = 'm1', post_purge = true }", "bad_purge_method"),
        ("{ update = 'm1', timeout = -1 }", "bad_timeout"),
        ("{ update = 'm1', timeout = '5 s' }", "bad_timeout"),
        ("{ update = 'm1', timeout = '0s' }", "bad_timeout"),
        ("{ load_module = 'm1', deps = 'm2' }", "bad_list"),
        ("{ purge = 'm1' }", "bad_list"),
        ("{ apply = 'x:f', args = 1 }", "bad_args_list"),
        ("{ apply = 'x' }", "bad_func"),
        ("{ apply = '9:f' }", "bad_module"),
        ("{ sync_nodes = 1, nodes = [1] }", "bad_node"),
        ("{ load_object_code = ['m1'], app = 1, vsn = '2.0.0' }", "bad_lib"),
        ("{ load_object_code = ['m1'], app = 'a', vsn = 'two' }", "bad_lib_vsn"),
        ("{ code_change = [], mode = 'sideways' }", "bad_mode"),
        ("{ code_change = ['m1'] }", "bad_code_change"),
        ("{ code_change = [{ module = 'm1' }] }", "bad_code_change"),
        ("{ suspend = [{ timeout = 100 }] }", "bad_module"),
        ("{ remove_application = 1 }", "bad_application"),
        ("{ add_application = 'b', type = 'eternal' }", "bad_start_type"),
        ("{ upgrade = 'm1' }", "bad_instruction"),
        ("{ load_object_code = ['m1'] }", "bad_instruction"),
        ("{ update = 'm1', purge = 'soft' }", "bad_instruction"),
        ("{ sync_nodes = 1, nodes = ['n1'], args = [] }", "bad_instruction"),
        ("7", "bad_instruction"),
        ("'mnesia_backup'", "not_yet_implemented"),
    ] {
        check(instruction, class);
    }
}

#[test]
fn every_rule_of_the_translation_has_its_class() {
    let ponr = "'point_of_no_return'";
    check(&format!("{ponr}, {ponr}"), "too_many_point_of_no_return");
    check(&format!("{{ update = 'm1' }}, {ponr}"), "bad_op_before_point_of_no_return");
    for (instructions, class) in [
        ("{ load = 'm1' }", "no_object_code"),
        ("{ suspend = ['m1'] }", "suspended_not_resumed"),
        ("{ resume = ['m1'] }", "resumed_not_suspended"),
        ("{ start = ['m1'] }", "start_not_stop"),
        ("{ stop = ['m1'] }", "stop_not_start"),
        ("{ add_application = 'c' }", "no_such_application"),
        ("{ restart_application = 'c' }", "no_such_application"),
        ("{ remove_application = 'c' }", "no_such_application"),
        ("{ remove_application = 'b' }", "removed_application_present"),
        ("{ update = 'm1' }, { load_module = 'm1' }", "muldef_module"),
        ("{ update = 'm1', deps = ['m2'] }", "undef_module"),
        ("{ update = 'm9' }", "no_such_module"),
        (
            "{ load_object_code = ['m1'], app = 'a', vsn = '1.0.0' }, { update = 'm1' }",
            "conflicting_versions",
        ),
    ] {
        check(instructions, class);
    }
}

#[test]
fn the_first_checked_of_several_mistakes_in_one_instruction_is_reported() {
    for (instruction, class) in [
        ("{ code_change = 'm1', mode = 'sideways' }", "bad_list"),
        ("{ code_change = ['m1'], mode = 'sideways' }", "bad_mode"),
        ("{ apply = '9:9', args = 1 }", "bad_module"),
        ("{ apply = 'x:9', args = 1 }", "bad_func"),
        ("{ load_object_code = 'm1', app = 'a', vsn = 2 }", "bad_lib_vsn"),
        (
            "{ update = 'm1', deps = 1, post_purge = 'x', pre_purge = 'x', change = 'x', timeout = 0 }",
            "bad_timeout",
        ),
    ] {
        check(instruction, class);
    }
}

#[test]
fn the_mistake_of_the_earlier_pass_is_reported() {
    check("{ update = 'm9' }, { update = 3 }", "bad_module");
    check("{ suspend = ['m1'] }, { upgrade = 'm1' }", "bad_instruction");
    check("{ upgrade = 'm1' }, 'point_of_no_return', 'point_of_no_return'", "too_many_point_of_no_return");
    check("{ resume = ['m1'] }, { add_application = 'c' }", "resumed_not_suspended");
    check("{ update = 'm1', deps = ['m2'] }, { load_module = 'm1' }", "muldef_module");
}

#[test]
fn a_mistake_in_an_unused_entry_is_ignored() {
    let documents =
        upgrade("{ load_module = 'm1' }") + "[[down]]\nto = '1.0.0'\ninstructions = ['nonsense']\n";
    assert!(up(&documents)["script"].is_array());
}

#[test]
fn every_mistake_of_a_release_has_its_class() {
    let app = |from: &str, to: &str| upgrade("{ load_module = 'm1' }").replace(from, to);
    let modules = "modules = ['m1', 'm2']";
    for (documents, class) in [
        (without_appup(), "file_problem"),
        (without_appup() + "--- to/a/appup.toml\nnonsense\n", "file_problem"),
        (app("app = 'a'", "app = 'b'"), "file_problem"),
        (app("from = '1.0.0'", "from = '>=1.5.0'"), "no_relup"),
        (app("modules = ['b1']", "modules = 'b1'"), "error_reading"),
        (
            app(
                "--- to/b/app.toml\nname = 'b'\nversion = '1.0.0'",
                "--- to/b/app.toml\nname = 'b'\nversion = '1.0.1'",
            ),
            "error_reading",
        ),
        (app(modules, "modules = ['m1']\napplications = ['c']"), "undefined_applications"),
        (app(modules, "modules = ['m1', 'b1']"), "duplicate_modules"),
        (app(modules, "included_applications = ['b', 'b']"), "duplicate_include"),
        (app("modules = ", "registered = ['srv']\nmodules = "), "duplicate_register"),
        (
            app("name = 'b'\nversion = '1.0.0'\n---", "name = 'b'\nversion = '1.0.0'\nincluded = ['a']\n---"),
            "error_reading",
        ),
        (
            app("name = 'b'\nversion = '1.0.0'\n---", "name = 'b'\nversion = '1.0.0'\ntype = 'x'\n---"),
            "illegal_applications",
        ),
        (
            app("[[app]]\nname = 'b'\nversion = '1.0.0'", "[[app]]\nname = 'a'\nversion = '2.0.0'"),
            "duplicate_modules",
        ),
        (app("daemon = '1.0.0'", "daemon = 1"), "error_reading"),
        (app(modules, "modules = ['m1']\napplications = ['b', 'b']"), "undefined_applications"),
        (
            app(modules, "modules = ['m1']\napplications = ['b']")
                .replace("modules = ['b1']", "applications = ['a']"),
            "circular_dependencies",
        ),
    ] {
        check_documents(&documents, class);
    }
}

#[test]
fn the_newer_release_is_read_first() {
    let text = upgrade("").replace("modules = ['b1']", "modules = ['b1']\nregistered = ['x', 'x']");
    let text = text.replacen("registered = ['x', 'x']", "applications = ['c']", 1);
    check_documents(&text, "duplicate_register");
}

#[test]
fn an_optional_application_may_be_missing() {
    let text = upgrade("").replace("modules = ['b1']", "applications = ['c']\noptional_applications = ['c']");
    assert!(up(&text)["script"].is_array());
}

#[test]
fn an_appup_of_another_version_is_a_warning() {
    let text = upgrade("").replace("app = 'a'\nversion = '2.0.0'", "app = 'a'\nversion = '2.0.1'");
    assert_eq!(up(&text)["warnings"][0]["class"], "bad_vsn");
}

#[track_caller]
fn check_direction(documents: &str, running: &str, target: &str, expected: &str) {
    let documents = Documents::parse(documents);
    let (running, target) = (documents.release(running).unwrap(), documents.release(target).unwrap());
    let shown = match pick_direction(&running, &target) {
        Ok(mode) => mode.as_str().to_owned(),
        Err(error) => format!("{}: {error}", error.code()),
    };
    assert_eq!(shown, expected);
}

#[test]
fn the_direction_is_where_the_appups_lead() {
    let both = upgrade("") + "[[down]]\nto = '1.0.0'\ninstructions = []\n";
    check_direction(&both, "from", "to", "up");
    check_direction(&both, "to", "from", "down");
}

#[test]
fn without_an_appup_the_app_and_both_versions_are_named() {
    check_direction(
        &without_appup(),
        "from",
        "to",
        "no_appup_found: a changes from 1.0.0 to 2.0.0, and neither version has an appup.toml",
    );
}

#[test]
fn a_downgrade_without_a_rule_names_the_app_and_both_versions() {
    check_direction(
        &upgrade(""),
        "to",
        "from",
        "version_not_in_appup: no appup leads a from 2.0.0 to 1.0.0: 1.0.0 needs an up entry from 2.0.0, or 2.0.0 a \
         down entry to 1.0.0",
    );
}

#[track_caller]
fn check_window(instructions: &str, expected: &str) {
    let documents = Documents::parse(&upgrade(instructions));
    let (running, target) = (documents.release("from").unwrap(), documents.release("to").unwrap());
    let error: PlanError = plan(&running, &target).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn the_code_of_a_library_that_runs_already_is_not_loaded_again() {
    check_window(
        "{ load_module = 'b1' }",
        "load_object_code of b-1.0.0: the target release has no such library, or the library runs already",
    );
}

#[test]
fn a_code_change_by_hand_needs_a_suspend() {
    check_window(
        "{ load_module = 'm1' }, { code_change = [{ module = 'm1', extra = 1 }] }",
        "step 4: code_change of module m1, which is not suspended",
    );
}

/// OTP: otp_9417.
#[test]
fn a_module_that_was_never_there_is_deleted_without_an_error() {
    let documents = Documents::parse(&upgrade("{ delete_module = 'ghost' }"));
    let (running, target) = (documents.release("from").unwrap(), documents.release("to").unwrap());
    let script = plan(&running, &target).unwrap();
    let words: Vec<_> = script.steps.iter().map(|step| step.action.word()).collect();
    assert_eq!(
        words,
        ["load_object_code", "load", "load", "switch"],
        "the other modules move with their library"
    );
    let expected = "remove ghost: nothing to do, the source release has no such module";
    assert_eq!(script.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
}

/// OTP: app_start_type_relup.
#[test]
fn every_start_type_of_an_added_app_has_its_instruction() {
    for (start_type, expected) in [
        ("permanent", Some("start_application")),
        ("transient", Some("start_application")),
        ("temporary", Some("start_application")),
        ("load", Some("load_application")),
        ("none", None),
    ] {
        let added = format!(
            "version = '2.0.0'\n[[app]]\nname = 'c'\nversion = '1.0.0'\ntype = '{start_type}'\n[[app]]\nname = 'b'"
        );
        let text = upgrade("").replace("version = '2.0.0'\n[[app]]\nname = 'b'", &added)
            + "[[down]]\nto = '1.0.0'\ninstructions = []\n--- to/c/app.toml\nname = 'c'\nversion = '1.0.0'\nmodules = ['c1']\n";
        let documents = Documents::parse(&text);
        let both = json!(make_relups(
            documents.release("to").as_ref(),
            documents.release("from").as_ref(),
            RelupOptions::default()
        ));
        let ops = |way: &str| -> Vec<String> {
            let script = both[way]["script"].as_array().unwrap_or_else(|| panic!("{both:#}"));
            let about_apps = script.iter().filter(|step| step["app"] == "c" && step["vsn"].is_null());
            about_apps.filter_map(|step| step["op"].as_str().map(str::to_owned)).collect()
        };
        assert_eq!(ops("up"), expected.into_iter().collect::<Vec<_>>(), "{start_type}");
        assert_eq!(ops("down"), ["stop_application", "unload_application"], "{start_type}");
    }
}
