//! The control API. Each handler decodes a request, makes one call and encodes the answer.
//!
//! Any client that can connect may read (`GET`); the socket's mode (0660) lets its owner and group
//! connect. All other requests are accepted only from the daemon's own user and from root. The
//! client's user is taken from `SO_PEERCRED`.

mod alarms;
mod api;
mod connections;
mod env;
mod files;
mod fleet;
mod follow;
mod libraries;
mod look;
mod metrics;
mod order;
mod peer;
mod release;
mod reports;
mod routing;
mod single_app;
mod stream;
mod touch;
mod trace;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request as HttpRequest};
use axum::middleware::from_fn;
use axum::response::Response;
use reld_api::{ErrorCode, ErrorReport, ExitCode};
use reld_runtime::contained_task;
use reld_store::make_folder;
use tokio::net::UnixListener;
use tokio::sync::watch;

pub(crate) use self::api::Api;
use self::api::bug;
pub(crate) use self::peer::Peer;
use self::routing::refuse;
use crate::alarms::watch_alarms;
use crate::next::Next;
use crate::panics::lasting;
use crate::socket_file::SocketFile;

/// The maximum size of a JSON request in bytes. It is far above any request that fits on a command
/// line.
const BODY_MAX: usize = 16 << 20;

/// Opens the socket. A socket file that a dead daemon has left is replaced.
///
/// # Errors
/// The errors of [`SocketFile::listen`].
pub(crate) fn bind(socket: &Path) -> std::io::Result<(UnixListener, SocketFile)> {
    if let Some(folder) = socket.parent() {
        make_folder(folder, 0o755)?;
    }
    let (listener, file) = SocketFile::listen(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660))?;
    Ok((listener, file))
}

/// Serves until the daemon ends. If the API can no longer be served, the daemon ends too.
pub(crate) async fn serve(listener: UnixListener, api: Api, next: watch::Sender<Next>) {
    let (watched, events) = (api.clone(), api.log.events().clone());
    let look = move || alarms::alarms(&watched);
    tokio::spawn(async move { lasting("alarms", || watch_alarms(&look, &events)).await });
    let app = routes(Router::new()).layer(DefaultBodyLimit::max(BODY_MAX)).with_state(api);
    if let Err(error) = serve_routes(listener, app).await {
        tracing::error!(name: "api.ended", %error, "the control API ended; the node stops");
        next.send_replace(Next::Fail);
    }
}

/// Serves routes forever. If a handler panics, its client gets an error response. If the accept
/// loop panics, it is started again.
async fn serve_routes(listener: UnixListener, routes: Router) -> std::io::Result<()> {
    let listener = listener.into_std()?;
    let routes = routes.layer(from_fn(contain));
    lasting("api", || async {
        let listener = UnixListener::from_std(listener.try_clone()?)?;
        connections::accept(listener, routes.clone()).await
    })
    .await
}

/// Sends a response even if the handler panics.
async fn contain(request: HttpRequest, next: axum::middleware::Next) -> Response {
    contained_task(next.run(request)).await.unwrap_or_else(|panicked| refuse(bug(panicked)))
}

fn routes(router: Router<Api>) -> Router<Api> {
    let router = single_app::routes(follow::routes(files::routes(env::routes(release::routes(router)))));
    let router = fleet::routes(metrics::routes(reports::routes(touch::routes(look::routes(router)))));
    router.fallback(|| async {
        refuse(ErrorReport::new(ErrorCode::NoSuchRoute, "there is no such route", ExitCode::Usage))
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio_stream::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_request_with_a_panicking_handler_is_answered_and_so_is_the_next() {
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
        // A panic in a stream closes the connection.
        client.write_all(b"GET /stream HTTP/1.1\r\nHost: reld\r\n\r\n").await.unwrap();
        let mut stream = String::new();
        client.read_to_string(&mut stream).await.unwrap();
        assert!(!stream.ends_with("0\r\n\r\n"), "it looks complete: {stream}");
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

    /// Sends a request over a keep-alive connection, and reads until the answer contains `words`.
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
}
