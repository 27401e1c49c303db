//! A safetensors file whose labels lie as JSON under one metadata key.
//!
//! One key only: safetensors keeps metadata in a hash map, and two keys would be written in an order that changes from
//! run to run.

use std::collections::HashMap;
use std::path::Path;

use ndarray::Array4;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Serialize, de::DeserializeOwned};

use crate::atomic_write::atomic_write;
use crate::error::{Error, Result};

/// One array of a file.
pub(crate) struct LabelledTensor {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// Writes tensors and their labels atomically; the same input gives the same bytes.
///
/// # Errors
/// Shapes that do not fit their bytes; anything that keeps the file from being written.
pub(crate) fn write(path: &Path, key: &str, labels: &impl Serialize, tensors: &[LabelledTensor]) -> Result<()> {
    let unwritten = |detail: String| Error::BadRow { path: path.to_path_buf(), detail };
    let json = serde_json::to_string(labels).map_err(|error| unwritten(error.to_string()))?;
    let views = tensors
        .iter()
        .map(|tensor| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes)?;
            Ok((tensor.name.as_str(), view))
        })
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| unwritten(error.to_string()))?;
    let metadata = HashMap::from([(key.to_owned(), json)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|error| unwritten(error.to_string()))?;
    atomic_write(path, &bytes)
}

/// Reads a file that [`write`] wrote: `make` gets its labels and tensors; what it objects to is reported with the path.
///
/// # Errors
/// A missing or broken file, other labels than expected, whatever `make` objects to.
pub(crate) fn read<L: DeserializeOwned, T>(
    path: &Path,
    key: &str,
    make: impl FnOnce(L, &SafeTensors) -> std::result::Result<T, String>,
) -> Result<T> {
    let malformed = |found: String| Error::malformed(path, format!("a safetensors file of {key}"), found);
    let bytes = std::fs::read(path).map_err(|source| Error::reading(path, &source))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| malformed(error.to_string()))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| malformed(error.to_string()))?;
    let json = header
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(key))
        .ok_or_else(|| malformed(format!("no metadata named `{key}`")))?;
    let labels: L = serde_json::from_str(json).map_err(|error| malformed(error.to_string()))?;
    make(labels, &tensors).map_err(malformed)
}

/// The images `[n, c, h, w]` of one name; `pixel` makes a pixel of each `N` bytes.
pub(crate) fn images<const N: usize>(
    tensors: &SafeTensors,
    name: &str,
    dtype: Dtype,
    pixel: impl Fn([u8; N]) -> f32,
) -> std::result::Result<Array4<f32>, String> {
    let view = tensors.tensor(name).map_err(|error| error.to_string())?;
    let &[n, c, h, w] = view.shape() else {
        return Err(format!("`{name}` of shape {:?}, not [n, c, h, w]", view.shape()));
    };
    if view.dtype() != dtype {
        return Err(format!("`{name}` of type {:?}, not {dtype:?}", view.dtype()));
    }
    let (pixels, _) = view.data().as_chunks::<N>();
    Array4::from_shape_vec((n, c, h, w), pixels.iter().map(|&bytes| pixel(bytes)).collect())
        .map_err(|error| format!("`{name}`: {error}"))
}
