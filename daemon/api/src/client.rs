//! A small client: one connection per request, every wait bounded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::error::{ErrorBody, ErrorReport};
use crate::request::{Method, Request};

/// How long a daemon may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How much of a tarball is on its way at once: chunks of [`CHUNK`] bytes.
const CHUNKS_AHEAD: usize = 4;
const CHUNK: usize = 64 * 1024;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no daemon answers on {}", socket.display())]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
        /// Why the connection failed.
        #[source]
        source: std::io::Error,
    },
    /// The daemon answered with an error.
    #[error("{0}")]
    Refused(Box<ErrorReport>),
    /// The daemon did not answer in time. What was asked for may still happen.
    #[error("{path} was not answered within {after:?}; the node may still be at it")]
    Deadline {
        /// The route.
        path: &'static str,
        /// How long the client waited.
        after: Duration,
    },
    /// The connection broke. What was asked for may still happen.
    #[error("the connection broke before {path} was answered")]
    Broken {
        /// The route.
        path: &'static str,
        /// How it broke.
        #[source]
        source: hyper::Error,
    },
    /// The answer has another shape than this client knows: daemon and client are of different versions.
    #[error("the answer to {path} has an unknown shape")]
    Shape {
        /// The route.
        path: &'static str,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// A stream of answers ended before its last line.
    #[error("the answer to {path} ended early")]
    Ended {
        /// The route.
        path: &'static str,
    },
}

/// Speaks to the daemon behind a socket. Holds no connection, so a clone costs nothing and a restart of the daemon
/// goes unnoticed between two requests.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Returns a client for the daemon that listens on `socket`. Connects to nothing yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Returns the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks and waits as long as the route's own patience lasts.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.call_within(request, R::PATIENCE).await
    }

    /// Asks and waits this long.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn call_within<R: Request>(
        &self,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response, ClientError> {
        let answer = async { read::<R>(self.send::<R, _>(query(request)?, body(request)?).await?).await };
        within::<R, _>(patience, answer).await
    }

    /// Sends a tarball and waits for the answer. A tarball that cannot be read to its end is cut off on the way, and
    /// the daemon then refuses it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn upload<R: Request>(
        &self,
        tarball: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<R::Response, ClientError> {
        let (mut sender, body) = Channel::new(CHUNKS_AHEAD);
        let feed = tokio::spawn(async move {
            match chunks(tarball, &mut sender).await {
                Ok(()) => drop(sender),
                Err(fault) => sender.abort(fault),
            }
        });
        let answer = async {
            read::<R>(self.send::<R, Channel<Bytes, std::io::Error>>(String::new(), body).await?).await
        };
        let answer = within::<R, _>(R::PATIENCE, answer).await;
        feed.abort();
        answer
    }

    /// Asks a route that answers by several lines. The first must come within the route's patience, the others may
    /// take for ever; dropping the returned value hangs up.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn follow<R: Request>(&self, request: &R) -> Result<Lines<R>, ClientError> {
        let answer = async { accepted::<R>(self.send::<R, _>(query(request)?, body(request)?).await?).await };
        let body = within::<R, _>(R::PATIENCE, answer).await?;
        Ok(Lines { body, buffer: Vec::new(), route: std::marker::PhantomData })
    }

    async fn send<R: Request, B>(
        &self,
        query: String,
        body: B,
    ) -> Result<hyper::Response<Incoming>, ClientError>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let no_daemon = |source| ClientError::NoDaemon { socket: self.socket.clone(), source };
        let connected = timeout(CONNECT, UnixStream::connect(&self.socket)).await;
        let stream = connected.map_err(|late| no_daemon(late.into()))?.map_err(no_daemon)?;
        let broken = |source| ClientError::Broken { path: R::PATH, source };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends by itself when the response is read or dropped; its error comes back through the response as well.
        tokio::spawn(connection);
        sender.send_request(http_request::<R, B>(&query, body)).await.map_err(broken)
    }
}

/// The lines of an answer that comes bit by bit.
#[derive(Debug)]
pub struct Lines<R: Request> {
    body: Incoming,
    buffer: Vec<u8>,
    route: std::marker::PhantomData<fn() -> R>,
}

impl<R: Request> Lines<R> {
    /// Waits for the next line, without limit.
    ///
    /// # Errors
    /// [`ClientError::Ended`] after the last line; else see [`ClientError`].
    pub async fn next(&mut self) -> Result<R::Response, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return parse::<R, _>(&line);
            }
            let frame = self.body.frame().await.ok_or(ClientError::Ended { path: R::PATH })?;
            let frame = frame.map_err(|source| ClientError::Broken { path: R::PATH, source })?;
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
        }
    }
}

async fn within<R: Request, T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let late = |_| ClientError::Deadline { path: R::PATH, after: patience };
    timeout(patience, answer).await.map_err(late)?
}

fn http_request<R: Request, B>(query: &str, body: B) -> hyper::Request<B> {
    let (method, content) = match R::METHOD {
        Method::Get => (hyper::Method::GET, "application/json"),
        Method::Post | Method::Follow => (hyper::Method::POST, "application/json"),
        Method::Upload => (hyper::Method::POST, "application/gzip"),
    };
    let mark = if query.is_empty() { "" } else { "?" };
    hyper::Request::builder()
        .method(method)
        .uri(format!("{}{mark}{query}", R::PATH))
        .header(HOST, "reld")
        .header(CONTENT_TYPE, content)
        .body(body)
        .expect("routes are literals and queries are percent-encoded")
}

fn query<R: Request>(request: &R) -> Result<String, ClientError> {
    if R::METHOD != Method::Get {
        return Ok(String::new());
    }
    let shape = |fault: serde_urlencoded::ser::Error| serde::ser::Error::custom(fault);
    serde_urlencoded::to_string(request)
        .map_err(|fault| ClientError::Shape { path: R::PATH, source: shape(fault) })
}

fn body<R: Request>(request: &R) -> Result<Full<Bytes>, ClientError> {
    if R::METHOD == Method::Get {
        return Ok(Full::default());
    }
    let shape = |source| ClientError::Shape { path: R::PATH, source };
    serde_json::to_vec(request).map(|json| Full::new(json.into())).map_err(shape)
}

/// Reads a whole answer.
async fn read<R: Request>(response: hyper::Response<Incoming>) -> Result<R::Response, ClientError> {
    let body = collect::<R>(accepted::<R>(response).await?).await?;
    parse::<R, _>(&body)
}

/// Returns the body of a success, and reads that of a failure.
async fn accepted<R: Request>(response: hyper::Response<Incoming>) -> Result<Incoming, ClientError> {
    if response.status().is_success() {
        return Ok(response.into_body());
    }
    let body = collect::<R>(response.into_body()).await?;
    Err(ClientError::Refused(Box::new(parse::<R, ErrorBody>(&body)?.error)))
}

async fn collect<R: Request>(body: Incoming) -> Result<Bytes, ClientError> {
    let collected = body.collect().await.map_err(|source| ClientError::Broken { path: R::PATH, source })?;
    Ok(collected.to_bytes())
}

fn parse<R: Request, T: DeserializeOwned>(json: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(json).map_err(|source| ClientError::Shape { path: R::PATH, source })
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
            // The daemon has answered without reading to the end; its answer says why.
            return Ok(());
        }
    }
}
