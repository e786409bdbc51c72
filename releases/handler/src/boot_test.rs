//! Tests that every install also plans the boot of its target, over a real root and a fake node.

use reld_plan::{Behaviours, Windows};

use crate::error::{Error, Obstacle};
use crate::fake::Fake;
use crate::handler::ReleaseHandler;
use crate::options::InstallOptions;
use crate::order::{End, Order};
use crate::report::Outcome;
use crate::site::{Site, Target, both_ways, options, vsn};

const MODULES: [&str; 2] = ["counter", "counter_app"];

fn behaviours(counter: &str) -> Behaviours {
    let modules = [("counter", counter), ("counter_app", "application")];
    modules.map(|(module, word)| (module.parse().unwrap(), word.to_owned())).into_iter().collect()
}

/// Returns a node that runs 1.0.0 with an app that has an application module. The node has unpacked
/// 1.1.0 with this instruction and these changes.
fn shop(instruction: &str, changes: &[(&str, &str)]) -> (Site, ReleaseHandler<Fake>, Target) {
    let site = Site::new();
    let mut handler = site.handler();
    handler.node_mut().behaviours = behaviours("gen_server");
    let start = ("env =", "start = \"counter_app\"\nenv =");
    handler.goes(&site.pack_changed(0, &MODULES, "", &[start]), Outcome::Installed);
    let next = site.pack_changed(1, &MODULES, &both_ways(1, instruction), &[&[start], changes].concat());
    handler.unpacks(&next);
    (site, handler, next)
}

#[track_caller]
fn check_obstacles(obstacles: &[Obstacle], expected: &[(&str, &str)]) {
    let found: Vec<_> =
        obstacles.iter().map(|obstacle| (obstacle.code().as_str(), obstacle.to_string())).collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((class, text), (wanted, words)) in found.iter().zip(expected) {
        assert!(class == wanted && text.contains(words), "{class}: {text}");
    }
}

const UPDATE: &str = "{ update = \"counter\" }";

/// Tests that every order to move to a release with these changes is refused with this obstacle,
/// and that it changes nothing.
#[track_caller]
fn check_refused(changes: &[(&str, &str)], expected: (&str, &str)) {
    let (site, mut handler, next) = shop(UPDATE, changes);
    let before = handler.node().world.clone();
    let windows = InstallOptions { windows: Windows::Group, ..options() };
    for options in [options(), windows] {
        let check = handler.check_install(&vsn(1), options).unwrap();
        check_obstacles(&check.obstacles, &[expected]);
        let Err(Error::Refused { obstacles, .. }) = handler.install(&vsn(1), options, &mut |_| ()) else {
            panic!("not refused");
        };
        check_obstacles(&obstacles, &[expected]);
    }
    let order = Order::Upgrade { to: vsn(1), options: options(), end: End::Restart };
    let restart = handler.carry_out(order, &mut |_| ());
    let Err(Error::Refused { obstacles, .. }) = restart else { panic!("not refused: {restart:?}") };
    check_obstacles(&obstacles, &[expected]);
    let app = handler.replace(site.single(&next), options());
    let Err(Error::Refused { obstacles, .. }) = app else { panic!("not refused: {app:?}") };
    check_obstacles(&obstacles, &[expected]);
    assert_eq!(handler.node().world, before);
    // A node without a release does not boot it either.
    let empty = Site::new();
    let mut idle = empty.handler();
    idle.node_mut().behaviours = behaviours("gen_server");
    idle.unpacks(&next);
    check_obstacles(&idle.refuses(&vsn(1)), &[expected]);
}

