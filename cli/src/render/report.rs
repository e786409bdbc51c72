//! The results of checks and upgrades.

use reld_api::response::{
    Checked, Ended, Lingerer, Meeting, NotTried, Outcome, Pauses, Report, Settled, Started, Trial, Verdict,
};

use super::{counted, duration, line};

/// Shows the steps that an install would take.
pub(crate) fn checked(checked: &Checked) -> String {
    if !checked.changed {
        return format!("{} is already running; nothing to do\n", checked.to);
    }
    let from = checked.from.as_deref().unwrap_or("nothing");
    let mut text = format!("from {from} to {}; nothing was executed\n", checked.to);
    let mut window = None;
    for step in &checked.script {
        if step.instruction["window"].as_u64() != window {
            window = step.instruction["window"].as_u64();
            line(&mut text, format_args!("window {}", window.unwrap_or_default()));
        }
        line(&mut text, format_args!("{:>3}. {}", step.number, step.text));
    }
    text + &warnings(&checked.warnings)
}

pub(crate) fn report(report: &Report) -> String {
    drawn(report, if report.committed { "permanent" } else { "current, not committed" })
}

/// Shows the report of an upgrade of a single app.
pub(crate) fn replaced(report: &Report) -> String {
    drawn(report, "in no release: the node is dirty, and a restart discards it")
}

fn drawn(report: &Report, kept: &str) -> String {
    if report.outcome == Outcome::UnderWay {
        return format!("on the way to {}; `relctl attach` follows it\n", report.to);
    }
    if !report.changed {
        return format!("{} is already running; nothing to do\n", report.to);
    }
    let mut text = String::new();
    let mut number = 0;
    for step in &report.steps {
        // A step of the script can have several parts; only its first line has its number.
        let is_new = step.number != std::mem::replace(&mut number, step.number);
        let head = if is_new { format!("{number}.") } else { String::new() };
        line(&mut text, format_args!("{head:>4} {} ({})", step.text, duration::us(step.took_us)));
    }
    text += &headline(report, kept);
    for window in &report.windows {
        let modules = window.modules.join(" ");
        let pause = pauses(&window.pauses);
        let states = counted(window.converted, "state", "states");
        text += &format!("window {} [{modules}]: {states} converted, {pause}", window.window);
    }
    if report.windows.is_empty() {
        text += &pauses(&report.pauses);
    }
    for meeting in &report.meetings {
        text += &met(meeting);
    }
    text += &report.trial.as_ref().map(trial).unwrap_or_default();
    text += &report.settled.as_ref().map(settled).unwrap_or_default();
    text += &ended("killed", &report.killed);
    for Started { pid, name, module } in &report.restarted {
        let process = labelled(pid, name.as_deref());
        line(&mut text, format_args!("started: {process} {module}"));
    }
    if report.timeouts > 0 {
        line(&mut text, format_args!("calls that timed out meanwhile: {}", report.timeouts));
    }
    text += &lingering(&report.lingering);
    if !report.unpurged.is_empty() {
        line(&mut text, format_args!("not purged: {}", report.unpurged.join(", ")));
    }
    for (module, places) in &report.dropped {
        let places: Vec<_> = places.iter().map(|place| format!("`{place}`")).collect();
        line(&mut text, format_args!("dropped from the states of {module}: {}", places.join(", ")));
    }
    text + &warnings(&report.warnings)
}

fn headline(report: &Report, kept: &str) -> String {
    let from = report.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    let took = duration::us(report.took_us);
    let text = format!("installed {}{from} in {took}; it is {kept}\n", report.to);
    match report.signed_by.as_slice() {
        [] => text,
        by => format!("{text}signed by {}\n", by.join(", ")),
    }
}

fn met(meeting: &Meeting) -> String {
    let Meeting { id, nodes, verdict, joined_us, held_us, .. } = meeting;
    let nodes = nodes.join(", ");
    match verdict {
        Verdict::Follows => format!("sync_nodes {id}: followed {nodes}, which had switched before\n"),
        Verdict::Go | Verdict::No | Verdict::InDoubt => {
            let (joined, held) = (duration::us(*joined_us), duration::us(*held_us));
            format!("sync_nodes {id}: met {nodes} after {joined}; {held} of the pause for the decision\n")
        }
    }
}

fn trial(trial: &Trial) -> String {
    let mut text = String::new();
    if trial.tried > 0 {
        let took = duration::us(trial.took_us);
        let states = counted(trial.tried, "state", "states");
        line(&mut text, format_args!("way back tried: {states} in {took}"));
    }
    for NotTried { processes, why } in &trial.not_tried {
        let states = counted(*processes, "state", "states");
        line(&mut text, format_args!("way back not tried: {states}, {why}"));
    }
    text
}

fn settled(settled: &Settled) -> String {
    let probe = match &settled.probe {
        Some(probe) if probe.passed => ", the probe passed",
        Some(_) => ", the probe failed",
        None => "",
    };
    let crashes = if settled.crashes.is_empty() { "no crashes" } else { "processes crashed" };
    format!("watched for {}: {crashes}{probe}\n", duration::us(settled.took_us))
}

