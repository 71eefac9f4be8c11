/* Softmax, optimal transport and k-medoids from C11. README.md says how to build it. */
#include <mantex.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program if a call fails. */
static void check(mantex_status status)
{
    if (status != MANTEX_OK) {
        fprintf(stderr, "%s: %s\n", mantex_status_name(status), mantex_last_error());
        exit(1);
    }
}

static void softmax(void)
{
    /* A slice. */
    const float logits[3] = {1, 2, 3};
    float p[3];
    check(mantex_softmax_f32(3, logits, p, MANTEX_ISA_BEST));
    printf("softmax: %.4f %.4f %.4f\n", p[0], p[1], p[2]);

    /* Rows with a temperature and a causal mask; the third column is a gap. */
    const double scores[6] = {1, 3, -1, 5, 7, -1};
    double attention[4];
    mantex_softmax_options_f64 options;
    check(mantex_softmax_options_init_f64(&options));
    options.scale = 0.5;
    options.causal = 1;
    check(mantex_softmax_rows_f64(2, 2, scores, 3, attention, 2, &options));
    printf("attention: %.4f %.4f / %.4f %.4f\n", attention[0], attention[1], attention[2], attention[3]);

    /* The same on several threads, which pays in large matrices: with the same bits. */
    options.parallel = 1;
    check(mantex_softmax_rows_f64(2, 2, scores, 3, attention, 2, &options));

    /* A loss and its gradient; the second row does not count. */
    const size_t classes[2] = {1, MANTEX_IGNORED};
    double losses[2], gradient[4];
    check(mantex_cross_entropy_gradient_rows_f64(2, 2, scores, 3, classes, 1, losses, gradient, 2, NULL));
    printf("losses: %.4f %.4f, gradient: %.4f %.4f\n", losses[0], losses[1], gradient[0], gradient[1]);

    /* A sum in two parts, which never overflows. */
    const double parts[4] = {1000, 1001, 1002, 1003};
    mantex_ext_sum_f64 sum, part;
    double ln;
    check(mantex_ext_sum_of_f64(2, parts, &sum, MANTEX_ISA_BEST));
    check(mantex_ext_sum_of_f64(2, parts + 2, &part, MANTEX_ISA_BEST));
    check(mantex_ext_sum_merge_f64(&sum, &part));
    check(mantex_ext_sum_ln_f64(&sum, &ln));
    printf("log-sum-exp: %.4f\n", ln);
}

/* Prints every tenth iteration, and stops after as many as *limit. */
static int on_iteration(const mantex_sinkhorn_progress *progress, void *limit)
{
    if (progress->iteration % 10 == 0) printf("  iteration %zu: error %.1e\n", progress->iteration, progress->error);
    return progress->iteration >= *(const size_t *)limit;
}

static void transport(void)
{
    /* Half of the mass is at each of two places, to be moved to three places. */
    const double cost[6] = {0, 1, 2, 2, 1, 0}, a[2] = {0.5, 0.5}, b[3] = {0.25, 0.5, 0.25};
    size_t limit = 500;
    double plan[6];
    mantex_sinkhorn_options options;
    mantex_transport *solution = NULL;
    check(mantex_sinkhorn_options_init(&options, 0.05));
    options.tolerance = 1e-9;
    options.on_iteration = on_iteration;
    options.user_data = &limit;
    check(mantex_sinkhorn_solve_f64(2, 3, cost, 3, a, b, &options, &solution));
    check(mantex_transport_plan_f64(solution, 2, 3, cost, 3, plan, 3));
    printf("transport: status %d, cost %.4f, plan %.2f %.2f %.2f / %.2f %.2f %.2f\n",
           (int)mantex_transport_status(solution), mantex_transport_cost(solution), plan[0], plan[1], plan[2], plan[3],
           plan[4], plan[5]);
    mantex_transport_free(solution);

    /* Three targets at once, with the same source. */
    const double targets[9] = {0.25, 0.5, 0.25, 0, 1, 0, 1, 0, 0};
    mantex_transport_batch *batch = NULL;
    check(mantex_sinkhorn_options_init(&options, 0.05));
    check(mantex_sinkhorn_solve_batch_f64(2, 3, cost, 3, 1, a, 2, 3, targets, 3, &options, &batch));
    for (size_t p = 0; p < mantex_transport_batch_len(batch); p++)
        printf("  target %zu: value %.4f\n", p, mantex_transport_batch_value(batch, p));
    mantex_transport_batch_free(batch);
}

