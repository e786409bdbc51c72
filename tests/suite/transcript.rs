//! Runs the commands of a document in one shell against real nodes. They must print the documented
//! output. `RELD_BLESS=1` writes their output into the document instead.
//!
//! | block | meaning |
//! |---|---|
//! | `sh` | commands |
//! | `text` right after it | their complete output; without this block they print nothing |
//! | `sh by-hand` | commands that the runner does not run; if they start a node, the runner starts one with the same `--env` options |

use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use regex::{Captures, Regex};
use reld_tests::{Node, folder};
use snapbox::{Assert, IntoData as _, Redactions};

/// Time limit of a block: cargo may have to build an app.
const PATIENCE: Duration = Duration::from_secs(300);

/// Time limit for the documented output of a read-only command.
const SETTLES: Duration = Duration::from_secs(10);

/// Read-only commands. They are repeated until they print the documented output.
const LOOKS: [&str; 9] = [
    "relctl apps",
    "relctl child list",
    "relctl code",
    "relctl state",
    "relctl status",
    "relctl tree",
    "cat ",
    "grep ",
    "head ",
];

const OPEN: &str = "\n```sh\n";
const BY_HAND: &str = "\n```sh by-hand\n";
const OUTPUT: &str = "\n```text\n";
const CLOSE: &str = "\n```\n";

/// A document with commands.
#[derive(Debug)]
pub(crate) struct Document {
    /// The path of the document.
    pub(crate) path: &'static str,
    /// The variable with the folder of the node.
    pub(crate) folder: &'static str,
}

/// A block of commands, and the range of the block with their output. The range is empty without
/// output.
#[derive(Debug)]
struct Step {
    line: usize,
    by_hand: bool,
    commands: String,
    output: Range<usize>,
}

fn steps(document: &str) -> Vec<Step> {
    let opens = |from: usize, open: &'static str| {
        document[from..].find(open).map(|at| (from + at, open == BY_HAND, from + at + open.len()))
    };
    let close = |from: usize| {
        let found = document[from..].find(CLOSE);
        found.unwrap_or_else(|| panic!("a block is not closed: {}", &document[from..]))
    };
    let (mut steps, mut from) = (Vec::new(), 0);
    while let Some((_, by_hand, begin)) = opens(from, OPEN).into_iter().chain(opens(from, BY_HAND)).min() {
        let end = begin + close(begin);
        let after = end + CLOSE.len();
        let has_output = document[after..].starts_with(OUTPUT);
        from = if has_output { after + close(after) + CLOSE.len() } else { after };
        let line = document[..begin].lines().count() + 1;
        steps.push(Step { line, by_hand, commands: document[begin..end].to_owned(), output: after..from });
    }
    steps
}

impl Step {
    fn expected<'a>(&self, document: &'a str) -> &'a str {
        let block = &document[self.output.clone()];
        block.strip_prefix(OUTPUT).and_then(|text| text.strip_suffix(&CLOSE[1..])).unwrap_or("")
    }

    fn only_looks(&self) -> bool {
        self.commands.lines().all(|line| LOOKS.iter().any(|look| line.starts_with(look)))
    }

    /// Returns the options of a node that a `by-hand` block starts, without those of the kit.
    fn node(&self) -> Option<Vec<&str>> {
        let command = self.commands.split("\nreld ").nth(1)?;
        let words: Vec<_> = command.split_whitespace().collect();
        Some(words.windows(2).filter(|pair| pair[0] == "--env").flatten().copied().collect())
    }
}

