//! `relctl dev`: saves of an author reach a running node (S150 to S152).

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use reld_tests::{Node, Run, assert_contains, build_here, folder, workshop};
use serde_json::{Value, json};

/// Time limit for one round.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `relctl dev --json` of the app `till`. Most tests use an app in C, because its builds
/// are short.
struct Dev {
    till: PathBuf,
    /// The source file of the app.
    source: PathBuf,
    command: Child,
    lines: Receiver<String>,
    socket: String,
}

/// Writes the app `till` into a folder.
fn new_app(home: &Path, lang: &str) {
    let sdk = folder("daemon").to_string_lossy().into_owned();
    let new = ["new", "till", "--lang", lang, "--sdk", &sdk];
    Run::of(Command::new(Node::relctl_program()).current_dir(home).args(new)).expect(0);
}

/// Writes a crate beside the app, and lets the app in Rust depend on it.
fn money(home: &Path) {
    let package = "[package]\nname = \"money\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::create_dir_all(home.join("money/src")).expect("a folder can be made");
    fs::write(home.join("money/Cargo.toml"), package).expect("it can be written");
    fs::write(home.join("money/src/lib.rs"), "pub const FACTOR: u64 = 10;\n").expect("it can be written");
    let cargo_toml = home.join("till/Cargo.toml");
    let text = fs::read_to_string(&cargo_toml).expect("it is there");
    let with_money = text.replace("[dependencies]\n", "[dependencies]\nmoney = { path = \"../money\" }\n");
    fs::write(cargo_toml, with_money).expect("it can be written");
}

impl Dev {
    /// Writes an app in C, and starts the command.
    fn start(home: &Path, options: &[&str]) -> Self {
        new_app(home, "c");
        Self::of(home, "till.c", options)
    }

    /// Starts the command for a written app, and waits until the release is booted.
    fn of(home: &Path, source: &str, options: &[&str]) -> Self {
        let till = home.join("till");
        let errors = File::create(home.join("errors")).expect("a file can be made");
        let mut command = Command::new(Node::relctl_program());
        build_here(&mut command).current_dir(&till);
        command.args(["dev", "release.toml", "--apps", ".", "--json"]).args(options);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn();
        let mut command = command.expect("relctl can be run");
        let stdout = command.stdout.take().expect("stdout is a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut dev = Self { source: till.join(source), till, command, lines, socket: String::new() };
        dev.socket = dev.line("started")["socket"].as_str().expect("a path").to_owned();
        dev.line("booted");
        dev
    }

    /// Waits for the next line, which must have this outcome.
    #[track_caller]
    fn line(&self, outcome: &str) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line comes in time");
        let line: Value = serde_json::from_str(&line).expect("a line is a document");
        assert_eq!(line["outcome"], outcome, "{line}\n{}", self.errors());
        line
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.till.with_file_name("errors")).expect("it is there")
    }

    /// Saves the source of the app with one text replaced by another.
    #[track_caller]
    fn save(&self, old: &str, new: &str) {
        self.save_all(&[(old, new)]);
    }

    #[track_caller]
    fn save_all(&self, replacements: &[(&str, &str)]) {
        let mut text = fs::read_to_string(&self.source).expect("it is there");
        for (old, new) in replacements {
            assert!(text.contains(old), "no {old:?} in {text}");
            text = text.replace(old, new);
        }
        fs::write(&self.source, text).expect("it can be written");
    }

    /// Runs relctl against the node and reads its JSON.
    #[track_caller]
    fn ask(&self, args: &[&str]) -> Value {
        let mut relctl = Command::new(Node::relctl_program());
        Run::of(relctl.env("RELD_SOCKET", &self.socket).arg("--json").args(args)).expect(0).json()
    }

    #[track_caller]
    fn call(&self, request: &str) -> Value {
        self.ask(&["call", "till_server", request])["reply"].clone()
    }

    #[track_caller]
    fn pid(&self) -> Value {
        self.ask(&["proc", "till_server"])["pid"].clone()
    }

    /// Ends the command as `kill` does. It must stop its node and remove the folder.
    #[track_caller]
    fn end(mut self) {
        Run::of(Command::new("kill").args(["-TERM", &self.command.id().to_string()])).expect(0);
        assert!(self.command.wait().expect("it ends").success(), "{}", self.errors());
        let node = Path::new(&self.socket).parent().expect("a socket lies in a folder");
        assert!(!node.parent().expect("a node lies in a folder").exists(), "nothing is left");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // The test has failed, or the command has ended.
        let _ = self.command.kill();
        let _ = self.command.wait();
    }
}

