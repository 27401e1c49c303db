//! Lessons from real handwriting: MNIST's images, each in a colour and a transform drawn at random.

use multigen_data::randomness::keyed_rng;
use multigen_data::sets::digits;
use multigen_data::sets::mnist::SIZE;
use multigen_data::{DigitsConfig, LabelledImages, MnistSource, Part, transforms};
use rand::RngExt;
use rand::seq::SliceRandom;

use super::{Lesson, Material};
use crate::Result;

/// The 60,000 training images, anew in a colour and a transform at every step; the 10,000 test images for the test.
pub struct Handwriting {
    train: LabelledImages,
    test: LabelledImages,
    permutations: Vec<Vec<usize>>,
    order: Vec<usize>,
}

impl Handwriting {
    /// What is read off an image: digit, colour and transform. A style is no property that can be read off an image of
    /// another writer.
    pub const READ: [&str; 3] = ["digit", "colour", "transform"];
    /// What it teaches and tests on, as the end of a sentence.
    pub const DESCRIPTION: &str = "MNIST's 60,000 training images in random colours and transforms, tested on MNIST's test images, which neither it nor any generator has seen";

    /// Reads both parts of MNIST.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn new(source: &MnistSource, config: DigitsConfig) -> Result<Self> {
        let (train, test) = (source.load(Part::Train)?, source.load(Part::Test)?);
        let permutations = transforms::levels(config.transforms)?.iter().map(|t| t.permutation(SIZE)).collect();
        let mut order: Vec<usize> = (0..train.len()).collect();
        order.shuffle(&mut keyed_rng(0, "judge order", 0));
        Ok(Self { train, test, permutations, order })
    }

    fn paint(&self, from: &LabelledImages, indices: &[usize], rng: &mut impl rand::Rng) -> Lesson {
        let n_colours = digits::COLOURS.len();
        let mut lesson = Lesson {
            images: vec![0.0; indices.len() * n_colours * SIZE * SIZE],
            levels: vec![Vec::with_capacity(indices.len()); Self::READ.len()],
        };
        for (&index, image) in indices.iter().zip(lesson.images.chunks_exact_mut(n_colours * SIZE * SIZE)) {
            let (Some(grey), Some(&digit)) = (from.image(index), from.labels.get(index)) else { continue };
            let (colour, transform) = (rng.random_range(0..n_colours), rng.random_range(0..self.permutations.len()));
            digits::paint(grey, &self.permutations[transform], colour, image);
            for (levels, level) in lesson.levels.iter_mut().zip([u32::from(digit), colour as u32, transform as u32]) {
                levels.push(level);
            }
        }
        lesson
    }
}

impl Material for Handwriting {
    fn batch(&mut self, step: u64, n: usize) -> Result<Lesson> {
        let batch: Vec<usize> = (0..n).map(|i| self.order[(step as usize * n + i) % self.order.len()]).collect();
        Ok(self.paint(&self.train, &batch, &mut keyed_rng(0, "judge batch", step)))
    }

    fn n_test(&self) -> usize {
        self.test.len()
    }

    fn test(&self, images: std::ops::Range<usize>) -> Result<Lesson> {
        let mut rng = keyed_rng(0, "judge test", images.start as u64);
        Ok(self.paint(&self.test, &images.collect::<Vec<_>>(), &mut rng))
    }
}
