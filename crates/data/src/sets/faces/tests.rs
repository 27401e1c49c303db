use super::*;
use crate::sets::faces::cache::hex;
use sha2::{Digest, Sha256};

/// Where things are in an upright picture, as rows and columns from 0 to 1: left, right, top, bottom.
const BROWS: [f32; 4] = [0.25, 0.75, 0.33, 0.46];
const MOUTH: [f32; 4] = [0.30, 0.70, 0.66, 0.88];
const CORNER: [f32; 4] = [0.0, 0.1, 0.0, 0.1];

fn small() -> FacesConfig {
    FacesConfig { size: 32, noise: false, ..FacesConfig::default() }
}

/// The mean absolute difference of two pictures, over all pixels or in a part of the picture.
fn distance_in(a: &[f32], b: &[f32], part: [f32; 4]) -> f32 {
    let size = (1..).find(|size| 3 * size * size >= a.len()).unwrap();
    let [left, right, top, bottom] = part.map(|edge| (edge * size as f32).round() as usize);
    let inside = |index: &usize| {
        let (row, column) = (index / size % size, index % size);
        (left..right).contains(&column) && (top..bottom).contains(&row)
    };
    let differences: Vec<f32> = (0..a.len()).filter(inside).map(|index| (a[index] - b[index]).abs()).collect();
    differences.iter().sum::<f32>() / differences.len() as f32
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    distance_in(a, b, [0.0, 1.0, 0.0, 1.0])
}

fn hash(pixels: &[f32]) -> String {
    let bytes: Vec<u8> = pixels.iter().map(|&pixel| (pixel * 255.0).round() as u8).collect();
    hex(&Sha256::digest(&bytes)[..8])
}

#[test]
fn the_drawing_is_the_one_that_the_version_names() {
    let mut pixels = Vec::new();
    for person in [0, 7, 19, 33, 48, 69, 70, 500] {
        for expression in SEVEN {
            for session in 0..3 {
                pixels.extend(truth(person, expression, session, 40).unwrap());
            }
        }
    }
    pixels.extend(truth(1, Expression::Surprise, 0, 71).unwrap());
    pixels.extend(truth(2, Expression::Disgust, 1, 158).unwrap());
    assert_eq!(hash(&pixels), DRAWING_VERSION, "the drawing has changed: state its new version");
}

#[test]
fn a_picture_depends_on_its_labels_and_the_size_alone() {
    let all = build(&FacesConfig { persons: vec![9, 4, 80], sessions: vec![2, 0], noise: true, ..small() }).unwrap();
    let one = FacesConfig {
        persons: vec![80],
        expressions: vec![Expression::Afraid],
        sessions: vec![2],
        noise: true,
        ..small()
    };
    let alone = build(&one).unwrap();
    // Person 80 has level 2, afraid level 4, session C level 0.
    assert_eq!(all.image(all.find(&[2, 4, 0]).unwrap()), alone.image(0));
    assert_eq!(build(&one).unwrap(), alone);
    assert_ne!(truth(80, Expression::Afraid, 2, 33).unwrap().len(), alone.images.len());
}

#[test]
fn values_leave_room_for_noise_and_noise_is_the_difference_from_the_truth() {
    let config = FacesConfig { persons: (0..6).collect(), ..small() };
    let clean = build(&config).unwrap();
    assert!(clean.images.iter().all(|value| (10.0 / 255.0..=245.0 / 255.0).contains(value)));
    let noisy = build(&FacesConfig { noise: true, ..config }).unwrap();
    assert!(noisy.images.iter().all(|value| (0.0..=1.0).contains(value)));
    let squares: f64 = clean.images.iter().zip(&noisy.images).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let psnr = -10.0 * (squares / clean.images.len() as f64).log10();
    assert!((psnr - psnr_ceiling_db(f64::from(SIGMA))).abs() < 0.05, "{psnr}");
    // Pictures use the range: neither flat nor dark.
    for index in 0..clean.len() {
        let image = clean.image(index).unwrap();
        let mean = image.iter().sum::<f32>() / image.len() as f32;
        let spread = (image.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / image.len() as f32).sqrt();
        assert!((0.15..0.8).contains(&mean) && spread > 0.08, "{} {mean} {spread}", clean.label(index).unwrap());
    }
}

#[test]
fn persons_differ_more_than_the_sessions_of_one() {
    let config =
        FacesConfig { persons: (0..80).collect(), expressions: vec![Expression::Neutral], size: 40, ..small() };
    let set = build(&config).unwrap();
    let image = |person: usize, session: usize| set.image(2 * person + session).unwrap();
    let within: f32 = (0..80).map(|person| distance(image(person, 0), image(person, 1))).sum::<f32>() / 80.0;
    let mut nearest = f32::INFINITY;
    let (mut sum, mut n) = (0.0, 0.0);
    for a in 0..80 {
        for b in 0..a {
            let between = distance(image(a, 0), image(b, 0));
            nearest = nearest.min(between);
            (sum, n) = (sum + between, n + 1.0);
        }
    }
    assert!(sum / n > 1.7 * within, "persons {} sessions {within}", sum / n);
    for person in 0..80 {
        let others = (0..80).filter(|&other| other != person);
        let mean = others.map(|other| distance(image(person, 0), image(other, 0))).sum::<f32>() / 79.0;
        assert!(distance(image(person, 0), image(person, 1)) < mean, "{person}");
    }
    assert!(nearest > 0.015, "two persons look the same: {nearest}");
}

