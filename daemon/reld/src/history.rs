//! The history of the node's releases, kept on disk in the form of the API.

use std::time::SystemTime;

use reld_api::response::{HistoryEntry, HistoryKind, Outcome, Report};
use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_handler::{Ended, Error, History};

use crate::report;

/// Writes and reads the history.
#[derive(Debug, Clone)]
pub(crate) struct Records(History);

/// The kind of an order, the user who gave it, and the rollout that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) kind: HistoryKind,
    pub(crate) uid: Option<u32>,
    pub(crate) rollout: Option<String>,
}

impl Records {
    pub(crate) const fn new(history: History) -> Self {
        Self(history)
    }

    /// Begins an entry. The entry has no number if it could not be written to disk.
    pub(crate) fn begin(&self, origin: &Origin, from: Option<String>, to: String) -> HistoryEntry {
        let mut entry = HistoryEntry {
            number: None,
            begun: now(),
            ended: None,
            kind: origin.kind,
            uid: origin.uid,
            rollout: origin.rollout.clone(),
            from,
            to,
            outcome: Outcome::UnderWay,
            committed: false,
            report: None,
            failure: None,
        };
        tracing::info!(name: "order.begun", "{}", in_words(&entry));
        match self.0.begin(&text(&entry)) {
            Ok(number) => entry.number = Some(number),
            Err(error) => tracing::error!(name: "history.begin", %error, "cannot write the history"),
        }
        entry
    }

    /// Completes an entry with the result of its order.
    pub(crate) fn end(&self, entry: &mut HistoryEntry, ended: &mut Result<Ended, Error>) {
        if entry.number.is_none()
            && let Ok(Ended::Moved(report)) = ended
        {
            report
                .warnings
                .push("this order is missing in the history: it could not be written to disk".to_owned());
        }
        complete(entry, ended);
        entry.ended = (entry.outcome != Outcome::UnderWay).then(now);
        let committed = if entry.committed { ", committed" } else { "" };
        tracing::info!(name: "order.ended", "{}: {}{committed}", in_words(entry), entry.outcome);
        self.write(entry);
    }

    pub(crate) fn write(&self, entry: &HistoryEntry) {
        let written = entry.number.map_or(Ok(()), |number| self.0.write(number, &text(entry)));
        if let Err(error) = written {
            tracing::error!(name: "history.write", to = entry.to, %error, "cannot write the history");
        }
    }

    /// Returns all readable entries, the oldest first.
    pub(crate) fn list(&self) -> Vec<HistoryEntry> {
        let numbers = self.0.numbers().unwrap_or_default();
        numbers.into_iter().filter_map(|number| self.read(number)).collect()
    }

    pub(crate) fn read(&self, number: u64) -> Option<HistoryEntry> {
        let text = self.0.read(number).ok()??;
        let entry: HistoryEntry = serde_json::from_str(&text).ok()?;
        Some(HistoryEntry { number: Some(number), ..entry })
    }

    /// Marks the entries that an earlier daemon left unfinished. If that daemon ended while it ran
    /// an uncommitted release, this release is returned.
    pub(crate) fn interrupted(&self, boots: Option<&str>) -> Option<String> {
        let mut entries = self.list();
        let unfinished = |entry: &&mut HistoryEntry| {
            entry.outcome == Outcome::UnderWay && entry.kind != HistoryKind::Restart
        };
        for entry in entries.iter_mut().filter(unfinished) {
            entry.outcome = Outcome::Interrupted;
            self.write(entry);
        }
        given_up(entries.last()?, boots)
    }

    /// Completes the entries of restarts with the result of this boot.
    pub(crate) fn restarted(&self, boot: &Report) {
        let restarts =
            |entry: &HistoryEntry| entry.outcome == Outcome::UnderWay && entry.kind == HistoryKind::Restart;
        for mut entry in self.list().into_iter().filter(restarts) {
            arrived(&mut entry, boot);
            entry.ended = Some(now());
            self.write(&entry);
        }
    }
}

/// Returns the present time, in RFC 3339 format.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

fn text(entry: &HistoryEntry) -> String {
    serde_json::to_string_pretty(entry).unwrap_or_default()
}

