// Tests of mantex.hpp: every function of it, spans of all kinds, shapes that do not fit, and
// exceptions. `bindings/c/test` runs it, also under valgrind.
#include <mantex.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

static int checks;

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition);          \
            std::exit(1);                                                         \
        }                                                                         \
        checks++;                                                                 \
    } while (0)

template <class Call>
static bool fails(mantex_status status, const char *text, Call call)
{
    try {
        call();
    } catch (const mantex::error &error) {
        return error.status() == status && std::string(error.what()).find(text) != std::string::npos;
    }
    return false;
}

template <class T>
static bool near(T x, double y)
{
    return std::fabs(static_cast<double>(x) - y) <= (sizeof(T) == 4 ? 1e-5 : 1e-12);
}

template <class T>
static void softmax()
{
    const std::vector<T> x{1, 2, 3, 4};
    std::array<T, 4> p{}, y{}, d{1, 0, 0, 0}, out{};
    T array[4] = {1, 2, 3, 4};
    mantex::softmax<T>(x, p);
    mantex::log_softmax<T>(array, y);
    CHECK(near(y[0], std::log(static_cast<double>(p[0]))) && near(y[0], 1 - mantex::log_sum_exp<T>(x)));
    mantex::softmax_in_place<T>(array);
    CHECK(array[0] == p[0] && array[3] == p[3]);
    mantex::log_softmax_in_place<T>({array, 2}, MANTEX_ISA_SCALAR);
    mantex::softmax_backward<T>(p, d, out);
    CHECK(near(out[0], p[0] * (1 - p[0])));
    mantex::softmax_backward_rows<T>({p, 1, 4}, {d, 1, 4}, {array, 1, 4});
    CHECK(array[0] == out[0]);
    mantex::log_softmax_backward<T>(y, d, out);
    CHECK(near(out[0], 1 - p[0]));
    mantex::log_softmax_backward_rows<T>({y, 1, 4}, {d, 1, 4}, {array, 1, 4});
    CHECK(array[0] == out[0]);

    mantex::stablemax<T>(x, p);
    CHECK(near(p[0], 2.0 / 14));
    mantex::log_stablemax<T>(x, y);
    CHECK(near(y[0], std::log(2.0 / 14)));
    mantex::stablemax_rows<T>({x, 2, 2}, {out, 2, 2});
    CHECK(near(out[0], 0.4));
    mantex::log_stablemax_rows<T>({x, 2, 2}, {out, 2, 2});
    CHECK(near(out[0], std::log(0.4)));
    mantex::stablemax_backward<T>(x, d, out);
    CHECK(near(out[0], (1 - p[0]) / 14));
    mantex::stablemax_backward_rows<T>({x, 1, 4}, {d, 1, 4}, {array, 1, 4});
    CHECK(array[0] == out[0]);
    mantex::log_stablemax_backward<T>(x, d, out);
    CHECK(near(out[0], 0.5 - 1.0 / 14));
    mantex::log_stablemax_backward_rows<T>({x, 1, 4}, {d, 1, 4}, {array, 1, 4});
    CHECK(array[0] == out[0]);

    mantex::softmax_options<T> options;
    const std::array<T, 2> mask{0, -static_cast<T>(INFINITY)};
    options.set_mask({mask, 1, 2});
    mantex::softmax_rows<T>({x, 2, 2}, {out, 2, 2}, &options);
    CHECK(out[0] == 1 && out[3] == 0);
    T few[4]{};
    mantex::softmax_rows_in_place<T>({few, 2, 1, 3});
    CHECK(few[0] == 1 && few[1] == 0 && few[3] == 1);
    CHECK(fails(MANTEX_ERROR_SHAPE, "`data` has 4", [&] { mantex::softmax_rows_in_place<T>({few, 2, 2, 3}); }));
    CHECK(fails(MANTEX_ERROR_SHAPE, "`data` has 4", [&] { mantex::softmax_rows_in_place<T>({few, 2, 3}); }));
    CHECK(fails(MANTEX_ERROR_SHAPE, "a row of the mask", [&] { mantex::softmax_rows<T>({x, 1, 4}, {out, 1, 4}, &options); }));
    const std::vector<std::size_t> lengths{1, 2}, one_length{1};
    mantex::softmax_options<T> ragged;
    ragged.set_lengths(lengths);
    mantex::softmax_rows<T>({x, 2, 2}, {out, 2, 2}, &ragged);
    CHECK(out[0] == 1 && out[1] == 0 && near(out[2] + out[3], 1));
    ragged.set_lengths(one_length);
    CHECK(fails(MANTEX_ERROR_SHAPE, "`lengths` has 1", [&] { mantex::softmax_rows<T>({x, 2, 2}, {out, 2, 2}, &ragged); }));
    mantex::log_softmax_rows<T>({x, 2, 2}, {out, 2, 2}, &options);
    CHECK(out[0] == 0 && out[3] == -static_cast<T>(INFINITY));
    std::copy(x.begin(), x.end(), out.begin());
    mantex::softmax_rows_in_place<T>({out, 2, 2}, &options);
    CHECK(out[2] == 1);
    mantex::log_softmax_rows_in_place<T>({out, 2, 2});
    std::array<T, 2> losses{};
    mantex::log_sum_exp_rows<T>({x, 2, 2}, losses, &options);
    CHECK(losses[1] == 3);
    std::array<T, 4> columns{};
    mantex::softmax_columns<T>({x, 1, 4}, {columns, 1, 4});
    CHECK(columns[0] == 1 && columns[3] == 1);
    mantex::log_softmax_columns<T>({x, 1, 4}, {columns, 1, 4});
    CHECK(columns[0] == 0 && columns[3] == 0);
    mantex::softmax_columns_in_place<T>({columns, 2, 2});
    CHECK(near(columns[0], 0.5) && near(columns[3], 0.5));
    mantex::log_softmax_columns_in_place<T>({columns, 4, 1});
    CHECK(near(columns[3], -std::log(4.0)));
    columns = {};
    mantex::log_sum_exp_columns<T>({columns, 2, 2}, losses);
    CHECK(near(losses[1], std::log(2.0)));
    CHECK(fails(MANTEX_ERROR_SHAPE, "`out` has 2", [&] { mantex::log_sum_exp_columns<T>({columns, 1, 4}, losses); }));
    const std::vector<std::size_t> classes{0, 1};
    mantex::cross_entropy_rows<T>({x, 2, 2}, classes, losses);
    CHECK(near(losses[1], std::log1p(std::exp(-1.0))));
    mantex::cross_entropy_gradient_rows<T>({x, 2, 2}, classes, 1, losses, {out, 2, 2});
    CHECK(near(out[0] + out[1], 0) && out[0] < 0);

    mantex::ext_sum<T> sum;
    CHECK(sum.ln() == -static_cast<T>(INFINITY));
    sum = mantex::ext_sum<T>({x.data(), 2}) + mantex::ext_sum<T>({x.data() + 2, 2});
    CHECK(near(sum.ln(), mantex::log_sum_exp<T>(x)));

    CHECK(fails(MANTEX_ERROR_SHAPE, "`out` has 2 elements; it must have 4", [&] { mantex::softmax<T>(x, losses); }));
    CHECK(fails(MANTEX_ERROR_SHAPE, "`dx` is 2 x 2; it must be 1 x 4",
                [&] { mantex::softmax_backward_rows<T>({p, 1, 4}, {d, 1, 4}, {array, 2, 2}); }));
    CHECK(fails(MANTEX_ERROR_SHAPE, "`data` has 4 elements; it must have 6",
                [&] { mantex::softmax_rows_in_place<T>({out, 2, 3}); }));
    CHECK(fails(MANTEX_ERROR_SIZE, "SIZE_MAX", [&] { mantex::softmax_rows_in_place<T>({out, SIZE_MAX, 3}); }));
    CHECK(fails(MANTEX_ERROR_OVERLAP, "`out` overlaps `x`", [&] { mantex::softmax<T>(out, out); }));
    CHECK(fails(MANTEX_ERROR_SHAPE, "`classes` has 1",
                [&] { mantex::cross_entropy_rows<T>({x, 2, 2}, {classes.data(), 1}, losses); }));
}

