//! The image grid of one model: truth, generated, difference and nearest training image, one column per combination.
//!
//! Small images are enlarged by whole factors without interpolation. The difference is |generated − truth| times
//! [`AMPLIFICATION`], cut at white; the amplification is fixed, so that grids of different models can be compared.

use std::path::Path;

use multigen_measure::{Samples, psnr, unit};
use ndarray::{Array3, ArrayView3, Axis, Zip};
use plotters::prelude::*;

use crate::error::Result;
use crate::figures::canvas::{Area, Drawn, FAINT_INK, INK, RULE, enlarged, png, text_centred, text_left, text_style};
use crate::labels::combination_lines;

/// The factor on differences.
pub const AMPLIFICATION: f32 = 4.0;
/// Columns side by side; further ones wrap.
pub const MAX_COLUMNS: usize = 9;
/// Images shown of each set; the grid says so when there are more.
pub const MAX_IMAGES: usize = 18;

const MARGIN: i32 = 28;
const LABEL_WIDTH: i32 = 136;
const GAP: i32 = 10;
const LINE: i32 = 17;
const TEXT: i32 = 15;
const TITLE_HEIGHT: i32 = 72;
const HEADING_HEIGHT: i32 = 44;
const BAND_GAP: i32 = 22;
/// Room for the PSNR under a generated image.
const FIGURE_HEIGHT: i32 = 22;
/// Images are enlarged until they are at least this wide, and columns are as wide as their labels need.
const MIN_SIDE: usize = 112;

/// What the grid shows beside the images.
#[derive(Debug, Clone, Copy)]
pub struct GridHeading<'a> {
    /// The title of the experiment.
    pub title: &'a str,
    /// The model.
    pub model: &'a str,
    /// The seed whose images are shown.
    pub seed: u64,
    /// What the images are, where they could be taken for something else.
    pub pictured: Option<&'a str>,
}

/// The grid as PNG; `path` is the file that errors name.
///
/// # Errors
/// The drawing library refuses.
pub fn draw_grid(path: &Path, heading: GridHeading, samples: &[Samples]) -> Result<Vec<u8>> {
    let bands: Vec<Band> = samples.iter().flat_map(bands).collect();
    let width = bands.iter().map(Band::width).max().unwrap_or(0).max(720) + 2 * MARGIN;
    let height = MARGIN + TITLE_HEIGHT + bands.iter().map(Band::height).sum::<i32>() + MARGIN;
    png(path, width.unsigned_abs(), height.unsigned_abs(), |area| {
        text_left(area, heading.title, &text_style(27, true, INK), (MARGIN, MARGIN))?;
        text_left(area, &subtitle(heading), &text_style(17, false, FAINT_INK), (MARGIN, MARGIN + 36))?;
        let mut top = MARGIN + TITLE_HEIGHT;
        for band in &bands {
            band.draw(area, top)?;
            top += band.height();
        }
        Ok(())
    })
}

fn subtitle(GridHeading { model, seed, pictured, .. }: GridHeading) -> String {
    let pictured = pictured.map_or_else(String::new, |pictured| format!("{pictured}; "));
    format!("{pictured}model {model}, seed {seed}; PSNR against the truth under each generated image")
}

/// Up to [`MAX_COLUMNS`] columns of one set.
struct Band<'a> {
    samples: &'a Samples,
    /// The set's heading, over its first band.
    heading: Option<String>,
    images: std::ops::Range<usize>,
    scale: usize,
}

fn bands(samples: &Samples) -> Vec<Band<'_>> {
    let (n, _, _, w) = samples.truth.dim();
    let n_shown = n.min(MAX_IMAGES);
    let plural = if n == 1 { "image" } else { "images" };
    let heading = if n_shown < n {
        format!("{} – the first {n_shown} of {n} {plural}", samples.set)
    } else {
        format!("{} – {n} {plural}", samples.set)
    };
    // Lines of equal length look better than a full one and a rest: 12 images are 6 and 6, not 9 and 3.
    let n_columns = n_shown.div_ceil(n_shown.div_ceil(MAX_COLUMNS).max(1)).max(1);
    (0..n_shown)
        .step_by(n_columns)
        .map(|first| Band {
            samples,
            heading: (first == 0).then(|| heading.clone()),
            images: first..(first + n_columns).min(n_shown),
            scale: MIN_SIDE.div_ceil(w.max(1)),
        })
        .collect()
}

