//! Where an app gets its SDK from: a version of the published crate, or a folder with `sdk`, `abi`
//! and `wire`, as `daemon/` of the repository and an installation have them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use reld_plan::Vsn;

use crate::error::Failure;

/// The SDK of an installation with `relctl` in `bin`, and that of a clone with `relctl` in
/// `target/PROFILE`; relative to `bin`'s folder and to `target`.
const PLACES: [&str; 2] = ["share/reld/sdk", "../daemon"];

/// The headers for apps without cargo, in `abi`.
const HEADERS: [&str; 2] = ["reld.h", "reld_stateless.h"];

#[derive(Debug)]
pub(super) enum Sdk {
    /// A version of the crate reld-sdk.
    Version(String),
    /// A folder, as an absolute path.
    Folder(PathBuf),
}

impl Sdk {
    /// Returns the SDK that `--sdk` names, or by default the one that belongs to `relctl`.
    pub(super) fn find(named: Option<&str>) -> Result<Self, Failure> {
        let Some(named) = named else { return Self::installed() };
        if named.parse::<Vsn>().is_ok() {
            return Ok(Self::Version(named.to_owned()));
        }
        folder(Path::new(named)).map(Self::Folder).ok_or_else(|| {
            Failure::usage(format!("cannot use the SDK {named}: it is not a version, and no folder with sdk/Cargo.toml and abi/reld.h"))
                .or_hint("name a version such as 0.1.0, or the folder `daemon` in a clone of reld's repository")
        })
    }

    fn installed() -> Result<Self, Failure> {
        let program =
            env::current_exe().map_err(|fault| Failure::io("find", "the path of relctl", &fault))?;
        let home = program.ancestors().nth(2).unwrap_or(Path::new("/"));
        let found = PLACES.iter().find_map(|place| folder(&home.join(place)));
        found.map(Self::Folder).ok_or_else(|| {
            let expected = home.join(PLACES[0]);
            Failure::usage(format!("cannot find the SDK: {} is missing", expected.display())).or_hint(
                "install it with packaging/install, or name it with --sdk: the folder `daemon` in a clone of reld's repository",
            )
        })
    }

    /// Returns the requirement for `reld-sdk` in a `Cargo.toml`.
    pub(super) fn requirement(&self) -> String {
        match self {
            Self::Version(version) => format!("{version:?}"),
            Self::Folder(folder) => {
                let path = toml::Value::from(&*folder.join("sdk").to_string_lossy());
                format!("{{ path = {path} }}")
            }
        }
    }

    /// Returns the names and texts of the headers, which an app without cargo has copies of.
    pub(super) fn headers(&self) -> Result<Vec<(String, String)>, Failure> {
        let Self::Folder(folder) = self else {
            return Err(Failure::usage("cannot take reld.h from a version of the SDK")
                .or_hint("name a folder with --sdk: an app in C has a copy of its abi/reld.h"));
        };
        let header = |name: &&str| {
            let path = folder.join("abi").join(name);
            let text = fs::read_to_string(&path);
            text.map(|text| ((*name).to_owned(), text))
                .map_err(|fault| Failure::io("read", path.display(), &fault))
        };
        HEADERS.iter().map(header).collect()
    }
}

/// Returns the absolute path of a folder with an SDK.
fn folder(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    (path.join("sdk/Cargo.toml").is_file() && path.join("abi/reld.h").is_file()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_quote_in_its_name_is_a_valid_requirement() {
        let text = format!("sdk = {}", Sdk::Folder("/a \"b\" \\c".into()).requirement());
        let parsed: toml::Table = text.parse().expect("it is TOML");
        assert_eq!(parsed["sdk"]["path"].as_str(), Some("/a \"b\" \\c/sdk"));
    }
}
