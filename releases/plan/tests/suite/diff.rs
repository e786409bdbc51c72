//! Comparing two releases: schemas field by field, drafts as text, findings, and properties of
//! every draft.

use std::collections::BTreeMap;

use proptest::prelude::*;
use reld_plan::{
    AppDocs, Appup, Config, Diff, Mode, ModuleChange, PackedRelease, Rel, Release, Schemas, Written, diff,
    plan_direction,
};
use serde_json::{Value, json};

/// One version of the app `a`: major version, modules with their schemas, and its appup.
fn version(major: u64, modules: &Value, appup: Option<&str>) -> PackedRelease {
    let names: Vec<_> = modules.as_object().unwrap().keys().collect();
    let rel = format!(
        "name = 'shop'\nversion = '{major}.0.0'\ndaemon = '1.0.0'\n[[app]]\nname = 'a'\nversion = '{major}.0.0'"
    );
    let text =
        format!("name = 'a'\nversion = '{major}.0.0'\nmodules = {}\nregistered = ['sup']", json!(names));
    let docs = AppDocs::parse(("app.toml", &text), appup.map(|text| ("appup.toml", text))).unwrap();
    let schemas = Schemas::parse("schema.json", &json!({ "modules": modules }).to_string()).unwrap();
    let docs = docs.with_schemas(schemas);
    PackedRelease {
        release: Release::new(Rel::parse("release.toml", &rel).unwrap(), [docs]).unwrap(),
        config: Config::default(),
        libraries: BTreeMap::new(),
    }
}

fn compared(old: &Value, new: &Value, appup: Option<&str>) -> Diff {
    diff(&version(1, old, None), &version(2, new, appup))
}

fn server(interface: &Value) -> Value {
    json!({ "behaviour": "gen_server", "interface": interface })
}

fn supervisor(children: &Value) -> Value {
    let spec = json!({"strategy": "one_for_one", "intensity": 1, "period_ms": 5000, "children": children});
    json!({ "behaviour": "supervisor", "interface": { "supervisor": spec } })
}

fn child(id: &str, module: &str, args: &Value) -> Value {
    json!({"id": id, "module": module, "args": args, "restart": "permanent", "shutdown": {"ms": 5000}, "type": "worker"})
}

/// A struct: `"name"` is a required number, `"name?"` has a default.
fn fields(names: &[&str]) -> Value {
    let number = json!({"type": "integer", "format": "uint64", "minimum": 0});
    let properties: serde_json::Map<_, _> =
        names.iter().map(|name| (name.trim_end_matches('?').to_owned(), number.clone())).collect();
    let required: Vec<_> = names.iter().filter(|name| !name.ends_with('?')).collect();
    json!({ "title": "State", "type": "object", "properties": properties, "required": required })
}

/// Compares two states; the reasons are those of the way up.
#[track_caller]
fn check(old: Value, new: Value, change: ModuleChange, reasons: &[&str]) {
    check_dropping(old, new, &[], change, reasons);
}

#[track_caller]
fn check_dropping(old: Value, new: Value, dropped: &[&str], change: ModuleChange, reasons: &[&str]) {
    let diff = compared(
        &json!({ "m": server(&json!({ "state": old })) }),
        &json!({ "m": server(&json!({ "state": new, "dropped": dropped })) }),
        None,
    );
    let module = &diff.apps[0].modules[0];
    assert_eq!(
        (module.change, module.up.iter().map(String::as_str).collect::<Vec<_>>()),
        (change, reasons.to_vec())
    );
}

fn of(field: Value) -> Value {
    json!({"type": "object", "properties": {"f": field}, "required": ["f"]})
}

fn integer(format: &str) -> Value {
    of(json!({"type": "integer", "format": format}))
}

use ModuleChange::{Additive, NeedsCode, Unchanged};

#[test]
fn fields_that_come_and_go() {
    check(fields(&["n"]), fields(&["n"]), Unchanged, &[]);
    check(fields(&["n"]), fields(&["n", "m?"]), Additive, &["`m` is new, with a default"]);
    check(fields(&["n"]), fields(&["n", "m"]), NeedsCode, &["`m` is new and has no default"]);
    check(fields(&["n", "m"]), fields(&["n"]), NeedsCode, &["`m` is gone, and not declared in DROPPED"]);
    check_dropping(
        fields(&["n", "m"]),
        fields(&["n"]),
        &["m"],
        Additive,
        &["`m` is gone, and declared in DROPPED"],
    );
    check(fields(&["n?"]), fields(&["n"]), NeedsCode, &["`n` could be absent, and has no default now"]);
    check(fields(&["n"]), fields(&["n?"]), Unchanged, &[]);
    // A rename: the schema does not show serde's alias.
    let both = ["`old` is gone, and not declared in DROPPED", "`new` is new and has no default"];
    check(fields(&["old"]), fields(&["new"]), NeedsCode, &both);
    let (old, new) = (of(fields(&["a"])), of(fields(&["b?"])));
    let nested = ["`f.a` is gone, and declared in DROPPED", "`f.b` is new, with a default"];
    check_dropping(old, new, &["f.a"], Additive, &nested);
}

