//! The distance of a result from its reference, absolute and in ulps.

use super::{double_double::power_of_two, float::Float};

/// The distance between neighboring values of `T` around `x`.
pub(crate) fn ulp<T: Float>(x: f64) -> f64 {
    let exponent = ((x.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    power_of_two(exponent.max(T::MIN_EXPONENT) - (T::DIGITS - 1))
}

/// The distance of a result from `high + low`; 0 if both are NaN or the same infinity, infinite if
/// only one is. A reference that overflows the type counts as the infinity it rounds to.
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
    let distance = distance(actual, reference_high, reference_low);
    // An infinite reference has no ulp.
    if distance == 0.0 { 0.0 } else { distance / ulp::<T>(reference_high) }
}

/// The error of a result in ulps of the type at `size`, if that is a finite number.
pub(crate) fn ulp_error_at<T: Float>(actual: T, reference_high: f64, reference_low: f64, size: f64) -> f64 {
    let size = if size.is_finite() { size } else { 1.0 };
    distance(actual, reference_high, reference_low) / ulp::<T>(size)
}

/// The error of a result in ulps of the type at the reference value, or at 1 if the value is
/// smaller.
pub(crate) fn ulp_error_from_one<T: Float>(actual: T, reference_high: f64, reference_low: f64) -> f64 {
    let size = if reference_high.is_finite() { reference_high.abs().max(1.0) } else { 1.0 };
    distance(actual, reference_high, reference_low) / ulp::<T>(size)
}

#[cfg(test)]
mod tests {
    use super::{distance, ulp, ulp_error};

    #[test]
    fn distances_are_in_ulps() {
        assert_eq!((ulp::<f32>(1.0), ulp::<f32>(1.999)), (f32::EPSILON as f64, f32::EPSILON as f64));
        assert_eq!((ulp::<f64>(2.0), ulp::<f64>(-0.5)), (2.0 * f64::EPSILON, f64::EPSILON / 2.0));
        assert_eq!(ulp::<f32>(1e-45), 2.0_f64.powi(-149));
        assert_eq!(ulp::<f64>(0.0), 5e-324);
        assert_eq!(ulp_error(1.0_f64.next_up(), 1.0, 0.0), 1.0);
        assert_eq!(ulp_error(1.0_f64, 1.0, f64::EPSILON / 4.0), 0.25);
        assert_eq!(ulp_error(3.0_f32.next_down().next_down(), 3.0, 0.0), 2.0);
        assert_eq!(distance(f32::NAN, f64::NAN, 0.0), 0.0);
        assert_eq!(distance(f32::INFINITY, 1e300, 0.0), 0.0);
        for (actual, reference) in [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0), (1.0, f64::INFINITY)] {
            assert_eq!(distance(actual, reference, 0.0), f64::INFINITY, "{actual} for {reference}");
        }
    }
}
