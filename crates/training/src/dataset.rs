//! The images of an experiment: where they come from, what is true of them, and what judges them.

use std::borrow::Cow;
use std::path::PathBuf;
use std::rc::Rc;

use multigen_data::sets::{custom, digits, digits_styled, faces, photographs};
use multigen_data::{
    Combination, DigitsConfig, FacesConfig, Factors, HeldOut, ImageSet, MnistSource, Part, Rule, held_out, transforms,
};
use multigen_measure::{self as measure, BaselineOptions};

use crate::experiment::Experiment;
use crate::faces_check::UNSEEN_PERSONS;
use crate::judging::{
    Handwriting, Images, JUDGE, JUDGES_SEED, Lessons, OF_ONE_SET, heads, judge_network, sha256_hex, sha256_of_set,
};
use crate::run_config::{DataConfig, SetConfig, Styles};
use crate::{Error, Result};

/// The set of faces of which session A trains and session B tests, and the one of the same persons in both.
const SPLIT_BY_SESSION: &str = "kdef-4emo-split";
const BOTH_SESSIONS: &str = "kdef-4emo";

/// Where images come from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// MNIST.
    pub mnist: MnistSource,
    /// Keeps drawn faces from one command to the next.
    pub drawn_faces: PathBuf,
    /// Prepared photographs of KDEF, which take the place of drawn faces.
    pub kdef: Option<PathBuf>,
    /// The same of MMI.
    pub mmi: Option<PathBuf>,
}

impl Sources {
    /// Prepared photographs for a set of faces, where the user has them.
    fn photographs(&self, named: &str) -> Option<&PathBuf> {
        if named.starts_with("kdef") { self.kdef.as_ref() } else { self.mmi.as_ref() }
    }
}

/// The images of an experiment: loaded once, split per seed.
pub struct Data {
    set: ImageSet,
    /// The same images without noise, where the set has some.
    without_noise: Option<ImageSet>,
    /// What a table of the user's own holds out.
    held_out: Vec<HeldOut>,
    drawn: Option<FacesConfig>,
    config: SetConfig,
    sources: Sources,
    sha256: String,
    /// SHA-256 of all the handwriting that digits are made of.
    handwriting_sha256: Option<String>,
    note: String,
}

impl Data {
    /// Loads the images of a set.
    ///
    /// # Errors
    /// When files cannot be read, or there is no such set.
    pub fn load(config: &SetConfig, sources: &Sources) -> Result<Self> {
        let (mut held_out, mut drawn_config, mut handwriting_sha256) = (Vec::new(), None, None);
        let (set, without_noise, note) = match config {
            SetConfig::Digits { transforms, styles } => {
                let train = sources.mnist.load(Part::Train)?;
                let config = DigitsConfig { transforms: *transforms };
                let (set, styles) = match styles {
                    Styles::Handwritten => (
                        digits::build(&train, config)?,
                        "style k of a digit is its k-th image in MNIST's training order",
                    ),
                    Styles::Consistent => (
                        digits_styled::build(&train, config)?,
                        "one image of each digit, and style k is one slant, thickness and aspect, the same for every digit",
                    ),
                };
                handwriting_sha256 = Some(sha256_hex(&[&train.pixels, &train.labels]));
                let whence = match &sources.mnist {
                    MnistSource::Embedded { .. } => "real MNIST handwriting, the embedded copy".to_owned(),
                    MnistSource::Directory(dir) => format!("MNIST files of {}", dir.display()),
                };
                let note = format!(
                    "{} combinations of digit, style, colour and transform, from {whence}; {styles}.",
                    set.len()
                );
                (set, None, note)
            }
            SetConfig::Custom(config) => {
                config.validate()?;
                let custom = custom::build(config)?;
                held_out = custom.held_out;
                (custom.set, None, custom.note)
            }
            SetConfig::Faces { named, size } if sources.photographs(named).is_some() => {
                let prepared = sources.photographs(named).cloned().unwrap_or_default();
                let photographs = photographs::load(&prepared, named, *size)?;
                (photographs.set, None, photographs.note)
            }
            SetConfig::Faces { named, size } => {
                let config = faces::named(named, *size)?.config;
                let drawn = |noise| faces::build_cached(&FacesConfig { noise, ..config.clone() }, &sources.drawn_faces);
                let set = drawn(true)?;
                let note = format!(
                    "{} images of drawn faces (drawing {}), shaped like {named}, {size}×{size} pixels, with noise of σ = {:.3}; figures are taken against the drawing without noise, which would itself be {:.1} dB away from its noisy image.",
                    set.len(),
                    faces::DRAWING_VERSION,
                    faces::SIGMA,
                    faces::psnr_ceiling_db(f64::from(faces::SIGMA)),
                );
                let without_noise = drawn(false)?;
                drawn_config = Some(config);
                (set, Some(without_noise), note)
            }
        };
        let sha256 = sha256_of_set(&set);
        Ok(Self {
            set,
            without_noise,
            held_out,
            drawn: drawn_config,
            config: config.clone(),
            sources: sources.clone(),
            sha256,
            handwriting_sha256,
            note,
        })
    }

