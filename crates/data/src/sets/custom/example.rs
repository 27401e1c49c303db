//! A small set to begin with: 96 coloured shapes of 32 × 32 pixels, drawn by the program, and their table.
//!
//! Factors: shape (moon, square, star, triangle), hue (blue, green, red, yellow), size (large, medium, small), turn (0 and
//! 30 degrees). The six yellow stars are held out as `unseen`: the shape and the hue are known from other pictures, but
//! never together. Edges are smoothed by counting 16 points of each pixel, so that the same bytes come out everywhere.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};

use crate::{Error, Result};

/// The table's name in the folder.
pub const EXAMPLE_TABLE: &str = "labels.csv";

/// The experiment's name in the folder.
pub const EXAMPLE_EXPERIMENT: &str = "shapes.toml";

const EXPERIMENT: &str = r#"parent = "custom"
title = "Shapes: a hue never seen on a star"

[about]
question = "Are yellow stars drawn, when stars of other hues and other yellow shapes were seen?"

[dataset]
images = "."
table = "labels.csv"

# The column `split` of the table names it.
[evaluate]
sets = ["unseen"]
"#;

const SIDE: u32 = 32;
const SHAPES: [&str; 4] = ["moon", "square", "star", "triangle"];
const HUES: [(&str, [u8; 3]); 4] =
    [("blue", [70, 120, 235]), ("green", [60, 180, 90]), ("red", [225, 70, 60]), ("yellow", [240, 205, 60])];
/// Radii in pixels.
const SIZES: [(&str, f64); 3] = [("large", 14.0), ("medium", 10.0), ("small", 6.5)];
/// Turns with their cosine and sine.
const TURNS: [(&str, [f64; 2]); 2] = [("0", [1.0, 0.0]), ("30", [0.866_025_403_784_438_6, 0.5])];
const BACKGROUND: [u8; 3] = [32, 34, 40];
/// Points per pixel and direction.
const POINTS: u32 = 4;

/// Corners of a five-pointed star of radius 1, the first one above; every other one lies at 0.382 of it, where straight
/// lines between the outer corners cross.
const STAR: [[f64; 2]; 10] = [
    [0.0, -1.0],
    [0.224_5, -0.309],
    [0.951_1, -0.309],
    [0.363_3, 0.118],
    [0.587_8, 0.809],
    [0.0, 0.382],
    [-0.587_8, 0.809],
    [-0.363_3, 0.118],
    [-0.951_1, -0.309],
    [-0.224_5, -0.309],
];
const TRIANGLE: [[f64; 2]; 3] = [[0.0, -1.0], [0.866, 0.5], [-0.866, 0.5]];
const SQUARE: [[f64; 2]; 4] = [[-0.75, -0.75], [0.75, -0.75], [0.75, 0.75], [-0.75, 0.75]];

/// Writes the pictures and their table into a new folder, and says how many pictures there are. The folder appears under
/// its name when it is complete.
///
/// # Errors
/// The folder holds something already, or cannot be written.
pub fn write_example(folder: &Path) -> Result<usize> {
    let is_empty = |folder: &Path| std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if folder.exists() && !is_empty(folder) {
        return Err(Error::content(folder, "a new folder", "something of this name", "choose another name"));
    }
    let io = |source| Error::io(folder, "write the example", source);
    let name = folder
        .file_name()
        .ok_or_else(|| Error::content(folder, "a name for a new folder", "none", "choose one, such as my-shapes"))?;
    let temporary = folder.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = fill(&temporary).and_then(|n| {
        if folder.exists() {
            std::fs::remove_dir(folder)?;
        }
        std::fs::rename(&temporary, folder).map(|()| n)
    });
    written.map_err(|source| {
        std::fs::remove_dir_all(&temporary).ok();
        io(source)
    })
}

fn fill(folder: &Path) -> std::io::Result<usize> {
    std::fs::create_dir(folder)?;
    let mut table = "image,shape,hue,size,turn,split\n".to_owned();
    let mut n_pictures = 0;
    for shape in SHAPES {
        for (hue, colour) in HUES {
            for (size, radius) in SIZES {
                for (turn, direction) in TURNS {
                    let name = format!("{shape}-{hue}-{size}-{turn}.png");
                    let mut png = Cursor::new(Vec::new());
                    let picture = draw(shape, colour, radius, direction);
                    picture.write_to(&mut png, ImageFormat::Png).map_err(std::io::Error::other)?;
                    std::fs::write(folder.join(&name), png.into_inner())?;
                    let split = if (shape, hue) == ("star", "yellow") { "unseen" } else { "train" };
                    table.push_str(&format!("{name},{shape},{hue},{size},{turn},{split}\n"));
                    n_pictures += 1;
                }
            }
        }
    }
    std::fs::write(folder.join(EXAMPLE_TABLE), table)?;
    std::fs::write(folder.join(EXAMPLE_EXPERIMENT), EXPERIMENT)?;
    Ok(n_pictures)
}

