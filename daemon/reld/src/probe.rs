//! Probes: child programs that report success or failure by their exit code.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use reld_api::request as q;
use reld_handler::{Behaviours, Library, ModuleName, Probe, Probed, Probing};
use reld_loader::{ProbeReport, ProbedModule};
use tempfile::{NamedTempFile, TempPath};

/// The number of output lines that are kept, counted from the last.
const LINES_MAX: usize = 20;

/// The maximum length of an output line, in bytes.
const LINE_MAX: u64 = 500;

/// The interval between checks whether a probe has ended.
const LOOK: Duration = Duration::from_millis(20);

/// The time limit of the shell for finding a program.
const FIND: Duration = Duration::from_secs(5);

/// The time limit for loading a library.
const LIBRARY: Duration = Duration::from_secs(30);

/// The time limit for output after the end of a probe. A left-over child process may hold the pipe
/// open.
const OUTPUT: Duration = Duration::from_millis(200);

/// A function that returns whether the result is not needed any more.
pub(crate) type GivenUp<'a> = &'a dyn Fn() -> bool;

/// A command of an operator that runs at the end of the settle window.
#[derive(Debug)]
pub(crate) struct OperatorProbe {
    command: String,
    /// An uploaded program that runs instead of the command.
    script: Option<TempPath>,
    timeout: Duration,
}

impl OperatorProbe {
    /// Prepares a command. An uploaded script is stored as a file in `folder` until this value is
    /// dropped.
    ///
    /// # Errors
    /// The reason why the daemon cannot run the command, as text for people.
    pub(crate) fn new(probe: q::Probe, folder: &Path) -> Result<Self, String> {
        let q::Probe { command, script, timeout_ms } = probe;
        let script = match script {
            Some(q::Script(bytes)) => {
                let kept =
                    keep(&bytes, folder).map_err(|error| format!("cannot store the script: {error}"))?;
                Some(kept)
            }
            None => find(&command).map(|()| None)?,
        };
        Ok(Self { command, script, timeout: Duration::from_millis(timeout_ms) })
    }
}

fn keep(script: &[u8], folder: &Path) -> std::io::Result<TempPath> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(script)?;
    file.as_file().set_permissions(Permissions::from_mode(0o700))?;
    // Close the file, because a file that is open for writing cannot be executed.
    Ok(file.into_temp_path())
}

/// Checks that the shell of the daemon finds the program of a command. A command that does not
/// begin with a plain word is not checked.
fn find(command: &str) -> Result<(), String> {
    let word = command.split_whitespace().next().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./+".contains(c);
    if word.is_empty() || !word.chars().all(is_plain) {
        return Ok(());
    }
    let mut shell = Command::new("sh");
    shell.args(["-c", "command -v -- \"$0\"", word]);
    match run(shell, FIND, &|| false).fault {
        None => Ok(()),
        Some(_) => Err(format!("the daemon finds no program {word}")),
    }
}

/// Returns the probe that runs a command.
pub(crate) fn probe(run: OperatorProbe, socket: PathBuf) -> Probe {
    let OperatorProbe { command, script, timeout } = run;
    Box::new(move |trip| {
        let mut program = Command::new("sh");
        let version = |vsn: Option<&reld_handler::Vsn>| vsn.map(ToString::to_string).unwrap_or_default();
        match &script {
            // `sh` also runs a script that has no `#!` line.
            Some(file) => program.args(["-c", "\"$0\""]).arg(file),
            None => program.arg("-c").arg(&command),
        };
        program.env("RELD_SOCKET", &socket);
        program.env("RELD_FROM", version(trip.from)).env("RELD_TO", version(Some(trip.to)));
        tracing::info!(name: "release.probe", vsn = %trip.to, command, "the probe runs");
        Box::new(Running::start(program, timeout, script))
    })
}

