//! `table.csv` of a prepared folder: one row per picture of the user's folder, in the order of their paths.
//!
//! | column | meaning |
//! |---|---|
//! | `file` | path inside the user's folder, with `/` |
//! | `sha256` | of the file; empty where the name alone decided |
//! | `person`, `expression`, `session` | what the name says |
//! | `n_faces` | how many faces were found |
//! | `face_x`, `face_y`, `face_side`, `score` | the face, or the most certain of several, in pixels |
//! | `crop_x`, `crop_y`, `crop_side` | the square that was cut out, in pixels |
//! | `left_out` | empty, or why the picture is not in the set |
//! | `detail` | more about that |
//!
//! Rows without `left_out` are the pictures of the cache, in the same order.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::sets::faces::{Expression, Photo};
use crate::{Error, Result};

/// One picture of the user's folder.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub file: String,
    pub sha256: String,
    pub person: Option<u32>,
    pub expression: Option<String>,
    pub session: Option<u32>,
    pub n_faces: Option<usize>,
    pub face_x: Option<i64>,
    pub face_y: Option<i64>,
    pub face_side: Option<i64>,
    pub score: Option<f64>,
    pub crop_x: Option<u32>,
    pub crop_y: Option<u32>,
    pub crop_side: Option<u32>,
    pub left_out: Option<LeftOut>,
    pub detail: String,
}

/// Why a picture is not in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LeftOut {
    /// It was taken from the side: not an error, the sets use straight views only.
    OtherView,
    /// The name is not one of the set's.
    Name,
    /// Another file, earlier in the order, has the same labels.
    Repeated,
    /// It cannot be decoded.
    Unreadable,
    /// No face was found in it.
    NoFace,
    /// Several faces were found in it.
    SeveralFaces,
}

impl LeftOut {
    /// All reasons, in the order in which they are reported.
    pub const ALL: [Self; 6] =
        [Self::OtherView, Self::Name, Self::Repeated, Self::Unreadable, Self::NoFace, Self::SeveralFaces];

    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::OtherView => "other view",
            Self::Name => "name not understood",
            Self::Repeated => "repeated",
            Self::Unreadable => "unreadable",
            Self::NoFace => "no face found",
            Self::SeveralFaces => "several faces found",
        }
    }
}

impl Row {
    /// The photo that the row's labels name, if they name one.
    pub fn photo(&self) -> Option<Photo> {
        let expression = Expression::parse(self.expression.as_deref()?).ok()?;
        Some(Photo { person: self.person?, expression, session: self.session? })
    }

    /// The photo, if its picture is in the set.
    pub fn used(&self) -> Option<Photo> {
        self.photo().filter(|_| self.left_out.is_none())
    }

    /// Notes the labels.
    pub fn label(&mut self, photo: &Photo) {
        self.person = Some(photo.person);
        self.expression = Some(photo.expression.name().to_owned());
        self.session = Some(photo.session);
    }
}

/// The table as text.
///
/// # Errors
/// It cannot be made, which has no known way to happen.
pub(super) fn to_csv(path: &Path, rows: &[Row]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: std::io::Error| Error::io(path, "make the table", error);
    for row in rows {
        writer.serialize(row).map_err(|error| failed(std::io::Error::other(error)))?;
    }
    writer.into_inner().map_err(|error| failed(std::io::Error::other(error.to_string())))
}

/// The rows of a table.
///
/// # Errors
/// The text is not such a table; `cure` says what to do.
pub(super) fn from_csv(path: &Path, text: &[u8], cure: &str) -> Result<Vec<Row>> {
    let rows: std::result::Result<Vec<Row>, csv::Error> = csv::Reader::from_reader(text).deserialize().collect();
    rows.map_err(|error| {
        let found = error.to_string().replace('\n', " ");
        Error::content(path, "a table of prepared pictures", found, cure)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_their_text() {
        let mut row = Row { file: "a, b/\"c\".JPG".to_owned(), sha256: "00ff".to_owned(), ..Row::default() };
        row.label(&Photo { person: 35, expression: Expression::Angry, session: 1 });
        let left_out = LeftOut::ALL.map(|left_out| Row { left_out: Some(left_out), ..row.clone() });
        row.n_faces = Some(2);
        (row.face_x, row.face_y, row.face_side, row.score) = (Some(-3), Some(4), Some(250), Some(24.69));
        (row.crop_x, row.crop_y, row.crop_side) = (Some(0), Some(1), Some(325));
        assert_eq!(row.used(), row.photo());
        assert!(left_out[0].used().is_none() && left_out[0].photo() == row.photo());
        let rows: Vec<Row> = [row].into_iter().chain(left_out).chain([Row::default()]).collect();
        let text = to_csv(Path::new("t"), &rows).unwrap();
        assert_eq!(from_csv(Path::new("t"), &text, "").unwrap(), rows);
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("file,sha256,person,expression,session,n_faces,face_x,"), "{text}");
        assert!(text.contains(",35,angry,1,2,-3,4,250,24.69,0,1,325,,\n"), "{text}");
        assert!(text.contains(",several-faces,\n"), "{text}");
    }

    #[test]
    fn what_is_no_such_table_is_one_line() {
        for text in ["file,person\na,b\n", "nothing\n1\n", "file\n\"a\n"] {
            let message = from_csv(Path::new("t.csv"), text.as_bytes(), "do this").unwrap_err().to_string();
            assert!(message.starts_with("t.csv: expected a table") && message.ends_with("; do this"), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}
