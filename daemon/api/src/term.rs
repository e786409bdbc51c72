//! Conversion between MessagePack, the format of apps, and JSON, the format of the API.
//!
//! Values without a JSON counterpart are written as an object with one key that begins with `$`:
//!
//! | MessagePack | JSON |
//! | --- | --- |
//! | nil, bool, string, array | the same |
//! | integer, -2^63 to 2^64-1 | number without fraction |
//! | float | number with a fraction or exponent; `{"$float": "nan"}`, `"inf"`, `"-inf"` |
//! | binary | `{"$bin": "base64"}` |
//! | extension | `{"$ext": [type, "base64"]}` |
//! | map with distinct string keys | object |
//! | any other map, or one that looks like a form of this table | `{"$map": [[key, value], …]}` |
//!
//! The conversion loses only the order of string keys and the encoded size of numbers. Conversion
//! to MessagePack uses the shortest form for integers and eight bytes for floats.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rmpv::Value as Term;
use serde_json::{Map, Number, Value, json};

/// The maximum nesting of a term. serde_json reads at most 128 levels, and an answer that contains
/// a term needs some of them for itself.
const DEPTH_MAX: usize = 120;

/// A value that cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum TermError {
    /// The bytes are not a complete MessagePack value.
    #[error("not a MessagePack value")]
    Decode(#[from] rmpv::decode::Error),
    /// Bytes follow the MessagePack value.
    #[error("{0} bytes follow the MessagePack value")]
    Trailing(usize),
    /// A MessagePack string is not UTF-8.
    #[error("a MessagePack string is not UTF-8")]
    NotUtf8,
    /// The value is nested too deeply for JSON.
    #[error("the value is nested deeper than {DEPTH_MAX} levels of JSON")]
    TooDeep,
    /// A `$` form is malformed.
    #[error("{form} expects {wanted}, found {found}")]
    Form {
        /// The key, such as `$bin`.
        form: &'static str,
        /// The expected value.
        wanted: &'static str,
        /// The value found.
        found: Value,
    },
}

/// Returns the JSON form of one MessagePack value.
///
/// # Errors
/// The bytes are not exactly one value, a string is not UTF-8, or the nesting is too deep for JSON
/// parsers.
pub fn to_json(bytes: &[u8]) -> Result<Value, TermError> {
    let mut rest = bytes;
    let term = rmpv::decode::read_value(&mut rest)?;
    if !rest.is_empty() {
        return Err(TermError::Trailing(rest.len()));
    }
    json_of(term, DEPTH_MAX)
}

/// Returns the MessagePack form of a JSON value.
///
/// # Errors
/// [`TermError::Form`] for a malformed `$` form.
pub fn to_msgpack(value: &Value) -> Result<Vec<u8>, TermError> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &term_of(value)?).expect("a Vec takes every byte");
    Ok(bytes)
}

fn json_of(term: Term, levels: usize) -> Result<Value, TermError> {
    if levels == 0 {
        return Err(TermError::TooDeep);
    }
    Ok(match term {
        Term::Nil => Value::Null,
        Term::Boolean(yes) => Value::Bool(yes),
        Term::Integer(number) => json_of_integer(number),
        Term::F32(number) => json_of_float(number.into()),
        Term::F64(number) => json_of_float(number),
        Term::String(text) => Value::String(text.into_str().ok_or(TermError::NotUtf8)?),
        Term::Binary(bytes) => json!({ "$bin": BASE64.encode(bytes) }),
        Term::Ext(kind, bytes) => json!({ "$ext": [kind, BASE64.encode(bytes)] }),
        Term::Array(items) => {
            items.into_iter().map(|item| json_of(item, levels - 1)).collect::<Result<_, _>>()?
        }
        Term::Map(entries) => json_of_map(entries, levels)?,
    })
}

fn json_of_integer(number: rmpv::Integer) -> Value {
    number.as_u64().map_or_else(|| json!(number.as_i64()), |number| json!(number))
}

fn json_of_float(number: f64) -> Value {
    let special = if number.is_nan() {
        "nan"
    } else if number > 0.0 {
        "inf"
    } else {
        "-inf"
    };
    Number::from_f64(number).map_or_else(|| json!({ "$float": special }), Value::Number)
}

