//! The harness runs a door that uses every feature of the engine. OTP: `gen_statem`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::*;
use crate::gen_server::Info;
use crate::harness::{Node, RunningStatem};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Lock {
    Locked,
    Open,
    Broken,
}

/// A door that logs all events.
#[derive(Debug, Serialize, Deserialize)]
struct Door {
    log: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    /// Opens the door. It closes again after this many milliseconds.
    Open(u64),
    /// Waits for the door to open.
    Knock(String),
    /// Sets the event time-out, sets a named one, or cancels the latter.
    Quiet(u64),
    Alarm(u64),
    Disarm,
    /// Inserts events.
    Insert,
    Again,
    Break,
    Stop,
}

impl GenStatem for Door {
    type Args = ();
    type State = Lock;
    type Call = Ask;
    type Reply = String;
    type Cast = u32;
    type Message = String;
    type Own = String;

    const STATE_ENTER: bool = true;

    async fn init((): ()) -> Result<(Transition<Self>, Self), NotStarted> {
        Ok((Transition::next(Lock::Locked).internal(&"first".to_owned()), Self { log: Vec::new() }))
    }

    async fn handle_event(&mut self, state: &Lock, event: StatemEvent<Self>) -> Transition<Self> {
        let own = |word: &str| word.to_owned();
        let ms = Duration::from_millis;
        self.log.push(match &event {
            StatemEvent::Enter(old) => format!("enter {state:?} from {old:?}"),
            StatemEvent::Call(_, ask) => format!("{ask:?}"),
            StatemEvent::Cast(n) => format!("cast {n}"),
            StatemEvent::Info(Info::Message(word)) => format!("info {word}"),
            StatemEvent::Info(other) => format!("{other:?}"),
            StatemEvent::Internal(word) => format!("internal {word}"),
            StatemEvent::StateTimeout(word) => format!("state time-out {word}"),
            StatemEvent::EventTimeout(word) => format!("event time-out {word}"),
            StatemEvent::Timeout(name, word) => format!("time-out {name} {word}"),
        });
        match (state, event) {
            (Lock::Broken, StatemEvent::Enter(_)) => Transition::next(Lock::Open),
            (Lock::Locked, StatemEvent::Call(from, Ask::Open(after))) => Transition::next(Lock::Open)
                .reply(from, &own("opened"))
                .state_timeout(ms(after), &own("close")),
            (Lock::Locked, StatemEvent::Call(_, Ask::Knock(_))) => Transition::keep().postpone(),
            (Lock::Open, StatemEvent::Call(from, Ask::Knock(who))) => Transition::keep().reply(from, &who),
            (_, StatemEvent::Call(from, Ask::Quiet(after))) => {
                Transition::keep().reply(from, &own("ok")).event_timeout(ms(after), &own("quiet"))
            }
            (_, StatemEvent::Call(from, Ask::Alarm(after))) => {
                Transition::keep().reply(from, &own("ok")).timeout("alarm", ms(after), &own("ring"))
            }
            (_, StatemEvent::Call(from, Ask::Disarm)) => {
                Transition::keep().reply(from, &own("ok")).cancel_timeout("alarm")
            }
            (_, StatemEvent::Call(from, Ask::Insert)) => Transition::keep()
                .next_cast(&1_u32)
                .internal(&own("x"))
                .next_call(from, &Ask::Knock(own("me"))),
            (_, StatemEvent::Call(from, Ask::Again)) => Transition::repeat().reply(from, &own("ok")),
            (_, StatemEvent::Call(_, Ask::Break)) => Transition::next(Lock::Broken),
            (_, StatemEvent::Call(from, Ask::Stop)) => {
                Transition::stop(Exit::shutdown()).reply(from, &own("bye"))
            }
            (Lock::Open, StatemEvent::StateTimeout(_)) => Transition::next(Lock::Locked),
            _ => Transition::keep(),
        }
    }

    async fn terminate(&mut self, state: &Lock, reason: Exit) {
        self.log.push(format!("terminate {state:?} {reason}"));
    }
}

type Running = RunningStatem<Door>;

fn door() -> Running {
    Node::new().start_statem::<Door>(&()).expect("it starts")
}

/// Takes the log.
#[track_caller]
fn check_log(door: &Running, expected: &[&str]) {
    let log = &door.state().expect("it lives").data().log;
    assert_eq!(log[log.len().saturating_sub(expected.len())..], *expected, "{log:?}");
}

