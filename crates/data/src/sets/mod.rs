//! The data sets by name.

pub mod custom;
pub mod digits;
pub mod digits_styled;
pub mod faces;
pub mod mnist;
pub mod photographs;
mod sealed;