    /// The images of some experiments; experiments on the same set share them.
    ///
    /// # Errors
    /// As [`Data::load`].
    pub fn load_all<'a>(configs: impl Iterator<Item = &'a SetConfig>, sources: &Sources) -> Result<Vec<Rc<Self>>> {
        let mut all: Vec<Rc<Self>> = Vec::new();
        for config in configs {
            let data = match all.iter().find(|data| data.config == *config) {
                Some(data) => data.clone(),
                None => Rc::new(Self::load(config, sources)?),
            };
            all.push(data);
        }
        Ok(all)
    }

    /// The images that training sees.
    pub fn set(&self) -> &ImageSet {
        &self.set
    }

    /// What generated images are measured against.
    pub fn truth(&self) -> &ImageSet {
        self.without_noise.as_ref().unwrap_or(&self.set)
    }

    /// An experiment's data of one seed, with what the set itself holds out, and without what photographs lack.
    pub(crate) fn for_seed(&self, data: &DataConfig, seed: u64) -> DataConfig {
        let mut data = data.for_seed(seed);
        data.held_out.retain(|rule| !self.lacks(rule));
        data.held_out.extend(self.held_out.iter().cloned());
        data
    }

    /// Whether these are photographs, and none is there of what a rule holds out. A drawn set has all of its images, so
    /// that there a rule without any is a mistake, as a level is that no set has.
    fn lacks(&self, rule: &HeldOut) -> bool {
        let Rule::Where(levels) = &rule.rule else { return false };
        let factors = &self.set.factors;
        let exist = levels.iter().all(|(factor, level)| factors.parse_level(factor, &level.0).is_ok());
        let found = held_out::select_where(&rule.name, levels, factors, &self.set.combinations);
        self.are_photographs() && exist && found.is_err()
    }

    /// Whether these are photographs, of which some may be missing.
    pub(crate) fn are_photographs(&self) -> bool {
        matches!(self.config, SetConfig::Faces { .. }) && self.drawn.is_none()
    }

    /// The sets of an experiment that can be measured: all but those of which there is no photograph.
    ///
    /// # Errors
    /// When none is left.
    pub(crate) fn measured<'a>(&self, experiment: &'a Experiment) -> Result<Vec<&'a String>> {
        let rule = |set: &str| experiment.data.held_out.iter().find(|rule| rule.name == set);
        let sets = experiment.evaluate.sets.iter();
        let found: Vec<&String> = sets.filter(|set| !rule(set).is_some_and(|rule| self.lacks(rule))).collect();
        if found.is_empty() {
            let sets = experiment.evaluate.sets.join(", ");
            return Err(Error::config(
                "evaluate.sets",
                format!(
                    "there is no photograph of any of {sets}; add them, or run without --kdef and --mmi on drawn faces"
                ),
            ));
        }
        Ok(found)
    }

    /// What was drawn, where these are drawn faces.
    pub(crate) fn drawn_faces(&self) -> Option<&FacesConfig> {
        self.drawn.as_ref()
    }

    /// The same persons in another session, or none where these images have no such session: drawn faces have all, KDEF's
    /// photographs of session A those of session B.
    ///
    /// # Errors
    /// When training sees that session, or the pictures cannot be drawn or read.
    pub(crate) fn in_session(&self, session: u32) -> Result<Option<ImageSet>> {
        if let Some(config) = &self.drawn {
            if config.sessions.contains(&session) {
                let trained: Vec<String> = config.sessions.iter().map(u32::to_string).collect();
                let problem = format!("{session} is trained on: expected another session than {}", trained.join(", "));
                return Err(Error::config("tests.session", problem));
            }
            let config = FacesConfig { sessions: vec![session], ..config.clone() };
            return Ok(Some(faces::build_cached(&config, &self.sources.drawn_faces)?));
        }
        let SetConfig::Faces { named, size } = &self.config else { return Ok(None) };
        match self.sources.photographs(named) {
            // The same persons and emotions, in both sessions.
            Some(folder) if named == SPLIT_BY_SESSION && session == 1 => {
                Ok(Some(of_session_b(&photographs::load(folder, BOTH_SESSIONS, *size)?.set)?))
            }
            _ => Ok(None),
        }
    }

    /// Drawn persons who are in no set, or none where these images are not drawn: upright, or each in a transform of the
    /// set, one person after the other in the next.
    ///
    /// # Errors
    /// When the pictures cannot be drawn.
    pub(crate) fn unseen_persons(&self, n: usize, upright: bool) -> Result<Option<ImageSet>> {
        let Some(config) = &self.drawn else { return Ok(None) };
        let first = UNSEEN_PERSONS.start;
        let unseen = FacesConfig {
            persons: (first..).take(n).collect(),
            left_out: Vec::new(),
            sessions: config.sessions.iter().take(1).copied().collect(),
            transforms: 1,
            ..config.clone()
        };
        let mut set = faces::build_cached(&unseen, &self.sources.drawn_faces)?;
        if upright || config.transforms == 1 {
            return Ok(Some(set));
        }
        let moves = transforms::levels(config.transforms)?;
        let person = set.factors.position("person")?;
        let (size, image_len) = (set.height, set.image_len());
        for (image, combination) in set.images.chunks_exact_mut(image_len).zip(&mut set.combinations) {
            let transform = combination[person] % moves.len();
            let moved: Vec<f32> =
                image.chunks_exact(size * size).flat_map(|channel| moves[transform].apply(size, channel)).collect();
            image.copy_from_slice(&moved);
            combination.0.push(transform);
        }
        let transform = transforms::factor(config.transforms)?;
        set.factors = Factors::new(set.factors.iter().cloned().chain([transform]).collect())?;
        Ok(Some(set))
    }

    /// What a picture of these images must say that it shows: drawn faces and photographs look alike where both are small.
    pub(crate) fn pictured(&self) -> Option<&'static str> {
        match &self.config {
            SetConfig::Faces { .. } if self.drawn.is_some() => Some("drawn faces"),
            SetConfig::Faces { named, .. } if named.starts_with("kdef") => Some("photographs of KDEF"),
            SetConfig::Faces { .. } => Some("photographs of MMI"),
            SetConfig::Digits { .. } | SetConfig::Custom(_) => None,
        }
    }

    /// SHA-256 of pixels and combinations.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What must be known of an experiment's images, for its report: also which of its held-out sets no photograph shows.
    pub(crate) fn note(&self, data: &DataConfig) -> String {
        let mut note = self.note.clone();
        for rule in data.held_out.iter().filter(|rule| self.lacks(rule)) {
            note += &format!("; held-out set {} dropped: there is no photograph of it", rule.name);
        }
        note
    }

    /// What a judge of these images learns from. It is named by what is known already; images are drawn or read only
    /// when a judge is trained on them.
    ///
    /// # Errors
    /// When the set has other factors than its kind.
    pub fn lessons(&self) -> Result<Lessons<'_>> {
        let factors = &self.set.factors;
        let read = self.read_factors();
        let image_size = self.set.height;
        let sha256 = self.handwriting_sha256.as_ref().unwrap_or(&self.sha256);
        Ok(match (&self.config, &self.drawn) {
            (SetConfig::Digits { transforms, .. }, _) => Lessons {
                reader: JUDGE,
                network: judge_network(image_size, heads(factors, &Handwriting::READ)?),
                identity: format!("{sha256} transforms {transforms}"),
                seed: JUDGES_SEED,
                description: Handwriting::DESCRIPTION.to_owned(),
                material: Box::new(|| {
                    let config = DigitsConfig { transforms: *transforms };
                    Ok(Box::new(Handwriting::new(&self.sources.mnist, config)?))
                }),
            },
            (_, Some(config)) => {
                // Two sessions more than any generator sees: one to learn from and one for the test.
                let [train, test] = [vec![0, 1, 2], vec![3]].map(|sessions| FacesConfig { sessions, ..config.clone() });
                Lessons {
                    reader: JUDGE,
                    network: judge_network(image_size, heads(factors, &read)?),
                    // The hash of the generators' images stands for noise and transforms, which are the same in all
                    // sessions, and the drawing's version for everything else.
                    identity: format!("{sha256} drawing {} {train:?} tested on {test:?}", faces::DRAWING_VERSION),
                    seed: JUDGES_SEED,
                    description:
                        "all persons and emotions of the drawn faces in sessions A, B and C, tested on session D"
                            .to_owned(),
                    material: Box::new(move || {
                        let drawn = |config| faces::build_cached(config, &self.sources.drawn_faces).map(Cow::Owned);
                        Ok(Box::new(Images::new(drawn(&train)?, drawn(&test)?, &read)?))
                    }),
                }
            }
            (_, None) => Lessons {
                reader: JUDGE,
                network: judge_network(image_size, heads(factors, &read)?),
                // How a twin is taught is a part of what its judge is known to read.
                identity: format!("{sha256}, all images of the set, a twin by a shuffled deal"),
                seed: JUDGES_SEED,
                description: OF_ONE_SET.to_owned(),
                material: Box::new(move || Ok(Box::new(Images::of_one_set(&self.set, &read)?))),
            },
        })
    }

    /// The factors that can be read off an image.
    pub(crate) fn read_factors(&self) -> Vec<&str> {
        let names = self.set.factors.iter().map(|factor| factor.name.as_str());
        names.filter(|name| self.config.is_readable(name)).collect()
    }

    /// What the baselines of this set are.
    ///
    /// # Errors
    /// When the set lacks a factor of its kind.
    pub fn baselines(&self) -> Result<BaselineOptions<'static>> {
        let position = |factor: &str| self.set.factors.position(factor).map_err(Error::from);
        Ok(match &self.config {
            SetConfig::Digits { .. } => BaselineOptions {
                additive_within: Some(position("colour")?),
                mean_over: Some((position("style")?, measure::MEAN_DIGIT)),
                own: None,
            },
            // No sum of effects turns an image, so the additive model is one model per transform.
            _ => BaselineOptions {
                additive_within: self.set.factors.position("transform").ok(),
                // A set of the user's own may have emotions, of cats or of texts, without any person.
                mean_over: (position("person").and(position("emotion")).ok())
                    .map(|place| (place, "baseline: mean of the same person")),
                own: None,
            },
        })
    }
}

