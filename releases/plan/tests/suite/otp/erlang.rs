//! Writes the documents of a case as equivalent Erlang terms.
//!
//! A name becomes an atom and a version a string. A misplaced value is written as it is, so that
//! OTP finds the mistake too. An instruction is written in the shortest form that has all its
//! parts; OTP fills in the others.

use serde_json::Value;

/// Returns `{Top, Base, [{Dir, App, AppFile, Appup}], Options}`.
pub(super) fn case(case: &Value) -> String {
    let apps = ["to", "from"].map(|side| list(&case[side]["apps"], |app| files(side, app)));
    let [to, from] = ["to", "from"].map(|side| release(side, &case[side]));
    let joined = apps.map(|apps| apps[1..apps.len() - 1].to_owned());
    let joined: Vec<_> = joined.into_iter().filter(|apps| !apps.is_empty()).collect();
    let option = if super::options(case).restart_daemon { "restart_emulator" } else { "" };
    format!("{{{to},{from},[{}],[{option}]}}.", joined.join(","))
}

fn release(side: &str, release: &Value) -> String {
    let app = |app: &Value| {
        let fixed =
            format!("{},{},{}", name(&app["name"]), vsn(&app["version"]), word(app, "type", "permanent"));
        match app.get("included") {
            Some(included) => format!("{{{fixed},{}}}", names(included)),
            None => format!("{{{fixed}}}"),
        }
    };
    format!("{{\"{}\",{},{}}}", super::version(side), vsn(&release["daemon"]), list(&release["apps"], app))
}

fn files(side: &str, app: &Value) -> String {
    let (name, version) = (name(&app["name"]), vsn(&app["version"]));
    let app_file = app.get("app").map_or("none".to_owned(), |doc| {
        let names = |key: &str| format!("{{{key},{}}}", doc.get(key).map_or("[]".to_owned(), names));
        let keys =
            ["modules", "registered", "applications", "optional_applications", "included_applications"];
        let keys = keys.map(names).join(",");
        format!("{{application,{name},[{{description,\"\"}},{{vsn,{version}}},{keys}]}}")
    });
    let appup = app.get("appup").map_or("none".to_owned(), |doc| {
        let [up, down] = [("up", "from"), ("down", "to")].map(|(mode, key)| {
            doc.get(mode).map_or("[]".to_owned(), |entries| list(entries, |each| entry(each, key)))
        });
        format!("{{{},{up},{down}}}", vsn(doc.get("version").unwrap_or(&app["version"])))
    });
    format!("{{\"{side}-{}\",{name},{app_file},{appup}}}", app["name"].as_str().unwrap())
}

fn entry(entry: &Value, key: &str) -> String {
    format!("{{{},{}}}", versions(&entry[key]), list(&entry["instructions"], instruction))
}

/// Writes the versions of an entry: a requirement becomes an equivalent regular expression.
fn versions(versions: &Value) -> String {
    match versions.as_str() {
        Some("1.*" | ">=1.0.0, <2.0.0") => r#"<<"1\\.[0-9]+\\.[0-9]+">>"#.to_owned(),
        Some("~1.4") => r#"<<"1\\.4\\.[0-9]+">>"#.to_owned(),
        _ => vsn(versions),
    }
}

fn instruction(written: &Value) -> String {
    let Value::Object(parts) = written else { return bare_word(written) };
    let known = WORDS.into_iter().find(|(word, keys)| {
        parts.contains_key(*word) && parts.keys().all(|key| key == word || keys.contains(&key.as_str()))
    });
    // OTP has no keys, so that an additional key becomes a tuple that is too long.
    let Some((word, _)) = known else { return "{unknown,1,2,3,4,5,6,7,8}".to_owned() };
    table(word, &written[word], written).unwrap_or_else(|| format!("{{{word},{{}}}}"))
}

