//! Translations of the release handler's reports and errors to those of the API.

use std::collections::{BTreeMap, HashSet};

use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport, ExitCode, FailedStep};
use reld_handler::{self as handler, Check, Dropped, Ended, Outcome, Process};

use reld_plan::{PlanError, bounded};

use crate::node::chain;

/// Converts a check without obstacles.
pub(crate) fn checked(check: &Check) -> r::Checked {
    let steps = check.script.iter().flat_map(|script| (1..).zip(&script.steps));
    let step = |(number, step): (usize, &handler::Step)| r::Step {
        number,
        text: step.to_string(),
        instruction: serde_json::to_value(step).unwrap_or_default(),
    };
    r::Checked {
        from: check.from.as_ref().map(ToString::to_string),
        to: check.to.to_string(),
        changed: check.changed,
        script: steps.map(step).collect(),
        warnings: check.warnings.clone(),
    }
}

/// Converts a check with obstacles. The error lists all obstacles, and has the code of the first
/// one.
pub(crate) fn check_error(what: &str, check: &Check) -> ErrorReport {
    let mut report = refused(what, check.from.as_ref(), &check.obstacles);
    report.message = format!("cannot install {what}");
    report.node_state = None;
    report
}

/// Converts the obstacles to a load by hand.
pub(crate) fn load_refused(what: &str, obstacles: &[handler::Obstacle]) -> ErrorReport {
    let mut report = refused(what, None, obstacles);
    report.message = format!("cannot load {what}: processes would crash");
    report.node_state = None;
    report.with_hint(
        "`relctl upgrade --app` converts states by the appup; --force loads it and kills these processes",
    )
}

fn refused(what: &str, running: Option<&handler::Vsn>, obstacles: &[handler::Obstacle]) -> ErrorReport {
    let code = obstacles.first().map_or(ErrorCode::Refused, handler::Obstacle::code);
    let mut report = ErrorReport::refused(code, format!("{what} was not installed"));
    report.node_state = Some(runs(running));
    report.causes = obstacles.iter().map(|obstacle| chain(obstacle)).collect();
    report.details = serde_json::to_value(obstacles).unwrap_or_default();
    let is_same_version = |obstacle: &handler::Obstacle| matches!(obstacle, handler::Obstacle::Plan(PlanError::VersionNotInAppup { from, to, .. }) if from == to);
    let hint = if obstacles.first().is_some_and(is_same_version) { Some(LOAD) } else { hint(code) };
    report.hint = hint.map(str::to_owned);
    report
}

/// The remedy for new code under a version that runs.
const LOAD: &str =
    "new code needs a new version; for development, `relctl load DIR` loads an app of any version";

/// Returns a remedy for an obstacle.
fn hint(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::Unconfirmed => {
            Some("`relctl commit` keeps it, `relctl downgrade` goes back; --supersede upgrades from it")
        }
        ErrorCode::Orphans => Some(
            "--orphans=kill ends them, include converts them like other processes, ignore leaves them alone",
        ),
        ErrorCode::OtherRelease => {
            Some("unpack a release with the name of the running one, or accept the new name with --rename")
        }
        ErrorCode::NoSuchRelease => {
            Some("`relctl releases` lists the unpacked ones, `relctl unpack FILE` adds one")
        }
        ErrorCode::Permanent | ErrorCode::Current => Some(LOAD),
        ErrorCode::BadStatus => Some("`relctl releases` shows the status of each"),
        _ => None,
    }
}

fn runs(running: Option<&handler::Vsn>) -> String {
    handler::AsBefore(running).to_string()
}

