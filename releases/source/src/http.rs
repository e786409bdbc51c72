//! Files of http and https servers.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::body::{Body, NotOpened};
use crate::error::Error;

/// The time limits of an attempt: for the connection, and for a silence of the server.
const CONNECT: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(60);

/// The certificates of the machine, for servers with a certificate of the operator's own.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// An attempt that gave no body.
pub(crate) enum Fault {
    Passing(io::Error),
    Status(u16),
    /// The certificate of the server is not accepted, for this reason.
    Certificate(String),
}

impl Fault {
    pub(crate) fn of(self, url: &str) -> NotOpened {
        match self {
            Self::Passing(fault) => NotOpened::Passing(fault),
            Self::Status(status) => NotOpened::Refused(Error::Status { url: url.to_owned(), status }),
            Self::Certificate(why) => NotOpened::Refused(Error::Certificate { url: url.to_owned(), why }),
        }
    }
}

/// Asks for a file from a position on.
///
/// | the answer | the body begins |
/// |---|---|
/// | 206 with the wanted position | there |
/// | 200, or 206 with another position | at 0; of a 206 the whole file is asked for again |
/// | 416 | at 0, with the whole file asked for again: the part is longer than the file |
/// | 408, 429, 5xx | nowhere: a later attempt may succeed |
/// | another one | nowhere |
pub(crate) fn open(url: &str, from: u64, tag: Option<&str>) -> Result<Body, Fault> {
    let Some(tag) = tag.filter(|_| from > 0) else { return whole(url) };
    let range = format!("bytes={from}-");
    let request = agent().get(url).header("Range", &range).header("If-Range", tag);
    let answer = request.call().map_err(no_answer)?;
    match answer.status().as_u16() {
        206 if begin(answer.headers()) == Some(from) => Ok(body(from, answer)),
        206 | 416 => whole(url),
        200 => Ok(body(0, answer)),
        status => Err(fault(status)),
    }
}

fn whole(url: &str) -> Result<Body, Fault> {
    let answer = agent().get(url).call().map_err(no_answer)?;
    match answer.status().as_u16() {
        200 => Ok(body(0, answer)),
        status => Err(fault(status)),
    }
}

fn fault(status: u16) -> Fault {
    match status {
        408 | 429 | 500..=599 => Fault::Passing(io::Error::other(format!("the server answers {status}"))),
        status => Fault::Status(status),
    }
}

/// Judges the absence of an answer. Only the text of a fault shows that it is about a certificate.
fn no_answer(error: ureq::Error) -> Fault {
    let fault = error.into_io();
    match fault.to_string().split_once("invalid peer certificate: ") {
        Some((_, why)) => Fault::Certificate(why.to_owned()),
        None => Fault::Passing(fault),
    }
}

fn body(from: u64, answer: Response<ureq::Body>) -> Body {
    let tag = tag(answer.headers());
    Body { from, tag, content: Box::new(answer.into_body().into_reader()) }
}

/// Returns the mark for `If-Range`. A weak entity tag does not promise the same bytes.
fn tag(headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
    let strong = header("etag").filter(|tag| !tag.starts_with("W/"));
    strong.or_else(|| header("last-modified"))
}

/// Returns the first position of a `Content-Range`, such as `bytes 400-999/1000`.
fn begin(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get("content-range")?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// Returns the http client of this program. It accepts the certificates of the machine.
pub fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let tls = TlsConfig::builder().root_certs(roots()).build();
        let config = Agent::config_builder()
            .user_agent(concat!("reld/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .tls_config(tls)
            .build();
        config.into()
    })
}

/// Returns the certificates of `SSL_CERT_FILE` or of the machine, as PEM.
pub fn machine_certificates() -> Option<Vec<u8>> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let files = named.into_iter().chain(BUNDLES.map(PathBuf::from));
    files.into_iter().find_map(|file| fs::read(file).ok())
}

/// Returns the certificates of the machine, or else those of Mozilla.
fn roots() -> RootCerts {
    let Some(text) = machine_certificates() else { return RootCerts::WebPki };
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let all: Vec<Certificate<'static>> = parse_pem(&text).filter_map(certificate).collect();
    if all.is_empty() { RootCerts::WebPki } else { RootCerts::Specific(Arc::new(all)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let header =
            |(name, value): &(&'static str, &'static str)| (name.parse().unwrap(), value.parse().unwrap());
        pairs.iter().map(header).collect()
    }

    #[test]
    fn a_part_is_continued_only_by_a_strong_mark() {
        let date = ("last-modified", "Mon, 30 Nov 2026 12:00:00 GMT");
        assert_eq!(tag(&headers(&[("etag", "\"a\""), date])).as_deref(), Some("\"a\""));
        assert_eq!(tag(&headers(&[("etag", "W/\"a\""), date])).as_deref(), Some(date.1));
        assert_eq!(tag(&headers(&[("etag", "W/\"a\"")])), None);
    }

    #[test]
    fn the_begin_of_a_range_is_read_or_unknown() {
        let begin = |range| begin(&headers(&[("content-range", range)]));
        assert_eq!(begin("bytes 400-999/1000"), Some(400));
        assert_eq!(begin("bytes 0-0/*"), Some(0));
        assert_eq!(begin("bytes */1000"), None);
        assert_eq!(begin("lines 4-9/10"), None);
    }
}
