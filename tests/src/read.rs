//! Typed readers of the output of `relctl --json`.

use std::fmt::Display;

use reld_api::ErrorReport;
use reld_api::response::{
    App, AppList, ChildStarted, CodeTable, Forest, Module, NodeStatus, Process, ProcessDetails, ProcessList,
    ProcessState, ReleaseList, ReleaseRow, Replied, Report, Spawned, TreeNode,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::node::Node;
use crate::run::eventually;

impl Node {
    /// Runs relctl, which must succeed, and reads its answer.
    #[track_caller]
    pub fn read<T: DeserializeOwned + Serialize>(&self, args: &[&str]) -> T {
        self.run(&[&["--json"], args].concat()).expect(0).read()
    }

    /// Runs relctl, which must fail with this exit code, and reads its error.
    #[track_caller]
    pub fn error(&self, code: i32, args: &[&str]) -> ErrorReport {
        self.run(&[&["--json"], args].concat()).expect(code).error()
    }

    /// Runs relctl, which must be refused with nothing changed (exit code 1).
    #[track_caller]
    pub fn refused(&self, args: &[&str]) -> ErrorReport {
        self.error(1, args)
    }

    /// Runs an upgrade of any kind (`upgrade`, `downgrade`, `install`), which must succeed.
    #[track_caller]
    pub fn report(&self, args: &[&str]) -> Report {
        self.read(args)
    }

    /// Returns the status of the node.
    #[track_caller]
    pub fn status(&self) -> NodeStatus {
        self.read(&["status"])
    }

    /// Returns the version of the running release.
    #[track_caller]
    pub fn version(&self) -> String {
        self.status().release.expect("the node runs a release").version
    }

    /// Returns the releases, latest first.
    #[track_caller]
    pub fn releases(&self) -> Vec<ReleaseRow> {
        self.read::<ReleaseList>(&["releases"]).releases
    }

    /// Returns the apps in their start order.
    #[track_caller]
    pub fn apps(&self) -> Vec<App> {
        self.read::<AppList>(&["apps"]).apps
    }

    /// Returns an app.
    #[track_caller]
    pub fn app(&self, name: &str) -> App {
        let mut apps = self.apps().into_iter();
        apps.find(|app| app.name == name).unwrap_or_else(|| panic!("no app {name}"))
    }

    /// Returns the code server's table.
    #[track_caller]
    pub fn code(&self) -> CodeTable {
        self.read(&["code"])
    }

    /// Returns a module.
    #[track_caller]
    pub fn module(&self, name: &str) -> Module {
        let mut modules = self.read::<CodeTable>(&["code", name]).modules;
        assert_eq!(modules.len(), 1, "modules {name}: {modules:#?}");
        modules.remove(0)
    }

    /// Checks that the node has modules, that all are current in this version, and that none has
    /// old code.
    #[track_caller]
    pub fn assert_code(&self, version: &str) {
        let modules = self.code().modules;
        assert!(!modules.is_empty(), "the node has no module");
        for module in &modules {
            assert_eq!((module.current.as_deref(), &module.old), (Some(version), &None), "{module:#?}");
        }
    }

    /// Returns every process.
    #[track_caller]
    pub fn ps(&self) -> Vec<Process> {
        self.read::<ProcessList>(&["ps"]).processes
    }

    /// Returns the details of a process.
    #[track_caller]
    pub fn proc(&self, process: &str) -> ProcessDetails {
        self.read(&["proc", process])
    }

    /// Returns the state of a process.
    #[track_caller]
    pub fn state(&self, process: &str) -> Value {
        self.read::<ProcessState>(&["state", process]).state
    }

    /// Calls a process and returns its reply. The request is JSON or a bare word.
    #[track_caller]
    pub fn call(&self, process: &str, request: impl Display) -> Value {
        self.read::<Replied>(&["call", process, &request.to_string()]).reply
    }

    /// Calls a process with a time-out in milliseconds.
    #[track_caller]
    pub fn call_within(&self, timeout_ms: u64, process: &str, request: impl Display) -> Value {
        let (timeout, request) = (timeout_ms.to_string(), request.to_string());
        self.read::<Replied>(&["call", process, &request, "--timeout", &timeout]).reply
    }

    /// Starts a child, which must run afterwards, and returns its pid.
    #[track_caller]
    pub fn start_child(&self, supervisor: &str, spec: impl Display) -> String {
        let started: ChildStarted = self.read(&["child", "start", supervisor, &spec.to_string()]);
        started.pid.unwrap_or_else(|| panic!("child {} does not run", started.id))
    }

    /// Starts a process outside every tree and returns its pid.
    #[track_caller]
    pub fn spawn(&self, module: &str, args: impl Display) -> String {
        self.read::<Spawned>(&["spawn", module, &args.to_string()]).pid
    }

    /// Returns the root supervisor's place in the tree of an app.
    #[track_caller]
    pub fn tree(&self, app: &str) -> TreeNode {
        let forest: Forest = self.read(&["tree", "--app", app]);
        forest.roots.into_iter().next().unwrap_or_else(|| panic!("{app} has no root supervisor"))
    }

    /// Returns the pid of an app's root supervisor.
    #[track_caller]
    pub fn supervisor(&self, app: &str) -> String {
        self.tree(app).pid.unwrap_or_else(|| panic!("the root supervisor of {app} does not run"))
    }

    /// Returns the place of a child, by its id, anywhere in the tree of an app.
    #[track_caller]
    pub fn child(&self, app: &str, id: impl Into<Value>) -> TreeNode {
        let (tree, id) = (self.tree(app), id.into());
        find(&tree, &id).cloned().unwrap_or_else(|| panic!("no child {id} in {tree:#?}"))
    }

    /// Returns the pid of a running child.
    #[track_caller]
    pub fn pid(&self, app: &str, id: impl Into<Value>) -> String {
        let child = self.child(app, id);
        child.pid.clone().unwrap_or_else(|| panic!("{child:#?} does not run"))
    }

    /// Waits until a child runs with another pid than `ended`, and returns the new pid.
    #[track_caller]
    pub fn restarted(&self, app: &str, id: impl Into<Value>, ended: &str) -> String {
        let id = id.into();
        eventually("the child runs again", || self.child(app, id.clone()).pid.filter(|pid| pid != ended))
    }
}

fn find<'a>(place: &'a TreeNode, id: &Value) -> Option<&'a TreeNode> {
    if place.id == *id { Some(place) } else { place.children.iter().find_map(|child| find(child, id)) }
}
