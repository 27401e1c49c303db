//! The pictures of the research's layout: pairs of truth and generated image with a column per transform, matrices of
//! persons and emotions with what was held out framed, and strips between two persons and two emotions.

use candle_core::{Device, Tensor};
use multigen_data::{Combination, Factors, ImageSet, Split};
use multigen_measure::{self as measure, Sheet, SheetCell};
use multigen_models::Generator;
use ndarray::{Array4, Axis, concatenate};

use crate::{Result, evaluate};

/// Persons in a matrix beside those of whom something is held out.
const FURTHER_PERSONS: usize = 8;
/// Persons in a matrix at most.
const MOST_PERSONS: usize = 14;
/// Steps from one level to the other in a strip.
const STEPS: usize = 8;

/// A generator with the set that it was trained on.
#[derive(Clone, Copy)]
pub(crate) struct Drawing<'a> {
    pub generator: &'a Generator,
    pub model: &'a str,
    pub seed: u64,
    /// The true images.
    pub truth: &'a ImageSet,
    pub split: &'a Split,
    pub device: &'a Device,
    /// What every sheet says of what it shows.
    pub pictured: Option<&'a str>,
}

/// The sheets of a set with the factors person and emotion; none of any other set.
///
/// # Errors
/// When an image cannot be drawn.
pub(crate) fn sheets(drawing: Drawing, sets: &[String]) -> Result<Vec<Sheet>> {
    let factors = &drawing.truth.factors;
    let (Ok(person), Ok(emotion)) = (factors.position("person"), factors.position("emotion")) else {
        return Ok(Vec::new());
    };
    let mut sheets = Vec::new();
    sheets.extend(pairs(drawing, sets)?);
    if holds_out_a_pair(drawing, sets, (person, emotion)) {
        sheets.extend(matrices(drawing, (person, emotion))?);
        sheets.extend(strips(drawing, (person, emotion))?);
    }
    Ok(sheets)
}

/// Whether one of the sets is all there is of a person with an emotion. Where none is, matrices and strips of persons and
/// emotions show nothing that training had not shown; results that share a run would only keep them again.
fn holds_out_a_pair(drawing: Drawing, sets: &[String], (person, emotion): (usize, usize)) -> bool {
    let Drawing { truth, split, .. } = drawing;
    let pair = |index: usize| truth.combinations.get(index).map(|c| (c.level(person), c.level(emotion)));
    sets.iter().filter_map(|set| split.indices(set)).any(|indices| {
        let Some(first) = indices.first().and_then(|&index| pair(index)) else { return false };
        (0..truth.len()).filter(|&index| pair(index) == Some(first)).all(|index| indices.contains(&index))
    })
}

/// Of every held-out set, truth above and generated below, a column per transform.
fn pairs(drawing: Drawing, sets: &[String]) -> Result<Option<Sheet>> {
    let Drawing { generator, truth, split, .. } = drawing;
    let Ok(transform) = truth.factors.position("transform") else { return Ok(None) };
    let n_transforms = truth.factors.as_slice()[transform].n_levels();
    let mut rows = Vec::new();
    let mut images: Vec<Array4<f32>> = Vec::new();
    let mut cells: Vec<SheetCell> = Vec::new();
    for set in sets {
        let Some(indices) = split.indices(set) else { continue };
        // The first content of the set, in all transforms, whether held out in them or not.
        let Some(first) = indices.first().and_then(|&i| truth.combinations.get(i)) else { continue };
        let found: Vec<Option<usize>> =
            (0..n_transforms).map(|level| truth.find(&with(first, transform, level))).collect();
        let Some(shown) = found.into_iter().collect::<Option<Vec<usize>>>() else { continue };
        let (true_images, drawn) = (evaluate::truth(truth, &shown)?, evaluate::draw(generator, truth, &shown)?);
        let label = content_label(&truth.factors, first, transform);
        rows.extend([format!("truth\n{label}"), format!("generated\n{label}")]);
        let framed: Vec<bool> = shown.iter().map(|index| indices.contains(index)).collect();
        cells.extend(framed.iter().map(|&framed| SheetCell { framed, ..SheetCell::default() }));
        for ((image, true_image), framed) in drawn.outer_iter().zip(true_images.outer_iter()).zip(framed) {
            let caption = Some(format!("{:.1} dB", measure::psnr(image, true_image)?));
            cells.push(SheetCell { caption, framed, absent: false });
        }
        images.extend([true_images, drawn]);
    }
    if images.is_empty() {
        return Ok(None);
    }
    let columns = truth.factors.as_slice()[transform].levels.clone();
    let title = format!("Held-out combinations in every transform, {}", drawing.model);
    let sheet = Sheet::new("transforms", &title, rows, columns, stacked(&images)?);
    Ok(Some(Sheet { block: 2, cells, note: note(drawing), ..sheet }))
}