#[test]
fn annotations_are_ignored() {
    let mut described = fields(&["n"]);
    described["description"] = json!("Words.");
    described["properties"]["n"]["description"] = json!("More words.");
    check(fields(&["n"]), described, Unchanged, &[]);
}

#[test]
fn types_that_change() {
    check(integer("uint32"), integer("uint64"), Additive, &["`f` was integer (uint32), is integer (uint64)"]);
    check(
        integer("uint64"),
        integer("uint32"),
        NeedsCode,
        &["`f` was integer (uint64), is integer (uint32)"],
    );
    check(integer("int32"), integer("uint32"), NeedsCode, &["`f` was integer (int32), is integer (uint32)"]);
    let text = || of(json!({"type": "string"}));
    check(integer("uint8"), text(), NeedsCode, &["`f` was integer (uint8), is string"]);
    check(text(), of(json!(true)), Unchanged, &[]);
    let pattern = of(json!({"type": "string", "pattern": "^a"}));
    check(text(), pattern, NeedsCode, &["`f` differs in `pattern`"]);
    let list = |of: Value| self::of(json!({"type": "array", "items": of}));
    check(list(fields(&["a"])), list(fields(&["a", "b?"])), Additive, &["`f.[].b` is new, with a default"]);
    let pair = |n: usize| {
        of(
            json!({"type": "array", "prefixItems": vec![json!({"type": "null"}); n], "minItems": n, "maxItems": n}),
        )
    };
    check(pair(2), pair(3), NeedsCode, &["`f` has another number of items"]);
    let map = |of: Value| self::of(json!({"type": "object", "additionalProperties": of}));
    check(
        map(json!({"type": "string"})),
        map(json!({"type": "boolean"})),
        NeedsCode,
        &["`f.*` was string, is boolean"],
    );
}

/// The SDK tests the notation of `DROPPED`, in its `schema/agreement.rs`.
#[test]
fn places_cover_all_items_and_entries_and_are_reported_once() {
    let pair = |names: &[&str]| {
        of(
            json!({"type": "array", "prefixItems": [fields(names), fields(names)], "minItems": 2, "maxItems": 2}),
        )
    };
    let message = "`f.[].b` is gone, and not declared in DROPPED";
    check(pair(&["a", "b"]), pair(&["a"]), NeedsCode, &[message]);
    check_dropping(
        pair(&["a", "b"]),
        pair(&["a"]),
        &["f.[].b"],
        Additive,
        &["`f.[].b` is gone, and declared in DROPPED"],
    );

    let message = "`f.*.b` is gone, and not declared in DROPPED";
    let by_number = |pattern: &str, names: &[&str]| {
        of(
            json!({"type": "object", "patternProperties": {pattern: fields(names)}, "additionalProperties": false}),
        )
    };
    check(by_number("^\\d+$", &["a", "b"]), by_number("^\\d+$", &["a"]), NeedsCode, &[message]);
    check(
        by_number("^\\d+$", &["a"]),
        by_number("^-?\\d+$", &["a"]),
        NeedsCode,
        &["`f` has keys of another kind"],
    );
    let by_word = |words: &[&str], names: &[&str]| {
        let words: serde_json::Map<_, _> =
            words.iter().map(|word| ((*word).to_owned(), fields(names))).collect();
        of(json!({"type": "object", "properties": words, "additionalProperties": false}))
    };
    check(by_word(&["on", "off"], &["a", "b"]), by_word(&["on", "off"], &["a"]), NeedsCode, &[message]);
    check(
        by_word(&["on", "off"], &["a"]),
        by_word(&["on"], &["a"]),
        NeedsCode,
        &["`f.off` is gone, and unknown fields are denied"],
    );
    let by_text = |names: &[&str]| of(json!({"type": "object", "additionalProperties": fields(names)}));
    check(by_text(&["a", "b"]), by_text(&["a"]), NeedsCode, &[message]);
    check(by_word(&["on", "off"], &["a", "b"]), by_text(&["a"]), NeedsCode, &[message]);
    check(by_text(&["a"]), by_number("^\\d+$", &["a"]), NeedsCode, &["`f` has keys of another kind"]);
    check(
        by_text(&["a"]),
        of(fields(&["a?"])),
        NeedsCode,
        &["`f.a` is new, with a default", "`f` allowed any key, and now allows only its fields"],
    );
}