/// Converts an error of the handler that changed nothing.
pub(crate) fn error(error: &handler::Error) -> ErrorReport {
    match error {
        handler::Error::Refused { what, running, obstacles } => refused(what, running.as_ref(), obstacles),
        handler::Error::Store(store) => store_error(store),
        handler::Error::NoPrevious { .. } => ErrorReport::refused(ErrorCode::NoPrevious, chain(error))
            .with_hint("`relctl releases` lists the releases; `relctl downgrade VSN` goes to one"),
        handler::Error::Idle => ErrorReport::refused(ErrorCode::Idle, chain(error))
            .with_hint("`relctl upgrade FILE` boots a release first"),
        handler::Error::NotOneApp(_) | handler::Error::NoLibrary { .. } => {
            ErrorReport::refused(ErrorCode::BadTarball, chain(error))
        }
        handler::Error::NothingToCommit => ErrorReport::refused(ErrorCode::Idle, chain(error)),
        handler::Error::Settles { .. } => ErrorReport::refused(ErrorCode::Busy, chain(error)).with_hint(
            "`relctl commit` keeps the release, `relctl downgrade` or `relctl abort` takes it back",
        ),
        handler::Error::Bug(_) => ErrorReport::new(ErrorCode::Bug, chain(error), ExitCode::Bug)
            .with_hint("the daemon's log has the panic; `relctl status` shows the running release"),
        handler::Error::NoSuchApp { .. } => ErrorReport::refused(ErrorCode::NoSuchApplication, chain(error)),
        handler::Error::BadValue { .. } => ErrorReport::refused(ErrorCode::BadConfig, chain(error)),
        handler::Error::NotConfigured { .. } => {
            ErrorReport::new(ErrorCode::ConfigChange, chain(error), ExitCode::RolledBack)
        }
        handler::Error::NeedsRestart => ErrorReport::refused(ErrorCode::NeedsRestart, chain(error)),
        handler::Error::NoRoom { .. } => ErrorReport::refused(ErrorCode::NoRoom, chain(error)),
    }
}

/// Converts the error of a tarball that was not unpacked.
pub(crate) fn not_unpacked_by(error: &handler::Error) -> ErrorReport {
    match error {
        handler::Error::Store(store) => not_unpacked(store),
        _ => self::error(error),
    }
}

/// Converts an error in a tarball. The path of the temporary file is left out.
pub(crate) fn not_unpacked(store: &reld_store::Error) -> ErrorReport {
    let report = ErrorReport::refused(store.code(), "cannot unpack the tarball");
    let reld_store::Error::Tarball { source, .. } = store else { return report.caused_by(chain(store)) };
    let report = report.caused_by(chain(source));
    match source {
        reld_store::Fault::OtherContent(_) => report.with_hint(
            "pack it with a new version, or remove the release with the old contents: `relctl releases`, `relctl remove VSN`; for development, `relctl load DIR` loads an app of any version",
        ),
        _ => report,
    }
}

/// Converts the error of a tarball that was not fetched.
pub(crate) fn not_fetched(error: &reld_source::Error) -> ErrorReport {
    match error {
        reld_source::Error::Refused(store) => not_unpacked(store),
        error => {
            let report = ErrorReport::refused(error.code(), error.to_string());
            let source = std::error::Error::source(error);
            source.into_iter().fold(report, |report, cause| report.caused_by(chain(cause)))
        }
    }
}

/// Converts an error of the store that changed nothing.
pub(crate) fn store_error(store: &reld_store::Error) -> ErrorReport {
    let mut report = ErrorReport::refused(store.code(), chain(store));
    report.hint = hint(store.code()).map(str::to_owned);
    report
}

/// The maximum length of a text in an error, in characters. Some texts quote an app or a request.
const TEXT_MAX: usize = 8 << 10;

/// Shortens the texts of an error to [`TEXT_MAX`].
pub(crate) fn brief(mut error: ErrorReport) -> ErrorReport {
    let texts = [&mut error.message].into_iter().chain(&mut error.causes).chain(&mut error.hint);
    for text in texts.chain(error.step.as_mut().map(|step| &mut step.text)) {
        *text = bounded(text, TEXT_MAX).into_owned();
    }
    error
}