/// Persons by emotions, true and generated; held-out cells are framed.
fn matrices(drawing: Drawing, (person, emotion): (usize, usize)) -> Result<Vec<Sheet>> {
    let Drawing { generator, truth, split, .. } = drawing;
    let factors = truth.factors.as_slice();
    let held_out = |index: usize| !split.train.contains(&index);
    // Upright and in the first session; where there is no such photograph, in the first that there is.
    let at = |p: usize, e: usize| {
        let shows = |c: &Combination| (c.level(person), c.level(emotion)) == (Some(p), Some(e));
        let all = truth.combinations.iter().enumerate().filter(|(_, combination)| shows(combination));
        all.min_by(|(_, a), (_, b)| a.0.cmp(&b.0)).map(|(index, _)| index)
    };
    let n_emotions = factors[emotion].n_levels();
    let (mut persons, mut further) = (Vec::new(), Vec::new());
    for p in 0..factors[person].n_levels() {
        let cells: Vec<usize> = (0..n_emotions).filter_map(|e| at(p, e)).collect();
        match cells.iter().any(|&index| held_out(index)) {
            true => persons.push(p),
            false if !cells.is_empty() && further.len() < FURTHER_PERSONS => further.push(p),
            false => {}
        }
    }
    persons.truncate(MOST_PERSONS);
    persons.extend(further.into_iter().take(MOST_PERSONS.saturating_sub(persons.len())));
    persons.sort_unstable();
    let places: Vec<Option<usize>> =
        (0..n_emotions).flat_map(|e| persons.iter().map(move |&p| (p, e))).map(|(p, e)| at(p, e)).collect();
    let Some(some) = places.iter().flatten().next().copied() else { return Ok(Vec::new()) };
    let indices: Vec<usize> = places.iter().map(|index| index.unwrap_or(some)).collect();
    let cells: Vec<SheetCell> = places
        .iter()
        .map(|index| SheetCell { caption: None, framed: index.is_some_and(held_out), absent: index.is_none() })
        .collect();
    let columns: Vec<String> = persons.iter().map(|&p| format!("person {}", factors[person].levels[p])).collect();
    let kinds = [
        ("matrix-truth", "Persons and emotions, truth".to_owned(), evaluate::truth(truth, &indices)?),
        ("matrix", format!("Persons and emotions, {}", drawing.model), evaluate::draw(generator, truth, &indices)?),
    ];
    let sheets = kinds.into_iter().map(|(slug, title, images)| {
        let sheet = Sheet::new(slug, &title, factors[emotion].levels.clone(), columns.clone(), images);
        Sheet { cells: cells.clone(), note: note(drawing), ..sheet }
    });
    Ok(sheets.collect())
}

/// From one person to another with every emotion, and from one emotion to the next of one person.
fn strips(drawing: Drawing, (person, emotion): (usize, usize)) -> Result<Vec<Sheet>> {
    let factors = drawing.truth.factors.as_slice();
    let shown: Vec<usize> = {
        let mut persons: Vec<usize> = drawing.truth.combinations.iter().filter_map(|c| c.level(person)).collect();
        persons.sort_unstable();
        persons.dedup();
        persons
    };
    let (Some(&first), Some(&last)) = (shown.first(), shown.last()) else { return Ok(Vec::new()) };
    let n_emotions = factors[emotion].n_levels();
    let columns: Vec<String> = (0..=STEPS).map(|step| format!("{:.1} %", 100.0 * step as f64 / STEPS as f64)).collect();
    let name = |factor: usize, level: usize| factors[factor].levels[level].clone();
    let strip = |base: &[usize], factor: usize, to: usize| -> Result<Array4<f32>> {
        let codes = (0..factors.len())
            .map(|f| {
                let n_levels = factors[f].n_levels();
                let mut rows = vec![0f32; (STEPS + 1) * n_levels];
                for (step, row) in rows.chunks_exact_mut(n_levels).enumerate() {
                    let share = if f == factor { step as f32 / STEPS as f32 } else { 0.0 };
                    row[base[f]] += 1.0 - share;
                    row[if f == factor { to } else { base[f] }] += share;
                }
                Ok(Tensor::from_vec(rows, (STEPS + 1, n_levels), drawing.device)?)
            })
            .collect::<Result<Vec<_>>>()?;
        let images = drawing.generator.forward_mixed(&codes)?.images.detach();
        let pixels = images.flatten_all()?.to_vec1::<f32>()?;
        Ok(measure::clamp_to_unit(evaluate::array(pixels, STEPS + 1, drawing.truth)?.view()))
    };
    let mut of_persons = (Vec::new(), Vec::new());
    let mut of_emotions = (Vec::new(), Vec::new());
    for e in 0..n_emotions {
        let mut base = vec![0; factors.len()];
        (base[person], base[emotion]) = (first, e);
        of_persons.0.push(name(emotion, e));
        of_persons.1.push(strip(&base, person, last)?);
        let next = (e + 1) % n_emotions;
        if next != e {
            of_emotions.0.push(format!("{} to {}", name(emotion, e), name(emotion, next)));
            of_emotions.1.push(strip(&base, emotion, next)?);
        }
    }
    let titles = [
        format!("From person {} to person {}, {}", name(person, first), name(person, last), drawing.model),
        format!("From emotion to emotion, person {}, {}", name(person, first), drawing.model),
    ];
    let mut sheets = Vec::new();
    for ((slug, title), (rows, images)) in
        ["strip-persons", "strip-emotions"].into_iter().zip(titles).zip([of_persons, of_emotions])
    {
        if !images.is_empty() {
            let sheet = Sheet::new(slug, &title, rows, columns.clone(), stacked(&images)?);
            sheets.push(Sheet { note: note(drawing), ..sheet });
        }
    }
    Ok(sheets)
}

