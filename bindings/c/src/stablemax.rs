//! StableMax, its logarithm, and their gradients.

use crate::isa::chosen_isa;

twins! {
    /// Computes the StableMax of n numbers: out[i] = s(x[i]) / sum_j s(x[j]) with s(x) = 1 + x for
    /// x >= 0 and s(x) = 1 / (1 - x) for x < 0.
    ///
    /// Normal results have an error of at most 4 ulp. Special values are treated as by softmax.
    fn mantex_stablemax_f32 / mantex_stablemax_f64(n: usize, x: *const T, out: *mut T, isa: isa) |memory| {
        let x = memory.input("x", x, n)?;
        Ok(chosen_isa(isa)?.stablemax(x, memory.output("out", out, n)?)?)
    }

    /// Computes the logarithm of the StableMax of n numbers.
    ///
    /// The error is at most 4 ulp of the larger of 1 and the result.
    fn mantex_log_stablemax_f32 / mantex_log_stablemax_f64(n: usize, x: *const T, out: *mut T, isa: isa) |memory| {
        let x = memory.input("x", x, n)?;
        Ok(chosen_isa(isa)?.log_stablemax(x, memory.output("out", out, n)?)?)
    }

    /// Computes the gradient of a loss with respect to n logits x, given the gradient dy with
    /// respect to their StableMax y: dx[j] = s'(x[j]) / S * (dy[j] - sum_i dy[i] * y[i]) with
    /// S = sum_i s(x[i]).
    fn mantex_stablemax_backward_f32 / mantex_stablemax_backward_f64(
        n: usize, x: *const T, dy: *const T, dx: *mut T, isa: isa,
    ) |memory| {
        let (x, dy) = (memory.input("x", x, n)?, memory.input("dy", dy, n)?);
        Ok(chosen_isa(isa)?.stablemax_backward(x, dy, memory.output("dx", dx, n)?)?)
    }

    /// Computes the gradient of a loss with respect to n logits x, given the gradient dy with
    /// respect to the logarithm of their StableMax:
    /// dx[j] = dy[j] / (1 + |x[j]|) - s'(x[j]) / S * sum_i dy[i].
    fn mantex_log_stablemax_backward_f32 / mantex_log_stablemax_backward_f64(
        n: usize, x: *const T, dy: *const T, dx: *mut T, isa: isa,
    ) |memory| {
        let (x, dy) = (memory.input("x", x, n)?, memory.input("dy", dy, n)?);
        Ok(chosen_isa(isa)?.log_stablemax_backward(x, dy, memory.output("dx", dx, n)?)?)
    }

    /// Computes mantex_stablemax_f32() for every row: x and out are rows x cols.
    fn mantex_stablemax_rows_f32 / mantex_stablemax_rows_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, out: *mut T, out_stride: usize, isa: isa,
    ) |memory| {
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        Ok(chosen_isa(isa)?.stablemax_rows(x, memory.matrix_mut("out", out, (rows, cols), out_stride)?)?)
    }

    /// Computes mantex_log_stablemax_f32() for every row: x and out are rows x cols.
    fn mantex_log_stablemax_rows_f32 / mantex_log_stablemax_rows_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, out: *mut T, out_stride: usize, isa: isa,
    ) |memory| {
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        Ok(chosen_isa(isa)?.log_stablemax_rows(x, memory.matrix_mut("out", out, (rows, cols), out_stride)?)?)
    }

    /// Computes mantex_stablemax_backward_f32() for every row: x, dy and dx are rows x cols.
    fn mantex_stablemax_backward_rows_f32 / mantex_stablemax_backward_rows_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, dy: *const T, dy_stride: usize, dx: *mut T,
        dx_stride: usize, isa: isa,
    ) |memory| {
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        let dy = memory.matrix("dy", dy, (rows, cols), dy_stride)?;
        let dx = memory.matrix_mut("dx", dx, (rows, cols), dx_stride)?;
        Ok(chosen_isa(isa)?.stablemax_backward_rows(x, dy, dx)?)
    }

    /// Computes mantex_log_stablemax_backward_f32() for every row: x, dy and dx are rows x cols.
    fn mantex_log_stablemax_backward_rows_f32 / mantex_log_stablemax_backward_rows_f64(
        rows: usize, cols: usize, x: *const T, x_stride: usize, dy: *const T, dy_stride: usize, dx: *mut T,
        dx_stride: usize, isa: isa,
    ) |memory| {
        let x = memory.matrix("x", x, (rows, cols), x_stride)?;
        let dy = memory.matrix("dy", dy, (rows, cols), dy_stride)?;
        let dx = memory.matrix_mut("dx", dx, (rows, cols), dx_stride)?;
        Ok(chosen_isa(isa)?.log_stablemax_backward_rows(x, dy, dx)?)
    }
}
