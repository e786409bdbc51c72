//! The faults of requests.

use std::fmt::Display;

use crate::wire::Refusal;

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or no answer in time.
    #[error("cannot reach etcd at {endpoint}: {reason}")]
    Unreachable {
        /// The member.
        endpoint: String,
        /// The fault.
        reason: String,
    },
    /// The cluster cannot serve requests at present, for example without a leader.
    #[error("cannot use etcd at {endpoint} at present: {reason}")]
    Unavailable {
        /// The member.
        endpoint: String,
        /// The reason that etcd gave.
        reason: String,
    },
    /// The certificate of the member is not signed by a known authority, or TLS failed otherwise.
    #[error("cannot trust etcd at {endpoint}: {reason}; name the certificate of its authority with `ca`")]
    Certificate {
        /// The member.
        endpoint: String,
        /// The fault.
        reason: String,
    },
    /// The member ends each connection. With TLS 1.3 a member that requires a certificate ends the
    /// connection after the handshake, often without a reason.
    #[error("cannot use etcd at {endpoint}: it ends the connection ({reason}); {remedy}")]
    Ends {
        /// The member.
        endpoint: String,
        /// The fault.
        reason: String,
        /// The remedy for the usual cause.
        remedy: &'static str,
    },
    /// The member speaks TLS, and the endpoint does not.
    #[error("cannot use etcd at {endpoint}: it speaks TLS; write the endpoint with https://")]
    NeedsTls {
        /// The member.
        endpoint: String,
    },
    /// The member has no gateway.
    #[error(
        "cannot use etcd at {endpoint}: its JSON gateway is switched off; start etcd without \
         --enable-grpc-gateway=false"
    )]
    NoGateway {
        /// The member.
        endpoint: String,
    },
    /// The user or the password is wrong, or etcd has no users.
    #[error("cannot log in to etcd at {endpoint} as {user}: {reason}; correct `user` and `password_file`")]
    Login {
        /// The member.
        endpoint: String,
        /// The user.
        user: String,
        /// The reason that etcd gave.
        reason: String,
    },
    /// etcd requires a user.
    #[error("cannot use etcd at {endpoint}: it requires a user; set `user` and `password_file`")]
    NeedsUser {
        /// The member.
        endpoint: String,
    },
    /// The token of the login has ended.
    #[error("cannot use etcd at {endpoint}: the token of the login is no longer valid")]
    Token {
        /// The member.
        endpoint: String,
    },
    /// The user may not do this.
    #[error(
        "cannot use etcd at {endpoint}: the user lacks a permission; grant it read and write below the prefix"
    )]
    Denied {
        /// The member.
        endpoint: String,
    },
    /// The lease has ended.
    #[error("the lease has ended")]
    NoLease,
    /// etcd refused the request.
    #[error("cannot use etcd at {endpoint}: it refuses the request: {reason}")]
    Refused {
        /// The member.
        endpoint: String,
        /// The reason that etcd gave.
        reason: String,
    },
    /// The answer is not one of etcd.
    #[error("cannot read the answer of {endpoint}: {reason}; is it the client URL of an etcd member?")]
    Nonsense {
        /// The member.
        endpoint: String,
        /// The fault.
        reason: String,
    },
    /// The endpoint is no URL of a server.
    #[error("cannot use the endpoint {endpoint:?}: it must be like http://HOST:2379 or https://HOST:2379")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
    },
    /// A PEM text lacks its object.
    #[error("cannot use the {what}: the PEM text has none")]
    Pem {
        /// The object.
        what: &'static str,
    },
}

