//! From bytes on disk to seeded batches: image sets described by factors, what is held out of them, and the order in
//! which training sees them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`factors`] | factors, levels, combinations, and their text form |
//! | [`mixtures`] | weights of levels, such as half of each of two, and their text form |
//! | [`transforms`] | the symmetries of the square as exact pixel permutations |
//! | [`image_set`] | images, masks and combinations of a whole set; gathering a batch from it |
//! | [`held_out`] | rules that say which combinations are held out |
//! | [`splits`] | the training and held-out indices that follow from the rules |
//! | [`batches`] | seeded batches, addressable by step |
//! | [`randomness`] | one generator per (seed, purpose, step) |
//! | [`idx`] | the idx file format of MNIST, plain or gzip |
//! | [`picture`] | picture files of the user as squares of pixels |
//! | [`sets`] | the data sets by name: MNIST, `digits`, `digits-styled`, the drawn `faces`, photographs of KDEF and MMI, the user's own |
//! | `hub` | MNIST from a hub of data sets, compared with the embedded copy (cargo feature `hub`) |
//!
//! The crate knows no networks and no tensors: what it hands out are plain vectors.

pub mod batches;
pub mod error;
pub mod factors;
pub mod held_out;
#[cfg(feature = "hub")]
pub mod hub;
pub mod idx;
pub mod image_set;
pub mod mixtures;
pub mod picture;
pub mod randomness;
pub mod sets;
pub mod splits;
pub mod transforms;

pub use batches::Batches;
pub use error::{Error, Result};
pub use factors::{Combination, Factor, Factors};
pub use held_out::{HeldOut, Rule};
pub use image_set::{Gathered, ImageSet};
pub use mixtures::Mixture;
pub use sets::custom::CustomConfig;
pub use sets::digits::DigitsConfig;
pub use sets::faces::FacesConfig;
pub use sets::mnist::{LabelledImages, Mnist, MnistSource, Part};
pub use splits::Split;
