//! From results on disk to what a person reads: tables, figures, `summary.md`, `index.html`.
//!
//! Reads what training wrote through the types of `multigen-measure` and knows no network, no tensor library and no
//! training code. Every file is made in memory first and written atomically, so a broken input leaves earlier reports.

pub mod claims;
pub mod error;
pub mod experiment_results;
pub mod figures;
pub mod index_page;
pub mod labels;
pub mod report;
pub mod stats;
pub mod summary;
pub mod tables;

pub use claims::write_claims;
pub use error::{Error, Result};
pub use experiment_results::ExperimentResults;
pub use report::{Report, write_experiment, write_report};
pub use stats::{Estimate, estimate, paired_difference, student_t_quantile};
pub use tables::Table;
