//! `relctl diff`: comparisons of releases in folders, as text and as JSON.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::process::Command;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two releases of app `a`, 1.0.0 and 2.0.0, in the folders `from` and `to`; the newer one has an
/// app `b` as well.
fn releases() -> TempDir {
    let folder = TempDir::new().unwrap();
    let newer = "type = 'temporary'\n[[app]]\nname = 'b'\nversion = '1.0.0'\n";
    for (side, vsn, more) in [("from", "1.0.0", ""), ("to", "2.0.0", newer)] {
        let rel = format!(
            "name = 's'\nversion = '{vsn}'\ndaemon = '1.0.0'\n[[app]]\nname = 'a'\nversion = '{vsn}'\n{more}"
        );
        write(&folder, &format!("{side}/releases/{vsn}/release.toml"), &rel);
        write(
            &folder,
            &format!("{side}/releases/{vsn}/config.toml"),
            &format!("[a]\nport = {}\n", vsn.len() + side.len()),
        );
        let app = format!("name = 'a'\nversion = '{vsn}'\nmodules = ['m']\n[env]\nvsn = '{vsn}'\n");
        write(&folder, &format!("{side}/lib/a-{vsn}/app.toml"), &app);
        write(&folder, &format!("{side}/lib/a-{vsn}/schema.json"), &schemas(side == "to").to_string());
    }
    write(&folder, "to/lib/b-1.0.0/app.toml", "name = 'b'\nversion = '1.0.0'\n");
    folder
}

/// A server with one more field in its newer state and one request less.
fn schemas(is_newer: bool) -> Value {
    let mut state = json!({"type": "object", "properties": {"n": {"type": "boolean"}}, "required": ["n"]});
    let mut calls = vec!["get"];
    if is_newer {
        state["properties"]["limit"] = json!({"type": "boolean"});
        state["required"] = json!(["n", "limit"]);
    } else {
        calls.push("stop");
    }
    let interface = json!({"state": state, "call": {"type": "string", "enum": calls}});
    json!({"modules": {"m": {"behaviour": "gen_server", "interface": interface}}})
}

fn write(folder: &TempDir, path: &str, text: &str) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Runs `relctl diff from to` in a folder, and returns stdout, stderr and exit code.
fn diff(folder: &TempDir, args: &[&str]) -> String {
    relctl(folder, &[&["diff", "from", "to"], args].concat())
}

/// Runs relctl in a folder, and returns stdout, stderr and exit code.
fn relctl(folder: &TempDir, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relctl"));
    let output = command.current_dir(folder.path()).args(args).output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    let err: String = err.lines().map(|line| format!("! {line}").trim_end().to_owned() + "\n").collect();
    format!("{out}{err}exit {}", output.status.code().unwrap())
}

