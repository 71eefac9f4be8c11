//! Softmax, log-softmax and log-sum-exp, their gradients, and cross-entropy.

use crate::boundary::Outcome;
use crate::isa::{best_isa, chosen_isa, mantex_isa};
use crate::memory::{Memory, Options};
use mantex::{Real, Softmax};
use std::ffi::c_int;
use std::mem::{size_of, MaybeUninit};
use std::ptr::null;

// The header's MANTEX_IGNORED is SIZE_MAX.
const _: () = assert!(mantex::IGNORED == usize::MAX);

/// What the functions over rows do to the logits x of a row before anything else:
/// z = scale * x + mask, and z = -inf in masked columns. Initialize it with
/// mantex_softmax_options_init_f32() or .._f64(), then set what you need. NULL instead of a
/// pointer to it means the initial values.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mantex_softmax_options<T> {
    /// Set by the init function.
    pub size: usize,
    /// The factor of the logits, for example 1 / temperature: finite and not 0. Initially 1.
    pub scale: T,
    /// 0 or 1. With 1, rows whose logits are all masked count for nothing: softmax, losses and
    /// gradients are 0 there, and log-softmax is -inf. Otherwise all of them are NaN. Initially 0.
    pub masked_rows_are_zero: c_int,
    /// A matrix that is added to the scaled logits; -inf masks a logit, whatever it is. Initially
    /// NULL: none.
    pub mask: *const T,
    /// The rows of the mask: as many as x, or 1, which is added to every row. Its columns are those
    /// of x.
    pub mask_rows: usize,
    /// The distance of the starts of two rows of the mask, in elements.
    pub mask_stride: usize,
    /// 0 or 1. With 1, the columns after i + causal_offset are masked in every row i. Initially 0.
    pub causal: c_int,
    /// The instruction set. Initially MANTEX_ISA_BEST.
    pub isa: MaybeUninit<mantex_isa>,
    /// See causal. It is 0 if rows and columns begin at the same position. If the rows are the last
    /// queries of a longer sequence of keys, it is the number of columns minus that of rows.
    /// Initially 0.
    pub causal_offset: isize,
    /// One length per row, each at most the number of columns: the columns from it on are masked.
    /// Initially NULL: none.
    pub lengths: *const usize,
    /// 0 or 1. With 1, several threads share the rows, and each of a few long rows: see Threads
    /// above. Initially 0.
    pub parallel: c_int,
    /// As reserved.
    pub reserved_32: u32,
    /// For later versions: 0, as set by the init function.
    pub reserved: [u64; 7],
}

impl<T: Real> mantex_softmax_options<T> {
    fn initial() -> Self {
        Self {
            size: size_of::<Self>(),
            scale: T::rounded(1.0),
            masked_rows_are_zero: 0,
            mask: null(),
            mask_rows: 0,
            mask_stride: 0,
            causal: 0,
            isa: MaybeUninit::new(mantex_isa::MANTEX_ISA_BEST),
            causal_offset: 0,
            lengths: null(),
            parallel: 0,
            reserved_32: 0,
            reserved: [0; 7],
        }
    }
}

impl<T: Real> Options for mantex_softmax_options<T> {
    const INIT: &'static str =
        if size_of::<T>() == 4 { "mantex_softmax_options_init_f32" } else { "mantex_softmax_options_init_f64" };

    fn reserved_are_zero(&self) -> bool {
        self.reserved_32 == 0 && self.reserved.iter().all(|&word| word == 0)
    }
}

/// Returns the builder that the options stand for.
fn softmax<'a, T: Real>(
    memory: &mut Memory,
    options: *const mantex_softmax_options<T>,
    (rows, cols): (usize, usize),
) -> Outcome<Softmax<'a, T>> {
    let Some(options) = memory.options(options)? else { return Ok(Softmax::new().isa(best_isa()?)) };
    let mut softmax = Softmax::new()
        .scale(options.scale)
        .masked_rows_are_zero(options.masked_rows_are_zero != 0)
        .isa(chosen_isa(options.isa)?);
    if !options.mask.is_null() {
        let shape = (options.mask_rows, cols);
        softmax = softmax.mask(memory.matrix("mask", options.mask, shape, options.mask_stride)?);
    }
    if options.causal != 0 {
        softmax = softmax.causal(options.causal_offset);
    }
    if let Some(lengths) = memory.optional_input("lengths", options.lengths, rows)? {
        softmax = softmax.lengths(lengths);
    }
    #[cfg(feature = "rayon")]
    let softmax = softmax.parallel(options.parallel != 0);
    Ok(softmax)
}

