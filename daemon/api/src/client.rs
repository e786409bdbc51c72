//! A small client. It opens one connection per request, and has a time limit for every answer.

mod persistent;

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::channel::Channel;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::error::{ErrorBody, ErrorReport};
use crate::request::{Method, Request};
use persistent::Persistent;

const CONNECT: Duration = Duration::from_secs(5);

/// The maximum number of chunks of a tarball that are in flight. A chunk has [`CHUNK`] bytes.
const CHUNKS_AHEAD: usize = 4;
const CHUNK: usize = 64 * 1024;

/// A request failed, or has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client cannot connect to the socket.
    #[error("cannot reach a daemon on {}", socket.display())]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// The cause of the failed connection.
        #[source]
        source: std::io::Error,
    },
    /// The daemon answered with an error.
    #[error("{0}")]
    Refused(Box<ErrorReport>),
    /// The daemon did not answer in time. It may still carry out the request.
    #[error("{path} was not answered within {after:?}; the node may still be working on it")]
    Deadline {
        /// The route.
        path: &'static str,
        /// The time limit.
        after: Duration,
    },
    /// The connection broke. The daemon may still carry out the request.
    #[error("the connection broke before {path} was answered")]
    Broken {
        /// The route.
        path: &'static str,
        /// The cause.
        #[source]
        source: hyper::Error,
    },
    /// The client cannot parse the answer, because daemon and client have different versions.
    #[error("the answer to {path} has an unknown form")]
    Shape {
        /// The route.
        path: &'static str,
        /// The mismatch.
        #[source]
        source: serde_json::Error,
    },
    /// A stream ended, or the daemon closed it early.
    #[error("the answer to {path} ended early")]
    Ended {
        /// The route.
        path: &'static str,
    },
}

/// A client of the daemon behind a socket. The client holds no connection, so clones are cheap, and
/// a restart of the daemon between two requests does not matter.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Returns a client for the daemon that listens on `socket`. This does not connect yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Returns the path of the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a request and waits for the answer, up to the route's time limit.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.call_within(request, R::PATIENCE).await
    }

    /// Sends a request and waits for the answer, up to `patience`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn call_within<R: Request>(
        &self,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response, ClientError> {
        let answer = self.ask(Sending::of(request)?, patience).await?;
        parse(R::PATH, &answer)
    }

    /// Sends a tarball and waits for the answer. If the tarball cannot be read to its end, the
    /// upload breaks off, and the daemon refuses it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn upload<R: Request>(
        &self,
        request: &R,
        tarball: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<R::Response, ClientError> {
        let (mut sender, body) = Channel::new(CHUNKS_AHEAD);
        let feed = tokio::spawn(async move {
            match chunks(tarball, &mut sender).await {
                Ok(()) => drop(sender),
                Err(fault) => sender.abort(fault),
            }
        });
        let sending = Sending { body: body.boxed_unsync(), ..Sending::of(request)? };
        let answer = self.ask(sending, R::PATIENCE).await;
        feed.abort();
        parse(R::PATH, &answer?)
    }

    /// Sends a request that is answered in parts. The response must begin within the route's time
    /// limit. There is no time limit for the parts. Dropping the returned value disconnects.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn follow<R: Request>(&self, request: &R) -> Result<Lines<R>, ClientError> {
        let sending = Sending::of(request)?;
        let body = within(R::PATH, R::PATIENCE, self.send(sending)).await?;
        Ok(Lines { body, buffer: Vec::new(), route: std::marker::PhantomData })
    }

    /// Sends a request and reads the whole answer.
    async fn ask(&self, sending: Sending, patience: Duration) -> Result<Bytes, ClientError> {
        let path = sending.path;
        within(path, patience, async { collect(path, self.send(sending).await?).await }).await
    }

    /// Sends a request. Returns the unread body of a success response, or the parsed error of a
    /// failure.
    async fn send(&self, sending: Sending) -> Result<Incoming, ClientError> {
        let path = sending.path;
        let no_daemon = |source| ClientError::NoDaemon { socket: self.socket.clone(), source };
        let connected = timeout(CONNECT, UnixStream::connect(&self.socket)).await;
        let stream = connected.map_err(|late| no_daemon(late.into()))?.map_err(no_daemon)?;
        let broken = |source| ClientError::Broken { path, source };
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(Persistent(stream))).await.map_err(broken)?;
        // The task ends when the response is read or dropped. Its errors also appear in the
        // response.
        tokio::spawn(connection);
        let response = sender.send_request(sending.into_http()).await.map_err(broken)?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        let body = collect(path, response.into_body()).await?;
        Err(ClientError::Refused(Box::new(parse::<ErrorBody>(path, &body)?.error)))
    }
}

