//! The environments of apps.

use reld_api::response::{ChangedEnv, EnvChanged, EnvList};

use super::table::table;

pub(crate) fn env(list: &EnvList) -> String {
    let rows = list.values.iter().map(|value| {
        vec![format!("{}.{}", value.app, value.key), value.value.to_string(), value.origin.to_string()]
    });
    let pending = list.pending.iter().map(|pending| format!("{}: {pending}\n", list.file));
    table(&["key", "value", "origin"], rows) + &pending.collect::<String>()
}

pub(crate) fn env_changed(answer: &EnvChanged, dry_run: bool) -> String {
    let mut lines: Vec<String> = answer.apps.iter().flat_map(|app| changes(app, dry_run)).collect();
    lines.extend(answer.warnings.iter().map(|warning| format!("warning: {warning}")));
    let (done, file) = (if dry_run { "would be changed" } else { "was changed" }, &answer.file);
    lines.push(match (answer.changed, answer.apps.is_empty()) {
        (false, _) => "nothing to do".to_owned(),
        (true, true) => format!("{file} {done}; no environment differs"),
        (true, false) => format!("{file} {done}"),
    });
    lines.join("\n") + "\n"
}

/// Lists the changed values of an app, and whether it is notified.
fn changes(app: &ChangedEnv, dry_run: bool) -> Vec<String> {
    let values = [("+", &app.new), ("~", &app.changed)].into_iter();
    let values = values.flat_map(|(sign, values)| values.iter().map(move |value| (sign, value)));
    let mut lines: Vec<String> =
        values.map(|(sign, (key, value))| format!("{sign} {}.{key} = {value}", app.app)).collect();
    lines.extend(app.removed.iter().map(|key| format!("- {}.{key}", app.app)));
    let notice = match (app.notified, dry_run) {
        (true, false) => "was notified (config_change)",
        (true, true) => "would be notified (config_change)",
        (false, _) => "has no process to notify",
    };
    lines.push(format!("  {} {notice}", app.app));
    lines
}

#[cfg(test)]
mod tests {
    use reld_api::response::{EnvOrigin, EnvValue};
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn each_value_has_its_origin_and_a_pending_file_is_reported() {
        let value = |key: &str, value, origin| EnvValue {
            app: "shop".to_owned(),
            key: key.to_owned(),
            value,
            origin,
        };
        let list = EnvList {
            values: vec![
                value("limit", json!(5), EnvOrigin::Node),
                value("name", json!("a b"), EnvOrigin::CommandLine),
            ],
            file: "/root/config.toml".to_owned(),
            pending: Some("it was changed".to_owned()),
        };
        let expected = "key         value  origin\nshop.limit  5      node\nshop.name   \"a b\"  command line\n\
                        /root/config.toml: it was changed\n";
        assert_eq!(env(&list), expected);
    }

    #[test]
    fn a_change_lists_what_each_app_is_notified_of() {
        let app = ChangedEnv {
            app: "shop".to_owned(),
            notified: true,
            changed: Map::from_iter([("limit".to_owned(), json!(6))]),
            new: Map::from_iter([("name".to_owned(), json!("x"))]),
            removed: vec!["old".to_owned()],
        };
        let mut answer = EnvChanged {
            changed: true,
            file: "/root/config.toml".to_owned(),
            apps: vec![app],
            warnings: vec!["a remark".to_owned()],
        };
        let lines = "+ shop.name = \"x\"\n~ shop.limit = 6\n- shop.old\n  shop would be notified (config_change)\n\
                     warning: a remark\n/root/config.toml would be changed\n";
        assert_eq!(env_changed(&answer, true), lines);
        answer = EnvChanged { apps: Vec::new(), warnings: Vec::new(), ..answer };
        assert_eq!(env_changed(&answer, false), "/root/config.toml was changed; no environment differs\n");
        assert_eq!(env_changed(&EnvChanged { changed: false, ..answer }, false), "nothing to do\n");
    }
}
