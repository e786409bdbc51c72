//! Shell completions and manual pages, generated from the clap definition and from the tables of
//! documents.

mod section5;

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use reld_plan::DOCUMENTS;

use crate::args::Args;
use crate::error::Failure;
use crate::shown::Shown;

pub(crate) fn completions(shell: Shell) -> Shown {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "relctl", &mut script);
    let text = String::from_utf8_lossy(&script).into_owned();
    Shown { text, ..Shown::nothing() }
}

/// Writes `relctl.1`, a page for each command that is not hidden, such as `relctl-upgrade.1`, and a
/// page for each document, such as `app.toml.5`.
pub(crate) fn pages(folder: &Path) -> Result<Shown, Failure> {
    let write = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Args::command().disable_help_subcommand(true), folder)?;
        DOCUMENTS
            .iter()
            .map(section5::page)
            .try_for_each(|(file, text)| std::fs::write(folder.join(file), text))
    };
    write().map_err(|fault| Failure::io("write", folder.display(), &fault))?;
    Ok(Shown::nothing())
}
