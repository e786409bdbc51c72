//! `serde_ignored` is the measure: the same values, the same paths, the same refusals.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;
use rmpv::Value;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_bytes::ByteBuf;

use crate::names::Pid;

/// All that serde can ask a deserializer for, around and around.
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

/// Nodes with fields that are unknown, at any depth.
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

/// A map of some fields, each once.
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

type Read<T> = Result<(T, Vec<String>), String>;

fn ours<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Read<T> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    super::deserialize(&mut reader).map_err(|error| error.to_string())
}

fn measure<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Read<T> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    let mut paths = Vec::new();
    serde_ignored::deserialize(&mut reader, |path| paths.push(path.to_string()))
        .map(|value| (value, paths))
        .map_err(|error| error.to_string())
}

proptest! {
    #[test]
    fn what_nobody_reads_is_found_at_any_depth(node in node()) {
        let bytes = written(&node);
        prop_assert_eq!(ours::<Node>(&bytes), measure::<Node>(&bytes), "{}", node);
    }

    #[test]
    fn damaged_bytes_make_no_difference(node in node(), at: prop::sample::Index, byte: u8) {
        let mut bytes = written(&node);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        match (ours::<Node>(&bytes), measure::<Node>(&bytes)) {
            // Bytes as keys, which only the measure refuses.
            (_, Err(refused)) if refused == "non-string key" => {}
            // A float that is no number equals nothing.
            (ours, measured) => prop_assert_eq!(format!("{ours:?}"), format!("{measured:?}"), "{}", node),
        }
    }
}

#[track_caller]
fn check<T: for<'de> Deserialize<'de>>(value: Value, expected: &[&str]) {
    let (_, paths) = ours::<T>(&written(&value)).expect("reads");
    assert_eq!(paths, expected, "{value}");
}

#[test]
fn the_measure_finds_something() {
    let value = rmpv::ext::to_value(
        serde_json::json!({ "list": [{}, { "option": { "unknown": 1 } }], "strange": 2 }),
    );
    let bytes = written(&value.expect("a value"));
    let (_, paths) = measure::<Node>(&bytes).expect("reads");
    assert_eq!(paths, ["list.1.option.?.unknown", "strange"]);
}

#[test]
fn keys_of_any_kind_are_read_to_their_end() {
    let map = |fields: &[&str]| Value::Map(fields.iter().map(|field| ((*field).into(), 1.into())).collect());
    let pid = || map(&["slot", "generation"]);
    let keyed = |key, value| Value::Map(vec![(key, value)]);
    check::<BTreeMap<Pid, u8>>(keyed(pid(), 1.into()), &[]);
    check::<BTreeMap<Pid, Pid>>(keyed(pid(), map(&["slot", "generation", "node"])), &["?.node"]);
    check::<BTreeMap<Pid, u8>>(keyed(map(&["slot", "generation", "node"]), 1.into()), &["?.node"]);
    check::<BTreeMap<(u8, u8), u8>>(keyed(vec![Value::from(1), 2.into()].into(), 1.into()), &[]);
    check::<IgnoredAny>(1.into(), &["."]);
}