/// A request without its Rust type. So the code that sends requests is compiled once and not for
/// each request type.
struct Sending {
    method: Method,
    path: &'static str,
    query: String,
    body: UnsyncBoxBody<Bytes, std::io::Error>,
}

impl Sending {
    fn of<R: Request>(request: &R) -> Result<Self, ClientError> {
        let shape = |source| ClientError::Shape { path: R::PATH, source };
        let (mut query, mut body) = (String::new(), Bytes::new());
        if matches!(R::METHOD, Method::Get | Method::Upload | Method::Watch) {
            query = serde_urlencoded::to_string(request)
                .map_err(|fault| shape(serde::ser::Error::custom(fault)))?;
        } else {
            body = serde_json::to_vec(request).map_err(shape)?.into();
        }
        let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        Ok(Self { method: R::METHOD, path: R::PATH, query, body })
    }

    fn into_http(self) -> hyper::Request<UnsyncBoxBody<Bytes, std::io::Error>> {
        let (method, content) = match self.method {
            Method::Get | Method::Watch => (hyper::Method::GET, "application/json"),
            Method::Post | Method::Follow => (hyper::Method::POST, "application/json"),
            Method::Upload => (hyper::Method::POST, "application/gzip"),
        };
        let mark = if self.query.is_empty() { "" } else { "?" };
        hyper::Request::builder()
            .method(method)
            .uri(format!("{}{mark}{}", self.path, self.query))
            .header(HOST, "reld")
            .header(CONTENT_TYPE, content)
            .body(self.body)
            .expect("routes are literals and queries are percent-encoded")
    }
}

/// The parts of a streamed answer, one per line.
#[derive(Debug)]
pub struct Lines<R: Request> {
    body: Incoming,
    buffer: Vec<u8>,
    route: std::marker::PhantomData<fn() -> R>,
}

impl<R: Request> Lines<R> {
    /// Waits for the next part, without a time limit.
    ///
    /// # Errors
    /// [`ClientError::Ended`] after the last part; otherwise see [`ClientError`].
    pub async fn next(&mut self) -> Result<R::Response, ClientError> {
        loop {
            let line = self.line().await?;
            if R::METHOD != Method::Watch {
                return parse(R::PATH, &line);
            }
            // Only the data of a server-sent event is read, because it repeats the other fields of
            // the event.
            if let Some(data) = line.strip_prefix(b"data:") {
                return parse(R::PATH, data);
            }
        }
    }

    async fn line(&mut self) -> Result<Vec<u8>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return Ok(self.buffer.drain(..=end).collect());
            }
            let frame = self.body.frame().await.ok_or(ClientError::Ended { path: R::PATH })?;
            let frame = frame.map_err(|source| ClientError::Broken { path: R::PATH, source })?;
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
        }
    }
}

async fn within<T>(
    path: &'static str,
    patience: Duration,
    answer: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    timeout(patience, answer).await.map_err(|_| ClientError::Deadline { path, after: patience })?
}

async fn collect(path: &'static str, body: Incoming) -> Result<Bytes, ClientError> {
    let collected = body.collect().await.map_err(|source| ClientError::Broken { path, source })?;
    Ok(collected.to_bytes())
}

fn parse<T: DeserializeOwned>(path: &'static str, json: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(json).map_err(|source| ClientError::Shape { path, source })
}

async fn chunks(
    mut tarball: impl AsyncRead + Unpin,
    sender: &mut http_body_util::channel::Sender<Bytes, std::io::Error>,
) -> std::io::Result<()> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        if (&mut tarball).take(CHUNK as u64).read_to_end(&mut chunk).await? == 0 {
            return Ok(());
        }
        if sender.send_data(chunk.into()).await.is_err() {
            // The daemon has answered before it has read everything. The answer contains the
            // reason.
            return Ok(());
        }
    }
}
