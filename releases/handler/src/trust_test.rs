//! The policy of signatures: which orders it stops, and which ways back it leaves open.

use reld_plan::Vsn;

use crate::error::Error;
use crate::fake::Fake;
use crate::handler::ReleaseHandler;
use crate::options::InstallOptions;
use crate::order::{Ended, Order};
use crate::report::Outcome;
use crate::settle_test::probing;
use crate::site::{Site, Target, both_ways, check, classes, options, shop, vsn};

fn reboots_old(handler: &mut ReleaseHandler<Fake>, vsn: &Vsn) -> Result<Ended, Error> {
    handler.carry_out(Order::RebootOld { vsn: vsn.clone() }, &mut |_| ())
}

#[test]
fn no_reboot_into_an_old_release_that_is_not_trusted() {
    let (site, mut handler, targets) = shop();
    handler.unpacks(&targets[1]);
    handler.install(&vsn(1), options(), &mut |_| ()).unwrap();
    handler.install(&vsn(0), options(), &mut |_| ()).unwrap();
    check(&handler, "1.1.0 old, 1.0.0 permanent");
    site.require("signed");
    match reboots_old(&mut handler, &vsn(1)) {
        Err(Error::Refused { obstacles, .. }) => assert_eq!(classes(&obstacles), ["untrusted"]),
        other => panic!("not refused: {other:?}"),
    }
    check(&handler, "1.1.0 old, 1.0.0 permanent");
    site.require("warn");
    assert!(matches!(reboots_old(&mut handler, &vsn(1)), Ok(Ended::Restarts { .. })));
}

#[test]
fn a_release_or_an_app_that_is_not_trusted_is_not_even_tried() {
    let (site, mut handler, targets) = shop();
    handler.unpacks(&targets[1]);
    site.require("signed");
    handler.node_mut().crashes_when_probed = Some("shop".parse().unwrap());
    let app = site.single(&targets[1]);
    let checked = handler.check_app(app.clone(), options()).unwrap();
    assert_eq!(classes(&checked.obstacles), ["unsigned"]);
    assert_eq!(classes(&handler.check_install(&vsn(1), options()).unwrap().obstacles), ["untrusted"]);
    let accepted = InstallOptions { unsigned: true, ..options() };
    let checked = handler.check_app(app, accepted).unwrap();
    assert_eq!(classes(&checked.obstacles), ["library"], "now it is tried");
}

#[test]
fn an_order_can_have_a_release_that_was_permanent_judged_as_a_new_one() {
    let (site, mut handler, targets) = shop();
    handler.unpacks(&targets[1]);
    handler.install(&vsn(1), options(), &mut |_| ()).unwrap();
    handler.commits(&vsn(1));
    handler.install(&vsn(0), options(), &mut |_| ()).unwrap();
    site.require("signed");
    let as_new = InstallOptions { as_new: true, ..options() };
    assert_eq!(classes(&handler.check_install(&vsn(1), as_new).unwrap().obstacles), ["untrusted"]);
    assert_eq!(classes(&handler.check_install(&vsn(1), options()).unwrap().obstacles), [""; 0]);
}

#[test]
fn a_release_is_taken_back_to_one_that_the_policy_of_today_refuses() {
    let (site, mut handler, targets) = shop();
    handler.unpacks(&targets[1]);
    handler.install(&vsn(1), options(), &mut |_| ()).unwrap();
    let on = InstallOptions { supersede: true, ..options() };
    let mut stricter = |_: crate::event::Event<'_>| site.require("signed");
    let report = handler.upgrade_settled(&targets[2], on, probing(Some("wrong")), &mut stricter).unwrap();
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
    assert_eq!(handler.running(), Some(&vsn(1)));
    assert_eq!(classes(&handler.refuses(&vsn(2))), ["untrusted", "unconfirmed"]);
}

#[test]
fn a_release_is_taken_back_to_an_app_by_hand_that_the_policy_of_today_refuses() {
    let (site, mut handler, targets) = shop();
    handler.replace(site.single(&targets[1]), options()).unwrap();
    let mut stricter = |_: crate::event::Event<'_>| site.require("signed");
    let probe = probing(Some("wrong"));
    let report = handler.upgrade_settled(&targets[2], options(), probe, &mut stricter).unwrap();
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
    assert_eq!(handler.running(), Some(&vsn(0)));
    let runs = &handler.node().world.apps[&"shop".parse().unwrap()].0;
    assert_eq!(runs.to_string(), "0.1.1");
    assert!(matches!(
        handler.upgrade(&Target::Version(vsn(2)), options(), &mut |_| ()),
        Err(Error::Refused { .. })
    ));
}

/// Damages the permanent release 1.2.0, which followed on the uncommitted 1.1.0, and boots the node
/// under a policy.
#[track_caller]
fn boots_uncommitted(
    site: &Site,
    mut handler: ReleaseHandler<Fake>,
    [next, last]: &[Target; 2],
    policy: &str,
) {
    handler.unpacks(next);
    handler.install(&vsn(1), options(), &mut |_| ()).unwrap();
    let on = InstallOptions { supersede: true, ..options() };
    handler.upgrade(last, on, &mut |_| ()).unwrap();
    drop(handler);
    site.require(policy);
    std::fs::write(site.root().join("lib/shop-0.1.2/shop.so"), "library X").unwrap();
    let mut handler = site.handler();
    let report = handler.boot(&mut |_| ()).unwrap().unwrap();
    assert_eq!((report.to.clone(), report.outcome), (vsn(1), Outcome::Installed), "{report}");
    let warnings = report.warnings.join("\n");
    assert!(warnings.contains("cannot boot release 1.2.0") && warnings.contains("is changed"), "{warnings}");
    check(&handler, "1.2.0 permanent, 1.1.0 current, 1.0.0 old");
}

#[test]
fn an_uncommitted_release_runs_in_place_of_a_damaged_one_whatever_the_policy_is() {
    for policy in ["signed", "sigend"] {
        let (site, handler, [_, next, last]) = shop();
        boots_uncommitted(&site, handler, &[next, last], policy);
    }
}

#[test]
fn an_uncommitted_release_below_the_floor_runs_in_place_of_a_damaged_one() {
    let (site, handler, _) = shop();
    let targets = [(1, 46), (2, 47)].map(|(minor, serial)| {
        let serial = format!("serial = {serial}\ndaemon =");
        let entries = both_ways(minor, "{ update = \"counter\" }");
        site.pack_changed(minor, &["counter"], &entries, &[("daemon =", &serial)])
    });
    boots_uncommitted(&site, handler, &targets, "off");
}
