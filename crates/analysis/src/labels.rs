//! Short names for people: of combinations, metrics and figures with their intervals.

use multigen_measure::{ACCURACY, MEAN_DIGIT_PSNR, MOUTH_ASYMMETRY, MOUTH_OPENING, MOUTH_READ, SHARPNESS};

use crate::stats::Estimate;

/// The model name under which the judge's reading of the true images stands.
pub const TRUTH: &str = "truth";
/// Lines of a combination above its image.
const MAX_LINES: usize = 3;
/// How the names of baselines begin.
pub const BASELINE: &str = "baseline: ";

/// Whether the rows of this name come from a trained model, not from a baseline or the truth.
pub fn is_trained(model: &str) -> bool {
    model != TRUTH && !model.starts_with(BASELINE)
}

/// Cuts `digit=7 style=9 colour=red transform=mirror-x` into at most three lines of at most `width` characters where
/// possible: `7 · style 9`, `red`, `mirror-x`.
///
/// A level that speaks for itself stands alone; a number, or a single letter, keeps its factor, except a digit.
pub fn combination_lines(label: &str, width: usize) -> Vec<String> {
    let words = label.split_whitespace().map(|token| match token.split_once('=') {
        Some(("digit", level)) => level.to_owned(),
        Some((factor, level)) if level.chars().count() < 2 || level.chars().all(|c| c.is_ascii_digit()) => {
            format!("{factor} {level}")
        }
        Some((_, level)) => level.to_owned(),
        None => token.to_owned(),
    });
    let words: Vec<String> = words.collect();
    let mut lines: Vec<String> = Vec::new();
    for (word_idx, word) in words.iter().enumerate() {
        let lines_run_out = lines.len() + words.len() - word_idx > MAX_LINES;
        let is_full = lines.len() == MAX_LINES;
        match lines.last_mut() {
            // The first two words belong together (an identity); further ones are joined when lines run out.
            Some(line) if is_full || ((word_idx == 1 || lines_run_out) && fits(line, word, width)) => {
                *line = format!("{line} · {word}");
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}

fn fits(line: &str, word: &str, width: usize) -> bool {
    line.chars().count() + 3 + word.chars().count() <= width
}

/// The heading of a metric's column.
pub fn metric_heading(metric: &str) -> String {
    match metric {
        "psnr_db" => "PSNR, dB".to_owned(),
        "ssim" => "SSIM".to_owned(),
        "mse" => "MSE".to_owned(),
        MOUTH_OPENING => "mouth opening, face heights".to_owned(),
        MOUTH_ASYMMETRY => "mouth asymmetry, face heights".to_owned(),
        MOUTH_READ => "mouths that could be read".to_owned(),
        SHARPNESS => "sharpness, 1/pixel".to_owned(),
        MEAN_DIGIT_PSNR => "PSNR to the mean of the same digit, dB".to_owned(),
        "nearest_train_psnr_db" => "PSNR to the nearest training image, dB".to_owned(),
        _ => [("judge_", "judge: "), ("classifier_", "classifier on real images: "), (ACCURACY, "accuracy: ")]
            .iter()
            .find_map(|(prefix, heading)| Some(format!("{heading}{}", metric.strip_prefix(prefix)?)))
            .unwrap_or_else(|| metric.to_owned()),
    }
}

/// A figure with as many digits as its metric deserves.
pub fn figure(metric: &str, value: f64) -> String {
    match metric {
        _ if metric.ends_with("_db") => format!("{value:.2}"),
        "mse" => format!("{value:.2e}"),
        "ssim" | SHARPNESS | MOUTH_OPENING | MOUTH_ASYMMETRY => format!("{value:.4}"),
        _ => format!("{value:.3}"),
    }
}

/// A figure with its interval: `38.12 ± 0.45`, or `38.12 (no interval)` for one seed; baselines and the truth depend on
/// no seed and stand bare.
pub fn figure_with_interval(model: &str, metric: &str, estimate: &Estimate) -> String {
    let mean = figure(metric, estimate.mean);
    match estimate.half_width {
        Some(half_width) => format!("{mean} ± {}", figure(metric, half_width)),
        None if is_trained(model) => format!("{mean} (no interval)"),
        None => mean,
    }
}

/// Seconds as `42 s`, `3 min 05 s` or `2 h 07 min`.
pub fn duration(seconds: f64) -> String {
    let total = seconds.max(0.0).round() as u64;
    match (total / 3600, total / 60 % 60, total % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// An integer with a comma every three digits.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::estimate;

    #[test]
    fn combinations_become_short_lines() {
        let lines = |label: &str| combination_lines(label, 16);
        assert_eq!(lines("digit=7 style=9 colour=red transform=mirror-x"), ["7 · style 9", "red", "mirror-x"]);
        assert_eq!(
            lines("person=12 emotion=surprise session=A transform=identity"),
            ["person 12", "surprise", "session A · identity"]
        );
        assert_eq!(lines("person=3 emotion=happy transform=identity"), ["person 3 · happy", "identity"]);
        assert_eq!(lines("digit=7"), ["7"]);
        assert_eq!(lines("something else"), ["something · else"]);
        assert!(lines("").is_empty());
    }

    #[test]
    fn figures_say_when_there_is_no_interval() {
        let one = estimate(&[38.123]).unwrap();
        assert_eq!(figure_with_interval("operator", "psnr_db", &one), "38.12 (no interval)");
        assert_eq!(figure_with_interval("baseline: black", "psnr_db", &one), "38.12");
        // 1, 2, 3: half width 2.484.
        let three = estimate(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(figure_with_interval("operator", "psnr_db", &three), "2.00 ± 2.48");
        assert_eq!(figure("mse", 0.000_123), "1.23e-4");
        assert_eq!(figure("nearest_train_psnr_db", 20.804), "20.80");
        assert_eq!((figure(MOUTH_OPENING, 0.088_63), figure(SHARPNESS, 0.03)), ("0.0886".into(), "0.0300".into()));
        assert_eq!(metric_heading("mouth_asymmetry"), "mouth asymmetry, face heights");
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!((duration(59.4).as_str(), duration(185.0).as_str()), ("59 s", "3 min 05 s"));
        assert_eq!(duration(7620.0), "2 h 07 min");
        assert_eq!((thousands(7).as_str(), thousands(26_123_456).as_str()), ("7", "26,123,456"));
    }
}
