//! Asks the code of a library questions in a throw-away process, so that the code cannot harm the
//! node.
//!
//! ```text
//! daemon                                   reld probe FILE --ask DIR
//!   writes DIR/questions (JSON)  -------->   opens FILE, reads the questions
//!                                            writes each answer as a line, as soon as it has it
//!   reads DIR/answers            <--------   ends
//! ```
//!
//! If the code crashes or hangs, the process ends. The first question without an answer is then the
//! cause, and the remaining questions are asked again without it. In the throw-away process the
//! functions of the SDK refuse all calls to the node, as they do when an upgrade asks the same
//! code.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use parking_lot::Mutex;
use reld_loader::{Loader, OpenRequest};
use reld_runtime::{BodyKind, Module, SupervisorSpec, ask_init};
use serde::{Deserialize, Serialize};

use crate::probe::{self, GivenUp};

/// How long one attempt, with all its questions to a library, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many attempts a library gets. Code that crashes or hangs uses one up.
const ATTEMPTS: usize = 8;

/// The maximum number of cached answers.
const KEPT_MAX: usize = 10_000;

/// A question to the code of a library.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Question {
    /// Which children does the supervisor's init return for this start argument?
    Init { module: String, args: Vec<u8> },
    /// Can the module decode these bytes?
    Accepts { module: String, body: Kind, bytes: Vec<u8> },
}

/// The kind of the bytes to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    StartArgument,
    Call,
    Cast,
    Info,
    State,
}

/// The answer of the code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The spec that init returned, or `None` if init returned `ignore`.
    Wants(Option<SupervisorSpec>),
    /// The module can decode the bytes.
    Accepted,
    /// The code refused, for this reason.
    Refused(String),
    /// The code gave no answer, for this reason.
    Unknown(String),
}

impl Answer {
    /// Returns whether this answer may be cached, because the same code would give it again. A
    /// failure may have causes outside the code, such as a full disk or a busy machine.
    fn is_lasting(&self) -> bool {
        matches!(self, Self::Wants(_) | Self::Accepted)
    }
}

/// The contents of the file `questions`.
#[derive(Debug, Serialize, Deserialize)]
struct Sheet {
    app: String,
    version: String,
    questions: Vec<Question>,
}

/// The library to ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) app: &'a str,
    pub(crate) version: &'a str,
    pub(crate) file: &'a Path,
    pub(crate) sha256: &'a str,
}

/// A cache of lasting answers.
#[derive(Debug)]
pub(crate) struct Answers {
    /// The folder for questions and answers. It is not the system's folder for temporary files,
    /// which may be full or read-only.
    folder: PathBuf,
    kept: HashMap<(String, Question), Answer>,
}

impl Answers {
    /// Makes an empty cache.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, kept: HashMap::new() }
    }

    /// Returns the answers in the order of the questions. Only questions that are not cached are
    /// put to the library, and the cache is not locked meanwhile. If `given_up` ends the work
    /// early, the answers are meaningless and are not cached.
    pub(crate) fn of(
        answers: &Mutex<Self>,
        library: Subject<'_>,
        questions: &[Question],
        given_up: GivenUp<'_>,
    ) -> Vec<Answer> {
        let key = |question: &Question| (library.sha256.to_owned(), question.clone());
        let (folder, mut known) = {
            let answers = answers.lock();
            let known =
                |question: &Question| Some((question.clone(), answers.kept.get(&key(question))?.clone()));
            (answers.folder.clone(), questions.iter().filter_map(known).collect::<HashMap<_, _>>())
        };
        let unknown: Vec<Question> =
            questions.iter().filter(|question| !known.contains_key(question)).cloned().collect();
        let asked = ask(library, &folder, &unknown, given_up);
        let mut answers = answers.lock();
        if answers.kept.len() + unknown.len() > KEPT_MAX {
            answers.kept.retain(|(_, question), _| questions.contains(question));
        }
        for (question, answer) in unknown.into_iter().zip(asked) {
            if answer.is_lasting() && !given_up() {
                answers.kept.insert(key(&question), answer.clone());
            }
            known.insert(question, answer);
        }
        questions.iter().filter_map(|question| known.get(question).cloned()).collect()
    }
}