#[test]
fn a_struct_that_denies_unknown_fields_accepts_none_even_if_declared_dropped() {
    let mut closed = fields(&["a"]);
    closed["additionalProperties"] = json!(false);
    check_dropping(
        fields(&["a", "b"]),
        closed.clone(),
        &["b"],
        NeedsCode,
        &["`b` is gone, and unknown fields are denied"],
    );
    let message = |of: Value| json!({ "m": server(&json!({ "state": {"type": "null"}, "call": of })) });
    let diff = compared(&message(fields(&["a", "b"])), &message(closed), None);
    assert_eq!(diff.apps[0].modules[0].interface, ["call: `b` is gone, and unknown fields are denied"]);
}

#[test]
fn options() {
    let plain = || json!({"type": "string"});
    let option = || json!({"type": ["string", "null"]});
    check(of(plain()), of(option()), Additive, &["null is new in `f`"]);
    check(of(option()), of(plain()), NeedsCode, &["null is gone in `f`"]);
    let by_reference = |fields: &[&str]| {
        let field = json!({"anyOf": [{"$ref": "#/$defs/From"}, {"type": "null"}]});
        json!({"type": "object", "properties": {"f": field}, "$defs": {"From": self::fields(fields)}})
    };
    check(by_reference(&["a"]), by_reference(&["a"]), Unchanged, &[]);
    check(by_reference(&["a"]), by_reference(&["a", "b"]), NeedsCode, &["`f.b` is new and has no default"]);
}

#[test]
fn enums() {
    let word = |words: &[&str]| of(json!({"type": "string", "enum": words}));
    check(word(&["on", "off"]), word(&["off", "on"]), Unchanged, &[]);
    check(word(&["on"]), word(&["on", "off"]), Additive, &["`off` is new in `f`"]);
    check(word(&["on", "off"]), word(&["on"]), NeedsCode, &["`off` is gone in `f`"]);
    check(word(&["on", "off"]), of(json!({"type": "string"})), Additive, &["string is new in `f`"]);
    let variant = |name: &str, of: Value| json!({"type": "object", "properties": {name: of}, "required": [name], "additionalProperties": false});
    let data = |names: &[&str]| {
        of(json!({"oneOf": [{"type": "string", "const": "idle"}, variant("busy", fields(names))]}))
    };
    check(data(&["n"]), data(&["n"]), Unchanged, &[]);
    check(data(&["n"]), data(&["n", "m"]), NeedsCode, &["`f.busy.m` is new and has no default"]);
    let tagged = |tag: &str| json!({"type": "object", "properties": {"kind": {"type": "string", "const": tag}}, "required": ["kind"]});
    let old = of(json!({"oneOf": [tagged("a"), tagged("b")]}));
    check(old, of(json!({"oneOf": [tagged("a")]})), NeedsCode, &["`kind = \"b\"` is gone in `f`"]);
}

