//! What would be trained, and how long it would take here.

use std::collections::BTreeMap;

/// One training that a command would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimated {
    /// What: `digits-v2 seed 0: 500 steps of 64`.
    pub what: String,
    /// Whether it is in the cache.
    pub complete: bool,
    /// Seconds that it would take, by timing a few of its steps; none where it is in the cache, or is shared with one that
    /// was counted before.
    pub seconds: f64,
}

/// What was counted before: seconds by a training's hash, or by a name of what one step of a kind of network takes.
pub type Known = BTreeMap<String, f64>;
