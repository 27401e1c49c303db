//! Lessons from a set of images: all its combinations, those held out from generators included.

use std::borrow::Cow;

use multigen_data::{Batches, ImageSet};

use super::deal::Deal;
use super::{JUDGES_SEED, Lesson, Material};
use crate::Result;

/// The images of one set, and others that are tested on.
pub struct Images<'a> {
    train: Cow<'a, ImageSet>,
    /// The seed of the batches' order.
    seed: u64,
    /// Batches of the size that was asked for last.
    batches: Option<Batches>,
    test: Cow<'a, ImageSet>,
    test_indices: Vec<usize>,
    /// Which of the training images a twin is tested on, where there are none for the test.
    deal: Option<Deal>,
    /// The factors that are read.
    read: Vec<String>,
    /// Those of which the test tells nothing.
    untold: Vec<String>,
    /// Their places among the factors of the training and of the test images.
    places: Vec<(usize, usize)>,
}

impl<'a> Images<'a> {
    /// Teaches to read these factors off all images of `train`; tests on all of `test`, which has these factors too.
    ///
    /// # Errors
    /// When a factor does not exist.
    pub fn new(train: Cow<'a, ImageSet>, test: Cow<'a, ImageSet>, read: &[&str]) -> Result<Self> {
        let place = |&factor: &&str| Ok((train.factors.position(factor)?, test.factors.position(factor)?));
        let places = read.iter().map(place).collect::<Result<_>>()?;
        let read = read.iter().map(|&factor| factor.to_owned()).collect();
        let test_indices = (0..test.len()).collect();
        Ok(Self {
            seed: JUDGES_SEED,
            batches: None,
            test_indices,
            train,
            test,
            deal: None,
            read,
            untold: Vec::new(),
            places,
        })
    }
}

impl Images<'_> {
    /// The same images in the order of another seed.
    pub(crate) fn in_order_of(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

impl Images<'static> {
    /// Teaches some images of a set, and tests on others of it.
    ///
    /// # Errors
    /// When a factor does not exist.
    pub(crate) fn parted(set: &ImageSet, train: &[usize], test: &[usize], read: &[&str]) -> Result<Self> {
        let of = |indices: &[usize]| part(set, |i| indices.binary_search(&i).is_ok());
        Self::new(Cow::Owned(of(train)?), Cow::Owned(of(test)?), read)
    }
}

/// What [`Images::of_one_set`] teaches and tests on, as the end of a sentence.
pub(crate) const OF_ONE_SET: &str = "all images of the set; its accuracy is that of a twin, trained in the same way on four fifths or more of the photos in all their transforms and tested on the rest";

impl<'a> Images<'a> {
    /// Teaches all images of a set; how well they are read is told by a twin that learns from a part of them.
    ///
    /// # Errors
    /// When a factor does not exist, or no photo can be spared for a test.
    pub fn of_one_set(set: &'a ImageSet, read: &[&str]) -> Result<Self> {
        let nothing = part(set, |_| false)?;
        let deal = Some(Deal::new(set)?);
        Ok(Self { deal, ..Self::new(Cow::Borrowed(set), Cow::Owned(nothing), read)? })
    }
}

/// Some images of a set.
fn part(set: &ImageSet, is_in: impl Fn(usize) -> bool) -> Result<ImageSet> {
    let chosen: Vec<usize> = (0..set.len()).filter(|&i| is_in(i)).collect();
    let combinations = chosen.iter().filter_map(|&i| set.combinations.get(i).cloned()).collect();
    Ok(ImageSet { images: set.gather(&chosen)?.images, masks: None, combinations, ..set.clone() })
}

impl Material for Images<'_> {
    fn twin(&self) -> Result<Option<Box<dyn Material>>> {
        let Some(Deal { tested, untold }) = &self.deal else { return Ok(None) };
        let read: Vec<&str> = self.read.iter().map(String::as_str).collect();
        let (train, test) = (part(&self.train, |i| !tested[i])?, part(&self.train, |i| tested[i])?);
        let twin = Images::new(Cow::Owned(train), Cow::Owned(test), &read)?;
        Ok(Some(Box::new(Images { untold: untold.clone(), ..twin })))
    }

    fn tells(&self, factor: &str) -> bool {
        !self.untold.iter().any(|untold| untold == factor)
    }

    fn batch(&mut self, step: u64, n: usize) -> Result<Lesson> {
        let n = n.min(self.train.len());
        let batches = match self.batches.take().filter(|batches| batches.batch_len() == n) {
            Some(batches) => batches,
            None => Batches::new((0..self.train.len()).collect(), n, self.seed)?,
        };
        let batch = self.batches.insert(batches).batch(step);
        let gathered = self.train.gather(&batch)?;
        let levels = self.places.iter().map(|&(place, _)| gathered.levels_of(place).to_vec()).collect();
        Ok(Lesson { images: gathered.images, levels })
    }

    fn n_test(&self) -> usize {
        self.test_indices.len()
    }

    fn test(&self, images: std::ops::Range<usize>) -> Result<Lesson> {
        let gathered = self.test.gather(&self.test_indices[images])?;
        let levels = self.places.iter().map(|&(_, place)| gathered.levels_of(place).to_vec()).collect();
        Ok(Lesson { images: gathered.images, levels })
    }
}
