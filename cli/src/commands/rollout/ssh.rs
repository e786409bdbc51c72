//! Commands on the hosts, through ssh.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use reld_api::{ErrorCode, ErrorReport};
use tempfile::tempfile;
use tokio::process::Command;

use crate::error::Failure;

/// The exit code of ssh for faults of its own.
const FAULT: i32 = 255;

/// The longest reason that is kept of a lost line, in characters.
const REASON_MAX: usize = 300;

/// The way to the hosts.
#[derive(Debug)]
pub(super) struct Ssh {
    program: String,
    options: Vec<String>,
    /// relctl on the hosts, as shell text.
    relctl: String,
}

/// A command on a host has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) stdout: String,
    /// The last line of stderr.
    pub(super) complaint: String,
}

/// The line to a host is lost, for this reason. The command may still run there.
#[derive(Debug)]
pub(super) struct Lost(pub(super) String);

impl Ssh {
    /// Splits the command at blanks, without a shell.
    ///
    /// # Errors
    /// The program is missing. Each node would seem to be silent.
    pub(super) fn new(command: &str, relctl: &str) -> Result<Self, Failure> {
        let mut words = command.split_whitespace().map(str::to_owned);
        let program = words.next().ok_or_else(|| Failure::usage("cannot reach a host: --ssh is empty"))?;
        if !can_be_run(&program) {
            let why = format!("cannot reach a host: there is no program {program}");
            return Err(ErrorReport::refused(ErrorCode::Io, why)
                .with_hint("install it, or name another command with --ssh")
                .into());
        }
        Ok(Self { program, options: words.collect(), relctl: relctl.to_owned() })
    }

    /// Runs relctl with several lists of arguments, one after the other, up to the first that
    /// fails. `stdin` is a file that the first one reads.
    ///
    /// Dropping the future ends the ssh command. The node goes on with an order that has begun.
    pub(super) async fn relctl(
        &self,
        host: &str,
        lines: &[&[&str]],
        stdin: Option<&Path>,
    ) -> Result<Ended, Lost> {
        let line = |args: &&[&str]| {
            let args: Vec<_> = args.iter().map(|arg| quoted(arg)).collect();
            format!("{} --json {}", self.relctl, args.join(" "))
        };
        let lines: Vec<_> = lines.iter().map(line).collect();
        self.run(host, &lines.join(" && "), stdin).await
    }

    async fn run(&self, host: &str, line: &str, stdin: Option<&Path>) -> Result<Ended, Lost> {
        let Self { program, options, .. } = self;
        let stdin = match stdin {
            None => Stdio::null(),
            Some(path) => {
                let file = File::open(path);
                file.map_err(|fault| Lost(format!("cannot read {}: {fault}", path.display())))?.into()
            }
        };
        let fault = |fault: io::Error| Lost(format!("cannot run {program}: {fault}"));
        // Files, because a background process of ssh (ControlPersist) keeps pipes open after its
        // end.
        let (stdout, stderr) = (tempfile().map_err(fault)?, tempfile().map_err(fault)?);
        let mut ssh = Command::new(program);
        ssh.args(options).arg(host).arg(line).stdin(stdin).kill_on_drop(true);
        ssh.stdout(stdout.try_clone().map_err(fault)?).stderr(stderr.try_clone().map_err(fault)?);
        let status = ssh.spawn().map_err(fault)?.wait().await.map_err(fault)?;
        let (stdout, stderr) = (text(stdout).map_err(fault)?, text(stderr).map_err(fault)?);
        let complaint = last_line(&stderr);
        match status.code() {
            None => Err(Lost(format!("{program} ended with {status}"))),
            Some(FAULT) if complaint.is_empty() => Err(Lost(format!("{program} exited with {FAULT}"))),
            Some(FAULT) => Err(Lost(complaint)),
            Some(code) => Ok(Ended { code, stdout, complaint }),
        }
    }
}

/// Returns whether a program exists: a path, or a name in a folder of `PATH`.
fn can_be_run(program: &str) -> bool {
    let is_path = program.contains('/');
    let folders = if is_path { ".".into() } else { std::env::var_os("PATH").unwrap_or_default() };
    let is_program = |file: PathBuf| {
        file.metadata().is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&folders).any(|folder| is_program(folder.join(program)))
}

/// Returns the content of a file that another process has written.
fn text(mut file: File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default()
        .chars()
        .take(REASON_MAX)
        .collect()
}

/// Quotes a word for a shell, unless it has only harmless characters.
fn quoted(word: &str) -> String {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || "-_./+:=@%,".contains(c);
    if !word.is_empty() && word.chars().all(is_harmless) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A file of the operator, relative to the folder of a document.
pub(super) fn beside(document: &Path, file: &str) -> PathBuf {
    document.parent().unwrap_or(Path::new("")).join(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reaches_the_host_as_it_is() {
        let words = ["a b", "it's", "$(reboot)", "", "1.1.0+dev.3", "`x`", "a\nb", "\\"];
        for word in words {
            let mut shell = std::process::Command::new("sh");
            let printed = shell.arg("-c").arg(format!("printf %s {}", quoted(word))).output().unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), word);
        }
    }
}