template <class T>
static void transport()
{
    const std::vector<T> costs{0, 1, 2, 2, 1, 0}, a{static_cast<T>(0.5), static_cast<T>(0.5)};
    const std::vector<T> b{static_cast<T>(0.25), static_cast<T>(0.5), static_cast<T>(0.25)}, points{0, 1, 2};
    const mantex::matrix<const T> cost(costs, 2, 3);
    const mantex::sinkhorn_options options(0.05);
    auto first = mantex::sinkhorn<T>(cost, a, b, options);
    const mantex::transport<T> t = std::move(first);
    CHECK(t.converged() && t.iterations() > 0 && t.marginal_error() < 1e-3 && t.f().size() == 2 && t.g().size() == 3);
    std::array<T, 6> plan{};
    std::array<T, 3> columns{};
    std::array<T, 2> rows{};
    t.plan(cost, {plan, 2, 3});
    t.plan_times(cost, {points, 3, 1}, {rows, 2, 1});
    CHECK(near(rows[0], plan[1] + 2 * plan[2]));
    t.plan_transposed_times(cost, {a, 2, 1}, {columns, 3, 1});
    CHECK(near(columns[0], 0.5 * (plan[0] + plan[3])));
    t.barycentric_projection(cost, {points, 3, 1}, {rows, 2, 1});
    CHECK(rows[0] > 0 && rows[0] < 1);
    CHECK(t.objective(cost).gap >= 0);
    double listed = 0;
    t.plan_entries(cost, 0, [&](std::size_t i, std::size_t j, double mass) { return listed += mass, mass == plan[3 * i + j]; });
    CHECK(std::fabs(listed - 1) < 1e-3);
    const auto csr = t.plan_csr(cost, 0);
    CHECK(csr.rows() == 2 && csr.cols() == 3 && csr.size() == csr.row_pointers()[2] && csr.columns().size() == csr.size());
    for (std::size_t i = 0; i < 2; i++)
        for (std::size_t at = csr.row_pointers()[i]; at < csr.row_pointers()[i + 1]; at++)
            CHECK(csr.masses()[at] == plan[3 * i + csr.columns()[at]]);
    CHECK(fails(MANTEX_ERROR_PARAMETER, "`threshold`", [&] { t.plan_csr(cost, -1); }));
    int entries = 0;
    t.plan_entries(cost, 0, [&](auto, auto, auto) { return ++entries < 2; });
    CHECK(entries == 2);
    CHECK(fails(MANTEX_ERROR_PARAMETER, "`threshold`", [&] { t.plan_entries(cost, -1, [](auto, auto, auto) { return true; }); }));
    bool thrown_out = false;
    try {
        t.plan_entries(cost, 0, [](auto, auto, auto) -> bool { throw 8; });
    } catch (int thrown) {
        thrown_out = thrown == 8;
    }
    CHECK(thrown_out);
    auto warm = options;
    warm.set_warm_start(t.f(), t.g());
    warm.max_iterations = 0;
    CHECK(mantex::sinkhorn<T>(cost, a, b, warm).converged());
    warm.set_warm_start(t.f(), t.f());
    CHECK(fails(MANTEX_ERROR_SHAPE, "`warm_start_g` has 2", [&] { mantex::sinkhorn<T>(cost, a, b, warm); }));
    CHECK(first.handle() == nullptr && first.status() == MANTEX_SOLVE_NONE && std::isnan(first.cost()));

    int calls = 0;
    auto stopped = options;
    stopped.tolerance = 0;
    const auto progress = [&](const mantex_sinkhorn_progress &p) { return calls++, p.iteration < 3; };
    CHECK(mantex::sinkhorn<T>(cost, a, b, stopped, progress).iterations() == 3 && calls == 3);
    bool caught = false;
    try {
        mantex::sinkhorn<T>(cost, a, b, options, [](const auto &) -> bool { throw 7; });
    } catch (int thrown) {
        caught = thrown == 7;
    }
    CHECK(caught);
    CHECK(fails(MANTEX_ERROR_SHAPE, "`a` has 3 elements", [&] { mantex::sinkhorn<T>(cost, b, b, options); }));
    CHECK(fails(MANTEX_ERROR_PARAMETER, "`epsilon` is 0",
                [&] { mantex::sinkhorn<T>(cost, a, b, mantex::sinkhorn_options(0)); }));
    CHECK(fails(MANTEX_ERROR_SHAPE, "it must be 3 x 2",
                [&] { t.plan_times(cost, {rows, 1, 2}, {plan, 2, 3}); }));

    const auto batch = mantex::sinkhorn_batch<T>(cost, {a, 1, 2}, {b, 1, 3}, options);
    CHECK(batch.size() == 1 && batch.converged(0) && batch.iterations(0) > 0 && batch.marginal_error(0) < 1e-3);
    CHECK(std::isfinite(batch.value(0)) && batch.potentials(0).second.size() == 3);
    CHECK(fails(MANTEX_ERROR_PARAMETER, "`problem` is 1", [&] { batch.potentials(1); }));
}

