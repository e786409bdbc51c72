//! Apps started and stopped by hand.

use std::time::{Duration, Instant};

use reld_api::response as r;
use reld_api::{ErrorCode, ErrorReport};
use reld_runtime::AppError;
use reld_wire::application::StopCause;

use crate::api_server::api::Api;

/// The time limit for an app to start or to stop.
const APPLICATION: Duration = Duration::from_secs(60);

fn app_error(error: &AppError) -> ErrorReport {
    let code = match error {
        AppError::Unknown(_) => ErrorCode::NoSuchApplication,
        AppError::AlreadyStarted(_) => ErrorCode::AlreadyStarted,
        AppError::NotStarted(_) | AppError::Needs { .. } => ErrorCode::NotStarted,
        AppError::Busy(_) => ErrorCode::Busy,
        AppError::NoModule { .. } => ErrorCode::NotLoaded,
        AppError::Failed { .. } => ErrorCode::StartFailed,
        AppError::ConfigChange { .. } | AppError::ChangeRefused { .. } => ErrorCode::ConfigChange,
        AppError::TimedOut { .. } => ErrorCode::Timeout,
    };
    ErrorReport::refused(code, error.to_string())
}

/// Starts the apps that an app needs, then the app itself. OTP: `application:ensure_all_started/1`.
pub(super) async fn app_start(api: Api, app: String) -> Result<r::AppStarted, ErrorReport> {
    let name = app.clone();
    let started = api.wait(move |runtime| {
        runtime.ensure_all_started(&name, Instant::now() + APPLICATION).map_err(|e| app_error(&e))
    });
    Ok(r::AppStarted { app, started: started.await? })
}

pub(super) async fn app_stop(api: Api, app: String) -> Result<r::AppStopped, ErrorReport> {
    let name = app.clone();
    let took = api.wait(move |runtime| {
        let began = Instant::now();
        runtime.stop_application(&name, StopCause::ByHand, began + APPLICATION).map_err(|e| app_error(&e))?;
        Ok(began.elapsed())
    });
    let took_us = u64::try_from(took.await?.as_micros()).unwrap_or(u64::MAX);
    Ok(r::AppStopped { app, took_us })
}
