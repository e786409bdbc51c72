//! The texts that a session sends, and the parser for the lines that a client types.

use pq_stats::Stats;
use reld_sdk::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

pub(crate) const WELCOME: &str = "Welcome to Process Quest. What is your name?";
pub(crate) const BAD_NAME: &str = "A name has 1 to 16 letters and digits. What is your name?";
pub(crate) const TAKEN: &str = "That name is taken. What is your name?";
pub(crate) const AGAIN: &str = "Please answer y or n.";
pub(crate) const BEGIN: &str = "You go hunting. Type quit to leave.";
pub(crate) const UNKNOWN: &str = "Unknown command. Type quit to leave.";
pub(crate) const STARTED_ANEW: &str = "A strange force has undone you. You begin anew.";
pub(crate) const GONE: &str = "You are no more.";
pub(crate) const BYE: &str = "Farewell.";

const NAME_MAX: usize = 16;

/// Returns the typed line without its end.
pub(crate) fn typed(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim().to_owned()
}

pub(crate) fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns the question whether the client accepts these stats.
pub(crate) fn offer(stats: &Stats) -> String {
    format!("Your stats: {stats}. Is that fine? (y/n)")
}

/// The events of a player, as `processquest` sends them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    ToMarket,
    ToFields {
        money: u64,
        experience: u64,
    },
    Killed {
        enemy: String,
        experience: u64,
        fight: u64,
    },
    Fled {
        enemy: String,
        fight: u64,
    },
    Found {
        item: String,
    },
    Sold {
        item: String,
        price: u64,
    },
    Bought {
        item: String,
        price: u64,
    },
    Leveled {
        level: u64,
    },
    /// No version of `processquest` sends this event yet. This version already reads it, so you can
    /// install a `processquest` with quests before the next version of this app.
    Quest {
        done: String,
        experience: u64,
        next: Option<String>,
    },
}

/// Returns the line that the client sees for this event.
pub(crate) fn told(event: &Event) -> String {
    match event {
        Event::ToMarket => "You carry your loot to the market.".to_owned(),
        Event::ToFields { money, experience } => {
            format!("You go hunting with {money} money and {experience} experience.")
        }
        Event::Killed { enemy, experience, fight } => {
            format!("You killed {} and gained {experience} experience in fight {fight}.", a(enemy))
        }
        Event::Fled { enemy, fight } => format!("You fled from {} in fight {fight}.", a(enemy)),
        Event::Found { item } => format!("You found {}.", a(item)),
        Event::Sold { item, price } => format!("You sold {} for {price}.", a(item)),
        Event::Bought { item, price } => format!("You bought {} for {price}.", a(item)),
        Event::Leveled { level } => format!("You are level {level} now."),
        Event::Quest { done, experience, next } => {
            let next = next.as_ref().map(|next| format!(" Next quest: {next}.")).unwrap_or_default();
            format!("Quest done: {done}. You gained {experience} experience.{next}")
        }
    }
}

/// Adds the article.
fn a(thing: &str) -> String {
    let an = if thing.starts_with(['A', 'E', 'I', 'O', 'a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{an} {thing}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_as_nc_or_telnet_end_it() {
        assert_eq!(
            (typed(b"ada\n"), typed(b" ada \r\n"), typed(b"ada")),
            ("ada".into(), "ada".into(), "ada".into())
        );
    }

    #[test]
    fn a_name_has_letters_and_digits_and_no_more_than_16() {
        assert!(is_name("ada") && is_name("R2D2") && is_name("abcdefghijklmnop"));
        for bad in ["", "abcdefghijklmnopq", "ada/events", "a b", "\u{e4}da"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn an_event_is_one_line() {
        let killed = Event::Killed { enemy: "Ant".to_owned(), experience: 3, fight: 7 };
        assert_eq!(told(&killed), "You killed an Ant and gained 3 experience in fight 7.");
        let quest = |next| Event::Quest { done: "Sweep the yard".to_owned(), experience: 20, next };
        assert!(told(&quest(Some("Mow the lawn".to_owned()))).ends_with("Next quest: Mow the lawn."));
        assert!(told(&quest(None)).ends_with("20 experience."));
    }
}
