//! A rule as it stands in a configuration file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AllBut, HeldOut, Rule, Share};
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

/// A rule as it stands in a configuration file: exactly one of `where`, `listed`, `share` and `all_but`.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    all_but: Option<AllBut>,
}

impl TryFrom<HeldOutText> for HeldOut {
    type Error = Error;

    fn try_from(text: HeldOutText) -> Result<Self> {
        let rules = [
            ("`where`", text.levels.map(Rule::Where)),
            ("`listed`", text.listed.map(Rule::Listed)),
            ("`share`", text.share.map(Rule::Share)),
            ("`all_but`", text.all_but.map(Rule::AllBut)),
        ];
        let mut given: Vec<(&str, Rule)> =
            rules.into_iter().filter_map(|(name, rule)| rule.map(|rule| (name, rule))).collect();
        let rule = match (given.len(), given.pop()) {
            (1, Some((_, rule))) => rule,
            (_, None) => {
                let problem = "has none of `where`, `listed`, `share` and `all_but`; give one";
                return Err(Error::held_out(&text.name, problem));
            }
            (_, Some((last, _))) => {
                let names: Vec<&str> = given.iter().map(|(name, _)| *name).chain([last]).collect();
                return Err(Error::held_out(&text.name, format!("has {}; keep one", names.join(" and "))));
            }
        };
        Ok(Self { name: text.name, rule })
    }
}

impl From<HeldOut> for HeldOutText {
    fn from(held_out: HeldOut) -> Self {
        let empty = Self { name: held_out.name, levels: None, listed: None, share: None, all_but: None };
        match held_out.rule {
            Rule::Where(levels) => Self { levels: Some(levels), ..empty },
            Rule::Listed(cells) => Self { listed: Some(cells), ..empty },
            Rule::Share(share) => Self { share: Some(share), ..empty },
            Rule::AllBut(all_but) => Self { all_but: Some(all_but), ..empty },
        }
    }
}