template <class T>
static void sparse_transport()
{
    const std::vector<T> costs{0, 1, 2, 2, 1, 0}, a{static_cast<T>(0.5), static_cast<T>(0.5)};
    const std::vector<T> b{static_cast<T>(0.25), static_cast<T>(0.5), static_cast<T>(0.25)};
    const mantex::matrix<const T> cost(costs, 2, 3);
    mantex::sparse_transport_options options(0.1);
    auto first = mantex::sparse_transport<T>(cost, a, b, options);
    const mantex::sparse_solution<T> s = std::move(first);
    CHECK(s.converged() && s.iterations() < 50 && s.marginal_error() < 1e-3 && s.f().size() == 2 && s.g().size() == 3);
    CHECK(std::fabs(s.cost() - 0.5) < 1e-3 && std::fabs(s.value() - s.dual_value()) < 1e-3 && s.value() > s.cost());
    std::array<T, 8> plan{};
    s.plan({plan, 2, 3, 5});
    const auto csr = s.plan_csr();
    CHECK(csr.rows() == 2 && csr.cols() == 3 && csr.size() == 4 && csr.row_pointers()[1] == 2 && csr.columns()[2] == 1);
    CHECK(csr.masses()[0] == plan[0] && csr.masses()[3] == plan[7] && plan[2] == 0 && plan[3] == 0 && plan[5] == 0);
    CHECK(fails(MANTEX_ERROR_SHAPE, "`out` is 3 x 2", [&] { s.plan({plan.data(), 3, 2}); }));
    CHECK(first.handle() == nullptr && first.status() == MANTEX_SOLVE_NONE && std::isnan(first.value()));
    CHECK(fails(MANTEX_ERROR_NULL, "`solution`", [&] { first.plan_csr(); }));

    int calls = 0;
    options.tolerance = 0;
    const auto progress = [&](const mantex_sparse_transport_progress &p) { return calls++, p.gamma < 0.1; };
    const std::vector<T> skewed{static_cast<T>(0.3), static_cast<T>(0.7)};
    const auto stopped = mantex::sparse_transport<T>(cost, skewed, b, options, progress);
    CHECK(stopped.status() == MANTEX_SOLVE_STOPPED && stopped.iterations() == 1 && calls == 1);
    bool caught = false;
    try {
        mantex::sparse_transport<T>(cost, skewed, b, options, [](const auto &) -> bool { throw 7; });
    } catch (int thrown) {
        caught = thrown == 7;
    }
    CHECK(caught);
    CHECK(fails(MANTEX_ERROR_SHAPE, "`a` has 3 elements", [&] { mantex::sparse_transport<T>(cost, b, b, options); }));
    CHECK(fails(MANTEX_ERROR_SHAPE, "`b` has 2 elements", [&] { mantex::sparse_transport<T>(cost, a, a, options); }));
    CHECK(fails(MANTEX_ERROR_PARAMETER, "`gamma` is 0",
                [&] { mantex::sparse_transport<T>(cost, a, b, mantex::sparse_transport_options(0)); }));
}