/// Loads a library in a throw-away OS process, where its constructors cannot harm the node, and
/// returns the behaviours of its modules. That process writes the behaviours into a file in
/// `folder`.
///
/// # Errors
/// The fault, as text for people.
pub(crate) fn library(library: &Library, folder: &Path, given_up: GivenUp<'_>) -> Result<Behaviours, String> {
    let report = NamedTempFile::new_in(folder).map_err(|error| format!("cannot run the probe: {error}"))?;
    let mut program = own(&library.file);
    program.arg("--of").arg(library.app.as_str()).arg(library.vsn.to_string());
    let modules: Vec<&str> = library.modules.iter().map(ModuleName::as_str).collect();
    program.arg("--modules").arg(modules.join(",")).arg("--report").arg(report.path());
    match fault_of(run(program, LIBRARY, given_up)) {
        Some(fault) => Err(fault),
        // A constructor may have ended the OS process with exit code 0.
        None => behaviours(report.path()).ok_or_else(|| "the probe ended before it was done".to_owned()),
    }
}

fn behaviours(report: &Path) -> Option<Behaviours> {
    let report: ProbeReport = serde_json::from_slice(&fs::read(report).ok()?).ok()?;
    let word = |module: ProbedModule| Some((module.name.parse().ok()?, module.behaviour));
    report.modules.into_iter().map(word).collect()
}

/// Puts questions to a library in a throw-away OS process (see [`crate::ask`]). Returns the fault,
/// if there was one.
pub(crate) fn questions(
    file: &Path,
    folder: &Path,
    timeout: Duration,
    given_up: GivenUp<'_>,
) -> Option<String> {
    let mut program = own(file);
    program.arg("--ask").arg(folder);
    fault_of(run(program, timeout, given_up))
}

/// Returns a command that runs `reld probe FILE` with the program of this daemon, even if the
/// program's file was replaced.
fn own(file: &Path) -> Command {
    let link = PathBuf::from("/proc/self/exe");
    let mut program = Command::new(match link.read_link() {
        Ok(named) => daemon(link, named),
        Err(_) => link,
    });
    program.arg("probe").arg(file);
    program
}

/// Returns the kernel's link to the running program, or the path that the link names. If the
/// daemon's file was replaced, only the link leads to the running program. Under valgrind, the link
/// leads to valgrind itself, and only the path that it names is the daemon's.
fn daemon(link: PathBuf, named: PathBuf) -> PathBuf {
    let file = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
    let is_emulated = file(&named).is_some_and(|named| Some(named) != file(&link));
    if is_emulated { named } else { link }
}

/// Returns the fault of a probe, followed by the last line of its output.
fn fault_of(Probed { fault, output }: Probed) -> Option<String> {
    fault.map(|fault| output.last().map(|line| format!("{fault}: {line}")).unwrap_or(fault))
}

/// Runs a program to its end, or kills it as soon as its result is not needed any more.
fn run(program: Command, timeout: Duration, given_up: GivenUp<'_>) -> Probed {
    let mut running = Running::start(program, timeout, None);
    loop {
        if let Some(probed) = running.finding() {
            return probed;
        }
        if given_up() {
            return Probed { fault: Some("it was cancelled".to_owned()), output: Vec::new() };
        }
        thread::sleep(LOOK);
    }
}

/// A started program, or the reason why it did not start. Dropping this value kills the program and
/// all OS processes that it has started.
enum Running {
    Program {
        group: Group,
        deadline: Instant,
        timeout: Duration,
        lines: mpsc::Receiver<String>,
        /// The file of the uploaded script. It must exist as long as the shell reads it.
        _script: Option<TempPath>,
    },
    NotStarted(String),
}

