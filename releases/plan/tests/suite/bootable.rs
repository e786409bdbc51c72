//! Whether a release boots, and how a restart would change the running apps.

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::{
    App, AppDocs, AppName, AppupFile, Behaviours, Config, PackedRelease, PlanError, Rel, Release, Schemas,
    Script, Windows, plan_windows,
};
use serde_json::{Value, json};

/// A release with the same version as all its apps, each given as `name type: key = [...]; key =
/// [...]`; the type is optional.
fn release(version: &str, apps: &[&str]) -> Release {
    described(version, apps, &Schemas::default())
}

/// The same, with recorded schemas of the first app.
fn described(version: &str, apps: &[&str], first: &Schemas) -> Release {
    let mut rel = format!("name = 'shop'\nversion = '{version}'\ndaemon = '1.0.0'\n");
    let mut docs = Vec::new();
    for (number, app) in apps.iter().enumerate() {
        let schemas = if number == 0 { first.clone() } else { Schemas::default() };
        let (head, keys) = app.split_once(':').unwrap();
        let (name, start_type) = head.split_once(' ').unwrap_or((head, "permanent"));
        rel += &format!("[[app]]\nname = '{name}'\nversion = '1.0.0'\ntype = '{start_type}'\n");
        let text = format!("name = '{name}'\nversion = '1.0.0'\n{}", keys.replace(';', "\n"));
        let app = App::parse("app.toml", &text).unwrap();
        docs.push(AppDocs { app, appup: AppupFile::Missing, schemas });
    }
    Release::new(Rel::parse("release.toml", &rel).unwrap(), docs).unwrap()
}

/// In these tests, modules that end in `_app` are applications, those in `_sup` supervisors.
fn behaviours() -> Behaviours {
    let word = |module: &str| match module.rsplit_once('_').map(|(_, kind)| kind) {
        Some("app") => "application",
        Some("sup") => "supervisor",
        _ => "gen_server",
    };
    let modules = ["a", "a_sup", "a_app", "b_app"];
    modules.map(|module| (module.parse().unwrap(), word(module).to_owned())).into_iter().collect()
}

#[track_caller]
fn check(apps: &[&str], expected: Result<&str, &[&str]>) {
    let release = release("1.0.0", apps);
    let booted = release.boot_order(&behaviours());
    let booted = booted.map(|apps| apps.iter().map(|app| app.name().as_str()).collect::<Vec<_>>().join(" "));
    let booted = booted.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(
        booted,
        expected.map(str::to_owned).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    );
}

const A: &str = "a:modules = ['a', 'a_sup', 'a_app']; start = ";

#[test]
fn a_boot_starts_every_app_of_a_type_that_starts_by_its_own_application_module() {
    check(&[&format!("{A}'a_app'"), "b temporary:", "c load:", "d none:"], Ok("a b"));
    // One module is unknown, or all modules are.
    check(&["b:modules = ['other']; start = 'other'"], Ok("b"));
    check(&["b:start = 'b_app'"], Ok("b"));
    check(
        &[&format!("{A}'ghost'")],
        Err(&[
            "a cannot start: its library has no module ghost; set `start` in its app.toml to its application module",
        ]),
    );
    check(
        &[&format!("{A}'b_app'"), "b:modules = ['b_app']"],
        Err(&[
            "a cannot start: its library has no module b_app; set `start` in its app.toml to its application module",
        ]),
    );
    for (module, word) in [("a", "gen_server"), ("a_sup", "supervisor")] {
        let message = format!(
            "a cannot start: its start module {module} is a {word}, not an application; set `start` to its application module \
             in its app.toml"
        );
        check(&[&format!("{A}'{module}'")], Err(&[&message]));
    }
    // An app of type load is not started, so that its start module is not checked.
    check(&["a load:modules = ['a']; start = 'ghost'", "b:"], Ok("b"));
}

#[test]
fn an_app_cannot_start_without_an_app_that_the_boot_does_not_start() {
    check(&["b:applications = ['a']", "a transient:"], Ok("a b"));
    let itself = "b cannot start: it needs itself; remove it from its own `applications`";
    check(&["b:applications = ['b']"], Err(&[itself]));
    for start_type in ["load", "none"] {
        let message = format!(
            "b cannot start: it needs a, which the release does not start (its type is {start_type}); give a a type that \
             starts, or b the same one"
        );
        check(&["b:applications = ['a']", &format!("a {start_type}:")], Err(&[&message]));
        // The app with the need is not started either, or the need is optional.
        check(&[&format!("b {start_type}:applications = ['a']"), &format!("a {start_type}:")], Ok(""));
        check(
            &["b:applications = ['a']; optional_applications = ['a']", &format!("a {start_type}:")],
            Ok("b"),
        );
    }
    check(&["b:applications = ['a']; optional_applications = ['a']"], Ok("b"));
}

