//! Compares the grammar in the comments of `reld.h` with the golden bytes: the names of members,
//! and the words. The tests in `golden` show that the types read and write the golden bytes.

use std::collections::BTreeSet;

use reld_wire::spec::{AutoShutdown, SupervisorSpec};
use reld_wire::supervisor::Request;
use rmpv::Value;
use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::book::Book;

/// The members whose values are words.
const WORDY: [&str; 10] =
    ["strategy", "auto_shutdown", "restart", "shutdown", "type", "how", "framing", "kind", "access", "cause"];

/// Names of members and words.
type Names = BTreeSet<String>;

/// Returns the part of the header between two texts.
fn part(from: &str, to: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../abi/reld.h");
    let header = std::fs::read_to_string(path).expect("the header lies in the tree");
    let (_, after) = header.split_once(from).unwrap_or_else(|| panic!("reld.h has no {from:?}"));
    after.split_once(to).unwrap_or_else(|| panic!("reld.h has no {to:?} after {from:?}")).0.to_owned()
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Returns the members of a grammar: the names in braces before a colon, a comma or the end.
fn members(grammar: &str) -> Names {
    let mut names = Names::new();
    let (mut depth, mut is_value, mut word) = (0, vec![false], String::new());
    for c in grammar.chars() {
        if c.is_ascii_lowercase() || c == '_' {
            word.push(c);
            continue;
        }
        let is_member = depth > 0 && !is_value[depth] && matches!(c, ':' | ',' | '}' | ']');
        if is_member && is_name(&word) {
            names.insert(word.clone());
        }
        word.clear();
        match c {
            '{' => {
                depth += 1;
                is_value.push(false);
            }
            '}' if depth > 0 => {
                depth -= 1;
                is_value.pop();
            }
            ':' => is_value[depth] = true,
            ',' => is_value[depth] = false,
            _ => {}
        }
    }
    names
}

/// Returns the words of a grammar: the names in quotes.
fn words(grammar: &str) -> Names {
    grammar.split('"').skip(1).step_by(2).filter(|word| is_name(word)).map(str::to_owned).collect()
}

/// Adds the members and words of a value to the sets.
fn collect(value: &Value, members: &mut Names, words: &mut Names) {
    match value {
        Value::Map(entries) => {
            for (key, value) in entries {
                let key = key.as_str().expect("keys are texts").to_owned();
                if let Some(word) = value.as_str().filter(|_| WORDY.contains(&key.as_str())) {
                    words.insert(word.to_owned());
                }
                collect(value, members, words);
                members.insert(key);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, members, words)),
        _ => {}
    }
}

/// The members of a pid, which the header describes in another place.
const PID: [&str; 2] = ["slot", "generation"];
const SPEC: [&str; 12] = [
    "args",
    "restart",
    "significant",
    "shutdown",
    "ms",
    "transient",
    "worker",
    "supervisor",
    "permanent",
    "temporary",
    "infinity",
    "brutal_kill",
];

/// Compares a grammar with the entries that have these prefixes, and with `others`: values without
/// an entry. `elsewhere` lists names that the header describes in another place, or that belong to
/// the app.
#[track_caller]
fn check(grammar: &str, entries: &[(&'static str, &str)], others: &[Vec<u8>], elsewhere: &[&str]) {
    let mut bodies = others.to_vec();
    for (side, prefix) in entries {
        let book = Book::of(side);
        let found: Vec<_> = book.names().filter(|name| name.starts_with(prefix)).collect();
        assert!(!found.is_empty(), "no entries {side} {prefix}");
        bodies.extend(found.into_iter().map(|name| book.bytes(name).to_vec()));
    }
    let (mut found, mut used) = (Names::new(), Names::new());
    for body in bodies {
        let value = rmpv::decode::read_value(&mut body.as_slice()).expect("it is MessagePack");
        used.extend(value.as_str().map(str::to_owned));
        collect(&value, &mut found, &mut used);
    }
    let is_here = |name: &String| !elsewhere.contains(&name.as_str());
    found.retain(is_here);
    used.retain(is_here);
    assert_eq!(members(grammar), found, "members: left reld.h, right the bytes");
    assert_eq!(words(grammar), used, "words: left reld.h, right the bytes");
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("it can be written")
}

#[test]
fn specs_and_roots_are_described_as_they_are_written() {
    let grammar = part("A pid is {slot, generation}.", "*/");
    let never = SupervisorSpec { auto_shutdown: Some(AutoShutdown::Never), ..SupervisorSpec::default() };
    let entries = [("library", "init."), ("library", "root"), ("daemon", "application.init")];
    check(&grammar, &entries, &[encode(&never)], &["port"]);
}

#[test]
fn requests_to_supervisors_are_described_as_they_are_written() {
    let grammar = part("To a supervisor, in OTP's words.", "#define RELD_REQUEST_SUPERVISOR");
    let rename = Request::RenameChild(ByteBuf::from(encode(&1)), ByteBuf::from(encode(&2)));
    let entries = [("library", "supervisor."), ("daemon", "supervisor.")];
    check(&grammar, &entries, &[encode(&rename)], &[&PID[..], &SPEC].concat());
}

#[test]
fn requests_to_ports_are_described_as_they_are_written() {
    let grammar = part("To a port, with no process", "#define RELD_REQUEST_PORT");
    check(&grammar, &[("library", "port."), ("daemon", "port."), ("daemon", "told.port")], &[], &PID);
}

#[test]
fn requests_to_tables_are_described_as_they_are_written() {
    let grammar = part("To a shared table, with no process", "#define RELD_REQUEST_TABLE");
    check(&grammar, &[("library", "table."), ("daemon", "table."), ("daemon", "told.table")], &[], &PID);
}

#[test]
fn reasons_to_end_with_are_described_as_they_are_written() {
    let grammar = part("Stops a process", "#define RELD_REQUEST_STOP");
    check(&grammar, &[("library", "stop.")], &[], &[]);
}

#[test]
fn events_of_applications_are_described_as_they_are_written() {
    let causes = ["by_hand", "node_stops", "node_restarts", "upgrade", "tree_ended"];
    let event = |name: &str| part(&format!("#define RELD_EVENT_{name} "), "\n");
    let elsewhere = [&PID[..], &causes, &["normal", "port", "host"]].concat();
    check(&event("PREP_STOP"), &[("loader", "application.prep_stop")], &[], &elsewhere);
    check(&event("CONFIG_CHANGE"), &[("daemon", "application.config_change")], &[], &elsewhere);
    check(&event("START_PHASE"), &[("daemon", "application.start_phase")], &[], &elsewhere);
}
