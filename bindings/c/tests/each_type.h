/* The tests for one element type: boundary.c includes this file with REAL, F(name), TOLERANCE. */

/* A naive softmax. */
static void F(reference)(size_t n, const REAL *x, REAL *out)
{
    double sum = 0, max = -INFINITY;
    for (size_t i = 0; i < n; i++) max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - max);
    for (size_t i = 0; i < n; i++) out[i] = (REAL)(exp((double)x[i] - max) / sum);
}

static int F(all_are)(size_t n, const REAL *x, REAL value)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != value) return 0;
    return 1;
}

/* Right results of every function of the softmax family, on one instruction set. */
static void F(softmax_values)(mantex_isa isa)
{
    enum { N = 37, ROWS = 3, STRIDE = 41 };
    REAL x[ROWS * STRIDE], p[ROWS * STRIDE], y[ROWS * STRIDE], expected[N], losses[ROWS], lse;
    REAL dx[ROWS * STRIDE], dy[ROWS * STRIDE];
    size_t classes[ROWS] = {0, N - 1, MANTEX_IGNORED};
    F(mantex_softmax_options) options;
    OK(F(mantex_softmax_options_init)(&options));
    options.isa = isa;
    for (size_t i = 0; i < ROWS * STRIDE; i++) {
        x[i] = (REAL)sin((double)i) * 3;
        dy[i] = (REAL)cos((double)i);
        p[i] = y[i] = dx[i] = 99;
    }

    OK(F(mantex_softmax)(N, x, p, isa));
    OK(F(mantex_log_softmax)(N, x, y, isa));
    OK(F(mantex_log_sum_exp)(N, x, &lse, isa));
    F(reference)(N, x, expected);
    for (size_t i = 0; i < N; i++) {
        NEAR(p[i], expected[i], TOLERANCE);
        NEAR(y[i], log((double)expected[i]), 10 * TOLERANCE);
        NEAR(y[i], x[i] - lse, 10 * TOLERANCE);
    }
    CHECK(p[N] == 99 && y[N] == 99);

    /* In place and rows have the same bits. */
    REAL q[ROWS * STRIDE];
    memcpy(q, x, sizeof q);
    OK(F(mantex_softmax_in_place)(N, q, isa));
    CHECK(memcmp(p, q, N * sizeof *q) == 0);
    memcpy(q, x, sizeof q);
    OK(F(mantex_log_softmax_in_place)(N, q, isa));
    CHECK(memcmp(y, q, N * sizeof *q) == 0);

    /* Columns. */
    REAL sums[N];
    OK(F(mantex_softmax_columns)(ROWS, N, x, STRIDE, p, STRIDE, isa));
    OK(F(mantex_log_softmax_columns)(ROWS, N, x, STRIDE, y, STRIDE, isa));
    OK(F(mantex_log_sum_exp_columns)(ROWS, N, x, STRIDE, sums, isa));
    memcpy(q, x, sizeof q);
    OK(F(mantex_softmax_columns_in_place)(ROWS, N, q, STRIDE, isa));
    memcpy(dx, x, sizeof q);
    OK(F(mantex_log_softmax_columns_in_place)(ROWS, N, dx, STRIDE, isa));
    for (size_t j = 0; j < N; j++) {
        REAL column[ROWS];
        for (size_t i = 0; i < ROWS; i++) column[i] = x[i * STRIDE + j];
        F(reference)(ROWS, column, expected);
        for (size_t i = 0; i < ROWS; i++) {
            NEAR(p[i * STRIDE + j], expected[i], TOLERANCE);
            NEAR(y[i * STRIDE + j], column[i] - sums[j], 10 * TOLERANCE);
            NEAR(y[i * STRIDE + j], log((double)expected[i]), 10 * TOLERANCE);
        }
    }
    for (size_t i = 0; i < ROWS; i++) {
        CHECK(memcmp(p + i * STRIDE, q + i * STRIDE, N * sizeof *q) == 0);
        CHECK(memcmp(y + i * STRIDE, dx + i * STRIDE, N * sizeof *q) == 0);
    }

    OK(F(mantex_softmax_rows)(ROWS, N, x, STRIDE, p, STRIDE, &options));
    OK(F(mantex_log_softmax_rows)(ROWS, N, x, STRIDE, y, STRIDE, &options));
    OK(F(mantex_log_sum_exp_rows)(ROWS, N, x, STRIDE, losses, &options));
    CHECK(losses[0] == lse && p[N] == 99 && p[STRIDE - 1] == 99 && p[3 * STRIDE - 1] == 99);
    memcpy(q, x, sizeof q);
    OK(F(mantex_softmax_rows_in_place)(ROWS, N, q, STRIDE, &options));
    memcpy(dx, x, sizeof q);
    OK(F(mantex_log_softmax_rows_in_place)(ROWS, N, dx, STRIDE, &options));
    for (size_t i = 0; i < ROWS; i++) {
        F(reference)(N, x + i * STRIDE, expected);
        for (size_t j = 0; j < N; j++) NEAR(p[i * STRIDE + j], expected[j], TOLERANCE);
        CHECK(memcmp(p + i * STRIDE, q + i * STRIDE, N * sizeof *q) == 0);
        CHECK(memcmp(y + i * STRIDE, dx + i * STRIDE, N * sizeof *q) == 0);
    }

    /* Cross-entropy and its gradient. */
    OK(F(mantex_cross_entropy_rows)(ROWS, N, x, STRIDE, classes, losses, &options));
    NEAR(losses[0], -y[0], 10 * TOLERANCE);
    NEAR(losses[1], -y[STRIDE + N - 1], 10 * TOLERANCE);
    CHECK(losses[2] == 0);
    REAL again[ROWS], gradient[ROWS * N];
    OK(F(mantex_cross_entropy_gradient_rows)(ROWS, N, x, STRIDE, classes, 2, again, gradient, N, &options));
    CHECK(memcmp(losses, again, sizeof again) == 0);
    NEAR(gradient[0], 2 * (p[0] - 1), 10 * TOLERANCE);
    NEAR(gradient[1], 2 * p[1], 10 * TOLERANCE);
    CHECK(F(all_are)(N, gradient + 2 * N, 0));

    /* Gradients of softmax and log-softmax, slices and rows. */
    double dot = 0, sum = 0;
    for (size_t j = 0; j < N; j++) {
        dot += (double)p[j] * dy[j];
        sum += dy[j];
    }
    OK(F(mantex_softmax_backward)(N, p, dy, dx, isa));
    OK(F(mantex_log_softmax_backward)(N, y, dy, q, isa));
    for (size_t j = 0; j < N; j++) {
        NEAR(dx[j], p[j] * (dy[j] - dot), 10 * TOLERANCE);
        NEAR(q[j], dy[j] - exp((double)y[j]) * sum, 20 * TOLERANCE);
    }
    REAL rows[ROWS * STRIDE];
    OK(F(mantex_softmax_backward_rows)(ROWS, N, p, STRIDE, dy, STRIDE, rows, STRIDE, isa));
    CHECK(memcmp(rows, dx, N * sizeof *rows) == 0);
    OK(F(mantex_log_softmax_backward_rows)(ROWS, N, y, STRIDE, dy, STRIDE, rows, STRIDE, isa));
    CHECK(memcmp(rows, q, N * sizeof *rows) == 0);

    /* StableMax. */
    REAL s[4] = {2, 0, -1, -INFINITY}, out[4], log_out[4], ds[4], d[4] = {1, 0, 0, 0};
    OK(F(mantex_stablemax)(4, s, out, isa));
    OK(F(mantex_log_stablemax)(4, s, log_out, isa));
    NEAR(out[0], 3 / 4.5, TOLERANCE);
    NEAR(out[2], 0.5 / 4.5, TOLERANCE);
    CHECK(out[3] == 0 && log_out[3] == -INFINITY);
    NEAR(log_out[1], log((double)out[1]), 10 * TOLERANCE);
    OK(F(mantex_stablemax_rows)(2, 2, s, 2, rows, 2, isa));
    NEAR(rows[0], 0.75, TOLERANCE);
    OK(F(mantex_log_stablemax_rows)(2, 2, s, 2, rows, 2, isa));
    NEAR(rows[0], log(0.75), TOLERANCE);
    OK(F(mantex_stablemax_backward)(3, s, d, ds, isa));
    NEAR(ds[0], 1 / 4.5 * (1 - 3 / 4.5), TOLERANCE);
    OK(F(mantex_stablemax_backward_rows)(1, 3, s, 3, d, 3, rows, 3, isa));
    CHECK(memcmp(rows, ds, 3 * sizeof *ds) == 0);
    OK(F(mantex_log_stablemax_backward)(3, s, d, ds, isa));
    NEAR(ds[0], 1 / 3.0 - 1 / 4.5, TOLERANCE);
    OK(F(mantex_log_stablemax_backward_rows)(1, 3, s, 3, d, 3, rows, 3, isa));
    CHECK(memcmp(rows, ds, 3 * sizeof *ds) == 0);

    /* Sums that merge. */
    F(mantex_ext_sum) total, part;
    OK(F(mantex_ext_sum_of)(0, NULL, &total, isa));
    OK(F(mantex_ext_sum_ln)(&total, &lse));
    CHECK(lse == -INFINITY);
    OK(F(mantex_ext_sum_of)(20, x, &part, isa));
    OK(F(mantex_ext_sum_merge)(&total, &part));
    OK(F(mantex_ext_sum_of)(N - 20, x + 20, &part, isa));
    OK(F(mantex_ext_sum_merge)(&total, &part));
    OK(F(mantex_ext_sum_ln)(&total, &lse));
    OK(F(mantex_log_sum_exp)(N, x, out, isa));
    NEAR(lse, out[0], 10 * TOLERANCE);
}