fn json_of_map(entries: Vec<(Term, Term)>, levels: usize) -> Result<Value, TermError> {
    if is_object(&entries) {
        let fields = entries.into_iter().map(|(key, value)| {
            let key = key.as_str().map(str::to_owned).ok_or(TermError::NotUtf8)?;
            Ok((key, json_of(value, levels - 1)?))
        });
        return fields.collect::<Result<Map<_, _>, _>>().map(Value::Object);
    }
    // The key and the value of a pair are three levels deep: in a pair, in a list of pairs, in an
    // object.
    let levels = levels.checked_sub(3).ok_or(TermError::TooDeep)?;
    let pairs = entries
        .into_iter()
        .map(|(key, value)| Ok(Value::Array(vec![json_of(key, levels)?, json_of(value, levels)?])));
    Ok(json!({ "$map": pairs.collect::<Result<Vec<_>, TermError>>()? }))
}

/// Returns whether a map can be written as an object. Its keys must be distinct strings, and it
/// must not look like a `$` form.
fn is_object(entries: &[(Term, Term)]) -> bool {
    let Some(mut keys) = entries.iter().map(|(key, _)| key.as_str()).collect::<Option<Vec<_>>>() else {
        return false;
    };
    keys.sort_unstable();
    let distinct = keys.windows(2).all(|pair| pair[0] != pair[1]);
    distinct && !matches!(keys[..], ["$bin" | "$ext" | "$float" | "$map"])
}

fn term_of(value: &Value) -> Result<Term, TermError> {
    Ok(match value {
        Value::Null => Term::Nil,
        Value::Bool(yes) => Term::Boolean(*yes),
        Value::Number(number) => term_of_number(number),
        Value::String(text) => Term::from(text.as_str()),
        Value::Array(items) => Term::Array(items.iter().map(term_of).collect::<Result<_, _>>()?),
        Value::Object(fields) => term_of_object(fields)?,
    })
}

fn term_of_number(number: &Number) -> Term {
    let integer = number.as_u64().map(Term::from).or_else(|| number.as_i64().map(Term::from));
    integer.unwrap_or_else(|| Term::F64(number.as_f64().unwrap_or(f64::NAN)))
}

fn term_of_object(fields: &Map<String, Value>) -> Result<Term, TermError> {
    let mut entries = fields.iter();
    if let (Some((key, value)), None) = (entries.next(), entries.next()) {
        match key.as_str() {
            "$bin" => return bin_of(value),
            "$ext" => return ext_of(value),
            "$float" => return float_of(value),
            "$map" => return map_of(value),
            _ => {}
        }
    }
    let entries = fields.iter().map(|(key, value)| Ok((Term::from(key.as_str()), term_of(value)?)));
    entries.collect::<Result<_, _>>().map(Term::Map)
}

fn bin_of(value: &Value) -> Result<Term, TermError> {
    let bytes = value.as_str().and_then(|text| BASE64.decode(text).ok());
    bytes.map(Term::Binary).ok_or_else(|| form("$bin", "base64 text", value))
}

fn ext_of(value: &Value) -> Result<Term, TermError> {
    let read = || {
        let [kind, bytes] = value.as_array()?.as_slice() else { return None };
        let kind = i8::try_from(kind.as_i64()?).ok()?;
        Some(Term::Ext(kind, BASE64.decode(bytes.as_str()?).ok()?))
    };
    read().ok_or_else(|| form("$ext", "a list of a type, -128 to 127, and base64 text", value))
}

