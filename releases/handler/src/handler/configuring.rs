//! Changes the node's own configuration while its release runs. OTP has no such order: there,
//! `application:set_env` changes a value until the next restart, without a notice to the app.
//!
//! | step | failure | way back |
//! |---|---|---|
//! | read the file, edit it, compare the environments | the order is refused | nothing was done |
//! | notify each app with another environment, in start order | an app refuses, crashes or takes too long | the notified apps get their previous environment, the latest first |
//! | write the file | the disk | the same |
//!
//! The file is written last, so after a crash of the daemon at any point the next boot has the old
//! or the new configuration as a whole.

use std::time::Duration;

use reld_plan::{AppName, ConfigEdit, Layers, Origin, ReleaseApp, StartType};
use reld_store::{Documents, NodeConfig};
use serde_json::{Map, Value};

use super::{Life, ReleaseHandler};
use crate::candidate::{chain, spec};
use crate::check::unknown_in_config;
use crate::configure::{ChangedApp, Configure, Configured};
use crate::error::Error;
use crate::limits::deadline;
use crate::node::{AppSpec, Node};

/// The change of one app's environment.
struct Step {
    app: AppName,
    before: Map<String, Value>,
    after: Map<String, Value>,
}

impl<N: Node> ReleaseHandler<N> {
    /// Returns the layers of configuration of the running release.
    pub fn layers(&self) -> Layers {
        self.running().and_then(|vsn| self.store.layers(vsn).ok()).unwrap_or_default()
    }

    /// Changes the node's own configuration, and notifies the apps. On an idle node, only the file
    /// changes.
    ///
    /// # Errors
    /// [`Error::NeedsRestart`]; [`Error::NoSuchApp`]; [`Error::BadValue`]; [`Error::Store`] if the
    /// file cannot be read or edited; [`Error::NotConfigured`] if an app or the disk did not take
    /// the change.
    pub fn configure(&mut self, order: &Configure) -> Result<Configured, Error> {
        if self.life == Life::NeedsRestart {
            return Err(Error::NeedsRestart);
        }
        let old = self.store.read_config()?;
        let new = old.edited(self.store.root(), &order.edit)?;
        let running = self.lineup().map(|lineup| lineup.documents(&self.store)).transpose()?;
        let (steps, mut warnings) = match running {
            Some(documents) => self.steps(documents, &order.edit, &new)?,
            None => (Vec::new(), Vec::new()),
        };
        let processes = self.node.which_applications();
        let notified = |app: &AppName| processes.get(app).is_some_and(Option::is_some);
        let apps = steps.iter().map(|step| step.described(notified(&step.app))).collect();
        let changed = old != new || !steps.is_empty();
        if !order.dry_run {
            warnings.extend(self.take(&steps, (&old, new), order.limit)?);
        }
        Ok(Configured { changed, apps, warnings })
    }

    /// Compares the environments of the running release under the old and the new configuration.
    fn steps(
        &self,
        mut documents: Documents,
        edit: &ConfigEdit,
        new: &NodeConfig,
    ) -> Result<(Vec<Step>, Vec<String>), Error> {
        let release = documents.release.clone();
        if let Some(app) = edit.set.apps.keys().find(|app| release.app(app).is_none()) {
            let apps = release.apps().iter().map(|app| app.name().clone()).collect();
            return Err(Error::NoSuchApp { app: app.clone(), vsn: release.version().clone(), apps });
        }
        let loaded = || release.start_order().filter(|app| app.start_type != StartType::None);
        let before: Vec<AppSpec> = loaded().map(|app| self.spec(&documents, app)).collect();
        documents.config.node = new.config.clone();
        let after: Vec<AppSpec> = loaded().map(|app| self.spec(&documents, app)).collect();
        let refused = |spec: &AppSpec| Some((spec.name.clone(), self.node.refuses_spec(spec)?));
        if let Some((app, reason)) = after.iter().find_map(refused) {
            return Err(Error::BadValue { app, reason });
        }
        let pairs = before.into_iter().zip(after).filter(|(before, after)| before.env != after.env);
        let steps =
            pairs.map(|(before, after)| Step { app: after.name, before: before.env, after: after.env });
        let hidden = edit.set.apps.iter().flat_map(|(app, env)| env.keys().map(move |key| (app, key)));
        let hidden = hidden.filter(|(app, key)| documents.config.origin(app, key) == Origin::CommandLine);
        let hidden = hidden.map(|(app, key)| {
            format!("{app}.{key} keeps the value of the daemon's command line, which takes precedence")
        });
        Ok((steps.collect(), hidden.chain(unknown_in_config(&documents)).collect()))
    }

    fn spec(&self, documents: &Documents, app: &ReleaseApp) -> AppSpec {
        spec(self.store.root().app_dir(app.name(), app.version()), documents, app)
    }

    /// Notifies the apps and writes the file, or undoes both. Returns a warning.
    fn take(
        &mut self,
        steps: &[Step],
        (old, new): (&NodeConfig, NodeConfig),
        limit: Duration,
    ) -> Result<Option<String>, Error> {
        for (done, Step { app, after, .. }) in steps.iter().enumerate() {
            if let Err(error) = self.node.configure(app, after, deadline(limit)) {
                return Err(self.untake(&steps[..done], error.to_string(), limit));
            }
        }
        let config = new.config.clone();
        match self.store.write_config(old, new) {
            Ok(()) => Ok(None),
            // The file is in place, and only its sync failed. A restart would read it.
            Err(error) if *self.store.config() == config && old.config != config => Ok(Some(format!(
                "{}; the new values are in force, but a power cut may lose them",
                chain(&error)
            ))),
            Err(error) => Err(self.untake(steps, chain(&error), limit)),
        }
    }

    fn untake(&mut self, done: &[Step], cause: String, limit: Duration) -> Error {
        let undo = |step: &Step| self.node.configure(&step.app, &step.before, deadline(limit));
        let undone = done.iter().rev().map(undo);
        let not_undone = undone.filter_map(|undone| undone.err().map(|error| error.to_string())).collect();
        Error::NotConfigured { cause, not_undone }
    }
}

impl Step {
    fn described(&self, notified: bool) -> ChangedApp {
        let Self { app, before, after } = self;
        let pick = |is_wanted: &dyn Fn(&String, &Value) -> bool| {
            let wanted = after.iter().filter(|(key, value)| is_wanted(key, value));
            wanted.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        ChangedApp {
            app: app.clone(),
            notified,
            changed: pick(&|key, value| before.get(key).is_some_and(|old| old != value)),
            new: pick(&|key, _| !before.contains_key(key)),
            removed: before.keys().filter(|key| !after.contains_key(*key)).cloned().collect(),
        }
    }
}
