//! The JSON that other programs read: `relctl plan --window group --json`, and a script.

use reld_plan::{RelupOptions, make_relups, plan};
use serde_json::{Value, json};

use crate::documents::Documents;

/// App `a` with m1 and m2 goes from 1.0.0 to 2.0.0, up only, by these instructions.
fn documents(instructions: &str) -> Documents {
    let side = |side: &str, vsn: &str| {
        format!(
            "--- {side}/release.toml\nname = 'shop'\nversion = '{vsn}'\ndaemon = '1.0.0'\n\
             [[app]]\nname = 'a'\nversion = '{vsn}'\n\
             --- {side}/a/app.toml\nname = 'a'\nversion = '{vsn}'\nmodules = ['m1', 'm2']\n"
        )
    };
    let appup = format!(
        "--- to/a/appup.toml\napp = 'a'\nversion = '2.0.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = [{instructions}]\n"
    );
    Documents::parse(&(side("from", "1.0.0") + &side("to", "2.0.0") + &appup))
}

/// Compares the modules of `a` that the script reads.
#[track_caller]
fn check_read(instructions: &str, expected: &[&str]) {
    let documents = documents(instructions);
    let (top, base) = (documents.release("to"), documents.release("from"));
    assert_eq!(
        json!(make_relups(top.as_ref(), base.as_ref(), RelupOptions::default()))["up"]["script"][0]["modules"],
        json!(expected)
    );
}

/// Compares the instructions after the point of no return.
#[track_caller]
fn check(instructions: &str, expected: Value) {
    let documents = documents(instructions);
    let (top, base) = (documents.release("to"), documents.release("from"));
    let shown = json!(make_relups(top.as_ref(), base.as_ref(), RelupOptions::default()));
    let script = shown["up"]["script"].as_array().unwrap_or_else(|| panic!("{shown}"));
    let ponr = script.iter().position(|low| low["op"] == "point_of_no_return").unwrap();
    assert_eq!(json!(script[ponr + 1..]), expected);
}

#[test]
fn an_update_has_its_whole_form() {
    check(
        "{ update = 'm1', change = { advanced = { n = 1 } }, timeout = '2s', post_purge = 'soft' }",
        json!([
            { "op": "suspend", "modules": [{ "module": "m1", "timeout_ms": 2000 }] },
            { "op": "load", "module": "m1", "pre_purge": "brutal", "post_purge": "soft" },
            { "op": "code_change", "mode": "up", "modules": [{ "module": "m1", "extra": { "n": 1 } }] },
            { "op": "resume", "modules": ["m1"] },
        ]),
    );
}

#[test]
fn a_timeout_is_left_out_infinity_or_milliseconds() {
    check(
        "{ suspend = ['m1', { module = 'm2', timeout = 'infinity' }] }, { resume = ['m1', 'm2'] }",
        json!([
            { "op": "suspend", "modules": [{ "module": "m1" }, { "module": "m2", "timeout_ms": "infinity" }] },
            { "op": "resume", "modules": ["m1", "m2"] },
        ]),
    );
}

#[test]
fn a_call_of_application_has_the_form_of_a_generated_one() {
    check(
        "{ apply = 'x:f', args = [1] }, { apply = 'application:start', args = ['b', 'temporary'] }, { apply = 'application:stop', args = ['b'] }",
        json!([
            { "op": "apply", "module": "x", "function": "f", "args": [1] },
            { "op": "start_application", "app": "b", "type": "temporary" },
            { "op": "stop_application", "app": "b" },
        ]),
    );
}

#[test]
fn a_module_that_is_read_several_times_keeps_its_last_place() {
    let code = |modules: &str| format!("{{ load_object_code = [{modules}], app = 'a', vsn = '2.0.0' }}");
    let (m1, m1_m2, m1_m1) = (code("'m1'"), code("'m1', 'm2'"), code("'m1', 'm1', 'm2'"));
    check_read(&format!("{m1_m2}, {{ load_module = 'm1' }}"), &["m2", "m1"]);
    check_read(&format!("{m1}, {m1_m2}"), &["m1", "m2"]);
    check_read(&m1_m1, &["m1", "m1", "m2"]);
}

