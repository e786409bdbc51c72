//! The app `processquest` 1.0.0: characters that play by themselves.
//!
//! ```text
//! pq_sup -- pq_enemy                     the source of enemies
//!        `- pq_players -- pq_pair ...    one pair for each player; both restart together
//!                         |- pq_events   the event manager of the player: add a handler to watch
//!                         `- pq_player   the player, a state machine
//! ```
//!
//! Your app uses it like this:
//!
//! | to | do |
//! |---|---|
//! | start a game | `start_child_of("pq_players", &Newcomer)`, with handlers for the `pq_events::Event`s; fails if the name is taken |
//! | find the player NAME, or its event manager | ask `regis` for `NAME` or `NAME/events` |
//! | watch a game that already runs | add a handler to the event manager of the player |
//! | see the hero; end the game | call the player with `"sheet"`; cast `"leave"` to it |
#![forbid(unsafe_code)]

mod hero;
mod market;
mod pq_app;
mod pq_enemy;
mod pq_events;
mod pq_pair;
mod pq_player;
mod pq_players;
mod pq_sup;
mod registry;

reld_sdk::export_app! {
    app: "processquest",
    version: env!("CARGO_PKG_VERSION"),
    modules: {
        pq_player: gen_statem pq_player::Player,
        pq_events: gen_event pq_events::Events,
        pq_enemy: gen_server pq_enemy::Wilds,
        pq_pair: supervisor pq_pair::Pair,
        pq_players: supervisor pq_players::Players,
        pq_sup: supervisor pq_sup::Sup,
        pq_app: application pq_app::App,
    },
}
