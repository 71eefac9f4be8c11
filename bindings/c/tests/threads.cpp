// The option parallel in C++17: the bits of one thread, and exceptions of callbacks.
#include <mantex.hpp>
#include "check.h"
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// Numbers from 0 to 1.
template <class T>
static std::vector<T> numbers(std::size_t len)
{
    std::vector<T> x(len);
    unsigned state = 1;
    for (T &value : x) {
        state = state * 1664525u + 1013904223u;
        value = static_cast<T>(state >> 8) / 16777216;
    }
    return x;
}

// The message of what a call throws.
template <class F>
static std::string thrown(F call)
{
    try {
        call();
    } catch (const std::runtime_error &error) {
        return error.what();
    }
    return "";
}

template <class T>
static void each_type()
{
    const std::size_t cols = 600'007, n = 800;
    const auto x = numbers<T>(2 * cols);
    std::vector<T> one(x.size()), several(x.size());
    mantex::softmax_options<T> options;
    mantex::softmax_rows<T>({x, 2, cols}, {one, 2, cols}, &options);
    options.parallel = 1;
    mantex::softmax_rows<T>({x, 2, cols}, {several, 2, cols}, &options);
    CHECK(one == several);

    const auto cost = numbers<T>(n * n);
    const std::vector<T> masses(n, 1);
    mantex::sinkhorn_options sinkhorn(0.05);
    sinkhorn.parallel = 1;
    const auto here = std::this_thread::get_id();
    bool only_here = true;
    mantex::sinkhorn<T>({cost, n, n}, masses, masses, sinkhorn, [&](const auto &progress) {
        only_here = only_here && std::this_thread::get_id() == here;
        return progress.iteration < 4;
    });
    CHECK(only_here);
    int calls = 0;
    CHECK(thrown([&] {
              mantex::sinkhorn<T>({cost, n, n}, masses, masses, sinkhorn, [&](const auto &) -> bool {
                  calls++;
                  throw std::runtime_error("of a solve");
              });
          }) == "of a solve");
    mantex::kmedoids_options kmedoids(5);
    kmedoids.parallel = 1;
    CHECK(thrown([&] {
              mantex::kmedoids<T>({cost, n, n}, kmedoids, {}, [&](const auto &) -> bool {
                  calls++;
                  throw std::runtime_error("of a search");
              });
          }) == "of a search");
    // The exception has stopped both at once, and the library works on.
    CHECK(calls == 2);
    CHECK(mantex::kmedoids<T>({cost, n, n}, kmedoids).converged());
}

int main()
{
    each_type<float>();
    each_type<double>();
    std::printf("threads: %d checks passed\n", checks);
}
