//! The iterations of a solve: which kernel runs them, how far they are relaxed, when they stop.

use super::sinkhorn::{Method, Relaxation, Sinkhorn, SinkhornProgress};
use super::workspace::{Matrix, Memory};
use crate::dispatch::Road;
use crate::kernels::sinkhorn::{Measure, Problem, State, span};
use crate::real::Element;
use crate::{Error, Real};
use core::ops::ControlFlow;

/// The largest potential, in base-2 units, with which arguments of exponentials are still good to a few bits after the
/// point in both types.
const LARGEST_SPAN: f64 = 1_099_511_627_776.0; // 2^40

/// Iterations in the log domain before the first absorption: the potentials move far in the first.
const FIRST: usize = 3;

/// Iterations that an absorption must be good for to pay, or to have paid.
const WORTH: f64 = 4.0;

/// A solve under way.
pub(super) struct Solver<'a, T: Real> {
    settings: &'a Sinkhorn<T>,
    road: Road,
    problem: Problem<'a, T>,
    /// In base-2 units of the current epsilon.
    u: Vec<f64>,
    g: Vec<f64>,
    span: f64,
    memory: Memory<T>,
    /// None where there will be no absorption.
    matrix: Option<Matrix<T>>,
    absorbed: bool,
    /// Log-domain iterations since the start or the last absorption, and how many have to be before the next.
    in_log_domain: usize,
    patience: usize,
    /// Iterations since the last absorption.
    scaled: usize,
    relaxer: Relaxer,
    /// Whether there was no iteration yet at this epsilon.
    fresh: bool,
    /// The error that came with the last iteration.
    told: f64,
    pub(super) iterations: usize,
}

impl<'a, T: Real> Solver<'a, T> {
    /// From potentials in base-2 units, those of the rows relative to their mass.
    pub(super) fn new(
        settings: &'a Sinkhorn<T>,
        problem: Problem<'a, T>,
        u: Vec<f64>,
        g: Vec<f64>,
    ) -> Result<Self, Error> {
        let (rows, cols) = (problem.rows.len(), problem.cost.cols());
        let matrix = match settings.method {
            Method::Log => None,
            Method::Scaling => Some(Matrix::new(rows, cols, usize::MAX)),
            Method::Auto => Some(Matrix::new(rows, cols, settings.memory_limit)),
        };
        let solver = Self {
            settings,
            road: settings.road,
            problem,
            span: span(&u, &g, problem.b),
            u,
            g,
            memory: Memory::new(rows, problem.cost),
            matrix: matrix.flatten(),
            absorbed: false,
            in_log_domain: 0,
            patience: if settings.method == Method::Scaling { 1 } else { FIRST },
            scaled: 0,
            relaxer: Relaxer::new(settings.relaxation),
            fresh: true,
            told: f64::INFINITY,
            iterations: 0,
        };
        solver.check_span()?;
        Ok(solver)
    }

