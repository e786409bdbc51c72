//! A client of a FleetLock server: the protocol of Zincati and airlock.
//!
//! ```text
//! POST URL/v1/pre-reboot      fleet-lock-protocol: true
//! POST URL/v1/steady-state    {"client_params": {"id": "7395…", "group": "default"}}
//! ```
//!
//! A refusal has a JSON body, `{"kind": "failed_lock", "value": "locked by node-7"}`.

use std::fmt;
use std::time::Duration;

use reld_source::{Source, agent};
use serde::Deserialize;
use serde_json::json;

/// The time limit of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The maximum size of an answer in bytes.
const ANSWER_MAX: u64 = 8 << 10;

/// A lock server, and the name of this node there.
#[derive(Debug)]
pub(crate) struct FleetLock {
    server: Source,
    url: String,
    id: String,
    group: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    PreReboot,
    SteadyState,
}

/// The reason why the server did not grant a request.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The body of a refusal.
#[derive(Debug, Deserialize)]
struct Reason {
    kind: String,
    value: String,
}

impl Verb {
    const fn path(self) -> &'static str {
        match self {
            Self::PreReboot => "/v1/pre-reboot",
            Self::SteadyState => "/v1/steady-state",
        }
    }

    /// Returns the success of the request as text.
    pub(super) const fn done(self) -> &'static str {
        match self {
            Self::PreReboot => "the node holds the lock of the fleet",
            Self::SteadyState => "the node has given the lock of the fleet back",
        }
    }
}

impl FleetLock {
    pub(crate) fn new((server, url): (Source, String), id: String, group: String) -> Self {
        Self { server, url, id, group }
    }

    /// Sends a request and waits for the answer.
    pub(super) fn post(&self, verb: Verb) -> Result<(), Refusal> {
        let Self { server, url, id, group } = self;
        let silent = |fault: ureq::Error| {
            Refusal(format!("the lock server {server} does not answer: {}", fault.into_io()))
        };
        let request = agent().post(format!("{url}{}", verb.path())).header("fleet-lock-protocol", "true");
        let request = request.content_type("application/json");
        let request = request.config().timeout_global(Some(PATIENCE));
        // A redirect grants nothing: another page could answer with a success.
        let request = request.max_redirects(0).max_redirects_will_error(false).build();
        let body = json!({"client_params": {"id": id, "group": group}}).to_string();
        let mut answer = request.send(body).map_err(silent)?;
        if answer.status().is_success() {
            return Ok(());
        }
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_string().unwrap_or_default();
        let reason = match serde_json::from_str(&text) {
            Ok(Reason { kind, value }) => format!(": {value} ({kind})"),
            Err(_) => format!(" {status}"),
        };
        Err(Refusal(format!("the lock server {server} answers{reason}")))
    }
}

/// Parses the option `--gate`. Returns the server with its URL.
///
/// # Errors
/// The text is not `fleetlock:URL`, or not the URL of an http or https server.
pub(crate) fn server(text: &str) -> Result<(Source, String), String> {
    let expected = || "expected fleetlock:URL with the URL of an http or https server".to_owned();
    let url = text.strip_prefix("fleetlock:").ok_or_else(expected)?.trim_end_matches('/');
    match Source::parse(url) {
        Ok(server @ Source::Http(_)) => Ok((server, url.to_owned())),
        _ => Err(expected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_names_an_http_server_and_hides_its_password() {
        let (shown, url) = server("fleetlock:https://reld:word@airlock:3333/").unwrap();
        assert_eq!(url, "https://reld:word@airlock:3333");
        assert!(!shown.to_string().contains("word"), "{shown}");
        for wrong in ["https://airlock", "fleetlock:", "fleetlock:airlock:3333", "fleetlock:file:///lock"] {
            assert!(server(wrong).is_err(), "{wrong}");
        }
    }
}
