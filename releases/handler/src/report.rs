//! What an upgrade did: a contract as JSON, and a text that says what did not happen, what state the node is in, and
//! where it failed.

use std::fmt;

use reld_plan::{AppName, ModuleName, Script, Vsn};
use serde::Serialize;

use crate::error::AsBefore;
use crate::lineup::ReplacedApp;
use crate::node::{ChangedChildren, Exited, Lingerer, Pause, Precopied, Resident};
use crate::process::{Listed, Process};
use crate::settle::Settled;

/// How an upgrade ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The release runs.
    Installed,
    /// Something failed; code and state are exactly as before, but for what the report lists as started afresh.
    RolledBack,
    /// Something failed, and taking it back failed too: the node restarts into the permanent release.
    NeedsRestart,
    /// The release ran, did not settle, and the node went back to the one before.
    TakenBack,
    /// The release was to be taken back, and the way back failed: it runs on, uncommitted.
    NotTakenBack,
}

impl Outcome {
    /// Returns its name, as it is serialised.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::RolledBack => "rolled_back",
            Self::NeedsRestart => "needs_restart",
            Self::TakenBack => "taken_back",
            Self::NotTakenBack => "not_taken_back",
        }
    }
}

/// What an upgrade, a downgrade or a boot did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What the node ran before; `None` = it was idle.
    pub from: Option<Vsn>,
    /// What it was to run.
    pub to: Vsn,
    /// The app that was to be replaced in a release that stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<ReplacedApp>,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether anything was done at all; false where the release ran already.
    pub changed: bool,
    /// Whether the release is what the node boots now.
    pub permanent: bool,
    /// Why the release, which runs, could not be made permanent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_error: Option<String>,
    /// The script; `None` where nothing was to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// Where and why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What a rollback could not take back.
    pub not_undone: Vec<String>,
    /// What was done, in order.
    pub steps: Vec<StepReport>,
    /// How long all of it took, the check included, in microseconds.
    pub duration_us: u64,
    /// How long the members were held; of several windows, the longest.
    pub pause: Pause,
    /// What each window did, where there was more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowReport>,
    /// How many states were converted.
    pub converted: usize,
    /// How many of them before their processes were held.
    pub precopied: Precopied,
    /// How the way back was tried before the switch; absent where nothing could need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// Supervisors whose children differ from what the new init says: added rows are not started, vanished ones run on.
    pub children: Vec<ChangedChildren>,
    /// Who was ended by the upgrade.
    pub killed: Vec<Process>,
    /// Processes of changed modules that ended meanwhile.
    pub exits: Vec<Exited>,
    /// Processes of changed modules that were started or restarted meanwhile.
    pub restarted: Vec<Process>,
    /// Apps that ran before and run again, but were started afresh: their states are lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub afresh: Vec<AppName>,
    /// How many calls to processes of changed modules were not answered before their callers gave up.
    pub timeouts: usize,
    /// Members that did not come to rest and were left alone.
    pub left: Vec<Process>,
    /// Who still runs old code.
    pub lingering: Vec<Lingerer>,
    /// Images that are still mapped without need.
    pub residents: Vec<Resident>,
    /// What was seen of the release before it was kept or taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// What the way back did, where the release was taken back or should have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_back: Option<Box<Self>>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

/// One window of an upgrade that is carried out group by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowReport {
    /// Its number, counted from 1.
    pub window: usize,
    /// The modules that became current with it, or were to.
    pub modules: Vec<ModuleName>,
    /// Whether it was carried out. What was is taken back later where one after it was not.
    pub outcome: Outcome,
    /// How long its members were held.
    pub pause: Pause,
    /// How many states it converted.
    pub converted: usize,
}

/// How the way back was tried before the switch. It says nothing of states that the new code makes
/// later.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Trial {
    /// How many states were carried back to the code that they came from.
    pub tried: usize,
    /// Those that were not.
    pub not_tried: Vec<NotTried>,
    /// How long it took, added up over all states, in microseconds.
    pub duration_us: u64,
}