/// Returns the order of an entry, and the user who gave it, as text for the log.
fn in_words(entry: &HistoryEntry) -> String {
    let HistoryEntry { kind, from, to, uid, rollout, .. } = entry;
    let rollout = rollout.as_ref().map(|rollout| format!(" in rollout {rollout}")).unwrap_or_default();
    let from = from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    let user = uid.map_or_else(|| "by the daemon itself".to_owned(), |uid| format!("ordered by uid {uid}"));
    format!("{kind}{from} to {to}, {user}{rollout}")
}

/// Completes an entry with the result of its order.
///
/// | the order | outcome |
/// |---|---|
/// | changed the node, or began to | the outcome of its report |
/// | restarts the node into a release | under way, until the boot completes it |
/// | committed a release, or will boot an old one | installed |
/// | was refused | refused: nothing was done |
fn complete(entry: &mut HistoryEntry, ended: &Result<Ended, Error>) {
    match ended {
        Ok(Ended::Moved(moved)) => {
            let report = report::wire(moved);
            entry.failure = report::failure(moved);
            (entry.outcome, entry.committed) = (report.outcome, report.committed);
            entry.report = Some(report);
        }
        Ok(Ended::Restarts { from, to }) if entry.kind == HistoryKind::Restart => {
            let report = report::under_way(from.as_ref().map(ToString::to_string), to.to_string());
            (entry.outcome, entry.report) = (report.outcome, Some(report));
        }
        Ok(_) => (entry.outcome, entry.committed) = (Outcome::Installed, true),
        Err(error) => {
            entry.outcome = Outcome::Refused;
            entry.failure = Some(report::error(error));
        }
    }
}

/// Returns the release of the last entry if it ran without a commit, unless it boots now.
fn given_up(last: &HistoryEntry, boots: Option<&str>) -> Option<String> {
    let ran = matches!(last.outcome, Outcome::Installed | Outcome::Interrupted);
    (ran && !last.committed && boots != Some(&last.to)).then(|| last.to.clone())
}

fn arrived(entry: &mut HistoryEntry, boot: &Report) {
    entry.report = Some(Report { from: entry.from.clone(), ..boot.clone() });
    if boot.to == entry.to {
        (entry.outcome, entry.committed) = (boot.outcome, boot.committed);
        return;
    }
    let message = format!("release {} did not boot", entry.to);
    let mut failure = ErrorReport::new(ErrorCode::TakenBack, message, ExitCode::RolledBack);
    failure.node_state = Some(format!("the node runs {} again", boot.to));
    failure.hint = Some("the daemon's log has the reason".to_owned());
    (entry.outcome, entry.failure) = (Outcome::TakenBack, Some(failure));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(outcome: Outcome, committed: bool) -> HistoryEntry {
        HistoryEntry {
            number: Some(1),
            begun: String::new(),
            ended: None,
            kind: HistoryKind::Upgrade,
            uid: None,
            rollout: None,
            from: Some("1.0.0".to_owned()),
            to: "1.1.0".to_owned(),
            outcome,
            committed,
            report: None,
            failure: None,
        }
    }

    #[test]
    fn an_order_is_logged_with_its_releases_and_its_user() {
        let entry = entry(Outcome::UnderWay, false);
        assert_eq!(in_words(&entry), "upgrade from 1.0.0 to 1.1.0, by the daemon itself");
        let entry = HistoryEntry { from: None, uid: Some(1000), ..entry };
        assert_eq!(in_words(&entry), "upgrade to 1.1.0, ordered by uid 1000");
        let entry = HistoryEntry { rollout: Some("shop-1.1.0".to_owned()), ..entry };
        assert_eq!(in_words(&entry), "upgrade to 1.1.0, ordered by uid 1000 in rollout shop-1.1.0");
    }

    #[track_caller]
    fn check(outcome: Outcome, committed: bool, boots: Option<&str>, expected: Option<&str>) {
        assert_eq!(given_up(&entry(outcome, committed), boots).as_deref(), expected);
    }

    #[test]
    fn a_release_that_ran_and_was_not_committed_is_given_up_by_a_boot_of_another() {
        check(Outcome::Installed, false, Some("1.0.0"), Some("1.1.0"));
        check(Outcome::Interrupted, false, Some("1.0.0"), Some("1.1.0"));
        check(Outcome::Interrupted, false, None, Some("1.1.0"));
        check(Outcome::Installed, false, Some("1.1.0"), None);
        check(Outcome::Installed, true, Some("1.0.0"), None);
        check(Outcome::RolledBack, false, Some("1.0.0"), None);
        check(Outcome::TakenBack, false, Some("1.0.0"), None);
    }
}
