//! `relctl child start|terminate|restart|delete|spec|list`.

use reld_api::response::{ChildStarted, TreeNode};
use reld_api::{Client, request as q};
use serde_json::Value;

use crate::args::{Child, ChildId};
use crate::error::Failure;
use crate::render;
use crate::shown::Shown;

pub(super) async fn run(client: &Client, args: Child) -> Result<Shown, Failure> {
    match args {
        Child::Start { supervisor, spec, args } => start(client, supervisor, spec, args).await,
        Child::Terminate(child) => terminate(client, child).await,
        Child::Restart(child) => restart(client, child).await,
        Child::Delete(child) => delete(client, child).await,
        Child::Spec(child) => spec(client, child).await,
        Child::List { supervisor } => list(client, supervisor).await,
    }
}

async fn start(
    client: &Client,
    supervisor: String,
    spec: Option<Value>,
    args: Option<Value>,
) -> Result<Shown, Failure> {
    let child = match spec {
        Some(spec) => q::NewChild::Spec(child_spec(spec)?),
        None => q::NewChild::Args(args.unwrap_or_default()),
    };
    Ok(started(&client.call(&q::ChildStart { supervisor, child }).await?))
}

fn child_spec(spec: Value) -> Result<q::ChildSpec, Failure> {
    let example = r#"for example {"id": 30000, "module": "counter", "args": 30000}"#;
    serde_json::from_value(spec)
        .map_err(|fault| Failure::usage(format!("not a child spec: {fault}")).or_hint(example))
}

async fn terminate(client: &Client, ChildId { supervisor, id }: ChildId) -> Result<Shown, Failure> {
    let request = q::ChildTerminate { supervisor, id };
    match client.call(&request).await {
        Ok(answer) => Ok(Shown::line(&answer, format_args!("terminated {}", answer.id))),
        Err(error) => Err(explain(client, &request.id, error.into()).await),
    }
}

async fn restart(client: &Client, ChildId { supervisor, id }: ChildId) -> Result<Shown, Failure> {
    let request = q::ChildRestart { supervisor, id };
    match client.call(&request).await {
        Ok(answer) => Ok(started(&answer)),
        Err(error) => Err(explain(client, &request.id, error.into()).await),
    }
}

async fn delete(client: &Client, ChildId { supervisor, id }: ChildId) -> Result<Shown, Failure> {
    let request = q::ChildDelete { supervisor, id };
    match client.call(&request).await {
        Ok(answer) => Ok(Shown::line(&answer, format_args!("deleted {}", answer.id))),
        Err(error) => Err(explain(client, &request.id, error.into()).await),
    }
}

async fn list(client: &Client, supervisor: String) -> Result<Shown, Failure> {
    let answer = client.call(&q::Children { supervisor }).await?;
    Ok(Shown::new(&answer, render::children(&answer)))
}

async fn spec(client: &Client, ChildId { supervisor, id }: ChildId) -> Result<Shown, Failure> {
    let request = q::ChildSpecOf { supervisor, id };
    match client.call(&request).await {
        Ok(answer) => {
            let text = serde_json::to_string_pretty(&answer.spec).expect("answers came from JSON") + "\n";
            Ok(Shown::new(&answer, text))
        }
        Err(error) => Err(explain(client, &request.id, error.into()).await),
    }
}

fn started(answer: &ChildStarted) -> Shown {
    let line = match (&answer.id, &answer.pid) {
        (Value::Null, Some(pid)) => format!("started as {pid}"),
        (id, Some(pid)) => format!("started {id} as {pid}"),
        (id, None) => format!("{id} was not started: its init returned ignore"),
    };
    Shown::line(answer, line)
}

/// Adds the child's id as a hint if the user gave a pid in its place.
async fn explain(client: &Client, id: &Value, failure: Failure) -> Failure {
    let pid = id.as_str().filter(|text| text.starts_with('<'));
    let Some(pid) = pid.filter(|_| failure.report().kind == "not_found") else {
        return failure;
    };
    let forest = client.call(&q::Tree { app: None, supervisor: None }).await;
    let known = forest.ok().and_then(|forest| find(&forest.roots, pid).map(|node| node.id.clone()));
    failure.or_hint(match known {
        Some(id) => format!("{pid} is a pid; the child's id is {id}"),
        None => format!("{pid} looks like a pid; `relctl tree` shows the ids of the children"),
    })
}

fn find<'a>(nodes: &'a [TreeNode], pid: &str) -> Option<&'a TreeNode> {
    let is_it = |node: &TreeNode| node.pid.as_deref() == Some(pid);
    nodes.iter().find_map(|node| if is_it(node) { Some(node) } else { find(&node.children, pid) })
}
