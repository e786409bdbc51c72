//! What an operator should look after: raised by any part of the daemon, shown by `relctl status`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::ring::Ring;

/// So many are kept, the first ones: what comes later is often a consequence.
const MOST: usize = 32;

/// How long after a report is looked whether an alarm has come or gone.
const LOOK: Duration = Duration::from_secs(1);

/// The alarms of a daemon, until it ends. Cloning gives another handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alarms(Arc<Mutex<Raised>>);

/// Something that an operator should look after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// What it is about. Of two about the same one stands.
    pub(crate) about: String,
    pub(crate) text: String,
}

impl Alarm {
    pub(crate) fn new(about: impl Into<String>, text: impl Into<String>) -> Self {
        Self { about: about.into(), text: text.into() }
    }
}

#[derive(Debug, Default)]
struct Raised {
    /// Each with how often it was raised.
    kept: Vec<(Alarm, u64)>,
    /// How often one was raised that was not kept.
    others: u64,
}

impl Alarms {
    /// Raises an alarm. One about the same is counted, and its text replaced.
    pub(crate) fn raise(&self, about: &str, text: String) {
        let mut raised = self.0.lock();
        if let Some((known, times)) = raised.kept.iter_mut().find(|(known, _)| known.about == about) {
            known.text = text;
            *times += 1;
        } else if raised.kept.len() < MOST {
            raised.kept.push((Alarm::new(about, text), 1));
        } else {
            raised.others += 1;
        }
    }

    /// Takes the alarm about something back.
    pub(crate) fn lower(&self, about: &str) {
        self.0.lock().kept.retain(|(alarm, _)| alarm.about != about);
    }

    /// Returns all that were raised.
    pub(crate) fn list(&self) -> Vec<Alarm> {
        let raised = self.0.lock();
        let shown = |(alarm, times): &(Alarm, u64)| match times {
            1 => alarm.clone(),
            times => Alarm::new(&*alarm.about, format!("{} ({times} times)", alarm.text)),
        };
        let others = (raised.others > 0)
            .then(|| Alarm::new("others", format!("{} more alarms, which the log names", raised.others)));
        raised.kept.iter().map(shown).chain(others).collect()
    }
}

/// Reports the alarms that come and go, as long as the daemon runs. Looks when something is reported,
/// and again and again while a client follows that: an idle node wakes up for nothing.
pub(crate) async fn watch_alarms(look: &(impl Fn() -> Vec<Alarm> + Sync), events: &Ring) -> ! {
    let mut reader = events.after(None);
    let mut known = BTreeMap::new();
    loop {
        let now = look().into_iter().map(|Alarm { about, text }| (about, text)).collect();
        report(&known, &now);
        known = now;
        if !events.has_others() {
            reader.changed().await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One whose text changes is the same alarm.
fn report(known: &BTreeMap<String, String>, now: &BTreeMap<String, String>) {
    for (about, text) in now.iter().filter(|(about, _)| !known.contains_key(*about)) {
        tracing::warn!(name: "alarm.raised", about, text, "an alarm");
    }
    for (about, text) in known.iter().filter(|(about, _)| !now.contains_key(*about)) {
        tracing::info!(name: "alarm.cleared", about, text, "an alarm is over");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_about_the_same_are_counted_and_no_more_than_some_are_kept() {
        let alarms = Alarms::default();
        assert_eq!(alarms.list(), []);
        for n in 0..MOST + 2 {
            alarms.raise(&format!("a{n}"), format!("alarm {n}"));
        }
        alarms.raise("a0", "alarm 0 anew".to_owned());
        let list: Vec<_> = alarms.list().into_iter().map(|alarm| alarm.text).collect();
        assert_eq!((list[0].as_str(), list[1].as_str()), ("alarm 0 anew (2 times)", "alarm 1"));
        assert_eq!((list.len(), list[MOST].as_str()), (MOST + 1, "2 more alarms, which the log names"));
    }
}
