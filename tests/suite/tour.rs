//! The tour is carried out: the commands of `examples/tour/README.md` run in one shell against a real node, and print
//! what stands below them. `RELD_BLESS=1` writes down what they print instead.
//!
//! | block | meaning |
//! |---|---|
//! | `sh` | commands |
//! | `text` right after it | all that they print; without it they print nothing |
//! | `sh by-hand` | what the runner does in its own way: it builds and starts the node, and stops it |

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

const DOCUMENT: &str = "examples/tour/README.md";

/// How long a block may run: cargo may have to build an app.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long what a block looks at may take to come about.
const SETTLES: Duration = Duration::from_secs(20);

/// Commands that change nothing. They are repeated until they show what the document shows.
const LOOKS: [&str; 8] = [
    "relctl apps",
    "relctl child list",
    "relctl code",
    "relctl state",
    "relctl status",
    "relctl tree",
    "cat ",
    "grep ",
];

const OPEN: &str = "\n```sh\n";
const OUTPUT: &str = "\n```text\n";
const CLOSE: &str = "\n```\n";

/// A block of commands, and the place of the block with their output: empty where there is none.
#[derive(Debug)]
struct Step {
    line: usize,
    commands: String,
    output: Range<usize>,
}

fn steps(document: &str) -> Vec<Step> {
    let close = |from: usize| {
        let found = document[from..].find(CLOSE);
        found.unwrap_or_else(|| panic!("a block is not closed: {}", &document[from..]))
    };
    let (mut steps, mut from) = (Vec::new(), 0);
    while let Some(at) = document[from..].find(OPEN) {
        let begin = from + at + OPEN.len();
        let end = begin + close(begin);
        let after = end + CLOSE.len();
        let has_output = document[after..].starts_with(OUTPUT);
        from = if has_output { after + close(after) + CLOSE.len() } else { after };
        let line = document[..begin].lines().count() + 1;
        steps.push(Step { line, commands: document[begin..end].to_owned(), output: after..from });
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
}

/// A shell, and the node that its commands are about.
struct Session {
    node: Node,
    shell: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Session {
    fn start() -> Self {
        let node = Node::start();
        let programs = Node::relctl_program().parent().expect("a program lies in a folder");
        let path = env::var("PATH").expect("there is a search path");
        let mut shell = Command::new("sh")
            .current_dir(folder(""))
            .env("PATH", format!("{}:{path}", programs.display()))
            .env(
                "CARGO_TARGET_DIR",
                programs.parent().expect("the profile's folder lies in the target folder"),
            )
            .env("CARGO_TERM_QUIET", "true")
            .env("RELD_SOCKET", node.socket())
            .env("TOUR", tour(&node))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let input = shell.stdin.take().expect("it is piped");
        let printed = BufReader::new(shell.stdout.take().expect("it is piped"));
        let (tell, lines) = mpsc::channel();
        // It ends with the shell, or with the test.
        thread::spawn(move || printed.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { node, shell, input, lines }
    }

    /// Runs commands and returns all that they print.
    fn run(&mut self, commands: &str) -> String {
        const END: &str = "the end of the block";
        let block = format!("{{\n{commands}\n}} < /dev/null 2>&1\necho {END}\n");
        self.input.write_all(block.as_bytes()).expect("the shell reads");
        let mut printed = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == END => return printed.replace(&tour(&self.node), "$TOUR"),
                Ok(line) => printed += &format!("{line}\n"),
                Err(why) => panic!("{commands}\ndo not end: {why}; they have printed\n{printed}"),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A shell that has ended by itself is as good.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Returns the folder that the document calls `$TOUR`.
fn tour(node: &Node) -> String {
    node.root().parent().map(Path::to_string_lossy).expect("a root lies in a folder").into_owned()
}

/// Leaves out what differs between two runs.
struct Filter {
    redactions: Redactions,
    pid: Regex,
    gap: Regex,
}

/// The processes of a text, in the order in which they come up.
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
            // One that stops gracefully does so at a round number.
            ("[NUMBER]", r#"("stopped":|Stopped\()(?<redacted>\d+)0\b"#),
        ] {
            redactions.insert(name, regex(pattern)).expect("a name in brackets");
        }
        Self { redactions, pid: regex(r"<\d+\.\d+>"), gap: regex(r"(\S)  +") }
    }

    /// A pid becomes the number of its process, so that one pid of the document is one pid of the node throughout; columns are as wide as their content.
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

/// Says where two texts differ.
fn compare(printed: String, expected: String) -> Result<(), String> {
    let compared = Assert::new().try_eq(Some(&"printed"), printed.into_data(), expected.into_data().raw());
    compared.map_err(|difference| difference.to_string())
}

/// Runs every step, and checks it against the document.
fn check(document: &str, steps: &[Step]) {
    let (filter, mut session) = (Filter::new(), Session::start());
    let (mut named, mut ran) = (Pids::default(), Pids::default());
    for step in steps {
        let expected = filter.apply(step.expected(document), &mut named);
        let deadline = Instant::now() + SETTLES;
        ran = loop {
            let mut pids = ran.clone();
            let printed = filter.apply(&session.run(&step.commands), &mut pids);
            match compare(printed, expected.clone()) {
                Ok(()) => break pids,
                Err(_) if step.only_looks() && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(difference) => panic!("{DOCUMENT}:{}: {}\n{difference}", step.line, step.commands),
            }
        };
    }
}

/// Runs every step once, and returns the document with what they print.
fn blessed(document: &str, steps: &[Step]) -> String {
    let mut session = Session::start();
    let (mut text, mut from) = (String::new(), 0);
    for step in steps {
        let printed = session.run(&step.commands);
        text += &document[from..step.output.start];
        if !printed.is_empty() {
            text += &format!("{OUTPUT}{printed}{}", &CLOSE[1..]);
        }
        from = step.output.end;
    }
    text + &document[from..]
}

#[test]
fn the_commands_of_the_tour_print_what_stands_below_them() {
    let file = folder(DOCUMENT);
    let document = fs::read_to_string(&file).expect("the tour is there");
    let steps = steps(&document);
    let by_hand = document.matches("\n```sh by-hand\n").count();
    assert_eq!(document.matches("\n```sh").count(), steps.len() + by_hand, "blocks that would not be run");
    assert!(steps.len() > 20 && by_hand == 2, "{} blocks of commands, {by_hand} by hand", steps.len());
    if env::var_os("RELD_BLESS").is_some() {
        fs::write(&file, blessed(&document, &steps)).expect("it is ours");
    } else {
        check(&document, &steps);
    }
}
