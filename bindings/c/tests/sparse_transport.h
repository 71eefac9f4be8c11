/* The tests of sparse transport for one element type: boundary.c includes this file after
 * each_type.h. */

static int F(on_sparse)(const mantex_sparse_transport_progress *progress, void *user_data)
{
    F(counter) *counter = user_data;
    counter->last = progress->gamma;
    CHECK(progress->error >= 0 && (int)progress->iteration == counter->calls + 1);
    return ++counter->calls == counter->stop_after;
}

/* Results, options, errors, handles. */
static void F(sparse_transport)(mantex_isa isa)
{
    const REAL cost[8] = {0, 1, 4, -1, 1, 0, 1, -1}, a[2] = {(REAL)0.5, (REAL)0.5};
    const REAL b[3] = {(REAL)0.25, (REAL)0.5, (REAL)0.25};
    const double gamma = 0.5;
    mantex_sparse_transport_options options;
    mantex_sparse_solution *s = NULL, *const none = (mantex_sparse_solution *)&options;
#define INIT() (OK(mantex_sparse_transport_options_init(&options, gamma)), (void)(options.isa = isa))
#define SOLVE(s) F(mantex_sparse_transport_solve)(2, 3, cost, 4, a, b, &options, s)
    INIT();
    OK(SOLVE(&s));
    CHECK(mantex_sparse_solution_status(s) == MANTEX_SOLVE_CONVERGED && mantex_sparse_solution_converged(s) == 1);
    CHECK(mantex_sparse_solution_iterations(s) > 0 && mantex_sparse_solution_iterations(s) < 50);
    CHECK(mantex_sparse_solution_rows(s) == 2 && mantex_sparse_solution_cols(s) == 3);
    CHECK(mantex_sparse_solution_marginal_error(s) <= (sizeof(REAL) == 4 ? 1e-4 : 1e-6));

    /* The plan is that of the potentials, and has the marginals and the reported values. */
    REAL plan[8];
    plan[3] = 99;
    OK(F(mantex_sparse_solution_plan)(s, 2, 3, plan, 4));
    CHECK(plan[3] == 99);
    const double *f = mantex_sparse_solution_f(s), *g = mantex_sparse_solution_g(s);
    double paid = 0, square = 0, dual = 0, columns[3] = {0};
    size_t entries = 0;
    for (int i = 0; i < 2; i++) {
        double row = 0;
        dual += f[i] * (double)a[i];
        for (int j = 0; j < 3; j++) {
            const double p = plan[4 * i + j], height = f[i] + g[j] - cost[4 * i + j];
            NEAR(p, height > 0 ? height / gamma : 0, 1e-6);
            row += p;
            columns[j] += p;
            paid += p * cost[4 * i + j];
            square += p * p;
            entries += p > 0;
        }
        NEAR(row, a[i], 1e-6);
    }
    for (int j = 0; j < 3; j++) {
        NEAR(columns[j], b[j], 1e-4);
        dual += g[j] * (double)b[j];
    }
    CHECK(plan[2] == 0 && entries < 6);
    NEAR(mantex_sparse_solution_cost(s), paid, 1e-6);
    NEAR(mantex_sparse_solution_value(s), paid + gamma / 2 * square, 1e-6);
    NEAR(mantex_sparse_solution_dual_value(s), dual - gamma / 2 * square, 1e-4);
    NEAR(mantex_sparse_solution_value(s), mantex_sparse_solution_dual_value(s), 1e-3);

    /* Compressed rows, which outlive the solution. */
    mantex_csr_plan *csr = NULL;
    OK(F(mantex_sparse_solution_plan_csr)(s, &csr));
    FAILS(F(mantex_sparse_solution_plan_csr)(s, NULL), MANTEX_ERROR_NULL, "`plan`");
    FAILS(F(mantex_sparse_solution_plan_csr)(NULL, &csr), MANTEX_ERROR_NULL, "`solution`");
    FAILS(OTHER(mantex_sparse_solution_plan_csr)(s, &csr), MANTEX_ERROR_TYPE, "other element type");
    FAILS(OTHER(mantex_sparse_solution_plan)(s, 0, 0, NULL, 0), MANTEX_ERROR_TYPE, "other element type");
    FAILS(F(mantex_sparse_solution_plan)(s, 3, 2, plan, 2), MANTEX_ERROR_SHAPE, "`out` is 3 x 2; it must be 2 x 3");
    FAILS(F(mantex_sparse_solution_plan)(s, 2, 3, plan, 2), MANTEX_ERROR_SHAPE, "`out_stride` is 2");
    FAILS(F(mantex_sparse_solution_plan)(s, 2, 3, NULL, 3), MANTEX_ERROR_NULL, "`out`");
    FAILS(F(mantex_sparse_solution_plan)(s, 2, 3, (REAL *)((char *)plan + 1), 3), MANTEX_ERROR_ALIGNMENT, "`out`");
    FAILS(F(mantex_sparse_solution_plan)(s, SIZE_MAX, 3, plan, 3), MANTEX_ERROR_SIZE, "`out`");
    FAILS(F(mantex_sparse_solution_plan)(NULL, 2, 3, plan, 3), MANTEX_ERROR_NULL, "`solution`");
    mantex_sparse_solution_free(s);
    CHECK(mantex_csr_plan_rows(csr) == 2 && mantex_csr_plan_cols(csr) == 3 && mantex_csr_plan_len(csr) == entries);
    const size_t *row_pointers = mantex_csr_plan_row_pointers(csr);
    CHECK(row_pointers[0] == 0 && row_pointers[2] == entries);
    for (size_t i = 0; i < 2; i++)
        for (size_t at = row_pointers[i]; at < row_pointers[i + 1]; at++)
            CHECK(F(mantex_csr_plan_masses)(csr)[at] == plan[4 * i + mantex_csr_plan_columns(csr)[at]]);
    CHECK(OTHER(mantex_csr_plan_masses)(csr) == NULL);
    mantex_csr_plan_free(csr);

    /* Limits: of entries per row, of iterations, and of the callback. */
    INIT();
    options.max_entries_per_row = 1;
    OK(SOLVE(&s));
    OK(F(mantex_sparse_solution_plan_csr)(s, &csr));
    CHECK(mantex_csr_plan_len(csr) == 2 && mantex_csr_plan_row_pointers(csr)[1] == 1);
    CHECK(F(mantex_csr_plan_masses)(csr)[0] == a[0] && F(mantex_csr_plan_masses)(csr)[1] == a[1]);
    CHECK(mantex_sparse_solution_converged(s) == 0 && mantex_sparse_solution_marginal_error(s) > 0.1);
    mantex_csr_plan_free(csr);
    mantex_sparse_solution_free(s);
    INIT();
    options.max_iterations = 0;
    OK(SOLVE(&s));
    CHECK(mantex_sparse_solution_iterations(s) == 0);
    mantex_sparse_solution_free(s);
    const REAL skewed[2] = {(REAL)0.3, (REAL)0.7};
    F(counter) counter = {0, 1, 0};
    INIT();
    options.tolerance = 0;
    options.on_iteration = F(on_sparse);
    options.user_data = &counter;
    OK(F(mantex_sparse_transport_solve)(2, 3, cost, 4, skewed, b, &options, &s));
    CHECK(mantex_sparse_solution_status(s) == MANTEX_SOLVE_STOPPED && mantex_sparse_solution_iterations(s) == 1);
    CHECK(counter.calls == 1 && counter.last >= gamma);
    mantex_sparse_solution_free(s);
    counter = (F(counter)){0, 0, 0};
    OK(F(mantex_sparse_transport_solve)(2, 3, cost, 4, skewed, b, &options, &s));
    CHECK(counter.calls > 1 && counter.calls == (int)mantex_sparse_solution_iterations(s) && counter.last == gamma);
    CHECK(mantex_sparse_solution_converged(s) == 1);
    mantex_sparse_solution_free(s);

    /* Forbidden pairs, and masses of 0. */
    const REAL walls[4] = {0, INFINITY, 1, 0}, part[2] = {(REAL)0.25, (REAL)0.75}, last[2] = {0, 1};
    INIT();
    OK(F(mantex_sparse_transport_solve)(2, 2, walls, 2, part, a, &options, &s));
    CHECK(mantex_sparse_solution_converged(s) == 1);
    OK(F(mantex_sparse_solution_plan)(s, 2, 2, plan, 2));
    CHECK(plan[1] == 0);
    NEAR(plan[2], 0.25, 1e-4);
    mantex_sparse_solution_free(s);
    OK(F(mantex_sparse_transport_solve)(2, 2, walls, 2, last, a, &options, &s));
    CHECK(mantex_sparse_solution_f(s)[0] == -INFINITY && isfinite(mantex_sparse_solution_f(s)[1]));
    mantex_sparse_solution_free(s);
    OK(F(mantex_sparse_transport_solve)(2, 2, walls, 2, a, part, &options, &s));
    CHECK(mantex_sparse_solution_status(s) == MANTEX_SOLVE_INFEASIBLE);
    mantex_sparse_solution_free(s);
    s = none;
    FAILS(F(mantex_sparse_transport_solve)(2, 2, walls, 2, a, last, &options, &s), MANTEX_ERROR_INFEASIBLE, "row 0");

    /* Errors leave the handle's variable as it was. */
    INIT();
    options.gamma = 0;
    FAILS(SOLVE(&s), MANTEX_ERROR_PARAMETER, "`gamma` is 0");
    INIT();
    options.tolerance = -2;
    FAILS(SOLVE(&s), MANTEX_ERROR_PARAMETER, "`tolerance` is -2");
    INIT();
    options.max_entries_per_row = 0;
    FAILS(SOLVE(&s), MANTEX_ERROR_PARAMETER, "`max_entries_per_row` is 0; it must be at least 1");
    INIT();
    options.isa = (mantex_isa)100;
    FAILS(SOLVE(&s), MANTEX_ERROR_ENUM, "`isa` is 100");
    INIT();
    options.reserved[7] = 1;
    FAILS(SOLVE(&s), MANTEX_ERROR_OPTIONS, "mantex_sparse_transport_options_init");
    memset(&options, 0, sizeof options);
    FAILS(SOLVE(&s), MANTEX_ERROR_OPTIONS, "mantex_sparse_transport_options_init");
    FAILS(mantex_sparse_transport_options_init(NULL, gamma), MANTEX_ERROR_NULL, "`options` is NULL");
    INIT();
#define CALL(rows, cols, cost, stride, a, b, s) F(mantex_sparse_transport_solve)(rows, cols, cost, stride, a, b, &options, s)
    FAILS(F(mantex_sparse_transport_solve)(2, 3, cost, 4, a, b, NULL, &s), MANTEX_ERROR_NULL, "`options` is NULL");
    FAILS(CALL(2, 3, NULL, 4, a, b, &s), MANTEX_ERROR_NULL, "`cost`");
    FAILS(CALL(2, 3, cost, 4, NULL, b, &s), MANTEX_ERROR_NULL, "`a`");
    FAILS(CALL(2, 3, cost, 4, a, NULL, &s), MANTEX_ERROR_NULL, "`b`");
    FAILS(SOLVE(NULL), MANTEX_ERROR_NULL, "`solution`");
    FAILS(CALL(2, 3, (const REAL *)((const char *)cost + 1), 4, a, b, &s), MANTEX_ERROR_ALIGNMENT, "`cost`");
    FAILS(CALL(SIZE_MAX, 3, cost, 4, a, b, &s), MANTEX_ERROR_SIZE, "`cost`");
    FAILS(CALL(2, 3, cost, 2, a, b, &s), MANTEX_ERROR_SHAPE, "`cost_stride` is 2");
    FAILS(CALL(0, 0, NULL, 0, NULL, NULL, &s), MANTEX_ERROR_SHAPE, "`cost` is empty");
    FAILS(CALL(2, 3, cost, 4, b, b, &s), MANTEX_ERROR_SUM, "`a` sums to 0.75");
    const REAL negative[2] = {-1, 2}, nan[4] = {0, (REAL)NAN, 0, 0};
    FAILS(CALL(2, 3, cost, 4, negative, b, &s), MANTEX_ERROR_ELEMENT, "`a` has -1");
    FAILS(CALL(2, 2, nan, 2, a, a, &s), MANTEX_ERROR_ELEMENT, "`cost` has NaN at (0, 1)");
    CHECK(s == none);
    /* The handle's variable must not be among the inputs. */
    union {
        mantex_sparse_solution *solution;
        REAL masses[2];
    } shared = {.masses = {(REAL)0.5, (REAL)0.5}};
    FAILS(CALL(2, 3, cost, 4, shared.masses, b, &shared.solution), MANTEX_ERROR_OVERLAP, "`solution` overlaps `a`");

    /* Getters of no handle. */
    CHECK(mantex_sparse_solution_status(NULL) == MANTEX_SOLVE_NONE && mantex_sparse_solution_iterations(NULL) == 0);
    CHECK(mantex_sparse_solution_converged(NULL) == 0 && isnan(mantex_sparse_solution_marginal_error(NULL)));
    CHECK(isnan(mantex_sparse_solution_cost(NULL)) && isnan(mantex_sparse_solution_value(NULL)));
    CHECK(isnan(mantex_sparse_solution_dual_value(NULL)));
    CHECK(mantex_sparse_solution_f(NULL) == NULL && mantex_sparse_solution_g(NULL) == NULL);
    CHECK(mantex_sparse_solution_rows(NULL) == 0 && mantex_sparse_solution_cols(NULL) == 0);
    mantex_sparse_solution_free(NULL);
#undef INIT
#undef SOLVE
#undef CALL
}
