//! The table of a custom set as columns and rows of text, whatever it was written with.
//!
//! CSV as spreadsheets write it: with or without a byte order mark, fields quoted or not and with spaces around them,
//! lines ended in either way, blank lines, separated by commas, else semicolons, else tabs (the heading tells which).
//! Parquet, told apart by its first bytes, is read by programs with the cargo feature `hub`.

use std::path::Path;

use crate::{Error, Result};

/// A table as text.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The heading, without spaces around its fields.
    pub columns: Vec<String>,
    /// What follows it, blank lines left out.
    pub rows: Vec<Row>,
    /// What a row's number counts: `line` or `row`.
    pub unit: &'static str,
    /// Rows that cannot be read.
    pub problems: Vec<Error>,
}

/// One row: as many fields as there are columns.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// Its line in the file, the first being 1; for Parquet its place.
    pub number: usize,
    /// The fields, without spaces around them.
    pub fields: Vec<String>,
}

/// Reads a table.
///
/// # Errors
/// The file cannot be read, is neither CSV nor Parquet, or has no heading. What is wrong with single rows stands in
/// [`Table::problems`].
pub(super) fn read(path: &Path) -> Result<Table> {
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, "read the table", source))?;
    let refuse = |found: &str, cure: &str| Err(Error::content(path, "a table as CSV text in UTF-8", found, cure));
    match bytes.as_slice() {
        [b'P', b'A', b'R', b'1', ..] => read_parquet(path, bytes),
        [b'P', b'K', 3, 4, ..] => refuse("a spreadsheet or an archive", "save it as CSV"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => refuse("text in UTF-16", "save it as UTF-8"),
        bytes => match std::str::from_utf8(bytes) {
            Ok(text) => read_csv(path, text.trim_start_matches('\u{feff}')),
            Err(error) => {
                let line = line_of(bytes, error.valid_up_to());
                refuse(&format!("other text in line {line}"), "save it as UTF-8")
            }
        },
    }
}

#[cfg(feature = "hub")]
fn read_parquet(path: &Path, bytes: Vec<u8>) -> Result<Table> {
    super::parquet::read(path, bytes)
}

#[cfg(not(feature = "hub"))]
fn read_parquet(path: &Path, _bytes: Vec<u8>) -> Result<Table> {
    Err(Error::content(
        path,
        "a table as CSV text",
        "a Parquet file, which this program was built without",
        "start it by `cargo xtask-hub`, or save the table as CSV",
    ))
}

/// The line that holds a byte, the first being 1.
fn line_of(bytes: &[u8], place: usize) -> usize {
    1 + bytes.iter().take(place).filter(|&&byte| byte == b'\n').count()
}