impl Band<'_> {
    fn side(&self) -> (i32, i32) {
        let (_, _, h, w) = self.samples.truth.dim();
        ((w * self.scale) as i32, (h * self.scale) as i32)
    }

    fn width(&self) -> i32 {
        LABEL_WIDTH + self.images.len() as i32 * (self.side().0 + GAP)
    }

    fn height(&self) -> i32 {
        let heading = if self.heading.is_some() { HEADING_HEIGHT } else { 0 };
        let labels = (self.n_lines(&self.samples.labels) + self.n_lines(&self.samples.nearest_labels)) * LINE;
        heading + labels + 4 * (self.side().1 + GAP) + FIGURE_HEIGHT + 2 * 6 + BAND_GAP
    }

    fn lines(&self, labels: &[String], image: usize) -> Vec<String> {
        // A character of this size is about 8 pixels wide.
        let width = (self.side().0 + GAP) as usize / 8;
        labels.get(image).map_or_else(Vec::new, |label| combination_lines(label, width))
    }

    fn n_lines(&self, labels: &[String]) -> i32 {
        self.images.clone().map(|image| self.lines(labels, image).len() as i32).max().unwrap_or(0)
    }

    fn draw(&self, area: &Area, top: i32) -> Drawn {
        let (side_x, side_y) = self.side();
        let right = MARGIN + self.width() - GAP;
        let mut y = top;
        if let Some(heading) = &self.heading {
            area.draw(&Rectangle::new([(MARGIN, y), (right.max(MARGIN + 300), y + 1)], RULE.filled()))?;
            text_left(area, heading, &text_style(19, true, INK), (MARGIN, y + 12))?;
            y += HEADING_HEIGHT;
        }
        let label = text_style(TEXT, false, INK);
        let faint = text_style(TEXT, false, FAINT_INK);
        let bold = text_style(TEXT + 1, true, INK);
        let truth_top = y + self.n_lines(&self.samples.labels) * LINE + 6;
        let generated_top = truth_top + side_y + GAP;
        let difference_top = generated_top + side_y + FIGURE_HEIGHT + GAP;
        let nearest_top = difference_top + side_y + GAP;
        let amplification = format!("×{AMPLIFICATION}");
        let row_labels = [
            (truth_top, vec!["truth"]),
            (generated_top, vec!["generated"]),
            (difference_top, vec!["difference", &amplification]),
            (nearest_top, vec!["nearest", "training image", "to generated"]),
        ];
        for (row_top, lines) in row_labels {
            let mut line_top = row_top + side_y / 2 - lines.len() as i32 * LINE / 2;
            for (line_idx, line) in lines.into_iter().enumerate() {
                let style = if line_idx == 0 { &bold } else { &faint };
                text_left(area, line, style, (MARGIN, line_top))?;
                line_top += LINE;
            }
        }
        for (column, image) in self.images.clone().enumerate() {
            let x = MARGIN + LABEL_WIDTH + column as i32 * (side_x + GAP);
            let centre = x + side_x / 2;
            for (line_idx, line) in self.lines(&self.samples.labels, image).iter().enumerate() {
                text_centred(area, line, &label, (centre, y + line_idx as i32 * LINE))?;
            }
            let truth = self.samples.truth.index_axis(Axis(0), image);
            let generated = self.samples.generated.index_axis(Axis(0), image);
            let nearest = self.samples.nearest.index_axis(Axis(0), image);
            enlarged(area, self.scale, (x, truth_top), truth)?;
            enlarged(area, self.scale, (x, generated_top), generated)?;
            enlarged(area, self.scale, (x, difference_top), difference(generated, truth).view())?;
            enlarged(area, self.scale, (x, nearest_top), nearest)?;
            let db = format!("{:.1} dB", psnr(generated, truth)?);
            text_centred(area, &db, &bold, (centre, generated_top + side_y + 5))?;
            for (line_idx, line) in self.lines(&self.samples.nearest_labels, image).iter().enumerate() {
                let at = (centre, nearest_top + side_y + 6 + line_idx as i32 * LINE);
                text_centred(area, line, &faint, at)?;
            }
        }
        Ok(())
    }
}

