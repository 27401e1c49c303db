//! A whole set in memory: images, masks and combinations, and the gathering of a batch from it.

use crate::{Combination, Error, Factors, Result};

/// Images with the combination that each of them shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSet {
    /// What the combinations are made of.
    pub factors: Factors,
    /// Colour channels of an image.
    pub channels: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Pixels in \[0, 1\], N × C × H × W.
    pub images: Vec<f32>,
    /// Segmentation masks of zeros and ones, N × H × W, where the set has them.
    pub masks: Option<Vec<u8>>,
    /// The combination of each image.
    pub combinations: Vec<Combination>,
}

/// The images of one batch, lying one after the other. Reusing one value for all batches saves fresh memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gathered {
    /// Pixels, B × C × H × W.
    pub images: Vec<f32>,
    /// Masks as class numbers (0 background, 1 object), B × H × W; empty where the set has none.
    pub masks: Vec<u32>,
    /// Level numbers, factors × B: the levels of one factor lie side by side.
    pub levels: Vec<u32>,
    /// How many images there are.
    pub n_images: usize,
}

impl ImageSet {
    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.combinations.len()
    }

    /// Whether there is no image.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.combinations.is_empty()
    }

    /// Number of values of one image: channels × height × width.
    #[must_use]
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The pixels of one image, C × H × W, if there is such an image.
    #[must_use]
    pub fn image(&self, index: usize) -> Option<&[f32]> {
        let len = self.image_len();
        self.images.get(index.checked_mul(len)?..)?.get(..len)
    }

    /// The mask of one image, H × W, if there is such an image and the set has masks.
    #[must_use]
    pub fn mask(&self, index: usize) -> Option<&[u8]> {
        let len = self.height * self.width;
        self.masks.as_ref()?.get(index.checked_mul(len)?..)?.get(..len)
    }

    /// The combination of one image as text, such as `digit=7 style=9 colour=red transform=mirror-x`.
    #[must_use]
    pub fn label(&self, index: usize) -> Option<String> {
        self.combinations.get(index).map(|combination| self.factors.label(combination))
    }

    /// The place of the first image with this combination, if there is one.
    #[must_use]
    pub fn find(&self, combination: &[usize]) -> Option<usize> {
        self.combinations.iter().position(|other| other.0 == combination)
    }

    /// Checks that images, masks and combinations are equally many and that every combination exists. What is read
    /// from a user's files has to pass here once, before anything else relies on it.
    ///
    /// # Errors
    /// They are not, or a combination does not exist.
    pub fn validate(&self) -> Result<()> {
        let n = self.len();
        if self.images.len() != n * self.image_len() {
            return Err(Error::Combination(format!(
                "expected {} pixel values for {n} images, found {}",
                n * self.image_len(),
                self.images.len()
            )));
        }
        if let Some(masks) = &self.masks
            && masks.len() != n * self.height * self.width
        {
            return Err(Error::Combination(format!(
                "expected {} mask values for {n} images, found {}",
                n * self.height * self.width,
                masks.len()
            )));
        }
        self.combinations.iter().try_for_each(|combination| self.factors.validate(combination))
    }

    /// Copies the images with these indices one after the other, with their masks and levels.
    ///
    /// # Errors
    /// There is no image with one of the indices.
    pub fn gather(&self, indices: &[usize]) -> Result<Gathered> {
        let mut gathered = Gathered::default();
        self.gather_into(indices, &mut gathered)?;
        Ok(gathered)
    }

    /// As [`ImageSet::gather`], into memory that is used again.
    ///
    /// # Errors
    /// There is no image with one of the indices; `gathered` then holds a part of the batch.
    pub fn gather_into(&self, indices: &[usize], gathered: &mut Gathered) -> Result<()> {
        gathered.images.clear();
        gathered.masks.clear();
        gathered.levels.clear();
        gathered.levels.resize(self.factors.len() * indices.len(), 0);
        gathered.n_images = indices.len();
        for (place, &index) in indices.iter().enumerate() {
            let (Some(image), Some(combination)) = (self.image(index), self.combinations.get(index)) else {
                return Err(Error::Combination(format!(
                    "there is no image {index}; the set has {} images",
                    self.len()
                )));
            };
            gathered.images.extend_from_slice(image);
            if let Some(mask) = self.mask(index) {
                gathered.masks.extend(mask.iter().map(|&class| u32::from(class)));
            }
            for (row, &level) in gathered.levels.chunks_exact_mut(indices.len()).zip(combination.iter()) {
                row[place] = level as u32;
            }
        }
        Ok(())
    }
}

impl Gathered {
    /// The level numbers of one factor, one per image; empty if there is no such factor.
    #[must_use]
    pub fn levels_of(&self, factor_idx: usize) -> &[u32] {
        self.levels
            .get(factor_idx.saturating_mul(self.n_images)..)
            .and_then(|rest| rest.get(..self.n_images))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Factor;

    /// Six images of 1 × 1 × 2 pixels; image i has the pixels i and i + 0.5.
    fn small() -> ImageSet {
        let factors = Factors::new(vec![Factor::numbered("a", 2), Factor::numbered("b", 3)]).unwrap();
        let combinations: Vec<Combination> = factors.combinations().collect();
        ImageSet {
            factors,
            channels: 1,
            height: 1,
            width: 2,
            images: (0..12).map(|i| i as f32 / 2.0).collect(),
            masks: Some((0..12).map(|i| u8::from(i % 3 == 0)).collect()),
            combinations,
        }
    }

    #[test]
    fn a_batch_is_the_images_one_after_the_other() {
        let set = small();
        set.validate().unwrap();
        let gathered = set.gather(&[5, 0, 4]).unwrap();
        assert_eq!(gathered.images, [5.0, 5.5, 0.0, 0.5, 4.0, 4.5]);
        // Mask values 10, 11, 0, 1, 8, 9; ones at multiples of three.
        assert_eq!(gathered.masks, [0, 0, 1, 0, 0, 1]);
        // Images 5, 0, 4 have the combinations (1, 2), (0, 0), (1, 1).
        assert_eq!(gathered.levels_of(0), [1, 0, 1]);
        assert_eq!(gathered.levels_of(1), [2, 0, 1]);
        assert!(gathered.levels_of(2).is_empty());
        assert_eq!(set.label(5).unwrap(), "a=1 b=2");
        assert_eq!(set.find(&[1, 1]), Some(4));
    }

    #[test]
    fn memory_that_is_used_again_holds_nothing_of_before() {
        let set = small();
        let mut gathered = set.gather(&[5, 0, 4]).unwrap();
        set.gather_into(&[1], &mut gathered).unwrap();
        assert_eq!(gathered, set.gather(&[1]).unwrap());
        set.gather_into(&[], &mut gathered).unwrap();
        assert_eq!(gathered, Gathered::default());
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        let mut set = small();
        assert_eq!(set.gather(&[6]).unwrap_err().to_string(), "there is no image 6; the set has 6 images");
        assert!(set.image(usize::MAX).is_none());
        set.images.pop();
        assert!(set.validate().unwrap_err().to_string().contains("expected 12 pixel values for 6 images, found 11"));
        set.images.push(0.0);
        set.combinations[3] = Combination(vec![2, 0]);
        assert!(set.validate().is_err());
    }
}
