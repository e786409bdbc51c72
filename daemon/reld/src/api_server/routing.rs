//! The steps that all routes share: check the rights of the client, decode the request, encode the
//! answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{FromRequest, Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use reld_api::{ErrorBody, ErrorCode, ErrorReport, ExitCode, Method, Request, decode};
use serde::Serialize;

use super::api::Api;
use super::peer::Peer;
use super::stream;
use crate::report::brief;
use crate::ring::{Found, Reader};

type Answer<R> = Result<<R as Request>::Response, ErrorReport>;

/// The handler of a route. It is boxed, so that the code around the handlers is compiled once and
/// not for each route.
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

/// Adds a route with a request body that is read into memory.
pub(super) fn on<R, F, Fut>(router: Router<Api>, answer: F) -> Router<Api>
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

/// Adds a route for the upload of a file.
pub(super) fn on_upload<R, F, Fut>(router: Router<Api>, answer: F) -> Router<Api>
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

/// Adds a route that is answered with a stream.
pub(super) fn on_follow<R, F, Fut>(router: Router<Api>, answer: F) -> Router<Api>
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

/// Adds a route that is answered with the kept records of a ring, followed by new records. `answer`
/// gets the number of the last record that a reconnecting client has received.
pub(super) fn on_watch<R, F, P>(router: Router<Api>, answer: F) -> Router<Api>
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

/// Checks the rights of the client, and reads the query and the body of the request.
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
        ErrorReport::new(ErrorCode::BadRequest, format!("cannot read the body of {path}"), ExitCode::Usage)
            .caused_by(error.to_string())
    })?;
    Ok((query, body))
}

/// Encodes one part of a stream as a line.
pub(super) fn line(answer: impl Serialize) -> Result<Bytes, serde_json::Error> {
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

pub(super) fn refuse(error: ErrorReport) -> Response {
    let error = brief(error);
    let status =
        StatusCode::from_u16(error.exit_code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, &ErrorBody::from(error))
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (status, axum::Json(body)).into_response()
}