/// The images of session B, without the factor that says so.
fn of_session_b(set: &ImageSet) -> Result<ImageSet> {
    let place = set.factors.position("session")?;
    let chosen: Vec<usize> = (0..set.len()).filter(|&i| set.combinations[i][place] == 1).collect();
    let without = |levels: &[usize]| {
        Combination(levels.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, level)| *level).collect())
    };
    let factors = set.factors.iter().filter(|factor| factor.name != "session").cloned().collect();
    Ok(ImageSet {
        factors: Factors::new(factors)?,
        images: set.gather(&chosen)?.images,
        combinations: chosen.iter().map(|&i| without(&set.combinations[i])).collect(),
        ..set.clone()
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    use candle_core::Device;

    use super::*;
    use crate::judging::{JudgeTraining, TrainedJudge};
    use crate::train::Surroundings;

    fn faces_in(folder: &Path, named: &str, size: usize) -> Data {
        let sources = Sources {
            mnist: MnistSource::Directory(PathBuf::new()),
            drawn_faces: folder.to_path_buf(),
            kdef: None,
            mmi: None,
        };
        Data::load(&SetConfig::Faces { named: named.to_owned(), size }, &sources).unwrap()
    }

    #[test]
    fn the_lessons_of_a_judge_in_the_cache_are_not_drawn() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, cache) = (dir.path().join("faces"), dir.path());
        let data = faces_in(&folder, "mmi", 16);
        let n_files = || std::fs::read_dir(&folder).unwrap().count();
        let interrupt = AtomicBool::new(false);
        let around = Surroundings { device: &Device::Cpu, interrupt: &interrupt, quiet: true, commit: None };
        let training = JudgeTraining { steps: 1, batch: 2, learning_rate: 1e-3, test_images: 8, solver: None };
        let judge = || TrainedJudge::get(&data.lessons().unwrap(), &training, cache, around).unwrap();
        // The generators' images are drawn; the judge adds sessions A, B and C in one file and session D in another.
        assert_eq!(n_files(), 1);
        let trained = judge();
        assert_eq!((n_files(), trained.record.n_images), (3, 8));
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(judge().record, trained.record);
        assert_eq!(n_files(), 0);
    }

    #[test]
    fn other_images_are_another_judge() {
        let dir = tempfile::tempdir().unwrap();
        let identity = |named: &str, size| faces_in(dir.path(), named, size).lessons().unwrap().identity;
        assert_eq!(identity("mmi", 16), identity("mmi", 16));
        assert_ne!(identity("mmi", 16), identity("mmi", 17));
        assert_ne!(identity("kdef-3emo", 16), identity("kdef-7emo", 16));
        let lessons_of = faces_in(dir.path(), "kdef-3emo", 16);
        let lessons = lessons_of.lessons().unwrap();
        let heads = [("person", 70), ("emotion", 3), ("transform", 6)].map(|(factor, n)| (factor.to_owned(), n));
        assert_eq!(lessons.network.factors(), heads);
    }

    /// A set of the user's own: its table, of one grey picture of 16 pixels a row, `image,` before every row.
    fn own_set(folder: &Path, heading: &str, rows: &[&str]) -> Data {
        let mut table = format!("image,{heading}\n");
        for (number, row) in rows.iter().enumerate() {
            let file = format!("{number}.png");
            image::GrayImage::from_pixel(16, 16, image::Luma([number as u8])).save(folder.join(&file)).unwrap();
            table += &format!("{file},{row}\n");
        }
        std::fs::write(folder.join("labels.csv"), table).unwrap();
        let config = custom::CustomConfig::new(folder, folder.join("labels.csv"));
        let sources = Sources {
            mnist: MnistSource::Directory(PathBuf::new()),
            drawn_faces: folder.to_path_buf(),
            kdef: None,
            mmi: None,
        };
        Data::load(&SetConfig::Custom(config), &sources).unwrap()
    }

    #[test]
    fn only_a_set_with_persons_and_emotions_has_a_mean_of_the_same_person() {
        let dir = tempfile::tempdir().unwrap();
        let mean_over = |heading: &str| {
            own_set(dir.path(), heading, &["a,sad", "a,glad", "b,sad", "b,glad"]).baselines().unwrap().mean_over
        };
        assert_eq!(mean_over("animal,emotion"), None);
        assert_eq!(mean_over("person,mood"), None);
        assert_eq!(mean_over("person,emotion"), Some((1, "baseline: mean of the same person")));
    }

    #[test]
    fn a_session_is_read_but_of_faces() {
        let dir = tempfile::tempdir().unwrap();
        let read = |data: &Data| {
            let heads = data.lessons().unwrap().network.factors();
            heads.into_iter().map(|(factor, _)| factor).collect::<Vec<_>>()
        };
        assert_eq!(read(&own_set(dir.path(), "session", &["1", "2", "3"])), ["session"]);
        assert_eq!(read(&own_set(dir.path(), "hue,session", &["red,1", "red,2"])), ["hue", "session"]);
        let faces = faces_in(dir.path(), "kdef-3emo", 16);
        assert!(faces.set().factors.position("session").is_ok());
        assert_eq!(read(&faces), ["person", "emotion", "transform"]);
    }
}
