//! Commands that send messages and signals to a process: call, cast, kill.

use std::time::Duration;

use reld_api::{Client, Request, request as q};
use serde_json::Value;

use crate::args::Call;
use crate::error::Failure;
use crate::shown::Shown;

pub(super) async fn call(client: &Client, args: Call) -> Result<Shown, Failure> {
    let request = q::Call { process: args.process, request: args.request, timeout_ms: Some(args.timeout) };
    // The client waits longer than the node: the node's timeout error is more precise than the
    // client's.
    let patience = q::Call::PATIENCE.saturating_add(Duration::from_millis(args.timeout));
    let answer = client.call_within(&request, patience).await?;
    Ok(Shown::line(&answer, &answer.reply))
}

pub(super) async fn cast(client: &Client, process: String, message: Value) -> Result<Shown, Failure> {
    let answer = client.call(&q::Cast { process, message }).await?;
    Ok(Shown::line(&answer, format_args!("sent to {}", answer.pid)))
}

pub(super) async fn kill(client: &Client, process: String, reason: String) -> Result<Shown, Failure> {
    let answer = client.call(&q::Kill { process, reason: reason.clone() }).await?;
    Ok(Shown::line(&answer, format_args!("sent exit {reason} to {}", answer.pid)))
}
