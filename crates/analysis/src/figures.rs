//! Figures as PNG files: image grids, sheets of pictures, scatter plots of mouths, loss curves, PSNR curves, a sweep; drawn in
//! memory, with an embedded font.

pub mod canvas;
pub mod curves;
pub mod grid;
pub mod loss_curve;
pub mod mouth;
pub mod psnr_curve;
pub mod sheet;
pub mod sweep;
