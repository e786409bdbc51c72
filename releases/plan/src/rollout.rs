//! `rollout.toml`: the policy of a rollout over several nodes.

use std::time::Duration;

use toml::de::DeValue;

use crate::doc_error::DocError;
use crate::keys;
use crate::read::{self, Fault, Fields, Node};

/// The policy of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// The tarball: a file, or a URL from which each node fetches it.
    pub release: String,
    /// The nodes that are upgraded before all others.
    pub canary: Share,
    /// The nodes that are upgraded at the end of each wave.
    pub waves: Vec<Share>,
    /// The greatest number of nodes that may be unavailable.
    pub max_unavailable: usize,
    /// The time for which each node watches the release.
    pub settle: Duration,
    /// The program that accepts the release on each node.
    pub probe: Option<String>,
    /// The time between two waves.
    pub pause_between: Duration,
    /// The number of nodes that may fail.
    pub max_failures: usize,
    /// The reaction to more failures.
    pub on_failure: OnFailure,
    /// The longest time in which no upgrade begins or ends.
    pub deadline: Duration,
}

/// A part of the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// A number of nodes.
    Nodes(usize),
    /// A percentage of all nodes.
    Percent(usize),
}

/// The reaction to too many failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The upgraded nodes keep the release.
    #[default]
    Halt,
    /// The upgraded nodes go back.
    TakeBack,
}

impl OnFailure {
    const WORDS: [(&'static str, Self); 2] = [("halt", Self::Halt), ("take_back", Self::TakeBack)];
}

impl Share {
    /// The share of all nodes.
    pub const ALL: Self = Self::Percent(100);

    /// Returns the number of nodes, at most `all`. A percentage is rounded up.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Nodes(number) => number.min(all),
            Self::Percent(percent) => (all * percent).div_ceil(100).min(all),
        }
    }

    fn read(node: Node<'_>) -> Result<Self, Fault> {
        let DeValue::String(text) = node.get_ref() else { return number(node).map(Self::Nodes) };
        let percent = text.strip_suffix('%').and_then(|digits| digits.parse().ok());
        let percent = percent.filter(|percent| *percent <= 100);
        percent.map(Self::Percent).ok_or_else(|| Fault::at(&node, "expected a share from \"0%\" to \"100%\""))
    }
}

impl Rollout {
    /// The deadline, if the document names none.
    const DEADLINE: Duration = Duration::from_secs(30 * 60);

    /// Parses a `rollout.toml`. `path` is only shown in errors.
    ///
    /// # Errors
    /// Unknown keys, wrong types, missing keys, and values that contradict each other, each with
    /// its place.
    pub fn parse(path: &str, text: &str) -> Result<Self, DocError> {
        Self::read(text).map_err(|fault| DocError::new(path, text, &fault))
    }

    fn read(text: &str) -> Result<Self, Fault> {
        let mut fields = Fields::document(text, &keys::ROLLOUT)?;
        let release = fields.required("release", read::string)?;
        let canary = fields.optional("canary", Share::read)?.unwrap_or(Share::Nodes(1));
        let waves = fields.optional("waves", waves)?.unwrap_or_else(|| vec![Share::ALL]);
        let max_unavailable = fields.optional("max_unavailable", at_least_one)?.unwrap_or(1);
        let settle = fields.or_default("settle", seconds)?;
        let probe = fields.optional("probe", read::string)?;
        let pause_between = fields.or_default("pause_between", duration)?;
        let max_failures = fields.or_default("max_failures", |node| failures(node, max_unavailable))?;
        let on_failure = fields.or_default("on_failure", read::word(&OnFailure::WORDS))?;
        let longest = settle.max(pause_between);
        let deadline = match fields.take("deadline") {
            Some(node) => deadline(node, longest)?,
            None => Self::DEADLINE.max(longest.saturating_mul(2)),
        };
        Ok(Self {
            release,
            canary,
            waves,
            max_unavailable,
            settle,
            probe,
            pause_between,
            max_failures,
            on_failure,
            deadline,
        })
    }
}

fn waves(node: Node<'_>) -> Result<Vec<Share>, Fault> {
    let whole = Fault::at(&node, "the last wave must be \"100%\", so that no node is left out");
    let waves = read::list(Share::read)(node)?;
    if waves.last() == Some(&Share::ALL) { Ok(waves) } else { Err(whole) }
}

