// Softmax, optimal transport and k-medoids from C++17. README.md says how to build it.
#include <mantex.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <vector>

static void softmax()
{
    const std::vector<float> logits{1, 2, 3};
    std::vector<float> p(3);
    mantex::softmax<float>(logits, p);
    std::printf("softmax: %.4f %.4f %.4f\n", p[0], p[1], p[2]);
    std::printf("log-sum-exp: %.4f\n", mantex::log_sum_exp<float>(logits));

    // Rows with a temperature and a causal mask; the third column is a gap.
    const double scores[6] = {1, 3, -1, 5, 7, -1};
    double attention[4];
    mantex::softmax_options<double> options;
    options.scale = 0.5;
    options.causal = 1;
    mantex::softmax_rows<double>({scores, 2, 2, 3}, {attention, 2, 2}, &options);
    std::printf("attention: %.4f %.4f / %.4f %.4f\n", attention[0], attention[1], attention[2], attention[3]);

    // The same on several threads, which pays in large matrices: with the same bits.
    options.parallel = 1;
    mantex::softmax_rows<double>({scores, 2, 2, 3}, {attention, 2, 2}, &options);

    const std::array<std::size_t, 2> classes{1, MANTEX_IGNORED};
    std::array<double, 2> losses;
    std::array<double, 4> gradient;
    mantex::cross_entropy_gradient_rows<double>({scores, 2, 2, 3}, classes, 1, losses, {gradient, 2, 2});
    std::printf("losses: %.4f %.4f, gradient: %.4f %.4f\n", losses[0], losses[1], gradient[0], gradient[1]);

    mantex::ext_sum<float> sum(logits);
    sum += sum;
    std::printf("twice: %.4f\n", sum.ln());

    for (const mantex_isa isa : {MANTEX_ISA_SCALAR, MANTEX_ISA_AVX2, MANTEX_ISA_AVX512, MANTEX_ISA_NEON}) {
        if (!mantex::is_available(isa)) continue;
        std::vector<float> q(3);
        mantex::softmax<float>(logits, q, isa);
        if (std::fabs(q[0] - p[0]) > 1e-6) throw std::logic_error("instruction sets differ");
    }
}

static void transport()
{
    const std::vector<double> costs{0, 1, 2, 2, 1, 0}, a{0.5, 0.5}, b{0.25, 0.5, 0.25};
    const mantex::matrix<const double> cost(costs, 2, 3);
    mantex::sinkhorn_options options(0.05);
    options.tolerance = 1e-9;
    int calls = 0;
    const auto solution = mantex::sinkhorn<double>(cost, a, b, options, [&](const auto &) { return ++calls < 500; });
    std::vector<double> plan(6), row_sums(2);
    solution.plan(cost, {plan, 2, 3});
    solution.plan_times(cost, {std::array<double, 3>{1, 1, 1}, 3, 1}, {row_sums, 2, 1});
    std::printf("transport: cost %.4f, plan %.2f %.2f %.2f, row sums %.2f %.2f, gap below 1e-6: %d, converged: %d\n",
                solution.cost(), plan[0], plan[1], plan[2], row_sums[0], row_sums[1],
                solution.objective(cost).gap < 1e-6, solution.converged());
    if (calls == 0 || solution.f().size() != 2) throw std::logic_error("no iterations");

    const std::vector<double> targets{0.25, 0.5, 0.25, 0, 1, 0, 1, 0, 0};
    const auto batch = mantex::sinkhorn_batch<double>(cost, {a, 1, 2}, {targets, 3, 3}, mantex::sinkhorn_options(0.05));
    for (std::size_t p = 0; p < batch.size(); p++)
        std::printf("  target %zu: value %.4f, f[0] %.4f\n", p, batch.value(p), batch.potentials(p).first[0]);

    // An exception of a callback comes out of the call.
    try {
        mantex::sinkhorn<double>(cost, a, b, options, [](const auto &) -> bool { throw std::runtime_error("enough"); });
        throw std::logic_error("nothing was thrown");
    } catch (const std::runtime_error &thrown) {
        std::printf("  stopped: %s\n", thrown.what());
    }
}

static void sparse_transport()
{
    // Quadratic regularization: most entries of the plan are exactly 0.
    const std::vector<double> costs{0, 1, 2, 2, 1, 0}, a{0.5, 0.5}, b{0.25, 0.5, 0.25};
    mantex::sparse_transport_options options(0.1);
    options.max_entries_per_row = 2;
    const auto solution = mantex::sparse_transport<double>({costs, 2, 3}, a, b, options);
    std::printf("sparse transport: cost %.4f, converged: %d, entries", solution.cost(), solution.converged());
    const auto plan = solution.plan_csr();
    for (std::size_t i = 0; i < plan.rows(); i++)
        for (std::size_t at = plan.row_pointers()[i]; at < plan.row_pointers()[i + 1]; at++)
            std::printf(" (%zu, %u) %.2f", i, static_cast<unsigned>(plan.columns()[at]), plan.masses()[at]);
    std::printf("\n");
}

static void medoids()
{
    const std::vector<float> points{0, 1, 2, 10, 11, 13};
    std::vector<float> distances(36), silhouettes(6);
    mantex::distance_matrix<float>({points, 6, 1}, {distances, 6, 6}, MANTEX_METRIC_EUCLIDEAN);
    mantex::kmedoids_options options(2);
    options.init = MANTEX_INIT_BUILD;
    const auto clustering = mantex::kmedoids<float>({distances, 6, 6}, options);
    std::printf("k-medoids: loss %g, labels", clustering.loss());
    for (const std::size_t label : clustering.labels()) std::printf(" %zu", label);
    std::printf(", silhouette %.3f\n", mantex::silhouette<float>({distances, 6, 6}, clustering.labels(), silhouettes));

    std::vector<float> centers, to_medoids(2), nearest(1);
    std::vector<std::size_t> label(1);
    for (const std::size_t medoid : clustering.medoids()) centers.push_back(points[medoid]);
    mantex::distance_matrix_between<float>({std::array<float, 1>{9}, 1, 1}, {centers, 2, 1}, {to_medoids, 1, 2},
                                           MANTEX_METRIC_EUCLIDEAN);
    clustering.predict<float>({to_medoids, 1, 2}, label, nearest);
    std::printf("  a point at 9 is in the cluster of the point at %g\n", centers[label[0]]);
}

int main()
{
    std::printf("mantex %s on %s\n", mantex_version(), mantex_isa_name(mantex::best_isa()));
    softmax();
    transport();
    sparse_transport();
    medoids();
    try {
        std::vector<float> x(2), out(3);
        mantex::softmax<float>(x, out);
        return 1;
    } catch (const mantex::error &error) {
        std::printf("error %d: %s\n", static_cast<int>(error.status()), error.what());
    }
}
