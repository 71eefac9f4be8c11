//! Problems of optimal transport that benches and peers share: those whose last digits are hard for
//! iterations, and those of sparse plans. They need random numbers only.

use super::uniform::uniform;

/// The side of an image.
const SIDE: usize = 28;

/// The points on each side of a problem of sparse plans.
const SPARSE_N: usize = 1000;

/// The regularizations of sparse plans, relative to the size of a problem.
pub(crate) const RELATIVE_GAMMAS: [f64; 5] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5];

/// Such regularizations, with limits of the entries per row.
pub(crate) const SPARSE_LIMITS: [(f64, usize); 2] = [(1e-2, 32), (1e-3, 8)];

/// A problem with as many rows as columns.
pub(crate) struct Problem {
    pub(crate) name: &'static str,
    pub(crate) cost: Vec<f64>,
    pub(crate) a: Vec<f64>,
    pub(crate) b: Vec<f64>,
    pub(crate) epsilon: f64,
    /// The seconds and the steps in the paper: Sinkhorn's, then Newton's.
    pub(crate) paper: Option<(f64, [f64; 2])>,
}

/// A problem of sparse plans: squared distances of points, with as many rows as columns and total
/// masses of 1.
pub(crate) struct SparseProblem {
    pub(crate) name: &'static str,
    pub(crate) cost: Vec<f64>,
    pub(crate) a: Vec<f64>,
    pub(crate) b: Vec<f64>,
}

impl SparseProblem {
    /// The number of rows, which is that of columns.
    pub(crate) fn n(&self) -> usize {
        self.a.len()
    }

    /// The regularization `r * R * n * n`, where R is the range of the costs: a similar plan at
    /// every size.
    pub(crate) fn gamma(&self, r: f64) -> f64 {
        let [least, most] = [f64::min, f64::max].map(|choose| self.cost.iter().copied().reduce(choose));
        r * (most.expect("a cost") - least.expect("a cost")) * self.cost.len() as f64
    }
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

/// The problems whose last digits are hard for iterations.
pub(crate) fn problems() -> Vec<Problem> {
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

/// The problems of sparse plans: random points of the unit square and of a line, with masses that
/// differ by up to 10 times.
pub(crate) fn sparse_problems() -> [SparseProblem; 2] {
    [("plane", 2), ("line", 1)].map(|(name, dimensions)| {
        let mut random = uniform(1);
        let mut points = || -> Vec<f64> { (0..dimensions * SPARSE_N).map(|_| random()).collect() };
        let (x, y) = (points(), points());
        let square = |(x, y): (&f64, &f64)| (x - y).powi(2);
        let distance = |x: &[f64], y: &[f64]| x.iter().zip(y).map(square).sum::<f64>();
        let rows = x.chunks_exact(dimensions);
        let cost = rows.flat_map(|x| y.chunks_exact(dimensions).map(move |y| distance(x, y))).collect();
        let [a, b] = [(); 2].map(|()| shares((0..SPARSE_N).map(|_| 0.1 + 0.9 * random()).collect()));
        SparseProblem { name, cost, a, b }
    })
}