/// |generated − truth| amplified and cut at 1, both clamped to [0, 1] first.
fn difference(generated: ArrayView3<f32>, truth: ArrayView3<f32>) -> Array3<f32> {
    Zip::from(generated).and(truth).map_collect(|&g, &t| unit((unit(g) - unit(t)).abs() * AMPLIFICATION))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    fn samples(n: usize, side: usize) -> Samples {
        let labels: Vec<String> =
            (0..n).map(|i| format!("digit={} style=9 colour=red transform=mirror-x", i % 10)).collect();
        Samples {
            set: "result-3".into(),
            truth: Array4::zeros((n, 3, side, side)),
            generated: Array4::from_elem((n, 3, side, side), 0.1),
            nearest: Array4::ones((n, 3, side, side)),
            nearest_labels: labels.clone(),
            labels,
        }
    }

    fn decode(png: &[u8]) -> image::RgbImage {
        image::load_from_memory(png).unwrap().to_rgb8()
    }

    #[test]
    fn a_grid_says_what_could_be_taken_for_something_else() {
        let heading = GridHeading { title: "A title", model: "portrait", seed: 2, pictured: Some("drawn faces") };
        assert!(subtitle(heading).starts_with("drawn faces; model portrait, seed 2; PSNR"), "{}", subtitle(heading));
        assert!(subtitle(GridHeading { pictured: None, ..heading }).starts_with("model portrait"));
    }

    #[test]
    fn pixels_are_enlarged_crisply_and_the_difference_is_amplified() {
        let mut one = samples(1, 28);
        one.truth[[0, 0, 0, 0]] = 1.0; // A red corner.
        let heading = GridHeading { title: "A title", model: "operator", seed: 0, pictured: None };
        let grid = decode(&draw_grid(Path::new("grid.png"), heading, std::slice::from_ref(&one)).unwrap());
        let x = (MARGIN + LABEL_WIDTH) as u32;
        let y = (MARGIN + TITLE_HEIGHT + HEADING_HEIGHT + 3 * LINE + 6) as u32;
        // Scale 112 / 28 = 4: a block of 4 × 4 of exact red, black beside it.
        assert_eq!(grid.get_pixel(x + 3, y + 3).0, [255, 0, 0]);
        assert_eq!(grid.get_pixel(x + 4, y).0, [0, 0, 0]);
        // Generated 0.1 · 255 = 25.5, shown as 26; difference to black 0.1 × 4 = 0.4, 102.
        let generated = y + 112 + GAP as u32;
        assert_eq!(grid.get_pixel(x + 50, generated + 50).0, [26, 26, 26]);
        let difference = generated + 112 + (FIGURE_HEIGHT + GAP) as u32;
        assert_eq!(grid.get_pixel(x + 50, difference + 50).0, [102, 102, 102]);
        // In the red corner |0.1 − 1| × 4 is cut at 1.
        assert_eq!(grid.get_pixel(x, difference).0, [255, 102, 102]);
        assert_eq!(grid.get_pixel(x + 50, difference + 112 + GAP as u32 + 50).0, [255, 255, 255]);
    }

    #[test]
    fn many_images_wrap_and_too_many_are_announced() {
        let heading = GridHeading { title: "A title", model: "operator", seed: 0, pictured: None };
        let size = |n| decode(&draw_grid(Path::new("grid.png"), heading, &[samples(n, 28)]).unwrap()).dimensions();
        let (nine, ten, eighteen, many) = (size(9), size(10), size(18), size(100));
        assert!(ten.0 < nine.0 && ten.1 > nine.1 + 4 * 112);
        assert_eq!(eighteen.0, nine.0);
        assert_eq!(eighteen, many);
        assert_eq!(bands(&samples(100, 28))[0].heading.as_deref(), Some("result-3 – the first 18 of 100 images"));
    }

    #[test]
    fn large_images_keep_their_size_and_no_samples_are_no_error() {
        assert_eq!(bands(&samples(1, 158))[0].scale, 1);
        let heading = GridHeading { title: "A title", model: "operator", seed: 0, pictured: None };
        assert!(draw_grid(Path::new("grid.png"), heading, &[]).is_ok());
        assert!(draw_grid(Path::new("grid.png"), heading, &[samples(0, 28)]).is_ok());
    }
}
