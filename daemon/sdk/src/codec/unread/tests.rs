//! Compares the results with `serde_ignored`: values, paths and errors must be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::str::FromStr as _;

use proptest::collection::vec;
use proptest::prelude::*;
use reld_wire::reader;
use rmpv::Value;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_bytes::ByteBuf;
use serde_ignored::Path;
use serde_json::json;

use crate::names::Pid;

/// A type that uses every method of a deserializer, at any depth.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Node {
    small: i8,
    number: u64,
    wide: i128,
    flag: bool,
    float: f64,
    letter: char,
    text: String,
    address: Option<Ipv4Addr>,
    bytes: ByteBuf,
    bin: Vec<u8>,
    nothing: (),
    unit: Unit,
    skipped: IgnoredAny,
    option: Option<Box<Self>>,
    newtype: Option<Newtype>,
    pair: Option<(Box<Self>, u8)>,
    double: Option<Double>,
    list: Vec<Self>,
    choice: Choice,
    by_text: BTreeMap<String, Self>,
    by_number: BTreeMap<i64, Self>,
    by_flag: BTreeMap<bool, Self>,
    by_newtype: BTreeMap<Id, Self>,
    by_word: BTreeMap<Word, Self>,
    flat: Option<Flat>,
    either: Option<Either>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
struct Unit;

#[derive(Debug, PartialEq, Deserialize)]
struct Newtype(Box<Node>);

#[derive(Debug, PartialEq, Deserialize)]
struct Double(Box<Node>, Box<Node>);

#[derive(Debug, Default, PartialEq, Deserialize)]
enum Choice {
    #[default]
    Nothing,
    One(Box<Node>),
    Two(Box<Node>, Box<Node>),
    Named {
        node: Box<Node>,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Id(u32);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
enum Word {
    Yes,
    No,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Flat {
    #[serde(flatten)]
    node: Box<Node>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(u64),
    Node(Box<Node>),
}

/// Generates nodes with unknown fields at any depth.
fn node() -> impl Strategy<Value = Value> {
    let leaf = fields(prop_oneof![
        any::<i8>().prop_map(|number| ("small", number.into())),
        any::<u64>().prop_map(|number| ("number", number.into())),
        any::<i64>().prop_map(|number| ("wide", number.into())),
        any::<bool>().prop_map(|flag| ("flag", flag.into())),
        any::<f32>().prop_map(|float| ("float", float.into())),
        any::<char>().prop_map(|letter| ("letter", letter.to_string().into())),
        any::<String>().prop_map(|text| ("text", text.into())),
        Just(("address", "127.0.0.1".into())),
        any::<Vec<u8>>().prop_map(|bytes| ("bytes", Value::Binary(bytes))),
        any::<Vec<u8>>().prop_map(|bytes| ("bin", Value::Binary(bytes))),
        Just(("nothing", Value::Nil)),
        Just(("unit", Value::Array(vec![]))),
        Just(("option", Value::Nil)),
        Just(("choice", "Nothing".into())),
        Just(("either", 5.into())),
        any::<u32>().prop_map(|number| ("unknown", number.into())),
    ]);
    leaf.prop_recursive(5, 64, 6, |inner| {
        let named = |names: &'static [&'static str]| (prop::sample::select(names), inner.clone());
        let pair = || (inner.clone(), inner.clone());
        let variant = |name, value| ("choice", Value::Map(vec![(Value::from(name), value)]));
        let keyed = |name, key: BoxedStrategy<Value>| {
            vec((key, inner.clone()), 1..3).prop_map(move |map| (name, Value::Map(map)))
        };
        fields(prop_oneof![
            4 => named(&["unknown", "strange", "skipped", "option", "newtype", "flat", "either"]),
            1 => inner.clone().prop_map(|node| ("pair", vec![node, 7.into()].into())),
            1 => pair().prop_map(|(one, two)| ("double", vec![one, two].into())),
            1 => vec(inner.clone(), 1..4).prop_map(|list| ("list", list.into())),
            1 => inner.clone().prop_map(move |node| variant("One", node)),
            1 => pair().prop_map(move |(one, two)| variant("Two", vec![one, two].into())),
            2 => fields(named(&["node", "unknown"])).prop_map(move |fields| variant("Named", fields)),
            1 => keyed("by_text", any::<String>().prop_map(Value::from).boxed()),
            1 => keyed("by_number", any::<i64>().prop_map(Value::from).boxed()),
            1 => keyed("by_flag", any::<bool>().prop_map(Value::from).boxed()),
            1 => keyed("by_newtype", any::<u32>().prop_map(Value::from).boxed()),
            1 => keyed("by_word", prop::sample::select(vec!["Yes", "No"]).prop_map(Value::from).boxed()),
        ])
    })
}

/// Generates a map of some fields, each at most once.
fn fields(field: impl Strategy<Value = (&'static str, Value)>) -> impl Strategy<Value = Value> {
    vec(field, 0..5).prop_map(|fields| {
        let fields: BTreeMap<_, _> = fields.into_iter().collect();
        Value::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    })
}

fn written(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).expect("encodes");
    bytes
}

type Read<T> = Result<(T, BTreeSet<String>), String>;

fn ours<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Read<T> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    super::deserialize(&mut reader)
        .map(|(value, unread)| (value, unread.unwrap_or_default()))
        .map_err(|error| error.to_string())
}

/// Reduces a result to the information that both results have: `serde_ignored` has no names of
/// variants, and formats numbers that stand for fields.
fn coarse(read: Read<Node>) -> Read<Node> {
    let unnamed = |place: &String| {
        let variants = ["choice.One.", "choice.Two.", "choice.Named."];
        let place = variants.iter().fold(place.clone(), |place, variant| place.replace(variant, "choice."));
        let name = |name| if i128::from_str(name).is_ok() { "*" } else { name };
        place.split('.').map(name).collect::<Vec<_>>().join(".")
    };
    read.map(|(node, places)| (node, places.iter().map(unnamed).collect()))
}

fn measure(bytes: &[u8]) -> Read<Node> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    let mut places = BTreeSet::new();
    serde_ignored::deserialize(&mut reader, |path| places.extend([spelled(&path)]))
        .map(|node| (node, places))
        .map_err(|error| error.to_string())
}

