//! The sweeper removes links when their time is over. New in 1.1.0.
//!
//! It also converts the table: a link of 1.0.0 has no time, and gets one here. That happens page by
//! page while clients are served, not in the pause of the upgrade, which would grow with the table.

use std::time::Duration;

use reld_sdk::schemars::{self, JsonSchema};
use reld_sdk::{Exit, GenServer, Info, Next, NotStarted, Schema, env, self_pid, send_after};
use serde::{Deserialize, Serialize};

use crate::links::Links;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Sweeper {
    links: Links,
    keep_s: u64,
    sweep_ms: u64,
    /// The last name of the page before.
    after: Option<String>,
}

/// The message of the sweeper to itself: go through the next page.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Sweep;

impl GenServer for Sweeper {
    type Args = ();
    type Call = ();
    type Reply = ();
    type Cast = ();
    type Message = Sweep;

    async fn init((): ()) -> Result<Self, NotStarted> {
        let keep_s = env("keep_s")?.unwrap_or(86_400);
        let sweep_ms = env("sweep_ms")?.unwrap_or(1_000);
        let sweeper = Self { links: Links::find()?, keep_s, sweep_ms, after: None };
        sweeper.start_timer()?;
        Ok(sweeper)
    }

    async fn handle_info(&mut self, info: Info<Sweep>) -> Next {
        let Info::Message(Sweep) = info else { return Next::Continue };
        self.sweep().map_or_else(Next::Stop, |()| Next::Continue)
    }

    fn schema() -> Schema {
        Schema::of_server::<Self>()
    }
}

impl Sweeper {
    fn sweep(&mut self) -> Result<(), Exit> {
        self.after = self.links.sweep(self.after.as_ref(), self.keep_s)?;
        self.start_timer()
    }

    /// The next page follows at once, and the first one after a pause.
    fn start_timer(&self) -> Result<(), Exit> {
        let pause_ms = if self.after.is_some() { 0 } else { self.sweep_ms };
        if let Some(me) = self_pid() {
            send_after(me, Duration::from_millis(pause_ms), &Sweep)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use reld_sdk::Value;
    use reld_sdk::harness::Node;

    use super::*;
    use crate::links::{HITS, LINKS, Link};

    #[test]
    fn links_without_a_time_get_one_and_links_whose_time_is_over_go_with_their_hits() {
        let url = || "https://docs.rs".to_owned();
        let link = |n: usize| match n % 3 {
            0 => Link { url: url(), until_s: None },
            1 => Link { url: url(), until_s: Some(1) },
            _ => Link { url: url(), until_s: Some(u64::MAX) },
        };
        let links: Vec<_> = (0..1_200).map(|n| (format!("{n:04}"), link(n))).collect();
        let hits: Vec<_> = links.iter().map(|(name, _)| (name, 5)).collect();
        let node = Node::new().env("sweep_ms", Value::write(&1_000).expect("a number"));
        let node = node.table(LINKS, &links).and_then(|node| node.table(HITS, &hits)).expect("free names");
        let mut sweeper = node.start::<Sweeper>(&()).expect("starts");
        sweeper.advance(Duration::from_millis(1_500)).expect("lives");

        let links: Vec<(String, Link)> = sweeper.rows(LINKS).expect("they are links");
        assert!(links.len() == 800 && links.iter().all(|(_, link)| link.until_s > Some(1)));
        let hits: Vec<(String, i64)> = sweeper.rows(HITS).expect("they are hits");
        assert_eq!(
            hits.iter().map(|hit| &hit.0).collect::<Vec<_>>(),
            links.iter().map(|link| &link.0).collect::<Vec<_>>()
        );
    }
}
