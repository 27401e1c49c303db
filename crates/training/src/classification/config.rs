//! An experiment on classifiers, as its file says and as it is run.
//!
//! A profile is a document laid over the file's own: `[profiles.quick.solver]` over `[solver]`. A list, such as that of the
//! arms, is replaced whole. Every arm has the experiment's solver, with its own table `solver` laid over it.

use std::collections::BTreeMap;

use multigen_data::HeldOut;
use multigen_data::sets::faces;
use multigen_models::presets;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::augment::Classical;
use crate::experiment::{About, Catalogue, PAPER, Request, one_line, own_name, parse_override, set_path};
use crate::judging::Solver;
use crate::phases;
use crate::run_config::{DataConfig, SetConfig, TrainingConfig};
use crate::{Error, Result};

/// What says in a file that the arms are classifiers.
pub(crate) const ARMS: &str = "arms";

/// An experiment on classifiers, resolved for one profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classification {
    /// The name, which is the file's.
    pub name: String,
    /// One line for headings.
    pub title: String,
    /// The profile that it was resolved for.
    pub profile: String,
    /// The factors that are read; all that can be read where none is named.
    pub reads: Vec<String>,
    /// Question, expectation, cost.
    pub about: About,
    /// Images and held-out sets.
    pub data: DataConfig,
    /// Which of the training images there are, drawn per seed.
    pub draw: Draw,
    /// What is tested.
    pub tests: TestsConfig,
    /// The arms in order; the others are compared with the first.
    pub arms: Vec<Arm>,
    /// How training images are made scarce; every amount trains every arm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starve: Option<Starve>,
    /// The generator whose images arms learn from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator: Option<GeneratorTraining>,
    /// The generator beside which arms learn that take part in its training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooperation: Option<GeneratorTraining>,
    /// Per arm, what differs from the `paper` profile.
    pub differs_from_paper: BTreeMap<String, Vec<String>>,
}

/// Which of a set's training images there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// Persons, drawn anew for each seed; all of them where no number is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persons: Option<usize>,
    /// Whether only images that no transform has moved are trained and tested on; an arm may add the others.
    #[serde(default)]
    pub upright: bool,
}

/// How training images are made scarce.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Starve {
    /// Shares of the training images, 1 for all of them; at least one image of every person stays.
    pub shares: Vec<f64>,
    /// Whether, at last, one photo of every person is left, in all transforms that it has in training.
    #[serde(default)]
    pub one_image_per_person: bool,
}

/// What is tested, beside nothing that was trained on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestsConfig {
    /// The held-out combinations.
    #[serde(default)]
    pub held_out: bool,
    /// The same persons in this session: 0 is A, 1 is B. Drawn faces and photographs have it where training has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u32>,
    /// The persons of the set that no training image of the seed shows.
    #[serde(default)]
    pub persons_not_drawn: bool,
    /// So many drawn persons who are in no set.
    #[serde(default)]
    pub unseen_persons: usize,
}

/// One arm: what its classifiers learn from, and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arm {
    /// The name, which stands in tables and file names.
    pub name: String,
    /// What it is, in one sentence.
    pub description: String,
    /// Whether the real images are among what it learns from.
    pub real: bool,
    /// Whether every image is shown in all transforms of the set.
    pub rotations: bool,
    /// How images are shifted, cropped, flipped and made brighter or darker at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classical: Option<Classical>,
    /// Generated images, as a multiple of the real ones.
    pub generated: f64,
    /// Whether the classifier takes part in the training of the generator of `cooperation`, which says how.
    #[serde(skip_serializing_if = "is_no")]
    pub cooperative: bool,
    /// The classifier's network: a name that [`presets::classifier_for`] knows.
    pub network: String,
    /// How it is trained.
    pub solver: Solver,
}

/// The generator that draws mixtures, trained on exactly the real images of an arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorTraining {
    /// Its network: a preset's name.
    pub model: String,
    /// Its solver.
    pub training: TrainingConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    title: String,
    #[serde(default)]
    reads: Vec<String>,
    about: About,
    data: DataText,
    #[serde(default)]
    draw: Draw,
    tests: TestsConfig,
    solver: Table,
    arms: Vec<ArmText>,
    #[serde(default)]
    starve: Option<Starve>,
    #[serde(default)]
    generator: Option<GeneratorTraining>,
    #[serde(default)]
    cooperation: Option<GeneratorTraining>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataText {
    set: SetConfig,
    held_out: HeldOutText,
}

