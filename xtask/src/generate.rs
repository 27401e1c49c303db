//! `cargo xtask generate FACTOR=LEVEL… --out FILE.png`, and for digits a flag for each factor

use std::io::Cursor;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use image::imageops::FilterType;
use image::{ImageFormat, Rgb, RgbImage};
use multigen_training::device;
use multigen_training::generate::{self, Chosen, Wish};

use crate::workspace::Places;

#[derive(Args, Debug)]
pub struct Arguments {
    /// The combination to draw, one FACTOR=LEVEL each: person=37 emotion=surprise session=A transform=identity; or a
    /// mixture, weights from 0 that add up to 1: person=4:0.5,7:0.5
    #[arg(value_name = "FACTOR=LEVEL", conflicts_with_all = ["digit", "style", "colour", "transform"])]
    levels: Vec<String>,
    /// The digit, 0 to 9; this and the others may be mixtures too: 7:0.5,9:0.5
    #[arg(long, requires_all = ["style", "colour", "transform"])]
    digit: Option<String>,
    /// The style, 0 to 9
    #[arg(long, requires = "digit")]
    style: Option<String>,
    /// red, green or blue
    #[arg(long, requires = "digit")]
    colour: Option<String>,
    /// identity, rotate-90, rotate-180, rotate-270, mirror-x or mirror-y
    #[arg(long, requires = "digit")]
    transform: Option<String>,
    /// The picture to write
    #[arg(long, value_name = "FILE.png")]
    out: PathBuf,
    /// The model to draw with [default: the best that is trained]
    #[arg(long)]
    model: Option<String>,
    /// The run to draw with, a folder of results/cache/runs [default: the one with most steps]
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Enlarge each pixel to this many
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    scale: u32,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    places: Places,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let device = device::parse(&arguments.device)?;
    let runs = generate::trained_runs(&arguments.places.results()?.cache())?;
    let of_digits = [
        ("digit", &arguments.digit),
        ("style", &arguments.style),
        ("colour", &arguments.colour),
        ("transform", &arguments.transform),
    ];
    let mut levels: Vec<String> = arguments.levels.clone();
    levels
        .extend(of_digits.iter().filter_map(|(factor, level)| level.as_ref().map(|level| format!("{factor}={level}"))));
    anyhow::ensure!(
        !levels.is_empty(),
        "nothing to draw: give FACTOR=LEVEL for every factor, or --digit, --style, --colour and --transform"
    );
    let label = levels.join(" ");
    let wish = Wish { label: &label, model: arguments.model.as_deref(), run: arguments.run.as_deref() };
    let Chosen { run, mixture, others } = generate::choose(runs, wish)?;
    let drawn = generate::image(&run, &mixture, &device)?;
    let (_, h, w) = drawn.dim();
    let picture = RgbImage::from_fn(w as u32, h as u32, |x, y| {
        Rgb([0, 1, 2].map(|c| (drawn[[c, y as usize, x as usize]] * 255.0).round() as u8))
    });
    let picture =
        image::imageops::resize(&picture, w as u32 * arguments.scale, h as u32 * arguments.scale, FilterType::Nearest);
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).context("the picture cannot be encoded")?;
    multigen_measure::atomic_write(&arguments.out, bytes.get_ref())?;
    println!(
        "{}: {label}, drawn by {} (seed {}, {} steps), trained on {}",
        arguments.out.display(),
        run.config.model,
        run.config.seed,
        run.config.training.steps,
        run.images()
    );
    for (images, name) in others {
        println!("trained on {images} and able to draw it too: --run {name}");
    }
    Ok(())
}