#[test]
fn expressions_change_the_parts_that_their_units_move() {
    for person in [0, 5, 11, 30, 64, 90] {
        let picture = |expression| truth(person, expression, 0, 71).unwrap();
        let neutral = picture(Expression::Neutral);
        for expression in &SEVEN[1..] {
            let other = picture(*expression);
            let change = |part| distance_in(&neutral, &other, part);
            assert_eq!(change(CORNER), 0.0, "{expression:?}");
            assert!(change(MOUTH) > 0.005, "{person} {expression:?} {}", change(MOUTH));
            if *expression != Expression::Happy {
                assert!(change(BROWS) > 0.004, "{person} {expression:?} {}", change(BROWS));
            }
        }
        let mouth = |expression| distance_in(&neutral, &picture(expression), MOUTH);
        assert!(mouth(Expression::Surprise) > mouth(Expression::Sad));
    }
}

#[test]
fn two_expressions_of_a_person_never_look_the_same() {
    for person in 0..20 {
        let pictures: Vec<Vec<f32>> =
            SEVEN.iter().map(|&expression| truth(person, expression, 0, 71).unwrap()).collect();
        for a in 0..7 {
            for b in 0..a {
                assert!(distance(&pictures[a], &pictures[b]) > 0.0015, "{person} {:?} {:?}", SEVEN[a], SEVEN[b]);
            }
        }
    }
}

#[test]
fn transforms_are_exact_permutations_of_the_picture() {
    for transforms in [4, 6, 8] {
        let config = FacesConfig { persons: vec![2], sessions: vec![0], noise: true, transforms, ..small() };
        let set = build(&config).unwrap();
        let upright = build(&FacesConfig { transforms: 1, ..config }).unwrap();
        let levels = crate::transforms::levels(transforms).unwrap();
        for index in 0..set.len() {
            let &[0, emotion, transform] = set.combinations[index].0.as_slice() else { unreachable!() };
            let (image, source) = (set.image(index).unwrap(), upright.image(emotion).unwrap());
            let permutation = levels[transform].permutation(32);
            for channel in 0..3 {
                for (place, &from) in permutation.iter().enumerate() {
                    assert_eq!(image[channel * 1024 + place], source[channel * 1024 + from]);
                }
            }
        }
    }
}

#[test]
fn factors_are_dropped_where_there_is_one_level() {
    let names = |config: &FacesConfig| -> Vec<String> {
        config.factors().unwrap().iter().map(|factor| factor.name.clone()).collect()
    };
    assert_eq!(names(&small()), ["person", "emotion", "session"]);
    assert_eq!(names(&FacesConfig { sessions: vec![1], ..small() }), ["person", "emotion"]);
    assert_eq!(names(&FacesConfig { transforms: 4, ..small() }), ["person", "emotion", "session", "transform"]);
    let config = FacesConfig { persons: vec![5, 6, 7], left_out: vec![6], ..small() };
    let set = build(&config).unwrap();
    assert_eq!(set.len(), 2 * 7 * 2);
    assert_eq!(set.label(14).unwrap(), "person=2 emotion=neutral session=A");
    assert_eq!(set.image(14).unwrap(), truth(7, Expression::Neutral, 0, 32).unwrap());
}

#[test]
fn what_cannot_be_drawn_is_refused_in_one_line() {
    let message = |config: FacesConfig| build(&config).unwrap_err().to_string();
    assert_eq!(
        message(FacesConfig { persons: vec![], ..small() }),
        "persons = an empty list: expected a person's index at least"
    );
    assert_eq!(
        message(FacesConfig { persons: vec![1, 2, 1], ..small() }),
        "persons = 1 twice: expected each of the persons once"
    );
    assert_eq!(
        message(FacesConfig { expressions: vec![Expression::Sad; 2], ..small() }),
        "expressions = sad twice: expected each of the expressions once"
    );
    assert_eq!(
        message(FacesConfig { sessions: vec![], ..small() }),
        "sessions = an empty list: expected a session at least"
    );
    assert_eq!(
        message(FacesConfig { sessions: vec![26], ..small() }),
        "sessions = 26: expected numbers below 26; 0 is A"
    );
    assert_eq!(
        message(FacesConfig { left_out: vec![70], ..small() }),
        "left_out = 70: expected only indices that `persons` names"
    );
    assert_eq!(
        message(FacesConfig { persons: vec![1], left_out: vec![1], ..small() }),
        "left_out = all 1 persons: expected somebody to remain"
    );
    assert_eq!(message(FacesConfig { size: 0, ..small() }), "size = 0: expected 16 to 1024 pixels");
    assert_eq!(message(FacesConfig { transforms: 5, ..small() }), "transforms = 5: expected 1, 4, 6 or 8");
    assert!(truth(0, Expression::Sad, 99, 32).is_err());
}
