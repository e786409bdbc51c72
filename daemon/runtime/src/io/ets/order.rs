//! The order of keys: each MessagePack value becomes bytes that sort in the order of the values.
//!
//! nil < false < true < integers < floats < strings < binaries < arrays < maps. Arrays are compared
//! element by element, so all keys with the same prefix are adjacent. Different encodings of one
//! value, such as 1 in one byte and in eight, are the same key. Unlike OTP, an integer never equals
//! a float, and all integers sort before all floats.

use rmpv::ValueRef;

/// Marks the end of an array, map, string or binary. It sorts before every other byte that can
/// follow an element.
const END: u8 = 0;

/// Returns the bytes that a key sorts by.
///
/// # Errors
/// The key is not exactly one MessagePack value.
pub(crate) fn sort_key(key: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(key.len() + 8);
    write(&mut out, &value(key)?);
    Ok(out)
}

/// Returns the common prefix of all keys that begin with this key. If the key is an array, string
/// or binary, the prefix is its bytes without the end marker.
///
/// # Errors
/// The same as [`sort_key`].
pub(crate) fn prefix_key(key: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = sort_key(key)?;
    let open = match value(key)? {
        ValueRef::Array(_) => 1,
        // The end marker takes two bytes here, because a zero inside a string is escaped.
        ValueRef::String(_) | ValueRef::Binary(_) => 2,
        _ => 0,
    };
    out.truncate(out.len() - open);
    Ok(out)
}

fn value(mut key: &[u8]) -> Result<ValueRef<'_>, String> {
    let value = rmpv::decode::read_value_ref(&mut key).map_err(|error| error.to_string())?;
    if key.is_empty() { Ok(value) } else { Err("bytes follow the key".to_owned()) }
}

fn write(out: &mut Vec<u8>, value: &ValueRef<'_>) {
    match value {
        ValueRef::Nil => out.push(1),
        ValueRef::Boolean(is) => out.push(2 + u8::from(*is)),
        ValueRef::Integer(n) => integer(out, *n),
        ValueRef::F32(n) => float(out, f64::from(*n)),
        ValueRef::F64(n) => float(out, *n),
        ValueRef::String(text) => run(out, 7, text.as_bytes()),
        ValueRef::Binary(bytes) => run(out, 8, bytes),
        ValueRef::Array(items) => {
            out.push(9);
            items.iter().for_each(|item| write(out, item));
            out.push(END);
        }
        ValueRef::Map(pairs) => {
            out.push(10);
            for (key, value) in pairs {
                write(out, key);
                write(out, value);
            }
            out.push(END);
        }
        ValueRef::Ext(kind, bytes) => {
            out.extend([11, kind.cast_unsigned()]);
            run(out, 8, bytes);
        }
    }
}

/// Negative integers come first. Within each sign the two's complement sorts in the right order.
fn integer(out: &mut Vec<u8>, n: rmpv::Integer) {
    let (tag, bits) = match n.as_u64() {
        Some(bits) => (5, bits),
        None => (4, n.as_i64().unwrap_or(i64::MIN).cast_unsigned()),
    };
    out.push(tag);
    out.extend(bits.to_be_bytes());
}

/// The bits of a positive float sort like the float. The bits of a negative float do so once they
/// are inverted.
fn float(out: &mut Vec<u8>, n: f64) {
    let bits = n.to_bits();
    let sorts = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.push(6);
    out.extend(sorts.to_be_bytes());
}

/// Writes bytes so that they end with two zeros; a zero inside is followed by 255.
fn run(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    for byte in bytes {
        out.push(*byte);
        if *byte == END {
            out.push(255);
        }
    }
    out.extend([END, END]);
}

#[cfg(test)]
mod tests {
    use rmpv::Value;

    use super::*;

    fn packed(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).expect("memory takes all");
        bytes
    }

    fn key(value: &Value) -> Vec<u8> {
        sort_key(&packed(value)).expect("it is a value")
    }

    fn array(items: &[Value]) -> Value {
        Value::Array(items.to_vec())
    }

    #[test]
    fn keys_sort_as_their_values_do() {
        let text = Value::from;
        let ordered = [
            Value::Nil,
            Value::from(false),
            Value::from(true),
            Value::from(i64::MIN),
            Value::from(-300),
            Value::from(-1),
            Value::from(0),
            Value::from(200),
            Value::from(70_000),
            Value::from(u64::MAX),
            Value::from(f64::NEG_INFINITY),
            Value::from(-0.5),
            Value::from(0.25),
            Value::from(7.5),
            text(""),
            text("a"),
            text("a\0"),
            text("a\0b"),
            text("ab"),
            text("b"),
            Value::Binary(vec![]),
            Value::Binary(vec![0]),
            array(&[]),
            array(&[Value::from(1)]),
            array(&[Value::from(1), Value::Nil]),
            array(&[Value::from(1), text("z")]),
            array(&[Value::from(2)]),
            Value::Map(vec![]),
        ];
        let keys: Vec<_> = ordered.iter().map(key).collect();
        assert!(keys.is_sorted_by(|one, next| one < next), "{keys:?}");
    }

    #[test]
    fn one_value_is_one_key_however_it_was_written() {
        assert_eq!(sort_key(&[0x01]), sort_key(&[0xd3, 0, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(sort_key(&[0xff]), sort_key(&[0xd1, 0xff, 0xff]));
        assert!(sort_key(&[0x01, 0x02]).is_err());
        assert!(sort_key(&[0x92, 0x01]).is_err());
    }

    #[test]
    fn a_prefix_begins_what_begins_with_it_and_nothing_else() {
        let starts = |long: &Value, short: &Value| {
            key(long).starts_with(&prefix_key(&packed(short)).expect("it is a value"))
        };
        let pair = |n: i64, word: &str| array(&[Value::from(n), Value::from(word)]);
        assert!(starts(&pair(1, "x"), &array(&[Value::from(1)])));
        assert!(!starts(&pair(2, "x"), &array(&[Value::from(1)])));
        assert!(starts(&pair(2, "x"), &array(&[])));
        assert!(starts(&Value::from("room/7"), &Value::from("room/")));
        assert!(starts(&Value::from("room/"), &Value::from("room/")));
        assert!(!starts(&Value::from("rooms"), &Value::from("room/")));
    }
}
