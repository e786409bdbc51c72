//! Many bots at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::bot::{Bot, Record, Stage};
use crate::tally::Tally;

/// How many bots come in at the same time.
const AT_ONCE: usize = 64;

/// How long all bots together may take for something.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often they are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// Where a game is played, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Where `sockserv` listens.
    pub address: String,
    /// The environment's `pace_ms` of `processquest`.
    pub pace_ms: u64,
    /// Whether a switch restarts the node: then bots whose game it ends begin another one.
    pub restarts: bool,
}

/// Bots that play, each in a task of its own.
#[derive(Debug)]
pub struct Crowd {
    stage: Arc<Stage>,
    bots: Vec<Bot>,
    playing: JoinSet<()>,
}

impl Crowd {
    /// Lets so many bots in. Must be called in a tokio runtime.
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
    /// When one of them does not within three minutes. The same holds for the others that wait.
    pub async fn all_play(&self) -> Result<(), String> {
        self.all("has read no line", |record| record.tally.lines > 0).await
    }

    /// Waits until every bot has read a line that comes from now on.
    ///
    /// # Errors
    /// See [`all_play`](Self::all_play).
    pub async fn all_heard(&self) -> Result<(), String> {
        self.all_more("was shown no line any more", |tally| tally.lines).await
    }

    /// Waits until every bot has begun a hunt, whose balance says that no line was lost before it.
    ///
    /// # Errors
    /// See [`all_play`](Self::all_play).
    pub async fn all_balanced(&self) -> Result<(), String> {
        self.all_more("has begun no hunt any more", |tally| tally.hunts).await
    }

    /// Waits until a bot is shown that a quest is done, and returns its last lines, oldest first.
    ///
    /// # Errors
    /// When none is done within three minutes.
    pub async fn first_quest(&self, bot: usize) -> Result<Vec<String>, String> {
        let is_done = |lines: &[String]| lines.iter().any(|line| line.starts_with("Quest done: "));
        let done = |at, record: &Record| at != bot || is_done(&record.recent);
        self.every("has done no quest", done).await?;
        Ok(self.recent(bot))
    }

    /// Returns the name of a bot's player, when it has one.
    pub fn name(&self, bot: usize) -> Option<String> {
        self.bots[bot].record().name.clone()
    }

    /// Returns the last lines that a bot has read, oldest first.
    pub fn recent(&self, bot: usize) -> Vec<String> {
        self.bots[bot].record().recent.clone()
    }

    /// Returns what all have seen so far.
    pub fn tally(&self) -> Tally {
        self.bots.iter().map(|bot| bot.record().tally.clone()).fold(Tally::default(), Tally::plus)
    }

    /// Has all bots say goodbye, and returns what they have seen.
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

    /// Waits until something holds for every bot that plays.
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
