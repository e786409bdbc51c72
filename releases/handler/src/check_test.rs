//! Tests of the check before an upgrade, over a real root and a fake node.

use crate::fake::Fake;
use crate::handler::ReleaseHandler;
use crate::node::{Image, OrphanPolicy, OutsiderKind};
use crate::options::InstallOptions;
use crate::report::Outcome;
use crate::site::{Site, both_ways, check, classes, options, vsn};

#[test]
fn the_check_reports_all_obstacles_at_once_and_changes_nothing() {
    let site = Site::new();
    let [first, ..] = site.three();
    let instruction = "{ update = \"counter\" }, { sync_nodes = \"till\", nodes = [\"n1\"] }";
    let second = site.pack(1, &both_ways(1, instruction));
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    handler.with_outsiders();
    let before = handler.node().world.clone();

    let found = handler.check_install(&vsn(1), options()).unwrap();
    assert_eq!(classes(&found.obstacles), ["unsupported", "old_processes", "orphans"]);
    let text = found.obstacles[0].to_string();
    assert!(text.contains("sync_nodes") && text.contains("start the daemon with --fleet"), "{text}");
    let lingers = "task <4.1> (shop:counter) stays on its version until it ends";
    assert_eq!(found.warnings, [lingers]);
    assert!(found.script.is_some());
    let ignoring = InstallOptions { orphans: OrphanPolicy::Ignore, ..options() };
    let found = handler.check_install(&vsn(1), ignoring).unwrap();
    assert_eq!(classes(&found.obstacles), ["unsupported", "old_processes"]);

    assert_eq!(classes(&handler.refuses(&vsn(1))), ["unsupported", "old_processes", "orphans"]);
    assert_eq!(handler.node().world, before);
    check(&handler, "1.1.0 unpacked, 1.0.0 permanent");
}

#[test]
fn the_check_names_the_processes_that_a_brutal_pre_purge_would_kill() {
    let site = Site::new();
    let [first, ..] = site.three();
    let second = site.pack(1, &both_ways(1, "{ update = \"counter\", pre_purge = \"brutal\" }"));
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    handler.with_outsiders();
    let ignoring = InstallOptions { orphans: OrphanPolicy::Ignore, ..options() };
    let found = handler.check_install(&vsn(1), ignoring).unwrap();
    assert_eq!(classes(&found.obstacles), [""; 0]);
    let killed = "of module counter, and would be killed by its brutal pre_purge: <";
    assert!(found.warnings.iter().any(|warning| warning.contains(killed)), "{:?}", found.warnings);
}

#[test]
fn without_a_way_between_two_releases_the_check_names_the_app() {
    let site = Site::new();
    let [first, _, third] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&third);
    let obstacles = handler.refuses(&vsn(2));
    assert_eq!(classes(&obstacles), ["version_not_in_appup"]);
    assert!(obstacles[0].to_string().contains("shop"), "{}", obstacles[0]);
}

#[test]
fn a_release_that_was_changed_on_disk_is_refused() {
    let site = Site::new();
    let [first, second, _] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    std::fs::write(site.root().join("lib/shop-0.1.1/shop.so"), "library X").unwrap();
    assert_eq!(classes(&handler.refuses(&vsn(1))), ["files"]);
    assert_eq!(handler.running(), Some(&vsn(0)));
}

#[test]
fn a_library_that_crashes_where_it_is_tried_is_an_obstacle_and_is_never_loaded() {
    let site = Site::new();
    let [first, second, ..] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    handler.node_mut().crashes_when_probed = Some("shop".parse().unwrap());
    let calls = handler.node().calls.len();
    assert_eq!(classes(&handler.refuses(&vsn(1))), ["library"]);
    assert_eq!(handler.node().calls.len(), calls);
}

#[test]
fn a_new_library_that_will_stay_in_memory_is_a_warning_and_a_running_one_is_not() {
    let site = Site::new();
    let [first, second, ..] = site.three();
    let mut handler = site.handler();
    handler.node_mut().stays = Some("imports putenv".to_owned());
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    let warnings = handler.check_install(&vsn(1), options()).unwrap().warnings;
    assert_eq!(warnings, ["app shop 0.1.1 will stay mapped: imports putenv"]);
}

#[test]
fn a_library_with_threads_that_it_does_not_declare_is_not_replaced() {
    let site = Site::new();
    let [first, second, ..] = site.three();
    let mut handler = site.handler();
    handler.goes(&first, Outcome::Installed);
    handler.unpacks(&second);
    handler.node_mut().starts_threads = Some("shop".parse().unwrap());
    assert_eq!(classes(&handler.refuses(&vsn(1))), ["threads"]);
    handler.node_mut().starts_threads = None;
    handler.goes(&second, Outcome::Installed);
}

#[test]
fn a_refusal_names_the_release_the_running_one_and_the_reason() {
    let site = Site::new();
    let error = site.handler().install(&vsn(7), options(), &mut |_| ()).unwrap_err();
    let expected = "release 1.7.0 was not installed; the node is idle as before\n  \
                    release 1.7.0 is not on this node";
    assert_eq!(error.to_string(), expected);
}

impl ReleaseHandler<Fake> {
    /// Starts a server in the tree, an orphan, a task, and a lingerer in older code.
    fn with_outsiders(&mut self) {
        let fake = self.node_mut();
        fake.spawn("counter", None);
        fake.spawn("counter", Some(OutsiderKind::Orphan));
        fake.spawn("counter", Some(OutsiderKind::Task));
        let old = fake.spawn("counter", None);
        let image = Image(99);
        fake.world.images.insert(image, ("shop".parse().unwrap(), "0.0.9".parse().unwrap()));
        fake.world.modules.get_mut(&"counter".parse().unwrap()).unwrap().old = Some(image);
        fake.world.processes.get_mut(&old).unwrap().image = image;
    }
}

#[test]
fn r1_the_check_names_the_messages_that_the_new_library_no_longer_accepts() {
    let site = Site::new();
    let targets = site.three();
    let mut handler = site.handler();
    handler.goes(&targets[0], Outcome::Installed);
    targets[1..].iter().for_each(|target| drop(handler.unpacks(target)));
    assert_eq!(handler.check_install(&vsn(1), options()).unwrap().warnings, [""; 0]);
    handler.goes(&targets[1], Outcome::Installed);
    let warnings = handler.check_install(&vsn(2), options()).unwrap().warnings;
    let expected = "counter 0.1.2 no longer accepts a call of 0.1.1: `stop` is gone; keep reading the old form for one release";
    assert_eq!(warnings, [expected]);
}

#[test]
fn a_module_that_keeps_its_code_accepts_the_same_messages() {
    let site = Site::new();
    let kept = both_ways(2, "").replace("instructions", "keep = [\"counter\"]\ninstructions");
    let mut handler = site.handler();
    handler.goes(&site.pack(0, ""), Outcome::Installed);
    handler.goes(&site.pack(1, &both_ways(1, "{ update = \"counter\" }")), Outcome::Installed);
    handler.unpacks(&site.pack(2, &kept));
    let warnings = handler.check_install(&vsn(2), options()).unwrap().warnings;
    assert!(!warnings.iter().any(|warning| warning.contains("no longer accepts")), "{warnings:?}");
}
