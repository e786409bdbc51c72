//! The policy of signatures: which orders it stops, and which ways back it leaves open.

use reld_plan::Vsn;

use crate::error::Error;
use crate::fake::Fake;
use crate::handler::ReleaseHandler;
use crate::options::InstallOptions;
use crate::order::{Ended, Order};
use crate::report::Outcome;
use crate::settle_test::probing;
use crate::site::{Target, check, classes, options, shop, vsn};

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