#[track_caller]
fn ask(door: &mut Running, ask: &Ask) -> String {
    door.call(ask).expect("it answers")
}

fn stands(door: &Running) -> Lock {
    *door.state().expect("it lives").state()
}

#[test]
fn the_first_state_is_entered_before_any_event() {
    let door = door();
    check_log(&door, &["enter Locked from Locked", "internal first"]);
    assert_eq!(door.state().map(|machine| machine.data().log.len()), Some(2));
}

#[test]
fn a_state_time_out_ends_with_its_state() {
    let mut door = door();
    assert_eq!(ask(&mut door, &Ask::Open(50)), "opened");
    check_log(&door, &["Open(50)", "enter Open from Locked"]);
    door.advance(Duration::from_millis(49)).expect("it lives");
    assert_eq!(stands(&door), Lock::Open);
    door.advance(Duration::from_millis(1)).expect("it lives");
    check_log(&door, &["state time-out close", "enter Locked from Open"]);
    // The next opening has its own time-out.
    ask(&mut door, &Ask::Open(50));
    door.advance(Duration::from_millis(50)).expect("it lives");
    assert_eq!(stands(&door), Lock::Locked);
    door.advance(Duration::from_secs(1)).expect("it lives");
    check_log(&door, &["state time-out close", "enter Locked from Open"]);
}

#[test]
fn postponed_calls_come_back_in_order_when_the_state_changes_and_keep_their_callers() {
    let mut door = door();
    let [a, b] = ["a", "b"].map(|who| door.open_call(&Ask::Knock(who.into())).expect("it lives"));
    assert_eq!(door.reply::<String>(a), Ok(None));
    assert_eq!(door.state().map(Machine::postponed), Some(2));
    ask(&mut door, &Ask::Open(50));
    check_log(&door, &["Open(50)", "enter Open from Locked", "Knock(\"a\")", "Knock(\"b\")"]);
    assert_eq!(door.reply::<String>(a), Ok(Some("a".into())));
    assert_eq!(door.reply::<String>(b), Ok(Some("b".into())));
    assert_eq!(door.state().map(Machine::postponed), Some(0));
}

#[test]
fn the_event_time_out_is_ended_by_any_event_and_a_named_one_by_none() {
    let mut door = door();
    ask(&mut door, &Ask::Alarm(100));
    ask(&mut door, &Ask::Quiet(50));
    door.cast(&7_u32).expect("it lives");
    door.advance(Duration::from_millis(99)).expect("it lives");
    check_log(&door, &["Quiet(50)", "cast 7"]);
    door.advance(Duration::from_millis(1)).expect("it lives");
    check_log(&door, &["cast 7", "time-out alarm ring"]);
    ask(&mut door, &Ask::Quiet(50));
    door.advance(Duration::from_millis(50)).expect("it lives");
    check_log(&door, &["Quiet(50)", "event time-out quiet"]);
    ask(&mut door, &Ask::Alarm(10));
    ask(&mut door, &Ask::Disarm);
    door.advance(Duration::from_secs(1)).expect("it lives");
    check_log(&door, &["Alarm(10)", "Disarm"]);
}

#[test]
fn a_time_out_of_zero_is_the_next_event() {
    let mut door = door();
    ask(&mut door, &Ask::Quiet(0));
    check_log(&door, &["Quiet(0)", "event time-out quiet"]);
}

#[test]
fn inserted_events_come_in_order_and_before_waiting_events() {
    let mut door = door();
    ask(&mut door, &Ask::Open(50));
    assert_eq!(ask(&mut door, &Ask::Insert), "me");
    check_log(&door, &["Insert", "cast 1", "internal x", "Knock(\"me\")"]);
}

#[test]
fn repeating_a_state_enters_it_again_and_brings_nothing_back() {
    let mut door = door();
    door.open_call(&Ask::Knock("a".into())).expect("it lives");
    ask(&mut door, &Ask::Again);
    check_log(&door, &["Again", "enter Locked from Locked"]);
    assert_eq!(door.state().map(Machine::postponed), Some(1));
}

#[test]
fn a_machine_that_stops_replies_first_and_terminates() {
    let mut door = door();
    assert_eq!(door.call::<String>(&Ask::Stop), Ok("bye".into()));
    assert_eq!(door.ended(), Some(&Exit::shutdown()));
}

