//! What came of a preparation, in words and counts.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use super::table::{LeftOut, Row};
use super::{PhotoSet, SIZES, cache};
use crate::sets::faces::{MMI, N_PERSONS, Photo, SEVEN};

/// More names than this are not listed but counted.
const MAX_LISTED: usize = 20;

/// What came of a preparation; its `Display` is the summary for the user.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub(super) set: PhotoSet,
    pub(super) from: PathBuf,
    pub(super) out: PathBuf,
    pub(super) rows: Vec<Row>,
    pub(super) n_other_files: usize,
    pub(super) is_new: bool,
}

impl PhotoSet {
    /// Every photo that a complete set has, in order.
    pub(super) fn photos(self) -> Vec<Photo> {
        let (n_persons, expressions, sessions) = match self {
            Self::Kdef => (N_PERSONS, SEVEN, &[0, 1][..]),
            Self::Mmi => (7, MMI, &[0][..]),
        };
        let of_person = move |person| {
            expressions
                .into_iter()
                .flat_map(move |expression| sessions.iter().map(move |&session| Photo { person, expression, session }))
        };
        (0..n_persons).flat_map(of_person).collect()
    }

    /// The file names of photos, as many as are worth listing.
    pub(super) fn listed(self, photos: &[Photo]) -> String {
        list(&photos.iter().map(|photo| self.file_stem(photo)).collect::<Vec<_>>(), ", ")
    }
}

/// The first entries, and how many more there are.
fn list(entries: &[String], between: &str) -> String {
    let shown = entries.len().min(MAX_LISTED);
    let mut text = entries[..shown].join(between);
    if shown < entries.len() {
        text += &format!("{between}and {} more", entries.len() - shown);
    }
    text
}

impl Report {
    /// How many pictures are prepared.
    #[must_use]
    pub fn n_used(&self) -> usize {
        self.rows.iter().filter(|row| row.used().is_some()).count()
    }

    /// Whether the folder was prepared now, and not found to be so already.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used: BTreeSet<Photo> = self.rows.iter().filter_map(Row::used).collect();
        let state = if self.is_new { "prepared" } else { "already prepared; --fresh does it anew" };
        writeln!(formatter, "{} from {}: {state}", self.set.name(), self.from.display())?;

        let complete = self.set.photos();
        let sessions: BTreeSet<u32> = complete.iter().map(|photo| photo.session).collect();
        let persons =
            |photos: &mut dyn Iterator<Item = &Photo>| photos.map(|photo| photo.person).collect::<BTreeSet<_>>().len();
        let n_persons = [persons(&mut used.iter()), persons(&mut complete.iter())];
        writeln!(
            formatter,
            "  {} photos of {}, {} persons of {}",
            used.len(),
            complete.len(),
            n_persons[0],
            n_persons[1]
        )?;
        for expression in if self.set == PhotoSet::Mmi { MMI } else { SEVEN } {
            write!(formatter, "  {:<10}", expression.name())?;
            for &session in &sessions {
                let n = used.iter().filter(|photo| (photo.expression, photo.session) == (expression, session)).count();
                match sessions.len() {
                    1 => write!(formatter, "{n:>4}")?,
                    _ => write!(formatter, "{n:>4} in session {}", if session == 0 { "A" } else { "B" })?,
                }
            }
            writeln!(formatter)?;
        }

        for left_out in LeftOut::ALL {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.left_out == Some(left_out)).collect();
            if rows.is_empty() {
                continue;
            }
            write!(formatter, "  left out, {}: {}", left_out.words(), rows.len())?;
            // Views from the side are no surprise, and four fifths of KDEF.
            if left_out != LeftOut::OtherView {
                let name = |row: &&Row| match row.detail.as_str() {
                    "" => row.file.clone(),
                    detail => format!("{} ({detail})", row.file),
                };
                write!(formatter, ": {}", list(&rows.iter().map(name).collect::<Vec<_>>(), "; "))?;
            }
            writeln!(formatter)?;
        }
        if self.n_other_files > 0 {
            writeln!(formatter, "  not looked at, no pictures: {} files", self.n_other_files)?;
        }
        let missing: Vec<Photo> = complete.into_iter().filter(|photo| !used.contains(photo)).collect();
        if !missing.is_empty() {
            writeln!(formatter, "  missing: {}: {}", missing.len(), self.set.listed(&missing))?;
        }
        let sizes = SIZES.map(|size| format!("pictures-{size}.bin"));
        write!(formatter, "  {}, {}", cache::table_path(&self.out).display(), sizes.join(", "))
    }
}
