//! Formats events and log lines, one line each.

use reld_api::response::{Event, Followed, LogLevel, LogLine, What};
use serde_json::Value;

use super::duration;

/// Formats an event: time, kind, object and details.
pub(crate) fn event(event: &Event) -> String {
    let Event { time, what, .. } = event;
    let kind = what.kind();
    let (object, words) = words(what);
    let line = format!("{time}  {kind:<26}  {object}  {words}");
    whole(line.trim_end())
}

fn words(what: &What) -> (String, String) {
    match what {
        What::Ready {} | What::Stopping {} => (String::new(), String::new()),
        What::Step { version, step, of, title } => (version.clone(), format!("step {step} of {of}: {title}")),
        What::Failed { version, step, title, cause } => {
            (version.clone(), format!("step {step}, {title}, failed: {cause}"))
        }
        What::Undo { version, undo } => (version.clone(), undo.clone()),
        What::NotUndone { version, undo, error } => (version.clone(), format!("{undo}: {error}")),
        What::Done { version, outcome } | What::Settled { version, outcome } => {
            (version.clone(), outcome.to_string())
        }
        What::TakeBack { version, fault } => (version.clone(), fault.clone()),
        What::Committed { version } => (version.clone(), String::new()),
        What::EnvChanged { keys, uid } => (keys.clone(), by(*uid)),
        What::EnvRefused { keys, uid, error } => (keys.clone(), format!("{}: {error}", by(*uid))),
        What::AppStarted { app, version }
        | What::CodeLoaded { app, version }
        | What::CodeUnmapped { app, version } => (format!("{app} {version}"), String::new()),
        What::AppStopped { app } => (app.clone(), String::new()),
        What::AppEnded { app, reason } => (app.clone(), reason.clone()),
        What::Crash { pid, app, module, version, reason } => {
            (pid.clone(), format!("{module} of {app} {version}: {reason}"))
        }
        What::Restart { pid, child, module, supervisor } => {
            (pid.clone(), format!("{module}, child {child} of {supervisor}"))
        }
        What::Intensity { pid, module, intensity, period_ms } => {
            let period = duration::us(period_ms.saturating_mul(1000));
            (pid.clone(), format!("{module}: more than {intensity} restarts in {period}"))
        }
        What::CodePurged { module, version, app } => (format!("{module} {version}"), format!("of app {app}")),
        What::AlarmRaised { text, .. } | What::AlarmCleared { text, .. } => (text.clone(), String::new()),
        What::Dropped { missed, restarted } => (missing(*missed, *restarted, "events"), String::new()),
    }
}

fn by(uid: Option<u32>) -> String {
    uid.map_or_else(String::new, |uid| format!("by uid {uid}"))
}

fn missing(missed: u64, restarted: bool, what: &str) -> String {
    let missing = format!("{missed} {what} are missing here");
    match (missed, restarted) {
        (_, false) => missing,
        (0, true) => "the daemon has restarted".to_owned(),
        (_, true) => format!("the daemon has restarted, and {missing}"),
    }
}

/// Formats an item of a followed log.
pub(crate) fn followed(followed: &Followed) -> String {
    match followed {
        Followed::Line(line) => log_line(line),
        Followed::Dropped { missed, restarted } => {
            format!("({})\n", missing(*missed, *restarted, "lines of the log"))
        }
    }
}

/// Formats a line of the log as the daemon's text log does. A line printed by an app shows only the
/// app's name.
fn log_line(line: &LogLine) -> String {
    let LogLine { time, level, target, app, message, fields, .. } = line;
    let level = match level {
        LogLevel::Error => "ERROR",
        LogLevel::Warn => "WARN",
        LogLevel::Info => "INFO",
        LogLevel::Debug => "DEBUG",
        LogLevel::Trace => "TRACE",
    };
    let (by, about) = match app {
        Some(app) if target == "app" => (app, String::new()),
        Some(app) => (target, format!(" app={app}")),
        None => (target, String::new()),
    };
    let fields: String = fields.iter().map(|(name, value)| format!(" {name}={}", field(value))).collect();
    whole(&format!("{time} {level:>5} {by}: {message}{about}{fields}"))
}

fn field(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => text.clone(),
        value => value.to_string(),
    }
}

/// Indents further lines, so that they do not look like entries of their own.
fn whole(text: &str) -> String {
    text.replace('\n', "\n    ") + "\n"
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use reld_api::response::Outcome;
    use serde_json::json;

    use super::*;

    fn drawn(what: &[What]) -> String {
        let time = || "2026-11-30T03:07:12.123456Z".to_owned();
        what.iter().map(|what| event(&Event { id: 1, time: time(), what: what.clone() })).collect()
    }

    #[test]
    fn an_event_is_a_line_with_its_time_kind_object_and_details() {
        let text = str::to_owned;
        let version = || text("1.1.0");
        let crash = What::Crash {
            pid: text("<4.1>"),
            app: text("shop"),
            module: text("till"),
            version: version(),
            reason: text("error: no\ncoins"),
        };
        let intensity =
            What::Intensity { pid: text("<3.1>"), module: text("sup"), intensity: 1, period_ms: 5000 };
        let events = [
            What::Step { version: version(), step: 2, of: 9, title: text("load shop 1.1.0") },
            What::Done { version: version(), outcome: Outcome::RolledBack },
            What::AppStarted { app: text("shop"), version: version() },
            crash,
            intensity,
            What::Dropped { missed: 3, restarted: false },
            What::Dropped { missed: 0, restarted: true },
        ];
        assert_snapshot!(drawn(&events), @r"
        2026-11-30T03:07:12.123456Z  release.install.step        1.1.0  step 2 of 9: load shop 1.1.0
        2026-11-30T03:07:12.123456Z  release.install.done        1.1.0  rolled back
        2026-11-30T03:07:12.123456Z  application.started         shop 1.1.0
        2026-11-30T03:07:12.123456Z  process.crash               <4.1>  till of shop 1.1.0: error: no
            coins
        2026-11-30T03:07:12.123456Z  supervisor.intensity        <3.1>  sup: more than 1 restarts in 5.00 s
        2026-11-30T03:07:12.123456Z  dropped                     3 events are missing here
        2026-11-30T03:07:12.123456Z  dropped                     the daemon has restarted
        ");
    }

    #[test]
    fn an_app_line_names_the_app_and_a_line_about_an_app_names_its_target() {
        let line = |target: &str, message: &str, fields: Value| LogLine {
            id: 1,
            time: "2026-11-30T03:07:12.123456Z".to_owned(),
            level: LogLevel::Info,
            target: target.to_owned(),
            app: Some("shop".to_owned()),
            message: message.to_owned(),
            fields: fields.as_object().cloned().unwrap_or_default(),
        };
        let lines = [
            Followed::Line(line("app", "a client\nis here", json!({"pid": "<4.1>", "stream": "stdout"}))),
            Followed::Line(line("reld_runtime", "it ended", json!({"reason": "no \"coins\"", "n": 1}))),
            Followed::Dropped { missed: 3, restarted: false },
        ];
        assert_snapshot!(lines.iter().map(followed).collect::<String>(), @r#"
        2026-11-30T03:07:12.123456Z  INFO shop: a client
            is here pid=<4.1> stream=stdout
        2026-11-30T03:07:12.123456Z  INFO reld_runtime: it ended app=shop n=1 reason="no \"coins\""
        (3 lines of the log are missing here)
        "#);
    }
}
