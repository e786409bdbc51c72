//! The registry of names, which moves from a state into a shared table and back (S79).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use reld_api::response::TableList;
use reld_tests::{eventually, keys};

use super::session::{Game, QUICK_MS};

/// Returns the number of rows in the table of names, or `None` without a table.
fn rows(game: &Game) -> Option<u64> {
    let tables: TableList = game.node.read(&["tables"]);
    tables.tables.into_iter().find(|table| table.name.as_deref() == Some("regis")).map(|table| table.rows)
}

#[test]
fn s79_names_move_into_a_table_and_back_and_resolve_throughout() {
    let game = Game::start("quest-1.1.0", QUICK_MS);
    let names = ["ada", "bob", "eve"];
    let mut clients = names.map(|name| game.play(name));
    let pids = names.map(|name| game.find(name));
    let (stop, asked) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let resolve = || {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(names.map(|name| game.find(name)), pids);
                asked.store(true, Ordering::Relaxed);
            }
        };
        let resolver = scope.spawn(resolve);
        for _ in 0..2 {
            assert_eq!(rows(&game), None);
            game.go_to("quest-1.2.0");
            eventually("the table is written", || (rows(&game) == Some(6)).then_some(()));
            eventually("names were asked for", || asked.swap(false, Ordering::Relaxed).then_some(()));
            assert_eq!(keys(&game.node.state("regis")), ["holders", "names"]);
            clients.iter_mut().for_each(|client| client.command("who", "3 play: ada, bob, eve."));
            game.go(&["downgrade"]);
            assert_eq!(keys(&game.node.state("regis")), ["monitors", "names"]);
            clients.iter_mut().for_each(|client| client.command("who", "3 play: ada, bob, eve."));
        }
        stop.store(true, Ordering::Relaxed);
        resolver.join().expect("every name was found at any time");
    });
    // The monitors moved with the names: the end of a player frees its names.
    for (name, client) in names.into_iter().zip(clients) {
        game.check_and_quit(name, client);
    }
    assert_eq!(game.names(), [""; 0]);
}

/// Kills a child of the registry, and checks that every name is still registered.
fn check_a_crash_of(id: &str) {
    let game = Game::start("quest-1.2.0", QUICK_MS);
    let ada = game.play("ada");
    let pid = game.find("ada");
    let before = game.node.pid("regis", id);
    game.node.ok(&["kill", &before]);
    game.node.restarted("regis", id, &before);
    assert_eq!(game.find("ada"), pid);
    eventually("the table has the names", || (rows(&game) == Some(2)).then_some(()));
    game.check_and_quit("ada", ada);
    eventually("the table is empty", || (rows(&game) == Some(0)).then_some(()));
    game.play("ada").quit();
}

#[test]
fn s79_names_outlive_a_crash_of_the_server_in_the_table() {
    check_a_crash_of("regis");
}

#[test]
fn s79_names_outlive_a_crash_of_the_owner_of_the_table_in_the_server() {
    check_a_crash_of("table");
}
