//! A number that grows by one with each tick.

use std::time::Duration;

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{
    Answer, Exit, From, GenServer, Info, Next, NotStarted, Schema, State, Value, log, reply, self_pid,
    send_after, trap_exit,
};
use serde::{Deserialize, Serialize};

/// `stop_gracefully` ends a counter at the next multiple of this number.
const ROUND: u64 = 10;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Counter {
    n: u64,
    /// The time between two ticks. New in 0.1.1: in 0.1.0 it was always 100 ms.
    interval_ms: u64,
    /// The caller of `stop_gracefully`, until it gets its reply.
    stopping: Option<From>,
}

/// The start argument. In 0.1.0 it was only the number, so child specs from 0.1.0 do not fit. The
/// appup therefore also updates `counter_sup`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Args {
    pub(crate) n: u64,
    pub(crate) interval_ms: u64,
}

/// The state of 0.1.0. `change_code` reads it and `change_code_down` writes it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct CounterV010 {
    n: u64,
    stopping: Option<From>,
}

/// The `extra` value of the `advanced` change in `appup.toml`.
#[derive(Debug, Serialize, Deserialize)]
struct Extra {
    interval_ms: u64,
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
    type Args = Args;
    type Call = Request;
    type Reply = Response;
    type Cast = Order;
    type Message = Message;

    async fn init(Args { n, interval_ms }: Args) -> Result<Self, NotStarted> {
        let counter = Self { n, interval_ms, stopping: None };
        counter.tick_later()?;
        Ok(counter)
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

    /// Up: the number stays and the interval comes from the appup. A tick that is already scheduled
    /// still comes after the old interval.
    fn change_code(_from: &str, state: State, extra: Value) -> Result<Self, Exit> {
        let CounterV010 { n, stopping } = state.read()?;
        let Extra { interval_ms } = extra.read()?;
        Ok(Self { n, interval_ms, stopping })
    }

    /// Down: the state of 0.1.0 has no interval.
    fn change_code_down(&self, _to: &str, _extra: Value) -> Result<State, Exit> {
        Ok(State::write(&CounterV010 { n: self.n, stopping: self.stopping })?)
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
            _ => go_on(self.tick_later()),
        }
    }

    fn is_round(&self) -> bool {
        self.n.is_multiple_of(ROUND)
    }

    fn tick_later(&self) -> Result<(), Exit> {
        let me = self_pid().ok_or(Exit::Noproc)?;
        send_after(me, Duration::from_millis(self.interval_ms), &Message::Tick)?;
        Ok(())
    }
}

/// Continues, or stops with the error as the exit reason.
fn go_on(done: Result<(), impl Into<Exit>>) -> Next {
    done.map_or_else(|error| Next::Stop(error.into()), |()| Next::Continue)
}

#[cfg(test)]
mod tests {
    use reld_sdk::harness::{Node, RoundsError, Running, up_down_up};

    use super::*;

    const INTERVAL: Duration = Duration::from_millis(200);

    fn counter(n: u64) -> Running<Counter> {
        Node::new().start(&Args { n, interval_ms: 200 }).expect("starts")
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

    #[test]
    fn up_down_up_keeps_the_number_and_takes_the_interval_of_the_appup() {
        let old = CounterV010 { n: 10_007, stopping: None };
        let new: Counter = up_down_up(&old, "0.1.0", &Extra { interval_ms: 250 }, &()).expect("goes round");
        assert_eq!((new.n, new.interval_ms), (10_007, 250));
    }

    #[test]
    fn an_appup_without_interval_is_refused() {
        let old = CounterV010 { n: 1, stopping: None };
        let up = up_down_up::<Counter, _>(&old, "0.1.0", &(), &());
        assert!(matches!(up, Err(RoundsError::Up(Exit::Undecodable(_)))), "{up:?}");
    }
}