pub(crate) fn wire(report: &handler::Report) -> r::Report {
    let (from, to) = match &report.app {
        Some(app) => (Some(format!("{}-{}", app.app, app.from)), format!("{}-{}", app.app, app.to)),
        None => (report.from.as_ref().map(ToString::to_string), report.to.to_string()),
    };
    r::Report {
        outcome: outcome(report.outcome),
        from,
        to,
        signed_by: if report.app.is_some() { Vec::new() } else { report.signed_by.clone() },
        changed: report.changed,
        committed: report.permanent,
        steps: report.steps.iter().map(step_run).collect(),
        took_us: report.duration_us,
        pauses: pauses(&report.pause),
        windows: report.windows.iter().map(window).collect(),
        meetings: report.meetings.iter().map(meeting).collect(),
        killed: ended(report),
        restarted: restarted(report),
        timeouts: report.timeouts as u64,
        lingering: report.lingering.iter().map(lingerer).collect(),
        unpurged: unpurged(report),
        dropped: dropped(report),
        trial: report.trial.as_ref().map(trial),
        settled: report.settled.as_ref().map(settled),
        way_back: report.way_back.as_deref().map(wire).map(Box::new),
        warnings: warnings(report),
    }
}

/// Converts the result of an order that changes the node. The details of a failure contain the
/// report.
pub(crate) fn moved(ended: &Ended) -> Result<r::Report, ErrorReport> {
    match ended {
        Ended::Moved(report) => match failure(report) {
            None => Ok(wire(report)),
            Some(failure) => {
                let details = serde_json::to_value(wire(report)).unwrap_or_default();
                Err(ErrorReport { details, ..failure })
            }
        },
        Ended::Restarts { from, to } => Ok(under_way(from.as_ref().map(ToString::to_string), to.to_string())),
        Ended::Settles | Ended::Committed { .. } | Ended::Removed { .. } | Ended::Pruned(_) => {
            Err(ErrorReport::new(ErrorCode::Bug, "the order did not change the node", ExitCode::Bug))
        }
    }
}

/// Returns the error of a failed order, without the report.
pub(crate) fn failure(report: &handler::Report) -> Option<ErrorReport> {
    match report.outcome {
        Outcome::Installed => report.commit_error.as_ref().map(|error| not_committed(report, error)),
        Outcome::RolledBack => Some(failed(report, ExitCode::RolledBack)),
        Outcome::TakenBack => Some(taken_back(report)),
        Outcome::NotTakenBack => Some(not_taken_back(report)),
        Outcome::NeedsRestart => Some(failed(report, ExitCode::Incomplete)),
    }
}

/// Returns the start and the target of an order, as two releases or two versions of one app.
pub(crate) fn journey(journey: &handler::Journey<'_>) -> (Option<String>, String) {
    match journey.app {
        Some(app) => (Some(format!("{}-{}", app.app, app.from)), format!("{}-{}", app.app, app.to)),
        None => (journey.from.map(ToString::to_string), journey.to.to_string()),
    }
}

/// Returns the start and the target of an order that has changed the node.
pub(crate) fn changed(ended: &Result<Ended, handler::Error>) -> Option<(Option<String>, String)> {
    match ended {
        // The downgrade that should have taken back a settling release has failed.
        Ok(Ended::Moved(report)) if report.settled.is_some() && report.outcome != Outcome::Installed => {
            let to = report.from.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
            Some((Some(report.to.to_string()), to))
        }
        Ok(Ended::Moved(report)) if report.changed => {
            Some((report.from.as_ref().map(ToString::to_string), report.to.to_string()))
        }
        Ok(Ended::Restarts { from, to }) => Some((from.as_ref().map(ToString::to_string), to.to_string())),
        Ok(Ended::Committed { vsn, before, .. }) if before.as_ref() != Some(vsn) => {
            Some((before.as_ref().map(ToString::to_string), vsn.to_string()))
        }
        Ok(_) | Err(_) => None,
    }
}

/// Returns the report of an order that continues after its answer.
pub(crate) fn under_way(from: Option<String>, to: String) -> r::Report {
    r::Report {
        outcome: r::Outcome::UnderWay,
        from,
        to,
        signed_by: Vec::new(),
        changed: true,
        committed: false,
        steps: Vec::new(),
        took_us: 0,
        pauses: r::Pauses::default(),
        windows: Vec::new(),
        meetings: Vec::new(),
        killed: Vec::new(),
        restarted: Vec::new(),
        timeouts: 0,
        lingering: Vec::new(),
        unpurged: Vec::new(),
        dropped: BTreeMap::new(),
        trial: None,
        settled: None,
        way_back: None,
        warnings: Vec::new(),
    }
}