/// Rules, or `named`: those of the named set of faces.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a list of rules (SPEC: name, and one of where, listed, share) or \"named\"")]
enum HeldOutText {
    Named(String),
    Rules(Vec<HeldOut>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArmText {
    name: String,
    description: String,
    #[serde(default = "yes")]
    real: bool,
    #[serde(default)]
    rotations: bool,
    #[serde(default)]
    classical: Option<Classical>,
    #[serde(default)]
    generated: f64,
    #[serde(default)]
    cooperative: bool,
    #[serde(default)]
    solver: Table,
}

fn is_no(value: &bool) -> bool {
    !value
}

fn yes() -> bool {
    true
}

/// The fields of `[solver]`.
const FIELDS: [&str; 8] = ["network", "steps", "batch", "learning_rate", "beta1", "beta2", "weight_decay", "schedule"];

impl Classification {
    /// The experiment as TOML, for the results folder.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::config(&self.name, e.to_string()))
    }
}

impl Catalogue {
    /// Whether an experiment's arms are classifiers.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn is_classification(&self, name: &str) -> Result<bool> {
        Ok(self.document(name)?.contains_key(ARMS))
    }

    /// Resolves an experiment on classifiers for a profile, with overrides.
    ///
    /// # Errors
    /// When a file cannot be read, holds an unknown key, or the result contradicts itself.
    pub fn resolve_classification(&self, name: &str, request: &Request) -> Result<Classification> {
        let file = self.path(name).display().to_string();
        self.check_own_name(name, &request.profile)?;
        let mut experiment = self.of_profile(name, &request.profile, &request.overrides)?;
        experiment.validate(&file)?;
        let paper = self.of_profile(name, PAPER, &[])?;
        experiment.differs_from_paper = differences(&experiment, &paper)?;
        Ok(experiment)
    }

    fn of_profile(&self, name: &str, profile: &str, overrides: &[String]) -> Result<Classification> {
        let file = self.path(name).display().to_string();
        let mut table = self.document(name)?;
        let Some(Value::Table(mut profiles)) = table.remove("profiles") else {
            return Err(Error::config(file, "has no table [profiles]: expected smoke, quick and paper"));
        };
        let known = profiles.keys().cloned().collect::<Vec<_>>().join(", ");
        match profiles.remove(profile) {
            Some(Value::Table(over)) => lay(&mut table, over),
            _ => {
                let problem = format!("no profile '{profile}'; expected one of {known}");
                return Err(Error::config("--profile", problem));
            }
        }
        self.lay_dataset(name, &mut table)?;
        for pair in overrides {
            let (key, value) = parse_override(pair)?;
            let key = if FIELDS.contains(&key) { format!("solver.{key}") } else { key.to_owned() };
            set_path(&mut table, &key, value).map_err(|problem| {
                let fields = FIELDS.join(", ");
                let expected = "expected a solver field or a path that the file has, such as tests.unseen_persons";
                Error::config(format!("--set {pair}"), format!("{problem}; {expected} (solver: {fields})"))
            })?;
        }
        let typed = Value::Table(table).try_into();
        let document: Document =
            typed.map_err(|e: toml::de::Error| Error::config(self.holder(name, &e), one_line(&e)))?;
        let arms = document.arms.into_iter().map(|arm| {
            let mut solver = document.solver.clone();
            lay(&mut solver, arm.solver);
            let (network, solver) = solver_of(solver, &arm.name, &file)?;
            let ArmText { name, description, real, rotations, classical, generated, cooperative, .. } = arm;
            Ok(Arm { name, description, real, rotations, classical, generated, cooperative, network, solver })
        });
        let arms = arms.collect::<Result<Vec<_>>>()?;
        let held_out = held_out(&document.data, &file)?;
        Ok(Classification {
            name: own_name(name),
            title: document.title,
            profile: profile.to_owned(),
            reads: document.reads,
            about: document.about,
            data: DataConfig { set: document.data.set, held_out },
            draw: document.draw,
            tests: document.tests,
            arms,
            starve: document.starve,
            generator: document.generator,
            cooperation: document.cooperation,
            differs_from_paper: BTreeMap::new(),
        })
    }
}

