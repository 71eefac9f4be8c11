/* The option parallel: several threads give the bits of one, in C11. */
#include "check.h"

/* A few long rows, and costs and dissimilarities that are worth several threads. */
enum { ROWS = 2, COLS = 600007, N = 800 };

/* Numbers from 0 to 1. */
static float *numbers(size_t len)
{
    float *x = malloc(len * sizeof *x);
    unsigned state = 1;
    for (size_t i = 0; x != NULL && i < len; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) / 16777216.0f;
    }
    return x;
}

static void long_rows(void)
{
    float *x = numbers((size_t)ROWS * COLS), *out[2] = {numbers((size_t)ROWS * COLS), numbers((size_t)ROWS * COLS)};
    float sums[2][ROWS], losses[2][ROWS];
    const size_t classes[ROWS] = {7, COLS - 1};
    mantex_softmax_options_f32 options;
    CHECK(x != NULL && out[0] != NULL && out[1] != NULL);
    OK(mantex_softmax_options_init_f32(&options));
    CHECK(options.parallel == 0);
    options.scale = 20;
    for (int parallel = 0; parallel < 2; parallel++) {
        options.parallel = parallel;
        OK(mantex_softmax_rows_f32(ROWS, COLS, x, COLS, out[parallel], COLS, &options));
        OK(mantex_log_sum_exp_rows_f32(ROWS, COLS, x, COLS, sums[parallel], &options));
        OK(mantex_cross_entropy_rows_f32(ROWS, COLS, x, COLS, classes, losses[parallel], &options));
    }
    CHECK(memcmp(out[0], out[1], sizeof(float) * ROWS * COLS) == 0);
    CHECK(memcmp(sums[0], sums[1], sizeof sums[0]) == 0 && memcmp(losses[0], losses[1], sizeof losses[0]) == 0);
    for (int parallel = 0; parallel < 2; parallel++) {
        memcpy(out[parallel], x, sizeof(float) * ROWS * COLS);
        options.parallel = parallel;
        OK(mantex_log_softmax_rows_in_place_f32(ROWS, COLS, out[parallel], COLS, &options));
    }
    CHECK(memcmp(out[0], out[1], sizeof(float) * ROWS * COLS) == 0);
    options.parallel = 1;
    FAILS(mantex_softmax_rows_f32(ROWS, COLS, x, COLS, x, COLS, &options), MANTEX_ERROR_OVERLAP, "`out` overlaps `x`");
    free(x);
    free(out[0]);
    free(out[1]);
}

/* Counts its calls. */
static int count(const mantex_sinkhorn_progress *progress, void *user_data)
{
    CHECK(progress->iteration > 0);
    ++*(int *)user_data;
    return 0;
}

static void sparse_plans(const float *cost, const float *masses)
{
    mantex_sparse_transport_options options;
    mantex_sparse_solution *solution[2] = {NULL, NULL};
    OK(mantex_sparse_transport_options_init(&options, 1e-3 * N));
    for (int parallel = 0; parallel < 2; parallel++) {
        options.parallel = parallel;
        OK(mantex_sparse_transport_solve_f32(N, N, cost, N, masses, masses, &options, &solution[parallel]));
    }
    const double *g[2] = {mantex_sparse_solution_g(solution[0]), mantex_sparse_solution_g(solution[1])};
    CHECK(memcmp(g[0], g[1], N * sizeof(double)) == 0);
    CHECK(mantex_sparse_solution_value(solution[0]) == mantex_sparse_solution_value(solution[1]));
    for (int i = 0; i < 2; i++) mantex_sparse_solution_free(solution[i]);
}

static void solvers(void)
{
    float *cost = numbers((size_t)N * N), masses[N];
    mantex_sinkhorn_options options;
    mantex_kmedoids_options clusters;
    mantex_transport *transport[2] = {NULL, NULL};
    mantex_clustering *clustering[2] = {NULL, NULL};
    int calls[2] = {0, 0};
    CHECK(cost != NULL);
    for (size_t i = 0; i < N; i++) masses[i] = 1;
    OK(mantex_sinkhorn_options_init(&options, 0.05));
    OK(mantex_kmedoids_options_init(&clusters, 5));
    options.on_iteration = count;
    for (int parallel = 0; parallel < 2; parallel++) {
        options.parallel = parallel;
        options.user_data = &calls[parallel];
        OK(mantex_sinkhorn_solve_f32(N, N, cost, N, masses, masses, &options, &transport[parallel]));
        clusters.parallel = parallel;
        OK(mantex_kmedoids_fit_f32(N, cost, N, NULL, &clusters, &clustering[parallel]));
    }
    CHECK(calls[0] > 0 && calls[0] == calls[1]);
    CHECK(memcmp(mantex_transport_f(transport[0]), mantex_transport_f(transport[1]), N * sizeof(double)) == 0);
    CHECK(mantex_transport_cost(transport[0]) == mantex_transport_cost(transport[1]));
    CHECK(memcmp(mantex_clustering_labels(clustering[0]), mantex_clustering_labels(clustering[1]), N * sizeof(size_t)) == 0);
    CHECK(mantex_clustering_loss(clustering[0]) == mantex_clustering_loss(clustering[1]));
    for (int i = 0; i < 2; i++) {
        mantex_transport_free(transport[i]);
        mantex_clustering_free(clustering[i]);
    }
    sparse_plans(cost, masses);
    free(cost);
}

int main(void)
{
    long_rows();
    solvers();
    printf("threads: %d checks passed\n", checks);
    return 0;
}
