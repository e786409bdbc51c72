//! Scripts that are reviewed and packed with their release (`relup.toml`).

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reld_tests::{Node, assert_contains, eventually, field, folder, keys, pack_release, release};

/// Packs a release with a relup.
pub(crate) fn packed_with(place: &Path, apps: &str, release: &str, relup: &str) -> String {
    let (file, tarball) = (place.join("release.toml"), place.join("release.tar.gz"));
    fs::copy(folder(apps).join(format!("releases/{release}.toml")), &file).expect("a release file");
    fs::write(place.join("relup.toml"), relup).expect("a temporary folder can be written");
    pack_release(&file, &folder(apps), &tarball);
    tarball.to_string_lossy().into_owned()
}

fn shop_with(place: &Path, relup: &str) -> String {
    packed_with(place, "examples", "shop-1.1.0", relup)
}

#[test]
fn the_node_carries_out_a_reviewed_script_up_and_down() {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    let derived = node.ok(&["plan", &release("shop-1.0.0"), &release("shop-1.1.0"), "--relup"]).stdout;
    assert_contains(&derived, &["interval_ms = 250"]);
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = shop_with(place.path(), &derived.replace("interval_ms = 250", "interval_ms = 333"));

    let dry = node.ok(&["upgrade", &tarball, "--dry-run"]).stdout;
    assert!(dry.contains("-- relup") && !dry.contains("-- appup"), "{dry}");
    let counter = node.pid("counter", 10_000);
    node.ok(&["upgrade", &tarball]);
    assert_eq!(node.pid("counter", 10_000), counter);
    let interval: u64 = field(&node.state(&counter), "interval_ms");
    assert_eq!(interval, 333, "the reviewed number, not the appup's");
    node.ok(&["downgrade"]);
    assert_eq!(node.version(), "1.0.0");
    assert_eq!(keys(&node.state(&counter)), ["n", "stopping"]);
}

#[test]
fn a_script_that_breaks_a_rule_is_refused_before_anything_is_done() {
    let node = Node::start();
    node.ok(&["upgrade", &release("shop-1.0.0")]);
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let entry = r#"instructions = [{ suspend = ["counter"] }]"#;
    let tarball = shop_with(place.path(), &format!("version = '1.1.0'\n[[up]]\nfrom = '1.0.0'\n{entry}\n"));
    let refused = node.run(&["upgrade", &tarball]).expect(1).stderr;
    assert_contains(&refused, &["counter", "resume"]);
    assert_eq!(node.version(), "1.0.0");
}

#[test]
fn an_app_that_stays_is_restarted_with_the_code_it_has() {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-2.0.0")]);
    let restart = r#"instructions = [{ apply = "application:stop", args = ["shed"] }, { apply = "application:start", args = ["shed", "permanent"] }]"#;
    let relup =
        format!("version = '3.0.0'\n[[up]]\nfrom = '2.0.0'\n{restart}\n[[down]]\nto = '2.0.0'\n{restart}\n");
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let tarball = packed_with(place.path(), "tests/fixtures", "yard-3.0.0", &relup);
    let dry = node.ok(&["upgrade", &tarball, "--dry-run"]).stdout;
    assert!(dry.contains("restart_application shed permanent") && !dry.contains("shed-2.0.0"), "{dry}");
    for arguments in [&["upgrade", &tarball][..], &["downgrade"]] {
        let pump = node.pid("shed", "pump");
        assert_eq!(node.call(&pump, "stroke"), 2);
        node.ok(arguments);
        let new = node.pid("shed", "pump");
        assert_ne!(new, pump);
        assert_eq!(node.call(&new, "get"), 0, "it began anew");
    }
}

#[test]
fn s82_a_function_that_does_not_end_in_time_reverts_everything_and_a_missing_one_is_refused() {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let derived = node.ok(&["plan", &release("yard-1.0.0"), &release("yard-2.0.0"), "--relup"]).stdout;
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let with = |function: &str| {
        let call = format!("\"point_of_no_return\",\n  {{ apply = \"{function}\", args = [60000] }}");
        let relup = derived.replacen("\"point_of_no_return\"", &call, 1);
        packed_with(place.path(), "tests/fixtures", "yard-2.0.0", &relup)
    };
    let refused = node.run(&["upgrade", &with("ghost:appear")]).expect(1).stderr;
    assert_contains(&refused, &["ghost:appear(60000)"]);
    node.ok(&["remove", "2.0.0"]);

    let (worker, tree) = (node.pid("yard", "a"), node.tree("yard"));
    node.ok(&["cast", &worker, "7"]);
    let failed = node.run(&["upgrade", &with("yard_calls:wait")]).expect(4).stderr;
    assert_contains(&failed, &["yard_calls:wait(60000)"]);
    assert_eq!(node.version(), "1.0.0");
    assert_eq!(node.tree("yard"), tree);
    assert_eq!(node.call(&worker, "get"), 7);
}