fn number(node: Node<'_>) -> Result<usize, Fault> {
    let DeValue::Integer(integer) = node.get_ref() else {
        return Err(Fault::at(&node, "expected a number, or a share such as \"5%\" where the key allows it"));
    };
    usize::from_str_radix(integer.as_str(), integer.radix())
        .map_err(|_| Fault::at(&node, "expected a number that is not below 0"))
}

fn at_least_one(node: Node<'_>) -> Result<usize, Fault> {
    let zero = Fault::at(&node, "with 0 no upgrade could begin");
    number(node).and_then(|number| if number == 0 { Err(zero) } else { Ok(number) })
}

fn failures(node: Node<'_>, max_unavailable: usize) -> Result<usize, Fault> {
    let beyond =
        Fault::at(&node, "must be less than `max_unavailable`, because a failed node is unavailable");
    number(node).and_then(|number| if number < max_unavailable { Ok(number) } else { Err(beyond) })
}

pub(crate) fn duration(node: Node<'_>) -> Result<Duration, Fault> {
    const MAX: Duration = Duration::from_secs(365 * 86_400);
    let text = read::string(node.clone())?;
    let duration = humantime::parse_duration(&text)
        .map_err(|_| Fault::at(&node, "expected a duration, such as \"30s\", \"5m\" or \"1h 30m\""))?;
    if duration <= MAX { Ok(duration) } else { Err(Fault::at(&node, "must be 365 days at most")) }
}

/// Reads a duration that a node can settle for.
fn seconds(node: Node<'_>) -> Result<Duration, Fault> {
    const DAY: Duration = Duration::from_secs(86_400);
    let wrong = Fault::at(&node, "expected whole seconds, one day at most");
    duration(node)
        .and_then(|time| if time.subsec_nanos() == 0 && time <= DAY { Ok(time) } else { Err(wrong) })
}

fn deadline(node: Node<'_>, longest: Duration) -> Result<Duration, Fault> {
    let short =
        Fault::at(&node, "must be longer than `settle` and `pause_between`, in which no upgrade ends");
    duration(node).and_then(|time| if time > longest { Ok(time) } else { Err(short) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_never_more_than_all_nodes() {
        let cases = [
            (Share::Nodes(0), 3, 0),
            (Share::Nodes(5), 3, 3),
            (Share::Percent(0), 3, 0),
            (Share::Percent(5), 3, 1),
            (Share::Percent(25), 8, 2),
            (Share::Percent(26), 8, 3),
            (Share::ALL, 8, 8),
            (Share::ALL, 0, 0),
        ];
        for (share, all, expected) in cases {
            assert_eq!(share.of(all), expected, "{share:?} of {all}");
        }
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let text = format!("release = 'a.tar.gz'\n{text}\n");
        let error = Rollout::parse("rollout.toml", &text).unwrap_err();
        assert!(error.message.contains(expected) && error.line > 1, "{error}");
    }

    #[test]
    fn a_policy_that_could_never_go_on_is_refused_with_its_place() {
        check_refused("max_unavailable = 0", "no upgrade could begin");
        check_refused("max_failures = 1", "less than `max_unavailable`");
        check_refused("max_unavailable = 2\nmax_failures = 2", "less than `max_unavailable`");
        check_refused("waves = ['50%']", "the last wave must be \"100%\"");
        check_refused("waves = []", "the last wave must be \"100%\"");
        check_refused("settle = '2m'\ndeadline = '1m'", "longer than `settle`");
        check_refused("pause_between = '1m'\ndeadline = '1m'", "longer than `settle` and `pause_between`");
        check_refused("settle = '1500ms'", "whole seconds");
        check_refused("pause_between = '500000000000years'", "365 days at most");
        check_refused("deadline = '366days'", "365 days at most");
        check_refused("settle = 60", "expected a string");
        check_refused("settle = 'soon'", "expected a duration");
        check_refused("canary = '101%'", "from \"0%\" to \"100%\"");
        check_refused("canary = 'one'", "from \"0%\" to \"100%\"");
        check_refused("canary = -1", "not below 0");
        check_refused("canary = 1.5", "expected a number");
    }

    #[test]
    fn a_long_pause_raises_a_deadline_that_is_not_written() {
        let text = "release = 'a.tar.gz'\npause_between = '1h'";
        let rollout = Rollout::parse("rollout.toml", text).unwrap();
        assert_eq!(rollout.deadline, Duration::from_secs(7200));
    }
}
