use serde::{Deserialize, Serialize};

use super::*;
use crate::ets::Table;
use crate::gen_server::Answer;
use crate::{CallError, Info, Next, call, continue_with, find, receive_timeout, register, stop};

/// A server that calls the process named `bank`.
#[derive(Serialize, Deserialize)]
struct Till;

impl GenServer for Till {
    type Args = ();
    type Call = ();
    type Reply = u64;
    type Cast = ();
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        register("till")?;
        Ok(Self)
    }

    async fn handle_call(&mut self, (): (), _: From) -> Answer<u64> {
        match call("bank", &(), Duration::from_secs(1)).await {
            Ok(n) => Answer::Reply(n),
            Err(error) => Answer::stop(error.into()),
        }
    }
}

#[test]
fn a_call_by_name_is_answered_once_the_name_is_registered() {
    let bank = Pid::new(9, 1);
    let node = Node::new().name("bank", bank).answer_calls(move |pid, _| {
        assert_eq!(pid, bank);
        Ok(Value::write(&7_u64)?)
    });
    let mut till = node.start::<Till>(&()).expect("it starts");
    assert_eq!(till.call::<u64>(&()), Ok(7));
    let mut alone = Node::new().start::<Till>(&()).expect("it starts");
    let missing = "cannot find bank: the test has no process of this name or place";
    assert_eq!(alone.call::<u64>(&()), Err(Exit::error(missing)));
}

#[test]
fn a_process_is_called_by_its_path_and_a_missing_one_is_an_error_with_its_path() {
    #[derive(Serialize, Deserialize)]
    struct Asker;
    impl GenServer for Asker {
        type Args = ();
        type Call = String;
        type Reply = String;
        type Cast = ();
        type Message = ();

        async fn init((): ()) -> Result<Self, NotStarted> {
            Ok(Self)
        }

        async fn handle_call(&mut self, place: String, _: From) -> Answer<String> {
            assert_eq!(find(place.as_str()).is_ok(), place == "shop/bank");
            let called = call::<u64>(place.as_str(), &(), Duration::from_secs(1)).await;
            Answer::Reply(called.map_or_else(|error| error.to_string(), |n| n.to_string()))
        }
    }
    let node = Node::new().name("shop/bank", Pid::new(9, 1)).answer_calls(|_, _| Ok(Value::write(&7_u64)?));
    let mut asker = node.start::<Asker>(&()).expect("it starts");
    assert_eq!(asker.call::<String>(&"shop/bank"), Ok("7".to_owned()));
    let missing = "cannot find shop/bnk: the test has no process of this name or place";
    assert_eq!(asker.call::<String>(&"shop/bnk"), Ok(missing.to_owned()));
}

#[test]
fn a_taken_name_is_refused_with_its_holder() {
    let refused = Node::new().name("till", Pid::new(9, 1)).start::<Till>(&()).expect_err("it is taken");
    assert_eq!(refused.to_string(), "error: the name \"till\" is taken by <9.1>");
}

/// A server that stops another process when it ends itself.
#[derive(Debug, Serialize, Deserialize)]
struct Last {
    whom: Pid,
}

impl GenServer for Last {
    type Args = Pid;
    type Call = ();
    type Reply = ();
    type Cast = ();
    type Message = ();

    async fn init(whom: Pid) -> Result<Self, NotStarted> {
        Ok(Self { whom })
    }

    async fn terminate(&mut self, reason: Exit) {
        let stopped = stop(self.whom, reason, Duration::from_secs(1)).await;
        assert_eq!(stopped, Ok(()));
        let itself = stop(ME, Exit::Normal, Duration::from_secs(1)).await;
        assert!(matches!(itself, Err(CallError::Exit(Exit::Error(_)))), "{itself:?}");
    }
}