fn draw(shape: &str, colour: [u8; 3], radius: f64, [cos, sin]: [f64; 2]) -> RgbImage {
    let centre = f64::from(SIDE) / 2.0;
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let points = (0..POINTS * POINTS).filter(|point| {
            let place = |pixel: u32, part: u32| f64::from(pixel) + (f64::from(part) + 0.5) / f64::from(POINTS) - centre;
            let (x, y) = (place(x, point % POINTS), place(y, point / POINTS));
            // Turned back by the shape's turn, counter-clockwise as it is seen, and measured in radii.
            holds(shape, [(x * cos - y * sin) / radius, (x * sin + y * cos) / radius])
        });
        let inside = points.count() as u32;
        let outside = POINTS * POINTS - inside;
        let mixed = |c: usize| (u32::from(colour[c]) * inside + u32::from(BACKGROUND[c]) * outside) / (POINTS * POINTS);
        Rgb([0, 1, 2].map(|c| mixed(c) as u8))
    })
}

/// Whether a shape of radius 1 around the origin holds a point.
fn holds(shape: &str, point: [f64; 2]) -> bool {
    let in_disc = |[x, y]: [f64; 2], radius: f64| {
        let [dx, dy] = [point[0] - x, point[1] - y];
        dx * dx + dy * dy < radius * radius
    };
    match shape {
        "square" => is_inside(&SQUARE, point),
        "star" => is_inside(&STAR, point),
        "triangle" => is_inside(&TRIANGLE, point),
        _ => in_disc([0.0, 0.0], 1.0) && !in_disc([0.5, 0.0], 0.8),
    }
}

/// Whether a ray from a point to the right crosses a closed line of straight pieces an odd number of times.
fn is_inside(corners: &[[f64; 2]], [x, y]: [f64; 2]) -> bool {
    let ends = corners.iter().zip(corners.iter().cycle().skip(1));
    let crosses =
        |[[ax, ay], [bx, by]]: [[f64; 2]; 2]| (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax;
    ends.filter(|&(&a, &b)| crosses([a, b])).count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::Split;
    use crate::sets::custom::{CustomConfig, build, check};

    #[test]
    fn the_example_is_a_sound_set_with_an_unseen_pair() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("my-shapes");
        assert_eq!(write_example(&own).unwrap(), 96);
        let config = CustomConfig::new(&own, own.join(EXAMPLE_TABLE));
        let report = check(&config).unwrap();
        assert!(report.problems().is_empty() && report.notes().is_empty(), "{report}");
        let custom = build(&config).unwrap();
        assert_eq!(custom.set.factors.n_levels(), [4, 4, 3, 2]);
        assert!(custom.note.starts_with("96 images of factors shape 4, hue 4, size 3, turn 2 from "));
        let split = Split::new(&custom.set.factors, &custom.set.combinations, &custom.held_out).unwrap();
        let unseen = split.indices("unseen").unwrap();
        assert_eq!((unseen.len(), split.train.len()), (6, 90));
        assert_eq!(custom.set.label(unseen[0]).unwrap(), "shape=star hue=yellow size=large turn=0");
        // It is drawn the same everywhere; a changed drawing changes this.
        let pixels: Vec<u8> = custom.set.images.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
        assert_eq!(Sha256::digest(pixels)[..4], [91, 28, 4, 7]);
    }

    #[test]
    fn shapes_are_drawn_where_they_belong() {
        // A large square reaches from 16 − 10.5 = 5.5 to 26.5: pixel 5 is half covered, pixel 6 whole.
        let square = draw("square", [240, 0, 0], 14.0, [1.0, 0.0]);
        let red = |picture: &RgbImage, x, y| picture.get_pixel(x, y).0[0];
        assert_eq!([4, 5, 6, 25, 26, 27].map(|x| red(&square, x, 16)), [32, 136, 240, 240, 136, 32]);
        // A star has a point above and none below.
        let star = draw("star", [240, 0, 0], 14.0, [1.0, 0.0]);
        assert_eq!([red(&star, 16, 6), red(&star, 16, 16), red(&star, 16, 26)], [240, 240, 32]);
        // The moon is open to the right.
        let moon = draw("moon", [240, 0, 0], 14.0, [1.0, 0.0]);
        assert_eq!([red(&moon, 4, 16), red(&moon, 20, 16)], [240, 32]);
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("mine");
        std::fs::create_dir(&own).unwrap();
        write_example(&own).unwrap();
        let before = std::fs::read_dir(&own).unwrap().count();
        let message = write_example(&own).unwrap_err().to_string();
        assert!(
            message.contains("mine: expected a new folder") && message.contains("choose another name"),
            "{message}"
        );
        assert_eq!(std::fs::read_dir(&own).unwrap().count(), before);
        assert!(write_example(Path::new("/")).is_err());
        let file = folder.path().join("file");
        std::fs::write(&file, "text").unwrap();
        assert!(write_example(&file).is_err());
        let nowhere = write_example(&file.join("deeper")).unwrap_err().to_string();
        assert!(nowhere.contains("cannot write the example") && !nowhere.contains('\n'), "{nowhere}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary folder stays");
    }
}