/// Returns yard 2.0.0 with changes of its upgrade script.
pub(crate) fn yard_with(place: &Path, changes: &[(&str, &str)]) -> String {
    let node = Node::start();
    let mut relup = node.ok(&["plan", &release("yard-1.0.0"), &release("yard-2.0.0"), "--relup"]).stdout;
    for (at, with) in changes {
        assert!(relup.contains(at), "no {at} in:\n{relup}");
        relup = relup.replacen(at, with, 1);
    }
    packed_with(place, "tests/fixtures", "yard-2.0.0", &relup)
}

#[test]
fn s56_callers_that_give_up_during_the_pause_are_counted_and_all_others_are_answered() {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let suspend = "{ suspend = [\"yard_worker\"] },";
    let waits = format!("{suspend}\n  {{ apply = \"yard_calls:wait\", args = [2500] }},");
    let tarball = yard_with(place.path(), &[(suspend, &waits)]);
    let node = Arc::new(Node::start());
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let worker = node.pid("yard", "a");
    node.ok(&["cast", &worker, "7"]);
    let over = Arc::new(AtomicBool::new(false));
    let callers = ["300", "60000"].map(|timeout| {
        let (node, over, worker) = (Arc::clone(&node), Arc::clone(&over), worker.clone());
        std::thread::spawn(move || {
            let mut late = 0;
            while !over.load(Ordering::Relaxed) {
                let called = node.run(&["call", &worker, "get", "--timeout", timeout]);
                assert!(called.code == 0 || called.stderr.contains("300 ms"), "{called:?}");
                late += u64::from(called.code != 0);
            }
            late
        })
    });
    let report = node.report(&["upgrade", &tarball]);
    over.store(true, Ordering::Relaxed);
    let [hasty, patient] = callers.map(|caller| caller.join().expect("every call had its end"));
    assert!(hasty > 0 && patient == 0, "{hasty} and {patient}");
    assert_eq!(report.timeouts, hasty, "{report:#?}");
    assert!(report.pauses.max_us >= 2_500_000, "{report:#?}");
    assert_eq!(node.call(&worker, "get"), 7);
}

/// Returns whether an operating system process runs. A zombie does not.
fn lives(process: u64) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z")
}

/// Returns the running children of an operating system process. The kernel lists them per thread.
fn children(process: u32) -> Vec<u64> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("the daemon lives");
    // The kernel reassigns the children of an ended thread to another thread.
    let of_thread = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("children")).ok();
    let lists: Vec<_> = threads.flatten().filter_map(of_thread).collect();
    let children = lists.iter().flat_map(|list| list.split_whitespace());
    children.map(|child| child.parse().expect("a number")).filter(|child| lives(*child)).collect()
}

#[test]
fn s82_an_external_resource_is_opened_in_the_pause_passed_to_the_conversion_and_closed_on_a_rollback() {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let before = "{ suspend = [\"yard_sup\"] },";
    let open =
        "{ apply = \"yard_calls:open\", args = [], undo = { apply = \"yard_calls:close\", args = [] } }";
    let dock = format!(
        "{{ suspend = [\"yard_dock\"] }},\n  {open},\n  {{ load = \"yard_dock\" }},\n  \
         {{ code_change = [{{ module = \"yard_dock\", extra = {{}} }}], mode = \"up\" }},\n  FAIL{{ resume = [\"yard_dock\"] }},\n  {before}"
    );
    let read = ("{ load_object_code = [", "{ load_object_code = [\"yard_dock\", ");
    let failing = dock.replace("FAIL", "{ apply = \"yard_calls:fail\", args = [\"no power\"] },\n  ");
    let spoilt = yard_with(place.path(), &[read, (before, &failing)]);
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    let sup = node.supervisor("yard");
    node.ok(&["child", "start", &sup, r#"{"id": "dock", "module": "yard_dock"}"#]);
    let pid = node.pid("yard", "dock");
    let child = || node.call(&pid, "get").as_u64().expect("a number");
    let first = child();
    assert!(lives(first));

    let failed = node.run(&["upgrade", &spoilt]).expect(4).stderr;
    assert_contains(&failed, &["no power"]);
    assert_eq!(child(), first);
    eventually("only the opened resource is closed again", || (children(node.id()) == [first]).then_some(()));

    node.ok(&["remove", "2.0.0"]);
    let good = yard_with(place.path(), &[read, (before, &dock.replace("FAIL", ""))]);
    node.ok(&["upgrade", &good]);
    assert_eq!(node.pid("yard", "dock"), pid);
    let second = child();
    assert_ne!(second, first, "the new version has a new one");
    assert!(lives(second));
    eventually("the one before is ended", || (!lives(first)).then_some(()));
    node.ok(&["child", "terminate", &sup, "dock"]);
    eventually("its owner ends it", || (!lives(second)).then_some(()));
}
