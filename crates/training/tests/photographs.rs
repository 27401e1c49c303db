//! Photographs in the place of drawn faces, from the user's folder to a report: here a few drawn faces under KDEF's names.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use image::{ImageFormat, Rgb, RgbImage};
use multigen_data::sets::faces::{self, Expression};
use multigen_data::sets::photographs::{PhotoSet, Preparation, prepare};
use multigen_data::{MnistSource, Rule};
use multigen_measure::{Manifest, MetricRow, ResultsDir, read_rows};
use multigen_training::dataset::{Data, Sources};
use multigen_training::experiment::PHOTOGRAPHS;
use multigen_training::reproduce::{self, Options};
use multigen_training::{AnyExperiment, Catalogue, Request};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A photograph of KDEF's size and name: a drawn face before a wall.
fn photograph(folder: &Path, person: u32, expression: Expression, session: u32) -> Outcome {
    const SIDE: usize = 400;
    let face = faces::truth(person, expression, session, SIDE)?;
    let picture = RgbImage::from_fn(562, 762, |x, y| {
        let (x, y) = (x as usize, y as usize);
        let (left, top) = (81, 180);
        let inside = (left..left + SIDE).contains(&x) && (top..top + SIDE).contains(&y);
        Rgb([0, 1, 2].map(|c| match inside {
            true => (face[(c * SIDE + y - top) * SIDE + x - left] * 255.0).round() as u8,
            false => 180,
        }))
    });
    // Men are persons 0 to 34, women 35 to 69.
    let (sex, number) = if person < 35 { ('M', person + 1) } else { ('F', person - 34) };
    let emotion = match expression {
        Expression::Disgust => "DI",
        Expression::Happy => "HA",
        _ => "SU",
    };
    let name = format!("{}{sex}{number:02}{emotion}S.JPG", if session == 0 { 'A' } else { 'B' });
    Ok(picture.save_with_format(folder.join(name), ImageFormat::Png)?)
}

#[test]
fn photographs_take_the_place_of_drawn_faces_and_what_is_missing_is_left_out() -> Outcome {
    let dir = tempfile::tempdir()?;
    let from = dir.path().join("photos");
    std::fs::create_dir(&from)?;
    // Person 56, whose happiness is a part of Result 3, has no photo; nor has person 4.
    for person in [1, 5, 37, 55] {
        for expression in [Expression::Disgust, Expression::Happy, Expression::Surprise] {
            for session in 0..2 {
                photograph(&from, person, expression, session)?;
            }
        }
    }
    let prepared = dir.path().join("prepared");
    let datasets = root().join("datasets");
    let preparation = Preparation { set: PhotoSet::Kdef, from: &from, out: &prepared, fresh: false };
    let report = prepare(&preparation, &datasets, &|_, _| {})?;
    assert_eq!(report.n_used(), 24, "{report}");

    let overrides = ["data.set.faces.size=71", "models.default=[\"compact\"]", "steps=2", "batch=4"].map(str::to_owned);
    let request = Request { profile: "smoke".to_owned(), overrides: overrides.to_vec(), ..Request::default() };
    // The profile's own size is laid over the document's before the override.
    let experiment = Catalogue::new(root().join("experiments")).resolve("kdef-result-3", &request)?;
    let sources = Sources {
        mnist: MnistSource::Embedded { datasets },
        drawn_faces: dir.path().join("faces"),
        kdef: Some(prepared),
        mmi: None,
    };
    let data = Data::load(&experiment.data.set, &sources)?;
    // 24 photos in six transforms.
    assert_eq!(data.set().len(), 144);
    let interrupt = AtomicBool::new(false);
    let options = Options {
        root: root(),
        results: ResultsDir::new(dir.path().join("results")),
        device: (Device::Cpu, "cpu".to_owned()),
        seeds: vec![0],
        interrupt: &interrupt,
        quiet: true,
        command: "a test".to_owned(),
    };
    // What earlier results on drawn faces left.
    let earlier =
        options.results.experiment(&AnyExperiment::Generation(Box::new(experiment.clone())).results_name(&data));
    earlier.create()?;
    let stale = [earlier.sheets("portrait", 0), earlier.sheet_figure("portrait", "matrix"), earlier.mouth_figure()];
    for path in &stale {
        std::fs::write(path, "earlier")?;
    }
    let written = reproduce::run(&experiment, &data, &options)?;
    assert!(stale.iter().all(|path| !path.exists()));
    assert!(written.samples("compact", 0).exists() && written.sheets("compact", 0).exists());
    // Beside the results of drawn faces, in a folder that git ignores.
    assert!(written.root().ends_with("results/kdef-result-3-smoke-photographs"), "{}", written.root().display());
    let ignored = std::fs::read_to_string(root().join(".gitignore"))?;
    let pattern = format!("/results/*{}/", PHOTOGRAPHS);
    assert!(ignored.lines().any(|line| line == pattern), "{ignored}");
    let manifest = Manifest::read(&written.manifest())?;
    assert!(manifest.dataset.contains("photo") && !manifest.dataset.contains("drawn"), "{}", manifest.dataset);
    assert_eq!(manifest.pictured.as_deref(), Some("photographs of KDEF"));
    // The experiment's own rules decide, and not those of the named set, which holds out two sets alone at this size.
    for dropped in ["4-disgust-rotate-90", "56-happy"] {
        let said = format!("; held-out set {dropped} dropped: there is no photograph of it");
        assert!(manifest.dataset.contains(&said), "{}", manifest.dataset);
    }
    assert_eq!(manifest.dataset.matches("dropped").count(), 2, "{}", manifest.dataset);
    let judge = manifest.judge.ok_or("no judge")?;
    // Of 24 photos the twin is tested on four, in six transforms each.
    assert!(judge.description.contains("twin") && judge.accuracy.contains_key("emotion"), "{judge:?}");
    assert_eq!(judge.n_images, 24, "{judge:?}");
    let mut sets: Vec<String> = read_rows::<MetricRow>(&written.metrics())?.into_iter().map(|row| row.set).collect();
    sets.sort();
    sets.dedup();
    assert_eq!(sets, ["37-surprise", "55-disgust"]);

    // A rule of a level that no set has is a mistake, not a photograph that is missing.
    let mut mistaken = experiment;
    mistaken.data.held_out[0].rule = Rule::Where([("emotion".to_owned(), "hapy".into())].into());
    let refused = reproduce::plan(&mistaken, &data, &options).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(refused.contains("hapy"), "{refused}");
    Ok(())
}
