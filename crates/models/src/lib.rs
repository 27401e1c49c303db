//! Networks, built from the operators of `multigen-ops`: parameters, generators, classifiers, the judge and the
//! adversarial discriminator.
//!
//! Nothing here knows a data set, a loss or a file layout other than safetensors: a network takes levels or images and
//! gives images or logits.

pub mod activation;
pub mod alexnet;
pub mod classifier;
pub mod concatenating;
pub mod discriminator;
pub mod error;
pub mod generator;
pub mod judge;
pub mod layers;
pub mod level_table;
pub mod operator;
pub mod params;
pub mod portrait;
pub mod presets;
pub(crate) mod redrawing;
pub mod spatial;

pub use activation::Activation;
pub use alexnet::{AlexNet, AlexNetConfig, Dropout};
pub use classifier::{Classifier, ClassifierConfig};
pub use discriminator::{Acting, Discriminator, DiscriminatorConfig};
pub use error::{Error, Result};
pub use generator::{Drawn, Generator, GeneratorConfig};
pub use judge::{Judge, JudgeConfig};
pub use level_table::LevelTable;
pub use params::{Filling, Multipliers, Param, Params};
