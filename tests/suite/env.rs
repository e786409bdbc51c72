//! The node's own configuration: `relctl env`, and `config.toml` below the root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use reld_api::response::{EnvChanged, EnvList, EnvOrigin};
use reld_tests::{Node, Run, assert_contains, eventually, release};

fn yard() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    node
}

/// Returns the last note of yard's `config_change`.
fn last_change(node: &Node) -> Option<String> {
    let notes: Vec<String> = serde_json::from_value(node.call("yard_log", "get")).expect("lines");
    notes.into_iter().rfind(|note| note.starts_with("config_change"))
}

fn value(node: &Node, app: &str, key: &str) -> Option<(String, EnvOrigin)> {
    let values = node.read::<EnvList>(&["env", app]).values.into_iter();
    values.filter(|value| value.key == key).map(|value| (value.value.to_string(), value.origin)).next()
}

fn file(node: &Node) -> Option<String> {
    fs::read_to_string(node.root().join("config.toml")).ok()
}

fn write(node: &Node, text: &str) {
    fs::write(node.root().join("config.toml"), text).expect("the root is ours");
}

#[test]
fn a_value_of_the_node_reaches_the_running_app_and_outlives_restarts_and_upgrades() {
    let mut node = yard();
    let dry = node.ok(&["env", "set", "yard.speed=5", "--dry-run"]).stdout;
    assert_contains(&dry, &["~ yard.speed = 5", "yard would be notified"]);
    assert_eq!((file(&node), last_change(&node)), (None, None));
    let set = node.ok(&["env", "set", "yard.speed=5", "shed.paint=red"]).stdout;
    assert_contains(
        &set,
        &["~ yard.speed = 5", "+ shed.paint = \"red\"", "yard was notified", "config.toml was changed"],
    );
    let notified = r#"config_change ["speed"] [] [], speed Some(5)"#;
    assert_eq!(last_change(&node).as_deref(), Some(notified));
    assert_eq!(node.ok(&["env", "get", "yard.speed"]).stdout, "5\n");
    assert_eq!(value(&node, "yard", "left_over"), Some(("\"x\"".to_owned(), EnvOrigin::App)));
    assert_eq!(value(&node, "yard", "speed"), Some(("5".to_owned(), EnvOrigin::Node)));
    let mode = fs::metadata(node.root().join("config.toml")).expect("it was written").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(!node.read::<EnvChanged>(&["env", "set", "yard.speed=5"]).changed);

    node.kill_9_and_restart();
    assert_eq!(value(&node, "yard", "speed"), Some(("5".to_owned(), EnvOrigin::Node)));
    assert_eq!(value(&node, "shed", "paint"), Some(("\"red\"".to_owned(), EnvOrigin::Node)));

    node.ok(&["upgrade", &release("yard-2.0.0")]);
    let upgraded = r#"config_change [] ["fresh"] ["left_over"], speed Some(5)"#;
    assert_eq!(last_change(&node).as_deref(), Some(upgraded));

    node.ok(&["env", "unset", "yard.speed", "shed.paint"]);
    let unset = r#"config_change ["speed"] [] [], speed Some(2)"#;
    assert_eq!(last_change(&node).as_deref(), Some(unset), "the value of the release takes its place");
    assert_eq!((file(&node).as_deref(), value(&node, "shed", "paint")), (Some(""), None));
    let logged = ["the configuration of the node was changed", "keys=\"shed.paint, yard.speed\""];
    assert_contains(&node.log(), &logged);
}

