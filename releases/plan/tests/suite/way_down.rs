//! States on their way to an older version and to a newer one, as shown in a script. The SDK tests
//! which places are dropped, in its `schema/way_down.rs`.

use reld_plan::{
    Action, AppDocs, PlanError, Rel, Release, RelupFile, Schemas, Script, Vsn, Warning, Windows, plan,
    plan_windows,
};
use serde_json::{Value, json};

/// Versions 1 and 2 of the app `a`. Its module `same` never changes, `grown` has an additional
/// field in version 2, `renamed` has a renamed field.
fn releases(up: &str, down: &str) -> [Release; 2] {
    releases_with(&format!("[[up]]\nfrom = '1.0.0'\n{up}\n[[down]]\nto = '1.0.0'\n{down}\n"))
}

fn releases_with(entries: &str) -> [Release; 2] {
    let state = |major: u64, module: &str| match (major, module) {
        (2, "grown") => fields(&["n"], &["m"]),
        (2, "renamed") => fields(&["number"], &[]),
        _ => fields(&["n"], &[]),
    };
    [(1, ""), (2, entries)].map(|(major, entries)| {
        let modules = ["same", "grown", "renamed"];
        let schema =
            |module| json!({"behaviour": "gen_server", "interface": {"state": state(major, module)}});
        let schemas: serde_json::Map<_, _> =
            modules.iter().map(|module| ((*module).to_owned(), schema(*module))).collect();
        let schemas = json!({ "modules": schemas }).to_string();
        let vsn = format!("version = '{major}.0.0'");
        let app = format!("name = 'a'\n{vsn}\nmodules = {modules:?}");
        let appup = format!("app = 'a'\n{vsn}\n{entries}");
        let docs = AppDocs::parse(("app.toml", &app), Some(("appup.toml", &appup))).unwrap();
        let docs = docs.with_schemas(Schemas::parse("schema.json", &schemas).unwrap());
        let rel = format!("name = 'shop'\n{vsn}\ndaemon = '1.0.0'\n[[app]]\nname = 'a'\n{vsn}");
        Release::new(Rel::parse("release.toml", &rel).unwrap(), [docs]).unwrap()
    })
}

