//! A number that grows by one with each tick.

use std::time::Duration;

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{
    Answer, Exit, From, GenServer, Info, Next, NotStarted, Schema, log, reply, self_pid, send_after,
    trap_exit,
};
use serde::{Deserialize, Serialize};

/// The time between two ticks.
const INTERVAL: Duration = Duration::from_millis(100);

/// `stop_gracefully` ends a counter at the next multiple of this number.
const ROUND: u64 = 10;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Counter {
    n: u64,
    /// The caller of `stop_gracefully`, until it gets its reply.
    stopping: Option<From>,
}

/// The calls of a counter.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Returns the number.
    Get,
    /// Stops at the next round number. The reply is sent then.
    StopGracefully,
}

/// The replies of a counter.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Response {
    /// The reply to `get`.
    Value(u64),
    /// The reply to `stop_gracefully`: the last number.
    Stopped(u64),
    /// The reply to `stop_gracefully` if another caller was first.
    AlreadyStopping,
}

/// The casts of a counter.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Turns `trap_exit` on or off. As in OTP, a shutdown by the supervisor runs `terminate` only
    /// in a process that traps exits.
    TrapExit(bool),
}

/// The messages that a counter sends to itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    /// Adds one.
    Tick,
}

impl GenServer for Counter {
    type Args = u64;
    type Call = Request;
    type Reply = Response;
    type Cast = Order;
    type Message = Message;

    async fn init(n: u64) -> Result<Self, NotStarted> {
        tick_later()?;
        Ok(Self { n, stopping: None })
    }

    async fn handle_call(&mut self, request: Request, from: From) -> Answer<Response> {
        match request {
            Request::Get => Answer::Reply(Response::Value(self.n)),
            Request::StopGracefully => self.stop_gracefully(from),
        }
    }

    async fn handle_cast(&mut self, Order::TrapExit(on): Order) -> Next {
        go_on(trap_exit(on))
    }

    async fn handle_info(&mut self, info: Info<Message>) -> Next {
        match info {
            Info::Message(Message::Tick) => self.tick(),
            Info::Exit { from, reason } => {
                log::info!("counter {}: {from} ended: {reason}", self.n);
                Next::Continue
            }
            _ => Next::Continue,
        }
    }

    async fn terminate(&mut self, reason: Exit) {
        log::info!("counter terminates at {}: {reason}", self.n);
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

impl Counter {
    fn stop_gracefully(&mut self, from: From) -> Answer<Response> {
        if self.stopping.is_some() {
            return Answer::Reply(Response::AlreadyStopping);
        }
        if self.is_round() {
            return Answer::stop_with(Exit::Normal, Response::Stopped(self.n));
        }
        self.stopping = Some(from);
        Answer::NoReply
    }

    fn tick(&mut self) -> Next {
        self.n += 1;
        match self.stopping {
            Some(from) if self.is_round() => match reply(from, &Response::Stopped(self.n)) {
                Ok(()) => Next::Stop(Exit::Normal),
                Err(error) => Next::Stop(error.into()),
            },
            _ => go_on(tick_later()),
        }
    }

    fn is_round(&self) -> bool {
        self.n.is_multiple_of(ROUND)
    }
}

fn tick_later() -> Result<(), Exit> {
    let me = self_pid().ok_or(Exit::Noproc)?;
    send_after(me, INTERVAL, &Message::Tick)?;
    Ok(())
}

/// Continues, or stops with the error as the exit reason.
fn go_on(done: Result<(), impl Into<Exit>>) -> Next {
    done.map_or_else(|error| Next::Stop(error.into()), |()| Next::Continue)
}

#[cfg(test)]
mod tests {
    use reld_sdk::harness::{Node, Running};

    use super::*;

    fn counter(n: u64) -> Running<Counter> {
        Node::new().start(&n).expect("starts")
    }

    #[track_caller]
    fn check_after(ticks: u32, counter: &mut Running<Counter>, expected: u64) {
        counter.advance(INTERVAL * ticks).expect("lives");
        assert_eq!(counter.call(&Request::Get), Ok(Response::Value(expected)));
    }

    #[test]
    fn a_tick_adds_one() {
        check_after(10, &mut counter(10_000), 10_010);
    }

    #[test]
    fn it_stops_gracefully_at_the_next_round_number() {
        let mut counter = counter(17);
        let first = counter.open_call(&Request::StopGracefully).expect("lives");
        assert_eq!(counter.call(&Request::StopGracefully), Ok(Response::AlreadyStopping));
        check_after(2, &mut counter, 19);
        assert_eq!(counter.reply::<Response>(first), Ok(None));
        counter.advance(INTERVAL).expect("lives");
        assert_eq!(counter.reply(first), Ok(Some(Response::Stopped(20))));
        assert_eq!(counter.ended(), Some(&Exit::Normal));
    }

    #[test]
    fn it_stops_at_once_when_the_number_is_round() {
        let mut counter = counter(20);
        assert_eq!(counter.call(&Request::StopGracefully), Ok(Response::Stopped(20)));
        assert_eq!(counter.ended(), Some(&Exit::Normal));
    }

    #[test]
    fn a_shutdown_signal_ends_it_unless_it_traps_exits() {
        let mut plain = counter(1);
        plain.exit(Exit::shutdown()).expect("lives");
        assert_eq!(plain.ended(), Some(&Exit::shutdown()));

        let mut trapping = counter(1);
        trapping.cast(&Order::TrapExit(true)).expect("lives");
        trapping.exit(Exit::shutdown()).expect("lives");
        check_after(1, &mut trapping, 2);
    }
}