#[test]
fn recursive_types_are_compared_completely() {
    let tree = |name: &str| {
        let next = json!({"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]});
        let node = json!({"type": "object", "properties": {name: {"type": "null"}, "next": next}});
        json!({"$ref": "#/$defs/Tree", "$defs": {"Tree": node}})
    };
    check(tree("a"), tree("a"), Unchanged, &[]);
    check(
        tree("a"),
        tree("b"),
        NeedsCode,
        &[
            "`a` is gone, and not declared in DROPPED",
            "`b` is new, with a default",
            "`next` is recursive: fields that are gone there need code",
        ],
    );
    // A reference that leads only to itself ends as well.
    let circle = json!({"$ref": "#/$defs/C", "$defs": {"C": {"$ref": "#/$defs/C"}}});
    check(circle.clone(), circle, Unchanged, &[]);
}

fn old_modules() -> Value {
    json!({
        "app": {"behaviour": "application", "interface": {"state": {"type": "null"}}},
        "bare": {"behaviour": "gen_server"},
        "events": {"behaviour": "gen_event"},
        "gone": server(&json!({ "state": {"type": "null"} })),
        "store": server(&json!({ "state": fields(&["n"]) })),
        "sup": supervisor(&json!([child("first", "store", &json!(1)), child("old", "gone", &json!(null)), child("third", "wide", &json!(null))])),
        "wide": server(&json!({ "state": fields(&["n"]) })),
    })
}

fn new_modules() -> Value {
    json!({
        "app": {"behaviour": "application", "interface": {"state": {"type": "null"}}},
        "bare": {"behaviour": "gen_server"},
        "events": {"behaviour": "gen_event"},
        "fresh": server(&json!({ "state": {"type": "null"} })),
        "store": server(&json!({ "state": fields(&["n", "interval"]) })),
        "sup": supervisor(&json!([child("first", "store", &json!(2)), child("new", "fresh", &json!(null)), child("third", "wide", &json!(null))])),
        "wide": server(&json!({ "state": fields(&["n", "m?"]) })),
    })
}

#[test]
fn a_draft_has_what_follows_from_the_types_in_both_directions() {
    let diff = compared(&old_modules(), &new_modules(), None);
    let expected = r#"# A draft: review it, and replace each placeholder "TODO: ...".
app = "a"
version = "2.0.0"

[[up]]
from = "1.0.0"
instructions = [
  { add_module = "fresh" },
  { apply = "supervisor:terminate_child", args = ["sup", "old"] },
  { apply = "supervisor:delete_child", args = ["sup", "old"] },
  # app: its state is unchanged; it is replaced with its library
  # bare: a version does not describe its state
  { update = "bare", change = { advanced = "TODO: compare 1.0.0 and 2.0.0 by hand; no change, or extra data for the conversion" } },
  # events: its state is unchanged; it is replaced with its library
  # store: `interval` is new and has no default
  { update = "store", change = { advanced = "TODO: extra data for change_code of 2.0.0 to convert the state of 1.0.0, {} if none" } },
  # wide: `m` is new, with a default
  { update = "wide" },
  # sup: child "old" is gone; child "first" changed in args; child "new" is new
  { update = "sup", change = "supervisor", deps = ["fresh", "store", "wide"] },
  { apply = "supervisor:restart_child", args = ["sup", "new"] },
  { delete_module = "gone" },
]

[[down]]
to = "1.0.0"
instructions = [
  { add_module = "gone" },
  { apply = "supervisor:terminate_child", args = ["sup", "new"] },
  { apply = "supervisor:delete_child", args = ["sup", "new"] },
  # app: its state is unchanged; it is replaced with its library
  # bare: a version does not describe its state
  { update = "bare", change = { advanced = "TODO: compare 2.0.0 and 1.0.0 by hand; no change, or extra data for the conversion" } },
  # events: its state is unchanged; it is replaced with its library
  # store: `interval` is dropped: only the newer state has it
  { update = "store" },
  # wide: `m` is dropped: only the newer state has it
  { update = "wide" },
  # sup: child "new" is gone; child "first" changed in args; child "old" is new
  { update = "sup", change = "supervisor", deps = ["gone", "store", "wide"] },
  { apply = "supervisor:restart_child", args = ["sup", "old"] },
  { delete_module = "fresh" },
]
"#;
    assert_eq!(diff.apps[0].draft.as_deref(), Some(expected));
}

/// Returns the lines for children in both entries of a draft.
fn child_lines(old: &[Value], new: &[Value]) -> Vec<String> {
    let of = |children: &[Value]| json!({ "sup": supervisor(&json!(children)), "w": server(&json!({ "state": {"type": "null"} })) });
    let draft = compared(&of(old), &of(new), None).apps.remove(0).draft.unwrap();
    let about = draft.lines().filter(|line| line.contains("supervisor:") || line.contains("looks like"));
    about.map(|line| line.trim().trim_end_matches(',').to_owned()).collect()
}

#[test]
fn a_child_with_a_new_id_is_renamed_both_ways_and_each_new_child_is_matched_once() {
    let child = |id: &str| child(id, "w", &json!(1));
    let renamed = |from: &str, to: &str| {
        [
            format!(
                "# {from:?} looks like {to:?} under another id, and keeps running; if it is another child, terminate the old one and start the new one"
            ),
            format!("{{ apply = \"supervisor:rename_child\", args = [\"sup\", {from:?}, {to:?}] }}"),
        ]
    };
    let call = |function: &str, id: &str| {
        format!("{{ apply = \"supervisor:{function}\", args = [\"sup\", {id:?}] }}")
    };
    let one_way = child_lines(&[child("a"), child("b")], &[child("c"), child("b")]);
    let (up, down) = (renamed("a", "c"), renamed("c", "a"));
    assert_eq!(one_way, [up, down].concat());
    let fewer = child_lines(&[child("a"), child("b")], &[child("c")]);
    let ended = [call("terminate_child", "b"), call("delete_child", "b")];
    assert_eq!(
        fewer,
        [&renamed("a", "c")[..], &ended, &renamed("c", "a"), &[call("restart_child", "b")]].concat()
    );
}

/// Returns the address that a draft gives the supervisor `low` for its new child.
fn address(top: &Value, low: impl Fn(Value) -> Value) -> String {
    let of = |children| json!({ "top": top, "low": low(supervisor(&children)), "w": server(&json!({})) });
    let new = json!([child("x", "w", &json!(null))]);
    let draft = compared(&of(json!([])), &of(new), None).apps.remove(0).draft.unwrap();
    let call = draft.lines().find(|line| line.contains("restart_child")).expect("the child is started");
    let (_, args) = call.split_once("args = [").unwrap();
    args.split_once(", \"x\"").unwrap().0.to_owned()
}

#[test]
fn a_draft_gives_a_supervisor_by_its_name_or_path_and_asks_where_neither_is_certain() {
    let top = |ids: &[&str]| {
        let children: Vec<_> = ids.iter().map(|id| child(id, "low", &json!(null))).collect();
        supervisor(&json!(children))
    };
    let unnamed = |spec: Value| spec;
    assert_eq!(address(&top(&["first"]), unnamed), "\"a/first\"");
    let named = |mut spec: Value| {
        spec["interface"]["supervisor"]["name"] = json!("low_sup");
        spec
    };
    assert_eq!(address(&top(&["first"]), named), "\"low_sup\"");
    // `low` alone is the root.
    assert_eq!(address(&server(&json!({})), unnamed), "\"a\"");
    let todo = "\"TODO: the registered name or the tree path of the supervisor low\"";
    for unclear in [top(&["first", "second"]), top(&["a/b"]), top(&["7"]), top(&[])] {
        assert_eq!(address(&unclear, unnamed), todo, "{unclear}");
    }
    let mut many = top(&["first"]);
    many["interface"]["supervisor"]["strategy"] = json!("simple_one_for_one");
    assert_eq!(address(&many, unnamed), todo);
}

#[test]
fn a_child_that_looks_renamed_may_be_renamed_or_terminated_but_not_ignored() {
    let of = |id: &str| json!({ "sup": supervisor(&json!([child(id, "w", &json!(1))])), "w": server(&json!({ "state": {"type": "null"} })) });
    let classes = |calls: &str| -> Vec<_> {
        let entry = format!("instructions = [{calls} {{ update = 'sup', change = 'supervisor' }}]");
        let appup = format!(
            "app = 'a'\nversion = '2.0.0'\n[[up]]\nfrom = '1.0.0'\n{entry}\n[[down]]\nto = '1.0.0'\ninstructions = [{{ restart_application = 'a' }}]"
        );
        compared(&of("a"), &of("b"), Some(&appup)).findings.iter().map(|finding| finding.class).collect()
    };
    assert_eq!(classes("{ apply = 'supervisor:rename_child', args = ['sup', 'a', 'b'] },"), [""; 0]);
    assert_eq!(classes("{ apply = 'supervisor:delete_child', args = ['sup', 'a'] },"), [""; 0]);
    assert_eq!(
        classes("{ apply = 'supervisor:delete_child', args = ['sup', 'z'] },"),
        ["no_child_instruction"]
    );
    assert_eq!(classes(""), ["no_child_instruction"]);
}

#[test]
fn a_placeholder_is_refused_with_its_app_entry_and_line_until_it_is_filled() {
    let draft = compared(&old_modules(), &new_modules(), None).apps.remove(0).draft.unwrap();
    let appup = Appup::parse("appup.toml", &draft).unwrap();
    let mistakes: Vec<_> = appup.mistakes().collect();
    assert_eq!(mistakes.len(), 3);
    assert!(mistakes.iter().all(|mistake| mistake.code.as_str() == "todo"));
    let shown = mistakes[1].to_string();
    for part in
        ["appup.toml:16:", "a, up from 1.0.0", "TODO: extra data for change_code", "{ update = \"store\""]
    {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    let new = version(2, &new_modules(), Some(&draft));
    let refused =
        plan_direction(&new.release, &version(1, &old_modules(), None).release, Mode::Up).unwrap_err();
    assert_eq!(refused.code().as_str(), "todo");
    assert!(Appup::parse("appup.toml", &filled(&draft)).unwrap().mistakes().next().is_none());
}

#[test]
fn a_placeholder_is_refused_anywhere_in_an_instruction() {
    for instruction in [
        "'TODO'",
        "{ update = 'm', change = 'TODO: soft?' }",
        "{ apply = 'm:f', args = [{ a = ['TODO: b'] }] }",
        "{ update = 'm', deps = ['TODO'] }",
    ] {
        let text =
            format!("app = 'a'\nversion = '2.0.0'\n[[down]]\nto = '1.0.0'\ninstructions = [{instruction}]\n");
        let appup = Appup::parse("appup.toml", &text).unwrap();
        let mistake = appup.mistakes().next().expect(instruction);
        assert_eq!(mistake.code.as_str(), "todo", "{instruction}");
    }
    let fine = "app = 'a'\nversion = '2.0.0'\n[[down]]\nto = '1.0.0'\ninstructions = [{ update = 'm', change = { advanced = 'a TODO' } }]";
    assert!(matches!(Appup::parse("appup.toml", fine).unwrap().down[0].instructions[0], Written::Good(_)));
}

/// Fills every placeholder of a draft.
fn filled(draft: &str) -> String {
    let mut text = String::new();
    let mut rest = draft;
    while let Some(at) = rest.find("\"TODO: ") {
        let (before, todo) = rest.split_at(at);
        let end = todo[1..].find('"').unwrap() + 2;
        text += before;
        text += "\"filled\"";
        rest = &todo[end..];
    }
    text + rest
}

/// Compares the classes and modules of the findings for an appup with these entries.
#[track_caller]
fn check_findings(up: &str, down: &str, expected: &[(&str, &str)]) {
    let entries = format!(
        "[[up]]\nfrom = '1.0.0'\ninstructions = [{up}]\n[[down]]\nto = '1.0.0'\ninstructions = [{down}]"
    );
    let old = json!({"store": server(&json!({"state": fields(&["n"]), "args": {"type": "null"}})), "sup": supervisor(&json!([child("old", "store", &json!(1))]))});
    let new = json!({"store": server(&json!({"state": fields(&["n", "m"]), "args": {"type": "null"}})), "sup": supervisor(&json!([child("new", "store", &json!(2))]))});
    let diff = compared(&old, &new, Some(&format!("app = 'a'\nversion = '2.0.0'\n{entries}")));
    let found: Vec<_> = diff
        .findings
        .iter()
        .map(|finding| (finding.class, finding.module.as_ref().map_or("", |module| module.as_str())))
        .collect();
    assert_eq!(found, expected, "{:#?}", diff.findings);
}

#[test]
fn an_incomplete_appup_is_found() {
    let children = |ends: &str, starts: &str| {
        format!(
            "{{ apply = 'supervisor:terminate_child', args = ['sup', '{ends}'] }}, {{ apply = 'supervisor:delete_child', args = ['sup', '{ends}'] }}, {{ update = 'sup', change = 'supervisor' }}, {{ apply = 'supervisor:restart_child', args = ['sup', '{starts}'] }}"
        )
    };
    let up = format!("{{ update = 'store', change = {{ advanced = {{}} }} }}, {}", children("old", "new"));
    let down = format!("{{ update = 'store', change = {{ advanced = {{}} }} }}, {}", children("new", "old"));
    check_findings(&up, &down, &[]);
    check_findings("{ restart_application = 'a' }", &down, &[]);
    check_findings(
        "",
        &down,
        &[
            ("no_child_instruction", ""),
            ("no_child_instruction", ""),
            ("no_instruction", "store"),
            ("no_instruction", "sup"),
            ("no_child_instruction", ""),
        ],
    );
    check_findings(
        &up.replace("change = { advanced = {} }", "timeout = 5"),
        &down,
        &[("other_change", "store")],
    );
    check_findings(&up, &down.replace("change = 'supervisor'", "timeout = 5"), &[("other_change", "sup")]);
    check_findings(
        &up.replace("= {}", "= 'TODO'"),
        &down,
        &[("wrong_instruction", ""), ("no_instruction", "store")],
    );
}

#[test]
fn a_state_that_comes_with_its_library_needs_no_instruction_in_the_diff_as_in_the_plan() {
    let modules = |names: &[&str]| json!({"store": server(&json!({ "state": fields(names) }))});
    let warnings = |new: &[&str], rest: &str| {
        let entries = format!("[[up]]\nfrom = '1.0.0'\n{rest}\n[[down]]\nto = '1.0.0'\n{rest}");
        let appup = format!("app = 'a'\nversion = '2.0.0'\n{entries}");
        let (old, new) = (version(1, &modules(&["n"]), None), version(2, &modules(new), Some(&appup)));
        assert_eq!(diff(&old, &new).findings, [], "{rest}");
        [Mode::Up, Mode::Down].map(|mode| plan_direction(&new.release, &old.release, mode).unwrap().warnings)
    };
    for rest in ["instructions = []", "instructions = [{ update = 'store' }]"] {
        assert_eq!(warnings(&["n", "m?"], rest), [[], []], "{rest}");
    }
    // The processes stay in old code, so their states meet no new code.
    warnings(&["n", "m"], "keep = ['store']\ninstructions = []");
}

#[test]
fn a_missing_appup_and_a_missing_entry_are_found() {
    let modules = json!({"m": server(&json!({ "state": {"type": "null"} }))});
    let classes = |appup: Option<&str>| -> Vec<_> {
        compared(&modules, &modules, appup).findings.iter().map(|finding| finding.class).collect()
    };
    assert_eq!(classes(None), ["no_appup"]);
    assert_eq!(classes(Some("app = 'a'\nversion = '2.0.0'")), ["no_entry", "no_entry"]);
    assert_eq!(classes(Some("nonsense")), ["broken_appup"]);
}

#[test]
fn messages_that_are_not_taken_are_found_on_the_way_up_and_on_the_way_back() {
    let speaks = |words: &[&str], reply: &Value, args: &Value| {
        let words = json!({"type": "string", "enum": words});
        json!({"m": server(&json!({
            "state": {"type": "null"}, "args": args, "call": words, "cast": words, "info": {"type": "null"}, "reply": reply,
        }))})
    };
    let number = json!({"type": "integer", "format": "uint64"});
    let old = speaks(&["get", "stop"], &number, &number);
    let new = speaks(&["get", "reset"], &json!({"type": "string"}), &fields(&["n"]));
    let appup = "app = 'a'\nversion = '2.0.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = []\n[[down]]\nto = '1.0.0'\ninstructions = []";
    let found = compared(&old, &new, Some(appup)).findings;
    let messages: Vec<_> = found
        .iter()
        .map(|finding| (finding.class, finding.direction.unwrap(), finding.message.as_str()))
        .collect();
    assert_eq!(
        messages,
        [
            (
                "message_not_taken",
                Mode::Up,
                "2.0.0 no longer accepts a call of 1.0.0: `stop` is gone; keep reading the old form for one release"
            ),
            (
                "message_not_taken",
                Mode::Up,
                "2.0.0 no longer accepts a cast of 1.0.0: `stop` is gone; keep reading the old form for one release"
            ),
            (
                "reply_changed",
                Mode::Up,
                "callers built with 1.0.0 cannot read the replies of 2.0.0: it was string, is integer (uint64)"
            ),
            (
                "args_changed",
                Mode::Up,
                "its start argument changed (it was integer (uint64), is object), but no known child spec did: supervisors start it with the argument of 1.0.0"
            ),
            (
                "message_not_taken",
                Mode::Down,
                "1.0.0 does not accept a call of 2.0.0: `reset` is gone; a waiting one crashes its receiver, unless the previous release already reads it"
            ),
            (
                "message_not_taken",
                Mode::Down,
                "1.0.0 does not accept a cast of 2.0.0: `reset` is gone; a waiting one crashes its receiver, unless the previous release already reads it"
            ),
            (
                "reply_changed",
                Mode::Down,
                "callers built with 2.0.0 cannot read the replies of 1.0.0: it was integer (uint64), is string"
            ),
            (
                "args_changed",
                Mode::Down,
                "its start argument changed (it was object, is integer (uint64)), but no known child spec did: supervisors start it with the argument of 2.0.0"
            ),
        ]
    );
}

/// Returns the findings for a server, by class and direction, and the interface differences in both
/// directions. Each type has a read form and a written form.
fn crossing(
    spoken: &str,
    old: [&[&str]; 2],
    new: [&[&str]; 2],
) -> (Vec<(&'static str, Mode)>, [Vec<String>; 2]) {
    let side = |[read, written]: [&[&str]; 2]| {
        let (own, other) = if spoken == "reply" { (written, read) } else { (read, written) };
        json!({ "m": server(&json!({
            "state": {"type": "null"}, spoken: fields(own), "other": {spoken: fields(other)},
        })) })
    };
    let mut diff = compared(&side(old), &side(new), None);
    let module = diff.apps[0].modules.remove(0);
    let found = diff.findings.iter().filter(|finding| finding.class != "no_appup");
    let found = found.map(|finding| (finding.class, finding.direction.unwrap())).collect();
    (found, [module.interface, module.interface_down])
}

#[test]
fn written_forms_are_compared_with_read_forms_in_both_directions() {
    let without: [&[&str]; 2] = [&["n"], &["n"]];
    // serde's `default`: always written, but optional when read.
    let with_default: [&[&str]; 2] = [&["n", "m?"], &["n", "m"]];
    let required: [&[&str]; 2] = [&["n", "m"], &["n", "m"]];
    let none = || (Vec::new(), [Vec::new(), Vec::new()]);
    for spoken in ["call", "cast", "info", "reply"] {
        assert_eq!(crossing(spoken, without, with_default), none(), "{spoken}");
        assert_eq!(crossing(spoken, with_default, without), none(), "{spoken}");
        assert_eq!(crossing(spoken, with_default, required), none(), "{spoken}: it was always written");
    }
    let missing = |word: &str| vec![format!("{word}: `m` is new and has no default")];
    let (call, reply) = (missing("call"), missing("reply"));
    let not_taken = |mode| vec![("message_not_taken", mode)];
    assert_eq!(crossing("call", without, required), (not_taken(Mode::Up), [call.clone(), Vec::new()]));
    assert_eq!(crossing("call", required, without), (not_taken(Mode::Down), [Vec::new(), call]));
    // A reply crosses in the other direction: callers of the source version read it.
    let changed = |mode| vec![("reply_changed", mode)];
    assert_eq!(crossing("reply", without, required), (changed(Mode::Down), [Vec::new(), reply.clone()]));
    assert_eq!(crossing("reply", required, without), (changed(Mode::Up), [reply, Vec::new()]));
}

#[test]
fn one_version_with_two_libraries_is_found() {
    let modules = json!({"m": {"behaviour": "gen_server"}});
    let [mut one, mut other] = [(); 2].map(|()| version(1, &modules, None));
    let library = |release: &mut PackedRelease, digest: &str| {
        release.libraries = [("a".parse().unwrap(), digest.to_owned())].into();
    };
    library(&mut one, "ab");
    library(&mut other, "ab");
    assert_eq!(diff(&one, &other).findings, []);
    library(&mut other, "cd");
    assert_eq!(diff(&one, &other).findings[0].class, "same_version");
}

#[test]
fn a_release_that_does_not_boot_and_a_call_of_a_module_that_is_not_a_task_are_found() {
    let modules = json!({ "m": server(&json!({})) });
    let call = "instructions = [{ update = 'm' }, { apply = 'm:go' }]";
    let appup = format!(
        "app = 'a'\nversion = '2.0.0'\n[[up]]\nfrom = '1.0.0'\n{call}\n[[down]]\nto = '1.0.0'\n{call}"
    );
    let (one, mut other) = (version(1, &modules, None), version(2, &modules, Some(&appup)));
    let mut docs = other.release.apps()[0].docs.clone();
    docs.app.start = Some("m".parse().unwrap());
    other.release = Release::new(other.release.rel().clone(), [docs]).unwrap();
    let findings = diff(&one, &other).findings;
    let found: Vec<_> =
        findings.iter().map(|finding| (finding.class, finding.message.split(';').next().unwrap())).collect();
    let call = ("wrong_instruction", "module m is a gen_server, but apply needs a task");
    let start = "a cannot start: its start module m is a gen_server, not an application";
    assert_eq!(found, [("not_an_application", start), call, call]);
}

#[test]
fn a_version_that_was_packed_without_schemas_is_compared_by_hand() {
    let modules = json!({"m": server(&json!({ "state": {"type": "null"} }))});
    let mut old = version(1, &modules, None);
    let app = old.release.apps()[0].docs.clone().with_schemas(Schemas::default());
    old.release = old.release.with_app(app).unwrap();
    let diff = diff(&old, &version(2, &modules, None));
    assert_eq!(diff.apps[0].modules[0].change, ModuleChange::Unknown);
    assert!(diff.apps[0].draft.as_ref().unwrap().contains("# m: a version was packed without schemas"));
}

#[test]
fn a_broken_schema_json_is_shown_with_its_place() {
    let error = Schemas::parse("lib/a-1.0.0/schema.json", "{\n  \"modules\": 3\n}").unwrap_err();
    assert_eq!((error.line, error.path.as_str()), (2, "lib/a-1.0.0/schema.json"));
}

const MODULES: [&str; 4] = ["m0", "m1", "m2", "sup"];

/// Some of the modules, each with a state of random fields, and a supervisor with random children
/// or without a description.
fn modules() -> impl Strategy<Value = Value> {
    let names = prop::sample::subsequence(vec!["a", "b", "c?", "d?"], 0..=4);
    let interface = prop_oneof![names.prop_map(|names| Some(json!({ "state": fields(&names) }))), Just(None)];
    let servers = prop::collection::vec(prop::option::of(interface), 3);
    let children = prop::collection::btree_map("[a-d]", (0..3_usize, 0..3_u64), 0..4);
    (servers, prop::option::of(children)).prop_map(|(servers, children)| {
        let mut modules = serde_json::Map::new();
        for (name, interface) in MODULES.into_iter().zip(servers) {
            if let Some(interface) = interface {
                modules.insert(name.to_owned(), json!({"behaviour": "gen_server", "interface": interface}));
            }
        }
        let specs = children.map(|children| {
            let child =
                |(id, (module, args)): (&String, &(usize, u64))| child(id, MODULES[*module], &json!(args));
            supervisor(&children.iter().map(child).collect())
        });
        modules.insert("sup".to_owned(), specs.unwrap_or_else(|| json!({ "behaviour": "supervisor" })));
        Value::Object(modules)
    })
}

proptest! {
    #[test]
    fn every_draft_can_be_planned_both_ways_once_it_is_filled(old in modules(), new in modules()) {
        let drafted = compared(&old, &new, None).apps.remove(0).draft.unwrap();
        let appup = Appup::parse("appup.toml", &drafted).unwrap();
        prop_assert!(appup.mistakes().all(|mistake| mistake.code.as_str() == "todo"), "{}", drafted);
        let filled = filled(&drafted);
        let (base, top) = (version(1, &old, None), version(2, &new, Some(&filled)));
        for mode in [Mode::Up, Mode::Down] {
            let planned = plan_direction(&top.release, &base.release, mode);
            prop_assert!(planned.is_ok(), "{:?}\n{}", planned, filled);
        }
        // A filled draft has no findings, except those that only an author can decide.
        let left = diff(&base, &top).findings;
        prop_assert!(left.iter().all(|finding| finding.class == "compare_by_hand"), "{:?}\n{}", left, filled);
    }
}
