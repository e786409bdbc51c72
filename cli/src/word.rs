//! Words of the wire on the command line: the type is the API's, and so is how its values are written.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A word, and what it means, or nothing where it says so itself.
pub(crate) type Word = (&'static str, &'static str);

/// Reads one of these words.
pub(crate) fn word<T>(words: &'static [Word]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    let value = |&(word, help): &Word| {
        let value = PossibleValue::new(word);
        if help.is_empty() { value } else { value.help(help) }
    };
    PossibleValuesParser::new(words.iter().map(value))
        .try_map(|word| serde_json::from_value(Value::String(word)))
}
