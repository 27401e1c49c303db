//! What the file names of the two sets say.
//!
//! KDEF: session A or B, sex F or M, number 01 to 35, expression AF AN DI HA NE SA SU, view S (straight), FL, HL, HR or
//! FR: `AF01ANS.JPG`. Person index: number − 1 for M, number + 34 for F. MMI, a naming of ours: `PERSON-EMOTION.png`,
//! person 0 to 6, emotion 0 to 6 in the order of [`MMI`](faces::MMI). Small and capital letters are the same.

use super::PhotoSet;
use crate::sets::faces::{self, Expression, Photo};

/// KDEF's codes, in the alphabet's order.
const CODES: [(&str, Expression); 7] = [
    ("AF", Expression::Afraid),
    ("AN", Expression::Angry),
    ("DI", Expression::Disgust),
    ("HA", Expression::Happy),
    ("NE", Expression::Neutral),
    ("SA", Expression::Sad),
    ("SU", Expression::Surprise),
];

const VIEWS: [&str; 5] = ["S", "FL", "HL", "HR", "FR"];

/// Persons of one sex in KDEF.
const N_OF_SEX: u32 = 35;

/// What a name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// A picture that the set uses.
    Photo(Photo),
    /// A picture of KDEF from the side: full or half, left or right.
    OtherView(Photo),
    /// The name is not as it should be, for this reason.
    Unknown(String),
}

impl PhotoSet {
    /// Reads a file name without its extension.
    pub(super) fn parse(self, stem: &str) -> Name {
        let parsed = match self {
            Self::Kdef => kdef(&stem.to_ascii_uppercase()),
            Self::Mmi => mmi(stem),
        };
        parsed.unwrap_or_else(Name::Unknown)
    }

    /// The file name, without extension, that a photo should have: the inverse of [`PhotoSet::parse`].
    pub(super) fn file_stem(self, photo: &Photo) -> String {
        match self {
            Self::Kdef => {
                let session = if photo.session == 0 { 'A' } else { 'B' };
                let (sex, number) = match photo.person.checked_sub(N_OF_SEX) {
                    None => ('M', photo.person + 1),
                    Some(number) => ('F', number + 1),
                };
                let code = CODES.iter().find(|(_, expression)| *expression == photo.expression);
                format!("{session}{sex}{number:02}{}S", code.map_or("??", |(code, _)| code))
            }
            Self::Mmi => {
                let emotion = faces::MMI.iter().position(|&expression| expression == photo.expression);
                format!("{}-{}", photo.person, emotion.unwrap_or(faces::MMI.len()))
            }
        }
    }

    /// A name as it should be, for messages.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Kdef => "SESSION SEX NUMBER EXPRESSION VIEW as in AF01ANS.JPG",
            Self::Mmi => "PERSON-EMOTION as in 0-3.png, both from 0 to 6",
        }
    }
}

fn kdef(stem: &str) -> Result<Name, String> {
    let part = |range: std::ops::Range<usize>| stem.get(range).unwrap_or_default();
    let session = match part(0..1) {
        "A" => 0,
        "B" => 1,
        other => return Err(format!("session `{other}`, not A or B")),
    };
    let first = match part(1..2) {
        "M" => 0,
        "F" => N_OF_SEX,
        other => return Err(format!("sex `{other}`, not F or M")),
    };
    let digits = Some(part(2..4)).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|text| text.parse().ok()).filter(|number| (1..=N_OF_SEX).contains(number));
    let number = number.ok_or_else(|| format!("number `{}`, not 01 to {N_OF_SEX}", part(2..4)))?;
    let code = CODES.iter().find(|(code, _)| *code == part(4..6));
    let (_, expression) = code.ok_or_else(|| {
        let known = CODES.map(|(code, _)| code).join(" ");
        format!("expression `{}`, none of {known}", part(4..6))
    })?;
    let photo = Photo { person: first + number - 1, expression: *expression, session };
    match stem.get(6..).unwrap_or_default() {
        "S" => Ok(Name::Photo(photo)),
        view if VIEWS.contains(&view) => Ok(Name::OtherView(photo)),
        view => Err(format!("view `{view}`, none of {}", VIEWS.join(" "))),
    }
}

