//! The parser for the lines of a game.

/// A line that the server sends during the game.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Killed {
        enemy: &'a str,
        experience: u64,
        fight: u64,
    },
    Fled {
        fight: u64,
    },
    Found {
        item: &'a str,
    },
    Leveled {
        level: u64,
    },
    Quest {
        title: &'a str,
        experience: u64,
    },
    ToMarket,
    Sold {
        item: &'a str,
        price: u64,
    },
    Bought {
        item: &'a str,
        price: u64,
    },
    ToFields {
        money: u64,
        experience: u64,
    },
    /// The player was killed, and another life begins.
    Undone,
}

/// Parses a line. Returns `None` if the game has no such line.
pub(crate) fn read(text: &str) -> Option<Line<'_>> {
    if text == "A strange force has undone you. You begin anew." {
        return Some(Line::Undone);
    }
    if let Some(quest) = text.strip_prefix("Quest done: ") {
        let (title, gain) = quest.split_once(". You gained ")?;
        let (experience, _) = gain.split_once(" experience.")?;
        return Some(Line::Quest { title, experience: experience.parse().ok()? });
    }
    let words = text.strip_prefix("You ")?.strip_suffix('.')?;
    let (verb, rest) = words.split_once(' ')?;
    match verb {
        "killed" => killed(rest),
        "fled" => {
            let (_, fight) = rest.strip_prefix("from ")?.split_once(" in fight ")?;
            Some(Line::Fled { fight: fight.parse().ok()? })
        }
        "found" => Some(Line::Found { item: thing(rest)? }),
        "are" => {
            Some(Line::Leveled { level: rest.strip_prefix("level ")?.strip_suffix(" now")?.parse().ok()? })
        }
        "carry" => (rest == "your loot to the market").then_some(Line::ToMarket),
        "sold" => priced(rest).map(|(item, price)| Line::Sold { item, price }),
        "bought" => priced(rest).map(|(item, price)| Line::Bought { item, price }),
        "go" => {
            let (money, experience) = rest.strip_prefix("hunting with ")?.split_once(" money and ")?;
            let experience = experience.strip_suffix(" experience")?.parse().ok()?;
            Some(Line::ToFields { money: money.parse().ok()?, experience })
        }
        _ => None,
    }
}

fn killed(words: &str) -> Option<Line<'_>> {
    let (enemy, gain) = words.split_once(" and gained ")?;
    let (experience, fight) = gain.split_once(" experience in fight ")?;
    Some(Line::Killed {
        enemy: thing(enemy)?,
        experience: experience.parse().ok()?,
        fight: fight.parse().ok()?,
    })
}

fn priced(words: &str) -> Option<(&str, u64)> {
    let (item, price) = words.rsplit_once(" for ")?;
    Some((thing(item)?, price.parse().ok()?))
}

/// Removes the article.
fn thing(words: &str) -> Option<&str> {
    words.strip_prefix("a ").or_else(|| words.strip_prefix("an "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, line: Line<'_>) {
        assert_eq!(read(text), Some(line), "{text}");
    }

    #[test]
    fn each_line_of_the_game_is_read() {
        check(
            "You killed an Ant and gained 3 experience in fight 7.",
            Line::Killed { enemy: "Ant", experience: 3, fight: 7 },
        );
        check("You fled from a Wild Pig in fight 12.", Line::Fled { fight: 12 });
        check("You found a Cat Pelt.", Line::Found { item: "Cat Pelt" });
        check("You are level 2 now.", Line::Leveled { level: 2 });
        check("You carry your loot to the market.", Line::ToMarket);
        check("You sold an Old Bone for 6.", Line::Sold { item: "Old Bone", price: 6 });
        check("You bought a chain mail for 90.", Line::Bought { item: "chain mail", price: 90 });
        check("You go hunting with 3 money and 47 experience.", Line::ToFields { money: 3, experience: 47 });
        check("A strange force has undone you. You begin anew.", Line::Undone);
        let quest = Line::Quest { title: "Make the road safe", experience: 80 };
        check("Quest done: Make the road safe. You gained 80 experience.", quest);
        check("Quest done: Make the road safe. You gained 80 experience. Next quest: Make it.", quest);
    }

    #[test]
    fn a_cut_or_joined_line_is_refused() {
        for text in
            ["", "You ", "You killed an Ant and gained 3", "You found", "You found a Crumb.You found a Crumb"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
