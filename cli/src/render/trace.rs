//! Drawings of traced messages.

use std::collections::BTreeMap;

use reld_api::response::{Party, Told};

use super::mermaid::escaped;
use super::{duration, line};

/// The maximum length of a message in a drawing, in characters.
const WIDTH: usize = 60;

/// The participant for all senders and receivers that are not processes.
const OUTSIDE: &str = "outside";

/// Draws a sequence diagram for mermaid.
///
/// ```text
/// sequenceDiagram
///     participant outside
///     participant p1 as counter <7.1>
///     outside->>p1: call get
///     p1-->>outside: reply 7
/// ```
pub(crate) fn mermaid(told: &[Told], labels: &[(String, String)]) -> String {
    let cast = Cast::of(told, labels);
    let mut text = "sequenceDiagram\n".to_owned();
    for id in &cast.order {
        let label = cast.label(id);
        match cast.number(id) {
            Some(number) => line(&mut text, format_args!("    participant p{number} as {}", escaped(&label))),
            None => line(&mut text, format_args!("    participant {OUTSIDE}")),
        }
    }
    for event in told {
        let (from, to) = (cast.participant(event.from.as_ref()), cast.participant(event.to.as_ref()));
        if event.lost > 0 {
            line(&mut text, format_args!("    Note over {from},{to}: {} more are not shown", event.lost));
        }
        line(&mut text, format_args!("    {from}{}{to}: {}", arrow(&event.what), escaped(&words(event))));
    }
    text
}

/// Draws one line per message.
pub(crate) fn text(told: &[Told], labels: &[(String, String)]) -> String {
    let cast = Cast::of(told, labels);
    let name = |party: Option<&Party>| cast.label(id(party));
    let width = told.iter().flat_map(|event| [name(event.from.as_ref()), name(event.to.as_ref())]);
    let width = width.map(|name| name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for event in told {
        if event.lost > 0 {
            line(&mut text, format_args!("({} more are not shown: they came too fast)", event.lost));
        }
        let (from, to) = (name(event.from.as_ref()), name(event.to.as_ref()));
        let after = duration::us(event.after_us);
        line(&mut text, format_args!("{after:>9}  {from:<width$} -> {to:<width$}  {}", words(event)));
    }
    text
}

struct Cast<'a> {
    /// The participants, in the order of their first message.
    order: Vec<&'a str>,
    /// Names by pid. A name seen in any message is used in the whole drawing.
    names: BTreeMap<&'a str, &'a str>,
}

impl<'a> Cast<'a> {
    fn of(told: &'a [Told], labels: &'a [(String, String)]) -> Self {
        let mut cast = Self { order: Vec::new(), names: BTreeMap::new() };
        for party in told.iter().flat_map(|event| [event.from.as_ref(), event.to.as_ref()]) {
            if !cast.order.contains(&id(party)) {
                cast.order.push(id(party));
            }
            if let Some(Party { pid, name: Some(name) }) = party {
                cast.names.insert(pid, name);
            }
        }
        for (process, label) in labels {
            let pid = cast.names.iter().find(|(_, name)| **name == process).map(|(pid, _)| *pid);
            cast.names.insert(pid.unwrap_or(process), label);
        }
        cast
    }

    /// Returns the number of a process in this drawing.
    fn number(&self, id: &str) -> Option<usize> {
        self.order.iter().position(|other| *other == id).filter(|_| id != OUTSIDE)
    }

    fn participant(&self, party: Option<&Party>) -> String {
        self.number(id(party)).map_or_else(|| OUTSIDE.to_owned(), |number| format!("p{number}"))
    }

    fn label(&self, id: &str) -> String {
        match self.names.get(id) {
            Some(name) => format!("{name} {id}"),
            None => id.to_owned(),
        }
    }
}

fn id(party: Option<&Party>) -> &str {
    party.map_or(OUTSIDE, |party| &party.pid)
}

/// Returns the arrow of a message: solid if it expects an answer, dotted for an answer, with an
/// open head if it expects no answer, and with a cross for an exit.
fn arrow(what: &str) -> &'static str {
    match what {
        "reply" => "-->>",
        "cast" | "info" => "-)",
        "exit" => "-x",
        "down" => "--x",
        _ => "->>",
    }
}

fn words(event: &Told) -> String {
    let said = match &event.said {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => format!(" {text}"),
        said => format!(" {said}"),
    };
    let mut words: String = event.what.chars().chain(said.chars()).take(WIDTH).collect();
    if event.what.chars().count() + said.chars().count() > WIDTH {
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::*;

    fn party(pid: &str, name: Option<&str>) -> Party {
        Party { pid: pid.to_owned(), name: name.map(str::to_owned) }
    }

    fn told(from: Option<Party>, to: Option<Party>, what: &str, said: Value) -> Told {
        Told { after_us: 1_500, from, to, what: what.to_owned(), said, lost: 0 }
    }

    /// An operator calls a desk, which casts to its clerk; the clerk's name appears only in the
    /// last message.
    fn story() -> Vec<Told> {
        let desk = || Some(party("<7.1>", Some("desk")));
        vec![
            told(None, desk(), "call", json!({"tell": "a;b"})),
            told(desk(), Some(party("<8.1>", None)), "cast", json!("tick")),
            told(desk(), None, "reply", json!([1, 2])),
            Told {
                lost: 3,
                ..told(Some(party("<8.1>", Some("clerk"))), desk(), "down", json!("x".repeat(80)))
            },
        ]
    }

    #[test]
    fn a_sequence_diagram_has_each_process_once_and_marks_lost_messages() {
        assert_snapshot!(mermaid(&story(), &[("clerk".to_owned(), "the clerk".to_owned())]), @r#"
        sequenceDiagram
            participant outside
            participant p1 as desk #lt;7.1#gt;
            participant p2 as the clerk #lt;8.1#gt;
            outside->>p1: call {#quot;tell#quot;:#quot;a#59;b#quot;}
            p1-)p2: cast tick
            p1-->>outside: reply [1,2]
            Note over p2,p1: 3 more are not shown
            p2--xp1: down xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        "#);
    }

    #[test]
    fn text_columns_are_aligned() {
        assert_snapshot!(text(&story()[..3], &[]), @r#"
          1.50 ms  outside    -> desk <7.1>  call {"tell":"a;b"}
          1.50 ms  desk <7.1> -> <8.1>       cast tick
          1.50 ms  desk <7.1> -> outside     reply [1,2]
        "#);
    }
}
