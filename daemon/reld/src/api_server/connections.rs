//! Connections to the control socket, with limits on their number and on idle time.
//!
//! Every user in the group of the socket may connect, so no user may occupy all connections:
//!
//! | user | connections at a time |
//! |---|---|
//! | root, the daemon's own user | [`OWNER`] each |
//! | any other user | [`READER`] |
//! | all other users together | [`READERS`] |
//!
//! The daemon answers the first request of an excess connection with an error and closes the
//! connection. If [`REFUSED`] excess connections are open already, it closes further ones at once.
//! It also closes a connection that does not complete a request head within [`IDLE`], or sends
//! nothing of an incomplete body for [`BODY`].

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::connect_info::ConnectInfo;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use reld_api::{ErrorCode, ErrorReport};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tower_http::timeout::TimeoutBody;

use super::peer::Peer;
use super::routing::refuse;

/// The time limit for the head of a connection's first or next request.
const IDLE: Duration = Duration::from_secs(30);

/// The time limit for the next part of a request's body.
const BODY: Duration = Duration::from_secs(30);

/// The time limit for reading the rest of a body after the response. A client that sends its whole
/// request before it reads would otherwise see a broken connection and no response.
const REST: Duration = Duration::from_secs(5);

/// The pause of the listener when the system has no free descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// The minimum time between two log entries about the same refused user.
const WARN: Duration = Duration::from_secs(60);

const OWNER: usize = 256;
const READER: usize = 32;
const READERS: usize = 128;

/// The maximum number of excess connections that get an error response at the same time.
const REFUSED: usize = 32;

/// The time limit for an excess connection to send its request.
const REFUSED_IDLE: Duration = Duration::from_secs(5);

/// Accepts connections forever and serves the routes on them.
pub(super) async fn accept(listener: UnixListener, routes: Router) -> ! {
    let seats = Arc::new(Seats::new(nix::unistd::geteuid().as_raw()));
    let refused = Arc::new(Semaphore::new(REFUSED));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let peer = Peer::of(&stream);
                if let Some(seat) = Seat::take(&seats, peer) {
                    tokio::spawn(serve(stream, Term::Open, routes.clone(), peer, seat));
                } else if let Ok(place) = Arc::clone(&refused).try_acquire_owned() {
                    let refusal = Router::new().fallback(async move || refuse(too_many(peer)));
                    tokio::spawn(serve(stream, Term::OneRequest, refusal, peer, place));
                }
            }
            Err(error) => {
                tracing::warn!(name: "api.accept", %error, "cannot accept a connection");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

/// The time for which a connection is served.
#[derive(Clone, Copy)]
enum Term {
    /// The connection is served as long as it sends requests.
    Open,
    /// The connection is served until its first request is answered.
    OneRequest,
}

impl Term {
    fn http(self) -> http1::Builder {
        let idle = match self {
            Self::Open => IDLE,
            Self::OneRequest => REFUSED_IDLE,
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(idle).keep_alive(matches!(self, Self::Open));
        http
    }
}

/// Serves a connection. The connection counts against the limits until it is closed.
async fn serve(stream: UnixStream, term: Term, routes: Router, peer: Peer, _seat: impl Send) {
    let routes = TowerToHyperService::new(routes);
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let (request, rest) = received(request, peer);
        let answer = routes.call(request);
        async move {
            let answer = answer.await;
            tokio::spawn(timeout(REST, rest.read()));
            answer
        }
    });
    // A broken or slow connection is not an error of the node.
    let _ = term.http().serve_connection(TokioIo::new(stream), answer).await;
}

/// Converts a request for the router. Returns it with a handle to the unread rest of its body.
fn received(request: hyper::Request<Incoming>, peer: Peer) -> (hyper::Request<Body>, Rest) {
    let (mut head, body) = request.into_parts();
    head.extensions.insert(ConnectInfo(peer));
    let (leave, left) = oneshot::channel();
    let body = Box::pin(TimeoutBody::new(BODY, body));
    let body = Body::new(Leaving { body: Some(body), leave: Some(leave) });
    (hyper::Request::from_parts(head, body), Rest(left))
}