template <class T>
static void medoids()
{
    const std::vector<T> points{0, 1, 2, 10, 11, 13}, weights(6, 1);
    std::vector<T> d(36), between(12), out(6);
    std::vector<std::size_t> labels(6);
    mantex::distance_matrix<T>({points, 6, 1}, {d, 6, 6}, MANTEX_METRIC_EUCLIDEAN);
    mantex::kmedoids_options options(2);
    int calls = 0;
    const mantex::clustering clustering = mantex::kmedoids<T>({d, 6, 6}, options, weights, [&](const auto &) { return ++calls > 0; });
    CHECK(clustering.converged() && clustering.loss() == 5 && calls == static_cast<int>(clustering.iterations()));
    CHECK(mantex::kmedoids<T>({d, 6, 6}, options).loss() == 5 && clustering.swaps() <= 6);
    bool caught = false;
    try {
        mantex::kmedoids<T>({d, 6, 6}, options, {}, [](const auto &) -> bool { throw 9; });
    } catch (int thrown) {
        caught = thrown == 9;
    }
    CHECK(caught);
    std::vector<T> none;
    none.reserve(6);
    CHECK(mantex::kmedoids<T>({d, 6, 6}, options, none).loss() == 5);
    std::vector<T> condensed, square(36);
    for (std::size_t i = 0; i < 6; i++) condensed.insert(condensed.end(), &d[6 * i] + i + 1, &d[6 * i] + 6);
    mantex::expand_condensed<T>(condensed, {square, 6, 6});
    CHECK(square == d);
    CHECK(mantex::kmedoids_condensed<T>(6, condensed, options).loss() == 5);
    CHECK(mantex::kmedoids_condensed<T>(6, condensed, options, weights, [](const auto &) { return false; }).iterations() == 1);
    CHECK(fails(MANTEX_ERROR_SHAPE, "`condensed` has 15 elements; it must have 21",
                [&] { mantex::kmedoids_condensed<T>(7, condensed, options); }));
    CHECK(fails(MANTEX_ERROR_SHAPE, "`condensed` has 15", [&] { mantex::kmedoids_condensed<T>(SIZE_MAX, condensed, options); }));
    CHECK(fails(MANTEX_ERROR_SHAPE, "`out` is 6 x 2", [&] { mantex::expand_condensed<T>(condensed, {between, 6, 2}); }));
    CHECK(fails(MANTEX_ERROR_PARAMETER, "`k` is 2",
                [&] { mantex::kmedoids_condensed<T>(0, std::vector<T>{}, options); }));
    const std::vector<std::size_t> given{0, 5}, three{0, 1, 5};
    auto from = options;
    from.set_initial_medoids(given);
    from.max_iterations = 0;
    const auto initial = mantex::kmedoids<T>({d, 6, 6}, from);
    CHECK(initial.medoids()[0] == 0 && initial.medoids()[1] == 5);
    from.set_initial_medoids(three);
    CHECK(fails(MANTEX_ERROR_SHAPE, "`initial_medoids` has 3", [&] { mantex::kmedoids<T>({d, 6, 6}, from); }));
    CHECK(mantex::silhouette<T>({d, 6, 6}, clustering.labels(), out) > 0.8);
    CHECK(mantex::silhouette<T>({d, 6, 6}, clustering.labels(), out, weights) > 0.8);
    CHECK(mantex::medoid_silhouette<T>({d, 6, 6}, clustering.medoids(), out) > 0.8);
    std::vector<T> centers;
    for (const auto medoid : clustering.medoids()) centers.push_back(points[medoid]);
    mantex::distance_matrix_between<T>({points, 6, 1}, {centers, 2, 1}, {between, 6, 2}, MANTEX_METRIC_MANHATTAN);
    clustering.predict<T>({between, 6, 2}, labels, out);
    CHECK(std::equal(labels.begin(), labels.end(), clustering.labels().begin()));
    mantex::assign<T>({between, 6, 2}, labels, out, MANTEX_ISA_SCALAR);
    CHECK(std::equal(labels.begin(), labels.end(), clustering.labels().begin()));
    CHECK(fails(MANTEX_ERROR_SHAPE, "`weights` has 2", [&] { mantex::kmedoids<T>({d, 6, 6}, options, centers); }));
    CHECK(fails(MANTEX_ERROR_PARAMETER, "`k` is 0",
                [&] { mantex::kmedoids<T>({d, 6, 6}, mantex::kmedoids_options(0)); }));
    CHECK(fails(MANTEX_ERROR_SHAPE, "`out` is 6 x 2",
                [&] { mantex::distance_matrix<T>({points, 6, 1}, {between, 6, 2}, MANTEX_METRIC_COSINE); }));
}

int main()
{
    softmax<float>();
    softmax<double>();
    transport<float>();
    transport<double>();
    sparse_transport<float>();
    sparse_transport<double>();
    medoids<float>();
    medoids<double>();
    std::printf("wrapper: %d checks passed\n", checks);
}
