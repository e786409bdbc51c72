//! Replaces one app of the running release (OTP: upgrade_app), over a real root and a fake node.

use reld_plan::Vsn;

use crate::error::Error;
use crate::fake::Fake;
use crate::handler::ReleaseHandler;
use crate::report::{Outcome, Report};
use crate::settle_test::probing;
use crate::site::{Site, Target, check, options, vsn};

/// A node that runs release 1.0.0, and the tarballs of three releases with one app each.
fn shop() -> (Site, ReleaseHandler<Fake>, [Target; 3]) {
    let site = Site::new();
    let releases = site.three();
    let mut handler = site.handler();
    handler.goes(&releases[0], Outcome::Installed);
    (site, handler, releases)
}

#[track_caller]
fn replaces(site: &Site, handler: &mut ReleaseHandler<Fake>, tarball: &Target) -> Report {
    let report = handler.replace(site.single(tarball), options()).unwrap();
    assert_eq!((report.outcome, report.permanent), (Outcome::Installed, false), "{report}");
    report
}

#[track_caller]
fn runs(handler: &ReleaseHandler<Fake>, expected: &str) {
    let (vsn, env) = &handler.node().world.apps[&"shop".parse().unwrap()];
    assert_eq!((vsn.to_string().as_str(), env["vsn"].as_str()), (expected, Some(expected)));
}

#[test]
fn an_app_is_replaced_up_and_down_in_a_release_that_stays() {
    let (site, mut handler, [first, second, _]) = shop();
    let report = replaces(&site, &mut handler, &second);
    assert!(report.to_string().starts_with("app shop 0.1.1 runs; 1 processes held"), "{report}");
    runs(&handler, "0.1.1");
    check(&handler, "1.0.0 permanent");
    assert_eq!(handler.running(), Some(&vsn(0)));

    replaces(&site, &mut handler, &first);
    runs(&handler, "0.1.0");
    drop(handler);
    let mut handler = site.handler();
    handler.boot(&mut |_| ()).unwrap();
    runs(&handler, "0.1.0");
}

#[test]
fn every_plan_begins_with_the_app_that_actually_runs() {
    let (site, mut handler, [_, second, third]) = shop();
    replaces(&site, &mut handler, &second);
    // No appup leads from the packed version 0.1.0 to 0.1.2.
    handler.goes(&third, Outcome::Installed);
    runs(&handler, "0.1.2");
    check(&handler, "1.2.0 permanent, 1.0.0 old");
}

#[test]
fn installing_the_release_again_takes_the_app_back() {
    let (site, mut handler, [_, second, _]) = shop();
    replaces(&site, &mut handler, &second);
    let report = handler.goes(&Target::Version(vsn(0)), Outcome::Installed);
    assert_eq!((report.from, report.to, report.changed), (Some(vsn(0)), vsn(0), true));
    runs(&handler, "0.1.0");
    assert!(!handler.goes(&Target::Version(vsn(0)), Outcome::Installed).changed);
}

#[test]
fn a_release_that_does_not_settle_gives_way_to_the_replaced_app() {
    let (site, mut handler, [_, second, third]) = shop();
    replaces(&site, &mut handler, &second);
    let settle = probing(Some("it is not well"));
    let report = handler.upgrade_settled(&third, options(), settle, &mut |_| ()).unwrap();
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
    runs(&handler, "0.1.1");
    handler.goes(&third, Outcome::Installed);
}

#[test]
fn a_failed_replacement_leaves_everything_as_it_was() {
    let (site, mut handler, [_, second, _]) = shop();
    let world = handler.node().world.clone();
    let next = handler.node().calls.len();
    handler.node_mut().failing = [next + 2].into();
    let report = handler.replace(site.single(&second), options()).unwrap();
    let expected = "app shop 0.1.1 was not installed; the node runs 1.0.0 as before\n  step 3 of";
    assert!(report.to_string().starts_with(expected), "{report}");
    assert_eq!(handler.node().world, world);
}

#[test]
fn s50_the_version_that_runs_an_unknown_app_and_an_idle_node_are_refused() {
    let (site, mut handler, [first, second, third]) = shop();
    let refused = |handler: &mut ReleaseHandler<Fake>, tarball: &Target| match handler
        .replace(site.single(tarball), options())
    {
        Err(Error::Refused { obstacles, .. }) => {
            obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect::<Vec<_>>()
        }
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(refused(&mut handler, &first), ["version_not_in_appup"]);
    assert_eq!(refused(&mut handler, &third), ["version_not_in_appup"]);
    let found = handler.check_app(site.single(&first), options()).unwrap();
    assert_eq!(
        found.obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect::<Vec<_>>(),
        ["version_not_in_appup"]
    );
    assert_eq!(handler.check_app(site.single(&second), options()).unwrap().obstacles, []);

    let mut stranger = site.single(&second);
    stranger.docs.app.name = "till".parse().unwrap();
    stranger.library.app = "till".parse().unwrap();
    let error = handler.replace(stranger, options()).unwrap_err();
    assert!(error.to_string().contains("till"), "{error}");
    runs(&handler, "0.1.0");

    let idle = Site::new();
    let error = idle.handler().replace(site.single(&second), options()).unwrap_err();
    assert!(matches!(error, Error::Idle));
    assert_eq!(handler.running(), Some(&Vsn::new(1, 0, 0)));
}
