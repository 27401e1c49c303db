//! Figures as PNG files: contact sheets, image grids, loss curves, PSNR curves; drawn in memory, with an embedded font.

pub mod canvas;
pub mod contact_sheet;
pub mod curves;
pub mod grid;
pub mod loss_curve;
pub mod psnr_curve;
