//! Figures as PNG files: image grids, sheets of pictures, scatter plots of mouths, confusion matrices, curves of loss, PSNR
//! and accuracy, a discriminator's diagnostics, differences between models, a sweep; drawn in memory, with an embedded
//! font.

pub mod accuracy_curve;
pub mod canvas;
pub mod confusion;
pub mod curves;
pub mod diagnostics;
pub mod differences;
pub mod grid;
pub mod loss_curve;
pub mod mouth;
pub mod psnr_curve;
pub mod sheet;
pub mod sweep;