fn trial(trial: &handler::Trial) -> r::Trial {
    let not_tried =
        |left: &handler::NotTried| r::NotTried { processes: left.processes as u64, why: left.why.clone() };
    r::Trial {
        tried: trial.tried as u64,
        not_tried: trial.not_tried.iter().map(not_tried).collect(),
        took_us: trial.duration_us,
    }
}

fn settled(settled: &handler::Settled) -> r::Settled {
    let probed = |probed: &handler::Probed| r::Probed {
        passed: probed.fault.is_none(),
        output: probed.output.clone(),
    };
    r::Settled {
        took_us: settled.duration_us,
        crashes: settled.crashes.iter().map(|crash| end_of(&crash.process, &crash.reason)).collect(),
        probe: settled.probe.as_ref().map(probed),
        fault: settled.fault.clone(),
    }
}

/// Returns the error of a release that was taken back, with the causes and the output of the probe.
fn taken_back(report: &handler::Report) -> ErrorReport {
    let message = format!("{} was taken back", report.what());
    let mut error = ErrorReport::new(ErrorCode::TakenBack, message, ExitCode::RolledBack);
    error.node_state = Some(report.now_runs());
    error.causes = unsettled(report);
    if let Some(failure) = &report.failure {
        error.step = Some(failed_step(failure));
        error.causes.push(failure.cause.clone());
    }
    error.causes.extend(report.windows_taken_back());
    error
}

/// Returns the error of a release that runs but could not be committed.
fn not_committed(report: &handler::Report, error: &str) -> ErrorReport {
    let message = format!("{} runs, and is not committed", report.what());
    ErrorReport::new(ErrorCode::NotCommitted, message, ExitCode::Uncommitted).caused_by(error).with_hint(
        "`relctl commit` keeps it, `relctl downgrade` goes back; a restart of the daemon gives it up",
    )
}

/// Returns the error of a release that could not be taken back and keeps running.
fn not_taken_back(report: &handler::Report) -> ErrorReport {
    let mut error = ErrorReport::new(ErrorCode::NotTakenBack, report.not_taken_back(), ExitCode::Uncommitted);
    error.causes = unsettled(report);
    if let Some(failure) = &report.failure {
        error.step = Some(failed_step(failure));
        error.causes.push(failure.cause.clone());
    }
    error.causes.extend(report.not_undone.iter().map(|line| format!("the way back failed: {line}")));
    let hint = match &report.from {
        Some(from) => format!(
            "`relctl commit` keeps it; `relctl upgrade {from} --mode restart` goes back and loses all states"
        ),
        None => "`relctl commit` keeps it; a restart of the daemon gives it up".to_owned(),
    };
    error.with_hint(hint)
}

fn failed_step(failure: &handler::Failure) -> FailedStep {
    FailedStep {
        number: failure.step,
        of: failure.steps,
        text: failure.title.clone(),
        kind: Some(failure.code.to_string()),
    }
}

fn unsettled(report: &handler::Report) -> Vec<String> {
    let Some(settled) = &report.settled else { return Vec::new() };
    let output = settled.probe.iter().flat_map(|probe| &probe.output);
    settled.fault.iter().cloned().chain(output.map(|line| format!("the probe wrote: {line}"))).collect()
}

fn failed(report: &handler::Report, exit_code: ExitCode) -> ErrorReport {
    let code =
        if exit_code == ExitCode::RolledBack { ErrorCode::RolledBack } else { ErrorCode::NeedsRestart };
    let what = if report.settled.is_some() { "did not settle" } else { "was not installed" };
    let mut error = ErrorReport::new(code, format!("{} {what}", report.what()), exit_code);
    error.node_state = Some(match exit_code {
        ExitCode::RolledBack => report.now_runs(),
        _ => "the rollback is not complete; the node restarts into its permanent release".to_owned(),
    });
    error.causes = unsettled(report);
    if let Some(failure) = &report.failure {
        error.step = Some(failed_step(failure));
        error.causes.push(failure.cause.clone());
    }
    error.causes.extend(report.not_undone.iter().map(|line| format!("not undone: {line}")));
    error.hint = report.app.is_none().then(|| format!("`relctl check {}` prints the script", report.to));
    error
}

