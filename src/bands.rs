//! Bands of rows, which threads compute.

use crate::dispatch::Road;
use crate::{MatMut, MatRef};
#[cfg(feature = "rayon")]
use alloc::vec::Vec;
#[cfg(feature = "rayon")]
use core::sync::atomic::{AtomicUsize, Ordering};
#[cfg(feature = "rayon")]
use std::sync::{Mutex, PoisonError};

/// The least number of elements of a band: about as long as it takes to wake a thread, which is 50
/// to 70 us for a thread that has slept (Zen 4, virtual machine, 2026-11-27).
#[cfg(feature = "rayon")]
static MIN_BAND_ELEMENTS: AtomicUsize = AtomicUsize::new(1 << 18);

/// The number of bands per thread, so that a thread that is late has little left.
#[cfg(feature = "rayon")]
pub(crate) const BANDS_PER_THREAD: usize = 4;

/// Returns the least number of elements of a band.
#[cfg(feature = "rayon")]
pub(crate) fn min_band_elements() -> usize {
    MIN_BAND_ELEMENTS.load(Ordering::Relaxed)
}

/// Changes the least number of elements of a band; not 0.
#[cfg(all(feature = "rayon", feature = "baselines"))]
pub(crate) fn set_min_band_elements(elements: usize) {
    MIN_BAND_ELEMENTS.store(elements, Ordering::Relaxed);
}

/// Returns whether threads that share one row after another end before threads that have whole rows
/// each.
#[cfg(feature = "rayon")]
#[allow(dead_code)] // Only softmax calls it.
pub(crate) fn sharing_each_row_pays((rows, cols): (usize, usize), threads: usize, min_band: usize) -> bool {
    // In units of the time of a row: rows / sharers, and rows / threads, rounded up.
    let sharers = threads.min(cols / min_band);
    rows < BANDS_PER_THREAD * threads && rows < rows.div_ceil(threads) * sharers
}

/// The arguments of a function of rows.
pub(crate) trait Bands: Sized + Send {
    /// Returns what belongs to the rows before `row`, and what belongs to the others.
    #[cfg_attr(not(feature = "rayon"), allow(dead_code))]
    fn split_at_row(self, row: usize) -> (Self, Self);
}

impl<T: Sync> Bands for MatRef<'_, T> {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        self.split_at_row(row)
    }
}

impl<T: Send> Bands for MatMut<'_, T> {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        self.split_at_row(row)
    }
}

/// One element per row.
impl<T: Sync> Bands for &[T] {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        self.split_at(row)
    }
}

/// One element per row.
impl<T: Send> Bands for &mut [T] {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        self.split_at_mut(row)
    }
}

/// A matrix with bands of columns in place of bands of rows.
#[allow(dead_code)] // Only softmax uses it.
pub(crate) struct Columns<M>(pub(crate) M);

impl<T: Sync> Bands for Columns<MatRef<'_, T>> {
    fn split_at_row(self, col: usize) -> (Self, Self) {
        let (left, right) = self.0.split_at_col(col);
        (Self(left), Self(right))
    }
}

impl<T: Send> Bands for Columns<MatMut<'_, T>> {
    fn split_at_row(self, col: usize) -> (Self, Self) {
        let (left, right) = self.0.split_at_col(col);
        (Self(left), Self(right))
    }
}

/// Nothing.
impl Bands for () {
    fn split_at_row(self, _: usize) -> (Self, Self) {
        ((), ())
    }
}

/// Consecutive numbers, one per row.
impl Bands for core::ops::Range<usize> {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        (self.start..self.start + row, self.start + row..self.end)
    }
}

impl<A: Bands, B: Bands> Bands for (A, B) {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        let ((a, c), (b, d)) = (self.0.split_at_row(row), self.1.split_at_row(row));
        ((a, b), (c, d))
    }
}

impl<A: Bands, B: Bands, C: Bands> Bands for (A, B, C) {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        let ((ab, cd), (e, f)) = ((self.0, self.1).split_at_row(row), self.2.split_at_row(row));
        ((ab.0, ab.1, e), (cd.0, cd.1, f))
    }
}

impl<A: Bands, B: Bands, C: Bands, D: Bands> Bands for (A, B, C, D) {
    fn split_at_row(self, row: usize) -> (Self, Self) {
        let ((ab, cd), (ef, gh)) = ((self.0, self.1).split_at_row(row), (self.2, self.3).split_at_row(row));
        ((ab.0, ab.1, ef.0, ef.1), (cd.0, cd.1, gh.0, gh.1))
    }
}

