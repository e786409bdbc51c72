//! The report of an upgrade. Its JSON is a contract. Its text names the outcome, the state of the
//! node and the failed step.

use std::fmt;

use reld_error_codes::ErrorCode;
use reld_plan::{AppName, ModuleName, Script, Vsn};
use serde::{Serialize, Serializer};

use crate::error::AsBefore;
use crate::lineup::ReplacedApp;
use crate::meeting::MeetingReport;
use crate::node::{ChangedChildren, Exited, Lingerer, Pause, Precopied, Resident};
use crate::process::{Listed, Process};
use crate::settle::Settled;

/// How an upgrade ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The release runs.
    Installed,
    /// A step failed. Code and state are exactly as before, except for the apps that the report
    /// lists as started afresh.
    RolledBack,
    /// A step failed, and so did the rollback: the node restarts into the permanent release.
    NeedsRestart,
    /// The release ran and did not settle; the node went back to the previous release.
    TakenBack,
    /// The release had to be taken back, but the way back failed. The release keeps running,
    /// uncommitted.
    NotTakenBack,
}

impl Outcome {
    /// Returns the serialised name.
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

/// The report of an upgrade, a downgrade or a boot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The release that ran before; `None` if the node was idle.
    pub from: Option<Vsn>,
    /// The release that was to run.
    pub to: Vsn,
    /// The names of the keys that have signed the release.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signed_by: Vec<String>,
    /// The app to replace, if only one app of the running release changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<ReplacedApp>,
    /// How the upgrade ended.
    pub outcome: Outcome,
    /// Whether the upgrade did anything: false if the release was already running.
    pub changed: bool,
    /// Whether the node boots this release from now on.
    pub permanent: bool,
    /// Why the running release could not be made permanent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_error: Option<String>,
    /// The script; `None` if there was nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
    /// The failed step and its cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The undos that failed.
    pub not_undone: Vec<String>,
    /// The steps that were done, in order.
    pub steps: Vec<StepReport>,
    /// The duration of the whole upgrade, including the check, in microseconds.
    pub duration_us: u64,
    /// How long the members were held; with several windows, the longest pause.
    pub pause: Pause,
    /// The windows, if there was more than one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowReport>,
    /// The meetings with other nodes, one per window at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub meetings: Vec<MeetingReport>,
    /// The number of converted states.
    pub converted: usize,
    /// The number of states that were converted before their processes were held.
    pub precopied: Precopied,
    /// The trial of the way back before the switch; absent if nothing could need the way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// Supervisors with children that differ from those of the new init. Added children are not
    /// started; vanished children keep running.
    pub children: Vec<ChangedChildren>,
    /// Processes that the upgrade ended.
    pub killed: Vec<Process>,
    /// Processes of changed modules that ended during the upgrade.
    pub exits: Vec<Exited>,
    /// Processes of changed modules that were started or restarted during the upgrade.
    pub restarted: Vec<Process>,
    /// Apps that ran before and were restarted, so that their states are lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub afresh: Vec<AppName>,
    /// The number of calls to processes of changed modules that timed out.
    pub timeouts: usize,
    /// Members that did not come to rest and were left running.
    pub left: Vec<Process>,
    /// Processes that still run old code.
    pub lingering: Vec<Lingerer>,
    /// Images that are still mapped although no code of theirs is needed.
    pub residents: Vec<Resident>,
    /// The observations on the release before it was kept or taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<Settled>,
    /// The report of the way back, if the release was or should have been taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way_back: Option<Box<Self>>,
    /// Further remarks for the operator.
    pub warnings: Vec<String>,
}

/// One window of an upgrade that runs group by group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowReport {
    /// The number of the window, counted from 1.
    pub window: usize,
    /// The modules that this window made current or, if it failed, should have made current.
    pub modules: Vec<ModuleName>,
    /// How the window ended. If a later window fails, an installed window is taken back.
    pub outcome: Outcome,
    /// How long the members of the window were held.
    pub pause: Pause,
    /// The number of states that the window converted.
    pub converted: usize,
}

/// The trial of the way back before the switch. It proves nothing about states that the new code
/// produces later.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Trial {
    /// The number of new states that were converted back for the old code.
    pub tried: usize,
    /// The states that were not tried.
    pub not_tried: Vec<NotTried>,
    /// The total time over all states, in microseconds.
    pub duration_us: u64,
}

/// States that were not converted back in the trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotTried {
    /// The number of states.
    pub processes: usize,
    /// The reason.
    pub why: String,
}

impl Trial {
    /// Records states that were not tried.
    pub(crate) fn leave_out(&mut self, processes: usize, why: &str) {
        match self.not_tried.iter_mut().find(|known| known.why == why) {
            Some(known) => known.processes += processes,
            None if processes > 0 => self.not_tried.push(NotTried { processes, why: why.to_owned() }),
            None => {}
        }
    }

    /// Adds the trial of another window.
    fn add(&mut self, other: &Self) {
        self.tried += other.tried;
        self.duration_us += other.duration_us;
        other.not_tried.iter().for_each(|left| self.leave_out(left.processes, &left.why));
    }
}