static void sparse_transport(void)
{
    /* Quadratic regularization: most entries of the plan are exactly 0. */
    const double cost[6] = {0, 1, 2, 2, 1, 0}, a[2] = {0.5, 0.5}, b[3] = {0.25, 0.5, 0.25};
    mantex_sparse_transport_options options;
    mantex_sparse_solution *solution = NULL;
    mantex_csr_plan *plan = NULL;
    check(mantex_sparse_transport_options_init(&options, 0.1));
    options.max_entries_per_row = 2;
    check(mantex_sparse_transport_solve_f64(2, 3, cost, 3, a, b, &options, &solution));
    printf("sparse transport: status %d, cost %.4f, entries", (int)mantex_sparse_solution_status(solution),
           mantex_sparse_solution_cost(solution));
    check(mantex_sparse_solution_plan_csr_f64(solution, &plan));
    const size_t *row_pointers = mantex_csr_plan_row_pointers(plan);
    for (size_t i = 0; i < mantex_csr_plan_rows(plan); i++)
        for (size_t at = row_pointers[i]; at < row_pointers[i + 1]; at++)
            printf(" (%zu, %u) %.2f", i, (unsigned)mantex_csr_plan_columns(plan)[at], mantex_csr_plan_masses_f64(plan)[at]);
    printf("\n");
    mantex_csr_plan_free(plan);
    mantex_sparse_solution_free(solution);
}

static void medoids(void)
{
    /* Six points on a line; the distances of all pairs. */
    const float points[6] = {0, 1, 2, 10, 11, 13};
    float distances[36], silhouettes[6];
    double mean;
    mantex_kmedoids_options options;
    mantex_clustering *clustering = NULL;
    check(mantex_distance_matrix_f32(6, 1, points, 1, distances, 6, MANTEX_METRIC_EUCLIDEAN, MANTEX_ISA_BEST));
    check(mantex_kmedoids_options_init(&options, 2));
    options.init = MANTEX_INIT_BUILD;
    check(mantex_kmedoids_fit_f32(6, distances, 6, NULL, &options, &clustering));
    const size_t *labels = mantex_clustering_labels(clustering), *found = mantex_clustering_medoids(clustering);
    printf("k-medoids: loss %g, labels", mantex_clustering_loss(clustering));
    for (size_t i = 0; i < 6; i++) printf(" %zu", labels[i]);
    check(mantex_silhouette_f32(6, distances, 6, labels, NULL, silhouettes, &mean, MANTEX_ISA_BEST));
    printf(", silhouette %.3f\n", mean);

    /* The cluster of a new point. */
    const float point = 9, centers[2] = {points[found[0]], points[found[1]]};
    float to_medoids[2], distance;
    size_t label;
    check(mantex_distance_matrix_between_f32(1, 2, 1, &point, 1, centers, 1, to_medoids, 2, MANTEX_METRIC_EUCLIDEAN,
                                             MANTEX_ISA_BEST));
    check(mantex_clustering_predict_f32(clustering, 1, 2, to_medoids, 2, &label, &distance));
    printf("  a point at 9 is in the cluster of the point at %g\n", centers[label]);
    mantex_clustering_free(clustering);
}

int main(void)
{
    printf("mantex %s on %s\n", mantex_version(), mantex_isa_name(MANTEX_ISA_BEST));
    softmax();
    transport();
    sparse_transport();
    medoids();

    /* An error says which argument is wrong, and what it must be. */
    float x = 1;
    if (mantex_softmax_f32(1, &x, &x, MANTEX_ISA_BEST) != MANTEX_ERROR_OVERLAP) return 1;
    printf("error: %s\n", mantex_last_error());
    return 0;
}
