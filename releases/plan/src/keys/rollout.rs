//! `rollout.toml`.

use super::form::{Document, Key, Table};

pub(super) const DOCUMENT: Document = Document {
    name: "rollout.toml",
    purpose: "the policy of a rollout over several reld nodes",
    about: &[
        "relctl rollout reads rollout.toml, and moves the nodes of a list (--hosts) or of a fleet (--fleet) to a \
         release: first the canaries, then wave after wave. Each node carries out its own upgrade, and keeps or takes \
         back the release by itself. The rollout decides only about the begin of the next upgrade.",
        "A node is unavailable while its upgrade is under way, after its upgrade has failed, and while it does not \
         answer. No upgrade begins while max_unavailable nodes are unavailable. A failed canary halts the rollout.",
        "The order of the nodes is that of the list. In a fleet it is that of the names, byte by byte: n10 comes \
         before n2.",
        "An unknown key is an error that lists the allowed keys.",
    ],
    tables: &[&[ROLLOUT]],
    example: "release = \"shop-1.1.0.tar.gz\"\ncanary = 1\nwaves = [\"25%\", \"100%\"]\nmax_unavailable = 2\n\
              settle = \"60s\"\nprobe = \"./smoke.sh\"\npause_between = \"5m\"\non_failure = \"take_back\"\n",
    see_also: &[("relctl-rollout", "1"), ("relctl-upgrade", "1"), ("release.toml", "5")],
};

pub(crate) const ROLLOUT: Table = Table {
    head: "",
    meaning: "",
    keys: &[
        Key::required(
            "release",
            "string",
            "\"shop-1.1.0.tar.gz\"",
            "The tarball of the release: a file, which is sent to each node, or an https or http URL, from which each \
             node fetches it. A relative path begins at the folder of rollout.toml. With --fleet nothing is sent: each \
             node reads the file at the same path, or fetches the URL.",
        ),
        Key::optional(
            "canary",
            "number, or share such as \"5%\"",
            "1",
            "2",
            "The number of nodes, from the first one on, that are upgraded before all others.",
        ),
        Key::optional(
            "waves",
            "list of numbers and shares",
            "[\"100%\"]",
            "[\"25%\", \"100%\"]",
            "The number of nodes that are upgraded at the end of each wave, counted from the first one. A share is \
             rounded up. The last wave is \"100%\".",
        ),
        Key::optional(
            "max_unavailable",
            "number",
            "1",
            "2",
            "The greatest number of nodes that are unavailable at a time because of the rollout.",
        ),
        Key::optional(
            "settle",
            "duration in seconds",
            "\"0s\"",
            "\"60s\"",
            "The time for which each node watches the release before it commits, as with relctl upgrade --settle.",
        ),
        Key::optional(
            "probe",
            "string",
            "none",
            "\"./smoke.sh\"",
            "The program that accepts the release on each node, as with relctl upgrade --probe. An executable file, \
             found from the folder of rollout.toml, is sent to the node; any other text is a command there. With \
             --fleet it is a name from [probes] of each node's fleet.toml, or release:PATH, a file of the release.",
        ),
        Key::optional(
            "pause_between",
            "duration",
            "\"0s\"",
            "\"5m\"",
            "The time between the last commit of a wave and the first upgrade of the next one.",
        ),
        Key::optional(
            "max_failures",
            "number",
            "0",
            "1",
            "The number of nodes that may fail before the rollout halts. It is less than max_unavailable, because a \
             failed node is unavailable.",
        ),
        Key::optional(
            "on_failure",
            "\"halt\" or \"take_back\"",
            "\"halt\"",
            "\"take_back\"",
            "The reaction to too many failures: leave the upgraded nodes as they are, or take the release back from \
             them, the last one first.",
        ),
        Key::optional(
            "deadline",
            "duration",
            "\"30m\", or twice settle or pause_between",
            "\"1h\"",
            "The rollout halts if no upgrade has begun or ended for this time. It is longer than settle and \
             pause_between.",
        ),
    ],
};
