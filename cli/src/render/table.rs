//! Tables with aligned columns.

/// Formats rows below their headers, each column as wide as its widest cell. Empty cells become
/// `-`.
pub(crate) fn table(headers: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let headers = headers.iter().map(|header| (*header).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(headers).chain(rows).map(filled).collect();
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0))
        .collect();
    rows.iter().map(|row| draw(row, &widths)).collect()
}

fn filled(row: Vec<String>) -> Vec<String> {
    row.into_iter().map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }).collect()
}

fn draw(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<_> = row
        .iter()
        .zip(widths)
        .map(|(cell, widest)| format!("{cell}{}", " ".repeat(widest - width(cell))))
        .collect();
    format!("{}\n", cells.join("  ").trim_end())
}

fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_without_trailing_spaces() {
        let rows = [vec!["<7.1>".to_owned(), String::new()], vec!["<10.1>".to_owned(), "ä".to_owned()]];
        assert_eq!(table(&["pid", "name"], rows), "pid     name\n<7.1>   -\n<10.1>  ä\n");
    }
}