/* Every field of the softmax options has its effect, and every mistake its error. */
static void F(softmax_options)(void)
{
    REAL x[6] = {1, 2, 3, 3, 2, 1}, out[6], mask[6] = {0, 0, -INFINITY, 0, -INFINITY, 0};
    size_t lengths[2] = {1, 0};
    F(mantex_softmax_options) options;
#define ROWS(options) F(mantex_softmax_rows)(2, 3, x, 3, out, 3, options)
#define INIT() OK(F(mantex_softmax_options_init)(&options))
    INIT();
    options.scale = 1000;
    OK(ROWS(&options));
    CHECK(out[2] == 1 && out[0] == 0);
    options.scale = 0;
    FAILS(ROWS(&options), MANTEX_ERROR_PARAMETER, "`scale` is 0");

    INIT();
    options.mask = mask;
    options.mask_rows = 1;
    options.mask_stride = 3;
    OK(ROWS(&options));
    CHECK(out[2] == 0 && out[5] == 0 && out[4] > 0);
    options.mask_rows = 2;
    OK(ROWS(&options));
    CHECK(out[2] == 0 && out[5] > 0 && out[4] == 0);
    options.mask_rows = 3;
    options.mask_stride = 1; /* Rejected before it is read. */
    FAILS(ROWS(&options), MANTEX_ERROR_SHAPE, "`mask_stride` is 1; it must be at least 3");
    options.mask_rows = 1;
    options.mask_stride = 3;
    options.mask = (const REAL *)((const char *)mask + 1);
    FAILS(ROWS(&options), MANTEX_ERROR_ALIGNMENT, "`mask`");
    options.mask = out;
    FAILS(ROWS(&options), MANTEX_ERROR_OVERLAP, "`out` overlaps `mask`");

    INIT();
    options.causal = 1;
    OK(ROWS(&options));
    CHECK(out[0] == 1 && out[1] == 0 && out[4] > 0 && out[5] == 0);
    options.causal_offset = -1;
    OK(ROWS(&options));
    CHECK(isnan(out[0]) && out[3] == 1);
    options.masked_rows_are_zero = 1;
    OK(ROWS(&options));
    CHECK(F(all_are)(3, out, 0));

    INIT();
    options.lengths = lengths;
    options.masked_rows_are_zero = 1;
    OK(ROWS(&options));
    CHECK(out[0] == 1 && F(all_are)(5, out + 1, 0));
    lengths[1] = 4;
    FAILS(ROWS(&options), MANTEX_ERROR_ELEMENT, "`lengths` has 4 at (1, 0)");

    INIT();
    options.isa = MANTEX_ISA_SCALAR;
    OK(ROWS(&options));
    options.isa = (mantex_isa)77;
    FAILS(ROWS(&options), MANTEX_ERROR_ENUM, "`isa` is 77");
    INIT();
    options.reserved[6] = 1;
    FAILS(ROWS(&options), MANTEX_ERROR_OPTIONS, "mantex_softmax_options_init");
    INIT();
    options.reserved_32 = 1;
    FAILS(ROWS(&options), MANTEX_ERROR_OPTIONS, "mantex_softmax_options_init");
    INIT();
    options.size += 8;
    FAILS(ROWS(&options), MANTEX_ERROR_OPTIONS, "mantex_softmax_options_init");
    memset(&options, 0, sizeof options);
    FAILS(ROWS(&options), MANTEX_ERROR_OPTIONS, "mantex_softmax_options_init");
    FAILS(F(mantex_softmax_options_init)(NULL), MANTEX_ERROR_NULL, "`options` is NULL");
    OK(ROWS(NULL));
#undef ROWS
#undef INIT
}