#[test]
fn entering_cannot_leave() {
    let mut door = door();
    let refused = door.call::<String>(&Ask::Break).expect_err("it ends");
    assert!(refused.to_string().contains("an Enter event can neither change"), "{refused}");
}

#[test]
fn an_event_that_cannot_be_decoded_ends_the_machine() {
    let mut door = door();
    door.cast(&"x").expect("it lives until then");
    assert!(matches!(door.ended(), Some(Exit::Undecodable(text)) if text.starts_with("cast: ")));
}

/// The door of the next version: one more state, and a count in the data.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct NewDoor {
    log: Vec<String>,
    opened: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum NewLock {
    Shut,
    Open,
}

impl GenStatem for NewDoor {
    type Args = ();
    type State = NewLock;
    type Call = Ask;
    type Reply = String;
    type Cast = u32;
    type Message = String;
    type Own = String;

    async fn init((): ()) -> Result<(Transition<Self>, Self), NotStarted> {
        Err(NotStarted::Ignore)
    }

    async fn handle_event(&mut self, state: &NewLock, event: StatemEvent<Self>) -> Transition<Self> {
        match (state, event) {
            (NewLock::Open, StatemEvent::Call(from, Ask::Knock(who))) => {
                Transition::keep().reply(from, &format!("new {who}"))
            }
            (_, StatemEvent::Call(from, Ask::Open(_))) => {
                Transition::next(NewLock::Open).reply(from, &"opened".to_owned())
            }
            (_, StatemEvent::StateTimeout(word)) => {
                self.log.push(word);
                Transition::keep()
            }
            _ => Transition::keep(),
        }
    }

    fn change_code(from: &str, state: State, data: State, extra: Value) -> Result<(NewLock, Self), Exit> {
        #[derive(Deserialize)]
        struct Old {
            log: Vec<String>,
        }
        assert_eq!(from, "1");
        let Old { log } = data.read()?;
        let state = match state.read()? {
            Lock::Open => NewLock::Open,
            Lock::Locked | Lock::Broken => NewLock::Shut,
        };
        Ok((state, Self { log, opened: extra.read()? }))
    }

    fn change_code_down(&self, state: &NewLock, _: &str, _: Value) -> Result<(State, State), Exit> {
        let old = if *state == NewLock::Open { Lock::Open } else { Lock::Locked };
        Ok((State::write(&old)?, State::write(&Door { log: self.log.clone() })?))
    }
}

/// Upgrades with a postponed call and a running time-out, and downgrades again.
#[test]
fn postponed_events_and_time_outs_survive_an_upgrade_and_a_downgrade() {
    let mut door = door();
    let from = door.open_call(&Ask::Knock("a".into())).expect("it lives");
    ask(&mut door, &Ask::Alarm(100));
    let bytes = Statem::<Door>::export(door.state().expect("it lives")).expect("it is written");
    let extra = Value::write(&3_u32).expect("encodes");
    let up = Statem::<NewDoor>::change_code("1", State::from_bytes(&bytes), extra).expect("it is converted");
    assert_eq!((up.state(), up.data().opened, up.postponed()), (&NewLock::Shut, 3, 1));
    // The state is exported and imported again, as in a soft update.
    let up = Statem::<NewDoor>::import(&Statem::<NewDoor>::export(&up).expect("it is written"))
        .expect("it is read");
    let down = Statem::<NewDoor>::change_code_down(&up, "1", Value::nothing()).expect("it is converted");
    let mut down = Statem::<Door>::import(&down.into_bytes()).expect("the older one reads it");
    assert_eq!((*down.state(), down.postponed()), (Lock::Locked, 1));
    // 1 is the number in the message of the timer that runs in the daemon.
    assert_eq!(down.fired(1).map(|kept| kept.read::<Door>().is_ok()), Some(true));
    assert_eq!(down.fired(1), None);
    let _ = from;
}

#[test]
fn an_unread_field_is_refused() {
    let bytes = Statem::<Door>::export(door().state().expect("it lives")).expect("it is written");
    let refused = Statem::<NewDoor>::import(&bytes).expect_err("another shape");
    assert!(refused.to_string().contains("state"), "{refused}");
    let refused = Statem::<Door>::import(&[0x83]).expect_err("cut off");
    assert!(refused.to_string().contains("state machine"), "{refused}");
}