#[test]
fn a_stopped_process_runs_terminate_and_may_stop_others() {
    let other = Pid::new(9, 1);
    let mut last = Node::new().start::<Last>(&other).expect("it starts");
    assert!(!last.is_trapping_exits());
    assert_eq!(last.stop_in_order(Exit::shutdown()), Ok(()));
    assert_eq!(last.ended(), Some(&Exit::shutdown()));
    assert_eq!(last.sent(), [Sent::Stop(other, Exit::shutdown())]);
    assert_eq!(last.stop_in_order(Exit::Normal), Err(Exit::shutdown()));
}

/// A server that counts. A call starts a number of steps in `handle_continue`.
#[derive(Debug, Serialize, Deserialize)]
struct Stepper {
    steps: Vec<String>,
}

impl GenServer for Stepper {
    type Args = ();
    type Call = u32;
    type Reply = usize;
    type Cast = u64;
    type Message = String;

    async fn init((): ()) -> Result<Self, NotStarted> {
        continue_with(&0_u32)?;
        Ok(Self { steps: vec!["init".into()] })
    }

    async fn handle_call(&mut self, left: u32, _: From) -> Answer<usize> {
        match continue_with(&left) {
            Ok(()) => Answer::Reply(self.steps.len()),
            Err(error) => Answer::stop(error.into()),
        }
    }

    async fn handle_cast(&mut self, idle_ms: u64) -> Next {
        receive_timeout(Duration::from_millis(idle_ms))
            .map_or_else(|error| Next::Stop(error.into()), |()| Next::Continue)
    }

    async fn handle_info(&mut self, _: Info<String>) -> Next {
        self.steps.push("info".into());
        Next::Continue
    }

    async fn handle_continue(&mut self, argument: Value) -> Next {
        let left: u32 = argument.read().expect("it is this server's own");
        self.steps.push(format!("{left} left"));
        match left {
            0 => Next::Continue,
            left => {
                continue_with(&(left - 1)).map_or_else(|error| Next::Stop(error.into()), |()| Next::Continue)
            }
        }
    }

    async fn handle_timeout(&mut self) -> Next {
        self.steps.push("timeout".into());
        Next::Stop(Exit::shutdown())
    }
}

#[test]
fn a_server_continues_after_its_reply() {
    let mut stepper = Node::new().start::<Stepper>(&()).expect("it starts");
    let steps = |stepper: &Running<Stepper>| stepper.state().expect("it lives").steps.join(", ");
    assert_eq!(steps(&stepper), "init, 0 left");
    assert_eq!(stepper.call::<usize>(&2_u32), Ok(2));
    assert_eq!(steps(&stepper), "init, 0 left, 2 left, 1 left, 0 left");
}

#[test]
fn a_receive_timeout_ends_by_any_message_or_by_time() {
    let mut stepper = Node::new().start::<Stepper>(&()).expect("it starts");
    stepper.cast(&100_u64).expect("it lives");
    stepper.send(&"x").expect("it lives");
    stepper.advance(Duration::from_secs(1)).expect("it lives");
    assert_eq!(stepper.ended(), None, "the message came first");
    stepper.cast(&100_u64).expect("it lives");
    stepper.advance(Duration::from_millis(99)).expect("it lives");
    assert_eq!(stepper.ended(), None);
    stepper.advance(Duration::from_millis(1)).expect("it lives");
    assert_eq!(stepper.ended(), Some(&Exit::shutdown()));
}

/// A server that keeps the best score of each player, in a table of its own or in one that it
/// finds.
#[derive(Serialize, Deserialize)]
struct Board {
    scores: Table<String, i64>,
}

impl GenServer for Board {
    type Args = ();
    type Call = (String, i64);
    type Reply = Vec<(String, i64)>;
    type Cast = ();
    type Message = ();

    async fn init((): ()) -> Result<Self, NotStarted> {
        let scores = match ets::whereis("scores")? {
            Some(found) => found,
            None => ets::Options::new().named("scores").create()?,
        };
        Ok(Self { scores })
    }

