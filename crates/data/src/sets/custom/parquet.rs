//! A custom set's table as Parquet: columns of text, whole numbers, other numbers or truth values.

use std::io::Cursor;
use std::path::Path;

use polars::prelude::{DataFrame, DataType, ParquetReader, PolarsResult, SerReader};

use super::table::{Row, Table};
use crate::{Error, Result};

/// Reads such a table; a missing value becomes empty text.
///
/// # Errors
/// The bytes are no Parquet file, or a column holds something else than text or numbers.
pub(super) fn read(path: &Path, bytes: Vec<u8>) -> Result<Table> {
    let wrong = |error: polars::error::PolarsError| {
        let found = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Error::content(path, "a Parquet table with columns of text or numbers", found, "write it again")
    };
    let frame = ParquetReader::new(Cursor::new(bytes)).finish().map_err(wrong)?;
    text(&frame).map_err(wrong)
}

fn text(frame: &DataFrame) -> PolarsResult<Table> {
    let columns: Vec<String> = frame.get_column_names().iter().map(|name| name.trim().to_owned()).collect();
    let mut rows: Vec<Row> =
        (0..frame.height()).map(|place| Row { number: place + 1, fields: Vec::with_capacity(columns.len()) }).collect();
    for column in frame.columns() {
        let column = column.cast(&DataType::String)?;
        for (row, field) in rows.iter_mut().zip(column.str()?.iter()) {
            row.fields.push(field.unwrap_or_default().trim().to_owned());
        }
    }
    Ok(Table { columns, rows, unit: "row", problems: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{Column, ParquetWriter};

    #[test]
    fn columns_of_every_kind_become_text() {
        let mut frame = DataFrame::new(
            3,
            vec![
                Column::new("image".into(), ["a.png", " b.png ", "c.png"]),
                Column::new("person".into(), [3_i64, 10, 7]),
                Column::new("turn".into(), [Some(0.5), None, Some(90.0)]),
            ],
        )
        .unwrap();
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
        let table = read(Path::new("labels.parquet"), bytes.clone()).unwrap();
        assert_eq!(table.columns, ["image", "person", "turn"]);
        let fields: Vec<String> = table.rows.iter().map(|row| row.fields.join("|")).collect();
        assert_eq!(fields, ["a.png|3|0.5", "b.png|10|", "c.png|7|90.0"]);
        assert_eq!((table.rows[2].number, table.unit), (3, "row"));

        bytes.truncate(bytes.len() / 2);
        let message = read(Path::new("labels.parquet"), bytes).unwrap_err().to_string();
        assert!(message.starts_with("labels.parquet: expected a Parquet table") && !message.contains('\n'));
    }
}
