//! Tests of changes of the node's own configuration, over a real root and a fake node.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use reld_plan::{Config, ConfigEdit};
use serde_json::{Map, Value, json};

use crate::configure::{Configure, Configured};
use crate::error::Error;
use crate::fake::Fake;
use crate::handler::ReleaseHandler;
use crate::report::Outcome;
use crate::settle_test::probing;
use crate::site::{Site, options, shop, vsn};

fn set(text: &str) -> Configure {
    let edit = ConfigEdit { set: Config::parse("set", text).unwrap(), ..ConfigEdit::default() };
    Configure { edit, dry_run: false, limit: Duration::from_secs(1) }
}

fn file(site: &Site) -> PathBuf {
    site.root().join("config.toml")
}

fn env(handler: &ReleaseHandler<Fake>) -> &Map<String, Value> {
    &handler.node().world.apps[&"shop".parse().unwrap()].1
}

#[test]
fn a_change_is_described_carried_out_and_written() {
    let (site, mut handler, _) = shop();
    let dry =
        handler.configure(&Configure { dry_run: true, ..set("shop.minor = 5\nshop.more = 1") }).unwrap();
    let [app] = dry.apps.as_slice() else { panic!("{dry:?}") };
    assert_eq!((app.notified, app.removed.is_empty()), (true, true));
    assert_eq!((json!(app.changed), json!(app.new)), (json!({"minor": 5}), json!({"more": 1})));
    assert_eq!((env(&handler)["minor"].clone(), file(&site).exists()), (json!(0), false));
    assert_eq!(handler.configure(&set("shop.minor = 5\nshop.more = 1")).unwrap(), dry);
    assert_eq!(json!(env(&handler)), json!({"minor": 5, "more": 1, "vsn": "0.1.0"}));
    assert_eq!(fs::read_to_string(file(&site)).unwrap(), "[shop]\nminor = 5\nmore = 1\n");
    assert_eq!(handler.configure(&set("shop.minor = 5")).unwrap(), Configured::default());
}

#[test]
fn an_app_or_a_disk_that_refuses_leaves_everything_as_before() {
    let (site, mut handler, _) = shop();
    let world = handler.node().world.clone();
    handler.fail([handler.node().calls.len()]);
    let refused = handler.configure(&set("shop.minor = 5")).unwrap_err().to_string();
    assert_eq!(refused, "cannot change the configuration of the node: app shop: no; it is as before");
    assert!(!file(&site).exists());
    // A link is not replaced, so the write fails after the app was notified.
    let target = site.root().join("target.toml");
    fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, file(&site)).unwrap();
    let refused = handler.configure(&set("shop.minor = 5")).unwrap_err();
    assert!(
        matches!(&refused, Error::NotConfigured { not_undone, .. } if not_undone.is_empty()),
        "{refused}"
    );
    assert_eq!(handler.node().world, world);
    assert_eq!(handler.node().calls.iter().rev().take(2).collect::<Vec<_>>(), [&"configure", &"configure"]);
}

#[test]
fn values_that_cannot_be_handed_over_and_unknown_apps_are_refused() {
    let (site, mut handler, _) = shop();
    for (text, reason) in [
        ("shop.'$bin' = 1", "cannot configure shop: env.$bin cannot be handed over"),
        ("shpo.minor = 1", "cannot configure shpo: release 1.0.0 has no such app; its apps: shop"),
    ] {
        let refused = handler.configure(&set(text)).unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
    }
    assert!(!file(&site).exists());
}

#[test]
fn a_way_back_leads_to_the_configuration_that_was_in_force() {
    let (site, mut handler, targets) = shop();
    handler.configure(&set("shop.speed = 1")).unwrap();
    fs::write(file(&site), "shop.speed = 2\n").unwrap();
    handler.fail([handler.node().calls.len()]);
    handler.goes(&targets[1], Outcome::RolledBack);
    assert_eq!(env(&handler)["speed"], 1);
    handler.fail([]);
    let report =
        handler.upgrade_settled(&targets[1], options(), probing(Some("wrong")), &mut |_| ()).unwrap();
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
    assert_eq!((env(&handler)["speed"].clone(), env(&handler)["minor"].clone()), (json!(1), json!(0)));
    handler.goes(&targets[1], Outcome::Installed);
    assert_eq!((env(&handler)["speed"].clone(), env(&handler)["minor"].clone()), (json!(2), json!(1)));
}

#[test]
fn a_broken_file_stops_a_check_and_an_upgrade_and_no_way_back() {
    let (site, mut handler, targets) = shop();
    handler.unpacks(&targets[1]);
    fs::write(file(&site), "shop.speed =\n").unwrap();
    let check = handler.check_install(&vsn(1), options()).unwrap_err();
    let upgrade = handler.upgrade(&targets[1], options(), &mut |_| ()).unwrap_err();
    for refused in [check, upgrade] {
        assert!(refused.to_string().contains("config.toml:1:13"), "{refused}");
    }
    fs::write(file(&site), "").unwrap();
    let path = file(&site);
    let mut breaks = move |_: crate::event::Event<'_>| fs::write(&path, "shop.speed =\n").unwrap();
    let report =
        handler.upgrade_settled(&targets[1], options(), probing(Some("wrong")), &mut breaks).unwrap();
    assert_eq!(report.outcome, Outcome::TakenBack, "{report}");
}