    /// Iterates until the L1 error of the marginals, with masses that sum to 1, is about `tolerance`, `limit` iterations
    /// are done in all, or the caller wants no more.
    fn iterate(
        &mut self,
        tolerance: f64,
        limit: usize,
        total: f64,
        watch: &mut dyn FnMut(&SinkhornProgress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let mut errors = [f64::INFINITY; 2];
        while self.iterations < limit && !(tolerance > 0.0 && errors[1] <= tolerance) {
            self.absorb_where_it_pays(errors, tolerance, limit - self.iterations);
            let before = self.step()?;
            self.iterations += 1;
            // The error that comes with an iteration is that of the one before, which began with nothing.
            errors = [errors[1], if self.fresh { f64::INFINITY } else { before }];
            (self.told, self.fresh) = (before, false);
            self.relaxer.observe(errors[1]);
            let progress =
                SinkhornProgress { iteration: self.iterations, error: errors[1] * total, epsilon: self.epsilon() };
            if watch(&progress).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// All iterations at the current epsilon: until the measured error is within the tolerance, `limit` iterations are done
    /// in all, or the caller wants no more.
    pub(super) fn run(
        &mut self,
        tolerance: f64,
        limit: usize,
        total: f64,
        watch: &mut dyn FnMut(&SinkhornProgress) -> ControlFlow<()>,
    ) -> Result<Measure, Error> {
        let mut target = tolerance;
        loop {
            let flow = self.iterate(target, limit, total, watch)?;
            let measure = self.measure();
            let met = T::rounded(measure.error * total) <= self.settings.tolerance;
            if flow.is_break() || self.iterations >= limit || met {
                return Ok(measure);
            }
            // The error told while iterating is not quite the one that is measured.
            let told = (self.told * (tolerance / measure.error)).max(f64::MIN_POSITIVE);
            target = target.min(told);
        }
    }

    /// The stages before the last of a schedule of epsilons that falls to that of the problem by `factor`: none is solved
    /// better than `tolerance`.
    pub(super) fn approach(
        &mut self,
        start: f64,
        factor: f64,
        tolerance: f64,
        total: f64,
        watch: &mut dyn FnMut(&SinkhornProgress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let k = self.problem.k;
        let last = self.epsilon();
        let mut epsilon = start;
        // Not bounded by the factor, which may be hardly above 1.
        while self.iterations < self.settings.max_iterations && epsilon > last * factor.sqrt() {
            self.set_k(T::rounded(core::f64::consts::LOG2_E / epsilon))?;
            let limit = self.settings.max_iterations.min(self.iterations + STAGE);
            if self.iterate(tolerance, limit, total, watch)?.is_break() {
                self.set_k(k)?;
                return Ok(ControlFlow::Break(()));
            }
            epsilon /= factor;
        }
        self.set_k(k)?;
        Ok(ControlFlow::Continue(()))
    }

    fn epsilon(&self) -> f64 {
        core::f64::consts::LOG2_E / self.problem.k.to_f64()
    }

    /// Changes epsilon; the potentials stay the same in the units of the cost.
    fn set_k(&mut self, k: T) -> Result<(), Error> {
        self.settle();
        let ratio = k.to_f64() / self.problem.k.to_f64();
        for (u, log2_a) in self.u.iter_mut().zip(self.problem.log2_a) {
            *u = (*u + log2_a) * ratio - log2_a;
        }
        self.g.iter_mut().for_each(|g| *g *= ratio);
        self.span = span(&self.u, &self.g, self.problem.b);
        self.problem.k = k;
        (self.in_log_domain, self.fresh) = (0, true);
        self.relaxer = Relaxer::new(self.settings.relaxation);
        self.check_span()
    }

    /// One iteration; returns the error before it.
    fn step(&mut self) -> Result<f64, Error> {
        let relaxation = self.relaxer.factor;
        if let (true, Some(matrix)) = (self.absorbed, &mut self.matrix) {
            let mut k = matrix.absorbed();
            let error = T::iterate_scaled(self.road, &self.problem, relaxation, &mut k, &mut self.memory.workspace());
            if let Some(error) = error {
                self.scaled += 1;
                return Ok(error);
            }
            // The factors left their range. Where that happens soon after an absorption, the next has to wait longer.
            self.patience = if (self.scaled as f64) < WORTH { (2 * self.patience).min(64) } else { self.patience };
            self.settle();
        }
        let Self { u, g, span, .. } = self;
        let mut state = State { u, g, span: *span };
        let error = T::iterate(self.road, &self.problem, relaxation, &mut state, &mut self.memory.workspace());
        *span = state.span;
        self.in_log_domain += 1;
        self.check_span()?;
        Ok(error)
    }

    /// Absorbs the potentials where that is allowed, they have come to rest, and enough iterations are to follow.
    fn absorb_where_it_pays(&mut self, [before, now]: [f64; 2], tolerance: f64, left: usize) {
        let Some(matrix) = &mut self.matrix else { return };
        if self.absorbed || self.in_log_domain < self.patience {
            return;
        }
        if self.settings.method == Method::Auto {
            // Errors fall by a constant factor in the long run.
            let to_come = (tolerance / now).ln() / (now / before).ln();
            if (left as f64) < WORTH || tolerance > 0.0 && now < before && to_come < WORTH {
                return;
            }
        }
        let Self { u, g, span, .. } = self;
        let mut state = State { u, g, span: *span };
        T::absorb(self.road, &self.problem, &mut state, &mut matrix.absorbed(), &mut self.memory.workspace());
        (self.absorbed, self.scaled, self.in_log_domain) = (true, 0, 0);
    }

    /// Back to potentials.
    fn settle(&mut self) {
        if let (true, Some(matrix)) = (self.absorbed, &mut self.matrix) {
            let Self { u, g, span, .. } = self;
            let mut state = State { u, g, span: *span };
            T::settle(self.road, &self.problem, &mut state, &matrix.absorbed());
            *span = state.span;
            self.absorbed = false;
        }
    }

    /// The marginal error and the cost of the plan; the absorbed matrix stays good.
    fn measure(&mut self) -> Measure {
        let (mut u, mut g, mut span) = (self.u.clone(), self.g.clone(), self.span);
        if let (true, Some(matrix)) = (self.absorbed, &mut self.matrix) {
            let mut state = State { u: &mut u, g: &mut g, span };
            T::settle(self.road, &self.problem, &mut state, &matrix.absorbed());
            span = state.span;
        }
        let state = State { u: &mut u, g: &mut g, span };
        T::measure(self.road, &self.problem, &state, &mut self.memory.workspace())
    }

    /// The potentials of rows and columns, and their span.
    pub(super) fn into_potentials(mut self) -> (Vec<f64>, Vec<f64>, f64) {
        self.settle();
        (self.u, self.g, self.span)
    }

    /// An error where the largest potential is too large to compute with.
    fn check_span(&self) -> Result<(), Error> {
        if self.span <= LARGEST_SPAN { Ok(()) } else { Err(self.settings.epsilon_too_small()) }
    }
}

/// Iterations of a stage of a schedule of epsilons.
const STAGE: usize = 100;

/// Chooses how far updates are relaxed.
///
/// Near its solution Sinkhorn's iteration is a linear one whose error falls by a factor `rate` each time, and relaxation
/// makes of it a successive over-relaxation (Thibault, Chizat, Dossal, Papadakis 2021; Lehmann, von Renesse, Sambale,
/// Uschmajew 2022), for which Young's theory gives the best factor, `2 / (1 + sqrt(1 - rate))`, and, from the rate seen
/// under some factor, that without. Far from the solution a factor above 1 may do harm: where the error does not fall,
/// what is above 1 is halved, and rises again slowly.
struct Relaxer {
    factor: f64,
    automatic: bool,
    /// The highest factor that may be chosen now.
    highest: f64,
    /// The error a window ago, and how many iterations ago that is.
    reference: f64,
    since: usize,
    /// Iterations to leave out after a change.
    settling: usize,
}

impl Relaxer {
    const HIGHEST: f64 = 1.98;

    fn new(relaxation: Relaxation) -> Self {
        let factor = if let Relaxation::Factor(factor) = relaxation { factor } else { 1.0 };
        let automatic = relaxation == Relaxation::Auto;
        Self { factor, automatic, highest: Self::HIGHEST, reference: f64::INFINITY, since: 0, settling: 0 }
    }

    fn observe(&mut self, error: f64) {
        if !self.automatic {
            return;
        }
        if self.settling > 0 || self.reference == f64::INFINITY || error == 0.0 {
            self.settling = self.settling.saturating_sub(1);
            (self.reference, self.since) = (error, 0);
            return;
        }
        self.since += 1;
        // A rate shows once what a change stirred up has died down, which under a factor w takes some 1 / (2 - w) iterations.
        if (self.since as f64) < (3.0 / (2.0 - self.factor)).max(8.0) {
            return;
        }
        let rate = (error / self.reference).powf(1.0 / self.since as f64);
        let w = self.factor;
        if rate < 1.0 {
            self.highest += 0.1 * (Self::HIGHEST - self.highest);
            if rate > w - 1.0 {
                // The rate without relaxation, by (rate + w - 1)^2 = rate_1 * w^2 * rate.
                let rate_1 = ((rate + w - 1.0) / w).powi(2) / rate;
                let best = 2.0 / (1.0 + (1.0 - rate_1.min(1.0)).sqrt());
                self.factor = best.min(self.highest).max(w);
            }
        } else {
            self.factor = 1.0 + 0.5 * (w - 1.0);
            self.highest = self.factor;
        }
        (self.reference, self.since) = (error, 0);
        self.settling = if self.factor == w { 0 } else { 2 };
    }
}
