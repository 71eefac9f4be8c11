//! The level to which a row fills its largest scores: a projection on the simplex.
//!
//! The best row for given potentials of the columns is `P_ij = (s_ij - level_i)_+ / gamma` on the
//! `top` largest scores `s_ij = g_j - C_ij`, where the level makes its mass a_i:
//! ```text
//! sum_j (s_ij - level_i)_+ = gamma a_i                 over the `top` largest scores
//! ```
//! That is the projection of `s_i / (gamma a_i)` on the simplex, times a_i. Source: Michelot 1986,
//! "A Finite Algorithm for Finding the Projection of a Point onto the Canonical Simplex of R^n".

/// The level of a row.
#[derive(Clone, Copy)]
pub(super) struct Level {
    /// The largest score.
    pub(super) max: f64,
    /// The level minus `max`, which keeps the digits of small differences of large scores.
    pub(super) depth: f64,
    /// The `top`-th largest score; -inf if there are fewer.
    pub(super) last: f64,
}

impl Level {
    /// Fills the largest scores until their heights above the level sum to `budget`. There is at
    /// least one score. The scores change their order.
    pub(super) fn new(scores: &mut [f64], top: usize, budget: f64) -> Self {
        let (mut len, mut last) = (scores.len(), f64::NEG_INFINITY);
        if len > top {
            last = *scores.select_nth_unstable_by(top - 1, |x, y| y.total_cmp(x)).1;
            len = top;
        } else if len == top {
            last = scores.iter().copied().fold(f64::INFINITY, f64::min);
        }
        let max = largest(&scores[..len]);
        loop {
            let chosen = &scores[..len];
            let depth = (sum_from(chosen, max) - budget) / len as f64;
            // What is below the mean level of more scores is below that of fewer.
            let is_above = |score: f64| score - max > depth;
            let above = chosen.iter().filter(|&&score| is_above(score)).count();
            if above == len || above == 0 {
                return Self { max, depth, last };
            }
            let mut kept = 0;
            for i in 0..len {
                let score = scores[i];
                scores[kept] = score;
                kept += usize::from(is_above(score));
            }
            len = kept;
        }
    }

    /// Returns the level.
    pub(super) fn level(&self) -> f64 {
        self.max + self.depth
    }

    /// Returns the height of a score above the level; at most 0 outside the plan.
    pub(super) fn height(&self, score: f64) -> f64 {
        (score - self.max) - self.depth
    }

    /// Returns the score above which another entry would join the row.
    pub(super) fn entry(&self) -> f64 {
        self.level().max(self.last)
    }
}

/// The scores that are taken at once, in parts that the compiler can vectorize.
const PARTS: usize = 8;

/// The largest score.
fn largest(scores: &[f64]) -> f64 {
    let mut parts = [f64::NEG_INFINITY; PARTS];
    let chunks = scores.chunks_exact(PARTS);
    let mut max = chunks.remainder().iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for chunk in chunks {
        for (part, &score) in parts.iter_mut().zip(chunk) {
            *part = if score > *part { score } else { *part };
        }
    }
    for part in parts {
        max = max.max(part);
    }
    max
}

/// The sum of the scores minus the largest one.
fn sum_from(scores: &[f64], max: f64) -> f64 {
    let mut parts = [0.0; PARTS];
    let chunks = scores.chunks_exact(PARTS);
    let mut sum: f64 = chunks.remainder().iter().map(|score| score - max).sum();
    for chunk in chunks {
        for (part, score) in parts.iter_mut().zip(chunk) {
            *part += score - max;
        }
    }
    for part in parts {
        sum += part;
    }
    sum
}
