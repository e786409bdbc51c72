//! All requests and their routes.

use std::fmt;
use std::time::Duration;

use reld_error_codes::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{ErrorReport, ExitCode};
use crate::response as r;

mod env;
mod fleet;
mod look;
mod release;
mod touch;

pub use crate::child_spec::{ChildSpec, ChildType, Restart, Shutdown};
pub use env::{Env, SetEnv};
pub use fleet::{
    Fleet, FleetNodes, FleetRollout, HaltRollout, PauseRollout, RemoveNode, ResumeRollout, SkipNode,
    StartRollout, TakeBackRollout,
};
pub use look::{
    Apps, ChildSpecOf, Children, Code, Events, FollowLogs, Logs, MessageLog, Ports, Process, Processes,
    State, Statistics, Status, SysStatus, Tables, Top, TopSort, Tree,
};
pub use release::{
    Abort, Attach, Check, CheckApp, CheckDowngrade, CheckPrune, Commit, Crashes, Downgrade, End, Fetch,
    History, Install, Keys, Mode, Orphans, Policy, Probe, Prune, RebootOld, Releases, Remove, Script, Settle,
    Timeouts, Unpack, Unrest, Upgrade, UpgradeApp, Verify,
};
pub use touch::{
    AppStart, AppStop, Call, Cast, ChangeCode, ChildDelete, ChildRestart, ChildStart, ChildTerminate,
    CountMessages, KeepLog, Kill, Load, NewChild, NoDebug, Purge, ReplaceState, Resume, SoftPurge, Spawn,
    SpawnLink, Suspend, Terminate, Trace, TraceKind,
};

/// The client's time limit for answers that the daemon reads from its own tables.
const QUICK: Duration = Duration::from_secs(10);

/// The client's time limit for answers that run app code. The daemon limits each step of such a
/// request and normally answers much earlier.
const LONG: Duration = Duration::from_secs(3600);

/// The way in which a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET` with the request as the query. It changes nothing, and every client of the socket may
    /// send it.
    Get,
    /// `POST` with the request as the JSON body. Only the daemon's own user and root may send it.
    Post,
    /// `POST` with a tarball as the body and the request as the query. Only the daemon's own user
    /// and root may send it.
    Upload,
    /// Like [`Post`](Self::Post), but answered by a stream of responses, one JSON document per
    /// line.
    Follow,
    /// Like [`Get`](Self::Get), but answered by server-sent events. The data of each event is a
    /// response. A client that reconnects with `Last-Event-ID` gets the events after that one.
    Watch,
}

/// A request to a node.
pub trait Request: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static {
    /// The HTTP method, and the place of the request and the answer in it.
    const METHOD: Method;
    /// The path of the route.
    const PATH: &'static str;
    /// The client's default time limit for the answer.
    const PATIENCE: Duration;
    /// The answer. With [`Method::Follow`] and [`Method::Watch`] it is one part of the answer.
    type Response: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static;
}

macro_rules! routes {
    ($($method:ident $path:literal $request:ident -> $response:ident within $patience:ident;)*) => {
        $(impl Request for $request {
            const METHOD: Method = Method::$method;
            const PATH: &'static str = $path;
            const PATIENCE: Duration = $patience;
            type Response = r::$response;
        })*

        /// Every route, in the order of the table in this file.
        pub const ROUTES: &[(Method, &str)] = &[$((Method::$method, $path)),*];
    };
}