#[test]
fn all_boot_errors_are_reported_together() {
    let apps = [&format!("{A}'ghost'; applications = ['c', 'a']"), "c load:"];
    let errors = release("1.0.0", &apps).boot_order(&behaviours()).unwrap_err();
    let errors: Vec<_> = errors.into_iter().map(PlanError::from).collect();
    let classes: Vec<_> = errors.iter().map(|error| error.code().as_str()).collect();
    assert_eq!(classes, ["no_start_module", "not_started", "not_started"]);
    assert_eq!(errors[0].args(), [json!("a"), json!("ghost")]);
}

#[test]
fn an_included_app_is_started_and_represented_by_the_including_app() {
    check(&["c:applications = ['b']", "a:included_applications = ['b']", "b:"], Ok("a c"));
    check(&["a:included_applications = ['b']", "b:applications = ['a']"], Ok("a"));
    let release = release("1.0.0", &["c:applications = ['b']", "a:included_applications = ['b']", "b:"]);
    let needs: Vec<_> = release.needs(&release.apps()[0]).iter().map(ToString::to_string).collect();
    assert_eq!(needs, ["a"]);
    check(
        &["c:applications = ['b']", "a load:included_applications = ['b']", "b:"],
        Err(&[
            "c cannot start: it needs a, which the release does not start (its type is load); give a a type that starts, \
             or c the same one",
        ]),
    );
}

