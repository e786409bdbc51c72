//! Upgrades and downgrades under play (S62, S63, S67, S73, S76, S77).

use std::collections::BTreeMap;

use reld_tests::{assert_contains, assert_in_order, field, keys, release};

use super::ledger::Sale;
use super::session::{Client, Game, QUICK_MS};

const NAMES: [&str; 3] = ["ada", "bob", "eve"];

/// Plays until the player has won `kills` more fights.
fn play_on(client: &mut Client, kills: usize) {
    let wanted = client.ledger.kills.len() + kills;
    client.until_ledger(|ledger| ledger.kills.len() >= wanted);
}

/// Returns the ratio of an item's price to its value, if the value is known.
fn times(sale: &Sale) -> Option<u64> {
    let values = BTreeMap::from([("Bacon", 12), ("Cat Pelt", 30), ("Spider Egg", 10), ("Silk Thread", 4)]);
    values.get(sale.item.as_str()).map(|value| sale.price / value)
}

#[test]
fn s62_dependencies_of_players_are_loaded_before_them_on_the_way_up_and_after_them_on_the_way_down() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    game.node.ok(&["unpack", &release("quest-1.1.0")]);
    let up = game.node.ok(&["check", "1.1.0"]).stdout;
    for needed in ["pq_quest of", "pq_events of", "sockserv_serv of"] {
        assert_in_order(&up, &[&format!("load {needed}"), "load pq_player of", "code_change pq_player up"]);
    }
    assert_contains(&up, &["load pq_enemy of", "load sockserv_serv of"]);
    game.go(&["upgrade", "1.1.0"]);
    let down = game.node.ok(&["check", "1.0.0"]).stdout;
    for needed in ["load pq_events of", "load sockserv_serv of", "remove pq_quest of"] {
        assert_in_order(&down, &["load pq_player of", needed]);
    }
    assert_contains(&down, &["load pq_enemy of", "load sockserv_serv of"]);
}

/// Returns whether sixty samples of enemies contain ants. With four kinds, ants are missed once in
/// 30 million tests.
fn has_ants(game: &Game) -> bool {
    (0..60).any(|_| field::<String>(&game.node.call("pq_enemy", "meet"), "name") == "Ant")
}

#[test]
fn s63_load_module_brings_other_enemies_on_the_way_up_and_the_old_ones_on_the_way_down() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    let wilds = game.node.pid("processquest", "enemies");
    assert!(has_ants(&game));
    game.go_to("quest-1.1.0");
    assert!(!has_ants(&game));
    game.go(&["downgrade"]);
    assert!(has_ants(&game));
    assert_eq!(game.node.pid("processquest", "enemies"), wilds);
}

#[test]
fn s67_s73_players_keep_all_they_have_over_upgrades_and_downgrades_while_quests_come_and_go() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    let mut clients = NAMES.map(|name| game.play(name));
    clients
        .iter_mut()
        .for_each(|client| client.until_ledger(|ledger| ledger.gear.len() > 3 && ledger.level > 1));
    let pids = NAMES.map(|name| game.find(name));
    for _ in 0..2 {
        assert!(game.go_to("quest-1.1.0").committed);
        for client in &mut clients {
            // Only new code has quests, so lines after a finished quest were not sent before the
            // switch.
            let quests = client.ledger.quests;
            client.until_ledger(|ledger| ledger.quests > quests);
            let (kills, sales) = (client.ledger.kills.len(), client.ledger.sales.len());
            client.until_ledger(|ledger| {
                let new = |kill: &String| kill == "Goblin" || kill == "Wild Dog";
                ledger.kills[kills..].iter().any(new)
                    && ledger.sales[sales..].iter().any(|sale| times(sale).is_some())
            });
            let ledger = &client.ledger;
            assert!(!ledger.kills[kills..].contains(&"Ant".to_owned()), "{ledger:#?}");
            for sale in &ledger.sales[sales..] {
                assert!(times(sale).is_none_or(|times| times == sale.level), "{sale:?}");
            }
            client.command("who", "3 play: ada, bob, eve.");
        }

        game.go(&["downgrade"]);
        for (client, pid) in clients.iter_mut().zip(&pids) {
            // Lines sent before the downgrade come before the answer of the session, which runs old
            // code again.
            client.command("who", "Unknown command. Type quit");
            let state = game.node.state(pid.as_ref().expect("it played"));
            assert_eq!(keys(&field(&state, "data")), ["dice", "events", "hero"]);
            client.until(|line| line.starts_with("You killed an Ant "));
        }
        let modules = game.node.code().modules;
        assert!(
            modules.iter().all(|module| module.module != "pq_quest" && module.old.is_none()),
            "{modules:#?}"
        );
    }
    assert_eq!(NAMES.map(|name| game.find(name)), pids, "the processes are the same");
    for (name, client) in NAMES.into_iter().zip(clients) {
        game.check_and_quit(name, client);
    }
}

