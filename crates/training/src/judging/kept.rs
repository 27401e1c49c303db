//! A classifier in the cache: its weights, and a record of how it came about, in one safetensors file.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;

use multigen_models::Classifier;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result, checkpoint};

const RECORD: &str = "record";

/// Keeps a classifier, its folder made where it is missing.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn save(path: &Path, classifier: &Classifier, record: &impl Serialize) -> Result<()> {
    if let Some(folder) = path.parent() {
        checkpoint::make_folder(folder)?;
    }
    let json = serde_json::to_string(record).map_err(|e| Error::file(path, e))?;
    let metadata = HashMap::from([(RECORD.to_owned(), json)]);
    let tensors = classifier.params().tensors()?;
    let bytes = safetensors::serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)), Some(metadata))
        .map_err(|e| Error::file(path, e))?;
    Ok(multigen_measure::atomic_write(path, &bytes)?)
}

/// The record of a classifier, if there is one.
///
/// # Errors
/// When the file is broken.
pub(crate) fn record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|e| Error::file(path, format!("cannot be read ({e})")))?,
    };
    let broken =
        |e: &dyn Display| Error::file(path, format!("is not a whole classifier ({e}); delete it to train it anew"));
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| broken(&e))?;
    let json = header.metadata().as_ref().and_then(|m| m.get(RECORD)).ok_or_else(|| broken(&"it carries no record"))?;
    serde_json::from_str(json).map(Some).map_err(|e| broken(&e))
}
