//! Clusters handwritten digits by optimal transport: all three kernel families of mantex on real
//! data.
//!
//! ```text
//! cargo run --release --example digits [-- other.csv]
//! ```
//!
//! 1. *Sinkhorn.* An image of 8 x 8 pixels is a histogram of ink; the distance between two images
//!    is what it costs to move the ink of one onto the other. All pairs are solved, on all cores,
//!    an image against all others at a time.
//! 2. *k-medoids.* FasterPAM picks the ten images that represent all others best.
//! 3. *Softmax.* The distances of an image to the ten medoids become soft memberships.
//!
//! The labels in the file only serve to judge the result, beside the same clustering of plain
//! Euclidean distances. (Which of the two agrees better depends on the images: on the first 600 it
//! is transport, on all of them the Euclidean distance.)

#[path = "digits/draw.rs"]
mod draw;
#[path = "digits/score.rs"]
mod score;

use indicatif::{ProgressBar, ProgressStyle};
use mantex::medoids::{Clustering, Init};
use mantex::{Isa, KMedoids, MatMut, MatRef, Metric, Sinkhorn, distance_matrix, softmax_rows};
use score::{adjusted_rand_index, purity};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// The first so many images of the file are used.
const IMAGES: usize = 1797;
const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
const CLUSTERS: usize = 10;

/// Moving ink costs its Euclidean distance in pixels, but never more than this. The cap keeps the
/// cost a metric and makes strokes that have no counterpart nearby simply different (Pele and
/// Werman 2009): without it, or with squared distances, a few far strokes dominate and the clusters
/// agree less with the labels.
const REACH: f64 = 2.0;

/// The entropic smoothing, in pixels: small against the shortest move (1), yet a pair takes only
/// about 10 iterations.
const EPSILON: f64 = 0.25;

/// The marginals may be off by this much of the mass (L1). The error of the distance is of second
/// order in it (see `transport_distances`): a thousandth of a typical distance.
const TOLERANCE: f64 = 1e-2;

/// The scale of the soft memberships, in pixels: a medoid that is farther by this much counts e
/// times less.
const TEMPERATURE: f64 = 0.05;

/// One digit of the file: what it shows and the ink of its pixels, row by row, 0 to 16.
#[derive(Debug, Clone, PartialEq)]
struct Digit {
    label: usize,
    ink: [u8; PIXELS],
}

/// All pairs of the transport stage.
struct Distances {
    matrix: Vec<f64>,
    pairs: usize,
    iterations: usize,
    /// Entries of the plan between inked pixels, over all iterations.
    entries: f64,
    unconverged: usize,
}

