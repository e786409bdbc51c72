//! Chaos test: kills the daemon, or fills its disk, at a random moment of each order.
//!
//! ```text
//! an order that is legal now ---> SIGKILL, or a full disk, at a random moment
//!   ---> a start, one time in four killed as well
//!   ---> a check: the release of before or after runs, and all files of all releases are intact
//!   ---> another order, to its end
//! ```
//!
//! On machines where a small disk can be mounted, one round in four uses a node with its root on
//! that disk.

mod order;

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use reld_api::response::{NodeStatus, Verified};

use self::order::{Order, Picture, Verb};
use crate::build::release;
use crate::disk::SmallDisk;
use crate::node::Node;
use crate::random::Random;
use crate::run::{Run, eventually};

/// The verb of a daemon start in the table of durations.
const START: &str = "start";

/// Assumed duration of an order that has not run yet.
const UNKNOWN: Duration = Duration::from_millis(100);

/// The time for which an order may continue on a full disk. An order that waits for space is killed
/// after it.
const BESIDE: Duration = Duration::from_secs(1);

/// Exit code of relctl that reports a bug in the daemon.
const BUG: i32 = 70;

/// Number of log lines that are attached to an exception.
const LINES: usize = 40;

/// Result of a chaos test.
#[derive(Debug, Default)]
pub struct Chaos {
    /// Number of started rounds.
    pub rounds: u64,
    /// Tally of each order, by its verb.
    pub orders: BTreeMap<String, Tally>,
    /// Number of kills, by the last logged event before the kill.
    pub steps: BTreeMap<String, u64>,
    /// Violations of the invariants. The first one ends the test.
    pub exceptions: Vec<String>,
}

/// Outcomes of the orders of one verb.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Orders during which the daemon was killed.
    pub kills: u64,
    /// Orders during which the disk filled up.
    pub full_disks: u64,
    /// Starts after an order that were killed as well.
    pub killed_starts: u64,
    /// Orders that relctl reported as successful before the fault.
    pub done: u64,
    /// Orders after which the node was in its previous state.
    pub before: u64,
    /// Orders that took effect. An order that changes nothing on disk counts as `before`.
    pub after: u64,
}

impl Chaos {
    /// Plays `rounds` rounds. The same seed draws the same orders and delays, as long as the nodes
    /// reach the same states.
    pub fn play(rounds: u64, seed: u64) -> Self {
        let disk = SmallDisk::mount();
        let mut sites = vec![Site::new(None)];
        sites.extend(disk.as_ref().map(|disk| Site::new(Some(disk))));
        let (mut chaos, mut random) = (Self::default(), Random::new(seed));
        while chaos.rounds < rounds && chaos.exceptions.is_empty() {
            chaos.rounds += 1;
            let on_disk = random.once_in(4);
            let site = if on_disk { sites.last_mut() } else { sites.first_mut() };
            let site = site.expect("there is one at least");
            // A failed assertion of the kit counts as an exception, too.
            let played = catch_unwind(AssertUnwindSafe(|| site.round(&mut random, &mut chaos)));
            if let Err(broken) = played.unwrap_or_else(|panic| Err(words(&*panic))) {
                let (round, under_way) = (chaos.rounds, &site.under_way);
                let log = tail(&site.node.written());
                chaos.exceptions.push(format!("round {round} of seed {seed}: {under_way}: {broken}\n{log}"));
            }
        }
        chaos
    }
}

/// The fault that is injected during an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    FullDisk,
}

/// A node and the measured durations of its orders.
struct Site<'a> {
    node: Node,
    /// The small disk that holds the root.
    disk: Option<&'a SmallDisk>,
    /// The estimated duration of an order of each verb, and of a start of the daemon.
    lasts: BTreeMap<String, Duration>,
    /// The current activity. The text of an exception contains it.
    under_way: String,
}

impl<'a> Site<'a> {
    fn new(disk: Option<&'a SmallDisk>) -> Self {
        let node = disk.map_or_else(Node::start, |disk| Node::start_below(disk.path()));
        Self { node, disk, lasts: BTreeMap::new(), under_way: String::new() }
    }