/// States whose way back was not tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotTried {
    /// How many.
    pub processes: usize,
    /// Why.
    pub why: String,
}

impl Trial {
    /// Notes states that were not tried.
    pub(crate) fn leave_out(&mut self, processes: usize, why: &str) {
        match self.not_tried.iter_mut().find(|known| known.why == why) {
            Some(known) => known.processes += processes,
            None if processes > 0 => self.not_tried.push(NotTried { processes, why: why.to_owned() }),
            None => {}
        }
    }

    /// Adds what was tried for another window.
    fn add(&mut self, other: &Self) {
        self.tried += other.tried;
        self.duration_us += other.duration_us;
        other.not_tried.iter().for_each(|left| self.leave_out(left.processes, &left.why));
    }
}

/// One step that was done or tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// The step of the script, counted from 1.
    pub step: usize,
    /// What was done.
    pub title: String,
    /// How long it took, in microseconds.
    pub duration_us: u64,
}

/// Where and why an upgrade failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The step of the script, counted from 1.
    pub step: usize,
    /// How many steps the script has.
    pub steps: usize,
    /// What was tried.
    pub title: String,
    /// What the node answered.
    pub cause: String,
    /// The process it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

impl Report {
    /// Returns the report of an upgrade that has done nothing yet.
    pub(crate) fn new(from: Option<Vsn>, to: Vsn) -> Self {
        Self {
            from,
            to,
            app: None,
            outcome: Outcome::Installed,
            changed: false,
            permanent: false,
            commit_error: None,
            script: None,
            failure: None,
            not_undone: Vec::new(),
            steps: Vec::new(),
            duration_us: 0,
            pause: Pause::default(),
            windows: Vec::new(),
            converted: 0,
            precopied: Precopied::default(),
            trial: None,
            children: Vec::new(),
            killed: Vec::new(),
            exits: Vec::new(),
            restarted: Vec::new(),
            afresh: Vec::new(),
            timeouts: 0,
            left: Vec::new(),
            lingering: Vec::new(),
            residents: Vec::new(),
            settled: None,
            way_back: None,
            warnings: Vec::new(),
        }
    }
}

impl Report {
    /// Adds what one window did.
    pub(crate) fn add(&mut self, mut part: Self) {
        self.changed |= part.changed;
        self.outcome = part.outcome;
        self.failure = self.failure.take().or(part.failure);
        self.not_undone.append(&mut part.not_undone);
        self.steps.append(&mut part.steps);
        let processes = self.pause.processes + part.pause.processes;
        let longest = if part.pause.max_us >= self.pause.max_us { part.pause } else { self.pause };
        self.pause = Pause { processes, ..longest };
        self.converted += part.converted;
        self.precopied.processes += part.precopied.processes;
        self.precopied.rounds = self.precopied.rounds.max(part.precopied.rounds);
        if let Some(trial) = &part.trial {
            self.trial.get_or_insert_default().add(trial);
        }
        self.children.append(&mut part.children);
        self.killed.append(&mut part.killed);
        self.exits.append(&mut part.exits);
        self.restarted.append(&mut part.restarted);
        self.timeouts += part.timeouts;
        self.left.append(&mut part.left);
        self.lingering.append(&mut part.lingering);
        self.warnings.append(&mut part.warnings);
    }

    /// Returns what is to be said where windows were carried out and taken back again; `None` otherwise.
    pub fn windows_taken_back(&self) -> Option<String> {
        let done = self.windows.iter().filter(|window| window.outcome == Outcome::Installed).count();
        let is_it = self.outcome == Outcome::TakenBack && self.failure.is_some() && done > 0;
        is_it.then(|| format!("{done} windows were in force: their states were converted back, not put back"))
    }