fn note(drawing: Drawing) -> String {
    let pictured = drawing.pictured.map_or_else(String::new, |pictured| format!("{pictured}, "));
    format!("{pictured}seed {}, {}×{} pixels", drawing.seed, drawing.truth.height, drawing.truth.width)
}

fn with(combination: &Combination, place: usize, level: usize) -> Vec<usize> {
    let mut levels = combination.0.clone();
    levels[place] = level;
    levels
}

/// The levels of a combination but for one factor.
fn content_label(factors: &Factors, combination: &Combination, without: usize) -> String {
    let parts = factors.iter().zip(combination.iter()).enumerate().filter(|(place, _)| *place != without);
    let part = |(_, (factor, &level)): (usize, (&multigen_data::Factor, &usize))| {
        let level = factor.levels.get(level).cloned().unwrap_or_default();
        if level.parse::<usize>().is_ok() || level.len() == 1 { format!("{} {level}", factor.name) } else { level }
    };
    parts.map(part).collect::<Vec<_>>().join(", ")
}

fn stacked(images: &[Array4<f32>]) -> Result<Array4<f32>> {
    let views: Vec<_> = images.iter().map(|images| images.view()).collect();
    concatenate(Axis(0), &views).map_err(|e| crate::Error::config("sheets", e.to_string()))
}

#[cfg(test)]
mod tests {
    use multigen_data::sets::faces;
    use multigen_models::presets;
    use rand::SeedableRng;

    use super::*;

    /// A portrait generator of 16 pixels with its first weights.
    fn untrained(set: &ImageSet) -> Generator {
        let levels: Vec<(String, usize)> = set.factors.iter().map(|f| (f.name.clone(), f.n_levels())).collect();
        let config = presets::generator_for("portrait", &levels, 16).unwrap();
        let rng = &mut rand_chacha::ChaCha8Rng::seed_from_u64(1);
        Generator::new("portrait", &config, &Device::Cpu, rng).unwrap()
    }

