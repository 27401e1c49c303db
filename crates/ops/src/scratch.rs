//! Working memory that survives between calls: intermediate products live in recycled vectors, not in fresh pages.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// Values kept for the next call, in all vectors together (512 MiB).
const MAX_KEPT: usize = 1 << 27;

static POOL: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// A borrowed vector of arbitrary (but initialised) contents; it goes back to the pool when dropped.
pub(crate) struct Scratch {
    values: Vec<f32>,
    len: usize,
}

impl Scratch {
    /// Working memory of `len` values; whoever takes it must write a value before reading it.
    pub(crate) fn take(len: usize) -> Self {
        let recycled = POOL.lock().ok().and_then(|mut pool| {
            // The smallest sufficient vector, so that a small request does not occupy the largest one.
            let best = (0..pool.len())
                .filter(|&i| pool[i].len() >= len && pool[i].len() / 4 <= len)
                .min_by_key(|&i| pool[i].len())?;
            Some(pool.swap_remove(best))
        });
        let values = recycled.unwrap_or_else(|| vec![0.0; len]);
        Self { values, len }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Ok(mut pool) = POOL.lock() {
            pool.push(std::mem::take(&mut self.values));
            let mut kept: usize = pool.iter().map(Vec::len).sum();
            while kept > MAX_KEPT {
                // The oldest goes: networks of one run ask for the same sizes again and again.
                kept -= pool.remove(0).len();
            }
        }
    }
}
