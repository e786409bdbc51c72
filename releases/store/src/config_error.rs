//! The errors of a node's own configuration.

use std::path::PathBuf;

use reld_plan::DocError;

/// The reason why the configuration of a node cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is invalid; the error points into it.
    #[error("cannot use the configuration of this node; correct the file, or move it away: {0}")]
    Invalid(DocError),
    /// The file is a link, which must not become a file.
    #[error(
        "cannot write {}: it is a link; change the file that it leads to, then run `relctl env reload`",
        .0.display()
    )]
    Linked(PathBuf),
    /// Another program has changed the file while it was edited.
    #[error("cannot write {}: another program has changed it in the meantime; try again", .0.display())]
    Changed(PathBuf),
}