/// Asks the questions in throw-away processes. After a question without an answer, a new process
/// gets the remaining questions.
fn ask(library: Subject<'_>, folder: &Path, questions: &[Question], given_up: GivenUp<'_>) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    let mut attempts = 0..ATTEMPTS;
    while answers.len() < questions.len() {
        let (mut some, fault) = match attempts.next() {
            Some(_) if given_up() => (Vec::new(), "the client has left".to_owned()),
            Some(_) => attempt(library, folder, &questions[answers.len()..], given_up),
            None => (Vec::new(), "its library ended too many probe processes".to_owned()),
        };
        answers.append(&mut some);
        if answers.len() < questions.len() {
            answers.push(Answer::Unknown(fault));
        }
    }
    answers
}

/// Returns the answers of one attempt, and the fault that prevented the next answer.
fn attempt(
    library: Subject<'_>,
    folder: &Path,
    questions: &[Question],
    given_up: GivenUp<'_>,
) -> (Vec<Answer>, String) {
    let asked = || -> anyhow::Result<(Vec<Answer>, Option<String>)> {
        let folder = tempfile::tempdir_in(folder)?;
        let (app, version) = (library.app.to_owned(), library.version.to_owned());
        let sheet = Sheet { app, version, questions: questions.to_vec() };
        fs::write(folder.path().join("questions"), serde_json::to_vec(&sheet)?)?;
        let fault = probe::questions(library.file, folder.path(), PATIENCE, given_up);
        // The file does not exist if the process ended before its first answer.
        let lines = fs::read_to_string(folder.path().join("answers")).unwrap_or_default();
        let answers = lines.lines().map_while(|line| serde_json::from_str(line).ok());
        Ok((answers.take(questions.len()).collect(), fault))
    };
    match asked() {
        Ok((answers, fault)) => (answers, fault.unwrap_or_else(|| "it gave no answer".to_owned())),
        Err(error) => (Vec::new(), format!("cannot ask it: {error:#}")),
    }
}

/// Answers the questions in a folder. Runs in the throw-away process.
pub(crate) fn answer(file: &Path, folder: &Path) -> anyhow::Result<()> {
    let sheet: Sheet = serde_json::from_slice(&fs::read(folder.join("questions"))?)?;
    let loader = Loader::start(&folder.join("run"), || ())?;
    let request = OpenRequest {
        source: file.to_owned(),
        sha256: None,
        app: sheet.app.clone(),
        version: sheet.version.clone(),
    };
    let library = loader.open(request, PATIENCE)?;
    let mut answers = File::create(folder.join("answers"))?;
    for question in &sheet.questions {
        let mut line = serde_json::to_vec(&answer_to(question, library.modules()))?;
        line.push(b'\n');
        answers.write_all(&line).context("cannot write an answer")?;
    }
    // Exits without unloading the library, because its destructors must not run.
    std::process::exit(0)
}

fn answer_to(question: &Question, modules: &[std::sync::Arc<dyn Module>]) -> Answer {
    let (Question::Init { module: name, .. } | Question::Accepts { module: name, .. }) = question;
    let Some(module) = modules.iter().find(|module| module.name() == name) else {
        return Answer::Unknown(format!("the library has no module {name}"));
    };
    match question {
        Question::Init { args, .. } => match ask_init(&**module, args) {
            Ok(spec) => Answer::Wants(spec),
            Err(exit) => Answer::Refused(exit.to_string()),
        },
        Question::Accepts { body, bytes, .. } => match module.accepts(body_kind(*body), bytes) {
            Ok(()) => Answer::Accepted,
            Err(exit) => Answer::Refused(exit.to_string()),
        },
    }
}

fn body_kind(kind: Kind) -> BodyKind {
    match kind {
        Kind::StartArgument => BodyKind::Init,
        Kind::Call => BodyKind::Call,
        Kind::Cast => BodyKind::Cast,
        Kind::Info => BodyKind::Info,
        Kind::State => BodyKind::State,
    }
}