impl Running {
    fn start(mut program: Command, timeout: Duration, script: Option<TempPath>) -> Self {
        let not_run = |error| Self::NotStarted(format!("cannot run the probe: {error}"));
        let (reader, writer) = match std::io::pipe() {
            Ok(pipe) => pipe,
            Err(error) => return not_run(error),
        };
        let both = writer.try_clone().map(|copy| program.stdout(writer).stderr(copy));
        let spawned = both.and_then(|program| program.stdin(Stdio::null()).process_group(0).spawn());
        // The command holds write ends of the output pipe. The output ends only after the command
        // is dropped.
        drop(program);
        match spawned {
            Ok(child) => {
                let (group, deadline) = (Group(child), Instant::now() + timeout);
                Self::Program { group, deadline, timeout, lines: collect(reader), _script: script }
            }
            Err(error) => not_run(error),
        }
    }
}

impl Probing for Running {
    fn finding(&mut self) -> Option<Probed> {
        let (fault, output) = match self {
            Self::NotStarted(fault) => (Some(fault.clone()), Vec::new()),
            Self::Program { group, deadline, timeout, lines, .. } => {
                let fault = match group.0.try_wait() {
                    Ok(Some(status)) => judge(status),
                    Err(error) => Some(format!("cannot wait for the probe: {error}")),
                    Ok(None) if Instant::now() < *deadline => return None,
                    Ok(None) => {
                        group.kill();
                        Some(format!("the probe did not end within {timeout:?}"))
                    }
                };
                (fault, last(lines))
            }
        };
        Some(Probed { fault, output })
    }
}

fn judge(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("the probe exited with {code}")),
        (None, signal) => Some(format!("the probe was ended by signal {}", signal.unwrap_or_default())),
    }
}

/// The process group of a probe. Dropping it kills the probe and all OS processes that the probe
/// has started.
struct Group(Child);