/// A step that was done or attempted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// The step of the script, counted from 1.
    pub step: usize,
    /// The step as text.
    pub title: String,
    /// The duration in microseconds.
    pub duration_us: u64,
}

/// The failed step of an upgrade and the cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The step of the script, counted from 1.
    pub step: usize,
    /// The number of steps of the script.
    pub steps: usize,
    /// The step as text.
    pub title: String,
    /// The code of the cause.
    #[serde(serialize_with = "word")]
    pub code: ErrorCode,
    /// The error of the node.
    pub cause: String,
    /// The process concerned, if the error concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

fn word<S: Serializer>(code: &ErrorCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.as_str())
}

impl Report {
    /// Returns the report of an upgrade before its first step.
    pub(crate) fn new(from: Option<Vsn>, to: Vsn) -> Self {
        Self {
            from,
            to,
            signed_by: Vec::new(),
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
            meetings: Vec::new(),
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
    /// Adds the report of one window.
    pub(crate) fn add(&mut self, mut part: Self) {
        self.changed |= part.changed;
        self.outcome = part.outcome;
        self.failure = self.failure.take().or(part.failure);
        self.not_undone.append(&mut part.not_undone);
        self.steps.append(&mut part.steps);
        let processes = self.pause.processes + part.pause.processes;
        let longest = if part.pause.max_us >= self.pause.max_us { part.pause } else { self.pause };
        self.pause = Pause { processes, ..longest };
        self.meetings.append(&mut part.meetings);
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

    /// Returns the remark on windows that were carried out and then taken back; `None` if there
    /// were none.
    pub fn windows_taken_back(&self) -> Option<String> {
        let done = self.windows.iter().filter(|window| window.outcome == Outcome::Installed).count();
        let is_it = self.outcome == Outcome::TakenBack && self.failure.is_some() && done > 0;
        is_it.then(|| format!("{done} windows were in force: their states were converted back, not restored"))
    }

    /// Returns the first line of a report of a failed way back.
    pub fn not_taken_back(&self) -> String {
        let done = self.windows.iter().filter(|window| window.outcome == Outcome::Installed).count();
        let what = self.what();
        match self.windows.len() {
            windows if done < windows => format!(
                "{what} was not taken back: its first {done} windows are in force, the others are not; the node runs this mixture, uncommitted"
            ),
            _ => format!("{what} was not taken back; it keeps running, uncommitted"),
        }
    }

    /// Returns a text that names the release the node runs after a failed upgrade. It contains "as
    /// before" only if no state was lost.
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

    /// Returns the subject of the report: `release 1.1.0` or `app counter 0.1.1`.
    pub fn what(&self) -> String {
        what(&self.to, self.app.as_ref())
    }
}

pub(crate) fn what(release: &Vsn, app: Option<&ReplacedApp>) -> String {
    app.map_or_else(|| format!("release {release}"), |app| format!("app {} {}", app.app, app.to))
}

/// The text for people. The first line of a failure names the failed upgrade and the state of the
/// node.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what();
        match self.outcome {
            Outcome::Installed if !self.changed => write!(f, "{what} is already running; nothing to do"),
            Outcome::Installed => self.installed(f),
            Outcome::RolledBack => {
                write!(f, "{what} was not installed; {}", self.now_runs())?;
                self.failed(f)
            }
            Outcome::TakenBack => {
                write!(f, "{what} was taken back; {}", self.now_runs())?;
                self.unsettled(f)?;
                self.failed(f)?;
                if let Some(remark) = self.windows_taken_back() {
                    write!(f, "\n  {remark}")?;
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
                write!(f, "{what} {how}; the {way} is incomplete; the node must restart")?;
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
            write!(f, "; {processes} processes held for at most {max_us} us")?;
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
            code: ErrorCode::ChangeCode,
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
    fn a_rollback_names_the_release_the_running_one_and_the_failed_step() {
        check(
            &failed(Outcome::RolledBack),
            "release 1.1.0 was not installed; the node runs 1.0.0 as before\n  \
             step 7 of 12: code_change counter (up from 0.1.0)\n  \
             caused by: change_code <41.1> (shop:counter): app shop 1.1.0 answered: unknown state version 3\n\n\
             hint: `relctl check 1.1.0` prints the script",
        );
    }

    #[test]
    fn an_incomplete_rollback_lists_the_failed_undos_and_asks_for_a_restart() {
        let mut report = failed(Outcome::NeedsRestart);
        report.failure = None;
        report.not_undone = vec!["stop_application till: app till did not stop".to_owned()];
        check(
            &report,
            "release 1.1.0 was not installed; the rollback is incomplete; the node must restart\n  \
             not undone: stop_application till: app till did not stop",
        );
    }

    #[test]
    fn a_success_names_the_running_release_and_the_leftovers() {
        let mut report = Report::new(None, Vsn::new(1, 1, 0));
        check(&report, "release 1.1.0 is already running; nothing to do");
        report.changed = true;
        check(&report, "release 1.1.0 runs");
        report.pause = Pause { p50_us: 80, p99_us: 110, max_us: 120, processes: 3 };
        report.commit_error = Some("disk full".to_owned());
        check(
            &report,
            "release 1.1.0 runs; 3 processes held for at most 120 us\n  not made permanent: disk full",
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
                "code": "change_code",
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
