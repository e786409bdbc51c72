//! Paths in supervision trees, such as `shop/tills/3`: an app or a registered name, then the ids of
//! children.
//!
//! A part is the text of an id, or its JSON. A `/` inside double quotes belongs to its part.
//!
//! | id           | part                                                 |
//! |--------------|------------------------------------------------------|
//! | `"tills"`    | `tills` or `"tills"`                                 |
//! | `3`          | `3`                                                  |
//! | `"3"`        | `"3"`, and `3` if no sibling has the number 3        |
//! | `"a/b"`      | `"a/b"`                                              |
//! | `["a", 3]`   | `["a",3]`                                            |
//! | bytes, nil   | none; the process is found by its pid                |

/// Separates the parts of a path.
pub const SEPARATOR: char = '/';

/// Splits a path into its first part, and its other parts with the path before each.
pub fn split(path: &str) -> (&str, Vec<(&str, &str)>) {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut ends = Vec::new();
    for (at, c) in path.char_indices() {
        match c {
            SEPARATOR if !is_quoted => ends.push(at),
            '"' if !is_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        is_escaped = is_quoted && !is_escaped && c == '\\';
    }
    let after = ends.iter().skip(1).copied().chain([path.len()]);
    let parts = ends.iter().zip(after).map(|(&start, end)| (&path[..start], &path[start + 1..end]));
    let first = ends.first().map_or(path, |end| &path[..*end]);
    (first, parts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_at_slashes_outside_of_quotes() {
        assert_eq!(split("shop"), ("shop", vec![]));
        assert_eq!(split("shop/tills/3"), ("shop", vec![("shop", "tills"), ("shop/tills", "3")]));
        assert_eq!(split(r#"shop/"a/b"/3"#), ("shop", vec![("shop", r#""a/b""#), (r#"shop/"a/b""#, "3")]));
        assert_eq!(split(r#"shop/"\"/"/3"#).1[1].1, "3");
        assert_eq!(split(r#"shop/["a/b",1]"#).1[0].1, r#"["a/b",1]"#);
        assert_eq!(split("shop/"), ("shop", vec![("shop", "")]));
        assert_eq!(split("/a"), ("", vec![("", "a")]));
    }
}
