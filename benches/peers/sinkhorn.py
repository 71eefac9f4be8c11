#!/usr/bin/env python3
"""Whole Sinkhorn solves with the peers, on one core: what the bench `transport` compares with.

Requirements: pip install numpy POT ott-jax, and torch for POT's other backend (what is missing is left out).

The problem, so that other languages can make the same: a linear congruential generator of 64 bits,
x <- 6364136223846793005 x + 1442695040888963407 mod 2^64 from x = 1, gives after each step the number (x >> 11) / 2^53
in [0, 1). In this order: both coordinates of each of the n points of the rows, then of the n points of the columns. A cost is
the squared distance of two points, dx * dx + dy * dy in f64, then rounded to the type; every mass is 1/n; epsilon is the
given ratio times the median cost (of the sorted f64 costs the one at n * n / 2).

A solve ends when the L1 error of both marginals of the plan is at most 1e-6 (f64) or 1e-4 (f32). POT tests the L2 norm
of one marginal, so it is given the tolerance / sqrt(n), from which the L1 error follows. Every method is timed over a few
iterations first; those are its ms per iteration, and its iterations are limited to what the budget has time for. Times are CPU times
of a process on one core, so that others on the machine disturb little. Compilation is not timed.

Run it as: sinkhorn.py [--types f64,f32] [--sizes 1000,4096] [--ratios 0.1,0.01] [--budget SECONDS] [--core 1]
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import time
import warnings

TOLERANCE = {"f64": 1e-6, "f32": 1e-4}


def one_thread(core):
    """Must come before the libraries are loaded."""
    for name in ["OMP", "MKL", "OPENBLAS", "NUMEXPR"]:
        os.environ[f"{name}_NUM_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def problem(n, ratio):
    """Costs in f64, masses of one side, epsilon."""
    import numpy as np

    x, numbers = 1, np.empty(4 * n)
    for i in range(4 * n):
        x = (6364136223846793005 * x + 1442695040888963407) % 2**64
        numbers[i] = (x >> 11) / 2**53
    points = numbers.reshape(2, n, 2)
    dx = points[0, :, None, 0] - points[1, None, :, 0]
    dy = points[0, :, None, 1] - points[1, None, :, 1]
    cost = dx * dx + dy * dy
    return cost, np.full(n, 1.0 / n), ratio * np.partition(cost, n * n // 2, axis=None)[n * n // 2]


def pot(method, backend, cost, mass, epsilon, dtype, tolerance):
    """A function of the most iterations that returns the iterations done and the plan, and one that prepares such a call."""
    import numpy as np
    import ot

    cost, mass = cost.astype(dtype), mass.astype(dtype)
    if backend == "torch":
        import torch

        torch.set_num_threads(1)
        cost, mass = torch.from_numpy(cost), torch.from_numpy(mass)
    stop = tolerance / len(mass) ** 0.5

    def solve(limit, stop=stop):
        plan, log = ot.sinkhorn(
            mass, mass, cost, float(epsilon), method=method, numItermax=limit, stopThr=stop, log=True, warn=False
        )
        done = log["niter"] if "niter" in log else log["n_iter"]
        return done + 1, np.asarray(plan)

    return solve, lambda *_: None


def ott(options, cost, mass, epsilon, dtype, tolerance):
    """As `pot`, with potentials for the plan."""
    import jax
    import numpy as np
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import acceleration, sinkhorn

    cost, mass = jax.numpy.asarray(cost.astype(dtype)), jax.numpy.asarray(mass.astype(dtype))
    options = dict(options)
    if "momentum" in options:
        options["momentum"] = acceleration.Momentum(value=options["momentum"])
    compiled = {}

    def compile(limit, stop=tolerance):
        solver = sinkhorn.Sinkhorn(threshold=stop, max_iterations=limit, min_iterations=0, **options)

        def run(cost, mass):
            geom = geometry.Geometry(cost_matrix=cost, epsilon=float(epsilon))
            out = solver(linear_problem.LinearProblem(geom, a=mass, b=mass))
            return out.f, out.g, out.n_iters

        compiled[limit, stop] = jax.jit(run).lower(cost, mass).compile()

    def solve(limit, stop=tolerance):
        f, g, done = jax.block_until_ready(compiled[limit, stop](cost, mass))
        return int(done), (np.asarray(f), np.asarray(g))

    return solve, compile


def marginal_error(result, cost, mass, epsilon, dtype):
    """The L1 error of both marginals, in f64, of a plan or of potentials."""
    import numpy as np

    if isinstance(result, tuple):
        f, g = (x.astype(np.float64) for x in result)
        result = np.exp((f[:, None] + g[None, :] - cost.astype(dtype).astype(np.float64)) / float(epsilon))
    plan = result.astype(np.float64)
    return abs(plan.sum(1) - mass).sum() + abs(plan.sum(0) - mass).sum()


def methods():
    found = lambda name: importlib.util.find_spec(name) is not None
    if found("ot"):
        for backend in ["numpy"] + ["torch"] * found("torch"):
            for method in ["sinkhorn_log", "sinkhorn", "sinkhorn_stabilized"]:
                yield f"POT {method}, {backend}", lambda *a, m=method, b=backend: pot(m, b, *a)
    if found("ott"):
        for name, options in [
            ("log-sum-exp", {}),
            ("log-sum-exp, momentum 1.5", {"momentum": 1.5}),
            ("kernel", {"lse_mode": False}),
        ]:
            yield f"OTT {name}", lambda *a, o=options: ott(o, *a)


def measure(name, dtype, n, ratio, budget):
    """Prints one line."""
    import numpy as np

    warnings.filterwarnings("ignore")
    np.seterr(all="ignore")
    if dtype == "f64" and name.startswith("OTT"):
        import jax

        jax.config.update("jax_enable_x64", True)
    cost, mass, epsilon = problem(n, ratio)
    kind = np.float64 if dtype == "f64" else np.float32
    epsilon = kind(epsilon)
    tolerance = TOLERANCE[dtype]
    solve, prepare = dict(methods())[name](cost, mass, epsilon, kind, tolerance)

    def timed(*arguments):
        start = time.process_time()
        done, result = solve(*arguments)
        return time.process_time() - start, done, result

    # The difference of a long and a short run, long enough to be measured.
    per_iteration, runs = 0.0, [10, 30]
    for _ in range(2):
        times = []
        for limit in runs:
            prepare(limit, 0.0)
            solve(limit, 0.0)
            times.append(min(timed(limit, 0.0)[:2] for _ in range(2)))
        (t0, done0), (t1, done1) = times
        if done1 > done0:
            per_iteration = (t1 - t0) / (done1 - done0)
        if t1 >= 0.5 or done1 < runs[1]:
            break
        runs[1] = 10 + 20 * int(min(0.5 / max(t1 - t0, 5e-3), 50))
    limit = int(min(max(budget / max(per_iteration, 1e-5), 10), 200_000)) // 10 * 10
    prepare(limit)
    seconds, done, result = timed(limit)
    error = marginal_error(result, cost, mass, epsilon, kind)
    verdict = "converged" if error <= 1.02 * tolerance else "NOT CONVERGED" if np.isfinite(error) else "FAILED"
    print(
        f"{dtype} n={n:<5} eps/median={ratio:<5} {name:<32} {per_iteration * 1e3:9.3f} ms/iteration "
        f"{done:7} iterations {seconds:8.2f} s  L1 error {error:9.2e}  {verdict}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--types", default="f64,f32")
    parser.add_argument("--sizes", default="1000,4096")
    parser.add_argument("--ratios", default="0.1,0.01")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of one solve at most, about")
    parser.add_argument("--core", type=int, default=1)
    parser.add_argument("--only", default="", help="methods whose name contains this")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    one_thread(arguments.core)
    if arguments.one:
        name, dtype, n, ratio = arguments.one
        return measure(name, dtype, int(n), float(ratio), arguments.budget)
    for n in arguments.sizes.split(","):
        for dtype in arguments.types.split(","):
            for ratio in arguments.ratios.split(","):
                for name, _ in methods():
                    if arguments.only in name:
                        # A process each, so that no library's settings or memory reach another.
                        command = [sys.executable, __file__, "--one", name, dtype, n, ratio]
                        command += ["--budget", str(arguments.budget), "--core", str(arguments.core)]
                        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode != 0:
                            print(f"{dtype} n={n:<5} eps/median={ratio:<5} {name:<32} raised an error", flush=True)


if __name__ == "__main__":
    main()
