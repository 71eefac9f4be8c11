//! Ranks of a distributed solve as threads of one process.

use mantex::{Error, Reduce};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What the ranks share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The numbers that each rank has brought to the current reduction, and its name.
    brought: Vec<Option<(&'static str, Vec<f64>)>>,
    /// The result of the last reduction.
    result: Vec<f64>,
    /// The number of reductions that were made.
    reductions: usize,
    /// Whether a rank has ended.
    has_ended: bool,
}

/// One rank. Sums are made in the order of the ranks. A reduction that a rank cannot join, because
/// it has ended, is an error of the others.
pub(crate) struct ThreadRank<'a> {
    shared: &'a Shared,
    rank: usize,
    ranks: usize,
    /// The number of reductions.
    pub(crate) reductions: usize,
    /// The number of all numbers that were reduced.
    pub(crate) numbers: usize,
}

/// Runs `f` on every rank. Returns the results in the order of the ranks.
pub(crate) fn on_ranks<R: Send>(ranks: usize, f: impl Fn(&mut ThreadRank<'_>) -> R + Sync) -> Vec<R> {
    let shared = &Shared::default();
    shared.lock().brought.resize(ranks, None);
    std::thread::scope(|scope| {
        let run = |rank| {
            let f = &f;
            scope.spawn(move || f(&mut ThreadRank { shared, rank, ranks, reductions: 0, numbers: 0 }))
        };
        let threads: Vec<_> = (0..ranks).map(run).collect();
        threads.into_iter().map(|thread| thread.join().expect("a rank does not panic")).collect()
    })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ThreadRank<'_> {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.changed.notify_all();
    }
}

impl ThreadRank<'_> {
    /// Joins the next reduction of the others without numbers of its own.
    pub(crate) fn join_next(&mut self) {
        let waits = |state: &mut State| !state.has_ended && state.brought.iter().all(Option::is_none);
        let state = self.shared.changed.wait_while(self.shared.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        let Some((name, len)) = state.brought.iter().flatten().map(|(name, values)| (*name, values.len())).next()
        else {
            return;
        };
        drop(state);
        let (neutral, f): (f64, fn(f64, f64) -> f64) = match name {
            "sum" => (0.0, |x, y| x + y),
            _ => (f64::NEG_INFINITY, f64::max),
        };
        let _ = self.reduce(name, &mut vec![neutral; len], f);
    }

    fn reduce(&mut self, name: &'static str, values: &mut [f64], f: fn(f64, f64) -> f64) -> Result<(), Error> {
        self.reductions += 1;
        self.numbers += values.len();
        let mut state = self.shared.lock();
        state.brought[self.rank] = Some((name, values.to_vec()));
        self.shared.changed.notify_all();
        if state.brought.iter().all(Option::is_some) {
            let mut brought = state.brought.iter_mut().filter_map(Option::take);
            let (_, mut result) = brought.next().expect("one rank at least");
            for (other, values) in brought {
                assert_eq!((other, values.len()), (name, result.len()), "the ranks make different reductions");
                result.iter_mut().zip(values).for_each(|(x, y)| *x = f(*x, y));
            }
            state.result = result;
            state.reductions += 1;
            self.shared.changed.notify_all();
        } else {
            let before = state.reductions;
            let waits = |state: &mut State| state.reductions == before && !state.has_ended;
            state = self.shared.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
            if state.reductions == before {
                return Err(Error::Communication { reason: "a rank has ended" });
            }
        }
        values.copy_from_slice(&state.result);
        Ok(())
    }
}

impl Reduce for ThreadRank<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn sum(&mut self, values: &mut [f64]) -> Result<(), Error> {
        self.reduce("sum", values, |x, y| x + y)
    }

    fn max(&mut self, values: &mut [f64]) -> Result<(), Error> {
        self.reduce("max", values, f64::max)
    }
}
