//! Manual pages of section 5: one per document, from the tables by which the documents are read.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use reld_plan::{Document, Key, Table};

/// Returns the file name of a document's page and its text.
pub(super) fn page(document: &Document) -> (String, String) {
    let mut page = Roff::new();
    // The blank stands for the date, because an empty argument would be left out.
    page.control("TH", [document.name, "5", " ", "reld", "File Formats"]);
    page.control("SH", ["NAME"]);
    page.text([roman(format!("{} - {}", document.name, document.purpose))]);
    page.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut page, document.about.iter().copied());
    let tables = document.tables.iter().copied().flatten();
    let (instructions, keys): (Vec<&Table>, Vec<&Table>) = tables.partition(|table| table.is_instruction());
    if !keys.is_empty() {
        page.control("SH", ["KEYS"]);
    }
    for table in keys {
        if !table.head.is_empty() {
            page.control("SS", [table.head]);
            page.text([roman(table.meaning)]);
        }
        table.keys.iter().for_each(|key| entry(&mut page, key));
    }
    if !instructions.is_empty() {
        page.control("SH", ["INSTRUCTIONS"]);
        let forms = "Each is a table, such as { update = \"till\" }. The first key below is its name.";
        page.text([roman(forms)]);
    }
    for table in instructions {
        let name = table.keys.first().map_or("", |key| key.name);
        page.control("SS", [name]);
        page.text([roman(table.meaning)]);
        table.keys.iter().for_each(|key| entry(&mut page, key));
    }
    page.control("SH", ["EXAMPLE"]);
    page.control("nf", []);
    for line in document.example.lines() {
        page.text([roman(line)]);
    }
    page.control("fi", []);
    page.control("SH", ["SEE ALSO"]);
    page.text(see_also(document));
    (format!("{}.5", document.name), page.to_roff())
}

fn paragraphs<'a>(page: &mut Roff, texts: impl Iterator<Item = &'a str>) {
    for text in texts {
        page.control("PP", []);
        page.text([roman(text)]);
    }
}

/// Adds a key: its form, its default, its meaning.
fn entry(page: &mut Roff, key: &Key) {
    page.control("TP", []);
    let default = match key.default {
        None => "; required".to_owned(),
        Some(default) => format!("; default: {default}"),
    };
    page.text([bold(key.name), roman(" = "), italic(key.form), roman(default)]);
    page.text([roman(format!("{} Since reld {}.", key.meaning, key.since))]);
}

fn see_also(document: &Document) -> Vec<Inline> {
    let mut inlines = Vec::new();
    for (at, (name, section)) in document.see_also.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        inlines.extend([roman(comma), bold(*name), roman(format!("({section})"))]);
    }
    inlines
}

#[cfg(test)]
mod tests {
    use reld_plan::DOCUMENTS;

    use super::*;

    #[test]
    fn each_page_has_every_key_with_its_default() {
        for document in &DOCUMENTS {
            let (file, text) = page(document);
            assert_eq!(file, format!("{}.5", document.name));
            let plain = text.replace("\\-", "-").replace("\\fB", "").replace("\\fI", "").replace("\\fR", "");
            for key in document.tables.iter().copied().flatten().flat_map(|Table { keys, .. }| *keys) {
                assert!(plain.contains(&format!("{} = {}", key.name, key.form)), "{file}: {}", key.name);
            }
            assert!(text.contains(".SH NAME") && text.contains(".SH EXAMPLE"), "{text}");
        }
    }

    #[test]
    fn a_page_names_form_default_and_meaning_of_a_key() {
        const KEY: Key = Key {
            name: "limit",
            form: "number",
            default: Some("5"),
            example: "6",
            meaning: "The limit.",
            since: "0.1.0",
        };
        const TABLES: &[&[Table]] = &[&[Table { head: "[[shop]]", meaning: "A shop.", keys: &[KEY] }]];
        let document = Document {
            name: "x.toml",
            purpose: "an example",
            about: &["A file."],
            tables: TABLES,
            example: "limit = 6\n",
            see_also: &[("reld", "8"), ("relctl", "1")],
        };
        insta::assert_snapshot!(page(&document).1, @r#"
        .TH x.toml 5 " " reld "File Formats"
        .SH NAME
        x.toml \- an example
        .SH DESCRIPTION
        .PP
        A file.
        .SH KEYS
        .SS [[shop]]
        A shop.
        .TP
        \fBlimit\fR = \fInumber\fR; default: 5
        The limit. Since reld 0.1.0.
        .SH EXAMPLE
        .nf
        limit = 6
        .fi
        .SH "SEE ALSO"
        \fBreld\fR(8), \fBrelctl\fR(1)
        "#);
    }
}
