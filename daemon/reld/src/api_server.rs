//! The control API: decode, one call, encode.
//!
//! Looking (`GET`) is for everybody who may connect, which the socket's mode decides: its owner and its group.
//! Everything else is for the daemon's own user and root, told by the socket (`SO_PEERCRED`).

mod alarms;
mod connections;
mod files;
mod follow;
mod libraries;
mod look;
mod metrics;
mod order;
mod release;
mod reports;
mod single_app;
mod stream;
mod touch;
mod trace;

use std::fmt::{self, Display};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{DefaultBodyLimit, FromRequest, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parking_lot::Mutex;
use reld_api::{ErrorBody, ErrorReport, ExitCode, Method, Request, decode};
use reld_handler::Platform;
use reld_loader::Loader;
use reld_runtime::{Runtime, contained, contained_task, parse_pid};
use reld_store::{Health, Root, make_folder};
use reld_wire::Pid;
use serde::Serialize;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::alarms::{Alarms, watch_alarms};
use crate::daemon::Next;
use crate::log::Log;
use crate::node::Shared;
use crate::operator::{Entry, Operator};
use crate::panics::lasting;
use crate::places;
use crate::report::brief;
use crate::ring::{Found, Reader};
use crate::socket_file::SocketFile;

/// The longest JSON request. A message larger than that does not belong on a command line.
const BODY_MAX: usize = 16 << 20;

/// What the answers are made from.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) runtime: Runtime,
    pub(crate) operator: Operator,
    pub(crate) loader: Arc<Loader>,
    /// How many purged libraries may stay mapped without a warning.
    pub(crate) residents_max: usize,
    pub(crate) shared: Arc<Mutex<Shared>>,
    pub(crate) platform: Platform,
    pub(crate) uploads: PathBuf,
    pub(crate) root: Root,
    pub(crate) health: Health,
    pub(crate) socket: PathBuf,
    /// Who asks.
    pub(crate) peer: Peer,
    pub(crate) started: Instant,
    pub(crate) alarms: Alarms,
    pub(crate) log: Log,
}

type Answer<R> = Result<<R as Request>::Response, ErrorReport>;

/// Opens the socket in place of what a dead daemon left there.
///
/// # Errors
/// As for [`SocketFile::listen`].
pub(crate) fn bind(socket: &Path) -> std::io::Result<(UnixListener, SocketFile)> {
    if let Some(folder) = socket.parent() {
        make_folder(folder, 0o755)?;
    }
    let (listener, file) = SocketFile::listen(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660))?;
    Ok((listener, file))
}

/// Serves until the daemon ends, which it does as well when nothing more can be served.
pub(crate) async fn serve(listener: UnixListener, api: Api, next: watch::Sender<Next>) {
    let (watched, events) = (api.clone(), api.log.events().clone());
    let look = move || alarms::alarms(&watched);
    tokio::spawn(async move { lasting("alarms", || watch_alarms(&look, &events)).await });
    let app = routes(Router::new()).layer(DefaultBodyLimit::max(BODY_MAX)).with_state(api);
    if let Err(error) = serve_routes(listener, app).await {
        tracing::error!(name: "api.ended", %error, "the control API ended, and so does the node");
        next.send_replace(Next::Fail);
    }
}

/// Serves routes for ever: a panic in one is the answer to its request, and one of what accepts
/// connections has it begin again.
async fn serve_routes(listener: UnixListener, routes: Router) -> std::io::Result<()> {
    let listener = listener.into_std()?;
    let routes = routes.layer(from_fn(contain));
    lasting("api", || async {
        let listener = UnixListener::from_std(listener.try_clone()?)?;
        connections::accept(listener, routes.clone()).await
    })
    .await
}

/// Answers a request whose handler panics.
async fn contain(request: HttpRequest, next: axum::middleware::Next) -> Response {
    contained_task(next.run(request)).await.unwrap_or_else(|panicked| refuse(bug(panicked)))
}

fn bug(panicked: impl Display) -> ErrorReport {
    ErrorReport::new("bug", panicked.to_string(), ExitCode::Bug)
        .with_hint("`relctl status` and the log name the place")
}

fn routes(router: Router<Api>) -> Router<Api> {
    let router = single_app::routes(follow::routes(files::routes(release::routes(router))));
    let router = metrics::routes(reports::routes(touch::routes(look::routes(router))));
    router.fallback(|| async {
        refuse(ErrorReport::new("no_such_route", "there is no such route", ExitCode::Usage))
    })
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peer {
    uid: Option<u32>,
}

impl Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.uid {
            Some(uid) => write!(f, "user {uid}"),
            None => f.write_str("an unknown user"),
        }
    }
}

impl Peer {
    fn of(stream: &UnixStream) -> Self {
        Self { uid: stream.peer_cred().ok().map(|credentials| credentials.uid()) }
    }

