//! One bot: a connection, and the game that is played over it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::player::{Entered, Player};
use crate::rules::Stats;
use crate::tally::Tally;

/// The time limit for a line, and for all attempts to connect.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two attempts to connect.
const RETRY: Duration = Duration::from_millis(20);

/// The data that all bots of a crowd share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) address: String,
    pub(crate) pace_ms: u64,
    /// Whether a switch ends all games, so that the bots start new ones.
    pub(crate) restarts: bool,
    pub(crate) began: Instant,
    /// The end of the last switch, in microseconds. Zero before the first switch, and `u64::MAX`
    /// during one.
    pub(crate) switched_us: AtomicU64,
    pub(crate) over: watch::Sender<bool>,
    /// Limits how many bots connect at the same time.
    pub(crate) door: Semaphore,
}

impl Stage {
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Returns whether a switch ended after this time, or is still running.
    fn switched_since(&self, since_us: u64) -> bool {
        self.switched_us.load(Ordering::Relaxed) > since_us
    }
}

/// The data of a bot that the crowd reads.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) tally: Tally,
    pub(crate) name: Option<String>,
    pub(crate) recent: Vec<String>,
    /// Whether the bot has stopped.
    pub(crate) is_over: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Bot {
    pub(crate) number: usize,
    pub(crate) stage: Arc<Stage>,
    pub(crate) record: Arc<Mutex<Record>>,
}

enum End {
    /// The bot left the game with `quit`.
    Left,
    /// The bot has to start a new game: it saw the first fight too late, or the node restarted.
    Again,
    /// The session ended unexpectedly, for this reason.
    Dropped(String),
}

struct Session {
    lines: Lines<BufReader<OwnedReadHalf>>,
    out: OwnedWriteHalf,
}

impl Bot {
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plays one game after the other, until the crowd leaves or a session is dropped.
    pub(crate) async fn play(self) {
        let mut last_us = None;
        for game in 0_u64.. {
            let name = format!("b{}g{game}", self.number);
            match self.game(&name, &mut last_us).await {
                End::Again => {}
                End::Left => break,
                End::Dropped(why) => {
                    let recent = self.record().recent.clone();
                    let tally = &mut self.record().tally;
                    tally.dropped += 1;
                    tally.complain(format!(
                        "the session of {name} was dropped: {why}; its last lines: {recent:#?}"
                    ));
                    break;
                }
            }
        }
        self.record().is_over = true;
    }

    /// Plays one game. `last_us` is the time of the last line, which may be from the game before.
    async fn game(&self, name: &str, last_us: &mut Option<u64>) -> End {
        let began_us = self.stage.now_us();
        let begun = self.begin(name).await;
        let has_begun = begun.is_ok();
        let played = match begun {
            Ok((mut session, mut player)) => {
                self.record().name = Some(name.to_owned());
                self.watch(&mut session, &mut player, last_us).await
            }
            Err(why) => Err(why),
        };
        played.unwrap_or_else(|why| {
            if !self.stage.restarts || !self.stage.switched_since(began_us) {
                return End::Dropped(why);
            }
            self.record().tally.restarted += u64::from(has_begun);
            End::Again
        })
    }

    /// Connects, and starts a player.
    async fn begin(&self, name: &str) -> Result<(Session, Player), String> {
        let _one_of_few = self.stage.door.acquire().await.map_err(|closed| closed.to_string())?;
        let mut session = Session::connect(&self.stage.address).await?;
        session.expect("Welcome to Process Quest.").await?;
        session.types(name).await?;
        let offer = session.line().await?;
        let stats = Stats::read(&offer).ok_or_else(|| format!("{offer:?} offers no stats"))?;
        session.types("y").await?;
        session.expect("You go hunting.").await?;
        Ok((session, Player::new(stats)))
    }