impl Error {
    /// Returns whether a later attempt may succeed without a change of the settings.
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Unavailable { .. }
                | Self::Ends { .. }
                | Self::Token { .. }
                | Self::NoLease
        )
    }

    /// Returns whether another member may answer.
    pub(crate) const fn is_of_one_member(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Unavailable { .. }
                | Self::Certificate { .. }
                | Self::Ends { .. }
                | Self::NeedsTls { .. }
                | Self::NoGateway { .. }
                | Self::Nonsense { .. }
        )
    }

    pub(crate) fn unreachable(endpoint: &str, reason: impl Display) -> Self {
        Self::Unreachable { endpoint: endpoint.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn nonsense(endpoint: &str, reason: impl Display) -> Self {
        Self::Nonsense { endpoint: endpoint.to_owned(), reason: reason.to_string() }
    }

    /// Classifies a request without an answer. `is_anonymous` means that the client has no
    /// certificate.
    pub(crate) fn of_transport(endpoint: &str, error: &ureq::Error, is_anonymous: bool) -> Self {
        let reason = error.to_string();
        let reason = reason.trim_start_matches("io: ").trim_start_matches("rustls: ").to_owned();
        if is_ended(error, &reason)
            && let Some(remedy) = remedy(endpoint, is_anonymous)
        {
            return Self::Ends { endpoint: endpoint.to_owned(), reason, remedy };
        }
        match error {
            ureq::Error::Timeout(_) => Self::unreachable(endpoint, "no answer in time"),
            ureq::Error::Protocol(_) => Self::nonsense(endpoint, reason),
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) => certificate(endpoint, reason),
            // The fault of a handshake is wrapped in one of the connection.
            ureq::Error::Io(fault) if fault.kind() == std::io::ErrorKind::InvalidData => {
                certificate(endpoint, reason)
            }
            _ => Self::unreachable(endpoint, reason),
        }
    }

    /// Classifies an answer with another status than 200.
    ///
    /// | the answer | the fault |
    /// |---|---|
    /// | 404 that is not one of the gateway | the gateway is off |
    /// | 400 with the sentence of a TLS server | TLS is needed |
    /// | 502, 503, 504 that is not one of the gateway | unavailable: a proxy answers |
    /// | code 16, or 3 about an old auth store | the token has ended |
    /// | code 3 about an empty user | a user is needed |
    /// | code 7 | denied |
    /// | code 5 about a lease | the lease has ended |
    /// | code 1, 2, 4, 8, 13, 14 | unavailable |
    /// | another one | refused |
    pub(crate) fn of_status(endpoint: &str, status: u16, body: &str) -> Self {
        let endpoint = endpoint.to_owned();
        let Ok(Refusal::Old { error: reason, code } | Refusal::New { message: reason, code }) =
            serde_json::from_str(body)
        else {
            return match status {
                404 => Self::NoGateway { endpoint },
                400 if body.contains("HTTPS server") => Self::NeedsTls { endpoint },
                502..=504 => Self::Unavailable { endpoint, reason: format!("status {status}") },
                _ => Self::nonsense(&endpoint, format!("status {status}")),
            };
        };
        match code {
            16 => Self::Token { endpoint },
            3 if reason.contains("auth store is old") => Self::Token { endpoint },
            3 if reason.contains("user name is empty") => Self::NeedsUser { endpoint },
            7 => Self::Denied { endpoint },
            5 if reason.contains("lease") => Self::NoLease,
            1 | 2 | 4 | 8 | 13 | 14 => Self::Unavailable { endpoint, reason },
            _ => Self::Refused { endpoint, reason },
        }
    }
}

/// Returns whether a member has ended a connection that it had accepted.
fn is_ended(error: &ureq::Error, reason: &str) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let kind = if let ureq::Error::Io(fault) = error { Some(fault.kind()) } else { None };
    matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
        || reason.contains("alert: CertificateRequired")
        || reason.contains("alert: BadCertificate")
}

/// Returns the remedy for the usual cause of an ended connection.
fn remedy(endpoint: &str, is_anonymous: bool) -> Option<&'static str> {
    if endpoint.starts_with("http:") {
        Some("if it speaks TLS, write the endpoint with https://")
    } else if is_anonymous {
        Some("if it requires a certificate of its clients, set `cert` and `key`")
    } else {
        None
    }
}

fn certificate(endpoint: &str, reason: String) -> Error {
    Error::Certificate { endpoint: endpoint.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str, is_passing: bool) {
        let error = Error::of_status("http://e", status, body);
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.is_passing(), is_passing, "{error}");
    }

    #[test]
    fn every_row_of_the_table() {
        let refusal = |code: i64, text: &str| {
            format!(r#"{{"error":"etcdserver: {text}","message":"etcdserver: {text}","code":{code}}}"#)
        };
        check(404, "404 page not found\n", "without --enable-grpc-gateway=false", false);
        check(
            400,
            "Client sent an HTTP request to an HTTPS server.\n",
            "write the endpoint with https://",
            false,
        );
        check(503, "<html>", "at present: status 503", true);
        check(200, "<html>", "is it the client URL of an etcd member?", false);
        check(401, &refusal(16, "invalid auth token"), "no longer valid", true);
        check(400, &refusal(3, "revision of auth store is old"), "no longer valid", true);
        check(400, &refusal(3, "user name is empty"), "set `user` and `password_file`", false);
        check(401, r#"{"code":16,"message":"invalid auth token","details":[]}"#, "no longer valid", true);
        check(403, &refusal(7, "permission denied"), "lacks a permission", false);
        check(404, &refusal(5, "requested lease not found"), "the lease has ended", true);
        check(503, &refusal(14, "no leader"), "at present: etcdserver: no leader", true);
        check(400, &refusal(3, "key is not provided"), "refuses the request: etcdserver: key is not", false);
    }
}