    fn round(&mut self, random: &mut Random, chaos: &mut Chaos) -> Result<(), String> {
        let before = Picture::of(&self.node);
        let order = *random.pick(&before.legal());
        let fault = if self.disk.is_some() && random.once_in(2) { Fault::FullDisk } else { Fault::Kill };
        let tally = chaos.orders.entry(order.verb.to_string()).or_default();
        let stages = before.stages(order, &self.node);
        let damaged = self.prepare(order, random);

        let delay = self.delay(&order.verb.to_string(), random);
        self.under_way = format!("{order}, {fault:?} after {delay:?}");
        let logged = self.node.log().len();
        let ended = match fault {
            Fault::Kill => self.killed(order, delay),
            Fault::FullDisk => self.filled(order, delay),
        };
        match fault {
            Fault::Kill => tally.kills += 1,
            Fault::FullDisk => tally.full_disks += 1,
        }
        *chaos.steps.entry(last_event(&self.node.written()[logged..])).or_default() += 1;
        let is_done = ended.is_some_and(|status| status.success());
        self.learn(order, delay, ended.is_some());
        tally.done += u64::from(is_done);
        if let Some(failed) = ended.filter(|_| !is_done)
            && (fault == Fault::Kill || failed.code() == Some(BUG))
        {
            return Err(format!("relctl ended with {failed}"));
        }

        tally.killed_starts += u64::from(self.start(random));
        // If the order was reported as successful, its repair has left no damage.
        let found = self.look(if is_done { &[] } else { &damaged })?;
        judge(&stages, &found, is_done)?;
        let (first, last) = (&stages[0], &stages[stages.len() - 1]);
        tally.before += u64::from(found.is_like(first));
        tally.after += u64::from(!found.is_like(first) && found.is_like(last));
        self.next(order, random)
    }

    /// Sets up the preconditions of an order. Returns the files, relative to the root, that the
    /// order has to repair.
    fn prepare(&self, order: Order, random: &mut Random) -> Vec<PathBuf> {
        match order.verb {
            Verb::Commit => drop(self.node.ok(&["install", order.version])),
            Verb::Repair => return self.damage(order.version, random),
            _ => {}
        }
        Vec::new()
    }

    /// Deletes and changes some files of a release and returns their paths.
    fn damage(&self, version: &str, random: &mut Random) -> Vec<PathBuf> {
        let row = self
            .node
            .releases()
            .into_iter()
            .find(|row| row.version == version)
            .expect("the node lists the release");
        let apps = row.apps.iter().map(|app| Path::new("lib").join(app));
        let folders = apps.chain([Path::new("releases").join(version)]);
        let files: Vec<PathBuf> = folders.flat_map(|folder| files(&self.node.root(), &folder)).collect();
        let sure = random.pick(&files).clone();
        let damaged: Vec<_> = files.into_iter().filter(|file| *file == sure || random.once_in(3)).collect();
        for file in &damaged {
            let path = self.node.root().join(file);
            let done = if random.once_in(2) { fs::remove_file(path) } else { fs::write(path, "changed") };
            done.expect("the root can be written");
        }
        damaged
    }

    fn delay(&self, what: &str, random: &mut Random) -> Duration {
        let lasts = self.lasts.get(what).copied().unwrap_or(UNKNOWN);
        Duration::from_micros(random.below(1 + lasts.as_micros() as u64 * 5 / 4))
    }

    /// Updates the estimated duration of an order. `is_done` reports whether the order had ended
    /// after `delay`. The duration of an order without a client is not measured.
    fn learn(&mut self, order: Order, delay: Duration, is_done: bool) {
        if order.args().is_empty() {
            return;
        }
        let lasts = self.lasts.entry(order.verb.to_string()).or_insert(UNKNOWN);
        *lasts = if is_done { (*lasts + delay) / 2 } else { *lasts * 11 / 10 };
    }

    /// Kills the daemon during an order. Returns the exit status of relctl if it ended first.
    fn killed(&mut self, order: Order, delay: Duration) -> Option<ExitStatus> {
        let mut relctl = self.begin(order);
        thread::sleep(delay);
        let ended = relctl.as_mut().and_then(|relctl| relctl.try_wait().expect("relctl can be watched"));
        self.cut(relctl);
        ended
    }

    /// Fills the disk during an order, then kills the daemon. Returns the exit status of relctl if
    /// it ended first.
    fn filled(&mut self, order: Order, delay: Duration) -> Option<ExitStatus> {
        let disk = self.disk.expect("only a small disk is filled");
        let mut relctl = self.begin(order);
        thread::sleep(delay);
        let fill = disk.fill();
        let until = Instant::now() + BESIDE;
        let mut ended = None;
        while let Some(relctl) = &mut relctl
            && ended.is_none()
            && Instant::now() < until
        {
            ended = relctl.try_wait().expect("relctl can be watched");
            thread::sleep(Duration::from_millis(1));
        }
        self.cut(relctl);
        fs::remove_file(fill).expect("the file exists");
        ended
    }

    /// Kills the daemon and its client, which might otherwise wait for the next daemon.
    fn cut(&mut self, relctl: Option<Child>) {
        self.node.kill_9();
        if let Some(mut relctl) = relctl {
            relctl.kill().expect("relctl can be killed");
            relctl.wait().expect("a killed program ends");
        }
    }

    fn begin(&self, order: Order) -> Option<Child> {
        let mut relctl = self.relctl(order)?;
        Some(relctl.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("relctl can be run"))
    }

    fn relctl(&self, order: Order) -> Option<Command> {
        let args = order.args();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        (!args.is_empty()).then(|| self.node.relctl(&args))
    }

