//! Hundreds of thousands of processes or timers, and a hundred modules. The benchmark uses a
//! million: `reld-bench spawn timers scrape --n 1000000`.

use std::time::{Duration, Instant};

use reld_api::request::ChildType;
use reld_api::response::{Checked, ChildList, ChildStarted};
use reld_tests::{Node, assert_contains, pid_value, release};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::doctored::{doctored, edit};
use crate::misfits::built;

/// Time limit of a quick answer. It allows for slow machines.
const AT_ONCE: Duration = Duration::from_secs(5);

fn running() -> Node {
    let node = Node::start();
    node.ok(&["upgrade", &release("bench-1.0.0")]);
    node
}

/// Sends an order to the driver, with a long time-out, and returns the reply.
fn order(node: &Node, order: &Value) -> Value {
    node.call_within(600_000, "driver", order)
}

fn at_once<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let begin = Instant::now();
    let done = work();
    assert!(begin.elapsed() < AT_ONCE, "{what} took {:?}", begin.elapsed());
    done
}

#[test]
fn a_dynamic_supervisor_with_100000_children_answers_quickly_and_stops_with_all_of_them() {
    const CHILDREN: u64 = 100_000;
    let node = running();
    let root = node.supervisor("driver");
    order(&node, &json!({"spawn": {"root": pid_value(&root), "shape": "simple", "servers": CHILDREN}}));
    let mut rows = node.read::<ChildList>(&["child", "list", &root]).children.into_iter();
    let family = rows.find(|row| row.kind == ChildType::Supervisor).expect("there is a family");
    let (id, family) = (family.id.to_string(), family.pid.expect("it runs"));
    let mine = "reld_processes{app=\"driver\"}";
    at_once("a scrape", || assert!(node.metric(mine) > CHILDREN));
    let start = ["child", "start", &family, "--args", "\"Idle\""];
    let child = at_once("one more child", || node.read::<ChildStarted>(&start)).pid.expect("it was started");
    let refused = at_once("a refusal of an unknown child", || {
        node.run(&["child", "terminate", &family, "\"x\""]).expect(1).stderr
    });
    assert_contains(&refused, &["simple_one_for_one"]);
    at_once("the end of a child", || node.ok(&["kill", &child]));
    let list: ChildList = node.read(&["child", "list", &family]);
    assert_eq!(list.active, CHILDREN + 1, "the one that was killed is back");
    node.ok(&["child", "terminate", &root, &id]);
    assert!(node.metric(mine) < 100, "no child is left");
}

#[test]
fn two_hundred_thousand_timers_fire_once_each_after_an_upgrade_of_their_processes() {
    const TIMERS: u64 = 200_000;
    let node = running();
    let root = pid_value(&node.supervisor("pool"));
    let fill = json!({"fill": {"supervisor": root, "servers": 100, "state": "small", "shape": "simple", "groups": 1}});
    assert_eq!(order(&node, &fill), json!(100));
    node.ok(&["unpack", &release("bench-1.1.0")]);
    order(&node, &json!({"timers": {"timers": TIMERS, "after_ms": 30_000}}));
    node.ok(&["upgrade", "1.1.0"]);
    assert_eq!(node.metric("reld_timers"), TIMERS, "none has fired yet");
    assert_eq!(order(&node, &json!({"check": {"version": 2}})), json!(100));
    // The reply comes after each timer has fired exactly once.
    assert!(order(&node, &json!({"rung": {"patience_ms": 600_000}})).is_u64());
    // The timer of the driver's last call stays armed for reuse.
    assert!(node.metric("reld_timers") <= 1);
}

#[test]
fn a_check_probes_some_of_many_dynamic_children_with_a_warning_and_the_upgrade_keeps_all() {
    const SERVERS: u64 = 2_000;
    let node = running();
    let root = pid_value(&node.supervisor("pool"));
    let fill = json!({"fill": {"supervisor": root, "servers": SERVERS, "state": "small", "shape": "one", "groups": 1}});
    assert_eq!(order(&node, &fill), json!(SERVERS));
    node.ok(&["unpack", &release("bench-1.1.0")]);
    let check: Checked = node.read(&["check", "1.1.0"]);
    assert_contains(&check.warnings.join("\n"), &["more start arguments of children of"]);
    assert!(node.report(&["upgrade", "1.1.0"]).changed);
    assert_eq!(order(&node, &json!({"check": {"version": 2}})), json!(SERVERS));
    node.ok(&["downgrade"]);
    assert_eq!(order(&node, &json!({"check": {"version": 1}})), json!(SERVERS));
}

/// Number of modules added to a meter. `EACH` is the number of processes of each module.
const MODULES: usize = 100;
const EACH: usize = 10;

