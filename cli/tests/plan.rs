//! `relctl plan`: plans between releases in folders and tarballs, and errors in their documents.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two releases of app `a`, 1.0.0 and 2.0.0, in the folders `from` and `to`, with an appup for up
/// only.
fn releases() -> TempDir {
    let folder = TempDir::new().unwrap();
    for (side, vsn) in [("from", "1.0.0"), ("to", "2.0.0")] {
        let app = format!("lib/a-{vsn}");
        let rel = format!(
            "name = 's'\nversion = '{vsn}'\ndaemon = '1.0.0'\n[[app]]\nname = 'a'\nversion = '{vsn}'\n"
        );
        write(&folder, &format!("{side}/releases/{vsn}/release.toml"), &rel);
        write(
            &folder,
            &format!("{side}/{app}/app.toml"),
            &format!("name = 'a'\nversion = '{vsn}'\nmodules = ['m']\n"),
        );
    }
    let entry = "[[up]]\nfrom = '1.0.0'\ninstructions = [{ load_module = 'm' }]\n";
    write(&folder, "to/lib/a-2.0.0/appup.toml", &format!("app = 'a'\nversion = '2.0.0'\n{entry}"));
    folder
}

fn write(folder: &TempDir, path: &str, text: &str) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Runs `relctl plan from to` in a folder, and returns stdout, stderr and exit code.
fn plan(folder: &Path, args: &[&str]) -> String {
    plan_of(folder, ["from", "to"], args)
}

fn plan_of(folder: &Path, releases: [&str; 2], args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relctl"));
    let output = command.current_dir(folder).arg("plan").args(releases).args(args).output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    let err: String = err.lines().map(|line| format!("! {line}").trim_end().to_owned() + "\n").collect();
    format!("{out}{err}exit {}", output.status.code().unwrap())
}

/// Runs relctl in a folder with a file as stdin, and returns stdout and exit code.
fn with_stdin(folder: &Path, args: &[&str], stdin: &Path) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relctl"));
    let output =
        command.current_dir(folder).args(args).stdin(fs::File::open(stdin).unwrap()).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

/// Packs a folder as `tar czf` does: without a manifest.
fn pack(folder: &TempDir, side: &str) -> PathBuf {
    let path = folder.path().join(format!("{side}.tar.gz"));
    let gzip = flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    tar.append_dir_all(".", folder.path().join(side)).unwrap();
    tar.into_inner().unwrap().finish().unwrap();
    path
}

/// Returns the plan of both directions as JSON.
#[track_caller]
fn group(folder: &TempDir) -> Value {
    let shown = plan(folder.path(), &["--window", "group", "--json"]);
    serde_json::from_str(shown.strip_suffix("exit 0").unwrap_or_else(|| panic!("{shown}"))).unwrap()
}

/// Checks the error classes of both directions.
#[track_caller]
fn check(path: &str, text: &str, classes: [&str; 2]) {
    let folder = releases();
    write(&folder, path, text);
    let shown = group(&folder);
    assert_eq!(json!([shown["up"]["error"]["class"], shown["down"]["error"]["class"]]), json!(classes));
}

#[test]
fn both_directions_between_two_folders_are_shown() {
    let shown = group(&releases());
    assert_eq!(
        shown["up"],
        json!({ "script": [
            { "op": "load_object_code", "app": "a", "vsn": "2.0.0", "modules": ["m"] },
            { "op": "point_of_no_return" },
            { "op": "load", "module": "m", "pre_purge": "brutal", "post_purge": "brutal" },
        ], "warnings": [] })
    );
    assert_eq!(shown["down"]["error"]["class"], "no_relup");
}

