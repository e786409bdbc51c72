//! The history of the releases.

use std::fmt::Write as _;

use reld_api::response::{HistoryEntry, HistoryList, Report};

use super::table::table;
use super::{account, duration, report};

/// Lists entries, one per line.
pub(crate) fn list(list: &HistoryList) -> String {
    let rows = list.entries.iter().map(|entry| {
        let number = entry.number.map(|number| number.to_string()).unwrap_or_default();
        let took = |report: &Report| duration::us(report.took_us);
        let pause = |report: &Report| duration::us(report.pauses.max_us);
        vec![
            number,
            entry.begun.clone(),
            entry.kind.to_string(),
            entry.from.clone().unwrap_or_default(),
            entry.to.clone(),
            state(entry),
            entry.report.as_ref().map(took).unwrap_or_default(),
            entry.report.as_ref().map(pause).unwrap_or_default(),
        ]
    });
    table(&["number", "begun", "kind", "from", "to", "outcome", "took", "longest pause"], rows)
}

/// Shows one entry: the headline, then the output of the original command.
pub(crate) fn entry(entry: &HistoryEntry) -> String {
    let number = entry.number.map(|number| format!("{number}: ")).unwrap_or_default();
    let by = entry.uid.map(|uid| format!(" by user {uid}")).unwrap_or_default();
    let rollout = entry.rollout.as_ref().map(|rollout| format!(" in rollout {rollout}")).unwrap_or_default();
    let HistoryEntry { kind, to, begun, .. } = entry;
    let mut text = format!("{number}{kind} to {to} at {begun}{by}{rollout}: {}\n", state(entry));
    text += &outcome(entry);
    text
}

/// Shows how an upgrade, downgrade or restart ended.
pub(crate) fn outcome(entry: &HistoryEntry) -> String {
    match (&entry.failure, &entry.report) {
        (Some(error), report) => account(error) + &report.as_ref().map(way_back).unwrap_or_default(),
        (None, Some(done)) => report(done),
        (None, None) => String::new(),
    }
}

/// Shows that nothing is under way, and the last entry.
pub(crate) fn idle(last: Option<&HistoryEntry>) -> String {
    let mut text = "nothing is under way\n".to_owned();
    if let Some(last) = last {
        let (kind, to) = (last.kind, &last.to);
        writeln!(text, "the last: {kind} to {to}, begun at {}: {}", last.begun, state(last))
            .expect("a String takes every line");
    }
    text
}

fn way_back(failed: &Report) -> String {
    let back = failed.way_back.as_ref().map(|back| report(back));
    back.map(|back| format!("the way back:\n{back}")).unwrap_or_default()
}

fn state(entry: &HistoryEntry) -> String {
    let is_current = entry.outcome == reld_api::response::Outcome::Installed && !entry.committed;
    format!("{}{}", entry.outcome, if is_current { ", not committed" } else { "" })
}
