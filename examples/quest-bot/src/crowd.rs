//! Many bots at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::bot::{Bot, Record, Stage};
use crate::tally::Tally;

/// How many bots connect at the same time.
const AT_ONCE: usize = 64;

/// The time limit of each wait for all bots.
const PATIENCE: Duration = Duration::from_secs(180);

/// The interval between two checks of a bot.
const LOOK: Duration = Duration::from_millis(10);

/// The server of a game, and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The address of `sockserv`.
    pub address: String,
    /// The `pace_ms` in the environment of `processquest`.
    pub pace_ms: u64,
    /// Whether a switch restarts the node. Each bot then starts a new game if the switch ends its
    /// game.
    pub restarts: bool,
}

/// Bots that play, each in its own task.
#[derive(Debug)]
pub struct Crowd {
    stage: Arc<Stage>,
    bots: Vec<Bot>,
    playing: JoinSet<()>,
}

impl Crowd {
    /// Starts this number of bots. Call it inside a tokio runtime.
    pub fn enter(Door { address, pace_ms, restarts }: Door, bots: usize) -> Self {
        let stage = Arc::new(Stage {
            address,
            pace_ms,
            restarts,
            began: Instant::now(),
            switched_us: AtomicU64::new(0),
            over: watch::Sender::new(false),
            door: Semaphore::new(AT_ONCE),
        });
        let bot =
            |number| Bot { number, stage: stage.clone(), record: Arc::new(Mutex::new(Record::default())) };
        let bots: Vec<_> = (0..bots).map(bot).collect();
        let playing = bots.iter().map(|bot| bot.clone().play()).collect();
        Self { stage, bots, playing }
    }

    /// Marks the start of a switch to another release.
    pub fn switching(&self) {
        self.stage.switched_us.store(u64::MAX, Ordering::Relaxed);
    }

    /// Marks the end of a switch.
    pub fn switched(&self) {
        self.stage.switched_us.store(self.stage.now_us(), Ordering::Relaxed);
    }

    /// Waits until every bot has seen its player play.
    ///
    /// # Errors
    /// Fails if a bot has seen nothing after three minutes.
    pub async fn all_play(&self) -> Result<(), String> {
        self.all("has read no line", |record| record.tally.lines > 0).await
    }

    /// Waits until every bot has read a new line.
    ///
    /// # Errors
    /// Fails if a bot has read no new line after three minutes.
    pub async fn all_heard(&self) -> Result<(), String> {
        self.all_more("was shown no line any more", |tally| tally.lines).await
    }

    /// Waits until every bot has begun a new hunt. The balance at its start proves that no line was
    /// lost before.
    ///
    /// # Errors
    /// Fails if a bot has begun no new hunt after three minutes.
    pub async fn all_balanced(&self) -> Result<(), String> {
        self.all_more("has begun no hunt any more", |tally| tally.hunts).await
    }

    /// Waits until this bot has completed a quest, and returns its last lines, oldest first.
    ///
    /// # Errors
    /// Fails if the bot has completed no quest after three minutes.
    pub async fn first_quest(&self, bot: usize) -> Result<Vec<String>, String> {
        let is_done = |lines: &[String]| lines.iter().any(|line| line.starts_with("Quest done: "));
        let done = |at, record: &Record| at != bot || is_done(&record.recent);
        self.every("has done no quest", done).await?;
        Ok(self.recent(bot))
    }

    /// Returns the name of the player of this bot, if it has one yet.
    pub fn name(&self, bot: usize) -> Option<String> {
        self.bots[bot].record().name.clone()
    }

    /// Returns the last lines that a bot has read, oldest first.
    pub fn recent(&self, bot: usize) -> Vec<String> {
        self.bots[bot].record().recent.clone()
    }

    /// Returns the sum of the tallies of all bots.
    pub fn tally(&self) -> Tally {
        self.bots.iter().map(|bot| bot.record().tally.clone()).fold(Tally::default(), Tally::plus)
    }

    /// Stops all bots with `quit`, and returns the sum of their tallies.
    pub async fn leave(mut self) -> Tally {
        self.stage.over.send_replace(true);
        while let Some(played) = self.playing.join_next().await {
            if let Err(error) = played {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        self.tally()
    }

    async fn all_more(&self, otherwise: &str, count: impl Fn(&Tally) -> u64) -> Result<(), String> {
        let before: Vec<_> = self.bots.iter().map(|bot| count(&bot.record().tally)).collect();
        self.every(otherwise, |at, record| count(&record.tally) > before[at]).await
    }

    async fn all(&self, otherwise: &str, holds: impl Fn(&Record) -> bool) -> Result<(), String> {
        self.every(otherwise, |_, record| holds(record)).await
    }

    /// Waits until the condition holds for every bot that still plays.
    async fn every(&self, otherwise: &str, holds: impl Fn(usize, &Record) -> bool) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        for (at, bot) in self.bots.iter().enumerate() {
            let is_done = || {
                let record = bot.record();
                record.is_over || holds(at, &record)
            };
            while !is_done() {
                if Instant::now() >= until {
                    return Err(format!(
                        "session {at} {otherwise}; its last lines: {:#?}",
                        bot.record().recent
                    ));
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }
}
