//! A script cut into windows by group, and the way back after its first windows.

use reld_plan::{Action, AppDocs, Mark, Rel, Release, Script, Windows, plan_windows};

/// A release with these apps: name, version, modules, appup entries.
fn release(version: &str, apps: &[(&str, &str, &[&str], &str)]) -> Release {
    let docs = apps.iter().map(|(name, vsn, modules, entries)| {
        let app = format!("name = '{name}'\nversion = '{vsn}'\nmodules = {modules:?}");
        let appup = format!("app = '{name}'\nversion = '{vsn}'\n{entries}");
        AppDocs::parse(("app.toml", &app), Some(("appup.toml", &appup))).unwrap()
    });
    let listed: String =
        apps.iter().map(|(name, vsn, ..)| format!("[[app]]\nname = '{name}'\nversion = '{vsn}'\n")).collect();
    let rel = format!("name = 'shop'\nversion = '{version}'\ndaemon = '1.0.0'\n{listed}");
    Release::new(Rel::parse("release.toml", &rel).unwrap(), docs).unwrap()
}

/// Returns the scripts of both directions for an app, with windows by group.
fn both_ways(modules: &[&str], up: &str, down: &str) -> [Script; 2] {
    let entries = format!(
        "[[up]]\nfrom = '1.0.0'\ninstructions = [{up}]\n[[down]]\nto = '1.0.0'\ninstructions = [{down}]\n"
    );
    let old = release("1.0.0", &[("a", "1.0.0", modules, "")]);
    let new = release("2.0.0", &[("a", "2.0.0", modules, &entries)]);
    [(&old, &new), (&new, &old)].map(|(from, to)| plan_windows(from, to, Windows::Group).unwrap())
}

/// Describes a step in one word.
fn word(action: &Action) -> String {
    match action {
        Action::Load { module, implied: true, .. } => format!("implied {module}"),
        Action::Load { module, .. } => format!("load {module}"),
        Action::CodeChange { module, .. } => format!("change {module}"),
        Action::Apply(call) => call.function.clone(),
        Action::LoadObjectCode { app, .. } => format!("open {app}"),
        Action::StartApplication { app, .. } => format!("start {app}"),
        Action::RestartApplication { app, .. } => format!("restart {app}"),
        action => action.word().to_owned(),
    }
}

