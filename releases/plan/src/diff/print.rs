//! Prints a comparison for people: the changes, the findings and the drafts.

use std::fmt;

use super::{AppChange, AppDiff, Diff, KeyDiff, ModuleChange, ModuleDiff};

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "from {} to {}", self.from, self.to)?;
        if let Some([from, to]) = &self.daemon {
            writeln!(f, "\nthe daemon changes from {from} to {to}: the node restarts")?;
        }
        self.apps.iter().try_for_each(|app| print_app(f, app))?;
        if !self.config.is_empty() {
            writeln!(f, "\nconfig.toml")?;
            self.config.iter().try_for_each(|key| print_key(f, key))?;
        }
        let none = if self.findings.is_empty() { ": none" } else { "" };
        writeln!(f, "\nfindings{none}")?;
        for finding in &self.findings {
            let of = finding.module.as_ref().map(|module| format!(", {module}")).unwrap_or_default();
            let way = finding.direction.map(|mode| format!(" {}", mode.as_str())).unwrap_or_default();
            writeln!(f, "  {}{way}: {}{of}: {}", finding.class, finding.app, finding.message)?;
        }
        let drafts = self.apps.iter().filter_map(|app| Some((app, app.to.as_ref()?, app.draft.as_ref()?)));
        for (app, version, draft) in drafts {
            write!(f, "\n--- lib/{}-{version}/appup.toml\n{draft}", app.app)?;
        }
        Ok(())
    }
}

fn print_app(f: &mut fmt::Formatter<'_>, app: &AppDiff) -> fmt::Result {
    let versions = match (&app.from, &app.to) {
        (Some(from), Some(to)) if from != to => format!("{from} -> {to}"),
        (Some(version), _) | (None, Some(version)) => version.to_string(),
        (None, None) => String::new(),
    };
    let change = match app.change {
        AppChange::Added => "added",
        AppChange::Removed => "removed",
        AppChange::Changed => "changed",
        AppChange::Restarted => "restarted, its state is lost",
        AppChange::Unchanged => "unchanged",
    };
    writeln!(f, "\n{} {versions}: {change}", app.app)?;
    if let Some([from, to]) = app.start_type {
        writeln!(f, "  type: {from} -> {to}")?;
    }
    app.modules.iter().try_for_each(|module| print_module(f, module))?;
    if !app.env.is_empty() {
        writeln!(f, "  env")?;
    }
    app.env.iter().try_for_each(|key| print_key(f, key))
}

fn print_module(f: &mut fmt::Formatter<'_>, module: &ModuleDiff) -> fmt::Result {
    let change = match module.change {
        ModuleChange::Added => "added",
        ModuleChange::Removed => "removed",
        ModuleChange::Unchanged => "as before",
        ModuleChange::Additive => "additive",
        ModuleChange::NeedsCode => "needs code",
        ModuleChange::ChildSpecs => "child specs changed",
        ModuleChange::Unknown => "compare by hand",
    };
    let behaviour = module.behaviour.as_ref().map(|word| format!(" ({word})")).unwrap_or_default();
    writeln!(f, "  {}{behaviour}: {change}", module.module)?;
    module.up.iter().try_for_each(|why| writeln!(f, "    up: {why}"))?;
    module.down.iter().try_for_each(|why| writeln!(f, "    down: {why}"))?;
    module.interface.iter().try_for_each(|why| writeln!(f, "    up: {why}"))?;
    module.interface_down.iter().try_for_each(|why| writeln!(f, "    down: {why}"))
}

fn print_key(f: &mut fmt::Formatter<'_>, key: &KeyDiff) -> fmt::Result {
    let shown =
        |value: &Option<serde_json::Value>| value.as_ref().map_or("nothing".to_owned(), ToString::to_string);
    writeln!(f, "    {}: {} -> {}", key.key, shown(&key.from), shown(&key.to))
}
