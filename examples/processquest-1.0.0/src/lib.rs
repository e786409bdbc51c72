//! The app `processquest` 1.0.0: characters that play by themselves.
//!
//! ```text
//! pq_sup -- pq_enemy                     where enemies come from
//!        `- pq_players -- pq_pair ...    one pair for each player, which lives and dies together
//!                         |- pq_events   the player's events; whoever adds a handler sees them
//!                         `- pq_player   the player, a state machine
//! ```
//!
//! For other apps, what there is to know:
//!
//! | to | do |
//! |---|---|
//! | begin a game | `start_child_of("pq_players", &Newcomer)`, with handlers of its `pq_events::Event`s; it fails where the name is taken |
//! | find the player NAME, or its events | ask `regis` for `NAME` or `NAME/events` |
//! | see one play that has begun | add a handler to its events |
//! | look at it; end its game | call the player with `"sheet"`; cast it `"leave"` |
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
