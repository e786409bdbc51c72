//! Compares the planner with Erlang/OTP: the same documents give the same scripts, errors and
//! warnings.
//!
//! A line of `otp/cases.jsonl` has the documents of two releases and OTP 25's result for them. OTP
//! leaves the order of independent modules to hashing, so that no case contains such modules. If
//! OTP is installed, `RELD_OTP=1 cargo test -p reld-plan otp` runs it again on every line,
//! including new lines without a result; read the difference before committing it.

mod erlang;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs, thread};

use reld_plan::{Action, Mode, RelupOptions, Script, Step, make_relups, plan_direction};
use serde_json::{Map, Value, json};

use crate::documents::Documents;

#[test]
fn every_case_comes_out_as_it_does_from_otp() {
    let mut cases = cases();
    if env::var_os("RELD_OTP").is_some() {
        record(&mut cases);
    }
    let differing: Vec<_> = cases.iter().filter_map(difference).collect();
    assert!(
        differing.is_empty(),
        "{} of {} cases differ:\n{}",
        differing.len(),
        cases.len(),
        differing.join("\n")
    );
}

/// OTP has neither check: running code is not loaded again, and a hand-written script must follow
/// our rules.
#[test]
fn every_plan_of_otp_has_one_window_or_a_known_reason_against_it() {
    let mut windows = 0;
    for case in cases() {
        let documents = Documents::parse(&documents(&case));
        let (Ok(top), Ok(base)) = (documents.release("to"), documents.release("from")) else { continue };
        for mode in
            [Mode::Up, Mode::Down].into_iter().filter(|mode| case["otp"][mode.as_str()]["script"].is_array())
        {
            let planned = plan_direction(&top, &base, mode);
            let class = planned.as_ref().map_or_else(|error| error.code().as_str(), |_| "planned");
            let known = ["planned", "bad_lib_vsn", "bad_script", "no_such_module"];
            assert!(known.contains(&class), "{planned:?} of {case}");
            if let Ok(script) = planned {
                windows += 1;
                assert!(script.steps.iter().all(|step| !step.reason.causes().is_empty()), "{script}");
                let converted = converted(&script);
                let mut written = conversions(&case["otp"][mode.as_str()]["script"]);
                written.retain(|module| converted.contains(module));
                assert_eq!(converted, written, "{script}");
            }
        }
    }
    assert!(windows > 0, "OTP plans none");
}

/// Returns the modules in a window's conversions, in order.
fn converted(script: &Script) -> Vec<String> {
    let of = |step: &Step| match &step.action {
        Action::CodeChange { module, .. } => Some(module.to_string()),
        _ => None,
    };
    script.steps.iter().filter_map(of).collect()
}

/// Returns the modules in the conversions of an OTP script, in order.
fn conversions(script: &Value) -> Vec<String> {
    let steps = script.as_array().unwrap().iter().filter(|step| step["op"] == "code_change");
    let modules = steps.flat_map(|step| step["modules"].as_array().unwrap());
    modules.map(|change| change["module"].as_str().unwrap().to_owned()).collect()
}

fn cases() -> Vec<Value> {
    let text = fs::read_to_string(file("cases.jsonl")).unwrap();
    let cases: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!cases.is_empty());
    cases
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/otp").join(name)
}

/// Runs OTP on every case and records the results.
fn record(cases: &mut [Value]) {
    let folder = env::temp_dir().join(format!("reld-otp-{}", std::process::id()));
    let mut escript = Command::new("escript");
    escript.arg(file("make_relup.escript")).arg(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut otp = escript.spawn().unwrap();
    let (mut stdin, terms) = (otp.stdin.take().unwrap(), cases.iter().map(erlang::case).collect::<Vec<_>>());
    let writer = thread::spawn(move || terms.iter().try_for_each(|term| writeln!(stdin, "{term}")));
    let answers = otp.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    fs::remove_dir_all(folder).unwrap();
    let answers = String::from_utf8(answers.stdout).unwrap();
    assert_eq!(answers.lines().count(), cases.len());
    for (case, answer) in cases.iter_mut().zip(answers.lines()) {
        case["otp"] = serde_json::from_str(answer).unwrap();
    }
    let lines: String = cases.iter().map(|case| format!("{case}\n")).collect();
    fs::write(file("cases.jsonl"), lines).unwrap();
}

/// Describes how our result for a case differs, if it does.
fn difference(case: &Value) -> Option<String> {
    let text = documents(case);
    let documents = Documents::parse(&text);
    let ours = json!(make_relups(
        documents.release("to").as_ref(),
        documents.release("from").as_ref(),
        options(case)
    ));
    let shown = |mode: &str| {
        let (ours, otp) = (comparable(&ours[mode], &case["otp"][mode]), &case["otp"][mode]);
        (ours != *otp).then(|| format!("{mode}\nours {ours}\nOTP  {otp}\n"))
    };
    let differing: String = ["up", "down"].into_iter().filter_map(shown).collect();
    (!differing.is_empty()).then(|| format!("{}\n{text}{differing}", case["about"]))
}

/// Removes the parts that OTP does not report or words differently.
fn comparable(ours: &Value, otp: &Value) -> Value {
    let class = |of: &Value| of["class"].clone();
    match &ours["error"] {
        Value::Null => {
            let warnings: Vec<_> = ours["warnings"].as_array().into_iter().flatten().map(class).collect();
            json!({ "script": ours["script"], "warnings": warnings })
        }
        error if otp["error"].get("args").is_some() => {
            json!({ "error": { "class": class(error), "args": error["args"] } })
        }
        error => json!({ "error": { "class": class(error) } }),
    }
}

fn options(case: &Value) -> RelupOptions {
    RelupOptions { restart_daemon: case["restart_daemon"] == true }
}

/// Returns the version of the release on one side of a case.
fn version(side: &str) -> &'static str {
    if side == "from" { "1.0.0" } else { "2.0.0" }
}

/// Writes the documents of a case.
fn documents(case: &Value) -> String {
    ["from", "to"].map(|side| release(side, &case[side])).concat()
}

fn release(side: &str, release: &Value) -> String {
    let mut text = format!("--- {side}/release.toml\nname = \"shop\"\nversion = \"{}\"\n", version(side));
    text += &format!("daemon = {}\napp = [\n", inline(&release["daemon"]));
    let apps = release["apps"].as_array().unwrap();
    for app in apps {
        let keys = ["name", "version", "type", "included"];
        let named = keys.into_iter().filter_map(|key| Some((key.to_owned(), app.get(key)?.clone())));
        text += &format!("  {},\n", inline(&Value::Object(named.collect())));
    }
    text += "]\n";
    for app in apps {
        let name = app["name"].as_str().unwrap();
        for (document, of) in [("app", "name"), ("appup", "app")] {
            let Some(fields) = app.get(document) else { continue };
            let mut fields: Map<_, _> = fields.as_object().unwrap().clone();
            fields.insert(of.to_owned(), app["name"].clone());
            fields.entry("version").or_insert(app["version"].clone());
            text += &format!("--- {side}/{name}/{document}.toml\n");
            text.extend(fields.iter().map(|(key, value)| format!("{key} = {}\n", inline(value))));
        }
    }
    text
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let pairs: Vec<_> = map.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}