/// Applies the script to the releases while these apps run, and compares the warnings about a
/// restart.
#[track_caller]
fn check_restart(left: &[&str], to: &[&str], script: &str, running: &[&str], expected: &[&str]) {
    let relup = format!("version = '2.0.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = [{script}]");
    let relup = reld_plan::RelupFile::parse("relup.toml", &relup).unwrap();
    let (left, to) = (release("1.0.0", left), release("2.0.0", to).with_relup(relup));
    let script = plan_windows(&left, &to, Windows::Release).unwrap();
    let running: BTreeSet<AppName> = running.iter().map(|app| app.parse().unwrap()).collect();
    let warnings = to.after_restart(&left, &script, &running);
    assert_eq!(warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn apps_that_a_restart_would_not_start_are_reported_with_the_reason() {
    check_restart(&["a:", "b:"], &["a:", "b:"], "", &["a", "b"], &[]);
    check_restart(
        &["a:", "b:", "c:start = 'c_app'", "d:", "e:"],
        &["a load:", "b none:", "c:", "d:included_applications = ['e']", "e:"],
        "",
        &["a", "b", "c", "d", "e"],
        &["a restart would not start these running apps: a (its type is load), b (its type is none), \
           c (its app.toml names no start), e (d includes it)"],
    );
    // An app that was started by hand and is not stopped.
    check_restart(
        &["a load:", "b:"],
        &["a load:"],
        "",
        &["a", "b"],
        &[
            "a restart would not start these running apps: a (its type is load), b (the release has no such app)",
        ],
    );
    let stops =
        "{ apply = 'application:stop', args = ['a'] }, { apply = 'application:unload', args = ['b'] }";
    check_restart(&["a:", "b load:"], &["a load:"], stops, &["a"], &[]);
    // A call starts an app regardless of its type.
    let starts = "{ apply = 'application:start', args = ['a'] }";
    let message = "a restart would not start these running apps: a (its type is load)";
    check_restart(&["a load:"], &["a load:"], starts, &[], &[message]);
}

#[test]
fn apps_that_a_restart_would_start_are_reported() {
    let message = "a restart would start apps that do not run now: a";
    check_restart(&["a load:", "b:"], &["a:", "b:"], "", &["b"], &[message]);
    check_restart(&["a:"], &["a:"], "{ apply = 'application:stop', args = ['a'] }", &["a"], &[message]);
    // An app that has ended or was stopped by hand.
    check_restart(&["a temporary:"], &["a temporary:"], "", &[], &[message]);
    check_restart(&["b:"], &["b:", "a:"], "{ apply = 'application:start', args = ['a'] }", &["b"], &[]);
    check_restart(&["a load:"], &["a:"], "{ apply = 'application:start', args = ['a'] }", &[], &[]);
}

#[test]
fn an_app_with_another_start_module_or_new_phases_is_reported() {
    let phases = "a:start = 'a_app'; start_phases = [{ name = 'go' }]";
    let message = "a restart would run the start phases [go] of a, which no upgrade runs";
    check_restart(&["a:start = 'a_app'"], &[phases], "", &["a"], &[message]);
    check_restart(&[phases], &["a:start = 'a_app'"], "", &["a"], &[]);
    check_restart(
        &["a:start = 'a_app'", "b:"],
        &["a:start = 'a2_app'", "b:start = 'b_app'"],
        "",
        &["a", "b"],
        &[
            "a restart would start a with module a2_app; it runs with a_app",
            "a restart would start b with module b_app; it runs without one",
        ],
    );
    // A restarted app.
    let restarts = "{ apply = 'application:stop', args = ['a'] }, { apply = 'application:start', args = ['a', 'permanent'] }";
    check_restart(&["a:start = 'a_app'"], &[phases], restarts, &["a"], &[]);
}

/// A release with one recorded supervisor with these children, each given by its id, module and
/// type.
fn recorded(children: &[(u64, &str, &str)]) -> PackedRelease {
    let child = |(id, module, kind): &(u64, &str, &str)| json!({"id": id, "module": module, "args": null, "restart": "permanent", "shutdown": "infinity", "type": kind});
    let children: Vec<_> = children.iter().map(child).collect();
    let spec = json!({"strategy": "one_for_one", "intensity": 1, "period_ms": 5000, "children": children});
    recorded_as(json!({"behaviour": "supervisor", "interface": {"supervisor": spec}}))
}

/// The same, with this record of the supervisor.
fn recorded_as(supervisor: Value) -> PackedRelease {
    let schemas = json!({"modules": {
        "a": {"behaviour": "gen_server"},
        "a_sup": supervisor,
        "a_app": {"behaviour": "application"},
    }});
    let schemas = Schemas::parse("schema.json", &schemas.to_string()).unwrap();
    PackedRelease {
        release: described("1.0.0", &[&format!("{A}'a_app'"), "b:modules = ['other']"], &schemas),
        config: Config::default(),
        libraries: BTreeMap::new(),
    }
}

#[test]
fn a_child_that_no_boot_could_start_is_reported() {
    let fit = [(1, "a", "worker"), (4, "a_sup", "supervisor"), (6, "other", "worker")];
    let unfit = [(2, "ghost", "worker"), (3, "a_sup", "worker"), (5, "a_app", "worker")];
    let warnings = recorded(&[&fit[..], &unfit[..]].concat()).unfit_children();
    let message: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let expected = [
        "a_sup of a names a child 2 that could not be started: no app of the release has a module ghost",
        "a_sup of a names a child 3 that could not be started: module a_sup is a supervisor, but the type in the child spec is \
         worker",
        "a_sup of a names a child 5 that could not be started: module a_app is an application, which cannot be a child",
    ];
    assert_eq!(message, expected);
}

#[test]
fn a_child_that_only_the_script_starts_is_reported_if_all_supervisors_are_recorded() {
    let start = |id: u64| {
        format!("{{ apply = 'supervisor:start_child', args = ['a/x', {{ id = {id}, module = 'a' }}] }}, ")
    };
    let relup = format!(
        "version = '1.0.0'\n[[up]]\nfrom = '0.9.0'\ninstructions = [{}]",
        start(1) + &start(2) + &start(3)
    );
    let relup = reld_plan::RelupFile::parse("relup.toml", &relup).unwrap();
    let to = recorded(&[(1, "a", "worker")]);
    let left = release("0.9.0", &["a:", "b:"]);
    let script = plan_windows(&left, &to.release.clone().with_relup(relup), Windows::Release).unwrap();
    let message = to.unnamed_children(&script).unwrap().to_string();
    let expected = "a restart would not start children that only the script starts: child 2 of a/x, child 3 of a/x; add them to the \
                    supervisor's init";
    assert_eq!(message, expected);
    let unrecorded = recorded_as(json!({"behaviour": "supervisor"}));
    assert_eq!(unrecorded.unnamed_children(&script), None);
}

/// Returns the misfits in a script of these instructions, given the behaviours of modules in the
/// source and in the target release.
fn misfits(instructions: &str, left: &[(&str, &str)], to: &[(&str, &str)]) -> Vec<String> {
    let app = |version: &str, modules: &[(&str, &str)]| {
        let modules: Vec<&str> = modules.iter().map(|(module, _)| *module).collect();
        let app = format!("name = 'a'\nversion = '{version}'\nmodules = {modules:?}");
        let appup = format!(
            "app = 'a'\nversion = '{version}'\n[[up]]\nfrom = '1.0.0'\ninstructions = [{instructions}]"
        );
        let docs = AppDocs::parse(("app.toml", &app), Some(("appup.toml", &appup))).unwrap();
        let rel = format!(
            "name = 'shop'\nversion = '{version}'\ndaemon = '1.0.0'\n[[app]]\nname = 'a'\nversion = '{version}'"
        );
        Release::new(Rel::parse("release.toml", &rel).unwrap(), [docs]).unwrap()
    };
    let script: Script = plan_windows(&app("1.0.0", left), &app("2.0.0", to), Windows::Release).unwrap();
    let words = |modules: &[(&str, &str)]| -> Behaviours {
        modules.iter().map(|(module, word)| (module.parse().unwrap(), (*word).to_owned())).collect()
    };
    script.misfits(&words(left), &words(to)).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check_misfit(instruction: &str, expected: Option<&str>) {
    let modules = [("s", "gen_server"), ("s_sup", "supervisor"), ("s_app", "application"), ("t", "task")];
    let found = misfits(&format!("{{ update = 's' }}, {instruction}"), &modules, &modules);
    assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
    assert!(found.iter().zip(expected).all(|(found, words)| found.contains(words)), "{found:?}");

    // The file alone gives the same result.
    let text = format!(
        "app = 'a'\nversion = '2.0.0'\n[[up]]\nfrom = '1.0.0'\ninstructions = [\n  {instruction},\n]"
    );
    let words = modules.iter().map(|(module, word)| (module.parse().unwrap(), (*word).to_owned())).collect();
    let places = reld_plan::misfits("appup.toml", &text, |_| true, &words).unwrap();
    let places: Vec<_> = places.iter().map(ToString::to_string).collect();
    let problem = expected.map(|words| words.rsplit_once(": ").map_or(words, |(_, problem)| problem));
    assert_eq!(places.len(), usize::from(expected.is_some()), "{places:?}");
    let is_it =
        |(place, problem): (&String, &str)| place.starts_with("appup.toml:6:3: ") && place.contains(problem);
    assert!(places.iter().zip(problem).all(is_it), "{places:?}");
}

#[test]
fn an_instruction_that_does_not_fit_its_module_is_reported_with_its_step_and_place() {
    check_misfit("{ apply = 't:run' }", None);
    check_misfit("{ apply = 'unknown:run' }", None);
    check_misfit(
        "{ apply = 's:run' }",
        Some("apply s:run(): module s is a gen_server, but apply needs a task"),
    );
    check_misfit("{ apply = 's_app:run' }", Some("module s_app is an application, but apply needs a task"));
    check_misfit(
        "{ apply = 't:run', undo = { apply = 's_sup:run' } }",
        Some("module s_sup is a supervisor, but apply needs a task"),
    );
    check_misfit("{ update = 's_sup', change = 'supervisor' }", None);
    check_misfit(
        "{ update = 's_app', change = 'supervisor' }",
        Some("code_change: module s_app is an application, but change = \"supervisor\" needs a supervisor"),
    );
    let child =
        |spec: &str| format!("{{ apply = 'supervisor:start_child', args = ['a', {{ id = 1, {spec} }}] }}");
    check_misfit(&child("module = 's'"), None);
    check_misfit(&child("module = 's_sup', type = 'supervisor'"), None);
    check_misfit(
        &child("module = 's_sup'"),
        Some("module s_sup is a supervisor, but the type in the child spec is worker"),
    );
    check_misfit(&child("module = 's_app'"), Some("module s_app is an application, which cannot be a child"));
}

#[test]
fn a_call_before_the_load_of_its_module_runs_the_old_code() {
    let call = "{ apply = 'm:run' }, 'point_of_no_return', { update = 'm' }, { apply = 'm:run' }";
    let both = misfits(call, &[("m", "gen_server")], &[("m", "gen_server")]);
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(misfits(call, &[("m", "task")], &[("m", "gen_server")]).len(), 1);
}