/// Builds the app meter of this version with many modules. Each is a meter without a registered
/// name.
fn crowded(version: &str) -> Vec<u8> {
    let table = "static const reld_module *const modules[] = {&meter_module, &sup_module, &app_module};";
    let init = "static reld_verdict many_callback(void *state, const reld_event *event, reld_outcome *out) {\n\
                if (event->kind != RELD_EVENT_INIT) return meter_callback(state, event, out);\n\
                out->state_app = new_meter(); return RELD_VERDICT_READY; }\n";
    let module = |n: usize| {
        format!(
            "static const reld_module many_{n} = {{ .size = sizeof(reld_module), .behaviour = RELD_BEHAVIOUR_GEN_SERVER, \
             .name = TEXT(\"many_{n}\"), .callback = many_callback, .export_state = export_meter, \
             .import_state = import_meter, .change_code = change_meter, .change_code_down = change_meter_down, \
             .accepts = accepts_meter, .drop_state = free }};\n"
        )
    };
    let names: String = (0..MODULES).map(|n| format!(", &many_{n}")).collect();
    let modules = (0..MODULES).map(module).collect::<String>();
    let table_of_many = table.replace("&app_module", &format!("&app_module{names}"));
    let children = format!(
        "mp_tagged(&out->reply, 0xdc, 1 + {MODULES} * {EACH}, 2);\n\
         for (int i = 0; i < {MODULES} * {EACH}; i++) {{\n\
         char module[32], name[32]; reld_buf many = {{NULL, 0, 0}};\n\
         snprintf(module, sizeof module, \"many_%d\", i / {EACH}); snprintf(name, sizeof name, \"%d\", i);\n\
         mp_map(&out->reply, 2); mp_text(&out->reply, \"id\"); mp_text(&many, name); mp_bin(&out->reply, many);\n\
         mp_text(&out->reply, \"module\"); mp_text(&out->reply, module); }}\n"
    );
    let changes = [
        (table, format!("{init}{modules}{table_of_many}")),
        ("mp_array(&out->reply, 1);", children),
        ("#include \"reld.h\"", "#include \"reld.h\"\n#include <stdio.h>".to_owned()),
    ];
    built(version, &[], "", &changes.each_ref().map(|(from, to)| (*from, to.as_str())))
}

/// Returns a release of the plant, with or without the crowded meter, and an appup from and to
/// 1.0.0.
fn plant(version: &str, is_crowded: bool, up: &str, down: &str) -> (TempDir, String) {
    let lib = format!("lib/meter-{version}");
    doctored(&format!("plant-{version}"), |files| {
        if is_crowded {
            let names: String = (0..MODULES).map(|n| format!(", \"many_{n}\"")).collect();
            let last = "\"meter_sup\"";
            edit(files, &format!("{lib}/app.toml"), last, &format!("{last}{names}"));
            files.insert(format!("{lib}/meter.so"), crowded(version));
        }
        if !up.is_empty() {
            let appup = format!(
                "app = \"meter\"\nversion = \"{version}\"\n[[up]]\nfrom = \"1.0.0\"\ninstructions = [{up}]\n\
                 [[down]]\nto = \"1.0.0\"\ninstructions = [{down}]\n"
            );
            files.insert(format!("{lib}/appup.toml"), appup.into_bytes());
        }
    })
}

/// Returns an instruction for each of the many modules.
fn each(instruction: impl Fn(usize) -> String) -> String {
    (0..MODULES).map(|n| instruction(n) + ",\n").collect()
}

fn crowd(node: &Node) -> Vec<String> {
    let rows = node.tree("meter").children.into_iter();
    rows.filter(|row| row.module != "meter").filter_map(|row| row.pid).collect()
}

#[test]
fn a_thousand_processes_of_a_hundred_modules_are_updated_and_their_modules_removed() {
    let update = |extra: &'static str| {
        move |n: usize| {
            format!(
                "{{ update = \"many_{n}\", change = {{ advanced = {extra} }}, pre_purge = \"brutal\", post_purge = \"brutal\" }}"
            )
        }
    };
    let meter = |extra: &str| format!("{{ update = \"meter\", change = {{ advanced = {extra} }} }},\n");
    let (start, none) = ("{ largest_wh = 0 }", "{}");
    let (_first, old) = plant("1.0.0", true, "", "");
    let up = meter(start) + &each(update(start));
    let (_second, new) = plant("1.1.0", true, &up, &(meter(none) + &each(update(none))));
    let node = Node::start();
    node.ok(&["upgrade", &old]);
    let pids = crowd(&node);
    assert_eq!(pids.len(), MODULES * EACH);
    let sample = pids.iter().step_by(EACH);
    sample.clone().for_each(|pid| drop(node.ok(&["cast", pid, r#"{"add": 7}"#])));

    assert!(node.report(&["upgrade", &new]).pauses.processes >= 1000);
    assert_eq!(crowd(&node), pids);
    for pid in sample.clone() {
        assert_eq!(node.state(pid), json!({"total_mwh": 7000, "readings": 1, "largest_mwh": 0}));
    }
    let modules = node.code().modules.into_iter();
    let many: Vec<_> = modules.filter(|module| module.module.starts_with("many")).collect();
    assert_eq!(many.len(), MODULES);
    for module in many {
        assert_eq!((module.current.as_deref(), module.old), (Some("1.1.0"), None), "{}", module.module);
    }
    node.ok(&["downgrade"]);
    assert_eq!((crowd(&node), node.state(&pids[0])), (pids.clone(), json!({"total_wh": 7, "readings": 1})));

    node.ok(&["remove", "1.1.0"]);
    let ended = |id: usize| {
        let call = |name| format!("{{ apply = \"supervisor:{name}\", args = [\"meter\", \"{id}\"] }},\n");
        ["terminate_child", "delete_child"].map(call).concat()
    };
    let up = (0..MODULES * EACH).map(ended).collect::<String>()
        + "{ update = \"meter_sup\", change = \"supervisor\" },\n"
        + &meter(start)
        + &each(|n| format!("{{ delete_module = \"many_{n}\" }}"));
    let (_third, without) = plant("1.1.0", false, &up, "");
    node.ok(&["upgrade", &without]);
    assert_eq!(crowd(&node), [""; 0]);
    assert!(!node.ok(&["code"]).stdout.contains("many_"), "their modules are gone");
    node.pid("meter", "meter");
}
