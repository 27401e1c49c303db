//! What a user sees while something takes long: a bar on a terminal, a plain line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Seconds between two lines where there is no terminal.
const SECONDS_BETWEEN_LINES: u64 = 15;

/// The progress of one piece of work with a known number of steps.
pub struct ProgressLine {
    label: String,
    steps: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    first_step: u64,
    last_line: Instant,
    quiet: bool,
}

impl ProgressLine {
    /// Starts at `step` of `steps`.
    pub fn start(label: &str, step: u64, steps: u64, quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(steps).with_position(step);
            if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len}  {msg}  {eta} left") {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_owned());
            bar
        });
        let now = Instant::now();
        Self { label: label.to_owned(), steps, bar, started: now, first_step: step, last_line: now, quiet }
    }

    /// Says where the work stands after `step` steps.
    pub fn update(&mut self, step: u64, loss: f64, images_per_s: f64) {
        let message = format!("loss {loss:.4}  {images_per_s:.0} images/s");
        if let Some(bar) = &self.bar {
            bar.set_position(step);
            bar.set_message(message);
        } else if !self.quiet && self.last_line.elapsed() >= Duration::from_secs(SECONDS_BETWEEN_LINES) {
            self.last_line = Instant::now();
            let done = (step - self.first_step).max(1);
            let left = self.started.elapsed().as_secs_f64() / done as f64 * self.steps.saturating_sub(step) as f64;
            eprintln!("{}: step {step}/{}  {message}  {} left", self.label, self.steps, duration_text(left));
        }
    }

    /// Ends with one line.
    pub fn finish(self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if !self.quiet {
            eprintln!("{}: {message}", self.label);
        }
    }
}

/// `75 s`, `12 min`, `3.4 h`: a duration at the precision that a reader wants.
pub fn duration_text(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::duration_text;

    #[test]
    fn durations_are_readable() {
        assert_eq!([3.4, 119.0, 300.0, 12_240.0].map(duration_text), ["3 s", "119 s", "5 min", "3.4 h"]);
    }
}
