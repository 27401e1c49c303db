//! From pictures to the set: noise where it is wanted, then every transform of every picture. Drawn faces and
//! photographs go through the same lines.

use super::{FacesConfig, Photo, noise};
use crate::{Combination, Error, ImageSet, Result, transforms};

/// The set of these pictures, each 3 × size × size bytes, in their order. Photos of the configuration that are not
/// among them are not in the set.
///
/// # Errors
/// The configuration has no such photo, or is itself impossible.
pub(crate) fn assemble(config: &FacesConfig, pictures: &[(Photo, &[u8])]) -> Result<ImageSet> {
    let factors = config.factors()?;
    let size = config.size;
    let transforms = if config.transforms > 1 { transforms::levels(config.transforms)? } else { &transforms::SIX[..1] };
    let permutations: Vec<Vec<usize>> = transforms.iter().map(|transform| transform.permutation(size)).collect();
    let n_images = pictures.len() * permutations.len();
    let mut images = Vec::with_capacity(n_images * 3 * size * size);
    let mut combinations = Vec::with_capacity(n_images);
    for (photo, bytes) in pictures {
        let mut pixels: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
        if config.noise {
            noise::add(&mut pixels, photo.person, photo.number());
        }
        let levels = levels(config, photo)?;
        images.extend(transforms::transformed(&pixels, &permutations));
        for transform in 0..permutations.len() {
            let transform = (permutations.len() > 1).then_some(transform);
            combinations.push(Combination(levels.iter().copied().chain(transform).collect()));
        }
    }
    let set = ImageSet { factors, channels: 3, height: size, width: size, images, masks: None, combinations };
    set.validate()?;
    Ok(set)
}

/// The levels of a photo: person, emotion, and session unless there is one.
fn levels(config: &FacesConfig, photo: &Photo) -> Result<Vec<usize>> {
    let person = config.persons.iter().position(|&person| person == photo.person);
    let emotion = config.expressions.iter().position(|&expression| expression == photo.expression);
    let session = config.sessions.iter().position(|&session| session == photo.session);
    match (person, emotion, session) {
        (Some(person), Some(emotion), Some(_)) if config.sessions.len() == 1 => Ok(vec![person, emotion]),
        (Some(person), Some(emotion), Some(session)) => Ok(vec![person, emotion, session]),
        _ => Err(Error::Combination(format!(
            "the set has no photo of person {}, {}, session {}",
            photo.person,
            photo.expression.name(),
            photo.session
        ))),
    }
}