/* NULL, alignment, size, stride and overlap of plain pointers; outputs are unchanged. */
static void F(pointers)(void)
{
    REAL x[16], out[16], losses[4];
    for (size_t i = 0; i < 16; i++) {
        x[i] = (REAL)i;
        out[i] = 7;
    }
    const REAL *odd = (const REAL *)((const char *)x + 1);
    REAL *odd_out = (REAL *)((char *)out + 1);
    size_t classes[4] = {0, 1, 2, 9};
    const size_t huge[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / sizeof(REAL), PTRDIFF_MAX / sizeof(REAL) + 1};

    OK(F(mantex_softmax)(0, NULL, NULL, MANTEX_ISA_BEST));
    OK(F(mantex_softmax_in_place)(0, NULL, MANTEX_ISA_BEST));
    OK(F(mantex_softmax_rows)(0, 5, NULL, 5, NULL, 5, NULL));
    OK(F(mantex_softmax_rows)(SIZE_MAX, 0, NULL, 0, NULL, 0, NULL));
    OK(F(mantex_stablemax_rows)(SIZE_MAX, 0, NULL, 0, NULL, 0, MANTEX_ISA_BEST));

    FAILS(F(mantex_softmax)(3, NULL, out, MANTEX_ISA_BEST), MANTEX_ERROR_NULL, "`x` is NULL; it must have 3 elements");
    FAILS(F(mantex_softmax)(3, x, NULL, MANTEX_ISA_BEST), MANTEX_ERROR_NULL, "`out` is NULL");
    FAILS(F(mantex_softmax_in_place)(1, NULL, MANTEX_ISA_BEST), MANTEX_ERROR_NULL, "it must have 1 element");
    FAILS(F(mantex_log_sum_exp)(3, x, NULL, MANTEX_ISA_BEST), MANTEX_ERROR_NULL, "`out`");
    FAILS(F(mantex_softmax_backward)(3, x, NULL, out, MANTEX_ISA_BEST), MANTEX_ERROR_NULL, "`dy`");
    FAILS(F(mantex_cross_entropy_rows)(2, 3, x, 3, NULL, losses, NULL), MANTEX_ERROR_NULL, "`classes`");
    FAILS(F(mantex_ext_sum_merge)(NULL, NULL), MANTEX_ERROR_NULL, "`other`");

    FAILS(F(mantex_softmax)(3, odd, out, MANTEX_ISA_BEST), MANTEX_ERROR_ALIGNMENT, "`x`");
    FAILS(F(mantex_softmax)(3, x, odd_out, MANTEX_ISA_BEST), MANTEX_ERROR_ALIGNMENT, "`out`");
    FAILS(F(mantex_softmax_rows)(2, 3, odd, 3, out, 3, NULL), MANTEX_ERROR_ALIGNMENT, "`x`");
    FAILS(F(mantex_cross_entropy_rows)(2, 3, x, 3, (const size_t *)((const char *)classes + 1), losses, NULL),
          MANTEX_ERROR_ALIGNMENT, "`classes`");

    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        FAILS(F(mantex_softmax)(huge[i], x, out, MANTEX_ISA_BEST), MANTEX_ERROR_SIZE, "`x`");
        FAILS(F(mantex_softmax_in_place)(huge[i], out, MANTEX_ISA_BEST), MANTEX_ERROR_SIZE, "`x`");
        FAILS(F(mantex_softmax_rows)(huge[i], 3, x, 3, out, 3, NULL), MANTEX_ERROR_SIZE, "`x`");
        FAILS(F(mantex_softmax_rows)(2, 3, x, huge[i], out, 3, NULL), MANTEX_ERROR_SIZE, "`x`");
        FAILS(F(mantex_softmax_rows)(huge[i], huge[i], x, huge[i], out, huge[i], NULL), MANTEX_ERROR_SIZE, "`x`");
        FAILS(F(mantex_expand_condensed)(huge[i], x, out, huge[i]), MANTEX_ERROR_SIZE, "");
    }
    /* Beyond the end of the address space. */
    FAILS(F(mantex_softmax)(SIZE_MAX / 4 / sizeof(REAL), (const REAL *)(UINTPTR_MAX - 63), out, MANTEX_ISA_BEST),
          MANTEX_ERROR_SIZE, "`x`");
    FAILS(F(mantex_softmax_rows)(2, 3, x, 2, out, 3, NULL), MANTEX_ERROR_SHAPE, "`x_stride` is 2");
    FAILS(F(mantex_softmax_rows)(2, 3, x, 3, out, 0, NULL), MANTEX_ERROR_SHAPE, "`out_stride` is 0");

    FAILS(F(mantex_softmax)(3, x, x, MANTEX_ISA_BEST), MANTEX_ERROR_OVERLAP, "`out` overlaps `x`");
    FAILS(F(mantex_softmax)(3, x, x + 2, MANTEX_ISA_BEST), MANTEX_ERROR_OVERLAP, "`out` overlaps `x`");
    FAILS(F(mantex_softmax)(3, x + 2, x, MANTEX_ISA_BEST), MANTEX_ERROR_OVERLAP, "`out` overlaps `x`");
    FAILS(F(mantex_log_sum_exp)(3, x, x + 1, MANTEX_ISA_BEST), MANTEX_ERROR_OVERLAP, "`out` overlaps `x`");
    /* The gaps of a matrix count. */
    FAILS(F(mantex_softmax_rows)(2, 2, x, 4, x + 2, 4, NULL), MANTEX_ERROR_OVERLAP, "`out` overlaps `x`");
    FAILS(F(mantex_cross_entropy_gradient_rows)(2, 3, x, 3, classes, 1, out, out, 3, NULL), MANTEX_ERROR_OVERLAP,
          "`gradient` overlaps `losses`");
    FAILS(F(mantex_softmax_backward)(3, x, x, x, MANTEX_ISA_BEST), MANTEX_ERROR_OVERLAP, "`dx` overlaps `y`");
    /* Neighbors do not overlap, and inputs may. */
    REAL y[6] = {0};
    OK(F(mantex_softmax)(3, y, y + 3, MANTEX_ISA_BEST));
    OK(F(mantex_softmax_backward)(3, y, y, y + 3, MANTEX_ISA_BEST));

    FAILS(F(mantex_softmax)(3, x, out, (mantex_isa)-5), MANTEX_ERROR_ENUM, "`isa` is -5");
    FAILS(F(mantex_cross_entropy_rows)(4, 3, x, 3, classes, losses, NULL), MANTEX_ERROR_ELEMENT, "class of row 3 is 9");
    FAILS(F(mantex_cross_entropy_gradient_rows)(2, 3, x, 3, classes, (REAL)NAN, losses, out, 3, NULL),
          MANTEX_ERROR_PARAMETER, "`weight`");
    CHECK(F(all_are)(16, out, 7));
}

