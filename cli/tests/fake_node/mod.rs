//! A node with prepared answers, and a relctl that runs against it.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::thread;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response};
use hyper_util::rt::TokioIo;
use reld_api::{ErrorBody, ErrorReport, Request};
use tempfile::TempDir;
use tokio::net::UnixListener;

/// The answer of the node to one request. Requests must come in the order of the answers.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    path: &'static str,
    status: u16,
    body: Vec<u8>,
}

/// Answers `R` with a response.
pub(crate) fn answer<R: Request>(response: &R::Response) -> Answer {
    Answer { path: R::PATH, status: 200, body: serde_json::to_vec(response).unwrap() }
}

/// Answers `R` with lines.
pub(crate) fn lines<R: Request>(responses: &[R::Response]) -> Answer {
    let line = |response| serde_json::to_string(response).unwrap() + "\n";
    Answer { path: R::PATH, status: 200, body: responses.iter().map(line).collect::<String>().into_bytes() }
}

/// Answers `R` with server-sent events.
pub(crate) fn sent<R: Request>(responses: &[R::Response]) -> Answer {
    let event =
        |response| format!(": alive\n\nevent: x\ndata: {}\n\n", serde_json::to_string(response).unwrap());
    Answer { path: R::PATH, status: 200, body: responses.iter().map(event).collect::<String>().into_bytes() }
}

/// Refuses `R` with an error report.
pub(crate) fn refuse<R: Request>(report: ErrorReport) -> Answer {
    let status = report.exit_code.http_status();
    Answer { path: R::PATH, status, body: serde_json::to_vec(&ErrorBody::from(report)).unwrap() }
}

/// Runs relctl against a node with these answers; returns the requests, stdout, stderr and the exit
/// code.
#[track_caller]
pub(crate) fn relctl(answers: Vec<Answer>, args: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("reld.sock");
    let expected = answers.len();
    let asked = serve(&socket, answers);
    let output = run(&socket, args);
    let asked: Vec<_> = asked.try_iter().collect();
    assert_eq!(asked.len(), expected, "relctl asked {asked:?}, and ended with {output:?}");
    let asked: String = asked.iter().map(|line| format!("-> {line}\n")).collect();
    asked + &seen(&output).replace(&folder.path().display().to_string(), "TMP")
}

fn run(socket: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_relctl")).env("RELD_SOCKET", socket).args(args).output().unwrap()
}

fn seen(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let err: String = err.lines().map(|line| format!("! {line}").trim_end().to_owned() + "\n").collect();
    format!("{out}{err}exit {}", output.status.code().unwrap())
}

/// Serves on a thread of its own until the test process ends; the receiver gets each request.
fn serve(socket: &Path, answers: Vec<Answer>) -> mpsc::Receiver<String> {
    let (requests, asked) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = {
        let _inside = runtime.enter();
        UnixListener::bind(socket).unwrap()
    };
    thread::spawn(move || runtime.block_on(accept(listener, answers, requests)));
    asked
}

async fn accept(listener: UnixListener, answers: Vec<Answer>, requests: mpsc::Sender<String>) {
    for answer in answers {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(|request| respond(request, answer.clone(), requests.clone()));
        // The client may hang up early.
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
}

async fn respond(
    request: HttpRequest<Incoming>,
    answer: Answer,
    requests: mpsc::Sender<String>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    requests.send(format!("{} {} {body}", head.method, head.uri).trim_end().to_owned()).unwrap();
    let expected = head.uri.path() == answer.path;
    let status = if expected { answer.status } else { 404 };
    Ok(Response::builder().status(status).body(Full::new(answer.body.into())).unwrap())
}
