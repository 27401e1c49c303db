//! The real training images of one seed: what no rule holds out, of the persons that were drawn.

use std::collections::BTreeSet;

use multigen_data::held_out::AllBut;
use multigen_data::randomness::keyed_rng;
use multigen_data::{Combination, Factor, Factors, HeldOut, ImageSet, Rule, Split};
use rand::seq::SliceRandom;

use super::Classification;
use crate::dataset::Data;
use crate::run_config::DataConfig;
use crate::{Error, Result};

/// The name of the factor of persons.
const PERSON: &str = "person";
/// The name of the factor whose first level moves no pixel.
const TRANSFORM: &str = "transform";

/// The name of what is not used where training images are made scarce: it is no test.
const UNUSED: &str = "unused";

/// How many of the training images there are.
pub(super) struct Amount {
    /// `12 %`, for the names of tests; none where all are used and nothing is made scarce.
    pub name: Option<String>,
    /// Holds out the others.
    rule: Option<HeldOut>,
}

impl Amount {
    /// All training images.
    pub fn everything() -> Self {
        Self { name: None, rule: None }
    }

    /// The amounts of an experiment, in order.
    pub fn all(experiment: &Classification, set: &ImageSet) -> Vec<Self> {
        let Some(starve) = &experiment.starve else { return vec![Self::everything()] };
        let all_but = |of: Vec<&str>, share| HeldOut {
            name: UNUSED.to_owned(),
            rule: Rule::AllBut(AllBut {
                of: of.into_iter().map(str::to_owned).collect(),
                every: PERSON.to_owned(),
                share,
                seed: 0,
            }),
        };
        let names = || set.factors.iter().map(|factor| factor.name.as_str());
        let shares = starve.shares.iter().map(|&share| Self {
            name: Some(format!("{} %", (share * 1e4).round() / 1e2)),
            rule: (share < 1.0).then(|| all_but(names().collect(), share)),
        });
        let photos = || names().filter(|name| *name != TRANSFORM).collect();
        let one = starve
            .one_image_per_person
            .then(|| Self { name: Some("one image per person".to_owned()), rule: Some(all_but(photos(), 0.0)) });
        shares.chain(one).collect()
    }

    /// The name of a test with this amount.
    pub fn test(&self, name: &str) -> String {
        self.name.as_ref().map_or_else(|| name.to_owned(), |amount| format!("{name} at {amount}"))
    }
}

/// The real images of one seed that may be trained on.
pub(super) struct Lot<'a> {
    set: &'a ImageSet,
    /// The set with what is held out of it.
    pub config: DataConfig,
    /// The set's split.
    pub split: Split,
    /// Training images of the persons drawn, in all transforms.
    train: Vec<usize>,
    /// Levels of the persons drawn; none where all take part.
    drawn: Option<BTreeSet<usize>>,
    upright: bool,
}

impl<'a> Lot<'a> {
    /// Draws what a seed may train on.
    ///
    /// # Errors
    /// When more persons are asked for than there are, or the split is impossible.
    pub fn new(experiment: &Classification, data: &'a Data, (seed, amount): (u64, &Amount)) -> Result<Self> {
        let set = data.set();
        let mut config = experiment.data.clone();
        config.held_out.extend(amount.rule.clone());
        let config = data.for_seed(&config, seed);
        let split = Split::new(&set.factors, &set.combinations, &config.held_out)?;
        let mut train = split.train.clone();
        let mut drawn = None;
        if let Some(n) = experiment.draw.persons {
            let place = set.factors.position(PERSON)?;
            let there: BTreeSet<usize> = train.iter().map(|&i| set.combinations[i][place]).collect();
            let mut persons: Vec<usize> = there.into_iter().collect();
            if n > persons.len() {
                let problem = format!("{n} persons of {} that have training images; lower it", persons.len());
                return Err(Error::config("draw.persons", problem));
            }
            persons.shuffle(&mut keyed_rng(seed, "training persons", 0));
            let persons: BTreeSet<usize> = persons.into_iter().take(n).collect();
            train.retain(|&i| persons.contains(&set.combinations[i][place]));
            drawn = Some(persons);
        }
        Ok(Self { set, config, split, train, drawn, upright: experiment.draw.upright })
    }

    /// The real images, upright or, with `rotations`, in all transforms of the set. What they show none of is no level of
    /// theirs, and a transform that all of them have is no factor; the factors that are read keep all their levels.
    ///
    /// # Errors
    /// When there is no image.
    pub fn real(&self, rotations: bool, reads: &[String]) -> Result<ImageSet> {
        let shown: Vec<usize> =
            self.train.iter().copied().filter(|&i| rotations || !self.upright || self.is_upright(i)).collect();
        if shown.is_empty() {
            return Err(Error::config("data", "no training image is left; hold out less"));
        }
        let set = part(self.set, &shown)?;
        if self.drawn.is_none() && !self.upright { Ok(set) } else { reduced(&set, reads) }
    }