#[test]
fn s150_a_save_reaches_the_processes_and_the_old_code_runs_on_if_the_new_does_not_fit() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let dev = Dev::start(home.path(), &[]);
    assert_eq!(dev.call(r#"{"add": 5}"#), 5);
    let pid = dev.pid();

    dev.save("+= add", "+= 10 * add");
    let line = dev.line("reloaded");
    assert_eq!([&line["app"], &line["kept"], &line["anew"]], [&json!("till"), &json!(3), &json!(0)]);
    assert_eq!([dev.call(r#"{"add": 1}"#), dev.pid()], [json!(15), pid.clone()]);

    // S151
    dev.save("10 * add", "10 * addd");
    dev.line("failed");
    assert_contains(&dev.errors(), &["addd", "undeclared"]);
    assert_eq!(dev.call(r#"{"add": 1}"#), 25);
    dev.save("10 * addd", "100 * add");
    dev.line("reloaded");
    assert_eq!(dev.call(r#"{"add": 1}"#), 125);

    // S152
    dev.save("\"sum\"", "\"total\"");
    let line = dev.line("kept_old");
    assert_contains(&line["reasons"].to_string(), &["till_server", "the state is not {sum: n}"]);
    assert_eq!([dev.call("sum"), dev.pid()], [json!(125), pid]);
    dev.save("\"total\"", "\"sum\"");
    dev.line("unchanged");
    dev.end();
}

#[test]
fn s152_processes_start_anew_with_restart_and_no_round_leaves_a_library() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let dev = Dev::start(home.path(), &["--state", "restart"]);
    dev.call(r#"{"add": 5}"#);
    let pid = dev.pid();
    let mut sum = "+= add".to_owned();
    for factor in 2..=6 {
        let new = format!("+= {factor} * add");
        dev.save(&sum, &new);
        assert_eq!(dev.line("reloaded")["kept"], 3);
        sum = new;
    }
    assert_eq!([dev.call("sum"), dev.pid()], [json!(5), pid]);

    dev.save("\"sum\"", "\"total\"");
    let line = dev.line("reloaded");
    assert_eq!([&line["kept"], &line["anew"]], [2, 1], "{line}");
    assert_contains(&line["reasons"].to_string(), &["till_server", "the state is not {sum: n}"]);
    assert_eq!(dev.call("total"), 0);
    let code = dev.ask(&["code"]);
    assert_eq!(code["residents"], json!([]), "{code}");
    dev.end();
}

#[test]
fn s150_s152_in_rust_a_field_without_a_default_is_named_and_the_option_decides() {
    let home = workshop("dev");
    new_app(&home, "rust");
    money(&home);
    // The test uses no network, so the app takes the versions of the dependencies from here.
    fs::copy(folder("Cargo.lock"), home.join("till/Cargo.lock")).expect("a file can be copied");
    let dev = Dev::of(&home, "src/lib.rs", &[]);
    assert_eq!(dev.call(r#"{"add": 5}"#), 5);
    let pid = dev.pid();
    dev.save("self.sum += number", "self.sum += money::FACTOR * number");
    assert_eq!(dev.line("reloaded")["kept"], 3);
    assert_eq!([dev.call(r#"{"add": 1}"#), dev.pid()], [json!(15), pid.clone()]);

    dev.save_all(&[("sum: u64,", "sum: u64,\n    rate: u64,"), ("sum: 0 }", "sum: 0, rate: 0 }")]);
    let reasons = dev.line("kept_old")["reasons"].to_string();
    assert_contains(&reasons, &["till_server", "missing field `rate`"]);
    assert_eq!([dev.call("\"sum\""), dev.pid()], [json!(15), pid.clone()]);
    dev.save("    rate: u64,", "    #[serde(default)]\n    rate: u64,");
    assert_eq!(dev.line("reloaded")["kept"], 3);
    assert_eq!([dev.call("\"sum\""), dev.pid()], [json!(15), pid.clone()]);

    // The path dependency is outside of the folder of the apps.
    let factor = |number: u64| format!("pub const FACTOR: u64 = {number};\n");
    fs::write(home.join("money/src/lib.rs"), factor(100)).expect("it can be written");
    assert_eq!(dev.line("reloaded")["kept"], 3);
    assert_eq!([dev.call(r#"{"add": 1}"#), dev.pid()], [json!(115), pid]);
    dev.end();

    let dev = Dev::of(&home, "src/lib.rs", &["--state", "restart"]);
    dev.call(r#"{"add": 1}"#);
    dev.save_all(&[("    rate: u64,", "    rate: u64,\n    tax: u64,"), ("rate: 0 }", "rate: 0, tax: 0 }")]);
    let line = dev.line("reloaded");
    assert_eq!([&line["kept"], &line["anew"]], [2, 1], "{line}");
    assert_contains(&line["reasons"].to_string(), &["till_server", "missing field `tax`"]);
    assert_eq!(dev.call("\"sum\""), 0);
    dev.end();
}
