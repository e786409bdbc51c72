//! Collects the alarms of all parts of the daemon.

use reld_loader::Resident;

use super::api::Api;
use super::look::code::{late, residents};
use crate::alarms::Alarm;

/// Returns the active alarms.
pub(super) fn alarms(api: &Api) -> Vec<Alarm> {
    let board = api.operator.board();
    let found = [
        board.gave_way.as_ref().map(|gave_way| Alarm::new("boot.gave_way", gave_way_text(gave_way))),
        board.trouble.map(|trouble| Alarm::new("release", trouble)),
        board.distrust.map(|text| Alarm::new("signatures", text)),
        residents_text(api).map(|text| Alarm::new("residents", text)),
        reld_loader::clock_stands().then(|| Alarm::new("clock", CLOCK)),
        api.log.alarm().map(|text| Alarm::new("log", text)),
    ];
    let late = late(api).into_iter().map(late_alarm);
    let damaged = api.health.damaged(&board.releases).into_iter().map(|finding| {
        let text = finding.to_string();
        Alarm::new(text.clone(), text)
    });
    found.into_iter().flatten().chain(damaged).chain(late).chain(api.alarms.list()).collect()
}

const CLOCK: &str = "the system clock is before 1970 or after 9999, so the times in the log and the history are wrong; set \
                     the clock";

fn gave_way_text(gave_way: &reld_handler::GaveWay) -> String {
    let reld_handler::GaveWay { release, to, failed } = gave_way;
    let times = if *failed == 1 { "once".to_owned() } else { format!("{failed} times") };
    format!("release {release} failed to boot {times} and gave way to {to}, which is permanent now")
}

fn late_alarm(Resident { app, version, reason, stuck, .. }: Resident) -> Alarm {
    let frames = stuck.map(reld_loader::frames).unwrap_or_default();
    let inside = frames.first().map(|frame| format!(", inside {frame}")).unwrap_or_default();
    Alarm::new(format!("{app} {version}"), format!("app {app} {version}: {reason}{inside}"))
}

/// Returns an alarm if more purged libraries stay mapped than allowed.
fn residents_text(api: &Api) -> Option<String> {
    let residents = residents(api);
    let bytes: u64 = residents.iter().map(|resident| resident.bytes).sum();
    let (count, max) = (residents.len(), api.residents_max);
    (count > max).then(|| {
        format!(
            "{count} purged libraries stay mapped ({} KiB), more than the {max} of --residents; `relctl code` shows \
             the reasons, and a restart of the daemon unmaps them",
            bytes / 1024
        )
    })
}
