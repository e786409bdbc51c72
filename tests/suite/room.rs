//! A boot with a full disk (R2) or with lost files of the release.

use std::fs;
use std::process::{Child, Command, Stdio};

use reld_tests::{Node, Run, SmallDisk, eventually, release};

/// A daemon with its root on a small disk.
struct Small<'a> {
    disk: &'a SmallDisk,
    daemon: Child,
}

impl<'a> Small<'a> {
    fn start(disk: &'a SmallDisk) -> Self {
        let mut daemon = Node::daemon_in(&disk.path().join("root"));
        let daemon = daemon.arg("--socket").arg(disk.path().join("socket")).stderr(Stdio::null());
        let small = Self { disk, daemon: daemon.spawn().expect("the daemon can be run") };
        eventually("it answers", || (small.run(&["status"]).code == 0).then_some(()));
        small
    }

    fn run(&self, args: &[&str]) -> Run {
        let mut relctl = Command::new(Node::relctl_program());
        Run::of(relctl.env("RELD_SOCKET", self.disk.path().join("socket")).args(args))
    }

    fn await_status(&self, words: &str) {
        eventually(words, || self.run(&["status"]).stdout.contains(words).then_some(()));
    }

    fn kill_9(mut self) {
        self.daemon.kill().expect("the daemon can be killed");
        self.daemon.wait().expect("it ends");
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn a_full_disk_demotes_no_release_and_the_boot_continues_when_there_is_space() {
    let Some(disk) = SmallDisk::mount() else { return };
    let node = Small::start(&disk);
    node.run(&["upgrade", &release("stage-1.0.0")]).expect(0);
    node.run(&["upgrade", &release("stage-2.0.0")]).expect(0);
    node.kill_9();
    let fill = disk.fill();
    // More starts than the failed boots that demote a release.
    for _ in 0..4 {
        let node = Small::start(&disk);
        node.await_status("cannot boot release 2.0.0 now: the disk of");
        node.kill_9();
    }
    let node = Small::start(&disk);
    node.await_status("make room");
    fs::remove_file(fill).expect("the file exists");
    node.await_status("2.0.0 (permanent)");
    let status = node.run(&["status"]).expect(0).stdout;
    assert!(!status.contains("cannot boot"), "{status}");
}

#[test]
fn a_release_with_lost_files_stays_permanent_while_the_previous_one_runs_in_its_place() {
    let mut node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["upgrade", &release("stage-2.0.0")]);
    let lib = node.root().join("lib/stage-0.2.0");
    let kept = node.root().with_file_name("kept");
    fs::rename(&lib, &kept).expect("the file exists");
    // More starts than the failed boots that demote a release.
    for _ in 0..4 {
        node.kill_9_and_restart();
        let status = node.status();
        assert_eq!((node.version().as_str(), status.permanent.as_deref()), ("1.0.0", Some("2.0.0")));
        let is_alarm = |alarm: &String| {
            alarm.contains("cannot boot release 2.0.0") && alarm.contains("release 1.0.0 runs in its place")
        };
        assert!(status.alarms.iter().any(is_alarm), "{:?}", status.alarms);
    }
    fs::rename(&kept, &lib).expect("the file exists");
    node.kill_9_and_restart();
    assert_eq!((node.version(), node.status().alarms), ("2.0.0".to_owned(), vec![]));
}
