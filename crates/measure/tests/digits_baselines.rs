//! The baselines of the held-out 7 come out at the values that SPEC §6 states: 15.9, 18.4, 19.3, 20.8 dB.

use multigen_measure::{BaselineOptions, Baselines, baselines, psnr};
use ndarray::{Array4, ArrayView3, Axis};

const STYLES: &[u8] = include_bytes!("fixtures/digit_styles.bin");
const STYLE_MEAN: &str = "baseline: mean of the same digit in that transform";

/// The grey pixel of the transformed image at (row, column); SPEC §2, levels 0 to 5.
fn pixel(digit: usize, style: usize, transform: usize, row: usize, column: usize) -> f32 {
    let (y, x) = match transform {
        0 => (row, column),
        1 => (column, 27 - row),
        2 => (27 - row, 27 - column),
        3 => (27 - column, row),
        4 => (27 - row, column),
        _ => (row, 27 - column),
    };
    f32::from(STYLES[(digit * 10 + style) * 784 + y * 28 + x]) / 255.0
}

fn all_combinations() -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    for digit in 0..10 {
        for style in 0..10 {
            for colour in 0..3 {
                all.extend((0..6).map(|transform| vec![digit, style, colour, transform]));
            }
        }
    }
    all
}

fn draw(combinations: &[Vec<usize>]) -> Array4<f32> {
    Array4::from_shape_fn((combinations.len(), 3, 28, 28), |(n, c, row, column)| {
        let levels = &combinations[n];
        if c == levels[2] { pixel(levels[0], levels[1], levels[3], row, column) } else { 0.0 }
    })
}

fn split() -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
    let sevens = |levels: &[usize]| levels[0] == 7 && levels[1] == 9 && levels[3] == 4;
    let training = all_combinations().into_iter().filter(|levels| !sevens(levels) && levels[..] != [2, 4, 0, 1]);
    (training.collect(), all_combinations().into_iter().filter(|levels| sevens(levels)).collect())
}

fn options() -> BaselineOptions<'static> {
    BaselineOptions { additive_within: Some(2), mean_over: Some((1, STYLE_MEAN)), own: None }
}

#[test]
fn the_held_out_seven_has_the_stated_baselines() {
    let (training, held_out) = split();
    assert_eq!((training.len(), held_out.len()), (1796, 3));
    let (images, truth) = (draw(&training), draw(&held_out));
    let all = Baselines::new(images.view(), &training).unwrap().all(truth.view(), &held_out, options()).unwrap();
    let stated = [
        (baselines::BLACK, 15.9),
        (baselines::ADDITIVE, 18.4),
        (STYLE_MEAN, 19.3),
        (baselines::NEAREST, 20.8),
        // Not stated by the specification; the same computed with numpy.
        (baselines::SHARED_LEVELS, 18.45),
    ];
    assert_eq!(all.len(), stated.len());
    for (name, db) in stated {
        let (_, predicted) = all.iter().find(|(found, _)| found == name).unwrap();
        for (image, truth) in predicted.outer_iter().zip(truth.outer_iter()) {
            let found = psnr(image, truth).unwrap();
            assert!((found - db).abs() < 0.05, "{name}: {found} dB, stated {db}");
        }
    }
}

#[test]
fn the_additive_model_of_all_colours_together_is_weaker() {
    // numpy gives 17.782 (red), 17.784 (green and blue): the reason why the model is fitted within a colour.
    let (training, held_out) = split();
    let (images, truth) = (draw(&training), draw(&held_out));
    let predicted = Baselines::new(images.view(), &training).unwrap().additive(&held_out, None).unwrap();
    let dbs: Vec<f64> =
        predicted.outer_iter().zip(truth.outer_iter()).map(|(image, truth)| psnr(image, truth).unwrap()).collect();
    for (found, numpy) in dbs.iter().zip([17.782_44, 17.783_51, 17.783_51]) {
        assert!((found - numpy).abs() < 1e-3, "{found} against {numpy}");
    }
}

#[test]
fn the_nearest_image_of_the_red_seven_is_the_one_numpy_finds() {
    let (training, held_out) = split();
    let (images, truth) = (draw(&training), draw(&held_out));
    let nearest = Baselines::new(images.view(), &training).unwrap().nearest(truth.view()).unwrap();
    assert_eq!(training[nearest[0].index], [7, 3, 0, 4]);
}

#[test]
fn seventy_per_cent_held_out_take_seconds_at_most() {
    // 540 training images, 1,260 targets; the bound is generous because test machines are shared.
    let all = all_combinations();
    let (training, held_out): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(i, _)| i % 10 < 3);
    let training: Vec<Vec<usize>> = training.into_iter().map(|(_, levels)| levels).collect();
    let held_out: Vec<Vec<usize>> = held_out.into_iter().map(|(_, levels)| levels).collect();
    assert_eq!((training.len(), held_out.len()), (540, 1260));
    let (images, truth) = (draw(&training), draw(&held_out));
    let start = std::time::Instant::now();
    let baselines = Baselines::new(images.view(), &training).unwrap();
    let all = baselines.all(truth.view(), &held_out, options()).unwrap();
    assert!(start.elapsed().as_secs_f64() < 20.0, "{:?}", start.elapsed());
    println!("all baselines of 1,260 targets: {:?}", start.elapsed());
    let first: ArrayView3<f32> = all[1].1.index_axis(Axis(0), 0);
    assert!(first.iter().any(|pixel| *pixel > 0.0));
}
