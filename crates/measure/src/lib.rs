//! What is measured on images, and how results lie on disk.
//!
//! Metrics and baselines are pure functions on `ndarray` arrays. Rows, manifests and samples are the contract between
//! training, which writes them, and analysis, which reads them. This crate never knows a network or a tensor library.

pub mod atomic_write;
pub mod baselines;
pub mod clamp;
pub mod confusion;
pub mod error;
mod labelled_tensors;
pub mod machine;
pub mod manifest;
pub mod metrics;
pub mod results_dir;
pub mod rows;
pub mod samples;
pub mod sheets;
pub mod utc_time;

pub use atomic_write::{atomic_write, atomic_write_path, atomic_write_with};
pub use baselines::{BaselineOptions, Baselines, Nearest};
pub use clamp::{clamp_to_unit, unit};
pub use confusion::{ConfusionRow, confusion};
pub use error::{Error, Result};
pub use machine::Machine;
pub use manifest::{Commit, JudgeRecord, Manifest, ModelRecord};
pub use metrics::{mse::mse, psnr::psnr, sharpness::sharpness, ssim::ssim};
pub use results_dir::{ExperimentDir, ResultsDir};
pub use rows::{
    ACCURACY, DiagnosticRow, EvaluationRow, HistoryRow, JUDGE_JOINT, JUDGE_PRODUCT, MEAN_DIGIT, MEAN_DIGIT_PSNR,
    MEAN_PERSON, MOUTH_ASYMMETRY, MOUTH_OPENING, MOUTH_READ, MetricRow, SHARPNESS, read_rows, write_rows,
    write_rows_and_copy,
};
pub use samples::{Samples, read_samples, write_samples};
pub use sheets::{Sheet, SheetCell, read_sheets, write_sheets};
pub use utc_time::rfc3339_utc;