#[test]
fn the_text_lists_changes_findings_and_a_draft() {
    let shown = diff(&releases(), &[]);
    let (seen, draft) = shown.split_once("\n--- lib/a-2.0.0/appup.toml\n").unwrap();
    assert_snapshot!(seen, @r#"
    from 1.0.0 to 2.0.0

    a 1.0.0 -> 2.0.0: changed
      type: permanent -> temporary
      m (gen_server): needs code
        up: `limit` is new and has no default
        down: `limit` is dropped: only the newer state has it
        up: call: `stop` is gone
      env
        vsn: "1.0.0" -> "2.0.0"

    b 1.0.0: added

    config.toml
        a.port: 9 -> 7

    findings
      no_appup: a: 2.0.0 has no appup.toml; start from the draft, or use restart_application, which loses the state of the app
      message_not_taken up: a, m: 2.0.0 no longer accepts a call of 1.0.0: `stop` is gone; keep reading the old form for one release
    "#);
    assert!(draft.starts_with("# A draft: ") && draft.ends_with("]\nexit 0"), "{draft}");
}

#[test]
fn the_json_holds_the_same_as_the_text() {
    let shown = diff(&releases(), &["--json"]);
    let mut shown: Value = serde_json::from_str(shown.strip_suffix("exit 0").unwrap()).unwrap();
    let draft = shown["apps"][0]["draft"].take();
    assert!(draft.as_str().unwrap().starts_with("# A draft"), "{draft}");
    let key = |key: &str, from: Value, to: Value| json!({"key": key, "from": from, "to": to});
    let m = json!({
        "module": "m", "behaviour": "gen_server", "change": "needs_code",
        "up": ["`limit` is new and has no default"],
        "down": ["`limit` is dropped: only the newer state has it"],
        "interface": ["call: `stop` is gone"],
        "interface_down": [],
    });
    let a = json!({
        "app": "a", "change": "changed", "from": "1.0.0", "to": "2.0.0", "start_type": ["permanent", "temporary"],
        "env": [key("vsn", "1.0.0".into(), "2.0.0".into())], "modules": [m], "draft": null,
    });
    let b = json!({
        "app": "b", "change": "added", "from": null, "to": "1.0.0", "start_type": null,
        "env": [], "modules": [], "draft": null,
    });
    let not_taken =
        "2.0.0 no longer accepts a call of 1.0.0: `stop` is gone; keep reading the old form for one release";
    let no_appup = "2.0.0 has no appup.toml; start from the draft, or use restart_application, which loses the state of the app";
    assert_eq!(
        shown,
        json!({
            "from": "1.0.0", "to": "2.0.0", "daemon": null, "apps": [a, b],
            "config": [key("a.port", 9.into(), 7.into())],
            "findings": [
                {"class": "no_appup", "app": "a", "module": null, "direction": null, "message": no_appup},
                {"class": "message_not_taken", "app": "a", "module": "m", "direction": "up", "message": not_taken},
            ],
            "written": [],
        })
    );
}

#[test]
fn the_exit_code_tells_ci_of_findings_and_the_output_stays_the_same() {
    let folder = releases();
    let shown = diff(&folder, &[]);
    assert_eq!(diff(&folder, &["--exit-code"]), shown.replace("exit 0", "exit 1"));
    let shown = diff(&folder, &["--json"]);
    assert_eq!(diff(&folder, &["--json", "--exit-code"]), shown.replace("exit 0", "exit 1"));
    let same = relctl(&folder, &["diff", "from", "from", "--exit-code"]);
    assert!(same.ends_with("findings: none\nexit 0"), "{same}");
}

#[test]
fn drafts_never_overwrite_a_file() {
    let folder = releases();
    let shown = diff(&folder, &["--write", "drafts"]);
    assert!(shown.ends_with("wrote drafts/a-2.0.0.appup.toml\nexit 0"), "{shown}");
    let draft = fs::read_to_string(folder.path().join("drafts/a-2.0.0.appup.toml")).unwrap();
    assert!(shown.contains(&draft));
    write(&folder, "drafts/a-2.0.0.appup.toml", "mine");
    assert_snapshot!(diff(&folder, &["--write", "drafts"]), @r"
    ! error[exists]: drafts/a-2.0.0.appup.toml already exists; nothing was written
    !
    ! hint: move it away, or choose another folder
    exit 1
    ");
    assert_eq!(fs::read_to_string(folder.path().join("drafts/a-2.0.0.appup.toml")).unwrap(), "mine");
}

#[test]
fn a_broken_schema_json_is_refused_with_its_place() {
    let folder = releases();
    write(&folder, "to/lib/a-2.0.0/schema.json", "{\n  \"modules\": 3\n}\n");
    let shown = diff(&folder, &[]);
    assert!(shown.contains("! error[error_reading]: to/lib/a-2.0.0/schema.json:2:"), "{shown}");
    assert!(shown.ends_with("exit 1"), "{shown}");
}

#[test]
fn a_release_packed_without_schemas_is_compared_by_hand() {
    let folder = releases();
    fs::remove_file(folder.path().join("from/lib/a-1.0.0/schema.json")).unwrap();
    let shown = diff(&folder, &[]);
    assert!(
        shown.contains("  m (gen_server): compare by hand\n    up: a version was packed without schemas"),
        "{shown}"
    );
}