    /// Starts the daemon. One time in four it kills the first start as well, and returns true.
    fn start(&mut self, random: &mut Random) -> bool {
        let is_killed = random.once_in(4);
        if is_killed {
            let delay = self.delay(START, random);
            self.under_way += &format!(", then a start killed after {delay:?}");
            self.node.start_again();
            thread::sleep(delay);
            self.node.kill_9();
        }
        let began = Instant::now();
        self.node.start_again();
        self.node.await_answer();
        self.lasts.insert(START.to_owned(), began.elapsed());
        is_killed
    }

    /// Waits until the permanent release runs, and verifies all files. The files in `damaged` may
    /// still be damaged.
    fn look(&self, damaged: &[PathBuf]) -> Result<Picture, String> {
        eventually("the permanent release runs", || {
            let status = self.node.run(&["status", "--json"]);
            let status: NodeStatus = (status.code == 0).then(|| status.read())?;
            let runs = status.release.map(|release| release.version) == status.permanent;
            (runs && status.order.is_none()).then_some(())
        });
        let verified: Verified = self.node.run(&["verify", "--json"]).read();
        let found = verified.releases.iter().flat_map(|release| &release.damage);
        match found.into_iter().find(|file| !damaged.contains(&PathBuf::from(&file.path))) {
            Some(file) => Err(format!("{file:?} is not whole")),
            None => Ok(Picture::of(&self.node)),
        }
    }

    /// Runs another order to its end, after repairing the files that the interrupted one was to
    /// repair.
    fn next(&mut self, cut: Order, random: &mut Random) -> Result<(), String> {
        if cut.verb == Verb::Repair {
            self.node.ok(&["unpack", &release(&format!("stage-{}", cut.version))]);
            self.look(&[])?;
        }
        let picture = Picture::of(&self.node);
        // A reboot is left out because it is no order. An install is left out because the running
        // release is not the permanent one after it.
        let lasts = |order: &Order| !matches!(order.verb, Verb::Reboot | Verb::Install);
        let orders: Vec<_> = picture.legal().into_iter().filter(lasts).collect();
        let order = *random.pick(&orders);
        self.under_way += &format!(", then {order}");
        let stages = picture.stages(order, &self.node);
        self.prepare(order, random);
        let began = Instant::now();
        self.relctl(order).map(|mut relctl| Run::of(&mut relctl).expect(0));
        if order.verb == Verb::RebootOld {
            // The daemon answers before it executes itself again, so wait for the new daemon.
            eventually("the daemon begins anew", || {
                let status = self.node.run(&["status", "--json"]);
                let status: NodeStatus = (status.code == 0).then(|| status.read())?;
                (u128::from(status.uptime_ms) < began.elapsed().as_millis()).then_some(())
            });
        }
        judge(&stages, &self.look(&[])?, true)
    }
}

/// Compares the picture with the permitted stages. An order reported as done must have taken
/// effect.
fn judge(stages: &[Picture], found: &Picture, is_done: bool) -> Result<(), String> {
    let allowed = if is_done { &stages[stages.len() - 1..] } else { stages };
    if allowed.iter().any(|stage| stage.is_like(found)) {
        return Ok(());
    }
    Err(format!("one of {allowed:?} was to be found, and not {found:?}; reported as done: {is_done}"))
}

/// Returns the paths of all files in a folder below a root.
fn files(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(folder)).expect("the folder of a release is there");
    let below = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("a folder can be read");
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() { files(root, &path) } else { vec![path] }
    };
    entries.flat_map(below).collect()
}

/// Returns the message of a panic.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or("the kit panicked").to_owned()
}

/// Returns the last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Returns the subject of the last log line: the step, the request, the outcome, or the module that
/// wrote it.
fn last_event(log: &str) -> String {
    let Some(line) = log.lines().last() else { return "nothing".to_owned() };
    let word = |after: &str| line.split_once(after)?.1.split([' ', '"']).next();
    let writer = || line.split_whitespace().nth(2).map(|writer| writer.trim_end_matches(':'));
    let named = word("title=\"").or_else(|| word("path=\"")).or_else(|| word("outcome=")).or_else(writer);
    named.unwrap_or("a line of an app").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_log_names_the_event() {
        let time = "2026-11-30T03:33:11.125009Z  INFO";
        let check =
            |rest: &str, expected| assert_eq!(last_event(&format!("first\n{time} {rest}\n")), expected);
        check("reld_handler::saga: step vsn=1.0.0 step=1 of=13 title=\"load [buyer till]\"", "load");
        check("reld::api_server: a request path=\"/releases/unpack\" uid=0", "/releases/unpack");
        check("reld_handler::handler::travel: vsn=1.0.0 outcome=Installed", "Installed");
        check("reld::daemon: ready root=/tmp", "reld::daemon");
        assert_eq!(last_event(""), "nothing");
    }
}