fn mmi(stem: &str) -> Result<Name, String> {
    let Some((person, emotion)) = stem.split_once('-') else { return Err("no `-`".to_owned()) };
    // One digit each: with `00-3` beside `0-3` there would be two names for one picture.
    let digit = |what: &str, text: &str| match text.as_bytes() {
        [digit @ b'0'..=b'6'] => Ok(digit - b'0'),
        _ => Err(format!("{what} `{text}`, not 0 to 6")),
    };
    let (person, emotion) = (digit("person", person)?, digit("emotion", emotion)?);
    let expression = faces::MMI[usize::from(emotion)];
    Ok(Name::Photo(Photo { person: u32::from(person), expression, session: 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Expression::{Afraid, Angry, Disgust, Happy, Neutral, Sad, Surprise};

    #[test]
    fn names_of_kdef_say_person_expression_session_and_view() {
        let photo = |person, expression, session| Photo { person, expression, session };
        for (stem, expected) in [
            // Women are counted after the 35 men: number + 34.
            ("AF01ANS", photo(35, Angry, 0)),
            ("BF35SUS", photo(69, Surprise, 1)),
            ("AM01NES", photo(0, Neutral, 0)),
            ("BM35DIS", photo(34, Disgust, 1)),
            ("am07has", photo(6, Happy, 0)),
            ("AF22AFS", photo(56, Afraid, 0)),
            ("BM20SAS", photo(19, Sad, 1)),
        ] {
            assert_eq!(PhotoSet::Kdef.parse(stem), Name::Photo(expected), "{stem}");
            assert_eq!(PhotoSet::Kdef.file_stem(&expected), stem.to_ascii_uppercase());
        }
        for view in ["FL", "HL", "HR", "FR"] {
            let name = PhotoSet::Kdef.parse(&format!("AF01AN{view}"));
            assert_eq!(name, Name::OtherView(photo(35, Angry, 0)));
        }
    }

    #[test]
    fn names_of_mmi_say_person_and_emotion() {
        // Known of the original: 3 is surprise, 5 is cheer.
        for (stem, person, expression) in [("0-3", 0, Surprise), ("6-5", 6, Happy), ("3-0", 3, Neutral)] {
            let photo = Photo { person, expression, session: 0 };
            assert_eq!(PhotoSet::Mmi.parse(stem), Name::Photo(photo));
            assert_eq!(PhotoSet::Mmi.file_stem(&photo), stem);
        }
    }

    #[test]
    fn other_names_say_what_is_wrong_with_them() {
        let reason = |set: PhotoSet, stem: &str| match set.parse(stem) {
            Name::Unknown(reason) => reason,
            name => panic!("{stem}: {name:?}"),
        };
        for (stem, expected) in [
            ("", "session ``, not A or B"),
            ("CF01ANS", "session `C`, not A or B"),
            ("AX01ANS", "sex `X`, not F or M"),
            ("AF00ANS", "number `00`, not 01 to 35"),
            ("AF36ANS", "number `36`, not 01 to 35"),
            ("AF+1ANS", "number `+1`, not 01 to 35"),
            ("AF1ANS", "number `1A`, not 01 to 35"),
            ("AF01XXS", "expression `XX`, none of AF AN DI HA NE SA SU"),
            ("AF01AN", "view ``, none of S FL HL HR FR"),
            ("AF01ANS2", "view `S2`, none of S FL HL HR FR"),
            ("Aé01ANS", "sex ``, not F or M"),
        ] {
            assert_eq!(reason(PhotoSet::Kdef, stem), expected, "{stem}");
        }
        for (stem, expected) in [
            ("03", "no `-`"),
            ("7-3", "person `7`, not 0 to 6"),
            ("00-3", "person `00`, not 0 to 6"),
            ("0-7", "emotion `7`, not 0 to 6"),
            ("0-3-1", "emotion `3-1`, not 0 to 6"),
        ] {
            assert_eq!(reason(PhotoSet::Mmi, stem), expected, "{stem}");
        }
    }
}