    /// Returns what is to be said where the way back failed.
    pub fn not_taken_back(&self) -> String {
        let done = self.windows.iter().filter(|window| window.outcome == Outcome::Installed).count();
        let what = self.what();
        match self.windows.len() {
            windows if done < windows => format!(
                "{what} was not taken back: {done} windows of it are in force, the others are not; it runs so, uncommitted"
            ),
            _ => format!("{what} was not taken back; it runs on, uncommitted"),
        }
    }

    /// Says what the node runs after an upgrade that failed. It is as before only where nothing was lost.
    pub fn now_runs(&self) -> String {
        let runs = match (self.outcome, &self.way_back) {
            (Outcome::TakenBack, Some(back)) => format!("the node runs {} again", back.to),
            _ if self.afresh.is_empty() => return AsBefore(self.from.as_ref()).to_string(),
            _ => AsBefore(self.from.as_ref()).to_string().replace("as before", "again"),
        };
        let names: Vec<&str> = self.afresh.iter().map(AppName::as_str).collect();
        match names[..] {
            [] => runs,
            [app] => format!("{runs}, with app {app} started afresh: its states are lost"),
            _ => format!("{runs}, with apps {} started afresh: their states are lost", names.join(", ")),
        }
    }

    /// Returns what it is about: `release 1.1.0`, or `app counter 0.1.1`.
    pub fn what(&self) -> String {
        what(&self.to, self.app.as_ref())
    }
}

pub(crate) fn what(release: &Vsn, app: Option<&ReplacedApp>) -> String {
    app.map_or_else(|| format!("release {release}"), |app| format!("app {} {}", app.app, app.to))
}

/// The text for people. A failure's first line says what did not happen and what state the node is in.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what();
        match self.outcome {
            Outcome::Installed if !self.changed => write!(f, "{what} runs already; nothing to do"),
            Outcome::Installed => self.installed(f),
            Outcome::RolledBack => {
                write!(f, "{what} was not installed; {}", self.now_runs())?;
                self.failed(f)
            }
            Outcome::TakenBack => {
                write!(f, "{what} was taken back; {}", self.now_runs())?;
                self.unsettled(f)?;
                self.failed(f)?;
                if let Some(said) = self.windows_taken_back() {
                    write!(f, "\n  {said}")?;
                }
                self.warnings.iter().try_for_each(|warning| write!(f, "\n  warning: {warning}"))
            }
            Outcome::NotTakenBack => {
                f.write_str(&self.not_taken_back())?;
                self.unsettled(f)?;
                self.failed(f)?;
                self.not_undone.iter().try_for_each(|line| write!(f, "\n  the way back failed: {line}"))
            }
            Outcome::NeedsRestart => {
                let (how, way) = match self.settled {
                    Some(_) => ("did not settle", "way back"),
                    None => ("was not installed", "rollback"),
                };
                write!(f, "{what} {how}; the {way} is not complete, the node must restart")?;
                self.unsettled(f)?;
                self.failed(f)?;
                self.not_undone.iter().try_for_each(|line| write!(f, "\n  not undone: {line}"))
            }
        }
    }
}

impl Report {
    fn installed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pause { processes, max_us, .. } = self.pause;
        write!(f, "{} runs", self.what())?;
        if processes > 0 {
            write!(f, "; {processes} processes held, none longer than {max_us} us")?;
        }
        if let Some(error) = &self.commit_error {
            write!(f, "\n  not made permanent: {error}")?;
        }
        list(f, "killed", &self.killed)?;
        list(f, "not at rest, left on old code", &self.left)?;
        let lingering: Vec<Process> =
            self.lingering.iter().map(|lingerer| lingerer.process.clone()).collect();
        list(f, "still in old code", &lingering)?;
        self.warnings.iter().try_for_each(|warning| write!(f, "\n  warning: {warning}"))
    }

    fn unsettled(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = self.settled.as_ref().and_then(|settled| settled.fault.as_ref());
        fault.map_or(Ok(()), |fault| write!(f, "\n  caused by: {fault}"))
    }

    fn failed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Failure { step, steps, title, cause, .. }) = &self.failure else { return Ok(()) };
        write!(f, "\n  step {step} of {steps}: {title}\n  caused by: {cause}")?;
        if self.app.is_some() {
            return Ok(());
        }
        write!(f, "\n\nhint: `relctl check {}` prints the script", self.to)
    }
}