    /// Checks the lines about the player until the game ends.
    async fn watch(
        &self,
        session: &mut Session,
        player: &mut Player,
        last_us: &mut Option<u64>,
    ) -> Result<End, String> {
        let mut over = self.stage.over.subscribe();
        // Whether the last command has no reply yet.
        let mut is_asking = false;
        loop {
            let line = tokio::select! {
                line = session.line() => Some(line?),
                _ = over.wait_for(|over| *over) => None,
            };
            let Some(line) = line else { return self.leave(session, player).await };
            if is_asking && line.starts_with("Unknown command.") {
                is_asking = false;
                continue;
            }
            let step = Duration::from_millis(player.stats().step_ms(self.stage.pace_ms));
            match self.enter(player, &line, step, last_us) {
                Some(Entered::Late) => return Ok(End::Again),
                // The bot sends one command per hunt. The reply has to come before the next hunt.
                Some(Entered::Hunt) if is_asking => {
                    return Err("its last command was never answered".to_owned());
                }
                Some(Entered::Hunt) => {
                    session.types("look").await?;
                    is_asking = true;
                }
                Some(_) => {}
                None => return Ok(End::Left),
            }
        }
    }

    /// Checks a line against the model. Returns `None` after a fault: the model is wrong from then
    /// on, so it cannot check later lines.
    fn enter(
        &self,
        player: &mut Player,
        line: &str,
        step: Duration,
        last_us: &mut Option<u64>,
    ) -> Option<Entered> {
        let now_us = self.stage.now_us();
        let entered = player.enter(line);
        let mut record = self.record();
        record.recent = player.recent();
        let tally = &mut record.tally;
        tally.lines += 1;
        if let Some(last_us) = last_us.replace(now_us) {
            let is_switching = self.stage.switched_since(last_us);
            let longest = if is_switching { &mut tally.switching } else { &mut tally.usual };
            longest.note(Duration::from_micros(now_us - last_us), step);
        }
        match entered {
            Ok(Entered::Quest) => tally.quests += 1,
            Ok(Entered::Hunt) => tally.hunts += 1,
            Ok(Entered::Undone) => tally.undone += 1,
            Ok(Entered::Late) => tally.late += 1,
            Ok(Entered::Step) => {}
            Err(kind) => {
                tally.count(kind);
                let recent = player.recent();
                tally.complain(format!("a line was {kind} in session {}: {recent:#?}", self.number));
            }
        }
        entered.ok()
    }

    /// Sends `quit`, and checks the remaining lines.
    async fn leave(&self, session: &mut Session, player: &mut Player) -> Result<End, String> {
        session.types("quit").await?;
        loop {
            let line = session.line().await?;
            if line == "Farewell." {
                return Ok(End::Left);
            }
            if !line.starts_with("Unknown command.") {
                self.enter(player, &line, Duration::ZERO, &mut None);
            }
        }
    }
}

impl Session {
    /// Connects. Repeats the attempt for a while, because the server may not listen yet.
    async fn connect(address: &str) -> Result<Self, String> {
        let until = Instant::now() + PATIENCE;
        let stream = loop {
            match TcpStream::connect(address).await {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < until => sleep(RETRY).await,
                Err(error) => return Err(format!("cannot connect to {address}: {error}")),
            }
        };
        let (input, out) = stream.into_split();
        Ok(Self { lines: BufReader::new(input).lines(), out })
    }

    async fn line(&mut self) -> Result<String, String> {
        match timeout(PATIENCE, self.lines.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err("the connection was closed".to_owned()),
            Ok(Err(error)) => Err(format!("the connection broke: {error}")),
            Err(_) => Err(format!("no line came for {PATIENCE:?}")),
        }
    }

    async fn expect(&mut self, start: &str) -> Result<(), String> {
        let line = self.line().await?;
        if line.starts_with(start) { Ok(()) } else { Err(format!("{line:?} came in place of {start:?}")) }
    }

    async fn types(&mut self, text: &str) -> Result<(), String> {
        let written = self.out.write_all(format!("{text}\n").as_bytes()).await;
        written.map_err(|error| format!("the connection broke: {error}"))
    }
}