    /// Images of the set that are not among the persons drawn.
    pub fn of_other_persons(&self) -> Vec<usize> {
        let Some(drawn) = &self.drawn else { return Vec::new() };
        let Ok(place) = self.set.factors.position(PERSON) else { return Vec::new() };
        let is_other = |&i: &usize| !drawn.contains(&self.set.combinations[i][place]);
        (0..self.set.len()).filter(is_other).filter(|&i| !self.upright || self.is_upright(i)).collect()
    }

    /// The held-out images of the set.
    pub fn held_out(&self) -> Vec<usize> {
        let sets = self.split.held_out.iter().filter(|(name, _)| name != UNUSED);
        let held_out: BTreeSet<usize> = sets.flat_map(|(_, images)| images).copied().collect();
        held_out.into_iter().filter(|&i| !self.upright || self.is_upright(i)).collect()
    }

    fn is_upright(&self, i: usize) -> bool {
        self.set.factors.position(TRANSFORM).is_ok_and(|place| self.set.combinations[i][place] == 0)
    }
}

/// Some images of a set.
///
/// # Errors
/// When an index does not exist.
pub(super) fn part(set: &ImageSet, chosen: &[usize]) -> Result<ImageSet> {
    let combinations = chosen.iter().filter_map(|&i| set.combinations.get(i).cloned()).collect();
    Ok(ImageSet { images: set.gather(chosen)?.images, masks: None, combinations, ..set.clone() })
}