    /// Refuses who may only look.
    fn may(self, method: Method, path: &'static str) -> Result<(), ErrorReport> {
        let own = nix::unistd::geteuid().as_raw();
        match (method, self.uid) {
            (Method::Get | Method::Watch, _) => Ok(()),
            (_, Some(uid)) if uid == own || uid == 0 => {
                tracing::info!(name: "api.change", path, uid, "a request that may change the node");
                Ok(())
            }
            _ => {
                let message =
                    format!("{path} is not for {self}: only user {own} and root may change the node");
                Err(ErrorReport::refused("forbidden", message))
            }
        }
    }
}

/// What answers a route. Boxed, so that the way from the socket to it is compiled once and not once for each route.
type Handler = Arc<dyn Fn(Api, Peer, HttpRequest) -> Answering + Send + Sync>;
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

fn add(router: Router<Api>, method: Method, path: &str, handler: Handler) -> Router<Api> {
    let answer = move |State(api), ConnectInfo(peer): ConnectInfo<Peer>, request: HttpRequest| {
        handler(api, peer, request)
    };
    match method {
        Method::Get | Method::Watch => router.route(path, get(answer)),
        Method::Post | Method::Upload | Method::Follow => router.route(path, post(answer)),
    }
}

/// Adds the route of a request that fits into memory.
fn on<R, F, Fut>(router: Router<Api>, answer: F) -> Router<Api>
where
    R: Request,
    F: Fn(Api, R) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Answer<R>> + Send,
{
    let handler = move |api, peer: Peer, request: HttpRequest| -> Answering {
        let answer = answer.clone();
        Box::pin(async move {
            let request = read(R::METHOD, R::PATH, peer, request).await;
            match request.and_then(|(query, body)| decode(&query, &body)) {
                Ok(request) => respond::<R>(answer(Api { peer, ..api }, request).await),
                Err(error) => refuse(error),
            }
        })
    };
    add(router, R::METHOD, R::PATH, Arc::new(handler))
}

/// Adds the route of a request that brings a file.
fn on_upload<R, F, Fut>(router: Router<Api>, answer: F) -> Router<Api>
where
    R: Request,
    F: Fn(Api, R, Body) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Answer<R>> + Send,
{
    let handler = move |api, peer: Peer, request: HttpRequest| -> Answering {
        let answer = answer.clone();
        Box::pin(async move {
            let query = request.uri().query().unwrap_or_default();
            let asked = peer.may(R::METHOD, R::PATH).and_then(|()| decode(query, &[]));
            match asked {
                Ok(asked) => respond::<R>(answer(Api { peer, ..api }, asked, request.into_body()).await),
                Err(error) => refuse(error),
            }
        })
    };
    add(router, R::METHOD, R::PATH, Arc::new(handler))
}

/// Adds the route of a request that is answered by a stream.
fn on_follow<R, F, Fut>(router: Router<Api>, answer: F) -> Router<Api>
where
    R: Request,
    F: Fn(Api, R) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<Body, ErrorReport>> + Send,
{
    let handler = move |api, peer: Peer, request: HttpRequest| -> Answering {
        let answer = answer.clone();
        Box::pin(async move {
            let answered = async {
                let (query, body) = read(R::METHOD, R::PATH, peer, request).await?;
                answer(api, decode(&query, &body)?).await
            };
            answered.await.map_or_else(refuse, IntoResponse::into_response)
        })
    };
    add(router, R::METHOD, R::PATH, Arc::new(handler))
}

/// Adds the route of a request that is answered by what a ring has, and by what comes. The answer is
/// asked for with the number of the last part that the client had, if it comes back.
fn on_watch<R, F, P>(router: Router<Api>, answer: F) -> Router<Api>
where
    R: Request,
    F: Fn(&Api, R, Option<u64>) -> (Reader, P) + Clone + Send + Sync + 'static,
    P: Fn(Found) -> Option<stream::Part<R::Response>> + Send + 'static,
{
    let handler = move |api: Api, peer: Peer, request: HttpRequest| -> Answering {
        let answer = answer.clone();
        Box::pin(async move {
            let after = stream::last_event_id(request.headers());
            let request = read(R::METHOD, R::PATH, peer, request).await;
            match request.and_then(|(query, body)| decode(&query, &body)) {
                Ok(request) => {
                    let (reader, part) = answer(&api, request, after);
                    stream::stream(reader, part)
                }
                Err(error) => refuse(error),
            }
        })
    };
    add(router, R::METHOD, R::PATH, Arc::new(handler))
}

/// Reads a request of somebody who may make it: its query and its body.
async fn read(
    method: Method,
    path: &'static str,
    peer: Peer,
    request: HttpRequest,
) -> Result<(String, Bytes), ErrorReport> {
    peer.may(method, path)?;
    let query = request.uri().query().unwrap_or_default().to_owned();
    if matches!(method, Method::Get | Method::Watch) {
        return Ok((query, Bytes::new()));
    }
    let body = Bytes::from_request(request, &()).await.map_err(|error| {
        ErrorReport::new("bad_request", format!("{path} was not read"), ExitCode::Usage)
            .caused_by(error.to_string())
    })?;
    Ok((query, body))
}

/// One line of a stream.
fn line(answer: impl Serialize) -> Result<Bytes, serde_json::Error> {
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    Ok(line.into())
}

