//! Figures as PNG files: image grids, loss curves, PSNR curves; drawn in memory, with an embedded font.

pub mod canvas;
pub mod curves;
pub mod grid;
pub mod loss_curve;
pub mod psnr_curve;
