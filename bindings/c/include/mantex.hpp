// mantex for C++17: spans and matrix views instead of pointers, exceptions instead of status codes,
// and handles that free themselves. Header-only, over mantex.h, whose documentation has the
// formulas and the rules for arrays. Every function is a template over float and double.
#ifndef MANTEX_HPP
#define MANTEX_HPP

#include "mantex.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mantex {

// ---- errors

// What every failed call throws: the message of mantex_last_error(), with its status.
class error : public std::runtime_error {
public:
    explicit error(mantex_status status) : error(status, mantex_last_error()) {}
    error(mantex_status status, const std::string &message) : std::runtime_error(message), status_(status) {}
    mantex_status status() const noexcept { return status_; }

private:
    mantex_status status_;
};

namespace detail {

inline void check(mantex_status status)
{
    if (status != MANTEX_OK) throw error(status);
}

inline void check_length(const char *name, std::size_t actual, std::size_t expected)
{
    if (actual != expected) {
        throw error(MANTEX_ERROR_SHAPE, "`" + std::string(name) + "` has " + std::to_string(actual) +
                                            " elements; it must have " + std::to_string(expected));
    }
}

// NULL for no elements, which a container may keep at another address.
template <class S>
auto data_or_null(const S &elements) noexcept
{
    return elements.empty() ? nullptr : elements.data();
}

// The same function for float and for double.
template <class F32, class F64, class T>
constexpr auto pick(F32 f32, F64 f64, T) noexcept
{
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "mantex is for float and double");
    if constexpr (std::is_same_v<T, float>) return f32;
    else return f64;
}

// T where it is not to be deduced: arguments convert to it.
template <class T>
struct identity {
    using type = T;
};
template <class T>
using same = typename identity<T>::type;

} // namespace detail

#define MANTEX_PICK(name, T) ::mantex::detail::pick(&name##_f32, &name##_f64, std::remove_const_t<T>{})

// ---- views