fn read_csv(path: &Path, text: &str) -> Result<Table> {
    let heading = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let delimiter = [b',', b';', b'\t'].into_iter().find(|&byte| heading.as_bytes().contains(&byte)).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut table = Table { unit: "line", ..Table::default() };
    // The reader says where it began to look for a record: line ends and blank lines before the record come after that.
    let (mut line, mut counted) = (1, 0);
    for record in reader.records() {
        let record = record.map_err(|error| {
            Error::content(path, "a table as CSV text", error.to_string().replace('\n', " "), "save the table again")
        })?;
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let rest = text.get(start..).unwrap_or_default();
        let begin = start + rest.len() - rest.trim_start_matches(['\r', '\n']).len();
        line += text.as_bytes()[counted..begin].iter().filter(|&&byte| byte == b'\n').count();
        counted = begin;
        let mut fields: Vec<String> = record.iter().map(str::to_owned).collect();
        if fields.iter().all(String::is_empty) {
            continue;
        }
        if table.columns.is_empty() {
            table.columns = fields;
            continue;
        }
        let n_columns = table.columns.len();
        // Spreadsheets like to end lines with separators of columns that are not there.
        while fields.len() > n_columns && fields.last().is_some_and(String::is_empty) {
            fields.pop();
        }
        if fields.len() == n_columns {
            table.rows.push(Row { number: line, fields });
        } else {
            let cure = match fields.iter().any(|field| field.contains('"')) {
                true => "look at its quotes: no space may stand before them",
                false => "put fields that hold a separator in quotes",
            };
            let expected = format!("{n_columns} fields in line {line}, as in the heading");
            table.problems.push(Error::content(path, expected, fields.len().to_string(), cure));
        }
    }
    if table.columns.is_empty() {
        let cure = "begin it with a heading such as `image,person,emotion`";
        return Err(Error::content(path, "a table with a heading", "an empty file", cure));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<Table> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    /// Columns, and rows with their lines, as short text.
    fn short(table: &Table) -> String {
        let rows = table.rows.iter().map(|row| format!("{}:{}", row.number, row.fields.join("|")));
        std::iter::once(table.columns.join("|")).chain(rows).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn csv_is_read_as_spreadsheets_write_it() {
        for (text, expected) in [
            ("image,hue\na.png,red\nb.png,blue\n", "image|hue 2:a.png|red 3:b.png|blue"),
            ("\u{feff}image,hue\r\na.png,red\r\nb.png,blue", "image|hue 2:a.png|red 3:b.png|blue"),
            ("\n\nimage , hue\n\n a.png,\tred \n  \r\n,\nb.png,blue\n\n", "image|hue 5:a.png|red 8:b.png|blue"),
            ("image,hue\r\n\r\n\r\na.png,red\r\nb.png,blue\r\n", "image|hue 4:a.png|red 5:b.png|blue"),
            (
                "image,hue\n\"a, b.png\",\"dark \"\"red\"\"\"\nb.png,blue",
                "image|hue 2:a, b.png|dark \"red\" 3:b.png|blue",
            ),
            ("image,hue\n\"two\nlines\",red\nb.png,blue", "image|hue 2:two\nlines|red 4:b.png|blue"),
            ("image;hue\na,b.png;red\n", "image|hue 2:a,b.png|red"),
            ("image\thue\na.png\tred\n", "image|hue 2:a.png|red"),
            ("image,hue\na.png,red,,\n", "image|hue 2:a.png|red"),
            ("image,hue\na.png,\n", "image|hue 2:a.png|"),
            ("image\na.png\n", "image 2:a.png"),
        ] {
            let table = read_bytes(text.as_bytes()).unwrap();
            assert_eq!(short(&table), expected, "{text:?}");
            assert!(table.problems.is_empty(), "{:?}", table.problems);
        }
    }

    #[test]
    fn rows_of_another_length_are_named_and_the_others_read() {
        let table = read_bytes(b"image,hue\na.png\nb.png,blue\n\nc.png,red,big\nd.png, \"dark, red\"\n").unwrap();
        assert_eq!(short(&table), "image|hue 3:b.png|blue");
        let messages: Vec<String> = table.problems.iter().map(ToString::to_string).collect();
        assert!(messages[0].contains("labels.csv: expected 2 fields in line 2, as in the heading, found 1"));
        assert!(messages[1].contains("in line 5") && messages[1].contains("found 3; put fields"), "{}", messages[1]);
        assert!(messages[2].contains("in line 6") && messages[2].contains("no space may stand"), "{}", messages[2]);
        assert_eq!(messages.len(), 3);
    }

    #[test]
    fn what_is_no_table_is_one_line_that_says_what_it_is() {
        for (bytes, expected) in [
            (&b""[..], "an empty file"),
            (b"\n \n,,\n", "an empty file"),
            (b"PK\x03\x04 and so on", "a spreadsheet or an archive; save it as CSV"),
            (b"\xFF\xFEi\0m\0", "UTF-16; save it as UTF-8"),
            (b"image,hue\na.png,gr\xFCn\n", "other text in line 2; save it as UTF-8"),
            #[cfg(not(feature = "hub"))]
            (b"PAR1 and so on", "cargo xtask-hub"),
            #[cfg(feature = "hub")]
            (b"PAR1 and so on", "a Parquet table"),
        ] {
            let message = read_bytes(bytes).unwrap_err().to_string();
            assert!(message.contains("labels.csv: expected") && message.contains(expected), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
        let message = read(Path::new("/no/labels.csv")).unwrap_err().to_string();
        assert!(message.starts_with("/no/labels.csv: cannot read the table"), "{message}");
    }
}