type Bounded = Pin<Box<TimeoutBody<Incoming>>>;

/// A request body that sends its unread rest to a [`Rest`] when it is dropped.
struct Leaving {
    body: Option<Bounded>,
    leave: Option<oneshot::Sender<Bounded>>,
}

/// The unread rest of a body.
struct Rest(oneshot::Receiver<Bounded>);

impl Rest {
    /// Reads the rest of the body to its end.
    async fn read(self) {
        if let Ok(mut body) = self.0.await {
            while let Some(Ok(_)) = body.frame().await {}
        }
    }
}

impl HttpBody for Leaving {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.body {
            Some(body) => body.as_mut().poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.as_ref().map(|body| body.size_hint()).unwrap_or_default()
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let (Some(body), Some(leave)) = (self.body.take(), self.leave.take()) {
            // This fails if the connection is gone.
            let _ = leave.send(body);
        }
    }
}

fn too_many(peer: Peer) -> ErrorReport {
    let message = format!("cannot serve {peer}: too many connections are open");
    ErrorReport::refused(ErrorCode::TooManyConnections, message)
        .with_hint("close some; `ss -xp` on the node shows the processes that hold them")
}

/// The open connections of each user.
#[derive(Debug)]
struct Seats {
    own: u32,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    by: HashMap<Option<u32>, usize>,
    warned: HashMap<Option<u32>, Instant>,
}

impl Seats {
    fn new(own: u32) -> Self {
        Self { own, taken: Mutex::default() }
    }

    fn is_owner(&self, uid: Option<u32>) -> bool {
        uid == Some(self.own) || uid == Some(0)
    }

    /// Returns whether a user may open one more connection.
    fn has_room(&self, taken: &Taken, uid: Option<u32>) -> bool {
        let held = taken.by.get(&uid).copied().unwrap_or(0);
        if self.is_owner(uid) {
            return held < OWNER;
        }
        let of_readers = taken.by.iter().filter(|(uid, _)| !self.is_owner(**uid));
        let readers: usize = of_readers.map(|(_, held)| held).sum();
        held < READER && readers < READERS
    }
}

/// An open connection, counted until this value is dropped.
struct Seat {
    seats: Arc<Seats>,
    uid: Option<u32>,
}