typedef struct {
    int calls, stop_after;
    double last;
} F(counter);

static int F(on_sinkhorn)(const mantex_sinkhorn_progress *progress, void *user_data)
{
    F(counter) *counter = user_data;
    counter->last = progress->epsilon;
    return ++counter->calls == counter->stop_after && (int)progress->iteration == counter->calls;
}

static int F(on_kmedoids)(const mantex_kmedoids_progress *progress, void *user_data)
{
    F(counter) *counter = user_data;
    counter->last = progress->loss;
    return ++counter->calls == counter->stop_after && (int)progress->iteration == counter->calls;
}

static int F(on_entry)(size_t row, size_t column, double mass, void *user_data)
{
    F(counter) *counter = user_data;
    if (row == column) counter->last += mass;
    return ++counter->calls == counter->stop_after;
}

/* Transport: results, options, errors, handles. */
static void F(transport)(mantex_isa isa)
{
    const REAL cost[8] = {0, 1, 4, -1, 1, 0, 1, -1}, a[2] = {(REAL)0.5, (REAL)0.5};
    const REAL b[3] = {(REAL)0.25, (REAL)0.5, (REAL)0.25};
    mantex_sinkhorn_options options;
    mantex_transport *t = NULL, *const none = (mantex_transport *)&options;
#define INIT() (OK(mantex_sinkhorn_options_init(&options, 0.05)), (void)(options.isa = isa))
#define SOLVE(t) F(mantex_sinkhorn_solve)(2, 3, cost, 4, a, b, &options, t)
    INIT();
    OK(SOLVE(&t));
    CHECK(mantex_transport_status(t) == MANTEX_SOLVE_CONVERGED && mantex_transport_iterations(t) > 0);
    CHECK(mantex_transport_rows(t) == 2 && mantex_transport_cols(t) == 3);
    CHECK(mantex_transport_marginal_error(t) <= (sizeof(REAL) == 4 ? 1e-4 : 1e-6));
    NEAR(mantex_transport_cost(t), 0.5, 1e-3);

    /* What the plan gives agrees with the plan. */
    REAL plan[8], points[3] = {0, 10, 20}, times[2], projected[2], transposed[3], ones[2] = {1, 1};
    plan[3] = 99;
    OK(F(mantex_transport_plan)(t, 2, 3, cost, 4, plan, 4));
    CHECK(plan[3] == 99);
    const double *f = mantex_transport_f(t), *g = mantex_transport_g(t);
    double sum = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) {
            NEAR(plan[4 * i + j], exp((f[i] + g[j] - cost[4 * i + j]) / 0.05), 1e-5);
            sum += plan[4 * i + j];
        }
    NEAR(sum, 1, 1e-4);
    OK(F(mantex_transport_plan_times)(t, 2, 3, cost, 4, 1, points, 1, times, 1));
    NEAR(times[0], 10 * plan[1] + 20 * plan[2], 1e-4);
    OK(F(mantex_transport_barycentric_projection)(t, 2, 3, cost, 4, 1, points, 1, projected, 1));
    NEAR(projected[0], times[0] / (plan[0] + plan[1] + plan[2]), 1e-4);
    OK(F(mantex_transport_plan_transposed_times)(t, 2, 3, cost, 4, 1, ones, 1, transposed, 1));
    NEAR(transposed[1], 0.5, 1e-4);
    F(counter) counter = {0, 0, 0};
    OK(F(mantex_transport_plan_entries)(t, 2, 3, cost, 4, (REAL)0.1, F(on_entry), &counter));
    CHECK(counter.calls == 4);
    NEAR(counter.last, plan[0] + plan[5], 1e-4);
    counter = (F(counter)){0, 2, 0};
    OK(F(mantex_transport_plan_entries)(t, 2, 3, cost, 4, 0, F(on_entry), &counter));
    CHECK(counter.calls == 2);
    FAILS(F(mantex_transport_plan_entries)(t, 2, 3, cost, 4, -1, F(on_entry), &counter), MANTEX_ERROR_PARAMETER,
          "`threshold` is -1");
    FAILS(F(mantex_transport_plan_entries)(t, 2, 3, cost, 4, 0, NULL, NULL), MANTEX_ERROR_NULL, "`on_entry`");
    mantex_csr_plan *csr = NULL;
    OK(F(mantex_transport_plan_csr)(t, 2, 3, cost, 4, (REAL)0.1, &csr));
    CHECK(mantex_csr_plan_rows(csr) == 2 && mantex_csr_plan_cols(csr) == 3 && mantex_csr_plan_len(csr) == 4);
    const REAL *masses = F(mantex_csr_plan_masses)(csr);
    for (size_t i = 0, at = 0; i < 2; i++) {
        CHECK(mantex_csr_plan_row_pointers(csr)[i + 1] == 2 * (i + 1));
        for (size_t j = i; j < i + 2; j++, at++)
            CHECK(mantex_csr_plan_columns(csr)[at] == j && masses[at] == plan[4 * i + j]);
    }
    CHECK((mantex_csr_plan_masses_f32(csr) == NULL) == (sizeof(REAL) == 8));
    CHECK((mantex_csr_plan_masses_f64(csr) == NULL) == (sizeof(REAL) == 4));
    mantex_csr_plan_free(csr);
    csr = NULL;
    FAILS(F(mantex_transport_plan_csr)(t, 2, 3, cost, 4, -1, &csr), MANTEX_ERROR_PARAMETER, "`threshold` is -1");
    FAILS(F(mantex_transport_plan_csr)(t, 3, 2, cost, 2, 0, &csr), MANTEX_ERROR_SHAPE, "`cost` is 3 x 2");
    FAILS(F(mantex_transport_plan_csr)(t, 2, 3, cost, 4, 0, NULL), MANTEX_ERROR_NULL, "`plan`");
    CHECK(csr == NULL && mantex_csr_plan_rows(csr) == 0 && mantex_csr_plan_cols(csr) == 0);
    CHECK(mantex_csr_plan_len(csr) == 0);
    CHECK(mantex_csr_plan_row_pointers(csr) == NULL && mantex_csr_plan_columns(csr) == NULL);
    CHECK(F(mantex_csr_plan_masses)(csr) == NULL);
    mantex_csr_plan_free(csr);
    mantex_objective objective;
    OK(F(mantex_transport_objective)(t, 2, 3, cost, 4, &objective));
    NEAR(objective.cost, mantex_transport_cost(t), 1e-4);
    NEAR(objective.primal, objective.cost - 0.05 * objective.entropy, 1e-6);
    CHECK(objective.gap >= 0 && objective.gap < 1e-3 && objective.dual <= objective.primal + 1e-3);

    /* Wrong uses of a solution. */
    FAILS(F(mantex_transport_plan)(t, 3, 2, cost, 2, plan, 2), MANTEX_ERROR_SHAPE, "`cost` is 3 x 2");
    FAILS(F(mantex_transport_plan)(NULL, 2, 3, cost, 4, plan, 4), MANTEX_ERROR_NULL, "`transport`");
    FAILS(F(mantex_transport_plan)(t, 2, 3, cost, 4, (REAL *)cost, 4), MANTEX_ERROR_OVERLAP, "`out` overlaps `cost`");
    FAILS(OTHER(mantex_transport_plan)(t, 0, 0, NULL, 0, NULL, 0), MANTEX_ERROR_TYPE, "other element type");
    FAILS(F(mantex_transport_objective)(t, 2, 3, cost, 4, NULL), MANTEX_ERROR_NULL, "`out`");

    /* A warm start, and the methods. */
    double warm_f[2] = {f[0], f[1]}, warm_g[3] = {g[0], g[1], g[2]};
    size_t iterations = mantex_transport_iterations(t);
    mantex_transport_free(t);
    INIT();
    options.warm_start_f = warm_f;
    options.warm_start_g = warm_g;
    OK(SOLVE(&t));
    CHECK(mantex_transport_iterations(t) <= iterations);
    mantex_transport_free(t);
    t = none;
    options.warm_start_f = NULL;
    FAILS(SOLVE(&t), MANTEX_ERROR_NULL, "`warm_start_f`");
    options.warm_start_f = (const double *)((const char *)warm_f + 4);
    FAILS(SOLVE(&t), MANTEX_ERROR_ALIGNMENT, "`warm_start_f`");

    const mantex_method methods[] = {MANTEX_METHOD_AUTO, MANTEX_METHOD_LOG, MANTEX_METHOD_SCALING, MANTEX_METHOD_NEWTON};
    const mantex_choice choices[] = {MANTEX_CHOICE_AUTO, MANTEX_CHOICE_OFF, MANTEX_CHOICE_FACTOR};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 3; j++) {
            INIT();
            options.method = methods[i];
            options.over_relaxation = options.epsilon_scaling = choices[j];
            options.over_relaxation_factor = 1.2;
            options.memory_limit_bytes = 0;
            OK(SOLVE(&t));
            NEAR(mantex_transport_cost(t), 0.5, 1e-3);
            mantex_transport_free(t);
        }
    INIT();
    options.method = MANTEX_METHOD_NEWTON;
    options.tolerance = sizeof(REAL) == 4 ? 1e-5 : 1e-13;
    OK(SOLVE(&t));
    CHECK(mantex_transport_converged(t) && mantex_transport_marginal_error(t) <= options.tolerance);
    mantex_transport_free(t);

    /* The callback and the limits. */
    counter = (F(counter)){0, 2, 0};
    INIT();
    options.tolerance = 0;
    options.max_iterations = 3;
    OK(SOLVE(&t));
    CHECK(mantex_transport_iterations(t) == 3);
    mantex_transport_free(t);
    options.max_iterations = 50;
    options.epsilon_scaling = MANTEX_CHOICE_OFF;
    options.on_iteration = F(on_sinkhorn);
    options.user_data = &counter;
    const REAL skewed[2] = {(REAL)0.3, (REAL)0.7};
    OK(F(mantex_sinkhorn_solve)(2, 3, cost, 4, skewed, b, &options, &t));
    CHECK(mantex_transport_status(t) == MANTEX_SOLVE_STOPPED && mantex_transport_iterations(t) == 2);
    CHECK(counter.calls == 2);
    NEAR(counter.last, 0.05, 1e-8);
    mantex_transport_free(t);
    t = none;

    /* Errors leave the handle's variable as it was. */
    INIT();
    options.epsilon = -1;
    FAILS(SOLVE(&t), MANTEX_ERROR_PARAMETER, "`epsilon` is -1");
    INIT();
    options.tolerance = -2;
    FAILS(SOLVE(&t), MANTEX_ERROR_PARAMETER, "`tolerance` is -2");
    INIT();
    options.method = (mantex_method)9;
    FAILS(SOLVE(&t), MANTEX_ERROR_ENUM, "`method` is 9");
    INIT();
    options.over_relaxation = (mantex_choice)3;
    FAILS(SOLVE(&t), MANTEX_ERROR_ENUM, "`over_relaxation` is 3");
    INIT();
    options.over_relaxation = MANTEX_CHOICE_FACTOR;
    options.over_relaxation_factor = 2;
    FAILS(SOLVE(&t), MANTEX_ERROR_PARAMETER, "`over_relaxation_factor` is 2");
    INIT();
    options.epsilon_scaling = (mantex_choice)-1;
    FAILS(SOLVE(&t), MANTEX_ERROR_ENUM, "`epsilon_scaling` is -1");
    INIT();
    options.isa = (mantex_isa)100;
    FAILS(SOLVE(&t), MANTEX_ERROR_ENUM, "`isa` is 100");
    INIT();
    options.reserved[0] = 1;
    FAILS(SOLVE(&t), MANTEX_ERROR_OPTIONS, "mantex_sinkhorn_options_init");
    INIT();
    options.reserved_32 = 1;
    FAILS(SOLVE(&t), MANTEX_ERROR_OPTIONS, "mantex_sinkhorn_options_init");
    memset(&options, 0xff, sizeof options);
    FAILS(SOLVE(&t), MANTEX_ERROR_OPTIONS, "mantex_sinkhorn_options_init");
    INIT();
    FAILS(F(mantex_sinkhorn_solve)(2, 3, cost, 4, a, b, NULL, &t), MANTEX_ERROR_NULL, "mantex_sinkhorn_options_init");
    FAILS(F(mantex_sinkhorn_solve)(2, 3, NULL, 4, a, b, &options, &t), MANTEX_ERROR_NULL, "`cost`");
    FAILS(F(mantex_sinkhorn_solve)(2, 3, cost, 4, NULL, b, &options, &t), MANTEX_ERROR_NULL, "`a`");
    FAILS(F(mantex_sinkhorn_solve)(2, 3, cost, 4, a, NULL, &options, &t), MANTEX_ERROR_NULL, "`b`");
    FAILS(SOLVE(NULL), MANTEX_ERROR_NULL, "`transport`");
    FAILS(F(mantex_sinkhorn_solve)(0, 0, NULL, 0, NULL, NULL, &options, &t), MANTEX_ERROR_SHAPE, "`cost` is empty");
    FAILS(F(mantex_sinkhorn_solve)(2, 3, cost, 4, b, b, &options, &t), MANTEX_ERROR_SUM, "`a` sums to 0.75");
    const REAL negative[2] = {-1, 2}, walls[4] = {0, INFINITY, 0, INFINITY};
    FAILS(F(mantex_sinkhorn_solve)(2, 3, cost, 4, negative, b, &options, &t), MANTEX_ERROR_ELEMENT, "`a` has -1");
    FAILS(F(mantex_sinkhorn_solve)(2, 2, walls, 2, a, a, &options, &t), MANTEX_ERROR_INFEASIBLE, "column 1");
    CHECK(t == none);

    /* Getters of no handle. */
    CHECK(mantex_transport_status(NULL) == MANTEX_SOLVE_NONE && mantex_transport_iterations(NULL) == 0);
    CHECK(isnan(mantex_transport_cost(NULL)) && isnan(mantex_transport_marginal_error(NULL)));
    CHECK(mantex_transport_f(NULL) == NULL && mantex_transport_g(NULL) == NULL);
    CHECK(mantex_transport_rows(NULL) == 0 && mantex_transport_cols(NULL) == 0);
    mantex_transport_free(NULL);

    /* Batches. */
    const REAL many[9] = {(REAL)0.25, (REAL)0.5, (REAL)0.25, 0, 1, 0, 1, 0, 0};
    mantex_transport_batch *batch = NULL;
    INIT();
    OK(F(mantex_sinkhorn_solve_batch)(2, 3, cost, 4, 1, a, 2, 3, many, 3, &options, &batch));
    CHECK(mantex_transport_batch_len(batch) == 3);
    for (size_t p = 0; p < 3; p++) {
        const REAL *pf = NULL, *pg = NULL;
        CHECK(mantex_transport_batch_status(batch, p) == MANTEX_SOLVE_CONVERGED);
        CHECK(mantex_transport_batch_converged(batch, p) == 1);
        CHECK(mantex_transport_batch_marginal_error(batch, p) < 1e-3);
        CHECK(mantex_transport_batch_iterations(batch, p) > 0);
        OK(F(mantex_transport_batch_potentials)(batch, p, &pf, &pg));
        double value = 0;
        for (int i = 0; i < 2; i++) value += (double)a[i] * pf[i];
        for (int j = 0; j < 3; j++)
            if (many[3 * p + j] > 0) value += (double)many[3 * p + j] * pg[j];
        NEAR(value, mantex_transport_batch_value(batch, p), 1e-4);
    }
    const REAL *pf = NULL;
    FAILS(F(mantex_transport_batch_potentials)(batch, 3, &pf, &pf), MANTEX_ERROR_PARAMETER, "`problem` is 3");
    FAILS(F(mantex_transport_batch_potentials)(batch, 0, &pf, &pf), MANTEX_ERROR_OVERLAP, "`g` overlaps `f`");
    CHECK(pf == NULL);
    FAILS(OTHER(mantex_transport_batch_potentials)(batch, 0, NULL, NULL), MANTEX_ERROR_TYPE, "`batch`");
    CHECK(mantex_transport_batch_status(batch, 3) == MANTEX_SOLVE_NONE && isnan(mantex_transport_batch_value(batch, 3)));
    CHECK(mantex_transport_batch_converged(batch, 3) == 0 && mantex_transport_batch_converged(NULL, 0) == 0);
    CHECK(mantex_transport_batch_len(NULL) == 0 && mantex_transport_batch_iterations(NULL, 0) == 0);
    mantex_transport_batch_free(batch);
    mantex_transport_batch_free(NULL);
    batch = NULL;
    FAILS(F(mantex_sinkhorn_solve_batch)(2, 3, cost, 4, 2, a, 0, 3, many, 3, &options, &batch), MANTEX_ERROR_SHAPE, "`a_stride`");
    CHECK(batch == NULL);