// A pointer and a number of elements. Anything with data() and size() converts to it: std::vector,
// std::array, std::span; so do arrays. The type of the elements is named in every call:
// mantex::softmax<float>(x, out).
template <class T>
class span {
public:
    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N>
    constexpr span(T (&array)[N]) noexcept : data_(array), size_(N) {}
    template <class Container, class = std::enable_if_t<std::is_convertible_v<
                                   std::remove_pointer_t<decltype(std::declval<Container &>().data())> (*)[], T (*)[]>>>
    constexpr span(Container &&container) noexcept : data_(container.data()), size_(container.size()) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t i) const noexcept { return data_[i]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

// A matrix: rows x cols elements, row by row, the starts of two rows stride elements apart.
template <class T>
class matrix {
public:
    // From a pointer. An array is a container: its length is known.
    template <class P, class = std::enable_if_t<std::is_convertible_v<P, T *> && !std::is_array_v<P>>>
    constexpr matrix(const P &data, std::size_t rows, std::size_t cols) noexcept : matrix(data, rows, cols, cols)
    {
    }
    template <class P, class = std::enable_if_t<std::is_convertible_v<P, T *> && !std::is_array_v<P>>>
    constexpr matrix(const P &data, std::size_t rows, std::size_t cols, std::size_t stride) noexcept
        : data_(data), rows_(rows), cols_(cols), stride_(stride)
    {
    }
    // All of a container, which must have rows * cols elements.
    matrix(span<T> data, std::size_t rows, std::size_t cols) : matrix(data.data(), rows, cols)
    {
        if (cols != 0 && rows > SIZE_MAX / cols) throw error(MANTEX_ERROR_SIZE, "a matrix has more than SIZE_MAX elements");
        detail::check_length("data", data.size(), rows * cols);
    }
    // Rows of a container, which must reach to the end of the last row.
    matrix(span<T> data, std::size_t rows, std::size_t cols, std::size_t stride) : matrix(data.data(), rows, cols, stride)
    {
        if (rows == 0 || cols == 0) return;
        if (data.size() < cols || (stride != 0 && rows - 1 > (data.size() - cols) / stride)) {
            throw error(MANTEX_ERROR_SHAPE, "`data` has " + std::to_string(data.size()) + " elements; it must have " +
                                                std::to_string(rows) + " rows of " + std::to_string(cols));
        }
    }
    // A matrix to be read may be one to be written.
    template <class U, class = std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>>>
    constexpr matrix(const matrix<U> &other) noexcept
        : matrix(other.data(), other.rows(), other.cols(), other.stride())
    {
    }

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t rows() const noexcept { return rows_; }
    constexpr std::size_t cols() const noexcept { return cols_; }
    constexpr std::size_t stride() const noexcept { return stride_; }
    constexpr span<T> row(std::size_t i) const noexcept { return {data_ + i * stride_, cols_}; }

private:
    T *data_;
    std::size_t rows_, cols_, stride_;
};

// A constant view of T, from which T is not deduced.
template <class T>
using input = detail::same<span<const T>>;
template <class T>
using input_matrix = detail::same<matrix<const T>>;

namespace detail {

template <class A, class B>
void check_shape(const char *name, const matrix<A> &actual, const matrix<B> &expected)
{
    if (actual.rows() != expected.rows() || actual.cols() != expected.cols()) {
        throw error(MANTEX_ERROR_SHAPE, "`" + std::string(name) + "` is " + std::to_string(actual.rows()) + " x " +
                                            std::to_string(actual.cols()) + "; it must be " +
                                            std::to_string(expected.rows()) + " x " + std::to_string(expected.cols()));
    }
}

} // namespace detail

// ---- instruction sets

inline bool is_available(mantex_isa isa) noexcept { return mantex_isa_is_available(isa) != 0; }

inline mantex_isa best_isa()
{
    mantex_isa isa = MANTEX_ISA_BEST;
    detail::check(mantex_isa_best(&isa));
    return isa;
}

// ---- softmax family

// Defines a function of one slice x and one output.
#define MANTEX_SLICES(name)                                                                        \
    template <class T>                                                                             \
    void name(input<T> x, detail::same<span<T>> out, mantex_isa isa = MANTEX_ISA_BEST)             \
    {                                                                                              \
        detail::check_length("out", out.size(), x.size());                                         \
        detail::check(MANTEX_PICK(mantex_##name, T)(x.size(), x.data(), out.data(), isa));         \
    }

// Defines a function of one slice in place.
#define MANTEX_IN_PLACE(name)                                                                      \
    template <class T>                                                                             \
    void name(detail::same<span<T>> x, mantex_isa isa = MANTEX_ISA_BEST)                           \
    {                                                                                              \
        detail::check(MANTEX_PICK(mantex_##name, T)(x.size(), x.data(), isa));                     \
    }

// Defines a gradient of slices and of rows.
#define MANTEX_BACKWARD(name, first)                                                               \
    template <class T>                                                                             \
    void name(input<T> first, input<T> dy, detail::same<span<T>> dx, mantex_isa isa = MANTEX_ISA_BEST) \
    {                                                                                              \
        detail::check_length("dy", dy.size(), first.size());                                       \
        detail::check_length("dx", dx.size(), first.size());                                       \
        detail::check(MANTEX_PICK(mantex_##name, T)(first.size(), first.data(), dy.data(), dx.data(), isa)); \
    }                                                                                              \
    template <class T>                                                                             \
    void name##_rows(input_matrix<T> first, input_matrix<T> dy, detail::same<matrix<T>> dx, mantex_isa isa = MANTEX_ISA_BEST) \
    {                                                                                              \
        detail::check_shape("dy", dy, first);                                                      \
        detail::check_shape("dx", dx, first);                                                      \
        detail::check(MANTEX_PICK(mantex_##name##_rows, T)(first.rows(), first.cols(), first.data(), first.stride(), \
                                                           dy.data(), dy.stride(), dx.data(), dx.stride(), isa)); \
    }

// Defines a function of rows, with the type of its last argument.
#define MANTEX_ROWS(name, type, initial)                                                           \
    template <class T>                                                                             \
    void name(input_matrix<T> x, detail::same<matrix<T>> out, type last = initial)                               \
    {                                                                                              \
        detail::check_shape("out", out, x);                                                        \
        detail::check(MANTEX_PICK(mantex_##name, T)(x.rows(), x.cols(), x.data(), x.stride(), out.data(), \
                                                    out.stride(), detail::fitting(last, x))); \
    }

// Defines a function of rows in place, with options.
#define MANTEX_ROWS_IN_PLACE(name)                                                                 \
    template <class T>                                                                             \
    void name(detail::same<matrix<T>> x, const detail::same<softmax_options<T>> *options = nullptr)                            \
    {                                                                                              \
        detail::check(MANTEX_PICK(mantex_##name, T)(x.rows(), x.cols(), x.data(), x.stride(), \
                                                    detail::fitting<T>(options, x))); \
    }

// The options of functions over rows: mantex_softmax_options, initialized.
template <class T>
struct softmax_options : std::conditional_t<std::is_same_v<T, float>, mantex_softmax_options_f32, mantex_softmax_options_f64> {
    softmax_options() { detail::check(MANTEX_PICK(mantex_softmax_options_init, T)(this)); }
    // Adds a matrix to the logits; it must live as long as the options are used.
    void set_mask(input_matrix<T> added) noexcept
    {
        mask_cols = added.cols();
        this->mask = added.data();
        this->mask_rows = added.rows();
        this->mask_stride = added.stride();
    }
    // Sets the number of elements of each row that count; they must live as long as the options are
    // used.
    void set_lengths(span<const std::size_t> of_rows) noexcept
    {
        this->lengths = detail::data_or_null(of_rows);
        lengths_size = of_rows.size();
    }
    // The columns of that matrix, which must be those of the logits, and the number of lengths,
    // which must be that of the rows.
    std::size_t mask_cols = 0, lengths_size = 0;
};

namespace detail {
// The last argument of a function of the rows of x. The mask of options must have as many columns,
// and there must be as many lengths as rows.
template <class T>
const softmax_options<T> *fitting(const softmax_options<T> *options, const matrix<const T> &x)
{
    if (options != nullptr && options->mask != nullptr && options->mask_cols != 0) {
        check_length("a row of the mask", options->mask_cols, x.cols());
    }
    if (options != nullptr && options->lengths != nullptr && options->lengths_size != 0) {
        check_length("lengths", options->lengths_size, x.rows());
    }
    return options;
}
template <class T>
mantex_isa fitting(mantex_isa isa, const matrix<T> &) noexcept
{
    return isa;
}
} // namespace detail

MANTEX_SLICES(softmax)
MANTEX_SLICES(log_softmax)
MANTEX_SLICES(stablemax)
MANTEX_SLICES(log_stablemax)
MANTEX_IN_PLACE(softmax_in_place)
MANTEX_IN_PLACE(log_softmax_in_place)
MANTEX_BACKWARD(softmax_backward, y)
MANTEX_BACKWARD(log_softmax_backward, y)
MANTEX_BACKWARD(stablemax_backward, x)
MANTEX_BACKWARD(log_stablemax_backward, x)
MANTEX_ROWS(softmax_rows, const softmax_options<T> *, nullptr)
MANTEX_ROWS(log_softmax_rows, const softmax_options<T> *, nullptr)
MANTEX_ROWS(stablemax_rows, mantex_isa, MANTEX_ISA_BEST)
MANTEX_ROWS(log_stablemax_rows, mantex_isa, MANTEX_ISA_BEST)
MANTEX_ROWS(softmax_columns, mantex_isa, MANTEX_ISA_BEST)
MANTEX_ROWS(log_softmax_columns, mantex_isa, MANTEX_ISA_BEST)
MANTEX_ROWS_IN_PLACE(softmax_rows_in_place)
MANTEX_ROWS_IN_PLACE(log_softmax_rows_in_place)

#undef MANTEX_SLICES
#undef MANTEX_IN_PLACE
#undef MANTEX_BACKWARD
#undef MANTEX_ROWS
#undef MANTEX_ROWS_IN_PLACE

template <class T>
T log_sum_exp(input<T> x, mantex_isa isa = MANTEX_ISA_BEST)
{
    T out{};
    detail::check(MANTEX_PICK(mantex_log_sum_exp, T)(x.size(), x.data(), &out, isa));
    return out;
}

template <class T>
void log_sum_exp_rows(input_matrix<T> x, detail::same<span<T>> out, const detail::same<softmax_options<T>> *options = nullptr)
{
    detail::check_length("out", out.size(), x.rows());
    detail::check(MANTEX_PICK(mantex_log_sum_exp_rows, T)(x.rows(), x.cols(), x.data(), x.stride(), out.data(),
                                                          detail::fitting<T>(options, x)));
}

template <class T>
void softmax_columns_in_place(detail::same<matrix<T>> x, mantex_isa isa = MANTEX_ISA_BEST)
{
    detail::check(MANTEX_PICK(mantex_softmax_columns_in_place, T)(x.rows(), x.cols(), x.data(), x.stride(), isa));
}

template <class T>
void log_softmax_columns_in_place(detail::same<matrix<T>> x, mantex_isa isa = MANTEX_ISA_BEST)
{
    detail::check(MANTEX_PICK(mantex_log_softmax_columns_in_place, T)(x.rows(), x.cols(), x.data(), x.stride(), isa));
}

template <class T>
void log_sum_exp_columns(input_matrix<T> x, detail::same<span<T>> out, mantex_isa isa = MANTEX_ISA_BEST)
{
    detail::check_length("out", out.size(), x.cols());
    detail::check(MANTEX_PICK(mantex_log_sum_exp_columns, T)(x.rows(), x.cols(), x.data(), x.stride(), out.data(), isa));
}

template <class T>
void cross_entropy_rows(input_matrix<T> x, span<const std::size_t> classes, detail::same<span<T>> losses,
                        const detail::same<softmax_options<T>> *options = nullptr)
{
    detail::check_length("classes", classes.size(), x.rows());
    detail::check_length("losses", losses.size(), x.rows());
    detail::check(MANTEX_PICK(mantex_cross_entropy_rows, T)(x.rows(), x.cols(), x.data(), x.stride(), classes.data(),
                                                            losses.data(), detail::fitting<T>(options, x)));
}

template <class T>
void cross_entropy_gradient_rows(input_matrix<T> x, span<const std::size_t> classes, detail::same<T> weight,
                                 detail::same<span<T>> losses, detail::same<matrix<T>> gradient,
                                 const detail::same<softmax_options<T>> *options = nullptr)
{
    detail::check_length("classes", classes.size(), x.rows());
    detail::check_length("losses", losses.size(), x.rows());
    detail::check_shape("gradient", gradient, x);
    detail::check(MANTEX_PICK(mantex_cross_entropy_gradient_rows, T)(x.rows(), x.cols(), x.data(), x.stride(),
                                                                     classes.data(), weight, losses.data(),
                                                                     gradient.data(), gradient.stride(),
                                                                     detail::fitting<T>(options, x)));
}

// A sum of exponentials that streams and merges.
template <class T>
class ext_sum {
public:
    ext_sum() : ext_sum(span<const T>{}) {}
    explicit ext_sum(span<const T> x, mantex_isa isa = MANTEX_ISA_BEST)
    {
        detail::check(MANTEX_PICK(mantex_ext_sum_of, T)(x.size(), x.data(), &sum_, isa));
    }
    ext_sum &operator+=(const ext_sum &other)
    {
        const auto copy = other.sum_; // The C function wants two sums.
        detail::check(MANTEX_PICK(mantex_ext_sum_merge, T)(&sum_, &copy));
        return *this;
    }
    friend ext_sum operator+(ext_sum a, const ext_sum &b) { return a += b; }
    T ln() const
    {
        T out{};
        detail::check(MANTEX_PICK(mantex_ext_sum_ln, T)(&sum_, &out));
        return out;
    }

private:
    std::conditional_t<std::is_same_v<T, float>, mantex_ext_sum_f32, mantex_ext_sum_f64> sum_;
};

// ---- transport

namespace detail {

// Runs a C++ function as a callback of C. An exception of the function stops the search and comes
// out of the call that began it.
template <class Progress>
struct callback {
    std::function<bool(const Progress &)> function;
    std::exception_ptr thrown{};

    static int call(const Progress *progress, void *user_data) noexcept
    {
        auto &self = *static_cast<callback *>(user_data);
        try {
            return self.function(*progress) ? 0 : 1;
        } catch (...) {
            self.thrown = std::current_exception();
            return 1;
        }
    }
};

// The same for the entries of a plan.
struct entry_callback {
    std::function<bool(std::size_t, std::size_t, double)> function;
    std::exception_ptr thrown{};

    static int call(std::size_t row, std::size_t column, double mass, void *user_data) noexcept
    {
        auto &self = *static_cast<entry_callback *>(user_data);
        try {
            return self.function(row, column, mass) ? 0 : 1;
        } catch (...) {
            self.thrown = std::current_exception();
            return 1;
        }
    }
};

struct free {
    void operator()(mantex_transport *handle) const noexcept { mantex_transport_free(handle); }
    void operator()(mantex_csr_plan *handle) const noexcept { mantex_csr_plan_free(handle); }
    void operator()(mantex_transport_batch *handle) const noexcept { mantex_transport_batch_free(handle); }
    void operator()(mantex_sparse_solution *handle) const noexcept { mantex_sparse_solution_free(handle); }
    void operator()(mantex_clustering *handle) const noexcept { mantex_clustering_free(handle); }
};

} // namespace detail

// The settings of a solver: mantex_sinkhorn_options, initialized.
struct sinkhorn_options : mantex_sinkhorn_options {
    explicit sinkhorn_options(double regularization) { detail::check(mantex_sinkhorn_options_init(this, regularization)); }
    // Starts from these potentials, one per row and one per column; they must live as long as the
    // options are used.
    void set_warm_start(span<const double> f, span<const double> g) noexcept
    {
        warm_start_f = f.data();
        warm_start_g = g.data();
        warm_start_rows = f.size();
        warm_start_cols = g.size();
    }
    // The numbers of these potentials.
    std::size_t warm_start_rows = 0, warm_start_cols = 0;
};

// The entries of a plan as compressed sparse rows: those of row i have the indices from
// row_pointers()[i] to row_pointers()[i + 1]. The spans live as long as this object.
template <class T>
class csr_plan {
public:
    std::size_t rows() const noexcept { return mantex_csr_plan_rows(handle()); }
    std::size_t cols() const noexcept { return mantex_csr_plan_cols(handle()); }
    std::size_t size() const noexcept { return mantex_csr_plan_len(handle()); }
    span<const std::size_t> row_pointers() const noexcept { return {mantex_csr_plan_row_pointers(handle()), handle() ? rows() + 1 : 0}; }
    span<const std::uint32_t> columns() const noexcept { return {mantex_csr_plan_columns(handle()), size()}; }
    span<const T> masses() const noexcept { return {MANTEX_PICK(mantex_csr_plan_masses, T)(handle()), size()}; }

    const mantex_csr_plan *handle() const noexcept { return handle_.get(); }
    explicit csr_plan(mantex_csr_plan *handle) noexcept : handle_(handle) {}

private:
    std::unique_ptr<mantex_csr_plan, detail::free> handle_;
};

// The solution of a problem. Matrices of cost are the one that was solved.
template <class T>
class transport {
public:
    mantex_solve_status status() const noexcept { return mantex_transport_status(handle()); }
    bool converged() const noexcept { return status() == MANTEX_SOLVE_CONVERGED; }
    std::size_t iterations() const noexcept { return mantex_transport_iterations(handle()); }
    double marginal_error() const noexcept { return mantex_transport_marginal_error(handle()); }
    double cost() const noexcept { return mantex_transport_cost(handle()); }
    // The potentials, as long as this object lives.
    span<const double> f() const noexcept { return {mantex_transport_f(handle()), mantex_transport_rows(handle())}; }
    span<const double> g() const noexcept { return {mantex_transport_g(handle()), mantex_transport_cols(handle())}; }

    void plan(matrix<const T> cost, matrix<T> out) const
    {
        detail::check_shape("out", out, cost);
        detail::check(MANTEX_PICK(mantex_transport_plan, T)(handle(), cost.rows(), cost.cols(), cost.data(), cost.stride(),
                                                            out.data(), out.stride()));
    }
    // Calls on_entry with the row, the column and the mass of every entry above the threshold,
    // until it returns false; it may throw. The plan is not stored.
    void plan_entries(matrix<const T> cost, T threshold,
                      std::function<bool(std::size_t, std::size_t, double)> on_entry) const
    {
        detail::entry_callback callback{std::move(on_entry)};
        const auto status = MANTEX_PICK(mantex_transport_plan_entries, T)(
            handle(), cost.rows(), cost.cols(), cost.data(), cost.stride(), threshold, &callback.call, &callback);
        if (callback.thrown) std::rethrow_exception(callback.thrown);
        detail::check(status);
    }
    // The entries above the threshold.
    csr_plan<T> plan_csr(matrix<const T> cost, T threshold) const
    {
        mantex_csr_plan *plan = nullptr;
        detail::check(MANTEX_PICK(mantex_transport_plan_csr, T)(handle(), cost.rows(), cost.cols(), cost.data(),
                                                                cost.stride(), threshold, &plan));
        return csr_plan<T>(plan);
    }
    mantex_objective objective(matrix<const T> cost) const
    {
        mantex_objective out;
        detail::check(MANTEX_PICK(mantex_transport_objective, T)(handle(), cost.rows(), cost.cols(), cost.data(),
                                                                 cost.stride(), &out));
        return out;
    }
    // out = P y
    void plan_times(matrix<const T> cost, matrix<const T> y, matrix<T> out) const
    {
        product(MANTEX_PICK(mantex_transport_plan_times, T), cost, cost.cols(), y, cost.rows(), out);
    }
    // out = P^T x
    void plan_transposed_times(matrix<const T> cost, matrix<const T> x, matrix<T> out) const
    {
        product(MANTEX_PICK(mantex_transport_plan_transposed_times, T), cost, cost.rows(), x, cost.cols(), out);
    }
    void barycentric_projection(matrix<const T> cost, matrix<const T> y, matrix<T> out) const
    {
        product(MANTEX_PICK(mantex_transport_barycentric_projection, T), cost, cost.cols(), y, cost.rows(), out);
    }

    const mantex_transport *handle() const noexcept { return handle_.get(); }
    explicit transport(mantex_transport *handle) noexcept : handle_(handle) {}

private:
    template <class Function>
    void product(Function function, matrix<const T> cost, std::size_t in_rows, matrix<const T> in, std::size_t out_rows,
                 matrix<T> out) const
    {
        detail::check_shape("the factor", in, matrix<const T>(nullptr, in_rows, in.cols()));
        detail::check_shape("out", out, matrix<const T>(nullptr, out_rows, in.cols()));
        detail::check(function(handle(), cost.rows(), cost.cols(), cost.data(), cost.stride(), in.cols(), in.data(),
                               in.stride(), out.data(), out.stride()));
    }

    std::unique_ptr<mantex_transport, detail::free> handle_;
};

// Solves a problem. on_iteration, if given, returns whether to go on; it may throw.
template <class T>
transport<T> sinkhorn(input_matrix<T> cost, input<T> a, input<T> b, const sinkhorn_options &options,
                      std::function<bool(const mantex_sinkhorn_progress &)> on_iteration = nullptr)
{
    detail::check_length("a", a.size(), cost.rows());
    detail::check_length("b", b.size(), cost.cols());
    if (options.warm_start_rows != 0) detail::check_length("warm_start_f", options.warm_start_rows, cost.rows());
    if (options.warm_start_cols != 0) detail::check_length("warm_start_g", options.warm_start_cols, cost.cols());
    sinkhorn_options settings = options;
    detail::callback<mantex_sinkhorn_progress> callback{std::move(on_iteration)};
    if (callback.function) {
        settings.on_iteration = &callback.call;
        settings.user_data = &callback;
    }
    mantex_transport *handle = nullptr;
    const auto status = MANTEX_PICK(mantex_sinkhorn_solve, T)(cost.rows(), cost.cols(), cost.data(), cost.stride(),
                                                              a.data(), b.data(), &settings, &handle);
    transport<T> solution(handle);
    if (callback.thrown) std::rethrow_exception(callback.thrown);
    detail::check(status);
    return solution;
}

// The solutions of many problems on one cost matrix.
template <class T>
class transport_batch {
public:
    std::size_t size() const noexcept { return mantex_transport_batch_len(handle()); }
    mantex_solve_status status(std::size_t problem) const noexcept { return mantex_transport_batch_status(handle(), problem); }
    bool converged(std::size_t problem) const noexcept { return status(problem) == MANTEX_SOLVE_CONVERGED; }
    std::size_t iterations(std::size_t problem) const noexcept { return mantex_transport_batch_iterations(handle(), problem); }
    double marginal_error(std::size_t problem) const noexcept
    {
        return mantex_transport_batch_marginal_error(handle(), problem);
    }
    double value(std::size_t problem) const noexcept { return mantex_transport_batch_value(handle(), problem); }
    // The potentials of a problem, f and g, as long as this object lives.
    std::pair<span<const T>, span<const T>> potentials(std::size_t problem) const
    {
        const T *f = nullptr, *g = nullptr;
        detail::check(MANTEX_PICK(mantex_transport_batch_potentials, T)(handle(), problem, &f, &g));
        return {{f, rows_}, {g, cols_}};
    }

    const mantex_transport_batch *handle() const noexcept { return handle_.get(); }
    transport_batch(mantex_transport_batch *handle, std::size_t rows, std::size_t cols) noexcept
        : handle_(handle), rows_(rows), cols_(cols)
    {
    }

private:
    std::unique_ptr<mantex_transport_batch, detail::free> handle_;
    std::size_t rows_, cols_;
};

// Solves many problems; one row of a or b serves all.
template <class T>
transport_batch<T> sinkhorn_batch(input_matrix<T> cost, input_matrix<T> a, input_matrix<T> b, const sinkhorn_options &options)
{
    detail::check_length("a row of `a`", a.cols(), cost.rows());
    detail::check_length("a row of `b`", b.cols(), cost.cols());
    mantex_transport_batch *handle = nullptr;
    detail::check(MANTEX_PICK(mantex_sinkhorn_solve_batch, T)(cost.rows(), cost.cols(), cost.data(), cost.stride(), a.rows(),
                                                              a.data(), a.stride(), b.rows(), b.data(), b.stride(),
                                                              &options, &handle));
    return {handle, cost.rows(), cost.cols()};
}

// ---- transport with sparse plans

// The settings of a solver: mantex_sparse_transport_options, initialized.
struct sparse_transport_options : mantex_sparse_transport_options {
    explicit sparse_transport_options(double regularization)
    {
        detail::check(mantex_sparse_transport_options_init(this, regularization));
    }
};

// The solution of a problem.
template <class T>
class sparse_solution {
public:
    mantex_solve_status status() const noexcept { return mantex_sparse_solution_status(handle()); }
    bool converged() const noexcept { return status() == MANTEX_SOLVE_CONVERGED; }
    std::size_t iterations() const noexcept { return mantex_sparse_solution_iterations(handle()); }
    double marginal_error() const noexcept { return mantex_sparse_solution_marginal_error(handle()); }
    double cost() const noexcept { return mantex_sparse_solution_cost(handle()); }
    double value() const noexcept { return mantex_sparse_solution_value(handle()); }
    double dual_value() const noexcept { return mantex_sparse_solution_dual_value(handle()); }
    // The potentials, as long as this object lives.
    span<const double> f() const noexcept
    {
        return {mantex_sparse_solution_f(handle()), mantex_sparse_solution_rows(handle())};
    }
    span<const double> g() const noexcept
    {
        return {mantex_sparse_solution_g(handle()), mantex_sparse_solution_cols(handle())};
    }

    void plan(matrix<T> out) const
    {
        detail::check(MANTEX_PICK(mantex_sparse_solution_plan, T)(handle(), out.rows(), out.cols(), out.data(), out.stride()));
    }
    // A copy of the plan, which may outlive this object.
    csr_plan<T> plan_csr() const
    {
        mantex_csr_plan *plan = nullptr;
        detail::check(MANTEX_PICK(mantex_sparse_solution_plan_csr, T)(handle(), &plan));
        return csr_plan<T>(plan);
    }

    const mantex_sparse_solution *handle() const noexcept { return handle_.get(); }
    explicit sparse_solution(mantex_sparse_solution *handle) noexcept : handle_(handle) {}

private:
    std::unique_ptr<mantex_sparse_solution, detail::free> handle_;
};

// Solves a problem. on_iteration, if given, returns whether to go on; it may throw.
template <class T>
sparse_solution<T> sparse_transport(input_matrix<T> cost, input<T> a, input<T> b, const sparse_transport_options &options,
                                    std::function<bool(const mantex_sparse_transport_progress &)> on_iteration = nullptr)
{
    detail::check_length("a", a.size(), cost.rows());
    detail::check_length("b", b.size(), cost.cols());
    sparse_transport_options settings = options;
    detail::callback<mantex_sparse_transport_progress> callback{std::move(on_iteration)};
    if (callback.function) {
        settings.on_iteration = &callback.call;
        settings.user_data = &callback;
    }
    mantex_sparse_solution *handle = nullptr;
    const auto status = MANTEX_PICK(mantex_sparse_transport_solve, T)(
        cost.rows(), cost.cols(), cost.data(), cost.stride(), a.data(), b.data(), &settings, &handle);
    sparse_solution<T> solution(handle);
    if (callback.thrown) std::rethrow_exception(callback.thrown);
    detail::check(status);
    return solution;
}

// ---- distances and k-medoids

template <class T>
void distance_matrix(input_matrix<T> points, detail::same<matrix<T>> out, mantex_metric metric, mantex_isa isa = MANTEX_ISA_BEST)
{
    detail::check_shape("out", out, matrix<const T>(nullptr, points.rows(), points.rows()));
    detail::check(MANTEX_PICK(mantex_distance_matrix, T)(points.rows(), points.cols(), points.data(), points.stride(),
                                                         out.data(), out.stride(), metric, isa));
}

template <class T>
void distance_matrix_between(input_matrix<T> x, input_matrix<T> y, detail::same<matrix<T>> out, mantex_metric metric,
                             mantex_isa isa = MANTEX_ISA_BEST)
{
    detail::check_length("a row of `y`", y.cols(), x.cols());
    detail::check_shape("out", out, matrix<const T>(nullptr, x.rows(), y.rows()));
    detail::check(MANTEX_PICK(mantex_distance_matrix_between, T)(x.rows(), y.rows(), x.cols(), x.data(), x.stride(), y.data(),
                                                                 y.stride(), out.data(), out.stride(), metric, isa));
}

// The settings of k-medoids: mantex_kmedoids_options, initialized.
struct kmedoids_options : mantex_kmedoids_options {
    explicit kmedoids_options(std::size_t clusters) { detail::check(mantex_kmedoids_options_init(this, clusters)); }
    // Starts from these objects, one per cluster; they must live as long as the options are used.
    void set_initial_medoids(span<const std::size_t> objects) noexcept
    {
        init = MANTEX_INIT_GIVEN;
        initial_medoids = objects.data();
        initial_medoids_size = objects.size();
    }
    // The number of these objects.
    std::size_t initial_medoids_size = 0;
};

// A clustering.
class clustering {
public:
    // The medoids and the labels, as long as this object lives.
    span<const std::size_t> medoids() const noexcept { return {mantex_clustering_medoids(handle()), mantex_clustering_k(handle())}; }
    span<const std::size_t> labels() const noexcept { return {mantex_clustering_labels(handle()), mantex_clustering_n(handle())}; }
    double loss() const noexcept { return mantex_clustering_loss(handle()); }
    std::size_t swaps() const noexcept { return mantex_clustering_swaps(handle()); }
    std::size_t iterations() const noexcept { return mantex_clustering_iterations(handle()); }
    bool converged() const noexcept { return mantex_clustering_converged(handle()) != 0; }

    // Finds the clusters of new objects, one row of dissimilarities to the medoids each.
    template <class T>
    void predict(input_matrix<T> dissimilarities, span<std::size_t> labels, detail::same<span<T>> distances) const
    {
        detail::check_length("labels", labels.size(), dissimilarities.rows());
        detail::check_length("distances", distances.size(), dissimilarities.rows());
        detail::check(MANTEX_PICK(mantex_clustering_predict, T)(handle(), dissimilarities.rows(), dissimilarities.cols(),
                                                                dissimilarities.data(), dissimilarities.stride(),
                                                                labels.data(), distances.data()));
    }

    const mantex_clustering *handle() const noexcept { return handle_.get(); }
    explicit clustering(mantex_clustering *handle) noexcept : handle_(handle) {}

private:
    std::unique_ptr<mantex_clustering, detail::free> handle_;
};

namespace detail {

// Runs a search: `call(settings, &handle)` begins it.
template <class Call>
clustering cluster(const kmedoids_options &options, std::function<bool(const mantex_kmedoids_progress &)> on_iteration, Call call)
{
    if (options.init == MANTEX_INIT_GIVEN && options.initial_medoids_size != 0) {
        check_length("initial_medoids", options.initial_medoids_size, options.k);
    }
    kmedoids_options settings = options;
    callback<mantex_kmedoids_progress> callback{std::move(on_iteration)};
    if (callback.function) {
        settings.on_iteration = &callback.call;
        settings.user_data = &callback;
    }
    mantex_clustering *handle = nullptr;
    const auto status = call(&settings, &handle);
    clustering found(handle);
    if (callback.thrown) std::rethrow_exception(callback.thrown);
    check(status);
    return found;
}

} // namespace detail

// Clusters objects; without weights, all count 1. on_iteration, if given, returns whether to go on;
// it may throw.
template <class T>
clustering kmedoids(input_matrix<T> dissimilarities, const kmedoids_options &options, input<T> weights = {},
                    std::function<bool(const mantex_kmedoids_progress &)> on_iteration = nullptr)
{
    const std::size_t n = dissimilarities.rows();
    detail::check_length("a row of `dissimilarities`", dissimilarities.cols(), n);
    if (!weights.empty()) detail::check_length("weights", weights.size(), n);
    return detail::cluster(options, std::move(on_iteration), [&](const kmedoids_options *settings, mantex_clustering **found) {
        return MANTEX_PICK(mantex_kmedoids_fit, T)(n, dissimilarities.data(), dissimilarities.stride(),
                                                   detail::data_or_null(weights), settings, found);
    });
}

namespace detail {

inline void check_condensed(std::size_t actual, std::size_t n)
{
    const std::size_t even = n % 2 == 0 ? n : n - 1, odd = n % 2 == 0 ? n - 1 : n;
    const bool fits = n == 0 || even / 2 <= SIZE_MAX / odd;
    check_length("condensed", actual, n == 0 ? 0 : fits ? even / 2 * odd : SIZE_MAX);
}

} // namespace detail

// The same for n objects with n (n - 1) / 2 condensed dissimilarities, as SciPy's pdist returns
// them.
template <class T>
clustering kmedoids_condensed(std::size_t n, input<T> condensed, const kmedoids_options &options, input<T> weights = {},
                              std::function<bool(const mantex_kmedoids_progress &)> on_iteration = nullptr)
{
    detail::check_condensed(condensed.size(), n);
    if (!weights.empty()) detail::check_length("weights", weights.size(), n);
    return detail::cluster(options, std::move(on_iteration), [&](const kmedoids_options *settings, mantex_clustering **found) {
        return MANTEX_PICK(mantex_kmedoids_fit_condensed, T)(n, condensed.data(), detail::data_or_null(weights), settings, found);
    });
}

// Writes the symmetric matrix of condensed dissimilarities.
template <class T>
void expand_condensed(input<T> condensed, detail::same<matrix<T>> out)
{
    detail::check_shape("out", out, matrix<const T>(nullptr, out.rows(), out.rows()));
    detail::check_condensed(condensed.size(), out.rows());
    detail::check(MANTEX_PICK(mantex_expand_condensed, T)(out.rows(), condensed.data(), out.data(), out.stride()));
}

// Writes the silhouette of every object and returns the mean.
template <class T>
double silhouette(input_matrix<T> dissimilarities, span<const std::size_t> labels, detail::same<span<T>> out,
                  input<T> weights = {}, mantex_isa isa = MANTEX_ISA_BEST)
{
    const std::size_t n = dissimilarities.rows();
    detail::check_length("a row of `dissimilarities`", dissimilarities.cols(), n);
    detail::check_length("labels", labels.size(), n);
    detail::check_length("out", out.size(), n);
    if (!weights.empty()) detail::check_length("weights", weights.size(), n);
    double mean = 0;
    detail::check(MANTEX_PICK(mantex_silhouette, T)(n, dissimilarities.data(), dissimilarities.stride(), labels.data(),
                                                    detail::data_or_null(weights), out.data(), &mean, isa));
    return mean;
}

// Writes the medoid silhouette of every object and returns the mean.
template <class T>
double medoid_silhouette(input_matrix<T> dissimilarities, span<const std::size_t> medoids, detail::same<span<T>> out,
                         input<T> weights = {}, mantex_isa isa = MANTEX_ISA_BEST)
{
    const std::size_t n = dissimilarities.rows();
    detail::check_length("a row of `dissimilarities`", dissimilarities.cols(), n);
    detail::check_length("out", out.size(), n);
    if (!weights.empty()) detail::check_length("weights", weights.size(), n);
    double mean = 0;
    detail::check(MANTEX_PICK(mantex_medoid_silhouette, T)(n, dissimilarities.data(), dissimilarities.stride(),
                                                           medoids.size(), medoids.data(), detail::data_or_null(weights), out.data(),
                                                           &mean, isa));
    return mean;
}

// Finds the nearest medoid of each object.
template <class T>
void assign(input_matrix<T> dissimilarities, span<std::size_t> labels, detail::same<span<T>> distances,
            mantex_isa isa = MANTEX_ISA_BEST)
{
    detail::check_length("labels", labels.size(), dissimilarities.rows());
    detail::check_length("distances", distances.size(), dissimilarities.rows());
    detail::check(MANTEX_PICK(mantex_assign, T)(dissimilarities.rows(), dissimilarities.cols(), dissimilarities.data(),
                                                dissimilarities.stride(), labels.data(), distances.data(), isa));
}

#undef MANTEX_PICK

} // namespace mantex

#endif
