//! Sets of the user's own: what names a run on them.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use image::{GrayImage, Luma};
use multigen_data::MnistSource;
use multigen_measure::ResultsDir;
use multigen_training::dataset::{Data, Sources};
use multigen_training::reproduce::{self, Options};
use multigen_training::{Catalogue, Request};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the set lies and how: the folder of its pictures, the file of its table, the settings beside those two.
struct Place<'a> {
    pictures: &'a str,
    table: &'a str,
    settings: &'a str,
}

const HERE: Place = Place { pictures: "shapes", table: "shapes.csv", settings: "" };

/// Rows of the table: file, shape, hue, split; the third and the last are held out under words of their own.
const ROWS: [&str; 6] = [
    "0.png,star,red,",
    "1.png,star,blue,",
    "2.png,moon,red,unseen",
    "3.png,moon,blue,",
    "4.png,ring,red,",
    "5.png,ring,blue,rare",
];

/// The hash of a run on six grey pictures of 16 pixels, the first of this grey.
fn hash(folder: &Path, place: Place, rows: &[&str], grey: u8) -> Result<String, Box<dyn std::error::Error>> {
    let pictures = folder.join(place.pictures);
    std::fs::create_dir_all(&pictures)?;
    for row in rows {
        let file = row.split(',').next().unwrap_or_default();
        // A picture's grey is the number in its name.
        let number: u8 = file.trim_start_matches("picture-").trim_end_matches(".png").parse()?;
        let level = if number == 0 { grey } else { 40 * number };
        GrayImage::from_pixel(16, 16, Luma([level])).save(pictures.join(file))?;
    }
    std::fs::write(folder.join(place.table), format!("image,shape,hue,split\n{}\n", rows.join("\n")))?;
    let experiment = folder.join("own.toml");
    let Place { pictures, table, settings } = place;
    std::fs::write(
        &experiment,
        format!(
            "parent = \"custom\"\ntitle = \"own\"\n[dataset]\nimages = \"{pictures}\"\ntable = \"{table}\"\n{settings}"
        ),
    )?;
    let request = Request { profile: "smoke".to_owned(), ..Request::default() };
    let experiment = Catalogue::new(root().join("experiments")).resolve(&experiment.display().to_string(), &request)?;
    let sources = Sources {
        mnist: MnistSource::Directory(PathBuf::new()),
        drawn_faces: folder.to_path_buf(),
        kdef: None,
        mmi: None,
    };
    let data = Data::load(&experiment.data.set, &sources)?;
    let interrupt = AtomicBool::new(false);
    let options = Options {
        root: root(),
        results: ResultsDir::new(folder.join("results")),
        device: (Device::Cpu, "cpu".to_owned()),
        seeds: vec![0],
        interrupt: &interrupt,
        quiet: true,
        command: "a test".to_owned(),
    };
    Ok(reproduce::plan(&experiment, &data, &options)?.remove(0).hash)
}

#[test]
fn a_run_is_named_by_what_is_shown_and_held_out_not_by_where_it_lies() -> Outcome {
    let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let first = hash(here.path(), HERE, &ROWS, 0)?;
    // The same command from another folder; other names; other rows first, so that another word of `split` comes first.
    assert_eq!(hash(there.path(), HERE, &ROWS, 0)?, first);
    let elsewhere = Place { pictures: "more/pictures", table: "labels.csv", ..HERE };
    let renamed = ROWS.map(|row| format!("picture-{row}"));
    let moved: Vec<&str> = renamed.iter().rev().map(String::as_str).collect();
    assert_eq!(hash(there.path(), elsewhere, &moved, 0)?, first);
    // The size that they have anyway.
    assert_eq!(hash(here.path(), Place { settings: "size = 16", ..HERE }, &ROWS, 0)?, first);

    // A pixel, a level's name, what is held out and under which word, size and transforms.
    let with_row_2 = |row| [ROWS[0], ROWS[1], row, ROWS[3], ROWS[4], ROWS[5]];
    let mut all = vec![
        first,
        hash(here.path(), HERE, &ROWS, 1)?,
        hash(here.path(), HERE, &ROWS.map(|row| row.replace("red", "pink")).each_ref().map(String::as_str), 0)?,
        hash(here.path(), HERE, &with_row_2("2.png,moon,red,"), 0)?,
        hash(here.path(), HERE, &with_row_2("2.png,moon,red,hidden"), 0)?,
        hash(here.path(), Place { settings: "size = 20", ..HERE }, &ROWS, 0)?,
        hash(here.path(), Place { settings: "transforms = 4", ..HERE }, &ROWS, 0)?,
    ];
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 7);
    Ok(())
}
