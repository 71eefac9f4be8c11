//! Solves to the last digits: Sinkhorn's iterations alone, Newton's method, and the choice of
//! `Method::Auto`.
//!
//! `cargo bench --bench newton` prints a line for each problem and tolerance: the time by default,
//! and how much faster that is than `Method::Scaling`, which only iterates. A read is a read of the
//! matrix; both kinds of reads count as iterations. `--record FILE` also writes the records.
//!
//! Times in the paper are those of Tang et al. 2024, "Accelerating Sinkhorn Algorithm with Sparse
//! Newton Iterations", on an Apple M1, for random assignment and for digits of MNIST. Here, two
//! curves on the same grid stand for the digits.

mod support;

use mantex::transport::{Method, Status, Transport};
use mantex::{Isa, MatRef, Sinkhorn};
use std::time::Instant;
use support::program;
use support::record::Record;
use support::records::{Records, Step};
use support::timing::{ONCE, Sample, interleaved, seconds};
use support::uniform::uniform;

/// The side of an image.
const SIDE: usize = 28;

/// The largest number of iterations. Some problems need more of them without Newton's method.
const MAX_ITERATIONS: usize = 20_000;

/// A problem with as many rows as columns.
struct Problem {
    name: &'static str,
    cost: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
    epsilon: f64,
    /// The seconds and the steps in the paper: Sinkhorn's, then Newton's.
    paper: Option<(f64, [f64; 2])>,
}

/// Masses with total 1.
fn shares(masses: Vec<f64>) -> Vec<f64> {
    let total: f64 = masses.iter().sum();
    masses.into_iter().map(|mass| mass / total).collect()
}

/// The pixels of an image: rows and columns.
fn pixels() -> impl Iterator<Item = [f64; 2]> + Clone {
    (0..SIDE * SIDE).map(|at| [(at / SIDE) as f64, (at % SIDE) as f64])
}

/// The matrix of what `cost` makes of the distances between rows and between columns of pixels.
fn between_pixels(cost: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let pairs = pixels().flat_map(|x| pixels().map(move |y| (x, y)));
    pairs.map(|(x, y)| cost((x[0] - y[0]).abs(), (x[1] - y[1]).abs())).collect()
}

/// The image of random pixels, smoothed over `width` pixels.
fn smoothed_noise(seed: u64, width: f64) -> Vec<f64> {
    let mut random = uniform(seed);
    let noise: Vec<f64> = pixels().map(|_| random()).collect();
    let weight =
        |x: [f64; 2], y: [f64; 2]| (-((x[0] - y[0]).powi(2) + (x[1] - y[1]).powi(2)) / (2.0 * width * width)).exp();
    let smooth = |x| {
        let weights = pixels().map(|y| weight(x, y));
        let sum: f64 = weights.clone().zip(&noise).map(|(weight, noise)| weight * noise).sum();
        sum / weights.sum::<f64>()
    };
    shares(pixels().map(smooth).collect())
}

/// The image of a pen's curve with so many turns down and across, on a faint ground: the shape of
/// a 0 for equal numbers of turns, of an 8 for 1 and 2.
fn curve(down: f64, across: f64) -> Vec<f64> {
    let points = (0..200).map(|t| {
        let t = f64::from(t) / 200.0 * std::f64::consts::TAU;
        [13.5 - 9.0 * (down * t).cos(), 13.5 + 6.0 * (across * t).sin()]
    });
    let ink = |[x, y]: [f64; 2]| {
        let nearest = points.clone().map(|[u, v]| (x - u).powi(2) + (y - v).powi(2)).fold(f64::INFINITY, f64::min);
        (255.0 * (-nearest / 1.5).exp()).round() + 0.01
    };
    shares(pixels().map(ink).collect())
}

