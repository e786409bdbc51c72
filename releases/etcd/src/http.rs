//! Requests to the members, in turn, and the login.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::{Agent, Body, BodyReader};

use crate::error::Error;
use crate::settings::{Login, Settings};
use crate::wire::{LoginAnswer, LoginQuestion};

/// The time limits for the connection to a member, and for its whole answer.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);

/// The largest answer, in bytes.
const ANSWER_MAX: u64 = 64 << 20;

pub(crate) struct Http {
    agent: Agent,
    endpoints: Vec<String>,
    /// The position of the member that answered last.
    preferred: AtomicUsize,
    /// Whether the client has no certificate.
    is_anonymous: bool,
    login: Option<Login>,
    token: Mutex<Option<String>>,
}

/// Without the token, which is as good as a password.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// The time limit of an answer.
#[derive(Clone, Copy)]
enum Limit {
    Whole,
    /// The answer has no end, and each silence has this limit.
    Silence(Duration),
}

impl Http {
    pub(crate) fn new(settings: Settings) -> Result<Self, Error> {
        let endpoints = settings.addresses()?;
        let config = Agent::config_builder()
            .user_agent(concat!("reld/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // A redirect could take the password to another server.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .tls_config(settings.tls.config()?)
            .build();
        Ok(Self {
            agent: config.into(),
            endpoints,
            preferred: AtomicUsize::new(0),
            is_anonymous: settings.tls.certificate.is_none(),
            login: settings.login,
            token: Mutex::default(),
        })
    }

    /// Asks a question with one answer.
    pub(crate) fn ask<A: DeserializeOwned>(&self, path: &str, question: &impl Serialize) -> Result<A, Error> {
        let question = json(question);
        self.in_turn(|endpoint| {
            let answer = self.authorised(endpoint, path, &question, Limit::Whole)?;
            read(endpoint, &self.whole(endpoint, answer)?)
        })
    }

    /// Asks a question with a stream as its answer. Returns the member too.
    pub(crate) fn stream(
        &self,
        path: &str,
        question: &impl Serialize,
        silence: Duration,
    ) -> Result<(String, BodyReader<'static>), Error> {
        let question = json(question);
        self.in_turn(|endpoint| {
            let answer = self.authorised(endpoint, path, &question, Limit::Silence(silence))?;
            Ok((endpoint.to_owned(), answer.into_body().into_with_config().limit(u64::MAX).reader()))
        })
    }

    /// Tries the members, beginning with the one that answered last. Returns the first fault if
    /// none answers.
    fn in_turn<R>(&self, attempt: impl Fn(&str) -> Result<R, Error>) -> Result<R, Error> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut fault = None;
        for at in (0..self.endpoints.len()).map(|n| (first + n) % self.endpoints.len()) {
            match attempt(&self.endpoints[at]) {
                Err(error) if error.is_of_one_member() => fault = fault.or(Some(error)),
                answer => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(fault.expect("there is an endpoint"))
    }

    /// Posts a question with the token of the login. If the token has ended, logs in once more.
    fn authorised(
        &self,
        endpoint: &str,
        path: &str,
        question: &str,
        limit: Limit,
    ) -> Result<Response<Body>, Error> {
        let Some(login) = &self.login else { return self.post(endpoint, path, question, None, limit) };
        let known = self.token.lock().clone();
        if let Some(token) = known {
            match self.post(endpoint, path, question, Some(&token), limit) {
                Err(Error::Token { .. }) => {}
                answer => return answer,
            }
        }
        let token = self.log_in(endpoint, login)?;
        self.post(endpoint, path, question, Some(&token), limit)
    }

    fn log_in(&self, endpoint: &str, login: &Login) -> Result<String, Error> {
        let Login { user, password } = login;
        let question = json(&LoginQuestion { name: user, password });
        let answer = self.post(endpoint, "/v3/auth/authenticate", &question, None, Limit::Whole);
        let answer = answer.map_err(|error| match error {
            Error::Refused { endpoint, reason } => Error::Login { endpoint, user: user.clone(), reason },
            error => error,
        })?;
        let LoginAnswer { token } = read(endpoint, &self.whole(endpoint, answer)?)?;
        *self.token.lock() = Some(token.clone());
        Ok(token)
    }

    fn post(
        &self,
        endpoint: &str,
        path: &str,
        question: &str,
        token: Option<&str>,
        limit: Limit,
    ) -> Result<Response<Body>, Error> {
        let request = self.agent.post(format!("{endpoint}{path}"));
        let request = match token {
            Some(token) => request.header("Authorization", token),
            None => request,
        };
        let config = request.config();
        let request = match limit {
            Limit::Whole => config.timeout_global(Some(ANSWER)).build(),
            Limit::Silence(limit) => {
                config.timeout_recv_response(Some(ANSWER)).timeout_per_read(Some(limit)).build()
            }
        };
        let answer = request.header("Content-Type", "application/json").send(question);
        let answer = answer.map_err(|error| self.fault(endpoint, &error))?;
        match answer.status().as_u16() {
            200 => Ok(answer),
            status => Err(Error::of_status(endpoint, status, &self.whole(endpoint, answer)?)),
        }
    }

    fn whole(&self, endpoint: &str, answer: Response<Body>) -> Result<String, Error> {
        let content = answer.into_body().into_with_config().limit(ANSWER_MAX).read_to_vec();
        let content = content.map_err(|error| self.fault(endpoint, &error))?;
        Ok(String::from_utf8_lossy(&content).into_owned())
    }

    fn fault(&self, endpoint: &str, error: &ureq::Error) -> Error {
        Error::of_transport(endpoint, error, self.is_anonymous)
    }
}

fn json(question: &impl Serialize) -> String {
    serde_json::to_string(question).expect("a question has only texts")
}

fn read<A: DeserializeOwned>(endpoint: &str, answer: &str) -> Result<A, Error> {
    serde_json::from_str(answer).map_err(|fault| Error::nonsense(endpoint, fault))
}
