//! `fleet.toml`.

use super::form::{Document, Key, Table};

pub(super) const DOCUMENT: Document = Document {
    name: "fleet.toml",
    purpose: "the membership of a reld node in a fleet",
    about: &[
        "reld --fleet reads fleet.toml, and joins a fleet in etcd. The nodes of a fleet carry out a rollout by \
         themselves: each one takes a slot in etcd, upgrades, and gives the slot back with the result. A node that \
         loses etcd runs on, ends its upgrade, and begins no other one.",
        "A client that can write to etcd can order a release, but no program: a probe is a name from the table probes, \
         or release:PATH, a file of the release. So that such a client cannot run its own code, the policy of \
         signatures must require signatures. allow_unsigned = true lifts that.",
        "reld talks to the JSON gateway of etcd. The gateway does not take the common name of a client certificate as \
         a user, so a user needs a password.",
        "A relative path begins at the folder of fleet.toml. An unknown key is an error that lists the allowed keys.",
    ],
    tables: &[&[FLEET]],
    example: "endpoints = [\"https://etcd-1:2379\", \"https://etcd-2:2379\"]\nfleet = \"shop\"\nnode = \"n1\"\n\
              labels = { zone = \"a\" }\nfollow = true\nca = \"etcd-ca.pem\"\nuser = \"reld\"\n\
              password_file = \"etcd.password\"\n\n[probes]\nsmoke = \"/usr/local/bin/shop-smoke\"\n",
    see_also: &[("reld", "8"), ("relctl-rollout", "1"), ("rollout.toml", "5")],
};

pub(crate) const FLEET: Table = Table {
    head: "",
    meaning: "",
    keys: &[
        Key::required(
            "endpoints",
            "list of strings",
            "[\"https://etcd-1:2379\"]",
            "The client URLs of the members of etcd. They are tried in turn.",
        ),
        Key::required(
            "fleet",
            "string",
            "\"shop\"",
            "The name of the fleet: letters, digits, `-`, `_` and `.`. Its keys are below /reld/FLEET/.",
        ),
        Key::optional(
            "node",
            "string",
            "the host name",
            "\"n1\"",
            "The name of the node. Two nodes of a fleet cannot have the same name.",
        ),
        Key::optional("labels", "table of strings", "{}", "{ zone = \"a\" }", "Labels, for people."),
        Key::optional(
            "follow",
            "true or false",
            "false",
            "true",
            "Whether the node moves to the release of the last rollout, once all is done, if it had no part in it: it \
             joined later. It tries once, and not after more failures than the rollout allows. Neither a halted rollout \
             is followed, nor one that left the node out.",
        ),
        Key::optional(
            "ca",
            "string",
            "the certificates of the machine",
            "\"etcd-ca.pem\"",
            "The file with the certificate of the authority that has signed those of etcd.",
        ),
        Key::optional(
            "cert",
            "string",
            "none",
            "\"node.pem\"",
            "The file with the node's certificate, if etcd requires one. It needs key.",
        ),
        Key::optional("key", "string", "none", "\"node.key\"", "The file with the key of cert."),
        Key::optional(
            "user",
            "string",
            "none",
            "\"reld\"",
            "The user, if etcd requires one. It needs password_file.",
        ),
        Key::optional(
            "password_file",
            "string",
            "none",
            "\"etcd.password\"",
            "The file with the password of user. Only its owner may read it.",
        ),
        Key::optional(
            "allow_unsigned",
            "true or false",
            "false",
            "true",
            "Whether the node joins although its policy of signatures accepts unsigned releases.",
        ),
        Key::optional(
            "sync_timeout",
            "duration",
            "\"5m\"",
            "\"1h\"",
            "The longest wait for the other nodes of a sync_nodes, before any process is held.",
        ),
        Key::optional(
            "sync_pause",
            "duration",
            "\"2s\"",
            "\"500ms\"",
            "The longest wait for their decision, while processes are held. A node that loses etcd meanwhile goes \
             back, and follows the others when it sees their decision.",
        ),
        Key::optional(
            "probes",
            "table of strings",
            "{}",
            "{ smoke = \"/usr/local/bin/shop-smoke\" }",
            "The commands that a rollout may use as its probe, by the names that a rollout.toml has for them.",
        ),
    ],
};
