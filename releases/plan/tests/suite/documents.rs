//! Two releases in one text: `--- from/release.toml`, `--- to/APP/appup.toml` and so on, each
//! followed by its document.

use std::collections::BTreeMap;

use reld_plan::{AppDocs, PlanError, Rel, Release, RelupFile, RelupOptions};

/// The documents of a case, by path.
pub(crate) struct Documents(BTreeMap<String, String>);

impl Documents {
    pub(crate) fn parse(text: &str) -> Self {
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        let mut path = String::new();
        for line in text.lines() {
            match line.strip_prefix("--- ") {
                Some(next) => path = next.to_owned(),
                None => *files.entry(path.clone()).or_default() += &format!("{line}\n"),
            }
        }
        Self(files)
    }

    pub(crate) fn release(&self, side: &str) -> Result<Release, PlanError> {
        let rel = format!("{side}/release.toml");
        let docs = self.0.iter().filter(|(path, _)| path.starts_with(side) && path.ends_with("/app.toml"));
        let docs = docs.map(|(path, text)| self.app(path, text)).collect::<Result<Vec<_>, _>>()?;
        let release = Release::new(Rel::parse(&rel, &self.0[&rel])?, docs)?;
        let path = format!("{side}/relup.toml");
        Ok(match self.0.get(&path) {
            Some(text) => release.with_relup(RelupFile::parse(&path, text)?),
            None => release,
        })
    }

    fn app(&self, path: &str, text: &str) -> Result<AppDocs, PlanError> {
        let appup_path = path.replace("/app.toml", "/appup.toml");
        let appup = self.0.get(&appup_path).map(|text| (appup_path.as_str(), text.as_str()));
        Ok(AppDocs::parse((path, text), appup)?)
    }

    pub(crate) fn options(&self) -> RelupOptions {
        let options = self.0.get("options").map_or("", String::as_str);
        RelupOptions { restart_daemon: options.contains("restart_daemon") }
    }
}
