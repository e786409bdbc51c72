//! The instructions of `appup.toml` and `relup.toml`. The first key of each table is its keyword.

use super::form::{INSTRUCTION, Key, Table};

const DEPS: Key = Key::optional(
    "deps",
    "list of names",
    "[]",
    "[\"bank\"]",
    "Modules that must be loaded before this one on an upgrade, and after it on a downgrade.",
);
const PRE_PURGE: Key = Key::optional(
    "pre_purge",
    "\"soft\" or \"brutal\"",
    "\"soft\"",
    "\"brutal\"",
    "The purge of code from an earlier upgrade. soft refuses while processes run it; brutal kills them. OTP's default is \
     brutal.",
);
const POST_PURGE: Key = Key::optional(
    "post_purge",
    "\"soft\" or \"brutal\"",
    "\"soft\"",
    "\"brutal\"",
    "The purge of the replaced code at the end. soft keeps code that processes run, and lists it; brutal kills them.",
);

const fn instruction(keys: &'static [Key], meaning: &'static str) -> Table {
    Table { head: INSTRUCTION, meaning, keys }
}

pub(crate) const INSTRUCTIONS: [Table; 18] = [
    instruction(
        &[
            Key::required("update", "name", "\"till\"", "The module."),
            Key::optional(
                "change",
                "\"soft\", \"supervisor\" or { advanced = DATA }",
                "\"soft\"",
                "\"supervisor\"",
                "soft reads the state as it is. supervisor calls init again for new child specs. advanced calls change_code.",
            ),
            Key::optional(
                "mod_type",
                "\"static\" or \"dynamic\"",
                "\"dynamic\"",
                "\"static\"",
                "static converts the states after the load in both directions; dynamic converts them before it on a downgrade.",
            ),
            Key::optional(
                "timeout",
                "milliseconds, \"100ms\", \"5s\", \"infinity\" or \"default\"",
                "\"default\"",
                "\"5s\"",
                "The time that the processes have to come to rest; one second by default. relctl upgrade --suspend-timeout overrides it.",
            ),
            PRE_PURGE,
            POST_PURGE,
            DEPS,
        ],
        "Suspend the processes of a module, load it, convert their states, resume them.",
    ),
    instruction(
        &[Key::required("load_module", "name", "\"till\"", "The module."), PRE_PURGE, POST_PURGE, DEPS],
        "Load a module; no process is suspended for it.",
    ),
    instruction(
        &[Key::required("add_module", "name", "\"till\"", "The module."), DEPS],
        "Load a module that is new.",
    ),
    instruction(
        &[Key::required("delete_module", "name", "\"till\"", "The module."), DEPS],
        "Remove a module, and end the processes that still run it.",
    ),
    instruction(
        &[
            Key::required("add_application", "name", "\"till\"", "The app."),
            Key::optional(
                "type",
                "start type, as in release.toml(5)",
                "\"permanent\"",
                "\"temporary\"",
                "The type of the start.",
            ),
        ],
        "Load and start an app.",
    ),
    instruction(
        &[Key::required("remove_application", "name", "\"till\"", "The app.")],
        "Stop and unload an app.",
    ),
    instruction(
        &[Key::required("restart_application", "name", "\"till\"", "The app.")],
        "Stop an app and start its new version; its states are lost.",
    ),
    instruction(
        &[
            Key::required("load_object_code", "list of names", "[\"till\"]", "The modules."),
            Key::required("app", "name", "\"till\"", "The app with the modules."),
            Key::required("vsn", "version", "\"0.2.0\"", "The version of the app."),
        ],
        "Open the library of an app; its modules are not used yet.",
    ),
    instruction(
        &[Key::required("load", "name", "\"till\"", "The module."), PRE_PURGE, POST_PURGE],
        "Make the new code of a module current.",
    ),
    instruction(
        &[Key::required("remove", "name", "\"till\"", "The module."), PRE_PURGE, POST_PURGE],
        "Make the current code of a module old.",
    ),
    instruction(&[Key::required("purge", "list of names", "[\"till\"]", "The modules.")], "Purge old code."),
    instruction(
        &[Key::required("suspend", "list of names, or of tables", "[\"till\"]", "The modules.")],
        "Suspend the processes of modules.",
    ),
    instruction(
        &[Key::required("resume", "list of names", "[\"till\"]", "The modules.")],
        "Resume the processes of modules.",
    ),
    instruction(
        &[Key::required("stop", "list of names", "[\"till\"]", "The modules.")],
        "Terminate the supervised processes of modules.",
    ),
    instruction(
        &[Key::required("start", "list of names", "[\"till\"]", "The modules.")],
        "Restart the processes that stop has terminated.",
    ),
    instruction(
        &[
            Key::required(
                "code_change",
                "list of tables",
                "[{ module = \"till\", extra = [] }]",
                "The modules, each with its data.",
            ),
            Key::optional(
                "mode",
                "\"up\" or \"down\"",
                "\"up\"",
                "\"down\"",
                "The direction of the conversion.",
            ),
        ],
        "Convert the states of suspended processes with change_code.",
    ),
    instruction(
        &[
            Key::required(
                "apply",
                "\"module:function\"",
                "\"moving:shift\"",
                "The function: of a task module, or of supervisor or application.",
            ),
            Key::optional("args", "list of any values", "[]", "[\"till\", 3]", "The arguments."),
            Key::optional(
                "undo",
                "table",
                "none",
                "{ apply = \"moving:back\" }",
                "The call that reverts this one if the upgrade is undone.",
            ),
        ],
        "Call a function.",
    ),
    instruction(
        &[
            Key::required("sync_nodes", "any value", "\"id\"", "The name of the meeting."),
            Key::optional(
                "nodes",
                "list of strings",
                "none",
                "[\"n1\"]",
                "The nodes of the fleet that meet, with this one; at most 127. Either nodes or from is needed.",
            ),
            Key::optional(
                "from",
                "\"module:function\"",
                "none",
                "\"fleet:nodes\"",
                "fleet:nodes, for all nodes of the fleet. Functions of apps return no value.",
            ),
            Key::optional("args", "list of any values", "[]", "[1]", "The arguments of from."),
        ],
        "Let all nodes of the meeting switch, or none. Needs a daemon with --fleet. Unlike OTP, it comes right before the switch, at most once per window.",
    ),
];

pub(crate) const ADVANCED: Table = Table {
    head: "change = { .. }",
    meaning: "A change by change_code.",
    keys: &[Key::required(
        "advanced",
        "any value",
        "{ sales = 0 }",
        "The data that change_code gets as extra.",
    )],
};

pub(crate) const SUSPENDED: Table = Table {
    head: "suspend = [{ .. }]",
    meaning: "A module with a time limit of its own.",
    keys: &[
        Key::required("module", "name", "\"till\"", "The module."),
        Key::optional(
            "timeout",
            "as that of update",
            "\"default\"",
            "\"100ms\"",
            "The time that its processes have to come to rest.",
        ),
    ],
};

pub(crate) const CODE_CHANGED: Table = Table {
    head: "code_change = [{ .. }]",
    meaning: "A module with its data.",
    keys: &[
        Key::required("module", "name", "\"till\"", "The module."),
        Key::required("extra", "any value", "[]", "The data that change_code gets as extra."),
    ],
};

pub(crate) const UNDO: Table = Table {
    head: "undo = { .. }",
    meaning: "The call that reverts an apply.",
    keys: &[
        Key::required("apply", "\"module:function\"", "\"moving:back\"", "The function."),
        Key::optional("args", "list of any values", "[]", "[3]", "The arguments."),
    ],
};
