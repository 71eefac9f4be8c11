//! What the test files share: references in higher precision, distances in ulp, data, guarded buffers, and the
//! instruction sets to test.

#![allow(dead_code)] // Every test file uses a part.

#[cfg(feature = "std")]
pub(crate) mod distances;
pub(crate) mod gradients;
pub(crate) mod stablemax;

use mantex::{Error, ExtSum, Isa, Real, log_softmax_on, log_sum_exp_on, softmax_in_place_on, softmax_on};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::process::{Command, Output};
use std::sync::{LazyLock, Once};

/// Makes a test of each generic function, for both types.
#[allow(unused_macros)] // Every test file uses a part.
macro_rules! for_both_types {
    ($($test:ident)*) => {
        mod f32 {
            $(#[test] fn $test() { super::$test::<f32>(); })*
        }
        mod f64 {
            $(#[test] fn $test() { super::$test::<f64>(); })*
        }
    };
}
#[allow(unused_imports)]
pub(crate) use for_both_types;

// ---------------------------------------------------------------------------------------------------------------------
// Element types

/// An element type under test.
pub(crate) trait Float: Real + bytemuck::Pod {
    const NAME: &'static str;
    /// Bits of the significand, the hidden one included.
    const DIGITS: i32;
    /// Exponent of the smallest normal number.
    const MIN_EXPONENT: i32;
    /// The contract's accuracy holds for softmax outputs from here on: 2^26 times the smallest normal number, as 2^-100
    /// is for f32.
    const SMALLEST: f64;
    /// The largest finite number.
    const LARGEST: Self;
    /// The smallest positive number.
    const TINIEST: Self;

    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
    fn bits(self) -> u64;
    fn from_low_bits(bits: u64) -> Self;
    /// `self * x + y`, rounded once.
    fn fused(self, x: Self, y: Self) -> Self;
    /// The exponential for references: far more precise than the type.
    fn reference_exp(x: Dd) -> Dd;
    /// The logarithm for references.
    fn reference_ln(x: Dd) -> Dd;
}

impl Float for f32 {
    const NAME: &'static str = "f32";
    const DIGITS: i32 = 24;
    const MIN_EXPONENT: i32 = -126;
    const SMALLEST: f64 = 7.888609052210118e-31; // 2^-100
    const LARGEST: f32 = f32::MAX;
    const TINIEST: f32 = 1.4e-45;

    fn of(x: f64) -> f32 {
        x as f32
    }
    fn wide(self) -> f64 {
        self as f64
    }
    fn bits(self) -> u64 {
        self.to_bits() as u64
    }
    fn fused(self, x: f32, y: f32) -> f32 {
        self.mul_add(x, y)
    }
    fn from_low_bits(bits: u64) -> f32 {
        f32::from_bits(bits as u32)
    }
    fn reference_exp(x: Dd) -> Dd {
        Dd::from(x.0.exp())
    }
    fn reference_ln(x: Dd) -> Dd {
        Dd::from(x.0.ln())
    }
}

impl Float for f64 {
    const NAME: &'static str = "f64";
    const DIGITS: i32 = 53;
    const MIN_EXPONENT: i32 = -1022;
    const SMALLEST: f64 = f64::from_bits((1023 - 996) << 52); // 2^-996
    const LARGEST: f64 = f64::MAX;
    const TINIEST: f64 = 5e-324;

    fn of(x: f64) -> f64 {
        x
    }
    fn wide(self) -> f64 {
        self
    }
    fn bits(self) -> u64 {
        self.to_bits()
    }
    fn fused(self, x: f64, y: f64) -> f64 {
        self.mul_add(x, y)
    }
    fn from_low_bits(bits: u64) -> f64 {
        f64::from_bits(bits)
    }
    fn reference_exp(x: Dd) -> Dd {
        x.exp()
    }
    fn reference_ln(x: Dd) -> Dd {
        x.ln()
    }
}

/// The bits of every element, to compare results exactly (NaN included).
pub(crate) fn bits_of<T: Float>(x: &[T]) -> Vec<u64> {
    x.iter().map(|x| x.bits()).collect()
}

/// Whether every element has the same bits.
pub(crate) fn same_bits<T: Float>(a: &[T], b: &[T]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.bits() == b.bits())
}

// ---------------------------------------------------------------------------------------------------------------------
// Double-double arithmetic (Dekker 1971, Knuth's two-sum; the algorithms of Hida, Li & Bailey 2001)

/// An unevaluated sum of two `f64`, the second at most half an ulp of the first: about 106 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dd(pub(crate) f64, pub(crate) f64);

fn two_sum(a: f64, b: f64) -> Dd {
    let s = a + b;
    let t = s - a;
    Dd(s, (a - (s - t)) + (b - t))
}

fn quick_two_sum(a: f64, b: f64) -> Dd {
    let s = a + b;
    Dd(s, b - (s - a))
}

/// The exact product. Dekker's split rather than a fused multiply-add, which is slow where the CPU has none.
fn two_product(a: f64, b: f64) -> Dd {
    let split = |x: f64| {
        let t = 134_217_729.0 * x; // 2^27 + 1
        let high = t - (t - x);
        (high, x - high)
    };
    let p = a * b;
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    Dd(p, ((ah * bh - p) + ah * bl + al * bh) + al * bl)
}

/// 2^e for any e, as far as f64 has it.
pub(crate) fn power_of_two(e: i32) -> f64 {
    if e >= -1022 {
        f64::from_bits(((e + 1023) as u64) << 52)
    } else if e >= -1074 {
        f64::from_bits(1 << (e + 1074))
    } else {
        0.0
    }
}

impl Dd {
    pub(crate) const ZERO: Dd = Dd(0.0, 0.0);
    pub(crate) const ONE: Dd = Dd(1.0, 0.0);
    const LN_2: Dd = Dd(std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17);

    /// The exact difference of two numbers. The larger goes first: in Knuth's sum a step can overflow by itself.
    pub(crate) fn difference(a: f64, b: f64) -> Dd {
        if a.abs() > b.abs() { quick_two_sum(a, -b) } else { quick_two_sum(-b, a) }
    }

    /// A number in decimal digits, such as `2.718281828459045235360287`.
    pub(crate) fn from_decimal(digits: &str) -> Dd {
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let digit = |c: char| Dd::from(f64::from(c.to_digit(10).expect("a decimal digit")));
        let fraction = fraction.chars().rev().fold(Dd::ZERO, |sum, c| (sum + digit(c)) / Dd::from(10.0));
        whole.chars().fold(Dd::ZERO, |sum, c| sum * Dd::from(10.0) + digit(c)) + fraction
    }

    /// The exponential, good to about 1e-31: reduced by ln 2 and by 64, Taylor series of e^x - 1, and six doublings of the
    /// argument by (e^x)^2 - 1 = 2 (e^x - 1) + (e^x - 1)^2.
    pub(crate) fn exp(self) -> Dd {
        static TAYLOR: LazyLock<[Dd; 13]> = LazyLock::new(|| {
            let mut factorial = Dd::ONE;
            std::array::from_fn(|i| {
                factorial = factorial * Dd::from((i + 1) as f64);
                Dd::ONE / factorial
            })
        });
        if self.0 < -760.0 {
            return Dd::ZERO;
        }
        assert!(self.0 < 700.0, "exp({}) is out of the reference's range", self.0);
        let k = (self.0 / std::f64::consts::LN_2).round();
        let x = (self - Dd::LN_2 * Dd::from(k)).scale(power_of_two(-6));
        let mut e = TAYLOR[12];
        for &c in TAYLOR[..12].iter().rev() {
            e = e * x + c;
        }
        e = e * x;
        for _ in 0..6 {
            e = e.scale(2.0) + e * e;
        }
        let half = k as i32 / 2;
        (e + Dd::ONE).scale(power_of_two(half)).scale(power_of_two(k as i32 - half))
    }

    /// The natural logarithm of a positive number, good to about 1e-31: one Newton step from the one in f64.
    pub(crate) fn ln(self) -> Dd {
        assert!(self.0 > 0.0 && self.0.is_finite(), "ln({}) is out of the reference's range", self.0);
        let y = Dd::from(self.0.ln());
        y + (self * (-y).exp() - Dd::ONE)
    }

    /// Times a power of two.
    fn scale(self, power: f64) -> Dd {
        Dd(self.0 * power, self.1 * power)
    }
}

impl From<f64> for Dd {
    fn from(x: f64) -> Dd {
        Dd(x, 0.0)
    }
}

impl Neg for Dd {
    type Output = Dd;
    fn neg(self) -> Dd {
        Dd(-self.0, -self.1)
    }
}

impl Add for Dd {
    type Output = Dd;
    fn add(self, other: Dd) -> Dd {
        let (s, t) = (two_sum(self.0, other.0), two_sum(self.1, other.1));
        let s = quick_two_sum(s.0, s.1 + t.0);
        quick_two_sum(s.0, s.1 + t.1)
    }
}

impl Sub for Dd {
    type Output = Dd;
    fn sub(self, other: Dd) -> Dd {
        self + -other
    }
}

impl Mul for Dd {
    type Output = Dd;
    fn mul(self, other: Dd) -> Dd {
        let p = two_product(self.0, other.0);
        quick_two_sum(p.0, p.1 + (self.0 * other.1 + self.1 * other.0))
    }
}

impl Div for Dd {
    type Output = Dd;
    fn div(self, other: Dd) -> Dd {
        let q1 = self.0 / other.0;
        let r = self - other * Dd::from(q1);
        let q2 = r.0 / other.0;
        let r = r - other * Dd::from(q2);
        quick_two_sum(q1, q2) + Dd::from(r.0 / other.0)
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// The reference

/// `f` of every index, which looks recent elements up: long rows in emulation repeat a short one.
fn map_row<T: Float>(x: &[T], mut f: impl FnMut(usize) -> Dd) -> Vec<Dd> {
    let mut recent = vec![None; x.len().clamp(1, 4096)];
    let value = |(i, x): (usize, &T)| {
        let bits = x.bits();
        let slot = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % recent.len();
        match recent[slot] {
            Some((same, value)) if same == bits => value,
            _ => recent[slot].insert((bits, f(i))).1,
        }
    };
    x.iter().enumerate().map(value).collect()
}

/// Softmax, log-softmax and log-sum-exp of one row by the textbook: subtract the maximum, then exponentials and their
/// sum in f64 (for f32) or double-double (for f64). Special values as the contract's table has them.
pub(crate) struct Reference {
    pub(crate) softmax: Vec<Dd>,
    pub(crate) log_sum_exp: Dd,
    /// What log-softmax subtracts, after the maximum: the logarithm of the sum of e^(x - max).
    max: f64,
    ln_sum: Dd,
}

impl Reference {
    pub(crate) fn new<T: Float>(x: &[T]) -> Self {
        let wide = || x.iter().map(|x| x.wide());
        let max = wide().fold(f64::NEG_INFINITY, f64::max);
        let special = |log_sum_exp: f64| Self {
            softmax: vec![Dd::from(f64::NAN); x.len()],
            log_sum_exp: Dd::from(log_sum_exp),
            max,
            ln_sum: Dd::from(f64::NAN),
        };
        if wide().any(f64::is_nan) {
            return special(f64::NAN);
        }
        if !max.is_finite() {
            return special(max);
        }
        let exps = map_row(x, |i| match x[i].wide() {
            f64::NEG_INFINITY => Dd::ZERO,
            x => T::reference_exp(Dd::difference(x, max)),
        });
        let sum = exps.iter().fold(Dd::ZERO, |sum, &e| sum + e);
        let softmax = map_row(x, |i| exps[i] / sum);
        let ln_sum = T::reference_ln(sum);
        Self { softmax, log_sum_exp: Dd::from(max) + ln_sum, max, ln_sum }
    }

    /// The log-softmax of the element `x`.
    pub(crate) fn log_softmax(&self, x: f64) -> Dd {
        if self.ln_sum.0.is_nan() {
            self.ln_sum
        } else if x == f64::NEG_INFINITY || x - self.max == f64::NEG_INFINITY {
            Dd::from(f64::NEG_INFINITY)
        } else {
            Dd::difference(x, self.max) - self.ln_sum
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Distances

/// The distance between neighbouring values of `T` around `x`.
pub(crate) fn ulp<T: Float>(x: f64) -> f64 {
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    power_of_two(exponent.max(T::MIN_EXPONENT) - (T::DIGITS - 1))
}

/// The distance of a result from `high + low`; 0 where both are NaN or the same infinity, infinite where only one is.
/// A reference that overflows the type counts as the infinity it rounds to.
pub(crate) fn distance<T: Float>(actual: T, reference_high: f64, reference_low: f64) -> f64 {
    let (actual, rounded) = (actual.wide(), T::of(reference_high).wide());
    if rounded.is_nan() || rounded.is_infinite() {
        let same = actual == rounded || (actual.is_nan() && rounded.is_nan());
        return if same { 0.0 } else { f64::INFINITY };
    }
    let distance = ((actual - reference_high) - reference_low).abs();
    if distance.is_nan() { f64::INFINITY } else { distance }
}

/// The error of a result in ulps of the type at the reference value.
pub(crate) fn ulp_error<T: Float>(actual: T, reference_high: f64, reference_low: f64) -> f64 {
    distance(actual, reference_high, reference_low) / ulp::<T>(reference_high)
}

/// The error of a result in ulps of the type at the reference value, or at 1 where that is smaller.
pub(crate) fn ulp_error_from_one<T: Float>(actual: T, reference_high: f64, reference_low: f64) -> f64 {
    let size = if reference_high.is_finite() { reference_high.abs().max(1.0) } else { 1.0 };
    distance(actual, reference_high, reference_low) / ulp::<T>(size)
}

/// The largest errors seen, by function, type and instruction set.
pub(crate) struct Report(BTreeMap<(&'static str, &'static str, &'static str), Worst>);

struct Worst {
    ulps: f64,
    limit: f64,
    case: String,
    count: usize,
}

impl Report {
    /// Runs a test that observes errors; prints the largest (`cargo test -- --nocapture` shows them) and fails where one
    /// is above its limit, or where nothing was observed.
    pub(crate) fn run(title: &str, test: impl FnOnce(&mut Report)) {
        let mut report = Report(BTreeMap::new());
        test(&mut report);
        assert!(!report.0.is_empty(), "{title} observed nothing");
        print!("{}", report.table(title));
        for ((function, ty, isa), worst) in &report.0 {
            tell_ulps(function, ty, isa, worst.ulps, worst.limit);
        }
    }

    /// As [`Report::run`] without a word, for one of many cases.
    pub(crate) fn check(test: impl FnOnce(&mut Report)) {
        let mut report = Report(BTreeMap::new());
        test(&mut report);
        report.table("");
    }

    /// The largest errors; fails where one is above its limit.
    fn table(&self, title: &str) -> String {
        let mut table = String::new();
        let mut failed = false;
        for ((function, ty, isa), Worst { ulps, limit, case, count }) in &self.0 {
            let mark = if ulps <= limit { "" } else { "  FAILED" };
            failed |= !mark.is_empty();
            table += &format!(
                "{title:<24} {function:<16} {ty} {isa:<6} max {ulps:5.3} ulp of {limit} in {count} values: {case}{mark}\n"
            );
        }
        assert!(!failed, "the contract's accuracy is missed:\n{table}");
        table
    }

    pub(crate) fn observe<T: Float>(
        &mut self,
        function: &'static str,
        isa: Isa,
        ulps: f64,
        limit: f64,
        case: impl FnOnce() -> String,
    ) {
        self.observe_worst::<T>(function, isa, (ulps, 1), limit, case);
    }

    /// The largest of `count` errors.
    pub(crate) fn observe_worst<T: Float>(
        &mut self,
        function: &'static str,
        isa: Isa,
        (ulps, count): (f64, usize),
        limit: f64,
        case: impl FnOnce() -> String,
    ) {
        if count == 0 {
            return;
        }
        let key = (function, T::NAME, isa.name());
        let worst = self.0.entry(key).or_insert_with(|| Worst { ulps: -1.0, limit, case: String::new(), count: 0 });
        worst.count += count;
        // NaN is not within any limit.
        let ulps = if ulps.is_nan() { f64::INFINITY } else { ulps };
        if ulps > worst.ulps {
            (worst.ulps, worst.case) = (ulps, case());
        }
    }
}

/// A line for ci/matrix, where it asks for such lines (`MANTEX_REPORT`): in an output that the test harness does not
/// capture, and after what may stand in a line already.
pub(crate) fn tell(line: &str) {
    if std::env::var_os("MANTEX_REPORT").is_some() {
        writeln!(std::io::stdout(), "\n{line}").expect("standard output");
    }
}

/// The largest error of a function, in the unit of its limit.
pub(crate) fn tell_ulps(function: &str, ty: &str, isa: &str, ulps: f64, limit: f64) {
    tell(&format!("ulp: {function} {ty} {isa} {ulps:.3} of {limit}"));
}

// ---------------------------------------------------------------------------------------------------------------------
// Instruction sets

/// The instruction sets to test: all that there are. Panics where `MANTEX_REQUIRE_ISAS` (a comma-separated list) names
/// one that is not among them, so that a run cannot pass without having tested it.
pub(crate) fn isas() -> Vec<Isa> {
    let isas: Vec<Isa> = Isa::available().collect();
    if let Ok(required) = std::env::var("MANTEX_REQUIRE_ISAS") {
        require(&required, &isas);
    }
    static TOLD: Once = Once::new();
    TOLD.call_once(|| tell(&format!("isas: {}", isas.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(","))));
    isas
}

/// The check of [`isas`].
pub(crate) fn require(required: &str, isas: &[Isa]) {
    for name in required.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        assert!(
            isas.iter().any(|isa| isa.name() == name),
            "MANTEX_REQUIRE_ISAS wants {name}, but there is only {isas:?}"
        );
    }
}

/// Whether large cases should shrink, because the CPU is probably an emulated one.
pub(crate) fn emulated() -> bool {
    cfg!(target_arch = "aarch64") || std::env::var_os("MANTEX_EMULATED").is_some()
}

// ---------------------------------------------------------------------------------------------------------------------
// Processes

/// Runs one test of the calling test's file in a process of its own, with a variable in its environment; `MANTEX_ISA`
/// is unset unless it is that variable.
pub(crate) fn child(test: &str, variable: Option<(&str, &str)>) -> Output {
    let test_file = std::env::current_exe().expect("the test's path");
    // Emulated, the child needs the emulator too: it is in cargo's setting for the target, which the test inherits.
    let runner = format!("CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER", std::env::consts::ARCH.to_uppercase());
    let runner = std::env::var(runner).unwrap_or_default();
    let mut words = runner.split_whitespace();
    let mut child = match words.next() {
        None => Command::new(test_file),
        Some(emulator) => {
            let mut child = Command::new(emulator);
            child.args(words).arg(test_file);
            child
        }
    };
    child.args(["--exact", test, "--nocapture", "--include-ignored"]);
    child.env_remove("MANTEX_ISA").env_remove("RUST_BACKTRACE").envs(variable);
    child.output().expect("the test starts again")
}

/// What a child printed.
pub(crate) fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

// ---------------------------------------------------------------------------------------------------------------------
// Buffers

/// More than any vector has lanes.
pub(crate) const LANES: usize = 16;

/// Guards on either side, in elements: more than a kernel's unrolled step.
const GUARD: usize = 128;

/// A slice at a chosen misalignment with guards on both sides. The guards are NaN: reading them spoils the result,
/// writing them is found by [`Guarded::check`].
pub(crate) struct Guarded<T> {
    buffer: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Float> Guarded<T> {
    fn guard() -> T {
        // A quiet NaN with a payload of its own.
        T::from_low_bits(T::of(f64::NAN).bits() | 0x5_a5a5)
    }

    /// Holds `x`, starting `offset` elements after a multiple of 64 bytes.
    pub(crate) fn new(x: &[T], offset: usize) -> Self {
        let mut guarded = Self::unwritten(x.len(), offset);
        guarded.get_mut().copy_from_slice(x);
        guarded
    }

    /// As [`Guarded::new`], all guard.
    pub(crate) fn unwritten(len: usize, offset: usize) -> Self {
        let buffer = vec![Self::guard(); len + 2 * GUARD + 64 + offset];
        let start = buffer.as_ptr().align_offset(64) + GUARD + offset;
        Self { buffer, start, len }
    }

    pub(crate) fn get(&self) -> &[T] {
        &self.buffer[self.start..self.start + self.len]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [T] {
        &mut self.buffer[self.start..self.start + self.len]
    }

    /// The content, after checking that the guards are as they were.
    pub(crate) fn check(&self) -> &[T] {
        let outside = self.buffer[..self.start].iter().chain(&self.buffer[self.start + self.len..]);
        assert!(outside.into_iter().all(|&x| Self::is_guard(x)), "written out of bounds");
        self.get()
    }

    pub(crate) fn is_guard(x: T) -> bool {
        x.bits() == Self::guard().bits()
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Data

/// A generator with a fixed seed.
pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// Standard normal numbers times `scale` plus `offset`.
pub(crate) fn normal<T: Float>(len: usize, scale: f64, offset: f64, rng: &mut StdRng) -> Vec<T> {
    (0..len).map(|_| T::of(offset + scale * rng.sample::<f64, _>(StandardNormal))).collect()
}

/// Numbers from [low, high).
pub(crate) fn uniform<T: Float>(len: usize, low: f64, high: f64, rng: &mut StdRng) -> Vec<T> {
    (0..len).map(|_| T::of(rng.random_range(low..high))).collect()
}

/// Numbers that grow from `low` to `high` in even steps.
pub(crate) fn ramp<T: Float>(len: usize, low: f64, high: f64) -> Vec<T> {
    (0..len).map(|i| T::of(low + (high - low) * i as f64 / len.max(2) as f64)).collect()
}

/// The kinds of finite rows every accuracy test goes through.
pub(crate) const KINDS: [&str; 33] = [
    "normal, scale 0.1",
    "normal, scale 1",
    "normal, scale 10",
    "normal, scale 100",
    "normal, scale 1000",
    "uniform in 0..1",
    "uniform in -87..0",
    "all zero",
    "all 0.7",
    "all -123.4",
    "all 1e6 + 0.3",
    "ascending by 600",
    "descending by 600",
    "ascending by 60000",
    "descending by 60000",
    "one hot",
    "one cold",
    "offset 1e6",
    "offset -1e6",
    "around 32768",
    "around -32768",
    "from 32700 past 32768",
    "both sides of 32768",
    "1e7 with both signs",
    "largest with both signs",
    "largest, all",
    "lowest, all",
    "large and moderate",
    "subnormal",
    "late 40",
    "late 500",
    "late huge",
    "a step up per block",
];

/// A row of the given kind.
pub(crate) fn row<T: Float>(kind: &str, len: usize, rng: &mut StdRng) -> Vec<T> {
    let large = T::LARGEST.wide();
    let signs = |size: f64, rng: &mut StdRng| -> Vec<T> {
        (0..len).map(|_| T::of(if rng.random::<bool>() { size } else { -size })).collect()
    };
    let late = |value: f64, rng: &mut StdRng| -> Vec<T> {
        // In the last tenth, past the first few blocks of a long row.
        let mut x = normal(len, 1.0, 0.0, rng);
        if len > 0 {
            x[len - 1 - len / 10] = T::of(value);
        }
        x
    };
    match kind {
        "normal, scale 0.1" => normal(len, 0.1, 0.0, rng),
        "normal, scale 1" => normal(len, 1.0, 0.0, rng),
        "normal, scale 10" => normal(len, 10.0, 0.0, rng),
        "normal, scale 100" => normal(len, 100.0, 0.0, rng),
        "normal, scale 1000" => normal(len, 1000.0, 0.0, rng),
        "uniform in 0..1" => uniform(len, 0.0, 1.0, rng),
        "uniform in -87..0" => uniform(len, -87.0, 0.0, rng),
        "all zero" => vec![T::of(0.0); len],
        "all 0.7" => vec![T::of(0.7); len],
        "all -123.4" => vec![T::of(-123.4); len],
        "all 1e6 + 0.3" => vec![T::of(1e6 + 0.3); len],
        "ascending by 600" => ramp(len, -300.0, 300.0),
        "descending by 600" => ramp(len, 300.0, -300.0),
        "ascending by 60000" => ramp(len, -30000.0, 30000.0),
        "descending by 60000" => ramp(len, 30000.0, -30000.0),
        "one hot" | "one cold" => {
            let mut x = vec![T::of(1.25); len];
            if len > 0 {
                x[len / 2] = T::of(if kind == "one hot" { 20.0 } else { -20.0 });
            }
            x
        }
        "offset 1e6" => normal(len, 3.0, 1e6, rng),
        "offset -1e6" => normal(len, 3.0, -1e6, rng),
        "around 32768" => uniform(len, 32765.0, 32771.0, rng),
        "around -32768" => uniform(len, -32771.0, -32765.0, rng),
        "from 32700 past 32768" => ramp(len, 32700.0, 32830.0),
        "both sides of 32768" => (0..len).map(|i| T::of(if i % 3 == 1 { 32768.5 } else { 32767.25 })).collect(),
        "1e7 with both signs" => signs(1e7, rng),
        "largest with both signs" => signs(large / 1.1, rng),
        "largest, all" => vec![T::LARGEST; len],
        "lowest, all" => vec![T::of(-large); len],
        "large and moderate" => {
            (0..len).map(|_| T::of([0.5, -0.5, 1e7, -1e7, 1e7 + 1.0][rng.random_range(0..5)])).collect()
        }
        "subnormal" => (0..len).map(|i| T::of(T::TINIEST.wide() * (i % 7) as f64)).collect(),
        "late 40" => late(40.0, rng),
        "late 500" => late(500.0, rng),
        "late huge" => late(large / 2.0, rng),
        "a step up per block" => {
            (0..len).map(|i| T::of((i / 512) as f64 * 37.7 + rng.random_range(-2.0..2.0))).collect()
        }
        _ => panic!("no kind of row is called {kind}"),
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Softmax rows against the contract

/// Softmax: within 4 ulp, at any length.
pub(crate) const SOFTMAX_ULPS: f64 = 4.0;
/// Log-sum-exp: within 2 ulp, or 2 ulp of 1 where the result is near 0.
pub(crate) const LOG_SUM_EXP_ULPS: f64 = 2.0;
/// Log-softmax: within 4 ulp of max(1, |result|).
pub(crate) const LOG_SOFTMAX_ULPS: f64 = 4.0;

/// What the functions over one row gave.
pub(crate) struct Outputs<T> {
    pub(crate) softmax: Vec<T>,
    pub(crate) in_place: Vec<T>,
    pub(crate) log_softmax: Vec<T>,
    pub(crate) log_sum_exp: T,
}

impl<T: Float> Outputs<T> {
    /// Whether all bits are the same.
    pub(crate) fn same(&self, other: &Self) -> bool {
        same_bits(&self.softmax, &other.softmax)
            && same_bits(&self.in_place, &other.in_place)
            && same_bits(&self.log_softmax, &other.log_softmax)
            && self.log_sum_exp.bits() == other.log_sum_exp.bits()
    }
}

/// A function from one row to another.
type RowFunction<'a, T> = dyn Fn(&[T], &mut [T]) -> Result<(), Error> + 'a;

/// Runs every function over one row from and to buffers at the given misalignment, and checks that nothing is written
/// outside of them and the input is left alone.
pub(crate) fn run_row<T: Float>(isa: Isa, x: &[T], offset: usize) -> Outputs<T> {
    let input = Guarded::new(x, offset);
    // In and out are misaligned differently, in all pairs as offset goes round.
    let mut out = Guarded::<T>::unwritten(x.len(), (offset * 7 + 3) % LANES);
    let mut take = |f: &RowFunction<'_, T>| {
        out.get_mut().fill(T::of(f64::NAN));
        f(input.get(), out.get_mut()).expect("the lengths agree");
        out.check().to_vec()
    };
    let softmax = take(&|x, out| softmax_on(isa, x, out));
    let log_softmax = take(&|x, out| log_softmax_on(isa, x, out));
    let log_sum_exp = log_sum_exp_on(isa, input.get());
    assert_eq!(ExtSum::of_on(isa, input.get()).ln().bits(), log_sum_exp.bits());
    assert!(same_bits(input.check(), x), "the input changed");
    let mut both = Guarded::new(x, offset);
    softmax_in_place_on(isa, both.get_mut());
    let in_place = both.check().to_vec();
    Outputs { softmax, in_place, log_softmax, log_sum_exp }
}

/// The error of one softmax output in ulps; `None` below the range of the contract's bound.
pub(crate) fn softmax_error<T: Float>(actual: T, x: T, expected: Dd, case: &dyn Fn() -> String) -> Option<f64> {
    if x.wide() == f64::NEG_INFINITY && !expected.0.is_nan() {
        assert_eq!(actual.bits(), T::of(0.0).bits(), "softmax of -inf is {actual} in {}", case());
        None
    } else if expected.0 < T::SMALLEST {
        // Here results may be flushed to 0, but are nothing else.
        assert!((0.0..=T::SMALLEST).contains(&actual.wide()), "softmax is {actual} for {expected:?} in {}", case());
        None
    } else {
        Some(ulp_error(actual, expected.0, expected.1))
    }
}

/// All outputs against the reference.
pub(crate) fn check_outputs<T: Float>(
    report: &mut Report,
    isa: Isa,
    name: &str,
    x: &[T],
    r: &Reference,
    out: &Outputs<T>,
) {
    let (n, emulated) = (x.len(), emulated());
    let case = |i: usize| format!("{name}, n = {n}, x[{i}] = {:e}", x[i].wide());
    let mut observe = |function, limit, error: &dyn Fn(usize) -> Option<f64>| {
        let mut worst = (-1.0, 0);
        let mut count = 0;
        // In emulation, a sample of the longest rows, with both ends.
        let sampled = |i: usize| !emulated || n < 1 << 20 || i.is_multiple_of(17) || i < 1000 || n - i < 1000;
        for i in (0..n).filter(|&i| sampled(i)) {
            if let Some(ulps) = error(i) {
                count += 1;
                if ulps > worst.0 {
                    worst = (ulps, i);
                }
            }
        }
        report.observe_worst::<T>(function, isa, (worst.0, count), limit, || case(worst.1));
    };
    for (function, out) in [("softmax", &out.softmax), ("softmax_in_place", &out.in_place)] {
        observe(function, SOFTMAX_ULPS, &|i| {
            softmax_error(out[i], x[i], r.softmax[i], &|| format!("{}, {function} on {isa}", case(i)))
        });
    }
    observe("log_softmax", LOG_SOFTMAX_ULPS, &|i| {
        let expected = r.log_softmax(x[i].wide());
        Some(ulp_error_from_one(out.log_softmax[i], expected.0, expected.1))
    });
    let ulps = ulp_error_from_one(out.log_sum_exp, r.log_sum_exp.0, r.log_sum_exp.1);
    report.observe::<T>("log_sum_exp", isa, ulps, LOG_SUM_EXP_ULPS, || format!("{name}, n = {n}"));
}