impl Group {
    fn kill(&self) {
        if let Ok(id) = i32::try_from(self.0.id()) {
            // This fails if all OS processes of the group have ended.
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        // This fails if the child was already reaped.
        let _ = self.0.wait();
    }
}

/// Reads lines on a separate thread, which ends at the end of the output.
fn collect(output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::sync_channel(LINES_MAX);
    let read = move || {
        let mut output = BufReader::new(output);
        let mut last = std::collections::VecDeque::new();
        let mut line = Vec::new();
        while matches!(output.by_ref().take(LINE_MAX).read_until(b'\n', &mut line), Ok(1..)) {
            last.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
            if last.len() > LINES_MAX {
                last.pop_front();
            }
            line.clear();
        }
        // This fails if the receiver has stopped waiting.
        last.into_iter().for_each(|line| drop(sender.send(line)));
    };
    // If the thread cannot start, the output is lost, but not the verdict.
    let _ = thread::Builder::new().name("reld-probe".to_owned()).spawn(read);
    lines
}

fn last(lines: &mpsc::Receiver<String>) -> Vec<String> {
    std::iter::from_fn(|| lines.recv_timeout(OUTPUT).ok()).collect()
}

/// Describes the first difference between the modules listed in `app.toml` and those in the
/// library.
pub(crate) fn other_modules(listed: &[&str], has: &[&str]) -> Option<String> {
    let missing = listed.iter().find(|name| !has.contains(name));
    let unlisted = has.iter().find(|name| !listed.contains(name));
    match (missing, unlisted) {
        (Some(name), _) => Some(format!("app.toml lists module {name}, which the library does not have")),
        (None, Some(name)) => Some(format!("the library has module {name}, which app.toml does not list")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use reld_handler::{Trip, Vsn};

    use super::*;

    fn start(command: &str, timeout: Duration) -> Box<dyn Probing> {
        let (from, to) = (Vsn::new(1, 0, 0), Vsn::new(1, 1, 0));
        let run = OperatorProbe { command: command.to_owned(), script: None, timeout };
        let probe = probe(run, PathBuf::from("/tmp/socket"));
        probe(Trip { from: Some(&from), to: &to })
    }

    fn probed(command: &str, timeout: Duration) -> Probed {
        let mut probing = start(command, timeout);
        loop {
            match probing.finding() {
                Some(probed) => return probed,
                None => thread::yield_now(),
            }
        }
    }

    #[track_caller]
    fn check(command: &str, fault: Option<&str>, output: &[&str]) {
        check_within(Duration::from_secs(60), command, fault, output);
    }

    #[track_caller]
    fn check_within(timeout: Duration, command: &str, fault: Option<&str>, output: &[&str]) {
        let probed = probed(command, timeout);
        let fault = fault.map(str::to_owned);
        assert_eq!(probed, Probed { fault, output: output.iter().map(|line| (*line).to_owned()).collect() });
    }

    #[test]
    fn a_probe_is_judged_by_its_end_and_its_last_lines_are_kept() {
        let words = "/tmp/socket 1.0.0 1.1.0";
        check("echo $RELD_SOCKET $RELD_FROM $RELD_TO", None, &[words]);
        check("echo bad >&2; exit 7", Some("the probe exited with 7"), &["bad"]);
        check("kill -9 $$", Some("the probe was ended by signal 9"), &[]);
        check("seq 100 | head -n 30 | tail -n 1", None, &["30"]);
    }

    #[test]
    fn a_command_that_begins_with_a_plain_word_is_looked_up() {
        let folder = tempfile::tempdir().unwrap();
        let taken = |command: &str| {
            let probe = q::Probe { command: command.to_owned(), script: None, timeout_ms: 1 };
            OperatorProbe::new(probe, folder.path()).map(drop)
        };
        for command in
            ["exit 3", "true", "/bin/true", "[ -e / ]", "X=1 true", "(exit 1)", "if true; then exit; fi"]
        {
            assert_eq!(taken(command), Ok(()), "{command}");
        }
        for command in ["./smoke.sh --fast", "no_such_program", "/no/such/program"] {
            assert!(taken(command).unwrap_err().contains("finds no program"), "{command}");
        }
    }

    #[test]
    fn a_probe_that_does_not_end_is_killed_with_all_processes_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let command = format!("sleep 600 & echo $! > {}; wait", path.display());
        let timeout = Duration::from_secs(3);
        check_within(timeout, &command, Some("the probe did not end within 3s"), &[]);
        let pid: i32 = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // SIGKILL takes effect when the process is scheduled next. The process is then a zombie
        // until its new parent reaps it.
        let is_gone = |state: &str| state.is_empty() || state.contains(") Z");
        let begin = Instant::now();
        while !is_gone(&state()) {
            assert!(begin.elapsed() < Duration::from_secs(30), "{}", state());
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_probe_that_is_dropped_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let written = path.with_extension("new");
        let command = format!("echo $$ > {0}; mv {0} {1}; exec sleep 600", written.display(), path.display());
        let mut probing = start(&command, Duration::from_secs(600));
        while !path.exists() {
            assert_eq!(probing.finding(), None);
            thread::yield_now();
        }
        drop(probing);
        let pid = std::fs::read_to_string(path).unwrap();
        assert!(!std::path::Path::new(&format!("/proc/{}", pid.trim())).exists(), "it was reaped");
    }

    #[test]
    fn a_panic_of_the_reader_costs_the_output_of_a_probe_and_not_its_verdict() {
        struct Odd;
        impl Read for Odd {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                panic!("a bug in a reader")
            }
        }
        assert_eq!(last(&collect(Odd)), [""; 0]);
    }

    #[test]
    fn a_library_is_probed_by_the_running_program_and_under_valgrind_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("reld"), "").unwrap();
        std::fs::write(path("valgrind"), "").unwrap();
        std::os::unix::fs::symlink(path("reld"), path("exe")).unwrap();
        assert_eq!(daemon(path("exe"), path("reld")), path("exe"));
        assert_eq!(daemon(path("exe"), path("reld (deleted)")), path("exe"));
        std::fs::remove_file(path("exe")).unwrap();
        std::os::unix::fs::symlink(path("valgrind"), path("exe")).unwrap();
        assert_eq!(daemon(path("exe"), path("reld")), path("reld"));
    }
}
