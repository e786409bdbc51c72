//! Endless answers as server-sent events. They are read from a ring, as fast as the client reads
//! them.
//!
//! The daemon never waits for a client. Records that a slow client has not read stay in the ring
//! until newer records displace them. So memory stays bounded, and the client learns the number of
//! records that it has missed.

use std::convert::Infallible;

use axum::http::HeaderMap;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::ring::{Found, Reader};

/// The number of parts that are queued for a client, in addition to the buffers of its connection.
const AHEAD: usize = 16;

/// A part of an answer.
pub(super) struct Part<T> {
    /// The number that a reconnecting client sends as its `Last-Event-ID`.
    pub(super) id: u64,
    pub(super) kind: &'static str,
    pub(super) data: T,
}

/// Returns the number of the last part that a reconnecting client has received.
pub(super) fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// Answers with the kept records of a ring, then with new ones.
pub(super) fn stream<T: Serialize>(
    mut reader: Reader,
    part: impl Fn(Found) -> Option<Part<T>> + Send + 'static,
) -> Response {
    let (parts, stream) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        loop {
            let found = tokio::select! {
                found = reader.wait() => found,
                () = parts.closed() => return,
            };
            if found.is_empty() {
                return;
            }
            for found in found {
                let Some(event) = part(found).and_then(event) else { continue };
                if parts.send(Ok::<_, Infallible>(event)).await.is_err() {
                    return;
                }
            }
        }
    });
    Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::default()).into_response()
}

fn event<T: Serialize>(Part { id, kind, data }: Part<T>) -> Option<sse::Event> {
    sse::Event::default().event(kind).id(id.to_string()).json_data(data).ok()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{UnixListener, UnixStream};
    use tracing::Level;

    use super::super::connections::accept;
    use super::*;
    use crate::record::Record;
    use crate::ring::Ring;

    /// Reads until the text ends with `end`.
    async fn read_to(client: &mut UnixStream, end: &str) -> String {
        let mut answer = String::new();
        while !answer.ends_with(end) {
            let mut chunk = [0; 4096];
            let length = client.read(&mut chunk).await.unwrap();
            assert_ne!(length, 0, "the connection is closed after {answer}");
            answer += &String::from_utf8_lossy(&chunk[..length]);
        }
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_without_events_stays_open_for_minutes() {
        let (folder, ring) = (tempfile::tempdir().unwrap(), Ring::new(1 << 20));
        let part = |found| match found {
            Found::Record(id, record) => {
                Some(Part { id, kind: "line", data: String::from_utf8_lossy(record.json()).into_owned() })
            }
            Found::Missed(_) => None,
        };
        let reads = ring.clone();
        let answer = move || async move { stream(reads.after(None), part) };
        let routes = Router::new().route("/events", axum::routing::get(answer));
        let path = folder.path().join("socket");
        tokio::spawn(accept(UnixListener::bind(&path).unwrap(), routes));
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"GET /events HTTP/1.0\r\n\r\n").await.unwrap();
        let begun = tokio::time::Instant::now();
        // Read keep-alive comments for five minutes.
        while begun.elapsed().as_secs() < 300 {
            read_to(&mut client, ":\n\n").await;
        }
        ring.push(Record::plain(Level::INFO, "late"));
        let sent = read_to(&mut client, "}\"\n\n").await;
        assert!(sent.starts_with("event: line\nid: ") && sent.contains("late"), "{sent}");
    }
}