fn respond<R: Request>(answer: Answer<R>) -> Response {
    match answer {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(error) => refuse(error),
    }
}

fn refuse(error: ErrorReport) -> Response {
    let error = brief(error);
    let status =
        StatusCode::from_u16(error.exit_code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, &ErrorBody::from(error))
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, axum::Json(body)).into_response()
}

impl Api {
    /// Returns an order of this client that wants its turn.
    fn entry(&self, what: impl Into<String>, waits: bool) -> Entry {
        Entry::new(what, self.peer.uid, waits)
    }

    /// Runs something that waits on a thread that may.
    async fn wait<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Runtime) -> Result<R, ErrorReport> + Send + 'static,
    ) -> Result<R, ErrorReport> {
        let runtime = self.runtime.clone();
        tokio::task::spawn_blocking(move || contained(|| work(&runtime)).map_err(bug)?).await.map_err(bug)?
    }

    /// Finds a process by pid, by registered name, or by its place in the tree of an app.
    fn find(&self, process: &str) -> Result<Pid, ErrorReport> {
        // A shell takes the brackets of a pid for its own.
        let bare = || parse_pid(&format!("<{process}>")).ok();
        let pid = parse_pid(process).ok().or_else(bare).or_else(|| self.runtime.whereis(process));
        self.alive(process, pid.map_or_else(|| places::at(&self.runtime, process), Ok))
    }

    /// Finds a supervisor likewise. Of a server and an app of one name, the root of the app is meant.
    fn find_supervisor(&self, supervisor: &str) -> Result<Pid, ErrorReport> {
        places::supervisor(&self.runtime, supervisor).or_else(|_| self.find(supervisor))
    }

    fn alive(&self, process: &str, found: Result<Pid, String>) -> Result<Pid, ErrorReport> {
        let noproc = || {
            ErrorReport::refused("noproc", format!("there is no process {process}"))
                .with_hint("`relctl ps` lists the processes")
        };
        let pid = found.map_err(|why| noproc().caused_by(why))?;
        self.runtime.process(pid).map(|_| pid).ok_or_else(noproc)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_stream::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_request_whose_handler_panics_is_answered_and_so_is_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let (listener, _) = bind(&path).unwrap();
        let routes = Router::new()
            .route("/status", get(panics))
            .route("/stream", get(|| async { Body::from_stream(tokio_stream::iter(0..).map(panics_in)) }))
            .fallback(|| async { "found" });
        let served = tokio::spawn(serve_routes(listener, routes));
        let mut client = UnixStream::connect(&path).await.unwrap();
        let answers = [
            ask(&mut client, "/status", "the daemon panicked: a bug in a handler").await,
            ask(&mut client, "/another", "found").await,
        ];
        assert!(
            answers[0].starts_with("HTTP/1.1 500") && answers[0].contains("\"exit_code\":70"),
            "{answers:?}"
        );
        assert!(answers[1].starts_with("HTTP/1.1 200"), "{answers:?}");
        // A stream ends with its connection.
        client.write_all(b"GET /stream HTTP/1.1\r\nHost: reld\r\n\r\n").await.unwrap();
        let mut stream = String::new();
        client.read_to_string(&mut stream).await.unwrap();
        assert!(!stream.ends_with("0\r\n\r\n"), "it looks whole: {stream}");
        let mut client = UnixStream::connect(&path).await.unwrap();
        ask(&mut client, "/another", "found").await;
        served.abort();
    }

    async fn panics() -> String {
        panic!("a bug in a handler")
    }

    fn panics_in(line: u32) -> Result<String, std::io::Error> {
        panic!("a bug in line {line} of a stream")
    }

    /// Asks over a connection that stays, and reads until the answer has these words.
    async fn ask(client: &mut UnixStream, path: &str, words: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: reld\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.contains(words) || !answer.ends_with(['}', 'd']) {
            let mut chunk = [0; 4096];
            let length = client.read(&mut chunk).await.unwrap();
            assert_ne!(length, 0, "the connection is closed after {answer}");
            answer += &String::from_utf8_lossy(&chunk[..length]);
        }
        answer
    }

    #[test]
    fn everybody_who_may_connect_may_look_and_only_the_own_user_and_root_may_change() {
        let own = nix::unistd::geteuid().as_raw();
        let other = own.wrapping_add(1).max(1);
        let may = |uid, method| Peer { uid }.may(method, "/processes/kill").is_ok();
        for uid in [Some(own), Some(0), Some(other), None] {
            assert!(may(uid, Method::Get) && may(uid, Method::Watch), "{uid:?} looks");
            for method in [Method::Post, Method::Upload, Method::Follow] {
                assert_eq!(may(uid, method), uid == Some(own) || uid == Some(0), "{uid:?} changes");
            }
        }
        let refusal = Peer { uid: Some(other) }.may(Method::Post, "/processes/kill").unwrap_err();
        assert_eq!(refusal.kind, "forbidden");
        assert!(refusal.message.contains(&format!("not for user {other}")), "{}", refusal.message);
    }
}