fn outcome(outcome: Outcome) -> r::Outcome {
    match outcome {
        Outcome::Installed => r::Outcome::Installed,
        Outcome::RolledBack => r::Outcome::RolledBack,
        Outcome::NeedsRestart => r::Outcome::NeedsRestart,
        Outcome::TakenBack => r::Outcome::TakenBack,
        Outcome::NotTakenBack => r::Outcome::NotTakenBack,
    }
}

fn step_run(step: &handler::StepReport) -> r::StepRun {
    r::StepRun { number: step.step, text: step.title.clone(), took_us: step.duration_us }
}

fn pauses(pause: &handler::Pause) -> r::Pauses {
    r::Pauses {
        processes: pause.processes as u64,
        p50_us: pause.p50_us,
        p99_us: pause.p99_us,
        max_us: pause.max_us,
    }
}

fn window(window: &handler::WindowReport) -> r::Window {
    r::Window {
        window: window.window,
        modules: window.modules.iter().map(ToString::to_string).collect(),
        outcome: outcome(window.outcome),
        pauses: pauses(&window.pause),
        converted: window.converted as u64,
    }
}

fn meeting(meeting: &handler::MeetingReport) -> r::Meeting {
    r::Meeting {
        id: meeting.id.clone(),
        nodes: meeting.nodes.clone(),
        round: meeting.round,
        verdict: match meeting.verdict {
            handler::Verdict::Go => r::Verdict::Go,
            handler::Verdict::No => r::Verdict::No,
            handler::Verdict::InDoubt => r::Verdict::InDoubt,
            handler::Verdict::Follows => r::Verdict::Follows,
        },
        joined_us: meeting.joined_us,
        held_us: meeting.held_us,
    }
}

/// Returns the processes that ended and were not restarted. The upgrade killed some of them; the
/// others ended by themselves during the upgrade.
fn ended(report: &handler::Report) -> Vec<r::Ended> {
    let killed = report.killed.iter().map(|process| end_of(process, "killed"));
    let exits = report.exits.iter().map(|exited| end_of(&exited.process, &exited.reason));
    let mut seen = HashSet::new();
    killed.chain(exits).filter(|ended| seen.insert(ended.pid.clone())).collect()
}

fn end_of(process: &Process, reason: &str) -> r::Ended {
    r::Ended {
        pid: process.pid.to_string(),
        name: process.name.clone(),
        module: process.module.to_string(),
        reason: reason.to_owned(),
    }
}

fn restarted(report: &handler::Report) -> Vec<r::Started> {
    let started = |process: &Process| r::Started {
        pid: process.pid.to_string(),
        name: process.name.clone(),
        module: process.module.to_string(),
    };
    report.restarted.iter().map(started).collect()
}

fn lingerer(lingerer: &handler::Lingerer) -> r::Lingerer {
    r::Lingerer {
        pid: lingerer.process.pid.to_string(),
        name: lingerer.process.name.clone(),
        supervisor: lingerer.supervisor.clone(),
        module: lingerer.process.module.to_string(),
        version: lingerer.vsn.to_string(),
        since_ms: 0,
    }
}

fn unpurged(report: &handler::Report) -> Vec<String> {
    let mut modules: Vec<String> = report.lingering.iter().map(|l| l.process.module.to_string()).collect();
    modules.sort();
    modules.dedup();
    modules
}

/// Returns the fields that converted states have lost. The map is empty unless the release was
/// installed.
fn dropped(report: &handler::Report) -> BTreeMap<String, Vec<String>> {
    let script = report.script.iter().filter(|_| report.outcome == Outcome::Installed);
    let dropped = script.flat_map(|script| script.dropped());
    dropped.map(|(module, Dropped(places))| (module.to_string(), places.clone())).collect()
}

fn warnings(report: &handler::Report) -> Vec<String> {
    let mut warnings = report.warnings.clone();
    warnings.extend(
        report.left.iter().map(|process| format!("{process} did not come to rest and was left alone")),
    );
    warnings
        .extend(report.afresh.iter().map(|app| format!("app {app} was started afresh: its states are lost")));
    warnings.extend(
        report.commit_error.iter().map(|error| format!("the release runs but is not permanent: {error}")),
    );
    warnings
}