twins! {
    /// Sets the initial values of the options.
    fn mantex_softmax_options_init_f32 / mantex_softmax_options_init_f64(options: *mut softmax_options) |memory| {
        *memory.result("options", options)? = mantex_softmax_options::initial();
        Ok(())
    }

    /// Computes the softmax of n numbers: out[i] = exp(x[i]) / sum_j exp(x[j]).
    ///
    /// Results of at least 2^-100 (double: 2^-996) have an error of at most 4 ulp, for all finite
    /// x. The result is NaN everywhere if x has a NaN or +inf, or if all of x is -inf.
    fn mantex_softmax_f32 / mantex_softmax_f64(n: usize, x: *const T, out: *mut T, isa: isa) |memory| {
        let x = memory.input("x", x, n)?;
        Ok(chosen_isa(isa)?.softmax(x, memory.output("out", out, n)?)?)
    }

    /// Computes the softmax of n numbers in place, with the bits of mantex_softmax_f32().
    fn mantex_softmax_in_place_f32 / mantex_softmax_in_place_f64(n: usize, x: *mut T, isa: isa) |memory| {
        chosen_isa(isa)?.softmax_in_place(memory.output("x", x, n)?);
        Ok(())
    }

    /// Computes the logarithm of the softmax of n numbers: out[i] = x[i] - ln(sum_j exp(x[j])).
    ///
    /// The error is at most 2 ulp, at any size and also under a large common offset of x. It is NaN
    /// where the softmax is NaN.
    fn mantex_log_softmax_f32 / mantex_log_softmax_f64(n: usize, x: *const T, out: *mut T, isa: isa) |memory| {
        let x = memory.input("x", x, n)?;
        Ok(chosen_isa(isa)?.log_softmax(x, memory.output("out", out, n)?)?)
    }

    /// Computes the log-softmax of n numbers in place, with the bits of mantex_log_softmax_f32().
    fn mantex_log_softmax_in_place_f32 / mantex_log_softmax_in_place_f64(n: usize, x: *mut T, isa: isa) |memory| {
        chosen_isa(isa)?.log_softmax_in_place(memory.output("x", x, n)?);
        Ok(())
    }

    /// Computes the logarithm of a sum of exponentials: *out = ln(sum_j exp(x[j])); -inf if n is 0.
    ///
    /// The error is at most 2 ulp of the largest of result, maximum and their difference.
    fn mantex_log_sum_exp_f32 / mantex_log_sum_exp_f64(n: usize, x: *const T, out: *mut T, isa: isa) |memory| {
        let x = memory.input("x", x, n)?;
        *memory.result("out", out)? = chosen_isa(isa)?.log_sum_exp(x);
        Ok(())
    }

    /// Computes the softmax of every row of a matrix, as mantex_softmax_f32(): x and out are
    /// rows x cols.
    fn mantex_softmax_rows_f32 / mantex_softmax_rows_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, out: *mut T, out_stride: usize,
        options: *const softmax_options,
    ) |memory| {
        let softmax = softmax(&mut memory, options, (rows, cols))?;
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        Ok(softmax.rows(x, memory.matrix_mut("out", out, (rows, cols), out_stride)?)?)
    }

    /// Computes the softmax of every row in place, with the bits of mantex_softmax_rows_f32().
    fn mantex_softmax_rows_in_place_f32 / mantex_softmax_rows_in_place_f64(
        rows: usize, cols: usize, x: *mut T, x_stride: usize, options: *const softmax_options,
    ) |memory| {
        let softmax = softmax(&mut memory, options, (rows, cols))?;
        Ok(softmax.rows_in_place(memory.matrix_mut("x", x, (rows, cols), x_stride)?)?)
    }

    /// Computes the log-softmax of every row of a matrix, as mantex_log_softmax_f32(): x and out
    /// are rows x cols.
    fn mantex_log_softmax_rows_f32 / mantex_log_softmax_rows_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, out: *mut T, out_stride: usize,
        options: *const softmax_options,
    ) |memory| {
        let softmax = softmax(&mut memory, options, (rows, cols))?;
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        Ok(softmax.log_rows(x, memory.matrix_mut("out", out, (rows, cols), out_stride)?)?)
    }

    /// Computes the log-softmax of every row in place, with the bits of
    /// mantex_log_softmax_rows_f32().
    fn mantex_log_softmax_rows_in_place_f32 / mantex_log_softmax_rows_in_place_f64(
        rows: usize, cols: usize, x: *mut T, x_stride: usize, options: *const softmax_options,
    ) |memory| {
        let softmax = softmax(&mut memory, options, (rows, cols))?;
        Ok(softmax.log_rows_in_place(memory.matrix_mut("x", x, (rows, cols), x_stride)?)?)
    }

    /// Computes the log-sum-exp of every row of a matrix: x is rows x cols, out has one number per
    /// row.
    fn mantex_log_sum_exp_rows_f32 / mantex_log_sum_exp_rows_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, out: *mut T, options: *const softmax_options,
    ) |memory| {
        let softmax = softmax(&mut memory, options, (rows, cols))?;
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        Ok(softmax.log_sum_exp_rows(x, memory.output("out", out, rows)?)?)
    }

    /// Computes the softmax of every column of a matrix, as mantex_softmax_f32(): x and out are
    /// rows x cols. Columns are also the rows of a column-major matrix, viewed as its transpose.
    fn mantex_softmax_columns_f32 / mantex_softmax_columns_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, out: *mut T, out_stride: usize, isa: isa,
    ) |memory| {
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        let out = memory.matrix_mut("out", out, (rows, cols), out_stride)?;
        Ok(chosen_isa(isa)?.softmax_columns(x, out)?)
    }

    /// Computes the softmax of every column in place, with the bits of
    /// mantex_softmax_columns_f32().
    fn mantex_softmax_columns_in_place_f32 / mantex_softmax_columns_in_place_f64(
        rows: usize, cols: usize, x: *mut T, x_stride: usize, isa: isa,
    ) |memory| {
        chosen_isa(isa)?.softmax_columns_in_place(memory.matrix_mut("x", x, (rows, cols), x_stride)?);
        Ok(())
    }

    /// Computes the log-softmax of every column of a matrix, as mantex_log_softmax_f32(): x and out
    /// are rows x cols.
    fn mantex_log_softmax_columns_f32 / mantex_log_softmax_columns_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, out: *mut T, out_stride: usize, isa: isa,
    ) |memory| {
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        let out = memory.matrix_mut("out", out, (rows, cols), out_stride)?;
        Ok(chosen_isa(isa)?.log_softmax_columns(x, out)?)
    }

    /// Computes the log-softmax of every column in place, with the bits of
    /// mantex_log_softmax_columns_f32().
    fn mantex_log_softmax_columns_in_place_f32 / mantex_log_softmax_columns_in_place_f64(
        rows: usize, cols: usize, x: *mut T, x_stride: usize, isa: isa,
    ) |memory| {
        chosen_isa(isa)?.log_softmax_columns_in_place(memory.matrix_mut("x", x, (rows, cols), x_stride)?);
        Ok(())
    }

    /// Computes the log-sum-exp of every column of a matrix: x is rows x cols, out has one number
    /// per column.
    fn mantex_log_sum_exp_columns_f32 / mantex_log_sum_exp_columns_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, out: *mut T, isa: isa,
    ) |memory| {
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        Ok(chosen_isa(isa)?.log_sum_exp_columns(x, memory.output("out", out, cols)?)?)
    }

    /// Computes the cross-entropy of the softmax of every row with the class of the row:
    /// losses[i] = ln(sum_k exp(z[i][k])) - z[i][classes[i]]. x is rows x cols; classes and losses
    /// have one element per row.
    ///
    /// Losses are never below 0. Fails with MANTEX_ERROR_ELEMENT if a class is neither below cols
    /// nor MANTEX_IGNORED.
    fn mantex_cross_entropy_rows_f32 / mantex_cross_entropy_rows_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, classes: *const usize, losses: *mut T,
        options: *const softmax_options,
    ) |memory| {
        let softmax = softmax(&mut memory, options, (rows, cols))?;
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        let classes = memory.input("classes", classes, rows)?;
        Ok(softmax.cross_entropy_rows(x, classes, memory.output("losses", losses, rows)?)?)
    }

    /// Computes the losses of mantex_cross_entropy_rows_f32(), and the gradient of weight times
    /// their sum: gradient[i][j] = weight * (softmax(z_i)[j] - (j == classes[i])), rows x cols. For
    /// the mean of the losses, weight is 1 / rows.
    ///
    /// The gradient is that with respect to z = scale * x + mask; for x, multiply weight by scale.
    /// Fails with MANTEX_ERROR_PARAMETER if weight is not finite.
    fn mantex_cross_entropy_gradient_rows_f32 / mantex_cross_entropy_gradient_rows_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, classes: *const usize, weight: T, losses: *mut T,
        gradient: *mut T, gradient_stride: usize, options: *const softmax_options,
    ) |memory| {
        let softmax = softmax(&mut memory, options, (rows, cols))?;
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        let classes = memory.input("classes", classes, rows)?;
        let losses = memory.output("losses", losses, rows)?;
        let gradient = memory.matrix_mut("gradient", gradient, (rows, cols), gradient_stride)?;
        Ok(softmax.cross_entropy_gradient_rows(x, classes, weight, losses, gradient)?)
    }

    /// Computes the gradient of a loss with respect to n logits, given their softmax y and the
    /// gradient dy with respect to y: dx[j] = y[j] * (dy[j] - sum_i y[i] * dy[i]).
    fn mantex_softmax_backward_f32 / mantex_softmax_backward_f64(
        n: usize, y: *const T, dy: *const T, dx: *mut T, isa: isa,
    ) |memory| {
        let (y, dy) = (memory.input("y", y, n)?, memory.input("dy", dy, n)?);
        Ok(chosen_isa(isa)?.softmax_backward(y, dy, memory.output("dx", dx, n)?)?)
    }

    /// Computes the gradient of a loss with respect to n logits, given their log-softmax y and the
    /// gradient dy with respect to y: dx[j] = dy[j] - exp(y[j]) * sum_i dy[i].
    fn mantex_log_softmax_backward_f32 / mantex_log_softmax_backward_f64(
        n: usize, y: *const T, dy: *const T, dx: *mut T, isa: isa,
    ) |memory| {
        let (y, dy) = (memory.input("y", y, n)?, memory.input("dy", dy, n)?);
        Ok(chosen_isa(isa)?.log_softmax_backward(y, dy, memory.output("dx", dx, n)?)?)
    }

    /// Computes mantex_softmax_backward_f32() for every row: y, dy and dx are rows x cols.
    fn mantex_softmax_backward_rows_f32 / mantex_softmax_backward_rows_f64(
        rows: usize, cols: usize, y: *const T, y_stride: usize, dy: *const T, dy_stride: usize, dx: *mut T,
        dx_stride: usize, isa: isa,
    ) |memory| {
        let y = memory.matrix("y", y, (rows, cols), y_stride)?;
        let dy = memory.matrix("dy", dy, (rows, cols), dy_stride)?;
        let dx = memory.matrix_mut("dx", dx, (rows, cols), dx_stride)?;
        Ok(chosen_isa(isa)?.softmax_backward_rows(y, dy, dx)?)
    }

    /// Computes mantex_log_softmax_backward_f32() for every row: y, dy and dx are rows x cols.
    fn mantex_log_softmax_backward_rows_f32 / mantex_log_softmax_backward_rows_f64(
        rows: usize, cols: usize, y: *const T, y_stride: usize, dy: *const T, dy_stride: usize, dx: *mut T,
        dx_stride: usize, isa: isa,
    ) |memory| {
        let y = memory.matrix("y", y, (rows, cols), y_stride)?;
        let dy = memory.matrix("dy", dy, (rows, cols), dy_stride)?;
        let dx = memory.matrix_mut("dx", dx, (rows, cols), dx_stride)?;
        Ok(chosen_isa(isa)?.log_softmax_backward_rows(y, dy, dx)?)
    }
}