#[test]
fn an_app_that_does_not_take_a_value_leaves_the_file_and_every_environment_as_before() {
    let mut node = yard();
    let known = node.run(&["env", "set", "yrd.speed=5"]).expect(1).stderr;
    assert_contains(&known, &["release 1.0.0 has no such app; its apps: ", "shed", "yard"]);
    node.ok(&["env", "set", "yard.speed=5"]);
    let state = |node: &Node| (file(node), node.read::<EnvList>(&["env"]), last_change(node));
    let before = state(&node);
    let set = |value: &str| {
        let setting = format!("yard.speed={value}");
        node.run(&["env", "set", "shed.paint=red", &setting, "--timeout", "200"]).expect(4).stderr
    };
    assert_contains(
        &set("refuse"),
        &["application yard: config_change: ", "no such speed", "it is as before"],
    );
    assert_eq!(state(&node), before);
    assert_contains(&set("hang"), &["application yard: config_change took too long"]);
    assert_eq!(state(&node), before);

    node.kill_9_and_restart();
    node.run(&["env", "set", "yard.speed=panic"]).expect(4);
    assert!(!node.ended().success(), "the app is permanent and has ended");
    node.start_again();
    node.await_answer();
    assert_eq!(
        (file(&node), value(&node, "yard", "speed")),
        (before.0, Some(("5".to_owned(), EnvOrigin::Node)))
    );

    node.ok(&["upgrade", &release("yard-2.0.0"), "--settle", "600", "--detach"]);
    eventually("the release settles", || node.status().settling);
    assert_contains(&node.run(&["env", "set", "yard.speed=6"]).expect(1).stderr, &["release 2.0.0 settles"]);
}

#[test]
fn an_edited_file_waits_for_a_reload_or_an_upgrade_and_a_broken_one_is_refused_everywhere() {
    let mut node = Node::start_with(&["--env", "yard.left_over=kept"]);
    node.ok(&["env", "set", "yard.speed=5"]);
    node.ok(&["upgrade", &release("yard-1.0.0")]);
    assert_eq!(value(&node, "yard", "speed"), Some(("5".to_owned(), EnvOrigin::Node)), "set while idle");
    let hidden = node.ok(&["env", "set", "yard.left_over=gone"]).stdout;
    assert_contains(&hidden, &["yard.left_over keeps the value of the daemon's command line"]);
    assert_eq!(value(&node, "yard", "left_over"), Some(("\"kept\"".to_owned(), EnvOrigin::CommandLine)));

    write(&node, "# by hand\n[yard]\nspeed = 7 # fast\n");
    assert_contains(&node.ok(&["env"]).stdout, &["yard.speed", "5", "`relctl env reload` applies it"]);
    node.ok(&["env", "reload"]);
    assert_eq!(last_change(&node).as_deref(), Some(r#"config_change ["speed"] [] [], speed Some(7)"#));
    node.ok(&["env", "set", "yard.speed=8"]);
    assert_eq!(file(&node).as_deref(), Some("# by hand\n[yard]\nspeed = 8 # fast\n"));
    write(&node, "[yard]\nspeed = 9\n");
    node.ok(&["upgrade", &release("yard-2.0.0")]);
    assert_eq!(last_change(&node).as_deref(), Some(r#"config_change ["speed"] ["fresh"] [], speed Some(9)"#));

    write(&node, "[yard]\nspeed =\n");
    let place = "config.toml:2:8";
    assert_contains(&node.ok(&["env"]).stdout, &[place]);
    for args in [&["env", "reload"][..], &["env", "set", "yard.speed=1"], &["check", "1.0.0"], &["downgrade"]]
    {
        assert_contains(&node.run(args).expect(1).stderr, &[place, "correct the file"]);
    }
    assert_eq!(
        (node.version(), value(&node, "yard", "speed").map(|(value, _)| value)),
        ("2.0.0".to_owned(), Some("9".to_owned()))
    );
    assert!(node.terminate().success());
    let daemon = Node::daemon_in(&node.root());
    let socket = node.socket();
    // A daemon that is not refused would run for ever.
    let mut bounded = Command::new("timeout");
    bounded.arg("30").arg(daemon.get_program()).args(daemon.get_args()).arg("--socket").arg(socket);
    assert_contains(&Run::of(&mut bounded).expect(1).stderr, &[place, "correct the file, or move it away"]);
    write(&node, "");
    node.start_again();
    node.await_answer();
    assert_eq!(value(&node, "yard", "speed"), Some(("2".to_owned(), EnvOrigin::App)));
}
