//! A drawing in memory that becomes the bytes of a PNG file.
//!
//! Text is set in DejaVu Sans from `assets/`, so that figures look alike everywhere and need no fonts of the system.

use std::path::Path;
use std::sync::OnceLock;

use image::ImageEncoder;
use multigen_measure::unit;
use ndarray::ArrayView3;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use crate::error::{Error, Result};

/// The area that figures are drawn on.
pub type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
/// The result of drawing; the library's error types depend on the backend.
pub type Drawn<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Ink of titles and labels.
pub const INK: RGBColor = RGBColor(28, 32, 38);
/// Ink of what stands back.
pub const FAINT_INK: RGBColor = RGBColor(95, 103, 115);
/// Ink that stands out: frames around what was held out.
pub const STRONG: RGBColor = RGBColor(213, 94, 0);
/// Grid lines.
pub const RULE: RGBColor = RGBColor(225, 228, 233);

const FAMILY: &str = "DejaVu Sans";
static REGULAR: &[u8] = include_bytes!("../../assets/DejaVuSans.ttf");
static BOLD: &[u8] = include_bytes!("../../assets/DejaVuSans-Bold.ttf");

/// Draws on white and encodes as PNG; `path` is the file that errors name.
///
/// # Errors
/// Whatever the drawing library or the encoder says.
pub fn png(path: &Path, width: u32, height: u32, draw: impl FnOnce(&Area) -> Drawn) -> Result<Vec<u8>> {
    let drawn = || -> Drawn<Vec<u8>> {
        if !fonts_registered() {
            return Err("the embedded font is damaged".into());
        }
        let mut pixels = vec![255_u8; width as usize * height as usize * 3];
        {
            let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
            area.fill(&WHITE)?;
            draw(&area)?;
            area.present()?;
        }
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes).write_image(&pixels, width, height, image::ColorType::Rgb8)?;
        Ok(bytes)
    };
    drawn().map_err(|error| Error::Figure {
        path: path.to_path_buf(),
        detail: error.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
    })
}

/// A text style of the embedded font.
pub fn text_style<'a>(size: i32, bold: bool, ink: RGBColor) -> TextStyle<'a> {
    // A style looks its font up when it is made.
    fonts_registered();
    let weight = if bold { FontStyle::Bold } else { FontStyle::Normal };
    TextStyle { color: ink.to_backend_color(), ..TextStyle::from((FAMILY, size, weight)) }
}

/// Text whose top left corner is at `at`.
///
/// # Errors
/// The drawing library refuses.
pub fn text_left(area: &Area, text: &str, style: &TextStyle, at: (i32, i32)) -> Drawn {
    anchored(area, text, style, at, HPos::Left)
}

/// Text whose top is centred on `at`.
///
/// # Errors
/// The drawing library refuses.
pub fn text_centred(area: &Area, text: &str, style: &TextStyle, at: (i32, i32)) -> Drawn {
    anchored(area, text, style, at, HPos::Center)
}

/// Text whose top right corner is at `at`.
///
/// # Errors
/// The drawing library refuses.
pub fn text_right(area: &Area, text: &str, style: &TextStyle, at: (i32, i32)) -> Drawn {
    anchored(area, text, style, at, HPos::Right)
}

/// Text that is read from the bottom to the top, its first letter at the bottom, centred on `at`'s column.
///
/// # Errors
/// The drawing library refuses.
pub fn text_upwards(area: &Area, text: &str, style: &TextStyle, at: (i32, i32)) -> Drawn {
    let style = style.transform(FontTransform::Rotate270).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw_text(text, &style, at)?;
    Ok(())
}

/// How many pixels a line of text takes across.
pub fn text_width(text: &str, style: &TextStyle) -> i32 {
    // Without its font nothing can be drawn, and `png` says so.
    style.font.box_size(text).map_or(0, |(width, _)| width as i32)
}

/// Text in lines of at most `width` pixels, broken between words; a longer word stands alone.
pub fn wrapped(text: &str, style: &TextStyle, width: i32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), style) <= width => *line = format!("{line} {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// An image `[c, h, w]` whose pixels become squares of `scale` pixels, its top left corner at `at`; one channel is shown
/// grey, of several the first three.
///
/// # Errors
/// The drawing library refuses.
pub fn enlarged(area: &Area, scale: usize, (left, top): (i32, i32), image: ArrayView3<f32>) -> Drawn {
    let (c, h, w) = image.dim();
    let level = |channel: usize, y: usize, x: usize| {
        let channel = if c < 3 { 0 } else { channel };
        image.get([channel, y, x]).map_or(0, |pixel| (unit(*pixel) * 255.0).round() as u8)
    };
    let scale = scale as i32;
    for y in 0..h {
        for x in 0..w {
            let colour = RGBColor(level(0, y, x), level(1, y, x), level(2, y, x));
            let (x, y) = (left + x as i32 * scale, top + y as i32 * scale);
            for dy in 0..scale {
                for dx in 0..scale {
                    area.draw_pixel((x + dx, y + dy), &colour)?;
                }
            }
        }
    }
    Ok(())
}

fn anchored(area: &Area, text: &str, style: &TextStyle, at: (i32, i32), horizontal: HPos) -> Drawn {
    let style = style.pos(Pos::new(horizontal, VPos::Top));
    area.draw_text(text, &style, at)?;
    Ok(())
}

fn fonts_registered() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        let fonts = [(FontStyle::Normal, REGULAR), (FontStyle::Bold, BOLD)];
        fonts.into_iter().all(|(style, bytes)| register_font(FAMILY, style, bytes).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_where_they_get_too_long() {
        let style = text_style(16, false, INK);
        let width = text_width("two words", &style);
        assert!(width > text_width("words", &style) && text_width("words", &style) > 20);
        assert_eq!(wrapped("two words and  more", &style, width), ["two words", "and more"]);
        assert_eq!(wrapped("incomprehensibilities are long", &style, 40), ["incomprehensibilities", "are", "long"]);
        assert!(wrapped(" ", &style, 40).is_empty());
    }
}
