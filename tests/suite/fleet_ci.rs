//! Rollouts from CI over three nodes, with `packaging/ci/rollout.sh` and its wrappers (S130).

use std::fs;
use std::process::Command;

use reld_tests::tools::need;
use reld_tests::{Run, assert_contains, folder, release};
use serde_json::Value;

use crate::fleet::{Fleet, states};
use crate::rollout::{block, cancel, read, script};

/// Returns the step of the GitHub action.
fn github(fleet: &Fleet) -> Command {
    let mut step = fleet.command("sh");
    step.args(["-e", "-c", &block(&read("packaging/ci/github/action.yml"), "run: |")]);
    step.env("GITHUB_ACTION_PATH", folder("packaging/ci/github"));
    let inputs = [("ROLLOUT", "rollout.toml"), ("HOSTS", "hosts.txt"), ("RELCTL", "relctl")];
    step.envs(inputs).envs(["TARBALL", "HOST", "SETTLE", "PROBE", "TIMEOUT"].map(|input| (input, "")));
    step
}

/// Returns the line of the GitLab job.
fn gitlab(fleet: &Fleet) -> Command {
    let template = read("packaging/ci/gitlab.yml");
    let mut job = fleet.command("sh");
    job.args(["-e", "-u", "-c", &block(&template, "- >-").replace('\n', " ")]);
    let defaults = block(&template, "variables:");
    let defaults = defaults.lines().filter_map(|line| line.split_once(": "));
    job.envs(defaults.filter(|(_, value)| value.starts_with("\"\"")).map(|(name, _)| (name, "")));
    job.env("RELD_ROLLOUT", script()).env("RELD_RELCTL", "relctl");
    job.env("RELD_POLICY", "rollout.toml").env("RELD_HOSTS", "hosts.txt");
    job
}

/// Reads the report that a rollout has left.
fn kept(fleet: &Fleet) -> Value {
    let text = fs::read_to_string(fleet.path("rollout/report.json")).expect("there is a report");
    serde_json::from_str(&text).expect("a report is JSON")
}

#[test]
fn s130_a_rollout_from_ci_over_several_nodes_exits_with_its_outcome_and_keeps_the_report() {
    let fleet = Fleet::start();
    fleet.write("rollout.toml", &format!("release = '{}'", release("stage-3.0.0")));
    assert_contains(&Run::of(&mut github(&fleet)).expect(1).stderr, &["n1: failed: ", "error[halted]"]);
    assert_eq!(states(&kept(&fleet)["error"]["details"]), ["failed", "waiting", "waiting"]);

    fleet.policy("on_failure = 'take_back'");
    fleet.trouble(1, r#""fail""#);
    Run::of(&mut gitlab(&fleet)).expect(4);
    assert_eq!(kept(&fleet)["outcome"], "taken_back");
    assert_eq!(fleet.versions(), ["1.0.0"; 3]);

    fleet.policy("");
    Run::of(&mut gitlab(&fleet)).expect(6);
    assert_eq!(states(&kept(&fleet)["error"]["details"]), ["committed", "failed", "waiting"]);
    fleet.trouble(1, "null");
    Run::of(&mut github(&fleet)).expect(0);
    assert_eq!(fleet.versions(), ["2.0.0"; 3]);
    Run::of(&mut gitlab(&fleet)).expect(0);
    assert_eq!(kept(&fleet)["outcome"], "done");

    // The policy has the probe. An ignored one would accept a bad release.
    let mut both = fleet.command(script());
    both.args(["--hosts", "hosts.txt", "--probe", "false", "rollout.toml"]);
    assert_contains(&Run::of(&mut both).expect(2).stderr, &["rollout.sh --hosts FILE"]);
}

#[test]
fn s130_a_cancelled_rollout_waits_for_the_nodes_under_way_and_a_second_signal_does_not() {
    let fleet = Fleet::start();
    let go = fleet.path("go");
    fleet.policy(&format!("probe = 'until [ -e {} ]; do sleep 0.02; done'", go.display()));
    let mut job = fleet.spawn(&mut github(&fleet));
    fleet.await_settling(0);
    cancel(&job);
    fleet.await_progress("halts after n1: upgrading since 2");
    assert_eq!(fleet.run("status", &[]).expect(0).json()["outcome"], "running");
    fleet.write("go", "");
    assert_eq!(job.wait().expect("the job ends").code(), Some(6));
    let error = kept(&fleet)["error"].clone();
    assert_contains(&error["message"].to_string(), &["interrupted: the driver got SIGTERM"]);
    assert_eq!(states(&error["details"]), ["committed", "waiting", "waiting"]);
    fleet.remove("go");

    let mut job = fleet.spawn(&mut github(&fleet));
    fleet.await_settling(1);
    cancel(&job);
    fleet.await_progress("halts after n2: upgrading since 2");
    cancel(&job);
    assert_eq!(job.wait().expect("the job ends").code(), Some(6));
    let details = &kept(&fleet)["error"]["details"];
    assert_eq!(states(details), ["committed", "upgrading", "waiting"]);
    fleet.write("go", "");
    fleet.nodes[1].ok(&["wait", "--for", "committed"]);
    let status = fleet.run("status", &[]).expect(6).json();
    assert_eq!((status["outcome"].as_str(), states(&status)[1].as_str()), (Some("halted"), "committed"));
    assert_eq!(fleet.versions(), ["2.0.0", "2.0.0", "1.0.0"]);
    Run::of(&mut github(&fleet)).expect(0);
    assert_eq!(fleet.versions(), ["2.0.0"; 3]);
}

#[test]
fn s130_the_ansible_playbook_of_a_fleet_ends_with_the_outcome_of_the_rollout() {
    let Some(playbook) = need("ansible-playbook") else { return };
    let fleet = Fleet::start();
    fleet.policy("");
    fleet.write("inventory", "[reld]\nn1\nnode-two ansible_host=n2\nn3\n");
    let play = || {
        let mut play = fleet.command(&playbook);
        play.args(["-i", "inventory"]).arg(folder("packaging/ci/ansible/fleet.yml"));
        play.args(["-e", &format!("reld_fleet_policy={}", fleet.path("rollout.toml").display())]);
        play.args(["-e", &format!("reld_fleet_folder={}", fleet.path("rollout").display())]);
        Run::of(&mut play)
    };
    fleet.trouble(1, r#""fail""#);
    assert_contains(&play().expect(2).stdout, &["n2: failed: ", "halted: failed: n2"]);
    assert_eq!(states(&kept(&fleet)["error"]["details"]), ["committed", "failed", "waiting"]);
    fleet.trouble(1, "null");
    assert_contains(&play().expect(0).stdout, &["changed=1 "]);
    assert_eq!(kept(&fleet)["outcome"], "done");
    assert_eq!(fleet.versions(), ["2.0.0"; 3]);
}