/// A shell, and the node for its commands.
struct Session {
    /// The variable with the folder of the node.
    folder: &'static str,
    node: Option<Node>,
    shell: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Session {
    fn start(folder_variable: &'static str) -> Self {
        let programs = Node::relctl_program().parent().expect("a program lies in a folder");
        let path = env::var("PATH").expect("there is a search path");
        let mut shell = Command::new("bash")
            .current_dir(folder(""))
            .env("PATH", format!("{}:{path}", programs.display()))
            .env(
                "CARGO_TARGET_DIR",
                programs.parent().expect("the profile's folder lies in the target folder"),
            )
            .env("CARGO_TERM_QUIET", "true")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let input = shell.stdin.take().expect("the stream is piped");
        let printed = BufReader::new(shell.stdout.take().expect("the stream is piped"));
        let (sender, lines) = mpsc::channel();
        // The thread ends with the shell or the test.
        thread::spawn(move || printed.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { folder: folder_variable, node: None, shell, input, lines }
    }

    /// Runs a block and returns its output.
    fn run(&mut self, step: &Step) -> String {
        if !step.by_hand {
            return self.print(&step.commands);
        }
        if let Some(options) = step.node() {
            let node = Node::start_with(&options);
            let (place, socket) = (place(&node), node.socket());
            self.node = Some(node);
            self.print(&format!("export {}={place} RELD_SOCKET={}", self.folder, socket.display()));
        }
        String::new()
    }

    fn print(&mut self, commands: &str) -> String {
        const END: &str = "the end of the block";
        let block = format!("{{\n{commands}\n}} < /dev/null 2>&1\necho {END}\n");
        self.input.write_all(block.as_bytes()).expect("the shell reads");
        let mut printed = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == END => break,
                Ok(line) => printed += &format!("{line}\n"),
                Err(why) => panic!("{commands}\ndo not end: {why}; they have printed\n{printed}"),
            }
        }
        let place = self.node.as_ref().map(place).expect("the first block starts a node");
        printed.replace(&place, &format!("${}", self.folder))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The shell may have ended already.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Returns the folder of a node.
fn place(node: &Node) -> String {
    node.root().parent().map(Path::to_string_lossy).expect("a root lies in a folder").into_owned()
}

/// Replaces parts of the output that differ between two runs.
struct Filter {
    redactions: Redactions,
    pid: Regex,
    gap: Regex,
}

/// The pids of a text, in the order of their first occurrence.
#[derive(Debug, Clone, Default)]
struct Pids(Vec<String>);

impl Filter {
    fn new() -> Self {
        let mut redactions = Redactions::new();
        for (name, pattern) in [
            ("[TIME]", r"\b[0-9.]+ (us|ms|s|min|h)\b"),
            ("[TIME]", r"\d{4}-\d\d-\d\dT[0-9:.]+Z"),
            ("[SIZE]", r"\b[0-9.]+ ([KMG]i)?B\b"),
            ("[NUMBER]", r#"("value":|"n": |terminates at )(?<redacted>\d+)\b"#),
            (
                "[NUMBER]",
                r"(charisma|constitution|dexterity|intelligence|strength|wisdom|gained|in fight) (?<redacted>\d+)\b",
            ),
            // A process that stops gracefully stops at a round number.
            ("[NUMBER]", r#"("stopped":|Stopped\()(?<redacted>\d+)0\b"#),
        ] {
            redactions.insert(name, regex(pattern)).expect("a name in brackets");
        }
        Self { redactions, pid: regex(r"<\d+\.\d+>"), gap: regex(r"(\S)  +") }
    }

    /// Replaces each pid by the number of its process, so that a pid of the document always stands
    /// for the same pid of the node. Also normalizes the width of columns.
    fn apply(&self, text: &str, pids: &mut Pids) -> String {
        let numbered = self.pid.replace_all(text, |pid: &Captures<'_>| format!("<{}>", pids.number(&pid[0])));
        self.redactions.redact(&self.gap.replace_all(&numbered, "$1  "))
    }
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a regular expression")
}

impl Pids {
    fn number(&mut self, pid: &str) -> usize {
        self.0.iter().position(|known| known == pid).unwrap_or_else(|| {
            self.0.push(pid.to_owned());
            self.0.len() - 1
        })
    }
}

/// A run in progress.
struct Run {
    session: Session,
    filter: Filter,
    /// The pids of the document so far. `met` has those of the node.
    documented: Pids,
    met: Pids,
}

impl Run {
    fn start(folder: &'static str) -> Self {
        let (documented, met) = (Pids::default(), Pids::default());
        Self { session: Session::start(folder), filter: Filter::new(), documented, met }
    }

    /// Runs a step, and returns its output and the difference from the expected one.
    fn take(&mut self, step: &Step, expected: &str) -> (String, Result<(), String>) {
        let expected = self.filter.apply(expected, &mut self.documented);
        let deadline = Instant::now() + SETTLES;
        loop {
            let mut met = self.met.clone();
            let printed = self.session.run(step);
            let compared = compare(self.filter.apply(&printed, &mut met), expected.clone());
            if compared.is_ok() || !step.only_looks() || Instant::now() > deadline {
                self.met = met;
                return (printed, compared);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn compare(printed: String, expected: String) -> Result<(), String> {
    let compared = Assert::new().try_eq(Some(&"printed"), printed.into_data(), expected.into_data().raw());
    compared.map_err(|difference| difference.to_string())
}

impl Document {
    /// Runs the commands, and compares or writes their output. Returns the number of blocks, and of
    /// those that run by hand.
    pub(crate) fn run(&self) -> (usize, usize) {
        let file = folder(self.path);
        let text = fs::read_to_string(&file).expect("the document is there");
        let steps = steps(&text);
        assert_eq!(text.matches("\n```sh").count(), steps.len(), "blocks that would not be run");
        if env::var_os("RELD_BLESS").is_some() {
            fs::write(&file, self.blessed(&text, &steps)).expect("the file can be changed");
        } else {
            self.check(&text, &steps);
        }
        (steps.len(), steps.iter().filter(|step| step.by_hand).count())
    }

    /// Checks every step against the document.
    fn check(&self, text: &str, steps: &[Step]) {
        let mut run = Run::start(self.folder);
        for step in steps {
            let (_, compared) = run.take(step, step.expected(text));
            if let Err(difference) = compared {
                panic!("{}:{}: {}\n{difference}", self.path, step.line, step.commands);
            }
        }
    }

    /// Returns the document with the actual output. Read-only commands get the same time as in a
    /// check.
    fn blessed(&self, text: &str, steps: &[Step]) -> String {
        let mut run = Run::start(self.folder);
        let (mut blessed, mut from) = (String::new(), 0);
        for step in steps {
            let (printed, _) = run.take(step, step.expected(text));
            blessed += &text[from..step.output.start];
            if !printed.is_empty() {
                blessed += &format!("{OUTPUT}{printed}{}", &CLOSE[1..]);
            }
            from = step.output.end;
        }
        blessed + &text[from..]
    }
}
