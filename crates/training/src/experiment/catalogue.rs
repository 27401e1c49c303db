//! The folder of experiment files: their names, their parents, and what each adds to its parent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::layers::merge;
use super::nearest::nearest;
use super::one_line;
use crate::{Error, Result};

/// The folder of experiment files.
#[derive(Debug, Clone)]
pub struct Catalogue {
    dir: PathBuf,
}

impl Catalogue {
    /// The experiments in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The names of all experiments in order; parents that only others build upon are left out.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = std::fs::read_dir(&self.dir).map_err(|e| {
            Error::file(&self.dir, format!("cannot be read ({e}); run from a checkout that has the experiments folder"))
        })?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
            .collect();
        names.sort();
        let mut runnable = Vec::new();
        for name in names {
            if !self.read(&name)?.get("parent_only").and_then(Value::as_bool).unwrap_or(false) {
                runnable.push(name);
            }
        }
        Ok(runnable)
    }

    /// The experiments that a word stands for: `all`, a full name, a parent such as `holdout-sweep` for those that build
    /// upon it, or an ending such as `result-3`.
    ///
    /// # Errors
    /// When nothing matches; the nearest name is suggested.
    pub fn matching(&self, word: &str) -> Result<Vec<String>> {
        if is_path(word) {
            return Ok(vec![word.to_owned()]);
        }
        let names = self.names()?;
        if word == "all" {
            return Ok(names);
        }
        if names.iter().any(|name| name == word) {
            return Ok(vec![word.to_owned()]);
        }
        let mut matches = Vec::new();
        for name in &names {
            if self.parent(name)?.is_some_and(|parent| parent == word) {
                matches.push(name.clone());
            }
        }
        if matches.is_empty() {
            let ending = format!("-{word}");
            matches.extend(names.iter().filter(|name| name.ends_with(&ending)).cloned());
        }
        if matches.is_empty() {
            return Err(Error::UnknownExperiment { name: word.to_owned(), suggestion: nearest(word, &names) });
        }
        Ok(matches)
    }

    /// The parent of an experiment, if it has one.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn parent(&self, name: &str) -> Result<Option<String>> {
        Ok(self.read(name)?.get("parent").and_then(Value::as_str).map(str::to_owned))
    }

    /// What the experiment's file adds to its parent: `path: parent's value → own value`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn delta(&self, name: &str) -> Result<Vec<String>> {
        let parent = match self.parent(name)? {
            Some(parent) => self.document(&parent)?,
            None => Table::new(),
        };
        let own = self.document(name)?;
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        flatten("", &Value::Table(parent), &mut before);
        flatten("", &Value::Table(own), &mut after);
        let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        Ok(keys
            .into_iter()
            .filter(|key| before.get(*key) != after.get(*key))
            .map(|key| {
                let show = |value: Option<&String>| value.cloned().unwrap_or_else(|| "(not set)".to_owned());
                format!("{key}: {} → {}", show(before.get(key)), show(after.get(key)))
            })
            .collect())
    }

    /// The file to which an error of the whole document belongs: the one that holds the key between its backticks.
    pub(crate) fn holder(&self, name: &str, error: &toml::de::Error) -> String {
        self.holder_of_key(name, error.message().split('`').nth(1).unwrap_or_default())
    }

    /// The nearest file that holds a key: the experiment's own or one of its parents'; its own if none does.
    pub(super) fn holder_of_key(&self, name: &str, key: &str) -> String {
        let mut next = Some(name.to_owned());
        while let Some(current) = next {
            let Ok(table) = self.read(&current) else { break };
            next = table.get("parent").and_then(Value::as_str).map(str::to_owned);
            if holds(&Value::Table(table), key) {
                return self.path(&current).display().to_string();
            }
        }
        self.path(name).display().to_string()
    }

    /// The file of an experiment: in the folder of experiments, or anywhere where it is asked for by its path.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        if is_path(name) { PathBuf::from(name) } else { self.dir.join(format!("{name}.toml")) }
    }

    fn read(&self, name: &str) -> Result<Table> {
        let path = self.path(name);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, format!("cannot be read ({e})")))?;
        text.parse::<Table>().map_err(|e| Error::file(&path, format!("is not TOML: {}", one_line(&e))))
    }

    /// The document with all its parents under it, without the keys that only say so.
    pub(crate) fn document(&self, name: &str) -> Result<Table> {
        let mut chain = vec![self.read(name)?];
        let mut names = vec![name.to_owned()];
        while let Some(parent) =
            chain.last().and_then(|table| table.get("parent")).and_then(Value::as_str).map(str::to_owned)
        {
            if names.contains(&parent) {
                return Err(Error::config(
                    self.path(name).display().to_string(),
                    format!("'{parent}' is its own ancestor"),
                ));
            }
            chain.push(self.read(&parent)?);
            names.push(parent);
        }
        let mut merged = Table::new();
        for table in chain.into_iter().rev() {
            merge(&mut merged, table);
        }
        merged.remove("parent");
        merged.remove("parent_only");
        Ok(merged)
    }
}

/// Whether an experiment is asked for by the path of its file.
pub(super) fn is_path(name: &str) -> bool {
    name.ends_with(".toml")
}

/// An experiment's name: that of its file.
pub(crate) fn own_name(name: &str) -> String {
    match is_path(name) {
        true => Path::new(name).file_stem().map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned()),
        false => name.to_owned(),
    }
}

/// Whether a key stands anywhere in a document.
fn holds(value: &Value, key: &str) -> bool {
    match value {
        Value::Table(table) => table.iter().any(|(name, value)| name == key || holds(value, key)),
        Value::Array(values) => values.iter().any(|value| holds(value, key)),
        _ => false,
    }
}

/// Every value of a document by its dotted path.
fn flatten(prefix: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&path, value, out);
            }
        }
        value => {
            out.insert(prefix.to_owned(), value.to_string());
        }
    }
}
