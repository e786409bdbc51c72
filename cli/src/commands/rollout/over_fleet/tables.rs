//! Tables of a fleet.

use reld_api::response::{FleetNode, FleetNodeList, Rollout, SlotHolder};

use crate::render::table;

/// Formats the holders of slots.
pub(super) fn locks(rollout: &Rollout) -> String {
    let Rollout { rollout, holders, .. } = rollout;
    if holders.is_empty() {
        return format!("rollout {rollout}: no node holds a slot\n");
    }
    let row = |holder: &SlotHolder| {
        let SlotHolder { slot, node, since, attempt, connected, missing_since } = holder;
        let connection = connection(*connected, missing_since.as_deref());
        vec![slot.to_string(), node.clone(), since.clone(), attempt.to_string(), connection]
    };
    table(&["slot", "node", "since", "attempt", "connection"], holders.iter().map(row))
}

/// Formats the nodes of a fleet.
pub(super) fn nodes(list: &FleetNodeList) -> String {
    let row = |node: &FleetNode| {
        let [running, daemon, busy] =
            [&node.running, &node.daemon, &node.busy].map(|text| text.clone().unwrap_or_default());
        let connection = connection(node.connected, node.missing_since.as_deref());
        let labels = node.labels.iter().map(|(label, value)| format!("{label}={value}"));
        let labels = labels.collect::<Vec<_>>().join(" ");
        vec![node.node.clone(), connection, running, daemon, labels, busy]
    };
    table(&["node", "connection", "runs", "daemon", "labels", "busy"], list.nodes.iter().map(row))
}

fn connection(is_connected: bool, missing_since: Option<&str>) -> String {
    match (is_connected, missing_since) {
        (true, _) => "connected".to_owned(),
        (false, Some(since)) => format!("missing since {since}"),
        (false, None) => "missing".to_owned(),
    }
}