routes! {
    Upload "/releases/unpack"     Unpack         -> Unpacked       within LONG;
    Post   "/releases/fetch"      Fetch          -> Unpacked       within LONG;
    Get    "/releases/check"      Check          -> Checked        within LONG;
    Get    "/releases/check_downgrade" CheckDowngrade -> Checked   within LONG;
    Post   "/releases/install"    Install        -> Report         within LONG;
    Post   "/releases/commit"     Commit         -> Committed      within LONG;
    Post   "/releases/remove"     Remove         -> Removed        within LONG;
    Post   "/releases/prune"      Prune          -> Pruned         within LONG;
    Get    "/releases/check_prune" CheckPrune    -> Pruned         within LONG;
    Get    "/releases/verify"     Verify         -> Verified       within LONG;
    Post   "/releases/reboot_old" RebootOld      -> Rebooting      within LONG;
    Post   "/releases/upgrade"    Upgrade        -> Report         within LONG;
    Post   "/releases/downgrade"  Downgrade      -> Report         within LONG;
    Upload "/releases/check_app"  CheckApp       -> Checked        within LONG;
    Upload "/releases/upgrade_app" UpgradeApp    -> Report         within LONG;
    Post   "/releases/abort"      Abort          -> HistoryEntry   within LONG;
    Follow "/releases/attach"     Attach         -> Attached       within QUICK;
    Get    "/releases/history"    History        -> HistoryList    within QUICK;
    Get    "/releases/keys"       Keys           -> KeyList        within QUICK;
    Get    "/releases"            Releases       -> ReleaseList    within QUICK;

    Get    "/status"              Status         -> NodeStatus     within QUICK;
    Get    "/tree"                Tree           -> Forest         within QUICK;
    Get    "/processes"           Processes      -> ProcessList    within QUICK;
    Get    "/process"             Process        -> ProcessDetails within QUICK;
    Get    "/top"                 Top            -> TopList        within LONG;
    Get    "/apps"                Apps           -> AppList        within QUICK;
    Get    "/env"                 Env            -> EnvList        within QUICK;
    Get    "/code"                Code           -> CodeTable      within QUICK;
    Get    "/ports"               Ports          -> PortList       within QUICK;
    Get    "/tables"              Tables         -> TableList      within QUICK;
    Get    "/state"               State          -> ProcessState   within QUICK;
    Get    "/sys_status"          SysStatus      -> SysStatus      within QUICK;
    Get    "/statistics"          Statistics     -> ProcessStatistics within QUICK;
    Get    "/message_log"         MessageLog     -> ProcessLog     within QUICK;
    Get    "/children"            Children       -> ChildList      within QUICK;
    Get    "/children/spec"       ChildSpecOf    -> ChildSpecShown within QUICK;
    Watch  "/events"              Events         -> Event          within QUICK;
    Get    "/logs"                Logs           -> LogList        within QUICK;
    Watch  "/logs/follow"         FollowLogs     -> Followed       within QUICK;

    Post   "/env/set"             SetEnv         -> EnvChanged     within LONG;
    Post   "/call"                Call           -> Replied        within QUICK;
    Post   "/cast"                Cast           -> Sent           within QUICK;
    Post   "/spawn"               Spawn          -> Spawned        within QUICK;
    Follow "/spawn_link"          SpawnLink      -> LinkEvent      within QUICK;
    Upload "/load"                Load           -> Loaded         within LONG;
    Post   "/suspend"             Suspend        -> Suspended      within QUICK;
    Post   "/resume"              Resume         -> Resumed        within QUICK;
    Post   "/replace_state"       ReplaceState   -> SysDone        within QUICK;
    Post   "/terminate"           Terminate      -> SysDone        within QUICK;
    Post   "/statistics/set"      CountMessages  -> SysDone        within QUICK;
    Post   "/message_log/set"     KeepLog        -> SysDone        within QUICK;
    Post   "/no_debug"            NoDebug        -> SysDone        within QUICK;
    Follow "/trace"               Trace          -> TraceEvent     within QUICK;
    Post   "/change_code"         ChangeCode     -> CodeChanged    within LONG;
    Post   "/purge"               Purge          -> Purged         within LONG;
    Post   "/soft_purge"          SoftPurge      -> SoftPurged     within LONG;
    Post   "/kill"                Kill           -> ExitSent       within QUICK;
    Post   "/children/start"      ChildStart     -> ChildStarted   within LONG;
    Post   "/children/terminate"  ChildTerminate -> ChildTerminated within LONG;
    Post   "/children/restart"    ChildRestart   -> ChildStarted   within LONG;
    Post   "/children/delete"     ChildDelete    -> ChildDeleted   within QUICK;
    Post   "/apps/start"          AppStart       -> AppStarted     within LONG;
    Post   "/apps/stop"           AppStop        -> AppStopped     within LONG;

    Get    "/fleet"               Fleet          -> FleetStatus    within QUICK;
    Get    "/fleet/nodes"         FleetNodes     -> FleetNodeList  within QUICK;
    Post   "/fleet/nodes/remove"  RemoveNode     -> NodeRemoved    within LONG;
    Get    "/fleet/rollout"       FleetRollout   -> RolloutShown   within QUICK;
    Post   "/fleet/rollout/start" StartRollout   -> RolloutChanged within LONG;
    Post   "/fleet/rollout/pause" PauseRollout   -> RolloutChanged within LONG;
    Post   "/fleet/rollout/resume" ResumeRollout -> RolloutChanged within LONG;
    Post   "/fleet/rollout/halt"  HaltRollout    -> RolloutChanged within LONG;
    Post   "/fleet/rollout/take_back" TakeBackRollout -> RolloutChanged within LONG;
    Post   "/fleet/rollout/skip"  SkipNode       -> RolloutChanged within LONG;
}