fn main() -> ExitCode {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv");
    let path = env::args_os().nth(1).map_or(default, PathBuf::from);
    match run(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("digits: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &Path) -> Result<(), Box<dyn Error>> {
    let digits = read_digits(path)?;
    let n = digits.len();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    println!("{n} handwritten digits, instruction set {}, {threads} threads\n", Isa::best());
    let row = |stage: &str, time: Duration, rate: String| println!("{stage:<37} {time:>8.2?}   {rate}");

    let (distances, time) = timed(|| transport_distances(&digits, threads));
    let distances = distances?;
    let rate = |count: f64, time: Duration| per_second(count / time.as_secs_f64());
    row(
        &format!("Sinkhorn, {} pairs", distances.pairs),
        time,
        format!("{} pairs, {} entries", rate(distances.pairs as f64, time), rate(distances.entries, time)),
    );

    let matrix = MatRef::new(&distances.matrix, n, n)?;
    let k_medoids = KMedoids::new(CLUSTERS).init(Init::Build);
    let (clustering, time) = timed(|| k_medoids.fit(matrix));
    let clustering: Clustering = clustering?;
    // BUILD and every round of swaps read the matrix once per medoid and once per round.
    let entries = (n * n * (CLUSTERS + clustering.iterations())) as f64;
    row(&format!("FasterPAM, {CLUSTERS} of {n} images"), time, format!("{} entries", rate(entries, time)));

    let (memberships, time) = timed(|| memberships(matrix, clustering.medoids()));
    let memberships = memberships?;
    let entries = memberships.len() as f64;
    row(&format!("softmax, {n} x {CLUSTERS}"), time, format!("{} entries", rate(entries, time)));

    let mean = distances.iterations as f64 / distances.pairs as f64;
    println!("\n{mean:.1} iterations a pair, {} pairs not within the tolerance", distances.unconverged);
    println!("{} swaps, mean distance to the medoid {:.4} pixels\n", clustering.swaps(), clustering.loss() / n as f64);

    let truth: Vec<usize> = digits.iter().map(|d| d.label).collect();
    let euclidean = euclidean_distances(&digits)?;
    let plain: Clustering = k_medoids.fit(MatRef::new(&euclidean, n, n)?)?;
    println!("agreement with the labels   adjusted Rand   purity");
    let mut summary = Vec::new();
    for (name, labels) in [("Entropic transport", clustering.labels()), ("Euclidean distance", plain.labels())] {
        let (rand, purity) = (adjusted_rand_index(labels, &truth), purity(labels, &truth));
        println!("{name:<27} {rand:>13.3}   {purity:>6.3}");
        summary.push(format!("{name}: adjusted Rand index {rand:.3}, purity {purity:.3}"));
    }
    println!();

    let summary = summary.join("; ");
    let picture =
        draw::Picture { digits: &digits, clustering: &clustering, memberships: &memberships, summary: &summary };
    println!("medoids: images {:?}\n", clustering.medoids());
    print!("{}", picture.text());
    let svg = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/digits.svg");
    let written = fs::create_dir_all(svg.with_file_name("")).and_then(|()| fs::write(&svg, picture.svg()));
    written.map_err(|e| format!("cannot write {}: {e}", svg.display()))?;
    println!("the picture: {}", svg.display());
    Ok(())
}

/// The transport distance of every pair of images, as a symmetric matrix with a zero diagonal: the
/// Sinkhorn divergence OT(a,b) - (OT(a,a) + OT(b,b)) / 2 (Genevay, Peyre and Cuturi 2018), as the
/// smoothed OT(a,a) alone is not zero. OT is the dual value: its error is of second order in that
/// of the marginals, unlike that of the plan's cost, so a loose tolerance does.
fn transport_distances(digits: &[Digit], threads: usize) -> Result<Distances, mantex::Error> {
    let n = digits.len();
    let ground = ground_cost();
    let cost = MatRef::new(&ground, PIXELS, PIXELS)?;
    let solver = Sinkhorn::new(EPSILON).tolerance(TOLERANCE);
    let histograms: Vec<f64> = digits.iter().flat_map(histogram).collect();
    let inked: Vec<usize> = digits.iter().map(|d| d.ink.iter().filter(|&&v| v > 0).count()).collect();
    let mut all =
        Distances { matrix: vec![0.0; n * n], pairs: n * (n + 1) / 2, iterations: 0, entries: 0.0, unconverged: 0 };

    // Every thread takes the next row that nobody has taken and solves it from the diagonal on.
    let progress = progress_bar(all.pairs);
    let rows = Mutex::new(all.matrix.chunks_mut(n).enumerate());
    let solve_rows = || -> Result<(usize, f64, usize), mantex::Error> {
        let (mut iterations, mut entries, mut unconverged) = (0, 0.0, 0);
        loop {
            let next = rows.lock().expect("no thread panics while it holds the lock").next();
            let Some((i, row)) = next else { return Ok((iterations, entries, unconverged)) };
            let a = MatRef::new(&histograms[i * PIXELS..(i + 1) * PIXELS], 1, PIXELS)?;
            let b = MatRef::new(&histograms[i * PIXELS..], n - i, PIXELS)?;
            let batch = solver.solve_batch(cost, a, b)?;
            for (p, j) in (i..n).enumerate() {
                row[j] = batch.value(p);
                iterations += batch.iterations(p);
                entries += (batch.iterations(p) * inked[i] * inked[j]) as f64;
                unconverged += usize::from(!batch.converged(p));
            }
            progress.inc((n - i) as u64);
        }
    };
    let solved: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(solve_rows)).collect();
        workers.into_iter().map(|worker| worker.join().expect("the worker does not panic")).collect()
    });
    progress.finish_and_clear();
    for counts in solved {
        let (iterations, entries, unconverged) = counts?;
        all.iterations += iterations;
        all.entries += entries;
        all.unconverged += unconverged;
    }

    let own: Vec<f64> = (0..n).map(|i| all.matrix[i * n + i]).collect();
    for i in 0..n {
        all.matrix[i * n + i] = 0.0;
        for j in i + 1..n {
            // The divergence is never negative; what is below zero is what the tolerance left over.
            let divergence = (all.matrix[i * n + j] - (own[i] + own[j]) / 2.0).max(0.0);
            all.matrix[i * n + j] = divergence;
            all.matrix[j * n + i] = divergence;
        }
    }
    Ok(all)
}