    async fn handle_call(&mut self, (player, points): Self::Call, _: From) -> Answer<Self::Reply> {
        let scored = self.scores.update_counter(&player, points, Some(0));
        match scored.and_then(|_| self.scores.rows()) {
            Ok(rows) => Answer::Reply(rows),
            Err(error) => Answer::stop(error.into()),
        }
    }
}

fn score(player: &str, points: i64) -> (String, i64) {
    (player.to_owned(), points)
}

#[test]
fn a_process_creates_a_table_or_finds_the_table_of_another_process() {
    let mut alone = Node::new().start::<Board>(&()).expect("it starts");
    assert_eq!(alone.call(&score("eve", 2)), Ok(vec![score("eve", 2)]));
    let lent = [score("ada", 40), score("bob", 1)];
    let node = Node::new().table("scores", &lent).expect("its rows can be written");
    let mut board = node.start::<Board>(&()).expect("it starts");
    assert_eq!(board.call(&score("ada", 2)), Ok(vec![score("ada", 42), score("bob", 1)]));
    assert_eq!(board.rows("scores"), Ok(vec![score("ada", 42), score("bob", 1)]));
    assert!(board.rows::<String, i64>("none").is_err() && board.rows::<String, String>("scores").is_err());
}

#[test]
fn a_table_under_test_answers_as_one_of_a_node() {
    #[derive(Serialize, Deserialize)]
    struct Owner;
    impl GenServer for Owner {
        type Args = ();
        type Call = ();
        type Reply = ();
        type Cast = ();
        type Message = ();

        async fn init((): ()) -> Result<Self, NotStarted> {
            check_requests()?;
            Ok(Self)
        }
    }
    let node = Node::new().table("theirs", &[(1, 1)]).expect("its rows can be written");
    node.start::<Owner>(&()).expect("every answer is the expected one");
}

fn check_requests() -> Result<(), ets::Error> {
    let reason = |error: ets::Error| error.reason();
    let rows: Table<(u32, u32), String> = ets::Options::new().ordered().named("mine").create()?;
    let taken = ets::Options::new().named("mine").create::<(), ()>();
    assert_eq!(taken.map_err(reason), Err(ets::Reason::NameTaken));
    let text = |text: &str| text.to_owned();
    rows.insert(&(1, 2), &text("b"))?;
    assert_eq!((rows.insert_new(&(1, 2), &text("x"))?, rows.insert_new(&(2, 1), &text("c"))?), (false, true));
    assert!(!rows.replace(&(1, 2), &text("x"), &text("y"))?);
    assert!(rows.replace(&(1, 2), &text("b"), &text("B"))?);
    rows.insert(&(1, 1), &text("a"))?;
    assert_eq!(rows.page(Some(&(1, 1)), 1)?, [((1, 2), text("B"))]);
    assert_eq!(rows.prefix(&(1,))?.len(), 2);
    assert_eq!(rows.range(&(1, 2), &(2, 1))?.len(), 2);
    assert_eq!((rows.take(&(2, 1))?, rows.get(&(2, 1))?), (Some(text("c")), None));
    assert_eq!((rows.clear()?, rows.size()?), (2, 0));
    rows.delete()?;
    assert_eq!(rows.size().map_err(reason), Err(ets::Reason::NoTable));

    let theirs = ets::whereis::<i64, i64>("theirs")?.expect("the test has created it");
    assert_eq!(theirs.delete().map_err(reason), Err(ets::Reason::NotOwner));
    assert_eq!(theirs.update_counter(&7, 1, None).map_err(reason), Err(ets::Reason::NoRow));
    let unordered: Table<i64, i64> = ets::Options::new().create()?;
    assert_eq!(unordered.page(None, 1).map_err(reason), Err(ets::Reason::NotOrdered));
    unordered.give_away(Pid::new(9, 1), &())?;
    assert_eq!(unordered.insert(&1, &1).map_err(reason), Err(ets::Reason::NoAccess));
    Ok(())
}