impl Road {
    /// Returns whether the threads of the pool share the work on a matrix: it must have enough for
    /// two bands. Small inputs do not start the global pool.
    #[cfg(feature = "rayon")]
    #[inline(always)]
    pub(crate) fn shares(self, (rows, cols): (usize, usize)) -> bool {
        self.parallel && rows.saturating_mul(cols) / min_band_elements() > 1
    }

    /// Returns whether the threads of the pool share each row of a matrix, one after another.
    #[cfg(feature = "rayon")]
    #[allow(dead_code)] // Only softmax calls it.
    #[inline(always)]
    pub(crate) fn shares_each_row(self, shape: (usize, usize)) -> bool {
        self.shares((1, shape.1)) && sharing_each_row_pays(shape, rayon::current_num_threads(), min_band_elements())
    }

    /// Computes `f` on a thread of the pool if threads [share](Self::shares) its work. So threads
    /// outside of the pool hand over their work once, and not in each of many passes.
    #[cfg_attr(not(feature = "transport"), allow(dead_code))]
    #[inline(always)]
    pub(crate) fn within_pool<R: Send>(self, shape: (usize, usize), f: impl FnOnce() -> R + Send) -> R {
        #[cfg(feature = "rayon")]
        if self.shares(shape) {
            return rayon::scope(|_| f());
        }
        let _ = shape;
        f()
    }

    /// Computes `f` of all rows, or, on several threads, of bands of rows. Results must not depend
    /// on the bands, as their number is that of the threads. An element stands for as much work as
    /// an exponential, 0.2 ns.
    #[allow(dead_code)] // Only softmax calls it.
    #[inline(always)]
    pub(crate) fn each_band<W: Bands>(self, shape: (usize, usize), work: W, f: impl Fn(W) + Sync) {
        self.each_band_of(1, shape, work, f);
    }

    /// [`each_band`](Self::each_band) with bands of at least `min_rows` rows.
    #[inline(always)]
    pub(crate) fn each_band_of<W: Bands>(
        self,
        min_rows: usize,
        (rows, cols): (usize, usize),
        work: W,
        f: impl Fn(W) + Sync,
    ) {
        #[cfg(feature = "rayon")]
        if self.parallel {
            let bands = (rows.saturating_mul(cols) / min_band_elements()).min(rows / min_rows);
            // Small inputs do not start the global pool.
            if bands > 1 {
                let most = BANDS_PER_THREAD * rayon::current_num_threads();
                return share(split_bands(rows, bands.min(most), work), f);
            }
        }
        let _ = (min_rows, rows, cols);
        f(work);
    }
}

/// Returns `bands` bands of the `rows` rows.
#[cfg(feature = "rayon")]
fn split_bands<W: Bands>(rows: usize, bands: usize, work: W) -> Vec<W> {
    let (mut rest, mut done) = (work, 0);
    let mut all = Vec::with_capacity(bands);
    for band in 1..bands {
        let end = (rows as u128 * band as u128 / bands as u128) as usize;
        let (top, bottom) = rest.split_at_row(end - done);
        all.push(top);
        (rest, done) = (bottom, end);
    }
    all.push(rest);
    all
}

/// Before it sleeps, a thread outside of the pool looks this often whether the others have ended,
/// because waking it would take as long as a band. Other numbers: not measured.
#[cfg(feature = "rayon")]
const MAX_LOOKS: usize = 1 << 14;

/// Computes `f` of all tasks on the calling thread and on others of the pool. The calling thread
/// begins at once, also outside of the pool, because threads that sleep are late; each takes tasks
/// until there are none.
#[cfg(feature = "rayon")]
pub(crate) fn share<W: Send>(tasks: Vec<W>, f: impl Fn(W) + Sync) {
    let helpers = rayon::current_num_threads().min(tasks.len()).saturating_sub(1);
    let (tasks, running) = (Mutex::new(tasks.into_iter()), AtomicUsize::new(helpers));
    let take_all = || {
        loop {
            // The lock is not held while the task is computed.
            let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
            match task {
                Some(task) => f(task),
                None => break,
            }
        }
    };
    rayon::in_place_scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|_| {
                take_all();
                running.fetch_sub(1, Ordering::Release);
            });
        }
        take_all();
        if rayon::current_thread_index().is_none() {
            // If a task panics, not all end here.
            let mut looks = 0;
            while running.load(Ordering::Acquire) > 0 && looks < MAX_LOOKS {
                core::hint::spin_loop();
                looks += 1;
            }
        }
    });
}
