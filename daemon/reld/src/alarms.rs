//! Alarms for the operator: any part of the daemon raises them, and `relctl status` shows them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::ring::Ring;

/// The maximum number of alarms. When it is reached, new alarms are dropped rather than old ones,
/// because later alarms are often consequences of earlier ones.
const MOST: usize = 32;

/// The pause between an event and the check of the alarms.
const LOOK: Duration = Duration::from_secs(1);

/// A handle to the alarms of the daemon.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alarms(Arc<Mutex<Raised>>);

/// A condition that needs the attention of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// The subject of the alarm. A new alarm replaces an older one with the same subject.
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
    /// Each alarm with the number of times that it was raised.
    kept: Vec<(Alarm, u64)>,
    /// The number of raised alarms that were dropped because `kept` was full.
    others: u64,
}

impl Alarms {
    /// Raises an alarm. If there is already an alarm with this subject, its text is replaced and
    /// its counter incremented.
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

    /// Clears the alarm with this subject.
    pub(crate) fn lower(&self, about: &str) {
        self.0.lock().kept.retain(|(alarm, _)| alarm.about != about);
    }

    /// Returns the raised alarms.
    pub(crate) fn list(&self) -> Vec<Alarm> {
        let raised = self.0.lock();
        let shown = |(alarm, times): &(Alarm, u64)| match times {
            1 => alarm.clone(),
            times => Alarm::new(&*alarm.about, format!("{} ({times} times)", alarm.text)),
        };
        let others = (raised.others > 0)
            .then(|| Alarm::new("others", format!("{} more alarms; see the log", raised.others)));
        raised.kept.iter().map(shown).chain(others).collect()
    }
}

/// Logs each alarm that is raised or cleared, as long as the daemon runs. The alarms are checked
/// after each event. Periodic checks run only while a client follows the events, so that an idle
/// node does not wake up.
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

/// Logs the alarms that were added or removed between two checks. An alarm with a new text counts
/// as the same alarm.
fn report(known: &BTreeMap<String, String>, now: &BTreeMap<String, String>) {
    for (about, text) in now.iter().filter(|(about, _)| !known.contains_key(*about)) {
        tracing::warn!(name: "alarm.raised", about, text, "alarm raised");
    }
    for (about, text) in known.iter().filter(|(about, _)| !now.contains_key(*about)) {
        tracing::info!(name: "alarm.cleared", about, text, "alarm cleared");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_with_the_same_subject_are_counted_and_only_the_first_are_kept() {
        let alarms = Alarms::default();
        assert_eq!(alarms.list(), []);
        for n in 0..MOST + 2 {
            alarms.raise(&format!("a{n}"), format!("alarm {n}"));
        }
        alarms.raise("a0", "alarm 0 anew".to_owned());
        let list: Vec<_> = alarms.list().into_iter().map(|alarm| alarm.text).collect();
        assert_eq!((list[0].as_str(), list[1].as_str()), ("alarm 0 anew (2 times)", "alarm 1"));
        assert_eq!((list.len(), list[MOST].as_str()), (MOST + 1, "2 more alarms; see the log"));
    }
}
