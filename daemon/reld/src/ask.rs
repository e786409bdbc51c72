//! Asks the code of a library questions in a process that is thrown away, so that whatever it does hurts nobody.
//!
//! ```text
//! daemon                                   reld probe FILE --ask DIR
//!   writes DIR/questions (JSON)  -------->   opens FILE, reads the questions
//!                                            writes an answer to each, one a line, as soon as it has it
//!   reads DIR/answers            <--------   ends
//! ```
//!
//! Code that crashes, or does not come back, takes the process with it: the question that is not answered is the one,
//! and the others are asked again without it. Outside a process of a node the functions of the SDK answer that they are
//! refused, as they do where an upgrade asks the same code.

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

/// How long all questions to one library may take, and at least each.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a library is asked anew, after code of it that crashed or did not come back.
const ATTEMPTS: usize = 8;

/// How many answers are kept for the next time.
const KEPT_MAX: usize = 10_000;

/// Something to ask the code of a library.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Question {
    /// What a supervisor wants that was started with this.
    Init { module: String, args: Vec<u8> },
    /// Whether a module would decode this.
    Accepts { module: String, body: Kind, bytes: Vec<u8> },
}

/// What bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    StartArgument,
    Call,
    Cast,
    Info,
    State,
}

/// What the code answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// A supervisor's spec; `None` for `ignore`.
    Wants(Option<SupervisorSpec>),
    /// It would decode the bytes.
    Accepted,
    /// It says no, and why.
    Refused(String),
    /// It could not be asked, and why.
    Unknown(String),
}

impl Answer {
    /// Says whether the same code would answer this again. A failure may have come of a full disk, of a machine too busy,
    /// of anything outside the code.
    fn is_lasting(&self) -> bool {
        matches!(self, Self::Wants(_) | Self::Accepted)
    }
}

/// What the questions and the opening need.
#[derive(Debug, Serialize, Deserialize)]
struct Sheet {
    app: String,
    version: String,
    questions: Vec<Question>,
}

/// A library that can be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) app: &'a str,
    pub(crate) version: &'a str,
    pub(crate) file: &'a Path,
    pub(crate) sha256: &'a str,
}

/// What libraries have answered for good.
#[derive(Debug)]
pub(crate) struct Answers {
    /// Where questions and answers pass. Not the system's folder for temporary files: it may be full, or lie
    /// where nothing may be written.
    folder: PathBuf,
    kept: HashMap<(String, Question), Answer>,
}

impl Answers {
    /// Returns that none has answered yet.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, kept: HashMap::new() }
    }

    /// Returns the answers to some questions, in their order; asks what was not asked before. Others may ask meanwhile.
    /// What is given up is answered by nothing that counts, and asked anew the next time.
    pub(crate) fn of(
        answers: &Mutex<Self>,
        library: Asked<'_>,
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

/// Asks in a process of its own, again and again without what has no answer.
fn ask(library: Asked<'_>, folder: &Path, questions: &[Question], given_up: GivenUp<'_>) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    let mut attempts = 0..ATTEMPTS;
    while answers.len() < questions.len() {
        let (mut some, fault) = match attempts.next() {
            Some(_) if given_up() => (Vec::new(), "nobody waits for the answer".to_owned()),
            Some(_) => attempt(library, folder, &questions[answers.len()..], given_up),
            None => (Vec::new(), "its library ended too many processes that asked it".to_owned()),
        };
        answers.append(&mut some);
        if answers.len() < questions.len() {
            answers.push(Answer::Unknown(fault));
        }
    }
    answers
}

/// Returns the answers that came, and what came in place of the next.
fn attempt(
    library: Asked<'_>,
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
        // Where it came to no answer there may be no file.
        let lines = fs::read_to_string(folder.path().join("answers")).unwrap_or_default();
        let answers = lines.lines().map_while(|line| serde_json::from_str(line).ok());
        Ok((answers.take(questions.len()).collect(), fault))
    };
    match asked() {
        Ok((answers, fault)) => (answers, fault.unwrap_or_else(|| "it gave no answer".to_owned())),
        Err(error) => (Vec::new(), format!("it could not be asked: {error:#}")),
    }
}

/// Answers the questions in a folder, in the process that is thrown away.
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
        answers.write_all(&line).context("an answer cannot be written")?;
    }
    // Nothing of the library is needed any more, its destructors least of all.
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
