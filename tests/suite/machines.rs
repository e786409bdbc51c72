//! The unit and the Debian packages under a real systemd, on a machine of its own
//! (`tests/systemd`).

use std::io::Write as _;
use std::process::Command;

use reld_tests::tools::need;
use reld_tests::{Node, Run, assert_contains, folder, has, release};

/// Runs a script on a machine of its own. Returns `None` where there can be no such machine.
fn on_a_machine(script: &str, arguments: &[String]) -> Option<Run> {
    let machine = || {
        let mut machine = Command::new(folder("tests/systemd/machine"));
        machine.current_dir(folder(""));
        machine
    };
    let works = || machine().arg("true").output().is_ok_and(|output| output.status.success());
    has("systemd", works).then(|| Run::of(machine().arg(folder(script)).args(arguments)))
}

/// Prints a result even if the test passes: the test runner captures `println!`.
fn print(result: &str) {
    let _ = writeln!(std::io::stderr(), "{}", result.trim_end());
}

/// Returns the folder of the programs.
fn programs() -> String {
    let programs = Node::relctl_program().parent().expect("a program lies in a folder");
    programs.to_string_lossy().into_owned()
}

#[test]
fn s140_s143_s144_every_example_is_upgraded_under_the_unit_and_clients_of_a_socket_unit_wait() {
    let wire = ["wire-1.0.0", "wire-2.0.0"];
    let examples = ["shop", "plant", "linkd", "quest"];
    let pairs = examples.iter().flat_map(|name| ["1.0.0", "1.1.0"].map(|vsn| format!("{name}-{vsn}")));
    let tarballs = wire.iter().map(ToString::to_string).chain(pairs).map(|name| release(&name));
    let arguments: Vec<String> = [programs()].into_iter().chain(tarballs).collect();
    let Some(run) = on_a_machine("tests/systemd/unit", &arguments) else { return };
    let shown = run.expect(0).stdout;
    for name in examples {
        assert_contains(&shown, &[&format!("{name} was upgraded and downgraded")]);
    }
    assert_contains(&shown, &["clients waited and were served: systemctl restart reld", "stopped in order"]);
}

#[test]
fn s139_s141_packages_are_sound_and_their_upgrade_leaves_a_node_alone() {
    let packages = tempfile::tempdir().expect("a temporary folder can be made");
    if need("dpkg-deb").is_none() {
        return;
    }
    let mut build = Command::new(folder("packaging/debian/build"));
    Run::of(build.arg(programs()).arg(packages.path())).expect(0);
    let made = std::fs::read_dir(packages.path()).expect("the folder can be read");
    let made: Vec<_> = made.map(|entry| entry.expect("an entry can be read").path()).collect();
    assert_eq!(made.len(), 3, "{made:?}");
    if let Some(lintian) = need("lintian") {
        let shown = Run::of(Command::new(lintian).args(["--fail-on", "error", "--allow-root"]).args(&made));
        print(&shown.expect(0).stdout);
    }
    let arguments = [packages.path().to_string_lossy().into_owned(), release("shop-1.0.0")];
    let Some(run) = on_a_machine("tests/systemd/packages", &arguments) else { return };
    let states = ["installed: the node runs", "upgraded: the node is the same process", "removed and purged"];
    assert_contains(&run.expect(0).stdout, &states);
}

#[test]
fn s140_the_exposure_of_the_unit_is_at_most_2() {
    let Some(analyze) = need("systemd-analyze") else { return };
    let mut analyze = Command::new(analyze);
    analyze.args(["security", "--offline=true", "--threshold=20", "--no-pager"]);
    let shown = Run::of(analyze.arg(folder("packaging/reld.service"))).expect(0).stdout;
    print(shown.lines().last().unwrap_or_default());
    assert_contains(&shown, &["Overall exposure level for reld.service"]);
}