/// Parses a request on the server side. An empty body counts as `{}`.
///
/// # Errors
/// A report of kind `bad_request` that names the field.
pub fn decode<R: Request>(query: &str, body: &[u8]) -> Result<R, ErrorReport> {
    let read = match R::METHOD {
        Method::Get | Method::Upload | Method::Watch => {
            serde_urlencoded::from_str(query).map_err(|fault| fault.to_string())
        }
        Method::Post | Method::Follow => {
            let body = if body.is_empty() { b"{}" } else { body };
            serde_json::from_slice(body).map_err(|fault| fault.to_string())
        }
    };
    read.map_err(|cause| {
        let message = format!("cannot answer {}: the request is malformed", R::PATH);
        ErrorReport::new(ErrorCode::BadRequest, message, ExitCode::Usage).caused_by(cause)
    })
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check<R: Request + PartialEq>(query: &str, body: &str, expected: Result<R, &str>) {
        let read = decode::<R>(query, body.as_bytes()).map_err(|report| report.causes.join("; "));
        assert_eq!(read, expected.map_err(str::to_owned));
    }

    #[test]
    fn no_two_routes_share_a_path() {
        let mut paths: Vec<_> = ROUTES.iter().map(|(_, path)| path).collect();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), ROUTES.len());
    }

    #[test]
    fn look_verbs_read_the_query_and_touch_verbs_the_body() {
        check("app=counter", "", Ok(Tree { app: Some("counter".to_owned()), supervisor: None }));
        let spec = ChildSpecOf { supervisor: "s".to_owned(), id: json!("front") };
        check("supervisor=s&id=%22front%22", "", Ok(spec));
        check("process=%3C41.1%3E", "", Ok(State { process: "<41.1>".to_owned() }));
        check("", r#"{"process": "c"}"#, Ok(Resume { process: "c".to_owned() }));
    }

    #[test]
    fn an_empty_body_is_a_request_with_defaults() {
        check("", "", Ok(Commit { version: None, wait: false }));
        check::<Resume>("", "", Err("missing field `process` at line 1 column 2"));
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        check::<Commit>(
            "",
            r#"{"vsn": "1"}"#,
            Err("unknown field `vsn`, expected `version` or `wait` at line 1 column 6"),
        );
        check::<Tree>("sup=x", "", Err("unknown field `sup`, expected `app` or `supervisor`"));
    }

    #[test]
    fn a_child_spec_needs_only_its_id_and_module() {
        let body =
            json!({"supervisor": "counter_sup", "child": {"spec": {"id": 30000, "module": "counter"}}});
        let read: ChildStart = decode("", body.to_string().as_bytes()).unwrap();
        let NewChild::Spec(spec) = read.child else { panic!("read as arguments") };
        assert_eq!(
            serde_json::to_value(&spec).unwrap(),
            json!({"id": 30000, "module": "counter", "args": null, "restart": "permanent",
                   "shutdown": null, "type": "worker"})
        );
    }
}
