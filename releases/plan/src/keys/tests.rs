//! Each key of the tables is read, and each required key is missed. The readers refuse all other
//! keys with these same tables.

use super::*;
use crate::{App, Appup, FleetFile, Rel, RelupFile, Rollout};

/// Prints keys with their examples.
fn written<'a>(keys: impl IntoIterator<Item = &'a Key>, between: &str) -> String {
    let pairs = keys.into_iter().map(|key| format!("{} = {}", key.name, key.example));
    pairs.collect::<Vec<_>>().join(between)
}

/// Reads documents with the required keys of a table, without each of them, and with each optional
/// key. `read` returns the value or the mistake as text.
fn check(table: &Table, between: &str, read: impl Fn(&str) -> Result<String, String>) {
    let (required, optional): (Vec<_>, Vec<_>) = table.keys.iter().partition(|key| key.default.is_none());
    let least = written(required.iter().copied(), between);
    let plain = read(&least).unwrap_or_else(|mistake| panic!("{least}: {mistake}"));
    for missing in &required {
        let rest = required.iter().copied().filter(|key| key.name != missing.name);
        let mistake = read(&written(rest, between)).expect_err(missing.name);
        let is_keyword = INSTRUCTIONS.iter().any(|table| table.first() == missing.name);
        assert!(is_keyword || mistake.contains(&format!("`{}` is missing", missing.name)), "{mistake}");
    }
    for key in optional {
        let more = written(required.iter().copied().chain([key]), between);
        let value = read(&more).unwrap_or_else(|mistake| panic!("{more}: {mistake}"));
        assert_ne!(value, plain, "{} is read", key.name);
    }
    let mistake = read(&[&least, "nothing = 1"].join(between));
    assert!(mistake.expect_err("an unknown key").contains("unknown key `nothing`; allowed: "));
}

fn read<T: std::fmt::Debug, E: std::fmt::Display>(parsed: Result<T, E>) -> Result<String, String> {
    parsed.map(|value| format!("{value:?}")).map_err(|error| error.to_string())
}

/// Reads an appup with one instruction.
fn instruction(text: &str) -> Result<String, String> {
    let text =
        format!("app = 'till'\nversion = '0.2.0'\n[[up]]\nfrom = '0.1.0'\ninstructions = [{{ {text} }}]");
    let appup = Appup::parse("appup.toml", &text).map_err(|error| error.to_string())?;
    let mistake = appup.mistakes().next().map(ToString::to_string);
    mistake.map_or_else(|| Ok(format!("{:?}", appup.up[0].instructions[0])), Err)
}

#[test]
fn every_key_of_a_document_is_read() {
    check(&APP, "\n", |text| read(App::parse("app.toml", text)));
    check(&START_PHASE, "\n", |text| {
        read(App::parse("app.toml", &format!("name = 'a'\nversion = '1.0.0'\n[[start_phases]]\n{text}")))
    });
    check(&REL, "\n", |text| read(Rel::parse("release.toml", text)));
    check(&REL_APP, "\n", |text| {
        let head = "name = 'a'\nversion = '1.0.0'\ndaemon = '0.1.0'\n[[app]]\n";
        read(Rel::parse("release.toml", &format!("{head}{text}")))
    });
    check(&APPUP, "\n", |text| read(Appup::parse("appup.toml", text)));
    for (head, table) in [("up", APPUP_UP), ("down", APPUP_DOWN)] {
        check(&table, "\n", |text| {
            read(Appup::parse("appup.toml", &format!("app = 'a'\nversion = '1.0.0'\n[[{head}]]\n{text}")))
        });
    }
    check(&RELUP, "\n", |text| read(RelupFile::parse("relup.toml", text)));
    check(&ROLLOUT, "\n", |text| {
        if !text.contains("max_failures") {
            return read(Rollout::parse("rollout.toml", text));
        }
        // This key needs another one beside it.
        let both = Rollout::parse("rollout.toml", &format!("{text}\nmax_unavailable = 2"));
        read(both.map(|rollout| Rollout { max_unavailable: 1, ..rollout }))
    });
    check(&FLEET, "\n", |text| {
        // Each of these keys needs the other one of its pair.
        let has = |name: &str| text.contains(&format!("\n{name} = "));
        let lacks = |[one, other]: [&'static str; 2]| match (has(one), has(other)) {
            (true, false) => Some(other),
            (false, true) => Some(one),
            _ => None,
        };
        let lacking = [["cert", "key"], ["user", "password_file"]].into_iter().filter_map(lacks);
        let others: String = lacking.map(|name| format!("{name} = 'x'\n")).collect();
        read(FleetFile::parse("fleet.toml", &format!("{others}{text}")))
    });
    for (head, table) in [("up", RELUP_UP), ("down", RELUP_DOWN)] {
        check(&table, "\n", |text| {
            read(RelupFile::parse("relup.toml", &format!("version = '1.1.0'\n[[{head}]]\n{text}")))
        });
    }
}

#[test]
fn every_key_of_an_instruction_is_read() {
    let (sync_nodes, others) = INSTRUCTIONS.split_last().unwrap();
    for table in others {
        check(table, ", ", instruction);
    }
    // Its keys depend on each other: `nodes`, or `from` with `args`.
    for text in [
        "sync_nodes = 'id', nodes = ['n1']",
        "sync_nodes = 'id', from = 'a:nodes'",
        "sync_nodes = 'id', from = 'a:nodes', args = [1]",
    ] {
        assert!(instruction(text).is_ok(), "{text}");
    }
    assert_eq!(
        sync_nodes.keys.iter().map(|key| key.name).collect::<Vec<_>>(),
        ["sync_nodes", "nodes", "from", "args"]
    );
    check(&ADVANCED, ", ", |text| instruction(&format!("update = 'till', change = {{ {text} }}")));
    check(&SUSPENDED, ", ", |text| instruction(&format!("suspend = [{{ {text} }}]")));
    check(&CODE_CHANGED, ", ", |text| instruction(&format!("code_change = [{{ {text} }}]")));
    check(&UNDO, ", ", |text| instruction(&format!("apply = 'moving:shift', undo = {{ {text} }}")));
}

#[test]
fn the_examples_are_valid() {
    for Document { name, example, .. } in DOCUMENTS {
        let valid = match name {
            "app.toml" => read(App::parse(name, example)),
            "appup.toml" => {
                let appup = Appup::parse(name, example).unwrap();
                assert_eq!(appup.mistakes().count(), 0);
                read(Ok::<_, String>(appup))
            }
            "release.toml" => read(Rel::parse(name, example)),
            "relup.toml" => read(RelupFile::parse(name, example)),
            "rollout.toml" => read(Rollout::parse(name, example)),
            "fleet.toml" => read(FleetFile::parse(name, example)),
            _ => read(crate::Config::parse(name, example)),
        };
        valid.unwrap_or_else(|mistake| panic!("{name}: {mistake}"));
    }
}