fn pauses(pauses: &Pauses) -> String {
    let Pauses { processes, p50_us, p99_us, max_us } = pauses;
    if *processes == 0 {
        return "pause: none\n".to_owned();
    }
    let [p50, p99, max] = [*p50_us, *p99_us, *max_us].map(duration::us);
    let processes = counted(*processes, "process", "processes");
    format!("pause of {processes}: p50 {p50}, p99 {p99}, max {max}\n")
}

/// Lists processes that ended, each prefixed with the event `what`.
pub(crate) fn ended(what: &str, processes: &[Ended]) -> String {
    let mut text = String::new();
    for Ended { pid, name, module, reason } in processes {
        let process = labelled(pid, name.as_deref());
        line(&mut text, format_args!("{what}: {process} {module}, reason {reason}"));
    }
    text
}

/// Lists processes in old code.
pub(crate) fn lingering(lingerers: &[Lingerer]) -> String {
    let mut text = String::new();
    for lingerer in lingerers {
        let process = labelled(&lingerer.pid, lingerer.name.as_deref());
        let place = lingerer
            .supervisor
            .as_deref()
            .map_or("outside every tree".to_owned(), |sup| format!("under {sup}"));
        let since = duration::us(lingerer.since_ms.saturating_mul(1000));
        let code = format!("{} {}", lingerer.module, lingerer.version);
        line(&mut text, format_args!("lingering: {process} in {code}, {place}, old for {since}"));
    }
    text
}

pub(crate) fn warnings(warnings: &[String]) -> String {
    warnings.iter().map(|warning| format!("warning: {warning}\n")).collect()
}

fn labelled(pid: &str, name: Option<&str>) -> String {
    name.map_or_else(|| pid.to_owned(), |name| format!("{name} {pid}"))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use reld_api::response::{Probed, StepRun};

    use super::*;

    fn ended_process(pid: &str) -> Ended {
        Ended { pid: pid.to_owned(), name: None, module: "pi".to_owned(), reason: "killed".to_owned() }
    }

    #[test]
    fn a_report_lists_everything_that_did_not_just_go_on() {
        let text = report(&Report {
            outcome: Outcome::Installed,
            from: Some("1.0.0".to_owned()),
            to: "1.1.0".to_owned(),
            signed_by: vec!["ci".to_owned()],
            changed: true,
            committed: false,
            steps: [(9, "precopy [counter]"), (9, "suspend [counter]"), (10, "switch")]
                .map(|(number, text)| StepRun { number, text: text.to_owned(), took_us: 120 })
                .into(),
            took_us: 15_300,
            pauses: Pauses { processes: 2, p50_us: 900, p99_us: 1900, max_us: 1900 },
            windows: Vec::new(),
            meetings: vec![Meeting {
                id: "all".into(),
                nodes: vec!["n1".to_owned(), "n2".to_owned()],
                round: 2,
                verdict: Verdict::Go,
                joined_us: 40_000,
                held_us: 600,
            }],
            killed: vec![ended_process("<8.1>")],
            restarted: vec![Started { pid: "<9.2>".to_owned(), name: None, module: "pi".to_owned() }],
            timeouts: 2,
            lingering: vec![Lingerer {
                pid: "<5.1>".to_owned(),
                name: None,
                supervisor: None,
                module: "loopy".to_owned(),
                version: "0.1.0".to_owned(),
                since_ms: 20,
            }],
            unpurged: vec!["loopy".to_owned()],
            dropped: [("link".to_owned(), vec!["since".to_owned(), "limits.max".to_owned()])].into(),
            trial: Some(Trial {
                tried: 2,
                not_tried: vec![NotTried { processes: 1, why: "converted inside the pause".to_owned() }],
                took_us: 80,
            }),
            settled: Some(Settled {
                took_us: 10_000_000,
                crashes: Vec::new(),
                probe: Some(Probed { passed: true, output: Vec::new() }),
                fault: None,
            }),
            way_back: None,
            warnings: vec!["counter_sup is new".to_owned()],
        });
        assert_snapshot!(text, @r#"
          9. precopy [counter] (120 us)
             suspend [counter] (120 us)
         10. switch (120 us)
        installed 1.1.0 from 1.0.0 in 15.3 ms; it is current, not committed
        signed by ci
        pause of 2 processes: p50 900 us, p99 1.90 ms, max 1.90 ms
        sync_nodes "all": met n1, n2 after 40.0 ms; 600 us of the pause for the decision
        way back tried: 2 states in 80 us
        way back not tried: 1 state, converted inside the pause
        watched for 10.0 s: no crashes, the probe passed
        killed: <8.1> pi, reason killed
        started: <9.2> pi
        calls that timed out meanwhile: 2
        lingering: <5.1> in loopy 0.1.0, outside every tree, old for 20.0 ms
        not purged: loopy
        dropped from the states of link: `since`, `limits.max`
        warning: counter_sup is new
        "#);
    }
}
