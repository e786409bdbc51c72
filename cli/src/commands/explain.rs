//! `relctl explain`: the pages of the error codes.

use reld_api::ErrorCode;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::render::table;
use crate::shown::Shown;

/// The least similarity of two words, from 0 to 1, of which one may be a typo of the other.
const SIMILAR: f64 = 0.8;

/// Shows the page of a code; without a code, lists all codes.
pub(crate) fn explain(word: Option<&str>) -> Result<Shown, Failure> {
    let Some(word) = word else { return Ok(list()) };
    let code = ErrorCode::of(word).ok_or_else(|| unknown(word))?;
    let mut json = entry(code);
    json["page"] = json!(code.page());
    Ok(Shown::new(&json, format!("{code}: {}\n\n{}", code.summary(), code.page())))
}

fn list() -> Shown {
    let mut codes = ErrorCode::ALL.to_vec();
    codes.sort_by_key(|code| code.as_str());
    let rows = codes.iter().map(|code| vec![code.to_string(), code.summary().to_owned()]);
    let text = table(&["code", "meaning"], rows);
    Shown::new(&json!({ "codes": codes.into_iter().map(entry).collect::<Vec<_>>() }), text)
}

fn entry(code: ErrorCode) -> Value {
    json!({ "code": code.as_str(), "summary": code.summary() })
}

fn unknown(word: &str) -> Failure {
    let nearest = nearest(word).map(|code| format!("; did you mean {code}?")).unwrap_or_default();
    let message = format!("cannot explain {word:?}: there is no such code{nearest}");
    Failure::usage(message).or_hint("`relctl explain` lists all codes")
}

/// Returns the code that is most similar to a word, if one is similar enough.
fn nearest(word: &str) -> Option<ErrorCode> {
    let similarity = |code: &ErrorCode| strsim::jaro_winkler(word, code.as_str());
    let nearest = ErrorCode::ALL.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    nearest.copied().filter(|code| similarity(code) >= SIMILAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_the_nearest_code_and_nonsense_finds_none() {
        assert_eq!(nearest("orphan"), Some(ErrorCode::Orphans));
        assert_eq!(nearest("no_such_releas"), Some(ErrorCode::NoSuchRelease));
        assert_eq!(nearest("Not_Purged"), Some(ErrorCode::NotPurged));
        assert_eq!(nearest("E0308"), None);
        assert_eq!(nearest(""), None);
    }
}
