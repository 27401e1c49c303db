//! Colours of skin, hair and eyes. A colour is red, green, blue in \[0, 1\] as shown on a screen.

/// Red, green, blue.
pub(super) type Colour = [f32; 3];

/// Skin from light to dark.
pub(super) const SKIN: [Colour; 6] = [
    [0.96, 0.82, 0.75],
    [0.92, 0.75, 0.65],
    [0.85, 0.66, 0.53],
    [0.75, 0.56, 0.43],
    [0.58, 0.41, 0.31],
    [0.40, 0.28, 0.22],
];

/// Hair: black, three browns, auburn, three blonds.
pub(super) const HAIR: [Colour; 8] = [
    [0.09, 0.08, 0.08],
    [0.19, 0.13, 0.10],
    [0.32, 0.21, 0.14],
    [0.43, 0.28, 0.17],
    [0.55, 0.26, 0.13],
    [0.57, 0.43, 0.27],
    [0.74, 0.59, 0.36],
    [0.86, 0.74, 0.50],
];

/// Grey hair.
pub(super) const GREY_HAIR: Colour = [0.70, 0.69, 0.68];

/// Eyes: dark brown, brown, hazel, green, grey, blue.
pub(super) const IRIS: [Colour; 6] = [
    [0.20, 0.12, 0.08],
    [0.36, 0.22, 0.12],
    [0.46, 0.36, 0.18],
    [0.35, 0.47, 0.30],
    [0.48, 0.54, 0.57],
    [0.32, 0.50, 0.70],
];

/// Lip red that is mixed into the skin.
pub(super) const LIP: Colour = [0.70, 0.28, 0.30];

/// From `a` (at 0) to `b` (at 1).
pub(super) fn mix(a: Colour, b: Colour, share: f32) -> Colour {
    [0, 1, 2].map(|channel| a[channel] + (b[channel] - a[channel]) * share)
}

/// Darker (below 1) or lighter (above 1).
pub(super) fn scaled(colour: Colour, factor: f32) -> Colour {
    colour.map(|value| (value * factor).clamp(0.0, 1.0))
}

/// A colour between its neighbours in a list of colours; `place` counts entries.
pub(super) fn along<const N: usize>(colours: [Colour; N], place: f32) -> Colour {
    let first = (place.max(0.0) as usize).min(N - 1);
    mix(colours[first], colours[(first + 1).min(N - 1)], (place - first as f32).clamp(0.0, 1.0))
}
