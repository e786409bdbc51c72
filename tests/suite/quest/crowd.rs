//! Many players at once (S67, S72).

use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reld_tests::release;

use super::session::{Client, Game, USUAL_MS};

/// One in `SAMPLE` clients is also compared with the state of its player.
const SAMPLE: usize = 10;

/// Number of threads that connect clients.
const HANDS: usize = 4;

/// Starts a game with `players` players.
fn crowd(players: usize, pace_ms: u64) -> (Game, Vec<Client>) {
    // The node inherits the limit of open files.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits can be read");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("a limit may be raised that far");
    let game = Game::start("quest-1.0.0", pace_ms);
    game.node.ok(&["unpack", &release("quest-1.1.0")]);
    let some = |from: usize| (from..players).step_by(HANDS).map(|number| game.play(&name(number)));
    let clients = thread::scope(|scope| {
        let hands = [0, 1, 2, 3].map(|from| scope.spawn(move || some(from).collect::<Vec<_>>()));
        let mut hands = hands.map(|hand| hand.join().expect("all were let in").into_iter());
        // Sorted by their names.
        (0..players).filter_map(|number| hands[number % HANDS].next()).collect()
    });
    (game, clients)
}

fn name(number: usize) -> String {
    format!("player{number}")
}

#[test]
fn s72_a_thousand_sleeping_players_come_to_rest_within_a_second() {
    let (game, clients) = crowd(1_000, USUAL_MS);
    let report = game.go(&["upgrade", "1.1.0"]);
    let pauses = &report.pauses;
    // One player after the other would take minutes: each is in a sleep of 0.8 to 1.6 s.
    assert!(Duration::from_micros(pauses.max_us) < Duration::from_secs(1), "{pauses:?}");
    assert!(pauses.processes >= 4_000, "players, events, relays and sessions: {pauses:?}");
    assert_eq!(game.processes("pq_player").len(), clients.len());
}

/// Checks that every session gives this answer, that every player plays on, and that no line
/// contradicts earlier ones.
fn check_all(clients: &mut [Client], answer: &str) {
    clients.iter_mut().for_each(|client| client.types("help"));
    for client in clients {
        client.until_answer(answer);
        client.event();
    }
}

#[test]
fn s67_three_thousand_sessions_keep_their_players_up_and_down_and_none_is_disconnected() {
    let (game, mut clients) = crowd(3_000, 1_500);
    game.go(&["upgrade", "1.1.0"]);
    check_all(&mut clients, "Unknown command. Type who");
    game.go(&["downgrade"]);
    check_all(&mut clients, "Unknown command. Type quit");
    assert_eq!(game.processes("pq_player").len(), clients.len());
    for (number, client) in clients.into_iter().enumerate().take(SAMPLE) {
        game.check_and_quit(&name(number), client);
    }
}
