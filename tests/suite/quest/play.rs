//! The game before any upgrade: boot, sessions, names, ends (S57 to S61).

use reld_tests::{Node, assert_contains, assert_in_order, eventually, release};

use super::session::{Client, Game, QUICK_MS, USUAL_MS};

#[test]
fn s57_the_release_boots_in_the_order_of_its_dependencies_on_the_configured_port_and_stops_in_reverse() {
    // A port that was just free.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|taken| taken.local_addr())
        .expect("a port")
        .port();
    let mut node = Node::start_with(&["--env", &format!("sockserv.port={port}")]);
    node.ok(&["upgrade", &release("quest-1.0.0")]);
    let apps: Vec<_> = node.apps().into_iter().map(|app| app.name).collect();
    assert_eq!(apps, ["regis", "processquest", "sockserv"]);
    let acceptors = node.ps().into_iter().filter(|process| process.module == "sockserv_acceptor");
    assert_eq!(acceptors.count(), 20);
    Client::connect(&format!("127.0.0.1:{port}"));
    assert!(node.terminate().success());
    assert_in_order(&node.log(), &["sockserv has stopped", "processquest has stopped", "regis has stopped"]);
}

#[test]
fn s58_a_client_names_a_character_rolls_its_stats_watches_it_play_and_quits() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    let mut ada = game.connect();
    assert_contains(&ada.ask("no name at all"), &["letters and digits"]);
    let first = ada.ask("ada\r");
    let stats = ["charisma", "constitution", "dexterity", "intelligence", "strength", "wisdom", "(y/n)"];
    assert_in_order(&first, &stats);
    assert_eq!(ada.ask("perhaps"), "Please answer y or n.");
    // Two equal rolls of eighteen dice are practically impossible.
    assert_ne!(ada.ask("n"), first);
    assert!(ada.ask("y").starts_with("You go hunting."));
    ada.until(|line| line.starts_with("You killed "));
    ada.until(|line| line.starts_with("You found "));
    ada.until(|line| line == "You carry your loot to the market.");
    ada.until(|line| line.starts_with("You sold "));
    ada.until(|line| line.starts_with("You bought "));
    ada.until_ledger(|ledger| ledger.level > 1);
    ada.command("fly", "Unknown command.");
    game.check_and_quit("ada", ada);
    assert_eq!(game.processes("pq_pair"), []);
    assert_eq!(game.processes("sockserv_serv"), []);
}

#[test]
fn s58_many_sessions_play_at_once_each_its_own_game() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    let names: Vec<_> = (0..50).map(|number| format!("player{number}")).collect();
    let mut clients: Vec<_> = names.iter().map(|name| game.play(name)).collect();
    assert_eq!(game.names().len(), 2 * names.len(), "a player and its events have a name each");
    clients.iter_mut().for_each(|client| client.until_ledger(|ledger| ledger.kills.len() >= 5));
    for (name, client) in names.iter().zip(clients) {
        game.check_and_quit(name, client);
    }
    assert_eq!(game.names(), [""; 0]);
}

#[test]
fn s59_a_second_player_of_a_name_is_refused_and_the_first_plays_on() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    // Both clients roll before either begins. The second one passes the check of the name, and its
    // start is refused.
    let mut late = game.connect();
    late.ask("ada");
    let mut ada = game.play("ada");
    assert_eq!(late.ask("y"), "That name is taken. What is your name?");
    assert_eq!(late.ask("ada"), "That name is taken. What is your name?");
    late.begin("bob");
    ada.until_ledger(|ledger| ledger.kills.len() >= 3);
    game.check_and_quit("ada", ada);
    game.check_and_quit("bob", late);
}

#[test]
fn s60_a_player_and_its_events_live_and_die_together() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    for part in ["ada/events", "ada"] {
        let mut ada = game.play("ada");
        ada.until_ledger(|ledger| ledger.kills.len() >= 3);
        let both = || ["ada", "ada/events"].map(|name| game.find(name));
        let before = both();
        game.node.ok(&["kill", &game.find(part).expect("it plays")]);
        let after = eventually("both begin anew", || {
            let now = both();
            now.iter().zip(&before).all(|(now, before)| now.is_some() && now != before).then_some(now)
        });
        assert_eq!(game.processes("pq_pair").len(), 1, "{after:?}");
        ada.begins_anew();
        ada.until_ledger(|ledger| ledger.kills.len() >= 3);
        game.check_and_quit("ada", ada);
    }
}

#[test]
fn s61_a_player_without_a_client_plays_on_in_1_0_0_and_ends_in_1_0_1() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    let mut ada = game.play("ada");
    ada.until_ledger(|ledger| ledger.kills.len() >= 2);
    drop(ada);
    eventually("the session has ended", || game.processes("sockserv_serv").is_empty().then_some(()));
    let before = game.sheet("ada").experience;
    eventually("it plays without a client", || (game.sheet("ada").experience > before + 20).then_some(()));

    // At this pace the player could end before the report of the upgrade, which would name it.
    let player = game.find("ada").expect("ada plays");
    game.node.ok(&["suspend", &player]);
    game.go_to("quest-1.1.0");
    game.node.ok(&["resume", &player]);
    eventually("the player without a client ends", || game.find("ada").is_none().then_some(()));
    drop(game.play("ada"));
    eventually("the player ends with its client", || game.find("ada").is_none().then_some(()));
    let _bob = game.play("bob");
    game.node.ok(&["kill", &game.processes("sockserv_serv")[0].pid]);
    eventually("a session that is killed takes its player along", || {
        game.find("bob").is_none().then_some(())
    });
    assert_eq!(game.names(), [""; 0]);
}

#[test]
fn s61_a_session_from_before_the_upgrade_ends_its_player_when_its_client_hangs_up() {
    let game = Game::start("quest-1.0.0", USUAL_MS);
    let ada = game.play("ada");
    game.go_to("quest-1.1.0");
    drop(ada);
    eventually("the player ends with its client", || game.find("ada").is_none().then_some(()));
}

#[test]
fn s60_a_session_ends_with_a_farewell_when_its_game_is_killed() {
    let game = Game::start("quest-1.0.0", QUICK_MS);
    let mut ada = game.play("ada");
    ada.until_ledger(|ledger| !ledger.kills.is_empty());
    game.node.ok(&["kill", &game.processes("pq_pair")[0].pid]);
    ada.is_over();
    eventually("the session has ended", || game.processes("sockserv_serv").is_empty().then_some(()));
}
