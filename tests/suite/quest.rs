//! Process Quest (S57 to S79): the game of `examples/` over real sockets, upgraded during play.

mod acceptors;
mod crowd;
mod ledger;
mod names;
mod play;
mod readers;
mod session;
mod upgrade;