#[test]
fn both_directions_group_by_group_are_numbered_lists() {
    let folder = releases();
    let appup = "app = 'a'\nversion = '2.0.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = [{ update = 'n' }]\n\
                 [[down]]\nto = '1.0.0'\ninstructions = [\n\
                 { update = 'm', change = { advanced = { n = 1 } }, timeout = '2s', post_purge = 'soft' },\n\
                 { apply = 'm:f', args = ['x'] }, { stop = ['m'] }, { start = ['m'] }, { delete_module = 'k' },\n\
                 { sync_nodes = 'here', nodes = ['n1'] }, 'restart_daemon']\n";
    write(&folder, "to/lib/a-2.0.0/appup.toml", appup);
    assert_snapshot!(plan(folder.path(), &["--window", "group"]), @r#"
    up: error[no_such_module]: no app of the target release has a module n
    down from 2.0.0 to 1.0.0, group by group
      1. load_object_code a-1.0.0 [m]  -- appup of a
      2. point_of_no_return  -- the point of no return
      3. suspend [m (2000 ms)]  -- appup of a
      4. code_change down [m (extra { n = 1 })]  -- appup of a
      5. load m, post_purge soft  -- appup of a
      6. resume [m]  -- appup of a
      7. apply m:f("x")  -- appup of a; NOT UNDONE by a rollback
      8. stop [m]  -- appup of a; IRREVERSIBLE
      9. start [m]  -- appup of a; a failure reverts the upgrade
     10. remove k  -- appup of a; IRREVERSIBLE
     11. purge [k]  -- appup of a; IRREVERSIBLE
     12. sync_nodes "here" with [n1]  -- appup of a
     13. restart_daemon  -- appup of a; the node RESTARTS
    exit 0
    "#);
}

#[test]
fn a_release_may_be_in_a_plain_tarball_or_beside_others_in_a_folder() {
    let folder = releases();
    let expected = plan(folder.path(), &[]);
    pack(&folder, "from");
    pack(&folder, "to");
    for sides in [["from.tar.gz", "to.tar.gz"], ["from", "to.tar.gz"], ["from.tar.gz", "to"]] {
        assert_eq!(plan_of(folder.path(), sides, &[]), expected, "{sides:?}");
    }
    for (path, text) in texts(&folder.path().join("from")) {
        write(&folder, &format!("to/{path}"), &text);
    }
    assert_eq!(plan_of(folder.path(), ["to/releases/1.0.0", "to/releases/2.0.0"], &[]), expected);
    assert_eq!(
        plan_of(&folder.path().join("to"), ["releases/1.0.0", "../to/releases/2.0.0/"], &[]),
        expected
    );
}

/// Returns the documents of a folder with their paths.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let paths = ["releases/1.0.0/release.toml", "lib/a-1.0.0/app.toml"];
    paths.map(|path| (path.to_owned(), fs::read_to_string(folder.join(path)).unwrap())).into()
}