#[test]
fn the_latest_warning_comes_first() {
    let side = |side: &str, vsn: &str| {
        let app = |name: &str| {
            format!("--- {side}/{name}/app.toml\nname = '{name}'\nversion = '{vsn}'\n")
                + &format!("--- {side}/{name}/appup.toml\napp = '{name}'\nversion = '3.0.0'\n")
                + "[[up]]\nfrom = '1.0.0'\ninstructions = []\n"
        };
        format!(
            "--- {side}/release.toml\nname = 'shop'\nversion = '{vsn}'\ndaemon = '{vsn}'\n\
             [[app]]\nname = 'a'\nversion = '{vsn}'\n[[app]]\nname = 'b'\nversion = '{vsn}'\n"
        ) + &app("a")
            + &app("b")
    };
    let documents = Documents::parse(&(side("from", "1.0.0") + &side("to", "2.0.0")));
    let (top, base) = (documents.release("to"), documents.release("from"));
    let warnings =
        &json!(make_relups(top.as_ref(), base.as_ref(), RelupOptions::default()))["up"]["warnings"];
    let shown: Vec<_> = warnings.as_array().unwrap().iter().map(|w| (&w["class"], &w["args"][0])).collect();
    let expected = [("erts_vsn_changed", "1.0.0"), ("bad_vsn", "b"), ("bad_vsn", "a")];
    assert_eq!(json!(shown), json!(expected));
}

#[test]
fn an_error_has_class_message_and_args() {
    let documents = documents("{ update = 'm1', deps = ['m2'] }");
    let (top, base) = (documents.release("to"), documents.release("from"));
    assert_eq!(
        json!(make_relups(top.as_ref(), base.as_ref(), RelupOptions::default())),
        json!({
            "up": { "error": {
                "class": "undef_module",
                "message": "module m1 depends on m2, which has no instruction of its own",
                "args": ["m2"],
            } },
            "down": { "error": {
                "class": "no_relup",
                "message": "the appup of a-2.0.0 has no entry to go from 2.0.0 to 1.0.0",
                "args": ["a", "2.0.0", "1.0.0"],
            } },
        })
    );
}

#[test]
fn a_step_of_a_script_has_its_fields_its_reason_and_its_mark() {
    let documents = documents("{ update = 'm1', change = 'supervisor', pre_purge = 'soft' }");
    let script = plan(&documents.release("from").unwrap(), &documents.release("to").unwrap()).unwrap();
    let load = |module: &str, implied: bool, pre: Value, reason: &str| {
        json!({
            "op": "load", "module": module, "app": "a", "vsn": "2.0.0", "implied": implied,
            "pre_purge": pre, "post_purge": null, "reason": reason, "mark": "undone",
        })
    };
    let implied = "implied: module m2 of replaced library a-2.0.0 has no instruction";
    assert_eq!(
        json!(script),
        json!({
            "from": "1.0.0", "to": "2.0.0", "mode": "up", "warnings": [],
            "steps": [
                { "op": "load_object_code", "app": "a", "vsn": "2.0.0", "modules": ["m1", "m2"],
                  "reason": "appup of a", "mark": "undone" },
                load("m1", false, json!("soft"), "appup of a"),
                load("m2", true, json!(null), implied),
                { "op": "suspend", "modules": [{ "module": "m1", "timeout": "default", "change": "supervisor" }],
                  "reason": "appup of a", "mark": "undone" },
                { "op": "code_change", "module": "m1", "app": "a", "from": "1.0.0", "to": "2.0.0", "mode": "up",
                  "change": "supervisor", "extra": [], "inside": false, "reason": "appup of a", "mark": "undone" },
                { "op": "switch", "reason": "the point of no return", "mark": "undone" },
                { "op": "resume", "modules": ["m1"], "reason": "appup of a", "mark": "undone" },
            ],
        })
    );
}
