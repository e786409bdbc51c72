//! Touch verbs: they change processes, children, code and apps of the running node.

mod apps;
mod children;
mod code;
mod messages;

use axum::Router;
use reld_api::request as q;

use self::apps::{app_start, app_stop};
use self::children::{child_delete, child_restart, child_spec_of, child_start, child_terminate, children};
use self::code::{
    change_code, count, keep_log, kill, no_debug, purge, replace_state, resume, soft_purge, suspend,
    terminate,
};
use self::messages::{call, cast, spawn, spawn_link};
use super::api::Api;
use super::routing::{on, on_follow};
use super::trace;

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    let router = on(router, |api: Api, request: q::Call| async move { call(api, request).await });
    let router = on(router, |api: Api, request: q::Cast| async move { cast(api, request).await });
    let router =
        on(
            router,
            |api: Api, request: q::Spawn| async move { spawn(&api, request.module, &request.args).await },
        );
    let router =
        on_follow(router, |api: Api, request: q::SpawnLink| async move { spawn_link(api, request).await });
    let router = on(router, |api: Api, request: q::Suspend| async move { suspend(api, request).await });
    let router = on(router, |api: Api, request: q::Resume| async move { resume(api, request).await });
    let router =
        on(router, |api: Api, request: q::ReplaceState| async move { replace_state(api, request).await });
    let router = on(router, |api: Api, request: q::Terminate| async move { terminate(api, request).await });
    let router = on(router, |api: Api, request: q::CountMessages| async move { count(api, request).await });
    let router = on(router, |api: Api, request: q::KeepLog| async move { keep_log(api, request).await });
    let router = on(router, |api: Api, request: q::NoDebug| async move { no_debug(api, request).await });
    let router =
        on_follow(router, |api: Api, request: q::Trace| async move { trace::trace(api, request).await });
    let router =
        on(router, |api: Api, request: q::ChangeCode| async move { change_code(api, request).await });
    let router = on(router, |api: Api, request: q::Purge| async move { purge(api, request.module).await });
    let router =
        on(router, |api: Api, request: q::SoftPurge| async move { soft_purge(api, request.module).await });
    let router = on(router, |api: Api, request: q::Kill| async move { kill(&api, &request) });
    let router =
        on(router, |api: Api, request: q::ChildStart| async move { child_start(api, request).await });
    let router =
        on(router, |api: Api, request: q::ChildTerminate| async move { child_terminate(api, request).await });
    let router =
        on(router, |api: Api, request: q::ChildRestart| async move { child_restart(api, request).await });
    let router =
        on(router, |api: Api, request: q::ChildDelete| async move { child_delete(api, request).await });
    let router = on(router, |api: Api, request: q::Children| async move { children(api, request).await });
    let router =
        on(router, |api: Api, request: q::ChildSpecOf| async move { child_spec_of(api, request).await });
    let router =
        on(router, |api: Api, request: q::AppStart| async move { app_start(api, request.app).await });
    on(router, |api: Api, request: q::AppStop| async move { app_stop(api, request.app).await })
}