    #[test]
    fn a_held_out_pair_has_all_sheets_with_its_cells_framed_and_a_held_out_turn_only_its_row() {
        let named = faces::named("mmi", 16).unwrap();
        let truth = faces::build(&named.config).unwrap();
        let split = Split::new(&truth.factors, &truth.combinations, &named.held_out).unwrap();
        let (device, generator) = (Device::Cpu, untrained(&truth));
        let drawing = Drawing {
            generator: &generator,
            model: "portrait",
            seed: 0,
            truth: &truth,
            split: &split,
            device: &device,
            pictured: Some("drawn faces"),
        };
        let of = |set: &str| sheets(drawing, &[set.to_owned()]).unwrap();
        let slugs = |sheets: &[Sheet]| sheets.iter().map(|sheet| sheet.slug.clone()).collect::<Vec<_>>();

        let pair = of("3-surprise");
        assert_eq!(slugs(&pair), ["transforms", "matrix-truth", "matrix", "strip-persons", "strip-emotions"]);
        pair.iter().for_each(|sheet| sheet.validate().unwrap());
        assert!(pair.iter().all(|sheet| sheet.note == "drawn faces, seed 0, 16×16 pixels"), "{}", pair[0].note);
        // One content in six transforms, truth above generated, all of them held out.
        assert_eq!((pair[0].rows.len(), pair[0].columns.len()), (2, 6));
        assert!(pair[0].cells.iter().all(|cell| cell.framed) && pair[0].cells[6].caption.is_some());
        assert_eq!(pair[0].rows[0], "truth\nperson 3, surprise");
        // Seven emotions by seven persons; person 3 with the fourth emotion is framed: 3 · 7 + 3.
        let framed: Vec<usize> = (0..49).filter(|&cell| pair[2].cells[cell].framed).collect();
        assert_eq!(framed, [24]);
        // The truth's cell is the truth.
        let index = truth.find(&[3, 3, 0]).unwrap();
        let cell = pair[1].images.index_axis(Axis(0), 24);
        assert!(cell.iter().zip(truth.image(index).unwrap()).all(|(a, b)| a == b));
        // A strip begins with the one person and ends with the other.
        let strip = &pair[3].images;
        let drawn = evaluate::draw(&generator, &truth, &[0]).unwrap();
        let first = strip.index_axis(Axis(0), 0);
        assert!(first.iter().zip(&drawn).all(|(a, b)| (a - b).abs() < 1e-5));
        assert_eq!(strip.dim().0, 7 * (STEPS + 1));

        let turn = of("5-neutral-rotate-90");
        assert_eq!(slugs(&turn), ["transforms"]);
        // Only the second column is held out, in both rows.
        let framed: Vec<usize> = (0..12).filter(|&cell| turn[0].cells[cell].framed).collect();
        assert_eq!(framed, [1, 7]);
        assert!(sheets(drawing, &["train".to_owned()]).unwrap().is_empty());
    }

    /// A generator's sheets of persons by two emotions in two sessions, all but those combinations that are missing.
    fn sheets_without(n_persons: usize, missing: &[[usize; 3]]) -> Vec<Sheet> {
        let config = faces::FacesConfig {
            persons: (0..n_persons as u32).collect(),
            expressions: vec![faces::Expression::Neutral, faces::Expression::Happy],
            size: 16,
            noise: false,
            ..faces::FacesConfig::default()
        };
        let all = faces::build(&config).unwrap();
        let there: Vec<usize> =
            (0..all.len()).filter(|&i| !missing.iter().any(|levels| all.combinations[i].0 == levels)).collect();
        let truth = ImageSet {
            images: all.gather(&there).unwrap().images,
            combinations: there.iter().map(|&i| all.combinations[i].clone()).collect(),
            ..all.clone()
        };
        let last = format!("person={} emotion=happy session=B", n_persons - 1);
        let held_out = multigen_data::HeldOut {
            name: "last".to_owned(),
            rule: multigen_data::Rule::Listed(vec![last.replace("=B", "=A"), last]),
        };
        let split = Split::new(&truth.factors, &truth.combinations, &[held_out]).unwrap();
        let (device, generator) = (Device::Cpu, untrained(&truth));
        let drawing = Drawing {
            generator: &generator,
            model: "portrait",
            seed: 0,
            truth: &truth,
            split: &split,
            device: &device,
            pictured: None,
        };
        sheets(drawing, &["last".to_owned()]).unwrap()
    }

    #[test]
    fn a_strip_of_two_persons_leads_from_the_one_to_the_other() {
        let titles: Vec<String> = sheets_without(2, &[]).into_iter().map(|sheet| sheet.title).collect();
        assert!(titles.contains(&"From person 0 to person 1, portrait".to_owned()), "{titles:?}");
    }

    #[test]
    fn a_pair_of_which_only_the_second_session_is_there_is_shown_in_it() {
        // Persons 0, 1 and 2 beside each other, neutral above happy; person 1 is happy in session B alone, person 0 never.
        let sheets = sheets_without(3, &[[1, 1, 0], [0, 1, 0], [0, 1, 1]]);
        let truth = sheets.iter().find(|sheet| sheet.slug == "matrix-truth").unwrap();
        assert_eq!(
            truth.cells.iter().map(|cell| cell.absent).collect::<Vec<_>>(),
            [false, false, false, true, false, false]
        );
        let expected = faces::truth(1, faces::Expression::Happy, 1, 16).unwrap();
        assert!(truth.images.index_axis(Axis(0), 4).iter().zip(&expected).all(|(a, b)| a == b));
    }
}
