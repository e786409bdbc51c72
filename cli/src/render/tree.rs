//! Draws supervision trees.

use std::collections::BTreeMap;

use reld_api::response::{Behaviour, CodeAge, Forest, ProcessStatus, TreeNode};

use super::line;
use super::mermaid::escaped;
use crate::args::Direction;

/// Draws a forest as lines.
///
/// ```text
/// counter_sup <6.1>  supervisor counter_sup 0.1.1, root of counter
/// ├─ 10000 = <7.1>  worker counter 0.1.1
/// └─ 20000 = -  worker counter, not started
/// outside every tree
/// └─ <9.1>  task loopy 0.1.0, unmanaged, old code
/// ```
pub(crate) fn text(forest: &Forest) -> String {
    let mut text = String::new();
    for root in &forest.roots {
        line(&mut text, format_args!("{}", describe(root)));
        branches(&mut text, "", &root.children);
    }
    if !forest.outside.is_empty() {
        text += "outside every tree\n";
        branches(&mut text, "", &forest.outside);
    }
    text
}

fn branches(text: &mut String, indent: &str, nodes: &[TreeNode]) {
    let last = nodes.len().saturating_sub(1);
    for (at, node) in nodes.iter().enumerate() {
        let (branch, below) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        line(text, format_args!("{indent}{branch}{}", describe(node)));
        branches(text, &format!("{indent}{below}"), &node.children);
    }
}

fn describe(node: &TreeNode) -> String {
    let id = if node.id.is_null() { String::new() } else { format!("{} = ", node.id) };
    let name = node.name.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
    let pid = node.pid.as_deref().unwrap_or("-");
    let notes: String = notes(node).iter().map(|note| format!(", {note}")).collect();
    format!("{id}{name}{pid}  {} {}{notes}", kind(node.behaviour), code(node))
}

fn kind(behaviour: Behaviour) -> &'static str {
    match behaviour {
        Behaviour::GenServer => "worker",
        Behaviour::GenStatem => "gen_statem",
        Behaviour::GenEvent => "gen_event",
        Behaviour::EventHandler => "event_handler",
        Behaviour::Supervisor => "supervisor",
        Behaviour::Application => "application",
        Behaviour::Task => "task",
    }
}

fn code(node: &TreeNode) -> String {
    let version = node.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    format!("{}{version}", node.module)
}

/// Returns the notes about unusual nodes.
fn notes(node: &TreeNode) -> Vec<String> {
    let mut notes = Vec::new();
    if node.root {
        notes.push(format!("root of {}", node.app));
    }
    if node.behaviour == Behaviour::Task {
        notes.push("unmanaged".to_owned());
    }
    if node.code == Some(CodeAge::Old) {
        notes.push("old code".to_owned());
    }
    if node.status != ProcessStatus::Running {
        notes.push(node.status.to_string());
    }
    if !node.links.is_empty() {
        notes.push(format!("linked to {}", node.links.join(" ")));
    }
    notes
}

/// Draws a forest as a mermaid flowchart: supervision solid, plain links dashed.
pub(crate) fn mermaid(forest: &Forest, direction: Direction) -> String {
    let mut drawing = Mermaid::default();
    for node in forest.roots.iter().chain(&forest.outside) {
        drawing.node(node);
    }
    drawing.links();
    let direction = match direction {
        Direction::TopDown => "TD",
        Direction::LeftRight => "LR",
    };
    format!("flowchart {direction}\n{}", drawing.text)
}

/// A drawing under construction. Nodes are numbered in order of appearance.
#[derive(Debug, Default)]
struct Mermaid<'a> {
    text: String,
    count: usize,
    numbers: BTreeMap<&'a str, usize>,
    links: Vec<(usize, &'a str)>,
}

impl<'a> Mermaid<'a> {
    fn node(&mut self, node: &'a TreeNode) -> usize {
        let number = self.count;
        self.count += 1;
        let (open, close) = shape(node);
        line(&mut self.text, format_args!("    n{number}{open}\"{}\"{close}", label(node)));
        if let Some(pid) = &node.pid {
            self.numbers.insert(pid, number);
        }
        self.links.extend(node.links.iter().map(|pid| (number, pid.as_str())));
        for child in &node.children {
            let below = self.node(child);
            line(&mut self.text, format_args!("    n{number} --> n{below}"));
        }
        number
    }

    /// Draws each link once, although both ends list it. Links to processes outside the drawing are
    /// left out.
    fn links(&mut self) {
        for (from, pid) in std::mem::take(&mut self.links) {
            let Some(&to) = self.numbers.get(pid) else { continue };
            if from < to {
                line(&mut self.text, format_args!("    n{from} -.- n{to}"));
            }
        }
    }
}