impl Seat {
    fn take(seats: &Arc<Seats>, peer: Peer) -> Option<Self> {
        let uid = peer.uid;
        let mut taken = seats.taken.lock();
        if seats.has_room(&taken, uid) {
            *taken.by.entry(uid).or_default() += 1;
            return Some(Self { seats: Arc::clone(seats), uid });
        }
        if taken.warned.get(&uid).is_none_or(|warned| warned.elapsed() >= WARN) {
            taken.warned.insert(uid, Instant::now());
            tracing::warn!(name: "api.full", user = %peer, "too many connections to the control socket; refused one");
        }
        None
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        if let Some(held) = taken.by.get_mut(&self.uid) {
            *held -= 1;
            if *held == 0 {
                taken.by.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use reld_api::{Client, ClientError, request};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, repeat};

    use super::*;

    fn seat(seats: &Arc<Seats>, uid: u32) -> Option<Seat> {
        Seat::take(seats, Peer { uid: Some(uid) })
    }

    #[test]
    fn readers_are_limited_one_by_one_and_together_and_never_take_the_seats_of_the_owner_and_root() {
        let seats = Arc::new(Seats::new(990));
        let mut held: Vec<_> = (0..READER).filter_map(|_| seat(&seats, 1000)).collect();
        assert_eq!((held.len(), seat(&seats, 1000).is_none()), (READER, true));
        // Fill the common limit with connections of other users.
        held.extend(
            (1001..1100).flat_map(|uid| (0..READER).filter_map(|_| seat(&seats, uid)).collect::<Vec<_>>()),
        );
        assert_eq!((held.len(), seat(&seats, 1100).is_none()), (READERS, true));
        for uid in [0, 990] {
            let own: Vec<_> = (0..=OWNER).filter_map(|_| seat(&seats, uid)).collect();
            assert_eq!(own.len(), OWNER);
        }
        held.pop();
        assert!(seat(&seats, 1100).is_some(), "a closed connection makes room");
    }

    fn listening(routes: Router) -> (tempfile::TempDir, Client) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        tokio::spawn(accept(UnixListener::bind(&path).unwrap(), routes));
        (folder, Client::new(path))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refusal_always_reaches_a_client_that_is_still_sending() {
        let refused = |mut body: Body| async move {
            for _ in 0..10 {
                body.frame().await;
            }
            refuse(ErrorReport::refused(ErrorCode::NoRoom, "the disk is full"))
        };
        let (_folder, client) = listening(Router::new().route("/releases/unpack", post(refused)));
        for _ in 0..100 {
            let endless = repeat(0);
            match client.upload(&request::Unpack::default(), endless).await {
                Err(ClientError::Refused(error)) => assert_eq!(error.kind, "no_room"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_excess_connection_gets_an_error_and_one_that_sends_nothing_is_closed() {
        let (_folder, client) = listening(Router::new().route("/status", get(|| async { "found" })));
        let connect = || UnixStream::connect(client.socket());
        let mut held = Vec::new();
        for _ in 0..OWNER + REFUSED - 1 {
            held.push(connect().await.unwrap());
        }
        for answer in [true, false] {
            let mut late = connect().await.unwrap();
            // This client is slower than the daemon.
            tokio::time::sleep(REFUSED_IDLE / 2).await;
            let asked = late.write_all(b"GET /status HTTP/1.1\r\nHost: reld\r\n\r\n").await;
            let mut answered = String::new();
            let _ = late.read_to_string(&mut answered).await;
            assert_eq!(answered.contains("too_many_connections"), answer, "{answered}, {asked:?}");
            assert_eq!(answered.contains("connection: close"), answer, "{answered}");
            // The refused connection is closed, so there is room for the next excess connection.
            held.push(connect().await.unwrap());
        }
        let mut closed = held.split_off(OWNER);
        for stream in &mut closed {
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }
        assert!(held[0].try_read(&mut [0]).is_err(), "the others are open");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_closed() {
        let (_folder, client) = listening(Router::new().route("/status", get(|| async { "found" })));
        let mut idle = UnixStream::connect(client.socket()).await.unwrap();
        let mut asks = UnixStream::connect(client.socket()).await.unwrap();
        asks.write_all(b"GET /status HTTP/1.1\r\nHost: reld\r\n\r\n").await.unwrap();
        let mut half = UnixStream::connect(client.socket()).await.unwrap();
        half.write_all(b"GET /status HTTP/1.1\r\nHo").await.unwrap();
        let mut answers = [String::new(), String::new(), String::new()];
        for (stream, answer) in [&mut idle, &mut asks, &mut half].into_iter().zip(&mut answers) {
            stream.read_to_string(answer).await.unwrap();
        }
        assert_eq!([answers[0].as_str(), answers[2].as_str()], ["", ""]);
        assert!(answers[1].ends_with("found"), "{answers:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_with_an_incomplete_body_times_out() {
        let read = |body: Bytes| async move { format!("{} bytes", body.len()) };
        let (_folder, client) = listening(Router::new().route("/call", post(read)));
        let mut stream = UnixStream::connect(client.socket()).await.unwrap();
        let head = b"POST /call HTTP/1.1\r\nHost: reld\r\nContent-Length: 10\r\n\r\nhalf";
        stream.write_all(head).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}