/// What it costs to move one unit of ink from pixel to pixel.
fn ground_cost() -> Vec<f64> {
    let position = |pixel: usize| ((pixel / SIDE) as f64, (pixel % SIDE) as f64);
    let distance = |(y, x): (f64, f64), (v, u): (f64, f64)| (y - v).hypot(x - u);
    (0..PIXELS * PIXELS).map(|i| distance(position(i / PIXELS), position(i % PIXELS)).min(REACH)).collect()
}

/// The ink of an image as a histogram of mass 1.
fn histogram(digit: &Digit) -> [f64; PIXELS] {
    let total: f64 = digit.ink.iter().map(|&v| f64::from(v)).sum();
    digit.ink.map(|v| f64::from(v) / total)
}

/// The Euclidean distance of every pair of images.
fn euclidean_distances(digits: &[Digit]) -> Result<Vec<f64>, mantex::Error> {
    let n = digits.len();
    let ink: Vec<f64> = digits.iter().flat_map(|d| d.ink.map(f64::from)).collect();
    let mut distances = vec![0.0; n * n];
    distance_matrix(MatRef::new(&ink, n, PIXELS)?, MatMut::new(&mut distances, n, n)?, Metric::Euclidean)?;
    Ok(distances)
}

/// How much each image belongs to each cluster, images x clusters: every row is a softmax of minus
/// the distances to the medoids over the temperature.
fn memberships(distances: MatRef<'_, f64>, medoids: &[usize]) -> Result<Vec<f64>, mantex::Error> {
    let logits: Vec<f64> =
        distances.iter_rows().flat_map(|row| medoids.iter().map(|&m| -row[m] / TEMPERATURE)).collect();
    let (n, k) = (distances.rows(), medoids.len());
    let mut memberships = vec![0.0; n * k];
    softmax_rows(MatRef::new(&logits, n, k)?, MatMut::new(&mut memberships, n, k)?)?;
    Ok(memberships)
}

fn read_digits(path: &Path) -> Result<Vec<Digit>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    parse_digits(&text, IMAGES).map_err(|e| format!("{}: {e}", path.display()))
}

/// The first images of a CSV file: a header line, then a label and 64 intensities a line.
fn parse_digits(text: &str, limit: usize) -> Result<Vec<Digit>, String> {
    // The header is line 1.
    let lines = text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()).take(limit);
    let digits: Vec<Digit> = lines
        .map(|(i, line)| parse_digit(line).map_err(|e| format!("line {}: {e}", i + 1)))
        .collect::<Result<_, _>>()?;
    if digits.len() < CLUSTERS {
        return Err(format!("holds {} images, must hold at least {CLUSTERS}", digits.len()));
    }
    Ok(digits)
}

fn parse_digit(line: &str) -> Result<Digit, String> {
    let number = |field: &str, max: u8| match field.trim().parse::<u8>() {
        Ok(value) if value <= max => Ok(value),
        _ => Err(format!("{field:?} is no whole number from 0 to {max}")),
    };
    let fields: Vec<&str> = line.split(',').collect();
    if fields.len() != 1 + PIXELS {
        return Err(format!("{} fields, must be a label and {PIXELS} pixels", fields.len()));
    }
    let label = number(fields[0], 9)?.into();
    let mut ink = [0; PIXELS];
    for (pixel, field) in ink.iter_mut().zip(&fields[1..]) {
        *pixel = number(field, 16)?;
    }
    if ink == [0; PIXELS] {
        return Err("the image is blank, so it has no mass to move".into());
    }
    Ok(Digit { label, ink })
}

fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// A rate with a unit that suits its size.
fn per_second(rate: f64) -> String {
    match rate {
        1e9.. => format!("{:.2} G/s", rate / 1e9),
        1e6.. => format!("{:.1} M/s", rate / 1e6),
        _ => format!("{:.1} k/s", rate / 1e3),
    }
}

/// Draws on standard error, and only where that is a terminal.
fn progress_bar(pairs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("transport {wide_bar} {percent:>3}% of {len} pairs, {eta} left");
    ProgressBar::new(pairs as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(label: &str, pixel: &str) -> String {
        format!("{label},{}", [pixel; PIXELS].join(","))
    }

    #[test]
    fn a_line_becomes_a_digit() {
        assert_eq!(parse_digit(&line("7", "16")), Ok(Digit { label: 7, ink: [16; PIXELS] }));
        assert_eq!(parse_digit(&line(" 7", "1 ")).unwrap().ink, [1; PIXELS]);
    }

    #[test]
    fn malformed_lines_are_named() {
        let cases = [
            (line("10", "1"), "\"10\" is no whole number from 0 to 9"),
            (line("1", "17"), "\"17\" is no whole number from 0 to 16"),
            (line("1", "-1"), "\"-1\" is no whole number from 0 to 16"),
            (line("1", "x"), "\"x\" is no whole number from 0 to 16"),
            (line("1", "0"), "the image is blank, so it has no mass to move"),
            (line("1", "1,1"), "129 fields, must be a label and 64 pixels"),
        ];
        for (line, message) in cases {
            assert_eq!(parse_digit(&line).unwrap_err(), message);
        }
    }

    #[test]
    fn a_file_is_cut_and_its_errors_carry_the_line() {
        let good = line("3", "1");
        let text = format!("header\n{}", format!("{good}\n").repeat(12));
        assert_eq!(parse_digits(&text, 11).unwrap().len(), 11);
        assert_eq!(parse_digits(&text, 50).unwrap().len(), 12);
        assert_eq!(parse_digits("", 50).unwrap_err(), "holds 0 images, must hold at least 10");
        let text = format!("header\n{good}\n\nnonsense\n");
        assert_eq!(parse_digits(&text, 50).unwrap_err(), "line 4: 1 fields, must be a label and 64 pixels");
    }

    #[test]
    fn the_data_file_is_whole() {
        let digits = read_digits(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits.csv")).unwrap();
        assert_eq!(digits.len(), IMAGES);
        assert!(read_digits(Path::new("no/such/file")).unwrap_err().starts_with("cannot read no/such/file: "));
    }

    #[test]
    fn the_divergence_is_a_distance() {
        let dot = |at: usize| {
            let mut ink = [0; PIXELS];
            ink[at] = 16;
            Digit { label: 0, ink }
        };
        // One pixel apart, and farther apart than the reach.
        let digits = [dot(0), dot(1), dot(63), dot(0)];
        let distances = transport_distances(&digits, 2).unwrap();
        let expected = [0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 2.0, 1.0, 2.0, 2.0, 0.0, 2.0, 0.0, 1.0, 2.0, 0.0];
        for (distance, expected) in distances.matrix.iter().zip(expected) {
            assert!((distance - expected).abs() < 1e-6, "{distance} for {expected}");
        }
        assert_eq!((distances.pairs, distances.unconverged), (10, 0));
    }

    #[test]
    fn memberships_sum_to_one_and_favour_the_nearest() {
        let distances = [0.0, 0.1, 0.1, 0.0, 0.05, 0.05];
        let shares = memberships(MatRef::new(&distances, 3, 2).unwrap(), &[0, 1]).unwrap();
        assert!(shares.chunks(2).all(|row| (row[0] + row[1] - 1.0).abs() < 1e-12));
        assert!(shares[0] > 0.8 && shares[3] > 0.8);
        assert!((shares[4] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn rates_get_a_unit() {
        assert_eq!(per_second(1500.0), "1.5 k/s");
        assert_eq!(per_second(2.5e6), "2.5 M/s");
        assert_eq!(per_second(1.25e9), "1.25 G/s");
    }
}