fn shape(node: &TreeNode) -> (&'static str, &'static str) {
    match (node.root, node.behaviour) {
        (true, _) => ("{{", "}}"),
        (false, Behaviour::Supervisor) => ("[[", "]]"),
        (false, _) => ("(", ")"),
    }
}

fn label(node: &TreeNode) -> String {
    let id = (!node.id.is_null()).then(|| node.id.to_string());
    let name = node.name.clone().or_else(|| node.pid.clone());
    let notes = notes(node).into_iter().filter(|note| !note.starts_with("linked to"));
    let lines = id.into_iter().chain(name).chain([code(node)]).chain(notes);
    lines.map(|line| escaped(&line)).collect::<Vec<_>>().join("<br/>")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::*;

    fn node(id: Value, pid: Option<&str>, behaviour: Behaviour, module: &str) -> TreeNode {
        TreeNode {
            id,
            pid: pid.map(str::to_owned),
            name: None,
            behaviour,
            root: false,
            app: "counter".to_owned(),
            module: module.to_owned(),
            version: pid.map(|_| "0.1.1".to_owned()),
            code: pid.map(|_| CodeAge::Current),
            status: if pid.is_some() { ProcessStatus::Running } else { ProcessStatus::NotStarted },
            children: Vec::new(),
            links: Vec::new(),
        }
    }

    fn worker(id: Value, pid: Option<&str>) -> TreeNode {
        node(id, pid, Behaviour::GenServer, "counter")
    }

    /// A root with one of everything below it.
    fn forest() -> Forest {
        let linked = TreeNode { links: vec!["<9.1>".to_owned()], ..worker(json!(10000), Some("<7.1>")) };
        let asleep = TreeNode { status: ProcessStatus::Suspended, ..worker(json!("b \"c\""), Some("<8.1>")) };
        let inner = TreeNode {
            children: vec![asleep, worker(json!(30000), None)],
            ..node(json!("inner"), Some("<6.2>"), Behaviour::Supervisor, "inner_sup")
        };
        let root = TreeNode {
            name: Some("counter_sup".to_owned()),
            root: true,
            children: vec![linked, inner],
            ..node(Value::Null, Some("<6.1>"), Behaviour::Supervisor, "counter_sup")
        };
        let task = TreeNode {
            code: Some(CodeAge::Old),
            links: vec!["<7.1>".to_owned(), "<1.1>".to_owned()],
            ..node(Value::Null, Some("<9.1>"), Behaviour::Task, "loopy")
        };
        Forest { roots: vec![root], outside: vec![task] }
    }

    #[test]
    fn the_text_distinguishes_every_kind_and_state() {
        assert_snapshot!(text(&forest()), @r#"
        counter_sup <6.1>  supervisor counter_sup 0.1.1, root of counter
        ├─ 10000 = <7.1>  worker counter 0.1.1, linked to <9.1>
        └─ "inner" = <6.2>  supervisor inner_sup 0.1.1
           ├─ "b \"c\"" = <8.1>  worker counter 0.1.1, suspended
           └─ 30000 = -  worker counter, not started
        outside every tree
        └─ <9.1>  task loopy 0.1.1, unmanaged, old code, linked to <7.1> <1.1>
        "#);
    }

    #[test]
    fn mermaid_draws_supervision_solid_and_each_link_once_and_dashed() {
        assert_snapshot!(mermaid(&forest(), Direction::TopDown), @r##"
        flowchart TD
            n0{{"counter_sup<br/>counter_sup 0.1.1<br/>root of counter"}}
            n1("10000<br/>#lt;7.1#gt;<br/>counter 0.1.1")
            n0 --> n1
            n2[["#quot;inner#quot;<br/>#lt;6.2#gt;<br/>inner_sup 0.1.1"]]
            n3("#quot;b \#quot;c\#quot;#quot;<br/>#lt;8.1#gt;<br/>counter 0.1.1<br/>suspended")
            n2 --> n3
            n4("30000<br/>counter<br/>not started")
            n2 --> n4
            n0 --> n2
            n5("#lt;9.1#gt;<br/>loopy 0.1.1<br/>unmanaged<br/>old code")
            n1 -.- n5
        "##);
    }

    #[test]
    fn mermaid_grows_to_the_right_when_asked() {
        let empty = Forest { roots: Vec::new(), outside: Vec::new() };
        assert_eq!(mermaid(&empty, Direction::LeftRight), "flowchart LR\n");
    }
}
