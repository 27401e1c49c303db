//! The data sets by name.

pub mod digits;
pub mod mnist;
