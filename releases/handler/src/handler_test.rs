//! The releases of a node from boot to boot, over a real root and a fake node.

use crate::error::Error;
use crate::order::{Ended, Order};
use crate::report::Outcome;
use crate::site::{Site, Target, check, classes, options, title, vsn};

#[test]
fn an_empty_root_is_idle_and_the_first_upgrade_boots_it() {
    let site = Site::new();
    let [first, ..] = site.three();
    let mut handler = site.handler();
    assert_eq!(handler.boot(&mut |_| ()).unwrap(), None);
    assert_eq!(handler.running(), None);
    let report = handler.goes(&first, Outcome::Installed);
    assert_eq!((report.from, report.changed, report.permanent), (None, true, true));
    check(&handler, "1.0.0 permanent");
    let (vsn, env) = &handler.node().world.apps[&"shop".parse().unwrap()];
    assert_eq!(
        (vsn.to_string().as_str(), env["vsn"].as_str(), env["minor"].as_u64()),
        ("0.1.0", Some("0.1.0"), Some(0))
    );
}

#[test]
fn a_release_is_unpacked_then_current_then_permanent_and_a_crash_boots_the_permanent_one() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    assert!(handler.unpacks(&second).is_new);
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");
    let report = handler.install(&vsn(1), options(), &mut |_| ()).unwrap();
    assert_eq!((report.outcome, report.permanent), (Outcome::Installed, false));
    check(&handler, "1.1.0 current, 1.0.0 permanent");

    drop(handler);
    let mut handler = site.handler();
    assert_eq!(handler.boot(&mut |_| ()).unwrap().map(|report| report.to), Some(vsn(0)));
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");
    handler.install(&vsn(1), options(), &mut |_| ()).unwrap();
    handler.commits(&vsn(1));
    check(&handler, "1.1.0 permanent, 1.0.0 old");

    drop(handler);
    let mut handler = site.handler();
    let report = handler.boot(&mut |_| ()).unwrap().unwrap();
    assert_eq!((report.from, report.to, report.permanent), (None, vsn(1), true));
    assert_eq!(handler.running(), Some(&vsn(1)));
}

#[test]
fn an_upgrade_to_the_running_release_does_nothing() {
    let site = Site::new();
    let [first, ..] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    let before = handler.node().world.clone();
    let report = handler.goes(&first, Outcome::Installed);
    assert_eq!((report.changed, report.permanent), (false, true));
    assert!(!handler.check_install(&vsn(0), options()).unwrap().changed);
    assert_eq!(handler.node().world, before);
}

#[test]
fn the_observer_gets_each_step_before_it_is_done() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    let mut titles = Vec::new();
    let report = handler
        .upgrade(&second, options(), &mut |event| titles.extend(title(&event).map(str::to_owned)))
        .unwrap();
    let done: Vec<String> = report.steps.into_iter().map(|step| step.title).collect();
    assert_eq!(titles, done);
    let expected = [
        "load_object_code shop-0.1.1",
        "load [counter]",
        "precopy [counter]",
        "suspend [counter]",
        "code_change counter (soft)",
        "compare",
        "switch",
        "kill",
        "resume",
        "sweep",
        "config_change",
        "pre_purge [counter]",
        "soft_purge [counter]",
    ];
    assert_eq!(done, expected);
}

#[test]
fn a_failed_upgrade_leaves_node_and_table_as_they_were() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    let world = handler.node().world.clone();
    handler.fail([handler.node().calls.len() + 2]);
    let report = handler.goes(&second, Outcome::RolledBack);
    assert!(
        report
            .to_string()
            .starts_with("release 1.1.0 was not installed; the node runs 1.0.0 as before\n  step 3 of")
    );
    assert_eq!((handler.running(), &handler.node().world), (Some(&vsn(0)), &world));
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");
    handler.fail([]);
    handler.goes(&Target::Version(vsn(1)), Outcome::Installed);
}

#[test]
fn after_an_incomplete_rollback_nothing_is_installed_until_the_node_restarts() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    let next = handler.node().calls.len();
    handler.fail([next + 2, next + 3]);
    handler.goes(&second, Outcome::NeedsRestart);
    assert!(matches!(handler.install(&vsn(1), options(), &mut |_| ()), Err(Error::NeedsRestart)));
    drop(handler);
    let mut handler = site.handler();
    assert_eq!(handler.boot(&mut |_| ()).unwrap().unwrap().to, vsn(0));
}

#[test]
fn a_boot_that_fails_leaves_the_node_idle_and_another_release_can_be_booted() {
    let site = Site::new();
    let [first, second, _] = site.three();
    site.handler().goes(&first, Outcome::Installed);
    let mut handler = site.handler();
    handler.fail([0]);
    let report = handler.boot(&mut |_| ()).unwrap().unwrap();
    assert_eq!((report.outcome, report.permanent), (Outcome::RolledBack, false));
    assert!(report.to_string().starts_with("release 1.0.0 was not installed; the node is idle as before"));
    assert_eq!(handler.running(), None);
    handler.goes(&second, Outcome::Installed);
    check(&handler, "1.1.0 permanent, 1.0.0 old");
}

#[test]
fn a_downgrade_follows_the_history_of_the_node_across_restarts() {
    let site = Site::new();
    let [first, second, third] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    assert!(matches!(handler.way_back(None), Err(Error::NoPrevious { candidates }) if candidates.is_empty()));
    handler.goes(&second, Outcome::Installed);
    handler.goes(&third, Outcome::Installed);
    handler.goes(&Target::Version(handler.way_back(None).unwrap()), Outcome::Installed);
    check(&handler, "1.2.0 old, 1.1.0 permanent, 1.0.0 old");

    drop(handler);
    let mut handler = site.handler();
    handler.boot(&mut |_| ()).unwrap();
    assert_eq!(handler.way_back(None).unwrap(), vsn(0));
    handler.goes(&Target::Version(vsn(0)), Outcome::Installed);
    // There is nothing further back, and a second downgrade does not go up again.
    let error = handler.way_back(None).unwrap_err();
    assert!(matches!(&error, Error::NoPrevious { candidates } if *candidates == [vsn(2), vsn(1)]), "{error}");
    assert_eq!(handler.way_back(Some(vsn(2))).unwrap(), vsn(2));
}

#[test]
fn a_downgrade_goes_to_no_release_that_never_ran() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    let error = handler.way_back(Some(vsn(1))).unwrap_err();
    assert_eq!(error.to_string(), "release 1.1.0 is unpacked, only one that ran before is allowed here");
}

#[test]
fn an_old_release_is_booted_after_a_restart_and_removed_ones_are_gone() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.goes(&second, Outcome::Installed);
    let ended = handler.carry_out(Order::RebootOld { vsn: vsn(0) }, &mut |_| ()).unwrap();
    assert!(matches!(ended, Ended::Restarts { .. }), "{ended:?}");
    assert!(matches!(handler.check_install(&vsn(1), options()), Err(Error::NeedsRestart)));
    drop(handler);
    let mut handler = site.handler();
    handler.boot(&mut |_| ()).unwrap();
    check(&handler, "1.1.0 old, 1.0.0 permanent");
    handler.removes(&vsn(1));
    check(&handler, "1.0.0 permanent");
    assert!(!site.root().join("lib/shop-0.1.1").exists());
    assert_eq!(classes(&handler.refuses(&vsn(1))), ["no_such_release"]);
}