/// Lays a table over another: tables are merged key by key, everything else is replaced, and so is a schedule, of which
/// half of one and half of another would be none.
fn lay(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) if key != "schedule" => lay(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// The network's name and the solver of an arm.
fn solver_of(mut table: Table, arm: &str, file: &str) -> Result<(String, Solver)> {
    let place = format!("{file}, solver of {arm}");
    let network = match table.remove("network") {
        Some(Value::String(network)) => network,
        _ => return Err(Error::config(place, "network: expected the name of a classifier")),
    };
    let solver: Solver =
        Value::Table(table).try_into().map_err(|e: toml::de::Error| Error::config(&place, one_line(&e)))?;
    solver.validate(&place)?;
    Ok((network, solver))
}

fn held_out(data: &DataText, file: &str) -> Result<Vec<HeldOut>> {
    match (&data.held_out, &data.set) {
        (HeldOutText::Rules(rules), _) => Ok(rules.clone()),
        (HeldOutText::Named(word), SetConfig::Faces { named, size }) if word == "named" => {
            Ok(faces::named(named, *size)?.held_out)
        }
        (HeldOutText::Named(word), set) => Err(Error::config(
            file,
            format!(
                "data.held_out = \"{word}\" of {set}: expected a list of rules, or \"named\" of a named set of faces"
            ),
        )),
    }
}

impl Classification {
    /// Every rule that one part sets for another.
    fn validate(&self, file: &str) -> Result<()> {
        let wrong = |problem: String| Err(Error::config(file, problem));
        if self.arms.is_empty() {
            return wrong("arms is empty: expected at least one".to_owned());
        }
        for (place, arm) in self.arms.iter().enumerate() {
            let name = &arm.name;
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
            if name.is_empty() || !name.chars().all(is_plain) {
                return wrong(format!("arm '{name}': expected a name of small letters, digits, +, - and ."));
            }
            if self.arms[..place].iter().any(|other| other.name == *name) {
                return wrong(format!("two arms are named '{name}'; rename one"));
            }
            if !(arm.generated.is_finite() && arm.generated >= 0.0) {
                return wrong(format!("arm {name}: generated = {}, expected a number of at least 0", arm.generated));
            }
            if !arm.real && arm.generated == 0.0 {
                return wrong(format!(
                    "arm {name}: neither real nor generated images, so that there is nothing to learn"
                ));
            }
            if let Some(problem) = arm.classical.as_ref().and_then(Classical::problem) {
                return wrong(format!("arm {name}: {problem}"));
            }
            if arm.generated > 0.0 && self.generator.is_none() {
                return wrong(format!("arm {name} learns from generated images: expected a table [generator]"));
            }
            if arm.generated > 0.0 && (self.reads.is_empty() || self.reads.iter().any(|read| read == "person")) {
                return wrong(format!(
                    "arm {name} learns from images of two persons mixed, which show no person: expected `reads` without \"person\""
                ));
            }
            if arm.rotations && !self.draw.upright {
                return wrong(format!(
                    "arm {name}: rotations add what draw.upright = true leaves out; set it, or drop rotations"
                ));
            }
        }
        let effort = |arm: &Arm| (arm.solver.steps, arm.solver.batch, arm.network.clone());
        if let Some((first, other)) = self
            .arms
            .first()
            .and_then(|first| Some((first, self.arms.iter().find(|arm| effort(arm) != effort(first))?)))
        {
            let told = |arm: &Arm| {
                let (steps, batch, network) = effort(arm);
                format!("{}: {steps} steps of {batch}, {network}", arm.name)
            };
            return wrong(format!("arms differ in effort ({}; {}): expected equal ones", told(first), told(other)));
        }
        if let Some(generator) = &self.generator {
            let place = format!("{file}, generator.training");
            generator.training.validate(&place)?;
            let has_partners = generator.training.cooperation.is_some() || generator.training.adversarial.is_some();
            if has_partners || !presets::GENERATORS.contains(&generator.model.as_str()) {
                return wrong(format!(
                    "generator: expected a network that is trained alone, one of {}",
                    presets::GENERATORS.join(", ")
                ));
            }
        }
        self.validate_cooperation(file)?;
        if let Some(Starve { shares, one_image_per_person }) = &self.starve {
            if let Some(share) = shares.iter().find(|share| !(**share > 0.0 && **share <= 1.0)) {
                return wrong(format!("starve.shares holds {share}: expected shares above 0, 1 for all images"));
            }
            if shares.is_empty() && !one_image_per_person {
                return wrong("starve: expected shares, or one_image_per_person = true".to_owned());
            }
            if self.draw != Draw::default() {
                return wrong("starve and draw: expected one of them, since both say which images are left".to_owned());
            }
        }
        if self.draw.persons == Some(0) {
            return wrong("draw.persons = 0: expected at least 1".to_owned());
        }
        if self.tests.persons_not_drawn && self.draw.persons.is_none() {
            return wrong("tests.persons_not_drawn: expected draw.persons, without which all are drawn".to_owned());
        }
        if self.tests == TestsConfig::default() {
            return wrong("tests: expected held_out, session, persons_not_drawn or unseen_persons".to_owned());
        }
        Ok(())
    }
}

impl Classification {
    /// Arms that cooperate take as many steps as they say, whether alone or beside the generator, with the same network.
    fn validate_cooperation(&self, file: &str) -> Result<()> {
        let wrong = |problem: String| Err(Error::config(file, problem));
        let Some(arm) = self.arms.iter().find(|arm| arm.cooperative) else {
            return match self.cooperation {
                None => Ok(()),
                Some(_) => wrong("cooperation: no arm has cooperative = true".to_owned()),
            };
        };
        let name = &arm.name;
        let Some(GeneratorTraining { model, training }) = &self.cooperation else {
            return wrong(format!(
                "arm {name} is cooperative: expected a table [cooperation] with a generator's training"
            ));
        };
        training.validate(&format!("{file}, cooperation.training"))?;
        if !presets::GENERATORS.contains(&model.as_str()) {
            return wrong(format!(
                "cooperation.model = \"{model}\": expected one of {}",
                presets::GENERATORS.join(", ")
            ));
        }
        let Some(cooperation) = &training.cooperation else {
            return wrong("cooperation.training: expected its table cooperation, the classifier's part".to_owned());
        };
        if cooperation.leaking {
            return wrong(
                "cooperation.training.cooperation: leaking = true would show the classifier what it is tested on; drop it"
                    .to_owned(),
            );
        }
        let network = cooperation.network.as_str();
        let pretraining = cooperation.pretraining.as_ref().map_or(0, |pretraining| pretraining.steps);
        let learns = |step: &u64| {
            phases::place(&training.phases, *step, training.steps).is_some_and(|place| place.phase.classifier_learns)
        };
        let beside = (0..training.steps).filter(learns).count() as u64;
        for arm in self.arms.iter().filter(|arm| arm.cooperative) {
            let Arm { name, solver, .. } = arm;
            if arm.network != network {
                return wrong(format!(
                    "arm {name}: network {}, but {network} takes part in the training of the generator; expected one network",
                    arm.network
                ));
            }
            if pretraining + beside != solver.steps {
                return wrong(format!(
                    "arm {name}: {pretraining} steps of pretraining and {beside} beside the generator, but solver.steps = {}; expected as many",
                    solver.steps
                ));
            }
            if arm.generated > 0.0 || arm.classical.is_some() || arm.rotations || !arm.real {
                return wrong(format!(
                    "arm {name} is cooperative: expected real = true, and neither rotations, classical nor generated beside it"
                ));
            }
        }
        Ok(())
    }
}

/// Per arm, what differs from the same file for the paper; a set of the user's own has no paper.
fn differences(own: &Classification, paper: &Classification) -> Result<BTreeMap<String, Vec<String>>> {
    let mut all = BTreeMap::new();
    if matches!(own.data.set, SetConfig::Custom(_)) {
        return Ok(all);
    }
    let table = |solver: &Solver| Table::try_from(solver).map_err(|e| Error::config("solver", e.to_string()));
    for arm in &own.arms {
        let mut sentences = Vec::new();
        match paper.arms.iter().find(|other| other.name == arm.name) {
            None => sentences.push("no part of `paper`".to_owned()),
            Some(other) => {
                if arm.network != other.network {
                    sentences.push(format!("network: {} (paper: {})", arm.network, other.network));
                }
                let (solver, published) = (table(&arm.solver)?, table(&other.solver)?);
                let differ = solver.iter().filter(|(key, value)| published.get(*key) != Some(value));
                sentences.extend(differ.map(|(key, value)| {
                    let published = published.get(key).map_or_else(|| "–".to_owned(), Value::to_string);
                    format!("{key}: {value} (paper: {published})")
                }));
            }
        }
        if own.data.set != paper.data.set {
            sentences.push(format!("images: {} (paper: {})", own.data.set, paper.data.set));
        }
        let has_generator = (arm.generated > 0.0 && own.generator != paper.generator)
            || (arm.cooperative && own.cooperation != paper.cooperation);
        if has_generator {
            sentences.push("generator: another solver, or another network".to_owned());
        }
        all.insert(arm.name.clone(), sentences);
    }
    Ok(all)
}