#[test]
fn a_release_that_could_not_boot_is_refused_by_every_order() {
    let starts = |module| [("\"counter_app\"\nenv", module)];
    check_refused(
        &starts("\"ghost\"\nenv"),
        ("no_start_module", "shop cannot start: its library has no module ghost"),
    );
    check_refused(
        &starts("\"counter\"\nenv"),
        (
            "not_an_application",
            "shop cannot start: its start module counter is a gen_server, not an application",
        ),
    );
    check_refused(
        &[("env = {", "env = { \"$bin\" = 5,")],
        ("application", "app shop 0.1.1 could not be started: env.$bin cannot be handed over"),
    );
    check_refused(
        &[("env =", "applications = [\"shop\"]\nenv =")],
        ("not_started", "shop cannot start: it needs itself"),
    );
}

#[test]
fn a_downgrade_to_a_release_that_could_not_boot_is_refused() {
    let (_site, mut handler, next) = shop(UPDATE, &[]);
    handler.goes(&next, Outcome::Installed);
    // The behaviours change after the install of 1.0.0, as if an earlier daemon without this check
    // had installed it.
    handler.node_mut().behaviours =
        [("counter_app".parse().unwrap(), "task".to_owned())].into_iter().collect();
    check_obstacles(
        &handler.refuses(&vsn(0)),
        &[("not_an_application", "its start module counter_app is a task")],
    );
}

#[test]
fn the_record_of_the_packer_counts_if_a_library_has_no_table() {
    let (_site, mut handler, _) = shop(UPDATE, &[("\"counter_app\"\nenv", "\"counter\"\nenv")]);
    handler.node_mut().behaviours = Behaviours::default();
    check_obstacles(&handler.refuses(&vsn(1)), &[("not_an_application", "counter is a gen_server")]);
}

/// Checks that the check and the report of the upgrade have exactly the expected warnings.
#[track_caller]
fn check_warned(changes: &[(&str, &str)], prepare: impl FnOnce(&mut Fake), expected: &[&str]) {
    let (_site, mut handler, next) = shop(UPDATE, changes);
    prepare(handler.node_mut());
    let warnings = handler.check_install(&vsn(1), options()).unwrap().warnings;
    assert_eq!(warnings, expected);
    let report = handler.goes(&next, Outcome::Installed);
    assert_eq!(report.warnings, expected);
}

#[test]
fn differences_after_a_restart_are_warnings() {
    check_warned(&[], |_| (), &[]);
    for start_type in ["load", "none"] {
        let typed = format!("daemon = \"1.0.0\"\n[[app]]\ntype = \"{start_type}\"\n");
        let message =
            format!("a restart would not start these running apps: shop (its type is {start_type})");
        check_warned(&[("daemon = \"1.0.0\"\n[[app]]\n", &typed)], |_| (), &[&message]);
    }
    let no_start = "a restart would not start these running apps: shop (its app.toml names no start)";
    check_warned(&[("start = \"counter_app\"\n", "")], |_| (), &[no_start]);
    let phases = "a restart would run the start phases [go] of shop, which no upgrade runs";
    check_warned(&[("env =", "start_phases = [{ name = \"go\" }]\nenv =")], |_| (), &[phases]);
    let stopped = |node: &mut Fake| node.world.running_apps.clear();
    check_warned(&[], stopped, &["a restart would start apps that do not run now: shop"]);
}

#[test]
fn a_step_that_does_not_fit_its_module_is_reported_once_with_its_number() {
    let call = format!("{UPDATE}, {{ apply = \"counter:ghost\" }}");
    let (_site, mut handler, _) = shop(&call, &[]);
    let message = "apply counter:ghost(): module counter is a gen_server, but apply needs a task";
    check_obstacles(&handler.refuses(&vsn(1)), &[("bad_script", message)]);
    handler.node_mut().behaviours = behaviours("task");
    check_obstacles(
        &handler.refuses(&vsn(1)),
        &[("call", "counter:ghost() would fail: unknown variant `ghost`")],
    );
    let (_site, mut handler, _) = shop("{ update = \"counter\", change = \"supervisor\" }", &[]);
    check_obstacles(
        &handler.refuses(&vsn(1)),
        &[("bad_script", "change = \"supervisor\" needs a supervisor")],
    );
}