/// The median and the largest of the costs.
fn median_and_max(cost: &[f64]) -> (f64, f64) {
    let mut sorted = cost.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    (sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}

/// All problems.
fn problems() -> Vec<Problem> {
    let mut random = uniform(1);
    let equal = |n: usize| vec![1.0 / n as f64; n];
    let assignment: Vec<f64> = (0..500 * 500).map(|_| random()).collect();
    let points: Vec<[f64; 2]> = (0..2000).map(|_| [random(), random()]).collect();
    let pairs = (0..1000 * 1000).map(|at| (points[at / 1000], points[1000 + at % 1000]));
    let squared: Vec<f64> = pairs.map(|(x, y)| (x[0] - y[0]).powi(2) + (x[1] - y[1]).powi(2)).collect();
    let masses = [(); 2].map(|()| shares((0..1000).map(|_| 0.1 + 0.9 * random()).collect()));
    let (l1, l2) = (between_pixels(|x, y| x + y), between_pixels(|x, y| x * x + y * y));
    let (noise, digits) = ([11, 12].map(|seed| smoothed_noise(seed, 2.0)), [curve(1.0, 1.0), curve(1.0, 2.0)]);
    let similarities = [4, 1, 2, 0, 3, 3, 5, 1, 2, 0, 2, 0, 5, 3, 1, 1, 4, 0, 6, 2, 0, 2, 3, 1, 4];
    let integers = similarities.map(|similarity| f64::from(6 - similarity)).to_vec();
    let problem = |name, cost: &[f64], [a, b]: [Vec<f64>; 2], epsilon, paper| Problem {
        name,
        cost: cost.to_vec(),
        a,
        b,
        epsilon,
        paper,
    };
    let (of_points, of_l1) = (median_and_max(&squared), median_and_max(&l1));
    let uniform = |n| [equal(n), equal(n)];
    vec![
        problem(
            "assignment/n=500/epsilon=max/1200",
            &assignment,
            uniform(500),
            median_and_max(&assignment).1 / 1200.0,
            Some((0.34, [20.0, 9.0])),
        ),
        problem("points/n=1000/epsilon=0.01*median", &squared, masses.clone(), 0.01 * of_points.0, None),
        problem("points/n=1000/epsilon=0.001*median", &squared, masses, 0.001 * of_points.0, None),
        problem("noise_l1/n=784/epsilon=0.001*median", &l1, noise, 0.001 * of_l1.0, None),
        problem(
            "curves_l2/n=784/epsilon=max/1200",
            &l2,
            digits.clone(),
            median_and_max(&l2).1 / 1200.0,
            Some((2.3, [20.0, 33.0])),
        ),
        problem("curves_l1/n=784/epsilon=max/1200", &l1, digits, of_l1.1 / 1200.0, Some((12.2, [700.0, 77.0]))),
        problem("integers/n=2/epsilon=0.01", &[2.0, 1.0, 1.0, 1.0], uniform(2), 0.01, None),
        problem("integers/n=5/epsilon=0.05", &integers, uniform(5), 0.05, None),
    ]
}

/// Solves a problem to a tolerance by all methods.
fn compare_methods(problem: &Problem, tolerance: f64, records: &mut Records) {
    let n = problem.a.len();
    let cost = MatRef::new(&problem.cost, n, n).expect("a square matrix");
    let solver = Sinkhorn::new(problem.epsilon).tolerance(tolerance).max_iterations(MAX_ITERATIONS);
    let solve = |method| solver.clone().method(method).solve(cost, &problem.a, &problem.b).expect("a good problem");
    let methods = [Method::Auto, Method::Newton];
    let mut solutions: [Option<Transport<f64>>; 2] = [None, None];
    let times = interleaved(5, 2, |i| seconds(ONCE, || solutions[i] = Some(solve(methods[i]))));
    let [auto, newton] = solutions.map(|solution| solution.expect("it was solved"));
    let start = Instant::now();
    let iterated = solve(Method::Scaling);
    let iterated_ms = start.elapsed().as_secs_f64() * 1e3;
    let [time, newton_time] = [&times[0], &times[1]].map(|times| Sample::new(times) * 1e3);
    let id = format!("solve/f64/{}/{}/tolerance={tolerance:e}", Isa::best(), problem.name);
    let mut record = Record::new(id).value(time, "ms");
    if iterated.converged() {
        record = record.ratio(iterated_ms / time.median, "the speed of iterations alone");
    }
    record = record.detail("reads", auto.iterations() as f64).detail("error", auto.marginal_error());
    record = record.detail("iterations alone", iterated.iterations() as f64).detail("ms alone", iterated_ms);
    if !iterated.converged() {
        record = record.detail("error alone", iterated.marginal_error());
    }
    record = record.detail("reads by Newton", newton.iterations() as f64).detail("ms by Newton", newton_time.median);
    for (name, transport) in [("status of default", &auto), ("status by Newton", &newton)] {
        assert_eq!(transport.status(), Status::Converged, "{name}, {}", problem.name);
    }
    if let Some((seconds, [first, second])) = problem.paper {
        record = record.detail("ms in the paper", seconds * 1e3);
        record = record.detail("its Sinkhorn steps", first).detail("its Newton steps", second);
    }
    records.print(record);
}

fn main() {
    program::compare_and_bench(
        "newton",
        |arguments, records| {
            // The report has no picture of them.
            let problems = if arguments.quick { Vec::new() } else { problems() };
            let step = |problem: Problem| {
                Step::new(problem.name, move |(): &mut (), records| {
                    for tolerance in [1e-9, 1e-12] {
                        compare_methods(&problem, tolerance, records);
                    }
                })
            };
            records.run(&mut (), &problems.into_iter().map(step).collect::<Vec<_>>());
        },
        |_| (),
    );
}
