//! A rule as it stands in a configuration file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{HeldOut, Rule, Share};
use crate::{Error, Result};

/// A level's name. A configuration file may write `7` as well as `"7"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct LevelName(pub String);

impl From<&str> for LevelName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl<'de> Deserialize<'de> for LevelName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = LevelName;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("the name or the number of a level")
            }

            fn visit_str<E>(self, name: &str) -> std::result::Result<LevelName, E> {
                Ok(name.into())
            }

            fn visit_u64<E>(self, number: u64) -> std::result::Result<LevelName, E> {
                Ok(LevelName(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> std::result::Result<LevelName, E> {
                Ok(LevelName(number.to_string()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A rule as it stands in a configuration file: exactly one of `where`, `listed` and `share`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeldOutText {
    name: String,
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    levels: Option<BTreeMap<String, LevelName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listed: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Share>,
}

impl TryFrom<HeldOutText> for HeldOut {
    type Error = Error;

    fn try_from(text: HeldOutText) -> Result<Self> {
        let rule = match (text.levels, text.listed, text.share) {
            (Some(levels), None, None) => Rule::Where(levels),
            (None, Some(cells), None) => Rule::Listed(cells),
            (None, None, Some(share)) => Rule::Share(share),
            (None, None, None) => {
                return Err(Error::held_out(&text.name, "has none of `where`, `listed` and `share`; give one"));
            }
            (levels, listed, share) => {
                let given =
                    [("`where`", levels.is_some()), ("`listed`", listed.is_some()), ("`share`", share.is_some())];
                let names: Vec<&str> = given.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| *name).collect();
                return Err(Error::held_out(&text.name, format!("has {}; keep one", names.join(" and "))));
            }
        };
        Ok(Self { name: text.name, rule })
    }
}

impl From<HeldOut> for HeldOutText {
    fn from(held_out: HeldOut) -> Self {
        let empty = Self { name: held_out.name, levels: None, listed: None, share: None };
        match held_out.rule {
            Rule::Where(levels) => Self { levels: Some(levels), ..empty },
            Rule::Listed(cells) => Self { listed: Some(cells), ..empty },
            Rule::Share(share) => Self { share: Some(share), ..empty },
        }
    }
}
