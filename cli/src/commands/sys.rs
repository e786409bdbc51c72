//! OTP's system messages by hand: suspend, change-code, resume.

use reld_api::{Client, request as q};

use super::Shown;
use crate::args::ChangeCode;
use crate::error::Failure;

pub(super) async fn suspend(client: &Client, process: String) -> Result<Shown, Failure> {
    let answer = client.call(&q::Suspend { process }).await?;
    Ok(Shown::line(&answer, format_args!("suspended {}", answer.pid)))
}

pub(super) async fn resume(client: &Client, process: String) -> Result<Shown, Failure> {
    let answer = client.call(&q::Resume { process }).await?;
    Ok(Shown::line(&answer, format_args!("resumed {}, {} messages waiting", answer.pid, answer.queue)))
}

pub(super) async fn change_code(client: &Client, args: ChangeCode) -> Result<Shown, Failure> {
    let ChangeCode { process, module, from_version, extra } = args;
    let answer = client.call(&q::ChangeCode { process, module, from_version, extra }).await?;
    Ok(Shown::line(&answer, format_args!("{} runs {} {}", answer.pid, answer.module, answer.version)))
}