fn list(f: &mut fmt::Formatter<'_>, what: &str, processes: &[Process]) -> fmt::Result {
    if processes.is_empty() { Ok(()) } else { write!(f, "\n  {what}: {}", Listed(processes)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(outcome: Outcome) -> Report {
        let mut report = Report::new(Some(Vsn::new(1, 0, 0)), Vsn::new(1, 1, 0));
        report.outcome = outcome;
        report.changed = true;
        report.failure = Some(Failure {
            step: 7,
            steps: 12,
            title: "code_change counter (up from 0.1.0)".to_owned(),
            cause: "change_code <41.1> (shop:counter): app shop 1.1.0 answered: unknown state version 3"
                .to_owned(),
            process: None,
        });
        report
    }

    #[track_caller]
    fn check(report: &Report, expected: &str) {
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn a_rollback_says_what_did_not_happen_what_runs_and_where_it_failed() {
        check(
            &failed(Outcome::RolledBack),
            "release 1.1.0 was not installed; the node runs 1.0.0 as before\n  \
             step 7 of 12: code_change counter (up from 0.1.0)\n  \
             caused by: change_code <41.1> (shop:counter): app shop 1.1.0 answered: unknown state version 3\n\n\
             hint: `relctl check 1.1.0` prints the script",
        );
    }

    #[test]
    fn an_incomplete_rollback_says_what_is_left_and_that_the_node_restarts() {
        let mut report = failed(Outcome::NeedsRestart);
        report.failure = None;
        report.not_undone = vec!["stop_application till: app till did not stop".to_owned()];
        check(
            &report,
            "release 1.1.0 was not installed; the rollback is not complete, the node must restart\n  \
             not undone: stop_application till: app till did not stop",
        );
    }

    #[test]
    fn a_success_says_what_runs_and_what_is_left_over() {
        let mut report = Report::new(None, Vsn::new(1, 1, 0));
        check(&report, "release 1.1.0 runs already; nothing to do");
        report.changed = true;
        check(&report, "release 1.1.0 runs");
        report.pause = Pause { p50_us: 80, p99_us: 110, max_us: 120, processes: 3 };
        report.commit_error = Some("disk full".to_owned());
        check(
            &report,
            "release 1.1.0 runs; 3 processes held, none longer than 120 us\n  not made permanent: disk full",
        );
    }

    #[test]
    fn the_json_of_a_report_is_a_contract() {
        let mut report = failed(Outcome::RolledBack);
        report.steps =
            vec![StepReport { step: 1, title: "load_object_code shop-0.1.1".to_owned(), duration_us: 40 }];
        let expected = serde_json::json!({
            "from": "1.0.0", "to": "1.1.0", "outcome": "rolled_back", "changed": true, "permanent": false,
            "failure": {
                "step": 7, "steps": 12, "title": "code_change counter (up from 0.1.0)",
                "cause": "change_code <41.1> (shop:counter): app shop 1.1.0 answered: unknown state version 3",
            },
            "not_undone": [],
            "steps": [{ "step": 1, "title": "load_object_code shop-0.1.1", "duration_us": 40 }],
            "duration_us": 0,
            "pause": { "p50_us": 0, "p99_us": 0, "max_us": 0, "processes": 0 },
            "converted": 0, "precopied": { "processes": 0, "rounds": 0 }, "children": [], "killed": [], "exits": [], "restarted": [],
            "timeouts": 0, "left": [],
            "lingering": [], "residents": [], "warnings": [],
        });
        assert_eq!(serde_json::to_value(&report).unwrap(), expected);
    }
}
