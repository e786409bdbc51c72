//! Continuous calls from several connections, which detect lost calls and lost state.

use std::collections::HashMap;

use reld_api::response::Replied;
use reld_api::{Client, ClientError, request as q};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CALLERS: usize = 8;

#[derive(Debug)]
pub(super) struct Traffic {
    stop: watch::Sender<bool>,
    callers: JoinSet<Tally>,
}

/// The results of callers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Calls that were made.
    pub(super) calls: u64,
    /// Calls that got no reply.
    pub(super) lost: u64,
    /// The first problem: a lost call, an odd reply or a counter that jumped back.
    pub(super) complaint: Option<String>,
}

impl Traffic {
    /// Starts the callers; each calls all the counters in turn.
    pub(super) fn start(client: &Client, counters: &[String]) -> Self {
        let stop = watch::Sender::new(false);
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(call(client.clone(), counters.to_vec(), stop.subscribe()));
        }
        Self { stop, callers }
    }

    /// Stops the callers after their current call, and returns their joint results.
    pub(super) async fn stop(self) -> Tally {
        self.stop.send_replace(true);
        self.callers.join_all().await.into_iter().fold(Tally::default(), Tally::plus)
    }
}

async fn call(client: Client, counters: Vec<String>, stop: watch::Receiver<bool>) -> Tally {
    let mut tally = Tally::default();
    let mut values = HashMap::new();
    for counter in counters.iter().cycle() {
        if *stop.borrow() {
            break;
        }
        let request = q::Call { process: counter.clone(), request: json!("get"), timeout_ms: None };
        tally.add(counter, &mut values, client.call(&request).await);
    }
    tally
}

impl Tally {
    /// Counts one call, and compares the counter's value with the last one seen.
    fn add<'a>(
        &mut self,
        counter: &'a str,
        values: &mut HashMap<&'a str, i64>,
        reply: Result<Replied, ClientError>,
    ) {
        self.calls += 1;
        match reply.map(|replied| value(&replied.reply).ok_or(replied.reply)) {
            Ok(Ok(value)) => {
                let last = values.insert(counter, value).unwrap_or(value);
                if value < last {
                    self.complain(format!("the counter {counter} jumped back from {last} to {value}"));
                }
            }
            Ok(Err(reply)) => self.complain(format!("the counter {counter} replied {reply}")),
            Err(error) => {
                self.lost += 1;
                self.complain(format!("a call to {counter} was lost: {error}"));
            }
        }
    }

    fn complain(&mut self, complaint: String) {
        self.complaint.get_or_insert(complaint);
    }

    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            lost: self.lost + other.lost,
            complaint: self.complaint.or(other.complaint),
        }
    }
}

/// A counter answers `{"value": N}` to `get`.
fn value(reply: &Value) -> Option<i64> {
    reply.get("value")?.as_i64()
}

#[cfg(test)]
mod tests {
    use reld_api::{ClientError, ErrorCode, ErrorReport};

    use super::*;

    fn replied(reply: Value) -> Result<Replied, ClientError> {
        Ok(Replied { pid: "<7.1>".to_owned(), reply, took_us: 5 })
    }

    fn at(value: i64) -> Result<Replied, ClientError> {
        replied(json!({ "value": value }))
    }

    fn lost() -> Result<Replied, ClientError> {
        Err(ClientError::Refused(Box::new(ErrorReport::refused(ErrorCode::Timeout, "no reply within 5 s"))))
    }

    #[track_caller]
    fn check(replies: Vec<Result<Replied, ClientError>>, expected: (u64, u64, Option<&str>)) {
        let (mut tally, mut values) = (Tally::default(), HashMap::new());
        for reply in replies {
            tally.add("<7.1>", &mut values, reply);
        }
        assert_eq!((tally.calls, tally.lost, tally.complaint.as_deref()), expected);
    }

    #[test]
    fn a_lost_call_and_a_jump_back_are_noticed() {
        check(vec![at(1), at(1), at(3)], (3, 0, None));
        check(vec![at(3), at(1)], (2, 0, Some("the counter <7.1> jumped back from 3 to 1")));
        check(vec![at(1), lost(), at(2)], (3, 1, Some("a call to <7.1> was lost: no reply within 5 s")));
        let odd = "the counter <7.1> replied \"busy\"";
        check(vec![replied(json!("busy"))], (1, 0, Some(odd)));
    }
}