#undef INIT
#undef SOLVE
}

/* k-medoids and distances: results, options, errors, handles. */
static void F(medoids)(mantex_isa isa)
{
    enum { N = 6 };
    const REAL points[N] = {0, (REAL)0.5, 1, 7, 8, (REAL)8.5};
    REAL d[N * N], between[2 * N];
    OK(F(mantex_distance_matrix)(N, 1, points, 1, d, N, MANTEX_METRIC_MANHATTAN, isa));
    CHECK(d[1] == (REAL)0.5 && d[N] == d[1] && d[0] == 0);
    OK(F(mantex_distance_matrix_between)(N, 2, 1, points, 1, points + 1, 3, between, 2, MANTEX_METRIC_SQUARED_EUCLIDEAN, isa));
    CHECK(between[0] == (REAL)0.25 && between[1] == 64);
    for (int metric = 0; metric < 5; metric++) {
        REAL two[4] = {3, 0, 0, 4}, pair[4];
        const double expected[] = {25, 5, 7, 1, 1};
        OK(F(mantex_distance_matrix)(2, 2, two, 2, pair, 2, (mantex_metric)metric, isa));
        NEAR(pair[1], expected[metric], 1e-5);
    }
    FAILS(F(mantex_distance_matrix)(N, 1, points, 1, d, N, (mantex_metric)5, isa), MANTEX_ERROR_ENUM, "`metric` is 5");
    FAILS(F(mantex_distance_matrix)(0, 1, points, 1, d, N, MANTEX_METRIC_COSINE, isa), MANTEX_ERROR_SHAPE, "`points` is empty");
    FAILS(F(mantex_distance_matrix)(N, 1, points, 1, between, 2, MANTEX_METRIC_COSINE, isa), MANTEX_ERROR_SHAPE, "`out_stride`");
    FAILS(F(mantex_distance_matrix)(N, 1, points, 1, between, N, MANTEX_METRIC_COSINE, isa), MANTEX_ERROR_ELEMENT, "point 0");

    mantex_kmedoids_options options;
    mantex_clustering *c = NULL;
#define INIT() (OK(mantex_kmedoids_options_init(&options, 2)), (void)(options.isa = isa))
#define FIT() F(mantex_kmedoids_fit)(N, d, N, NULL, &options, &c)
    const mantex_algorithm algorithms[] = {MANTEX_ALGORITHM_FASTERPAM, MANTEX_ALGORITHM_RANDOM_FASTERPAM,
                                           MANTEX_ALGORITHM_FASTPAM1, MANTEX_ALGORITHM_ALTERNATING};
    const mantex_init inits[] = {MANTEX_INIT_PLUS_PLUS, MANTEX_INIT_BUILD, MANTEX_INIT_LAB, MANTEX_INIT_RANDOM,
                                 MANTEX_INIT_GIVEN};
    const size_t given[2] = {0, 5};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 5; j++) {
            INIT();
            options.algorithm = algorithms[i];
            options.init = inits[j];
            options.algorithm_seed = options.init_seed = 3;
            options.initial_medoids = given;
            OK(FIT());
            CHECK(mantex_clustering_n(c) == N && mantex_clustering_k(c) == 2 && mantex_clustering_converged(c));
            const size_t *labels = mantex_clustering_labels(c), *medoids = mantex_clustering_medoids(c);
            for (size_t k = 0; k < N; k++) CHECK((labels[k] == labels[0]) == (k < 3));
            CHECK(labels[medoids[0]] == 0 && labels[medoids[1]] == 1);
            NEAR(mantex_clustering_loss(c), 2.5, 1e-5);
            CHECK(mantex_clustering_iterations(c) > 0 && mantex_clustering_evaluated(c) > 0);
            mantex_clustering_free(c);
            c = NULL;
        }

    /* Weights, limits, the callback. */
    const REAL weights[N] = {9, 1, 1, 1, 1, 1}, zeros[N] = {0};
    INIT();
    options.init = MANTEX_INIT_BUILD;
    OK(F(mantex_kmedoids_fit)(N, d, N, weights, &options, &c));
    CHECK(mantex_clustering_medoids(c)[mantex_clustering_labels(c)[0]] == 0);
    mantex_clustering_free(c);
    c = NULL;
    FAILS(F(mantex_kmedoids_fit)(N, d, N, zeros, &options, &c), MANTEX_ERROR_SHAPE, "`weights`");
    INIT();
    const size_t bad_start[2] = {0, 1};
    options.init = MANTEX_INIT_GIVEN;
    options.initial_medoids = bad_start;
    options.max_iterations = 0;
    OK(FIT());
    CHECK(mantex_clustering_swaps(c) == 0 && mantex_clustering_medoids(c)[1] == 1 && !mantex_clustering_converged(c));
    mantex_clustering_free(c);
    F(counter) counter = {0, 1, 0};
    options.max_iterations = MANTEX_DEFAULT_ITERATIONS;
    options.algorithm = MANTEX_ALGORITHM_FASTPAM1;
    options.on_iteration = F(on_kmedoids);
    options.user_data = &counter;
    OK(FIT());
    CHECK(counter.calls == 1 && mantex_clustering_iterations(c) == 1 && counter.last == mantex_clustering_loss(c));
    mantex_clustering_free(c);
    c = NULL;

    /* Errors. */
    INIT();
    options.k = 0;
    FAILS(FIT(), MANTEX_ERROR_PARAMETER, "`k` is 0");
    options.k = 7;
    options.init = MANTEX_INIT_GIVEN;
    options.initial_medoids = given; /* Not read: k is wrong. */
    FAILS(FIT(), MANTEX_ERROR_PARAMETER, "`k` is 7");
    INIT();
    options.init = MANTEX_INIT_GIVEN;
    FAILS(FIT(), MANTEX_ERROR_NULL, "`initial_medoids`");
    const size_t twice[2] = {4, 4}, beyond[2] = {4, 6};
    options.initial_medoids = twice;
    FAILS(FIT(), MANTEX_ERROR_ELEMENT, "medoid 4 is given twice");
    options.initial_medoids = beyond;
    FAILS(FIT(), MANTEX_ERROR_ELEMENT, "a medoid is 6");
    INIT();
    options.algorithm = (mantex_algorithm)4;
    FAILS(FIT(), MANTEX_ERROR_ENUM, "`algorithm` is 4");
    INIT();
    options.init = (mantex_init)5;
    FAILS(FIT(), MANTEX_ERROR_ENUM, "`init` is 5");
    INIT();
    options.reserved[3] = 1;
    FAILS(FIT(), MANTEX_ERROR_OPTIONS, "mantex_kmedoids_options_init");
    INIT();
    FAILS(F(mantex_kmedoids_fit)(N, d, N, NULL, NULL, &c), MANTEX_ERROR_NULL, "mantex_kmedoids_options_init");
    FAILS(F(mantex_kmedoids_fit)(N, NULL, N, NULL, &options, &c), MANTEX_ERROR_NULL, "`dissimilarities`");
    FAILS(F(mantex_kmedoids_fit)(N, d, N, NULL, &options, NULL), MANTEX_ERROR_NULL, "`clustering`");
    CHECK(c == NULL);
    CHECK(mantex_clustering_labels(NULL) == NULL && mantex_clustering_k(NULL) == 0);
    CHECK(isnan(mantex_clustering_loss(NULL)) && mantex_clustering_converged(NULL) == 0);
    mantex_clustering_free(NULL);

    /* What comes after a clustering. */
    INIT();
    OK(FIT());
    const size_t *labels = mantex_clustering_labels(c), *medoids = mantex_clustering_medoids(c);
    REAL each[N], to_medoids[2 * N], nearest[N], nearest_2[N];
    size_t found[N], found_2[N];
    double mean = 0;
    OK(F(mantex_silhouette)(N, d, N, labels, NULL, each, &mean, isa));
    CHECK(mean > 0.8 && mean < 1);
    OK(F(mantex_silhouette)(N, d, N, labels, weights, each, &mean, isa));
    CHECK(mean > 0.8 && mean < 1);
    OK(F(mantex_medoid_silhouette)(N, d, N, 2, medoids, NULL, each, &mean, isa));
    CHECK(mean > 0.8 && each[medoids[0]] == 1);
    OK(F(mantex_medoid_silhouette)(N, d, N, 2, medoids, weights, each, &mean, isa));
    mean = 7;
    FAILS(F(mantex_medoid_silhouette)(N, d, N, 1, medoids, NULL, each, &mean, isa), MANTEX_ERROR_SHAPE, "`medoids`");
    FAILS(F(mantex_silhouette)(N, d, N, given, NULL, NULL, &mean, isa), MANTEX_ERROR_NULL, "`out`");
    CHECK(mean == 7);
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < 2; k++) to_medoids[2 * i + k] = d[i * N + medoids[k]];
    OK(F(mantex_assign)(N, 2, to_medoids, 2, found, nearest, isa));
    CHECK(memcmp(found, labels, sizeof found) == 0);
    OK(F(mantex_clustering_predict)(c, N, 2, to_medoids, 2, found_2, nearest_2));
    CHECK(memcmp(found, found_2, sizeof found) == 0 && memcmp(nearest, nearest_2, sizeof nearest) == 0);
    FAILS(F(mantex_clustering_predict)(c, N, 1, to_medoids, 2, found_2, nearest_2), MANTEX_ERROR_SHAPE, "it must be 6 x 2");
    FAILS(F(mantex_assign)(N, 0, to_medoids, 0, found, nearest, isa), MANTEX_ERROR_SHAPE, "`dissimilarities` is empty");
    to_medoids[3] = -1;
    FAILS(F(mantex_assign)(N, 2, to_medoids, 2, found, nearest, isa), MANTEX_ERROR_ELEMENT, "has -1 at (1, 1)");
    mantex_clustering_free(c);

    const REAL condensed[3] = {1, 5, 4}, square[9] = {0, 1, 5, 1, 0, 4, 5, 4, 0};
    OK(F(mantex_expand_condensed)(3, condensed, d, 3));
    CHECK(memcmp(d, square, sizeof square) == 0);
    FAILS(F(mantex_expand_condensed)(3, NULL, d, 3), MANTEX_ERROR_NULL, "`condensed` is NULL; it must have 3");

    /* Objects 0 and 1 are near each other. */
    INIT();
    c = NULL;
    OK(F(mantex_kmedoids_fit_condensed)(3, condensed, NULL, &options, &c));
    CHECK(mantex_clustering_loss(c) == 1 && mantex_clustering_labels(c)[0] == mantex_clustering_labels(c)[1]);
    mantex_clustering_free(c);
    OK(F(mantex_kmedoids_fit_condensed)(3, condensed, weights, &options, &c));
    mantex_clustering_free(c);
    c = NULL;
    FAILS(F(mantex_kmedoids_fit_condensed)(3, NULL, NULL, &options, &c), MANTEX_ERROR_NULL, "`condensed` is NULL; it must have 3");
    FAILS(F(mantex_kmedoids_fit_condensed)(1, NULL, NULL, &options, &c), MANTEX_ERROR_PARAMETER, "`k` is 2");
    FAILS(F(mantex_kmedoids_fit_condensed)(SIZE_MAX, condensed, NULL, &options, &c), MANTEX_ERROR_SIZE, "`n` is");
    CHECK(c == NULL);
#undef INIT
#undef FIT
}
