//! What an operator should look after: raised by any part of the daemon, shown by `relctl status`.

use std::sync::Arc;

use parking_lot::Mutex;

/// So many are kept, the first ones: what comes later is often a consequence.
const MOST: usize = 32;

/// The alarms of a daemon, until it ends. Cloning gives another handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Alarms(Arc<Mutex<Raised>>);

#[derive(Debug, Default)]
struct Raised {
    kept: Vec<Alarm>,
    /// How often one was raised that was not kept.
    others: u64,
}

#[derive(Debug)]
struct Alarm {
    about: String,
    text: String,
    times: u64,
}

impl Alarms {
    /// Raises an alarm. One about the same is counted, and its text replaced.
    pub(crate) fn raise(&self, about: &str, text: String) {
        let mut raised = self.0.lock();
        if let Some(known) = raised.kept.iter_mut().find(|known| known.about == about) {
            known.text = text;
            known.times += 1;
        } else if raised.kept.len() < MOST {
            raised.kept.push(Alarm { about: about.to_owned(), text, times: 1 });
        } else {
            raised.others += 1;
        }
    }

    /// Takes the alarm about something back.
    pub(crate) fn lower(&self, about: &str) {
        self.0.lock().kept.retain(|alarm| alarm.about != about);
    }

    /// Returns the texts of all that were raised.
    pub(crate) fn list(&self) -> Vec<String> {
        let raised = self.0.lock();
        let text = |alarm: &Alarm| match alarm.times {
            1 => alarm.text.clone(),
            times => format!("{} ({times} times)", alarm.text),
        };
        let others =
            (raised.others > 0).then(|| format!("{} more alarms, which the log names", raised.others));
        raised.kept.iter().map(text).chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_about_the_same_are_counted_and_no_more_than_some_are_kept() {
        let alarms = Alarms::default();
        assert_eq!(alarms.list(), [""; 0]);
        for n in 0..MOST + 2 {
            alarms.raise(&format!("a{n}"), format!("alarm {n}"));
        }
        alarms.raise("a0", "alarm 0 anew".to_owned());
        let list = alarms.list();
        assert_eq!((list[0].as_str(), list[1].as_str()), ("alarm 0 anew (2 times)", "alarm 1"));
        assert_eq!((list.len(), list[MOST].as_str()), (MOST + 1, "2 more alarms, which the log names"));
    }
}