fn float_of(value: &Value) -> Result<Term, TermError> {
    match value.as_str() {
        Some("nan") => Ok(Term::F64(f64::NAN)),
        Some("inf") => Ok(Term::F64(f64::INFINITY)),
        Some("-inf") => Ok(Term::F64(f64::NEG_INFINITY)),
        _ => Err(form("$float", r#""nan", "inf" or "-inf""#, value)),
    }
}

fn map_of(value: &Value) -> Result<Term, TermError> {
    let no_pair = || form("$map", "a list of pairs", value);
    let pairs =
        value.as_array().ok_or_else(no_pair)?.iter().map(|pair| match pair.as_array().map(Vec::as_slice) {
            Some([key, value]) => Ok((term_of(key)?, term_of(value)?)),
            _ => Err(no_pair()),
        });
    pairs.collect::<Result<_, _>>().map(Term::Map)
}

fn form(form: &'static str, wanted: &'static str, found: &Value) -> TermError {
    TermError::Form { form, wanted, found: found.clone() }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Any MessagePack value, with eight-byte floats and a single NaN.
    fn terms() -> impl Strategy<Value = Term> {
        let leaf = prop_oneof![
            Just(Term::Nil),
            any::<bool>().prop_map(Term::from),
            any::<u64>().prop_map(Term::from),
            any::<i64>().prop_map(Term::from),
            any::<f64>().prop_map(Term::F64),
            Just(Term::F64(f64::INFINITY)),
            Just(Term::F64(f64::NAN)),
            key().prop_map(Term::from),
            vec(any::<u8>(), 0..20).prop_map(Term::Binary),
            (any::<i8>(), vec(any::<u8>(), 0..20)).prop_map(|(kind, bytes)| Term::Ext(kind, bytes)),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(Term::Array),
                vec((inner.clone(), inner.clone()), 0..6).prop_map(Term::Map),
                vec((key().prop_map(Term::from), inner), 0..6).prop_map(Term::Map),
            ]
        })
    }

    /// Texts, often the keys of `$` forms.
    fn key() -> impl Strategy<Value = String> {
        prop_oneof!["\\PC{0,8}", Just("$bin".to_owned()), Just("$map".to_owned()), Just("$float".to_owned())]
    }

    /// Sorts the entries of objects as JSON does. A conversion may change only their order.
    fn sorted(term: Term) -> Term {
        match term {
            Term::Array(items) => Term::Array(items.into_iter().map(sorted).collect()),
            Term::Map(entries) => {
                let object = is_object(&entries);
                let mut entries: Vec<_> =
                    entries.into_iter().map(|(key, value)| (sorted(key), sorted(value))).collect();
                if object {
                    entries.sort_by(|(a, _), (b, _)| a.as_str().cmp(&b.as_str()));
                }
                Term::Map(entries)
            }
            other => other,
        }
    }

    fn bytes_of(term: &Term) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, term).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn every_term_round_trips_through_printed_json_byte_for_byte(term in terms()) {
            let json = to_json(&bytes_of(&term)).unwrap().to_string();
            let back = to_msgpack(&serde_json::from_str(&json).unwrap()).unwrap();
            prop_assert_eq!(back, bytes_of(&sorted(term)));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..64)) {
            // A decoded value must survive printing and parsing.
            if let Ok(json) = to_json(&bytes) {
                prop_assert!(to_msgpack(&serde_json::from_str(&json.to_string()).unwrap()).is_ok());
            }
        }
    }

    #[track_caller]
    fn check(json: &str, expected: &[u8]) {
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(to_msgpack(&value).unwrap(), expected);
        assert_eq!(to_json(expected).unwrap(), value);
    }

    #[test]
    fn each_form_of_the_table_converts_both_ways() {
        check("null", &[0xc0]);
        check("[true, \"a\"]", &[0x92, 0xc3, 0xa1, b'a']);
        check("-1", &[0xff]);
        check("18446744073709551615", &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        check("1.5", &[0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]);
        check(r#"{"$float": "-inf"}"#, &[0xcb, 0xff, 0xf0, 0, 0, 0, 0, 0, 0]);
        check(r#"{"$bin": "AQI="}"#, &[0xc4, 2, 1, 2]);
        check(r#"{"$ext": [5, "Bw=="]}"#, &[0xd4, 5, 7]);
        check(r#"{"a": 1}"#, &[0x81, 0xa1, b'a', 1]);
        check(r#"{"$map": [[1, 2]]}"#, &[0x81, 1, 2]);
        check(r#"{"$map": [["$bin", 2]]}"#, &[0x81, 0xa4, b'$', b'b', b'i', b'n', 2]);
    }

    #[track_caller]
    fn check_error(json: &str, expected: &str) {
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(to_msgpack(&value).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_malformed_form_is_refused() {
        check_error(r#"{"$bin": "%"}"#, r#"$bin expects base64 text, found "%""#);
        check_error(r#"{"$float": 1}"#, r#"$float expects "nan", "inf" or "-inf", found 1"#);
        check_error(r#"[{"$map": [[1]]}]"#, "$map expects a list of pairs, found [[1]]");
        check_error(
            r#"{"$ext": [200, ""]}"#,
            r#"$ext expects a list of a type, -128 to 127, and base64 text, found [200,""]"#,
        );
    }

    #[test]
    fn bytes_after_the_value_and_too_deep_values_are_refused() {
        assert_eq!(to_json(&[1, 2, 3]).unwrap_err().to_string(), "2 bytes follow the MessagePack value");
        let nested = [vec![0x91; 130], vec![0xc0]].concat();
        assert!(matches!(to_json(&nested), Err(TermError::TooDeep)));
    }
}