#[test]
fn a_configuration_that_cannot_be_read_is_the_answer_of_both_directions() {
    let folder = releases();
    write(&folder, "to/releases/2.0.0/config.toml", "[a]\nsince = 2026-11-28\n");
    assert!(plan(folder.path(), &[]).ends_with("exit 0"));
    check("to/releases/2.0.0/config.toml", "a = 1\n", ["error_reading", "error_reading"]);
    write(&folder, "to/releases/2.0.0/config.toml", "[a]\nport = nan\n");
    assert_snapshot!(plan(folder.path(), &[]), @r"
    ! error[error_reading]: to/releases/2.0.0/config.toml:2:8: this number cannot be represented as data
    !   2 | port = nan
    !     |        ^^^
    exit 1
    ");
}

#[test]
fn a_relup_can_include_a_restart_of_the_daemon() {
    let folder = releases();
    let up = plan(folder.path(), &["--window", "group", "--restart-daemon"]);
    assert!(up.contains("  4. restart_daemon  -- a restart was requested; the node RESTARTS\n"), "{up}");
    assert_snapshot!(plan(folder.path(), &["--restart-daemon"]), @r"
    ! error[usage]: --restart-daemon needs --relup or --window group; for an upgrade, use --mode restart
    exit 2
    ");
}

#[test]
fn a_plan_to_the_same_release_does_nothing() {
    assert_snapshot!(plan_of(releases().path(), ["to", "to"], &[]), @r"
    up from 2.0.0 to 2.0.0
      1. switch  -- the point of no return
    exit 0
    ");
}

#[test]
fn one_window_between_two_folders_is_a_numbered_list() {
    assert_snapshot!(plan(releases().path(), &[]), @r"
    up from 1.0.0 to 2.0.0
      1. load_object_code a-2.0.0 [m]  -- appup of a
      2. load m of a-2.0.0  -- appup of a
      3. switch  -- the point of no return
    exit 0
    ");
}

#[test]
fn the_relup_of_the_appups_can_be_reviewed_and_packed_with_the_release() {
    let folder = releases();
    assert_snapshot!(plan(folder.path(), &["--relup"]), @r"
    ! error[no_relup]: the appup of a-2.0.0 has no entry to go from 2.0.0 to 1.0.0
    exit 1
    ");
    let both = "app = 'a'\nversion = '2.0.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = [{ load_module = 'm' }]\n\
                [[down]]\nto = '1.0.0'\ninstructions = [{ update = 'm' }]\n";
    write(&folder, "to/lib/a-2.0.0/appup.toml", both);
    assert_snapshot!(plan(folder.path(), &["--relup"]), @r#"
    version = "2.0.0"

    [[up]]
    from = "1.0.0"
    instructions = [
      { load_object_code = ["m"], app = "a", vsn = "2.0.0" },
      "point_of_no_return",
      { load = "m" },
    ]

    [[down]]
    to = "1.0.0"
    instructions = [
      { load_object_code = ["m"], app = "a", vsn = "1.0.0" },
      "point_of_no_return",
      { suspend = ["m"] },
      { load = "m" },
      { resume = ["m"] },
    ]
    exit 0
    "#);
    let relup = plan(folder.path(), &["--relup"]);
    write(&folder, "to/releases/2.0.0/relup.toml", relup.strip_suffix("exit 0").unwrap());
    assert_snapshot!(plan(folder.path(), &[]), @r"
    up from 1.0.0 to 2.0.0
      1. load_object_code a-2.0.0 [m]  -- relup
      2. load m of a-2.0.0  -- relup
      3. switch  -- the point of no return
    exit 0
    ");
    write(&folder, "to/releases/2.0.0/relup.toml", "version = 2");
    assert_snapshot!(plan(folder.path(), &[]), @r"
    ! error[error_reading]: to/releases/2.0.0/relup.toml:1:11: expected a string, found an integer
    !   1 | version = 2
    !     |           ^
    exit 1
    ");
}

#[test]
fn a_mistake_in_a_document_is_the_answer_of_both_directions() {
    let (app, appup) = ("to/lib/a-2.0.0/app.toml", "to/lib/a-2.0.0/appup.toml");
    check(app, "nonsense", ["error_reading"; 2]);
    check(app, "name = 'a'\nversion = '2.0.0'\nmodule = ['m']\n", ["error_reading"; 2]);
    check(app, "name = 'a'\nversion = '2.0.1'\n", ["error_reading"; 2]);
    check(appup, "app = 'a'\nversion = '2.0.0'\nups = []\n", ["file_problem"; 2]);
    check("from/lib/a-1.0.0/app.toml", "name = 3", ["error_reading"; 2]);
    check("to/releases/2.0.0/release.toml", "nonsense", ["error_reading"; 2]);
    let rel = "name = 's'\nversion = '2.0.0'\ndaemon = '1.0.0'\n[[app]]\nname = 'a'\nversion = '2.0.0'\ntype = 'x'\n";
    check("to/releases/2.0.0/release.toml", rel, ["illegal_applications"; 2]);
}

#[test]
fn a_document_that_is_missing_is_the_answer_as_well() {
    let folder = releases();
    fs::remove_file(folder.path().join("to/lib/a-2.0.0/appup.toml")).unwrap();
    assert_eq!(group(&folder)["up"]["error"]["class"], "file_problem");
    fs::remove_dir_all(folder.path().join("to/lib/a-2.0.0")).unwrap();
    assert_eq!(group(&folder)["up"]["error"]["class"], "error_reading");
    assert_snapshot!(plan(folder.path(), &[]), @r"
    ! error[error_reading]: the release needs a-2.0.0, whose app.toml was not found
    !
    ! hint: the tarball may leave out an app that the node has: `relctl upgrade FILE --dry-run` plans on the node
    exit 1
    ");
}

#[test]
fn an_appup_of_another_version_is_a_warning() {
    let folder = releases();
    let appup = "app = 'a'\nversion = '2.1.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = []\n";
    write(&folder, "to/lib/a-2.0.0/appup.toml", appup);
    assert_eq!(group(&folder)["up"]["warnings"][0]["class"], "bad_vsn");
}

#[test]
fn a_folder_without_one_release_is_refused() {
    let folder = releases();
    write(&folder, "to/releases/2.1.0/release.toml", "");
    assert_snapshot!(plan(folder.path(), &[]), @r"
    ! error[no_document]: to/releases contains more than one release
    !
    ! hint: name one of them, such as to/releases/2.0.0
    exit 1
    ");
    fs::remove_dir_all(folder.path().join("to/releases/2.1.0")).unwrap();
    fs::remove_dir_all(folder.path().join("to/releases/2.0.0")).unwrap();
    assert_snapshot!(plan(folder.path(), &["--window", "group"]), @r"
    ! error[no_document]: to/releases/VSN/release.toml is missing
    exit 1
    ");
    fs::remove_dir_all(folder.path().join("to")).unwrap();
    assert_snapshot!(plan(folder.path(), &["--window", "group"]), @r"
    ! error[io]: cannot open to
    !   caused by: No such file or directory (os error 2)
    exit 1
    ");
}

#[test]
fn one_of_the_releases_may_come_from_stdin() {
    let folder = releases();
    let [from, to] = ["from", "to"].map(|side| pack(&folder, side));
    for command in ["plan", "diff"] {
        let named = with_stdin(folder.path(), &[command, "from", "to"], Path::new("/dev/null"));
        assert_eq!(named.1, 0);
        assert_eq!(with_stdin(folder.path(), &[command, "-", "to"], &from), named);
        assert_eq!(with_stdin(folder.path(), &[command, "from", "-"], &to), named);
        assert_eq!(with_stdin(folder.path(), &[command, "-", "-"], &from).1, 2);
        assert_eq!(with_stdin(folder.path(), &[command, "-", "to"], Path::new("/dev/null")).1, 1);
    }
}

#[test]
fn stdin_is_stored_in_a_folder_that_does_not_outlive_the_command() {
    let folder = releases();
    let (from, scratch) = (pack(&folder, "from"), TempDir::new().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_relctl"));
    command.current_dir(folder.path()).args(["plan", "-", "to"]).env("TMPDIR", scratch.path());
    let output = command.stdin(fs::File::open(&from).unwrap()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    // Without room for it, the command says what it could not do.
    let output = command
        .env("TMPDIR", scratch.path().join("missing"))
        .stdin(fs::File::open(&from).unwrap())
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error[io]: cannot store stdin in a temporary folder"), "{message}");
    assert_eq!(output.status.code(), Some(1));
}