/// A set with the levels that its images show, without factors that have one level; `kept` factors stay as they are.
fn reduced(set: &ImageSet, kept: &[String]) -> Result<ImageSet> {
    let mut factors = Vec::new();
    // Per factor that stays: its place, and the new number of each level.
    let mut places: Vec<(usize, Vec<usize>)> = Vec::new();
    for (place, factor) in set.factors.iter().enumerate() {
        let shown: BTreeSet<usize> = set.combinations.iter().map(|combination| combination[place]).collect();
        if kept.contains(&factor.name) {
            places.push((place, (0..factor.n_levels()).collect()));
            factors.push(factor.clone());
        } else if shown.len() > 1 {
            let number = |level| shown.range(..level).count();
            places.push((place, (0..factor.n_levels()).map(number).collect()));
            factors.push(Factor::new(&factor.name, shown.iter().map(|&level| factor.levels[level].clone())));
        }
    }
    let renamed = |combination: &Combination| {
        Combination(places.iter().map(|(place, numbers)| numbers[combination[*place]]).collect())
    };
    Ok(ImageSet {
        factors: Factors::new(factors)?,
        combinations: set.combinations.iter().map(renamed).collect(),
        ..set.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three persons, two emotions, two transforms; image i has the pixel i.
    fn set() -> ImageSet {
        let factors = Factors::new(vec![
            Factor::numbered(PERSON, 3),
            Factor::new("emotion", ["happy", "sad"]),
            Factor::new(TRANSFORM, ["identity", "rotate-90"]),
        ])
        .unwrap();
        let combinations: Vec<Combination> = factors.combinations().collect();
        let images = (0..12).map(|i| i as f32).collect();
        ImageSet { factors, channels: 1, height: 1, width: 1, images, masks: None, combinations }
    }

    #[test]
    fn levels_that_are_not_shown_go_and_those_that_are_read_stay() {
        // Images 4, 8 and 10: persons 1, 2, 2, emotions 0, 0, 1, all upright.
        let chosen = part(&set(), &[4, 8, 10]).unwrap();
        let small = reduced(&chosen, &["emotion".to_owned()]).unwrap();
        assert_eq!(small.factors.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), [PERSON, "emotion"]);
        assert_eq!(small.factors.as_slice()[0].levels, ["1", "2"]);
        assert_eq!(small.combinations, [vec![0, 0], vec![1, 0], vec![1, 1]].map(Combination));
        assert_eq!(small.images, [4.0, 8.0, 10.0]);
        small.validate().unwrap();
        // Of images 4 and 8 all are happy, and yet the emotion is read off two levels.
        let happy = reduced(&part(&set(), &[4, 8]).unwrap(), &["emotion".to_owned()]).unwrap();
        assert_eq!(happy.factors.n_levels(), [2, 2]);
    }

    fn lot_of(name: &str, overrides: &[&str], check: impl Fn(&Classification, &Data)) {
        let folder = tempfile::tempdir().unwrap();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let overrides = overrides.iter().map(|&pair| pair.to_owned()).collect();
        let request = crate::Request { profile: "smoke".to_owned(), overrides, ..crate::Request::default() };
        let catalogue = crate::Catalogue::new(root.join("experiments"));
        let experiment = catalogue.resolve_classification(name, &request).unwrap();
        let sources = crate::dataset::Sources {
            mnist: multigen_data::MnistSource::Directory(std::path::PathBuf::new()),
            drawn_faces: folder.path().to_path_buf(),
            kdef: None,
            mmi: None,
        };
        let data = Data::load(&experiment.data.set, &sources).unwrap();
        check(&experiment, &data);
    }

    fn labels(set: &ImageSet) -> BTreeSet<String> {
        (0..set.len()).filter_map(|i| set.label(i)).collect()
    }

    #[test]
    fn no_held_out_image_and_no_person_that_was_not_drawn_is_trained_on() {
        let reads = ["emotion".to_owned()];
        // The ten cells that the research holds out, and eight of 65 persons drawn.
        let named =
            "data.held_out=[{name=\"cells\",listed=[\"person=4 emotion=disgust\",\"person=9 emotion=neutral\"]}]";
        lot_of("augmentation", &[named, "draw.persons=60"], |experiment, data| {
            let everything = Amount::everything();
            let lot = Lot::new(experiment, data, (0, &everything)).unwrap();
            for rotations in [false, true] {
                let real = lot.real(rotations, &reads).unwrap();
                // Sixty persons with four emotions; of up to two of them one is held out. Rotations are four.
                let n = real.len() / if rotations { 4 } else { 1 };
                assert!((238..=240).contains(&n), "{n}");
                let persons = |label: &str| label.split_whitespace().next().map(str::to_owned);
                let trained: BTreeSet<String> = labels(&real).iter().filter_map(|label| persons(label)).collect();
                let others = part(data.set(), &lot.of_other_persons()).unwrap();
                let others: BTreeSet<String> = labels(&others).iter().filter_map(|label| persons(label)).collect();
                assert_eq!((trained.len(), others.len()), (60, 5));
                assert!(trained.is_disjoint(&others));
                let held_out = part(data.set(), &lot.held_out()).unwrap();
                let upright = |label: &String| label.replace(" transform=identity", "");
                let held_out: BTreeSet<String> = labels(&held_out).iter().map(upright).collect();
                let real: BTreeSet<String> = labels(&real).iter().map(upright).collect();
                assert_eq!(held_out.len(), 2);
                assert!(real.is_disjoint(&held_out));
            }
            let another = Lot::new(experiment, data, (1, &everything)).unwrap();
            assert_ne!(another.of_other_persons(), lot.of_other_persons());
            let too_many =
                Classification { draw: super::super::Draw { persons: Some(66), upright: true }, ..experiment.clone() };
            let message = Lot::new(&too_many, data, (0, &everything)).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(message.contains("66 persons of 65"), "{message}");
        });
    }

    #[test]
    fn fewer_images_are_a_part_of_more_and_nothing_held_out_is_among_them() {
        lot_of("starvation", &["starve.shares=[1.0,0.5,0.12,0.06]"], |experiment, data| {
            let amounts = Amount::all(experiment, data.set());
            let names: Vec<&str> = amounts.iter().filter_map(|amount| amount.name.as_deref()).collect();
            assert_eq!(names, ["100 %", "50 %", "12 %", "6 %", "one image per person"]);
            let train = |seed| {
                let lot = |amount| Lot::new(experiment, data, (seed, amount)).unwrap().split.train;
                amounts.iter().map(lot).collect::<Vec<_>>()
            };
            let trains = train(0);
            // Of 1,006 images 50 % are 503, 12 % are 121; 6 % would be 60, but there are 65 persons. A photo comes in four
            // transforms, but of the two photos of which one transform is held out.
            assert_eq!(trains.iter().map(Vec::len).collect::<Vec<_>>()[..4], [1006, 503, 121, 65]);
            assert!((258..=260).contains(&trains[4].len()), "{}", trains[4].len());
            let is_part = |few: &[usize], many: &[usize]| few.iter().all(|i| many.binary_search(i).is_ok());
            assert!(trains.windows(2).take(3).all(|pair| is_part(&pair[1], &pair[0])));
            assert!(is_part(&trains[4], &trains[0]));
            assert_ne!(train(1)[1], trains[1]);
            // What is not used is no test of held-out combinations.
            for amount in &amounts {
                let lot = Lot::new(experiment, data, (0, amount)).unwrap();
                assert_eq!(lot.held_out().len(), 1040 - 1006);
                assert!(lot.held_out().iter().all(|i| !lot.split.train.contains(i)));
            }
        });
    }
}