/// A struct of numbers; the fields in `optional` have a default.
fn fields(required: &[&str], optional: &[&str]) -> Value {
    let number = || json!({"type": "integer", "format": "uint64"});
    let properties: serde_json::Map<_, _> =
        required.iter().chain(optional).map(|name| ((*name).to_owned(), number())).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// Plans the way down by these instructions.
fn down(entry: &str) -> Result<Script, PlanError> {
    let [old, new] = releases("instructions = []", entry);
    plan(&new, &old)
}

/// Returns the lines with a dropped field.
fn lines(script: &Script) -> Vec<String> {
    let text = script.to_string();
    let dropping = text.lines().filter_map(|line| line.trim().split_once("  -- "));
    dropping.filter(|(what, _)| what.contains("drops")).map(|(what, _)| what.to_owned()).collect()
}

/// Converts `renamed`, so that it does not block the downgrade.
const CODE: &str = "{ update = 'renamed', change = { advanced = {} } }";

#[track_caller]
fn check(instructions: &str, expected: &[&str]) {
    let script = down(&format!("instructions = [{CODE}, {instructions}]")).unwrap();
    assert_eq!(lines(&script), expected, "{script}");
    assert_eq!(script.warnings, []);
}

#[test]
fn the_step_that_moves_a_state_to_the_older_version_shows_its_dropped_fields() {
    check("{ update = 'grown' }", &["3. load grown of a-1.0.0, drops `m`"]);
    check("{ load_module = 'grown' }", &["3. load grown of a-1.0.0, drops `m`"]);
    check("", &["4. load grown of a-1.0.0, drops `m`"]);
    let change = "7. code_change grown down 2.0.0 to 1.0.0, advanced, extra {}, drops `m`";
    check("{ update = 'grown', change = { advanced = {} } }", &[change]);
}

#[test]
fn the_json_of_the_step_has_the_dropped_places() {
    let script = down(&format!("instructions = [{CODE}, {{ update = 'grown' }}]")).unwrap();
    let steps = json!(script)["steps"].as_array().unwrap().clone();
    let loads: Vec<_> = steps.iter().filter(|step| step["op"] == "load").collect();
    assert_eq!((&loads[1]["module"], &loads[1]["dropped"]), (&json!("grown"), &json!(["m"])));
    assert!(steps.iter().filter(|step| step.get("dropped").is_some()).count() == 1, "{steps:#?}");
}

#[test]
fn each_window_shows_the_dropped_fields_of_its_own_modules() {
    let entry = format!("instructions = [{CODE}, {{ update = 'grown' }}]");
    let [old, new] = releases("instructions = []", &entry);
    let script = plan_windows(&new, &old, Windows::Group).unwrap();
    let windows: Vec<_> = script.windows().collect();
    let drops =
        |step: &&reld_plan::Step| matches!(&step.action, Action::Load { dropped, .. } if !dropped.is_empty());
    let counts: Vec<_> = windows.iter().map(|steps| steps.iter().filter(drops).count()).collect();
    assert_eq!(counts, [0, 1], "{script}");
}

#[test]
fn a_state_that_does_not_move_loses_no_fields_and_blocks_no_downgrade() {
    let nothing = |entry: &str| {
        let script = down(entry).unwrap();
        assert_eq!((lines(&script), script.warnings.len()), (vec![], 0), "{script}");
    };
    nothing("instructions = [{ restart_application = 'a' }]");
    nothing("instructions = ['restart_daemon']");
    nothing(
        "instructions = [{ stop = ['grown', 'renamed'] }, { load_module = 'grown' }, { load_module = 'renamed' }, \
         { start = ['grown', 'renamed'] }]",
    );
    let kept = down("keep = ['grown', 'renamed']\ninstructions = [{ update = 'same' }]").unwrap();
    assert_eq!(lines(&kept), Vec::<String>::new());
}

#[test]
fn a_field_that_may_be_renamed_is_refused_with_both_names_and_the_remedy() {
    for instructions in ["", "{ update = 'renamed' }", "{ load_module = 'renamed' }"] {
        let error = down(&format!("instructions = [{instructions}]")).unwrap_err();
        assert_eq!(
            (error.code().as_str(), error.args()),
            ("state_moved", vec![json!("renamed"), json!(["number"]), json!(["n"])])
        );
        assert_eq!(
            error.to_string(),
            "cannot carry the states of module renamed from 2.0.0 down to 1.0.0 unconverted: `number` is only in 2.0.0 and \
             `n` is only in 1.0.0, which may be a rename or a move; write { update = \"renamed\", change = { advanced = {} \
             } } and convert them in change_code_down of 2.0.0, or declare lost fields in the DROPPED of 2.0.0"
        );
    }
}

#[test]
fn a_hand_written_script_has_the_same_checks() {
    let [old, new] = releases("instructions = []", "instructions = []");
    let with = |instructions: &str| {
        let entry = |from: &str, body: &str| format!("[[{from}]]\ninstructions = [{body}]\n");
        let down = entry("down", instructions).replace("]]\n", "]]\nto = '1.0.0'\n");
        let relup = RelupFile::parse("relup.toml", &format!("version = '2.0.0'\n{down}")).unwrap();
        plan(&new.clone().with_relup(relup), &old)
    };
    let loads = |change: &str| {
        format!(
            "{{ load_object_code = ['same', 'grown', 'renamed'], app = 'a', vsn = '1.0.0' }}, 'point_of_no_return', \
             {{ suspend = ['renamed'] }}, {change} {{ load = 'renamed' }}, {{ load = 'grown' }}, {{ resume = ['renamed'] }}"
        )
    };
    assert_eq!(with(&loads("")).unwrap_err().code().as_str(), "state_moved");
    let script =
        with(&loads("{ code_change = [{ module = 'renamed', extra = {} }], mode = 'down' },")).unwrap();
    assert_eq!(lines(&script).len(), 1, "{script}");
}

#[test]
fn going_up_drops_no_fields_and_warns_about_unreadable_ones() {
    let entry = "instructions = [{ update = 'renamed' }, { update = 'grown' }]";
    let [old, new] = releases(entry, &format!("instructions = [{CODE}]"));
    let script = plan(&old, &new).unwrap();
    assert_eq!(lines(&script), Vec::<String>::new());
    let why = ["`n` is gone, and not declared in DROPPED", "`number` is new and has no default"];
    match script.warnings.as_slice() {
        [warning @ Warning::StateNotRead { module, why: message, .. }] => {
            assert_eq!((module.as_str(), message.as_slice()), ("renamed", &why.map(str::to_owned)[..]));
            assert_eq!(
                warning.to_string(),
                "module renamed 2.0.0 may be unable to read the states of 1.0.0 (schemas do not show aliases): `n` is gone, \
                 and not declared in DROPPED; `number` is new and has no default; convert them in change_code of 2.0.0, \
                 or declare lost fields in DROPPED"
            );
        }
        other => panic!("{other:?}"),
    }
    // Code of the author converts the state.
    let [old, new] = releases(&format!("instructions = [{CODE}]"), &format!("instructions = [{CODE}]"));
    assert_eq!(plan(&old, &new).unwrap().warnings, []);
}

#[test]
fn going_up_the_plan_warns_about_problems_on_the_way_back() {
    let up = format!("instructions = [{CODE}]");
    let warnings = |down: &str| {
        let [old, new] = releases(&up, down);
        plan(&old, &new).unwrap().warnings
    };
    match warnings("instructions = []").as_slice() {
        [warning @ Warning::NoWayBack { to, .. }] => {
            assert_eq!((warning.class(), to), ("no_way_back", &Vsn::new(1, 0, 0)));
            let message = warning.to_string();
            let begin = "there is no way back to 1.0.0: cannot carry the states of module renamed";
            assert!(message.starts_with(begin), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let wrong = warnings(&format!("instructions = [{CODE}, {{ load_module = 'absent' }}]"));
    assert!(matches!(wrong.as_slice(), [Warning::NoWayBack { .. }]), "{wrong:?}");
    assert_eq!(warnings(&up), []);
    // The older version may be unable to read the state, for a reason that concerns no place.
    let [old, new] = releases(&up, &format!("instructions = [{CODE}]"));
    let wider = |schemas: &mut Schemas| {
        let grown = schemas.modules.get_mut(&"grown".parse().unwrap()).unwrap();
        let state = grown.interface.as_mut().unwrap().state.as_mut().unwrap();
        state["properties"]["n"]["format"] = json!("uint32");
    };
    let mut docs = old.apps()[0].docs.clone();
    wider(&mut docs.schemas);
    match plan(&old.with_app(docs).unwrap(), &new).unwrap().warnings.as_slice() {
        [warning @ Warning::WayBack { .. }] => {
            let message = warning.to_string();
            let begin = "on the way back to 1.0.0: module grown 1.0.0 may be unable to read";
            assert!(message.starts_with(begin), "{message}");
            assert!(message.contains("`n` was integer (uint64), is integer (uint32)"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    // A missing down entry is the author's decision.
    let [old, new] = releases_with(&format!("[[up]]\nfrom = '1.0.0'\n{up}\n"));
    assert_eq!(plan(&old, &new).unwrap().warnings, []);
}

#[test]
fn states_without_a_description_cause_no_warning() {
    let entry = "instructions = [{ update = 'renamed' }, { update = 'grown' }]";
    let [old, new] = releases(entry, entry);
    let silent = old.apps()[0].docs.clone().with_schemas(Schemas::default());
    let old = old.with_app(silent).unwrap();
    for script in [plan(&old, &new).unwrap(), plan(&new, &old).unwrap()] {
        assert_eq!((lines(&script), script.warnings.len()), (vec![], 0), "{script}");
    }
}
