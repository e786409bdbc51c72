//! Tests of restarts into a release and of boots that fail, over a real root and a fake node.

use reld_plan::Vsn;

use crate::error::Error;
use crate::event::Event;
use crate::fake::Fake;
use crate::handler::ReleaseHandler;
use crate::interrupt::Wish;
use crate::node::NodeError;
use crate::order::{End, Ended, Order};
use crate::report::{Outcome, Report};
use crate::settle::Settle;
use crate::site::{Site, both_ways, check, options, shop, vsn};

/// Another daemon version than the one that the releases of these tests need.
const OTHER: Vsn = Vsn::new(1, 1, 0);

fn restarts(handler: &mut ReleaseHandler<Fake>, to: &Vsn) -> Result<Ended, Error> {
    handler.carry_out(Order::Upgrade { to: to.clone(), options: options(), end: End::Restart }, &mut |_| ())
}

/// Makes the boot of the permanent release fail at its first call, and returns its report.
fn boot_fails(site: &Site) -> (ReleaseHandler<Fake>, Report) {
    let mut handler = site.handler();
    handler.node_mut().failing = [0].into();
    let report = handler.boot(&mut |_| ()).unwrap().unwrap();
    assert_eq!(report.outcome, Outcome::RolledBack, "{report}");
    (handler, report)
}

#[test]
fn a_release_that_fails_to_boot_three_times_gives_way_until_another_one_is_committed() {
    let (site, mut handler, targets) = shop();
    handler.goes(&targets[1], Outcome::Installed);
    drop(handler);
    for attempt in 1..=3 {
        let (handler, report) = boot_fails(&site);
        assert_eq!((report.to, handler.gives_way()), (vsn(1), attempt == 3), "attempt {attempt}");
        assert_eq!(handler.gave_way(), None);
    }
    let mut handler = site.handler();
    assert_eq!(handler.boot(&mut |_| ()).unwrap().unwrap().to, vsn(0));
    check(&handler, "1.1.0 old, 1.0.0 permanent");
    let gave_way = handler.gave_way().unwrap();
    assert_eq!((gave_way.release, gave_way.to, gave_way.failed), (vsn(1), vsn(0), 3));
    drop(handler);
    let mut handler = site.handler();
    handler.boot(&mut |_| ()).unwrap();
    assert!(handler.gave_way().is_some(), "still reported after a restart");
    handler.goes(&targets[1], Outcome::Installed);
    assert_eq!(handler.gave_way(), None);
}

#[test]
fn a_boot_that_succeeds_or_is_interrupted_is_not_counted() {
    let (site, mut handler, targets) = shop();
    handler.goes(&targets[1], Outcome::Installed);
    drop(handler);
    boot_fails(&site);
    boot_fails(&site);
    let mut handler = site.handler();
    handler.interrupt().ask(Wish::Stop);
    assert_eq!(handler.boot(&mut |_| ()).unwrap().unwrap().outcome, Outcome::RolledBack);
    assert!(!handler.gives_way());
    drop(handler);
    site.handler().boot(&mut |_| ()).unwrap();
    boot_fails(&site);
    let (handler, _) = boot_fails(&site);
    assert!(!handler.gives_way());
}

#[test]
fn a_restart_into_a_release_is_a_trial_that_fails_once() {
    let (site, mut handler, targets) = shop();
    handler.unpacks(&targets[2]);
    // No appup leads from 1.0.0 to 1.2.0, and a restart needs none.
    restarts(&mut handler, &vsn(2)).unwrap();
    assert!(matches!(handler.install(&vsn(2), options(), &mut |_| ()), Err(Error::NeedsRestart)));
    check(&handler, "1.2.0 permanent, 1.0.0 old");
    drop(handler);
    let (handler, report) = boot_fails(&site);
    assert_eq!((report.to, handler.gives_way()), (vsn(2), true));
    drop(handler);
    let mut handler = site.handler();
    assert_eq!(handler.boot(&mut |_| ()).unwrap().unwrap().to, vsn(0));
    restarts(&mut handler, &vsn(2)).unwrap();
    drop(handler);
    let mut handler = site.handler();
    assert_eq!(handler.boot(&mut |_| ()).unwrap().unwrap().to, vsn(2));
    // After a successful boot the release has three attempts, like any other.
    drop(handler);
    assert!(!boot_fails(&site).0.gives_way());
}

#[test]
fn no_restart_into_a_damaged_or_unknown_release() {
    let (site, mut handler, targets) = shop();
    handler.unpacks(&targets[1]);
    std::fs::write(site.root().join("lib/shop-0.1.1/shop.so"), "library X").unwrap();
    let mut refused = |minor, successor| {
        handler.node_mut().successor = successor;
        match restarts(&mut handler, &vsn(minor)) {
            Err(Error::Refused { obstacles, .. }) => obstacles[0].code().as_str(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(1, None), "files");
    assert_eq!(refused(7, None), "no_such_release");
    std::fs::write(site.root().join("lib/shop-0.1.1/shop.so"), "library 1").unwrap();
    assert_eq!(refused(1, Some(Ok(OTHER))), "other_daemon");
    let gone = NodeError::Successor { reason: "/usr/bin/reld: no such file".to_owned() };
    assert_eq!(refused(1, Some(Err(gone))), "other_daemon");
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");
}

#[test]
fn no_reboot_into_an_old_release_without_a_daemon_to_execute() {
    let (_site, mut handler, targets) = shop();
    handler.goes(&targets[1], Outcome::Installed);
    let gone = NodeError::Successor { reason: "/usr/bin/reld: no such file".to_owned() };
    handler.node_mut().successor = Some(Err(gone));
    let refused = handler.carry_out(Order::RebootOld { vsn: vsn(0) }, &mut |_| ()).unwrap_err();
    assert!(refused.to_string().contains("install reld there first"), "{refused}");
    check(&handler, "1.1.0 permanent, 1.0.0 old");
    assert_eq!(handler.running(), Some(&vsn(1)));
}

#[test]
fn an_upgrade_with_a_script_that_restarts_the_daemon_is_announced_as_a_restart() {
    let (site, mut handler, _) = shop();
    let next = site.pack_modules(1, &["counter"], &both_ways(1, "\"restart_daemon\""));
    handler.unpacks(&next);
    let mut journeys = Vec::new();
    let order = Order::Upgrade { to: vsn(1), options: options(), end: End::Commit(Settle::default()) };
    let ended = handler.carry_out(order, &mut |event| {
        if let Event::Begins(journey) = event {
            journeys.push((journey.from.cloned(), journey.to.clone(), journey.restarts));
        }
    });
    assert!(matches!(ended, Ok(Ended::Restarts { .. })), "{ended:?}");
    assert_eq!(journeys, [(Some(vsn(0)), vsn(1), true)]);
}

#[test]
fn no_commit_confirms_a_release_before_the_restart_into_it() {
    let (_site, mut handler, targets) = shop();
    handler.unpacks(&targets[1]);
    assert!(matches!(restarts(&mut handler, &vsn(1)), Ok(Ended::Restarts { .. })));
    for vsn in [None, Some(vsn(1))] {
        let refused = handler.carry_out(Order::Commit { vsn }, &mut |_| ());
        assert!(matches!(refused, Err(Error::NeedsRestart)), "{refused:?}");
    }
    assert!(handler.releases().permanent().unwrap().unconfirmed);
}