#[track_caller]
fn check(script: &Script, expected: &[&str]) {
    script.check().unwrap();
    let window = |steps: &[reld_plan::Step]| {
        steps.iter().map(|step| word(&step.action)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(script.windows().map(window).collect::<Vec<_>>(), expected, "\n{script}");
}

const TWO: &str =
    "{ update = 'm1', change = { advanced = 1 } }, { update = 'm2', change = { advanced = 2 } }";

#[test]
fn each_group_is_a_window_and_unnamed_modules_move_with_the_first_of_their_library() {
    let [up, down] = both_ways(&["m1", "m2", "m3"], TWO, TWO);
    check(
        &up,
        &[
            "open a, load m1, implied m3, suspend, change m1, switch, resume",
            "open a, load m2, suspend, change m2, switch, resume",
        ],
    );
    check(
        &down,
        &[
            "open a, load m1, implied m3, suspend, change m1, switch, resume",
            "open a, load m2, suspend, change m2, switch, resume",
        ],
    );
    let windows: Vec<_> = up.steps.iter().map(|step| step.window.unwrap()).collect();
    assert_eq!(windows, [1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
}

#[test]
fn modules_that_depend_on_each_other_are_one_window_and_one_window_has_no_number() {
    let both = "{ update = 'm1', deps = ['m2'] }, { update = 'm2' }";
    let [up, _] = both_ways(&["m1", "m2"], both, both);
    check(&up, &["open a, load m2, load m1, suspend, switch, resume"]);
    assert!(up.steps.iter().all(|step| step.window.is_none()));
}

#[test]
fn starts_stay_in_the_earlier_window_and_terminations_and_preparations_move_to_the_next() {
    let up = "{ update = 'm1', change = 'supervisor' }, { apply = 'supervisor:restart_child', args = ['a', 'x'] }, \
              { apply = 'm3:prepare', args = [] }, { update = 'm2' }, { load_module = 'm3' }";
    let down = "{ update = 'm2' }, { load_module = 'm3' }, { apply = 'supervisor:terminate_child', args = ['a', 'x'] }, \
                { apply = 'supervisor:delete_child', args = ['a', 'x'] }, { update = 'm1', change = 'supervisor' }";
    let [up, down] = both_ways(&["m1", "m2", "m3"], up, down);
    check(
        &up,
        &[
            "open a, load m1, suspend, change m1, switch, restart_child, resume",
            "open a, load m2, load m3, suspend, prepare, switch, resume",
        ],
    );
    check(
        &down,
        &[
            "open a, load m2, load m3, suspend, switch, resume",
            "open a, load m1, suspend, change m1, switch, resume, terminate_child, delete_child",
        ],
    );
}

#[test]
fn a_call_waits_after_starts_unless_it_may_prepare_a_conversion_and_group_windows_keep_the_order() {
    let sup =
        "{ update = 'm1', change = 'supervisor' }, { apply = 'supervisor:restart_child', args = ['a', 'x'] }";
    let uses = "{ load_module = 'm3' }, { apply = 'm3:uses', args = [] }";
    let planned = |instructions: &str, windows| {
        let entries = format!("[[up]]\nfrom = '1.0.0'\ninstructions = [{instructions}]\n");
        let modules = &["m1", "m2", "m3"];
        let old = release("1.0.0", &[("a", "1.0.0", modules, "")]);
        plan_windows(&old, &release("2.0.0", &[("a", "2.0.0", modules, &entries)]), windows).unwrap()
    };
    let last = format!("{sup}, {uses}");
    let expected =
        ["open a, load m1, load m3, implied m2, suspend, change m1, switch, restart_child, resume, uses"];
    for windows in [Windows::Release, Windows::Group] {
        let script = planned(&last, windows);
        check(&script, &expected);
        assert_eq!((script.steps.last().unwrap().mark, &*script.warnings), (Mark::TakenBack, &[][..]));
    }
    // Before a soft update, the call waits until after the switch too: the update has no conversion
    // that could need the call.
    let soft = planned(&format!("{last}, {{ update = 'm2' }}"), Windows::Release);
    check(
        &soft,
        &["open a, load m1, load m3, load m2, suspend, change m1, switch, restart_child, resume, uses"],
    );
    let advanced = format!("{last}, {{ update = 'm2', change = {{ advanced = 1 }} }}");
    let one = planned(&advanced, Windows::Release);
    check(
        &one,
        &[
            "open a, load m1, load m3, load m2, suspend, change m1, uses, change m2, switch, restart_child, resume",
        ],
    );
    let warnings: Vec<String> = one.warnings.iter().map(ToString::to_string).collect();
    let warning = "apply m3:uses() is written after apply supervisor:restart_child(\"a\", \"x\") but runs before \
                   it, because it may prepare code_change m2; write it after the update of m2, or upgrade with \
                   --group-windows";
    assert_eq!(warnings, [warning]);
    let groups = planned(&advanced, Windows::Group);
    check(
        &groups,
        &[
            "open a, load m1, load m3, suspend, change m1, switch, restart_child, resume",
            "open a, load m2, suspend, uses, change m2, switch, resume",
        ],
    );
    assert_eq!(groups.warnings, []);
}

#[test]
fn a_child_starts_before_the_resume_unless_an_earlier_line_runs_later() {
    let sup = "{ update = 'm1', change = 'supervisor' }";
    let call = |function: &str| format!("{{ apply = 'supervisor:{function}', args = ['a', 'x'] }}");
    let planned = |instructions: &[&str]| both_ways(&["m1"], &instructions.join(", "), sup)[0].clone();
    let missing = |script: &Script| {
        script
            .steps
            .iter()
            .filter(|step| step.order.child_missing)
            .map(|step| word(&step.action))
            .collect::<Vec<_>>()
    };
    let first = planned(&[sup, &call("restart_child"), &call("delete_child")]);
    check(&first, &["open a, load m1, suspend, change m1, switch, restart_child, resume, delete_child"]);
    assert_eq!(missing(&first), [""; 0]);
    let behind = planned(&[&call("delete_child"), sup, &call("restart_child")]);
    check(&behind, &["open a, load m1, suspend, change m1, switch, resume, delete_child, restart_child"]);
    assert_eq!(missing(&behind), ["restart_child"]);
    let line = behind.steps.last().unwrap().to_string();
    assert!(
        line.contains("  -- appup of a; its child is missing from the resume until this step; "),
        "{line}"
    );
}

#[test]
fn a_stop_and_its_start_are_not_cut_apart() {
    let by_hand = "{ load_object_code = ['m1', 'm2'], app = 'a', vsn = 'V' }, 'point_of_no_return', { stop = ['m1'] }, \
                   { suspend = ['m2'] }, { load = 'm2' }, { resume = ['m2'] }, { suspend = ['m3'] }, { resume = ['m3'] }, \
                   { load = 'm1' }, { start = ['m1'] }";
    let [up, _] =
        both_ways(&["m1", "m2", "m3"], &by_hand.replace('V', "2.0.0"), &by_hand.replace('V', "1.0.0"));
    assert_eq!(up.windows().count(), 1, "\n{up}");
    let restart = "[[up]]\nfrom = '1.0.0'\ninstructions = [{ restart_application = 'b' }]\n";
    let update =
        |module: &str| format!("[[up]]\nfrom = '1.0.0'\ninstructions = [{{ update = '{module}' }}]\n");
    let old = release("1.0.0", &["a", "b", "c"].map(|app| (app, "1.0.0", module_of(app), "")));
    let (a, c) = (update("ma"), update("mc"));
    let new = release(
        "2.0.0",
        &[("a", "2.0.0", &["ma"], &a), ("b", "2.0.0", &["mb"], restart), ("c", "2.0.0", &["mc"], &c)],
    );
    check(
        &plan_windows(&old, &new, Windows::Group).unwrap(),
        &[
            "open a, open b, restart b, load ma, load mb, suspend, switch, resume",
            "open c, load mc, suspend, switch, resume",
        ],
    );
}

fn module_of(app: &str) -> &'static [&'static str] {
    match app {
        "a" => &["ma"],
        "b" => &["mb"],
        _ => &["mc"],
    }
}

#[test]
fn the_way_back_from_the_first_windows_has_only_steps_for_changed_modules() {
    let up = "{ update = 'm1', change = { advanced = 1 } }, { apply = 'm4:there', args = [] }, { update = 'm2' }, \
              { update = 'm3' }";
    let down = "{ update = 'm3' }, { update = 'm2' }, { apply = 'm4:back', args = [] }, \
                { update = 'm1', change = { advanced = 1 } }";
    let [up, down] = both_ways(&["m1", "m2", "m3", "m4"], up, down);
    assert_eq!(up.windows().count(), 3, "\n{up}");
    // Going up, m4 moved with m1, because no instruction names it; going down, it is in the window
    // of m3.
    let m4 = "open a, implied m4, switch";
    let m1 = "open a, load m1, suspend, back, change m1, switch, resume";
    let m2 = "open a, load m2, suspend, switch, resume";
    check(&down.about(&up.moved(1)), &[m4, m1]);
    check(&down.about(&up.moved(2)), &[m4, m2, m1]);
    check(&down.about(&up.moved(3)), &["open a, load m3, implied m4, suspend, switch, resume", m2, m1]);
    assert!(down.about(&up.moved(0)).steps.is_empty());
}

#[test]
fn calls_go_with_their_window() {
    let up = "{ update = 'm1' }, { apply = 'm1:there', args = [] }, { update = 'm2' }";
    let down = "{ apply = 'm1:back', args = [] }, { update = 'm2' }, { update = 'm1' }";
    let [up, down] = both_ways(&["m1", "m2"], up, down);
    check(&down.about(&up.moved(1)), &["open a, load m1, suspend, switch, resume"]);
    check(
        &down.about(&up.moved(2)),
        &["open a, load m2, suspend, back, switch, resume", "open a, load m1, suspend, switch, resume"],
    );
}

#[test]
fn a_call_for_a_child_is_kept_if_the_upgrade_made_a_call_for_that_child() {
    let call =
        |function: &str, id: &str| format!("{{ apply = 'supervisor:{function}', args = ['a', '{id}'] }}");
    let rename = |id: &str, new: &str| {
        format!("{{ apply = 'supervisor:rename_child', args = ['a', '{id}', '{new}'] }}")
    };
    let sup = "{ update = 'm2', change = 'supervisor' }";
    let [up, down] = both_ways(
        &["m1", "m2"],
        &[&rename("old", "new"), "{ update = 'm1' }", sup, &call("restart_child", "x")].join(", "),
        &[&call("terminate_child", "x"), &rename("new", "old"), sup, "{ update = 'm1' }"].join(", "),
    );
    let m1 = "open a, load m1, suspend, switch, resume";
    check(&down.about(&up.moved(1)), &["rename_child, switch", m1]);
    let all = "open a, rename_child, load m2, suspend, change m2, switch, resume, terminate_child";
    check(&down.about(&up.moved(2)), &[all, m1]);
}