fn bare_word(written: &Value) -> String {
    match written.as_str() {
        Some("restart_new_daemon") => "restart_new_emulator".to_owned(),
        Some("restart_daemon") => "restart_emulator".to_owned(),
        _ => name(written),
    }
}

const WORDS: [(&str, &[&str]); 18] = [
    ("update", &["change", "mod_type", "timeout", "pre_purge", "post_purge", "deps"]),
    ("load_module", &["pre_purge", "post_purge", "deps"]),
    ("add_module", &["deps"]),
    ("delete_module", &["deps"]),
    ("add_application", &["type"]),
    ("remove_application", &[]),
    ("restart_application", &[]),
    ("load_object_code", &["app", "vsn"]),
    ("load", &["pre_purge", "post_purge"]),
    ("remove", &["pre_purge", "post_purge"]),
    ("purge", &[]),
    ("suspend", &[]),
    ("resume", &[]),
    ("stop", &[]),
    ("start", &[]),
    ("code_change", &["mode"]),
    ("apply", &["args"]),
    ("sync_nodes", &["nodes", "from", "args"]),
];

/// Writes a table with `of` as its first part; `None` if a part is missing.
fn table(word: &str, of: &Value, parts: &Value) -> Option<String> {
    let deps = parts.get("deps").map(names);
    let purged = || format!("{},{}", purge(parts, "pre_purge"), purge(parts, "post_purge"));
    // OTP fills in the defaults of a short form only if it has a list.
    let has_list = parts.get("deps").is_none_or(Value::is_array);
    let is_long = parts.get("pre_purge").or(parts.get("post_purge")).is_some() || !has_list;
    let rest = match word {
        "update" => update(parts),
        "load_module" if is_long => format!(",{},{}", purged(), deps.unwrap_or("[]".to_owned())),
        "load_module" | "add_module" | "delete_module" => {
            deps.map(|deps| format!(",{deps}")).unwrap_or_default()
        }
        "add_application" => parts.get("type").map(|word| format!(",{}", name(word))).unwrap_or_default(),
        "load_object_code" => {
            let code = format!("{},{},{}", name(parts.get("app")?), vsn(parts.get("vsn")?), names(of));
            return Some(format!("{{{word},{{{code}}}}}"));
        }
        "load" | "remove" => return Some(format!("{{{word},{{{},{}}}}}", name(of), purged())),
        "suspend" => return Some(format!("{{{word},{}}}", list(of, suspend))),
        "code_change" => {
            let mode = parts.get("mode").map(|mode| format!("{},", name(mode))).unwrap_or_default();
            return Some(format!("{{{word},{mode}{}}}", list(of, code_change)));
        }
        "apply" => return Some(format!("{{{word},{}}}", call(of, parts))),
        "sync_nodes" => {
            let nodes = parts.get("nodes").map(names);
            let nodes = nodes.or_else(|| Some(call(parts.get("from")?, parts)))?;
            return Some(format!("{{{word},{},{nodes}}}", data(of)));
        }
        "purge" | "resume" | "stop" | "start" => return Some(format!("{{{word},{}}}", names(of))),
        _ => String::new(),
    };
    Some(format!("{{{word},{}{rest}}}", name(of)))
}