/// Formats a path of `serde_ignored`, which distinguishes neither fields from keys nor variants.
fn spelled(path: &Path<'_>) -> String {
    let (parent, name) = match path {
        Path::Root => return String::new(),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            return spelled(parent);
        }
        Path::Seq { parent, .. } => (parent, "[]"),
        Path::Map { parent, .. } if is_map(parent) => (parent, "*"),
        Path::Map { parent, key } => (parent, key.as_str()),
    };
    joined(&spelled(parent), name)
}

fn is_map(path: &Path<'_>) -> bool {
    matches!(path, Path::Map { parent, key } if key.starts_with("by_") && !is_map(parent))
}

fn joined(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

/// Finds the unread fields of a node by the types above, independently of the code under test.
fn unread(node: &Value, at: &str, found: &mut BTreeSet<String>) {
    for (key, value) in node.as_map().into_iter().flatten() {
        let key = key.as_str().expect("a field");
        let place = joined(at, key);
        let entries = || value.as_map().into_iter().flatten();
        match key {
            "unknown" | "strange" | "skipped" => found.extend([place]),
            "option" | "newtype" => unread(value, &place, found),
            "pair" | "double" | "list" => elements(value, &place, found),
            "choice" => entries().for_each(|(variant, held)| {
                let place = joined(&place, variant.as_str().expect("a word"));
                match variant.as_str() {
                    Some("One") => unread(held, &place, found),
                    Some("Two") => elements(held, &place, found),
                    _ => held.as_map().into_iter().flatten().for_each(|(field, held)| match field.as_str() {
                        Some("node") => unread(held, &joined(&place, "node"), found),
                        _ => found.extend([joined(&place, "unknown")]),
                    }),
                }
            }),
            by if by.starts_with("by_") => {
                entries().for_each(|(_, value)| unread(value, &joined(&place, "*"), found));
            }
            // serde buffers the fields `flat` and `either`.
            _ => {}
        }
    }
}

fn elements(list: &Value, at: &str, found: &mut BTreeSet<String>) {
    list.as_array().into_iter().flatten().for_each(|element| unread(element, &joined(at, "[]"), found));
}

/// Reads a node as [`decode_all`](crate::codec::decode_all) does first.
fn quick(bytes: &[u8]) -> Option<Node> {
    reader::without_skips::<_, true>(bytes, |reader| Node::deserialize(reader))
}

proptest! {
    #[test]
    fn unread_fields_are_found_at_any_depth(node in node()) {
        let bytes = written(&node);
        let read = ours(&bytes);
        if let Ok((_, places)) = &read {
            let mut found = BTreeSet::new();
            unread(&node, "", &mut found);
            prop_assert_eq!(places, &found, "{}", node);
            let known = reader::whole::<Node, true>(&bytes, |reader| Node::deserialize(reader));
            let expected = known.filter(|_| found.is_empty());
            prop_assert_eq!(quick(&bytes), expected, "{}", node);
        }
        prop_assert_eq!(coarse(read), coarse(measure(&bytes)), "{}", node);
    }

    #[test]
    fn damaged_bytes_make_no_difference(node in node(), at: prop::sample::Index, byte: u8) {
        let mut bytes = written(&node);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Some(node) = quick(&bytes) {
            let read: Read<Node> = Ok((node, BTreeSet::new()));
            prop_assert_eq!(format!("{:?}", ours::<Node>(&bytes)), format!("{read:?}"));
        }
        match (coarse(ours(&bytes)), coarse(measure(&bytes))) {
            // Only `serde_ignored` refuses bytes as keys.
            (_, Err(refused)) if refused == "non-string key" => {}
            // The results are compared as text, because NaN does not equal itself.
            (ours, measured) => prop_assert_eq!(format!("{ours:?}"), format!("{measured:?}"), "{}", node),
        }
    }
}

#[track_caller]
fn check<T: for<'de> Deserialize<'de>>(value: serde_json::Value, expected: &[&str]) {
    check_value::<T>(rmpv::ext::to_value(value).expect("a value"), expected);
}

#[track_caller]
fn check_value<T: for<'de> Deserialize<'de>>(value: Value, expected: &[&str]) {
    let (_, places) = ours::<T>(&written(&value)).expect("reads");
    assert_eq!(places.iter().collect::<Vec<_>>(), expected, "{value}");
}

#[test]
fn serde_ignored_finds_unread_fields() {
    let value = rmpv::ext::to_value(
        json!({ "list": [{}, { "option": { "unknown": 1 } }], "by_text": { "by_x": { "strange": 2 } } }),
    );
    let bytes = written(&value.expect("a value"));
    let (_, places) = measure(&bytes).expect("reads");
    assert_eq!(places, ["by_text.*.strange", "list.[].option.unknown"].map(str::to_owned).into());
}

#[test]
fn a_path_has_names_and_elements_of_one_list_share_a_path() {
    let held = || json!({ "unknown": 1 });
    check::<Node>(json!({ "list": vec![held(); 1000] }), &["list.[].unknown"]);
    check::<BTreeMap<String, Node>>(json!({ "a": held(), "b": held() }), &["*.unknown"]);
    check::<Node>(json!({ "option": held(), "newtype": held() }), &["newtype.unknown", "option.unknown"]);
    check::<Node>(
        json!({ "pair": [held(), 1], "double": [held(), {}] }),
        &["double.[].unknown", "pair.[].unknown"],
    );
    check::<Node>(json!({ "choice": { "One": held() } }), &["choice.One.unknown"]);
    check::<Node>(json!({ "choice": { "Two": [{}, held()] } }), &["choice.Two.[].unknown"]);
    check::<Node>(
        json!({ "choice": { "Named": { "node": held(), "more": 1 } } }),
        &["choice.Named.more", "choice.Named.node.unknown"],
    );
    check::<Node>(json!({ "by_word": { "Yes": held(), "No": held() } }), &["by_word.*.unknown"]);
    check::<IgnoredAny>(json!(1), &["."]);
}

#[test]
fn a_field_beside_flattened_ones_has_its_name() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read into")]
    struct Mixed {
        node: Node,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }
    check::<Mixed>(json!({ "node": { "unknown": 1 }, "more": 2 }), &["node.unknown"]);
}

#[test]
fn keys_of_any_kind_are_read_to_their_end() {
    let map = |fields: &[&str]| Value::Map(fields.iter().map(|field| ((*field).into(), 1.into())).collect());
    let pid = || map(&["slot", "generation"]);
    let keyed = |key, value| Value::Map(vec![(key, value)]);
    check_value::<BTreeMap<Pid, u8>>(keyed(pid(), 1.into()), &[]);
    check_value::<BTreeMap<Pid, Pid>>(keyed(pid(), map(&["slot", "generation", "node"])), &["*.node"]);
    check_value::<BTreeMap<Pid, u8>>(keyed(map(&["slot", "generation", "node"]), 1.into()), &["?.node"]);
    check_value::<BTreeMap<(u8, u8), u8>>(keyed(vec![Value::from(1), 2.into()].into(), 1.into()), &[]);
    // The struct is read from a map with numbers as keys, which are not names.
    check_value::<Node>(keyed(1000.into(), 1.into()), &["*"]);
}
