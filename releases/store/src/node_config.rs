//! `config.toml` below the root: the configuration of one node. An operator writes it, by hand or
//! with `relctl env set`; a release never does.
//!
//! A node without the file has no configuration of its own. An invalid file is an error, because
//! apps must not run with other values than the operator wrote.

use reld_plan::{Config, ConfigEdit};

use crate::config_error::ConfigError;
use crate::documents::text_of_file;
use crate::error::Error;
use crate::layout::Root;

/// The access mode of the file. It may hold secrets, so only the daemon's user and group read it.
const MODE: u32 = 0o640;

/// The configuration of a node, with the text of its file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NodeConfig {
    /// The configuration.
    pub config: Config,
    text: String,
}

impl NodeConfig {
    /// Reads the file of a root.
    ///
    /// # Errors
    /// [`Error::NodeConfig`] with the place of the mistake, [`Error::NotPlain`],
    /// [`Error::TooLong`], [`Error::NotText`] and [`Error::Io`].
    pub fn read(root: &Root) -> Result<Self, Error> {
        let path = root.config_file();
        let text = text_of_file(&path, &path)?.unwrap_or_default();
        let config = Config::parse(&path.to_string_lossy(), &text).map_err(ConfigError::Invalid)?;
        Ok(Self { config, text })
    }

    /// Returns the configuration after an edit. Changes nothing on disk.
    ///
    /// # Errors
    /// [`Error::Document`] if TOML cannot represent a value.
    pub fn edited(&self, root: &Root, edit: &ConfigEdit) -> Result<Self, Error> {
        let path = root.config_file();
        let text = Config::edited(&path.to_string_lossy(), &self.text, edit)?;
        let config = Config::parse(&path.to_string_lossy(), &text)?;
        Ok(Self { config, text })
    }

    /// Writes the file in place of `old`. A file that is a link is refused, because another program
    /// manages its target.
    pub(crate) fn write(&self, root: &Root, old: &Self) -> Result<(), Error> {
        let path = root.config_file();
        if self.text == old.text {
            return Ok(());
        }
        if path.is_symlink() {
            return Err(ConfigError::Linked(path).into());
        }
        if text_of_file(&path, &path)?.unwrap_or_default() != old.text {
            return Err(ConfigError::Changed(path).into());
        }
        root.replace_as(&path, &self.text, MODE)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use super::*;
    use crate::disk::double::{Fault, FaultyDisk};

    fn root() -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::new(folder.path());
        (folder, root)
    }

    fn edit(set: &str) -> ConfigEdit {
        ConfigEdit { set: Config::parse("set", set).unwrap(), ..ConfigEdit::default() }
    }

    #[test]
    fn the_file_is_private_and_keeps_its_comments() {
        let (_folder, root) = root();
        assert_eq!(NodeConfig::read(&root).unwrap(), NodeConfig::default());
        fs::write(root.config_file(), "# by hand\n[counter]\nlimit = 5\n").unwrap();
        let read = NodeConfig::read(&root).unwrap();
        read.edited(&root, &edit("counter.limit = 6")).unwrap().write(&root, &read).unwrap();
        assert_eq!(fs::read_to_string(root.config_file()).unwrap(), "# by hand\n[counter]\nlimit = 6\n");
        let mode = fs::metadata(root.config_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
    }

    #[test]
    fn a_broken_file_is_an_error_with_its_line() {
        let (_folder, root) = root();
        fs::write(root.config_file(), "[counter]\nlimit = \n").unwrap();
        let error = NodeConfig::read(&root).unwrap_err();
        assert!(matches!(&error, Error::NodeConfig(ConfigError::Invalid(at)) if at.line == 2), "{error}");
    }

    #[test]
    fn a_link_is_read_and_not_replaced() {
        let (_folder, root) = root();
        let elsewhere = root.path().join("elsewhere.toml");
        fs::write(&elsewhere, "counter.limit = 5\n").unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.config_file()).unwrap();
        let read = NodeConfig::read(&root).unwrap();
        let edited = read.edited(&root, &edit("counter.limit = 6")).unwrap();
        assert!(matches!(edited.write(&root, &read), Err(Error::NodeConfig(ConfigError::Linked(_)))));
        assert_eq!(NodeConfig::read(&root).unwrap(), read);
    }

    #[test]
    fn a_change_by_another_program_is_not_overwritten() {
        let (_folder, root) = root();
        let read = NodeConfig::read(&root).unwrap();
        let edited = read.edited(&root, &edit("counter.limit = 6")).unwrap();
        fs::write(root.config_file(), "counter.limit = 5\n").unwrap();
        assert!(matches!(edited.write(&root, &read), Err(Error::NodeConfig(ConfigError::Changed(_)))));
        assert_eq!(fs::read_to_string(root.config_file()).unwrap(), "counter.limit = 5\n");
    }

    #[test]
    fn a_write_interrupted_at_any_step_leaves_the_old_or_the_new_file() {
        for fault in [Fault::Dead, Fault::Once] {
            for step in 0.. {
                let (folder, root) = root();
                let old = NodeConfig::default().edited(&root, &edit("counter.limit = 5")).unwrap();
                old.write(&root, &NodeConfig::default()).unwrap();
                let new = old.edited(&root, &edit("counter.limit = 6")).unwrap();
                let faulty = Root::on(folder.path(), Arc::new(FaultyDisk::new(fault, step)));
                let written = new.write(&faulty, &old);
                let found = NodeConfig::read(&root).unwrap();
                assert!(found == old || found == new, "{fault:?} at step {step}: {found:?}");
                if written.is_ok() {
                    assert_eq!(found, new);
                    break;
                }
                new.write(&root, &found).unwrap();
                assert_eq!(NodeConfig::read(&root).unwrap(), new);
            }
        }
    }
}
