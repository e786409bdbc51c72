//! The existing name that is nearest to a misspelt one.

/// The similarity of two names, from 0 to 1, from which one is offered for the other.
const SIMILAR: f64 = 0.7;

/// Returns the name that is nearest to a misspelt one, if any is similar.
pub(crate) fn nearest(misspelt: &str, names: impl IntoIterator<Item = String>) -> Option<String> {
    let rated = names.into_iter().map(|name| (strsim::jaro(misspelt, &name), name));
    let best = rated.filter(|(rate, _)| *rate > SIMILAR).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_name_is_offered_and_none_if_all_are_far() {
        let names = || ["door", "sessions", "session_log"].map(str::to_owned);
        assert_eq!(nearest("sesions", names()).as_deref(), Some("sessions"));
        assert_eq!(nearest("dor", names()).as_deref(), Some("door"));
        assert_eq!(nearest("till", names()), None);
        assert_eq!(nearest("till", []), None);
    }
}
