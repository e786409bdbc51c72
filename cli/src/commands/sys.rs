//! System messages, as OTP's `sys` module sends them: suspend, change-code, resume, and the
//! commands below `relctl sys`.

use reld_api::{Client, request as q};

use crate::args::{ChangeCode, Sys};
use crate::error::Failure;
use crate::render;
use crate::shown::Shown;

pub(super) async fn suspend(client: &Client, process: String) -> Result<Shown, Failure> {
    let answer = client.call(&q::Suspend { process }).await?;
    Ok(Shown::line(&answer, format_args!("suspended {}", answer.pid)))
}

pub(super) async fn resume(client: &Client, process: String) -> Result<Shown, Failure> {
    let answer = client.call(&q::Resume { process }).await?;
    let messages = render::counted(answer.queue, "message", "messages");
    Ok(Shown::line(&answer, format_args!("resumed {}, {messages} waiting", answer.pid)))
}

pub(super) async fn change_code(client: &Client, args: ChangeCode) -> Result<Shown, Failure> {
    let ChangeCode { process, module, from_version, extra } = args;
    let answer = client.call(&q::ChangeCode { process, module, from_version, extra }).await?;
    Ok(Shown::line(&answer, format_args!("{} runs {} {}", answer.pid, answer.module, answer.version)))
}

pub(super) async fn run(client: &Client, args: Sys) -> Result<Shown, Failure> {
    match args {
        Sys::Status(args) => {
            let answer = client.call(&q::SysStatus { process: args.process }).await?;
            Ok(Shown::new(&answer, render::sys_status(&answer)))
        }
        Sys::NoDebug(args) => {
            let answer = client.call(&q::NoDebug { process: args.process }).await?;
            Ok(Shown::line(&answer, format_args!("{} keeps no statistics and no messages", answer.pid)))
        }
        Sys::Statistics { process, on: false, off: false } => statistics(client, process).await,
        Sys::Statistics { process, on, .. } => {
            let answer = client.call(&q::CountMessages { process, on }).await?;
            let does = if on { "counts its messages" } else { "no longer counts its messages" };
            Ok(Shown::line(&answer, format_args!("{} {does}", answer.pid)))
        }
        Sys::Log { process, keep: None, off: false } => log(client, process).await,
        Sys::Log { process, keep: max, .. } => {
            let answer = client.call(&q::KeepLog { process, max }).await?;
            Ok(Shown::line(
                &answer,
                match max {
                    Some(max) => format!("{} keeps its last {max} messages", answer.pid),
                    None => format!("{} keeps no messages", answer.pid),
                },
            ))
        }
        Sys::ReplaceState { process, state } => {
            let answer = client.call(&q::ReplaceState { process, state }).await?;
            Ok(Shown::line(&answer, format_args!("{} has a new state", answer.pid)))
        }
        Sys::Terminate { process, reason } => {
            let answer = client.call(&q::Terminate { process, reason }).await?;
            Ok(Shown::line(&answer, format_args!("{} ends", answer.pid)))
        }
    }
}

async fn statistics(client: &Client, process: String) -> Result<Shown, Failure> {
    let answer = client.call(&q::Statistics { process }).await?;
    let text = match &answer.statistics {
        Some(counted) => format!(
            "{}: {} messages in, {} out, in {} ms",
            answer.pid, counted.messages_in, counted.messages_out, counted.for_ms
        ),
        None => format!(
            "{} does not count its messages; start with `relctl sys statistics {} --on`",
            answer.pid, answer.pid
        ),
    };
    Ok(Shown::line(&answer, text))
}

async fn log(client: &Client, process: String) -> Result<Shown, Failure> {
    let answer = client.call(&q::MessageLog { process }).await?;
    let Some(messages) = &answer.messages else {
        let hint =
            format!("{} keeps no messages; start with `relctl sys log {} --keep`", answer.pid, answer.pid);
        return Ok(Shown::line(&answer, hint));
    };
    let line = |message: &reld_api::response::LoggedMessage| {
        let arrow = if message.way == "in" { "<-" } else { "->" };
        let other = message.other.as_deref().unwrap_or("-");
        format!("{:>8} ms ago  {arrow} {other:<10} {:<7} {}\n", message.ago_ms, message.what, message.message)
    };
    Ok(Shown::new(&answer, messages.iter().map(line).collect::<String>()))
}