#[test]
fn s73_players_that_were_killed_or_began_in_the_newer_release_go_down_with_the_others() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    let mut old = game.play("ada");
    game.go_to("quest-1.1.0");
    let mut new = game.play("bob");
    play_on(&mut old, 3);
    game.node.ok(&["kill", &game.find("ada").expect("it plays")]);
    old.begins_anew();
    play_on(&mut new, 3);
    game.go(&["downgrade"]);
    old.command("look", "Unknown command. Type quit");
    for name in ["ada", "bob"] {
        let state = game.node.state(&game.find(name).expect("it plays"));
        assert_eq!(keys(&field(&state, "data")), ["dice", "events", "hero"]);
    }
    game.check_and_quit("bob", new);
    game.check_and_quit("ada", old);
}

#[test]
fn s76_a_release_with_a_failing_probe_is_taken_back_unnoticed_by_the_players() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    let mut clients = NAMES.map(|name| game.play(name));
    clients.iter_mut().for_each(|client| play_on(client, 5));
    let pids = NAMES.map(|name| game.find(name));
    // This probe gets an answer from the board of quests, which only 1.1.0 has, and then fails.
    let probe = format!(
        "{} call pq_quest next && echo the quests are too hard && false",
        reld_tests::Node::relctl_program().display()
    );
    let failed =
        game.node.run(&["upgrade", &release("quest-1.1.0"), "--settle", "1", "--probe", &probe]).expect(4);
    assert_contains(
        &failed.stderr,
        &["was taken back; the node runs 1.0.0 again", "the quests are too hard"],
    );
    assert_eq!(game.node.version(), "1.0.0");
    assert_eq!(NAMES.map(|name| game.find(name)), pids);
    for (name, mut client) in NAMES.into_iter().zip(clients) {
        client.command("who", "Unknown command. Type quit");
        play_on(&mut client, 5);
        game.check_and_quit(name, client);
    }
}

#[test]
fn s77_the_relays_in_the_events_of_every_player_are_converted_up_and_down() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    let mut clients = NAMES.map(|name| game.play(name));
    let relays = || {
        game.processes("sockserv_pq_events")
            .into_iter()
            .map(|relay| (relay.pid, relay.version))
            .collect::<Vec<_>>()
    };
    let before = relays();
    assert_eq!(before.len(), NAMES.len());
    game.go_to("quest-1.1.0");
    clients.iter_mut().for_each(|client| play_on(client, 3));
    for ((pid, version), (old, _)) in relays().iter().zip(&before) {
        assert_eq!((version.as_str(), pid), ("1.0.1", old));
        let state = game.node.state(pid);
        assert_eq!(keys(&state), ["monitor", "watch"]);
        assert!(field::<Option<u64>>(&state, "monitor").is_some(), "it watches since its first event");
    }
    game.go(&["downgrade"]);
    assert_eq!(relays(), before);
    for (pid, _) in &before {
        assert_eq!(keys(&game.node.state(pid)), ["player", "session"]);
    }
    clients.into_iter().for_each(Client::quit);
}