/// Writes all parts of an update except its module.
fn update(parts: &Value) -> String {
    let change = parts.get("change");
    let is = |word: &str| change.and_then(Value::as_str) == Some(word);
    let has = |keys: &[&str]| keys.iter().any(|key| parts.get(key).is_some());
    let deps = parts.get("deps").map(names);
    let short = !has(&["mod_type", "timeout", "pre_purge", "post_purge"]);
    let readable = is("soft") || change.is_some_and(|change| change.get("advanced").is_some());
    let has_list = parts.get("deps").is_some_and(Value::is_array);
    match (change, &deps) {
        (None, None) if short => return String::new(),
        (None, Some(deps)) if short && has_list => return format!(",{deps}"),
        (Some(_), None) if short && is("supervisor") => return ",supervisor".to_owned(),
        (Some(change), None) if short && readable => return format!(",{}", changed(change)),
        (Some(change), Some(deps)) if short && readable && has_list => {
            return format!(",{},{deps}", changed(change));
        }
        _ => {}
    }
    let usual = if is("supervisor") { "static" } else { "dynamic" };
    let mut words = Vec::new();
    if has(&["mod_type"]) || is("supervisor") {
        words.push(word(parts, "mod_type", usual));
    }
    if has(&["timeout"]) || !words.is_empty() {
        words.push(parts.get("timeout").map_or("default".to_owned(), timeout));
    }
    words.push(change.map_or("soft".to_owned(), changed));
    words.extend(["pre_purge", "post_purge"].map(|key| purge(parts, key)));
    words.push(deps.unwrap_or("[]".to_owned()));
    words.iter().map(|word| format!(",{word}")).collect()
}

fn changed(change: &Value) -> String {
    match (change.as_str(), change.get("advanced")) {
        (Some("supervisor"), _) => "{advanced,[]}".to_owned(),
        (None, Some(extra)) => format!("{{advanced,{}}}", data(extra)),
        _ => name(change),
    }
}

fn purge(parts: &Value, key: &str) -> String {
    match parts.get(key).map(|word| (word, word.as_str())) {
        None | Some((_, Some("brutal"))) => "brutal_purge".to_owned(),
        Some((_, Some("soft"))) => "soft_purge".to_owned(),
        Some((word, _)) => name(word),
    }
}

fn timeout(timeout: &Value) -> String {
    let text = timeout.as_str().unwrap_or_default();
    let ms = text.strip_suffix("ms").and_then(|ms| ms.parse::<u64>().ok());
    let s = || text.strip_suffix('s').and_then(|s| s.parse::<u64>().ok()).map(|s| s * 1000);
    ms.or_else(s).map_or_else(|| name(timeout), |ms| ms.to_string())
}

fn suspend(suspend: &Value) -> String {
    match suspend.get("timeout") {
        Some(time) => format!("{{{},{}}}", name(&suspend["module"]), timeout(time)),
        None => name(suspend.get("module").unwrap_or(suspend)),
    }
}

fn code_change(pair: &Value) -> String {
    match (pair.get("module"), pair.get("extra")) {
        (Some(module), Some(extra)) => format!("{{{},{}}}", name(module), data(extra)),
        _ => name(pair),
    }
}

/// Writes `module:function` and its arguments.
fn call(function: &Value, parts: &Value) -> String {
    let args = parts.get("args").map_or("[]".to_owned(), data);
    match function.as_str().and_then(|text| text.split_once(':')) {
        Some((module, function)) => format!("{{{},{},{args}}}", name(&module.into()), name(&function.into())),
        None => format!("{{x,{},{args}}}", data(function)),
    }
}

fn word(parts: &Value, key: &str, default: &str) -> String {
    parts.get(key).map_or(default.to_owned(), name)
}

fn name(value: &Value) -> String {
    value.as_str().map_or_else(|| data(value), |text| format!("'{text}'"))
}

fn names(value: &Value) -> String {
    list(value, name)
}

fn vsn(value: &Value) -> String {
    value.as_str().map_or_else(|| data(value), |text| format!("\"{text}\""))
}

fn list(value: &Value, item: impl Fn(&Value) -> String) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(item).collect::<Vec<_>>().join(",")),
        _ => name(value),
    }
}

fn data(value: &Value) -> String {
    match value {
        Value::Array(_) => list(value, data),
        Value::Object(map) => {
            let pairs: Vec<_> =
                map.iter().map(|(key, value)| format!("<<\"{key}\">>=>{}", data(value))).collect();
            format!("#{{{}}}", pairs.join(","))
        }
        Value::String(text) => format!("<<{}/utf8>>", Value::from(text.as_str())),
        other => other.to_string(),
    }
}
