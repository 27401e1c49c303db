//! Tables laid over tables: a document over its parent's, a profile's data over both, `--set` over everything.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::document::{FIELDS, is_model};
use crate::{Error, Result};

/// Lays a profile's data over the document's: what profiles differ in is known before anything is checked.
pub(super) fn lay_profile_data(document: &mut Table, profile: &str) {
    let of_profile =
        document.get("profiles").and_then(|profiles| profiles.get(profile)).and_then(|p| p.get("data")).cloned();
    if let (Some(Value::Table(over)), Some(Value::Table(under))) = (of_profile, document.get_mut("data")) {
        merge(under, over);
    }
}

/// Tables are merged key by key, everything else is replaced.
pub(super) fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// As [`merge`], but a schedule is replaced whole: half of one and half of another is no schedule.
pub(super) fn merge_solver(under: &mut Table, over: &Table) {
    for (key, value) in over {
        under.insert(key.clone(), value.clone());
    }
}

/// Lays a pair `key=value` of `--set` over the document, or over the solvers of all models or of one.
pub(super) fn apply_override(
    document: &mut Table,
    solver: &mut (Table, BTreeMap<String, Table>),
    pair: &str,
) -> Result<()> {
    let wrong = |problem: &str| Error::config(format!("--set {pair}"), problem);
    let (key, value) = parse_override(pair)?;
    // As `show` prints it: the solver of all models, or of one. Laid over the document it would lie under other layers.
    let key = key.strip_prefix("training.").unwrap_or(key);
    if FIELDS.contains(&key) {
        solver.0.insert(key.to_owned(), value);
        return Ok(());
    }
    if let Some((model, field)) = key.split_once('.')
        && is_model(model)
    {
        if !FIELDS.contains(&field) {
            return Err(wrong(&format!("no solver field '{field}'; expected one of {}", FIELDS.join(", "))));
        }
        solver.1.entry(model.to_owned()).or_default().insert(field.to_owned(), value);
        return Ok(());
    }
    set_path(document, key, value).map_err(|problem| {
        wrong(&format!(
            "{problem}; expected a solver field ({}), MODEL.field, or a path that `show` prints",
            FIELDS.join(", ")
        ))
    })
}

/// Key and value of a pair `key=value` of `--set`.
///
/// # Errors
/// When it is no such pair.
pub(crate) fn parse_override(pair: &str) -> Result<(&str, Value)> {
    let (key, text) = pair
        .split_once('=')
        .ok_or_else(|| Error::config(format!("--set {pair}"), "expected key=value, for example --set steps=200"))?;
    let (key, text) = (key.trim(), text.trim());
    // A value that is no TOML is a string: `--set evaluate.set=train` needs no quotes.
    let value = format!("v = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    Ok((key, value))
}

/// Replaces the value at a dotted path, which must be there; otherwise says what is missing.
pub(crate) fn set_path(document: &mut Table, key: &str, value: Value) -> std::result::Result<(), String> {
    let mut path: Vec<&str> = key.split('.').collect();
    let last = path.pop().unwrap_or_default();
    let mut table = document;
    for part in path {
        table = table.get_mut(part).and_then(Value::as_table_mut).ok_or_else(|| format!("no table '{part}'"))?;
    }
    if !table.contains_key(last) {
        let known = table.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(format!("no key '{last}' among {known}"));
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_is_deep_but_replaces_lists() -> std::result::Result<(), toml::de::Error> {
        let mut under: Table = "a = 1\nl = [1, 2]\n[t]\nx = 1\ny = 2".parse()?;
        merge(&mut under, "l = [3]\n[t]\ny = 5".parse()?);
        assert_eq!(under, "a = 1\nl = [3]\n[t]\nx = 1\ny = 5".parse()?);
        Ok(())
    }
}
