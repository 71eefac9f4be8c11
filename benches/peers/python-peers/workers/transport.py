"""Sinkhorn solves. `attempt` counts from 0: each has a stricter setting than the one before.

`masses` has two rows, those of the rows and of the columns. The result is the plan; it is empty if the solve fails.
"""

import warnings

import numpy as np
from worker import serve


def load(costs, masses):
    return np.load(costs), *np.load(masses)


def pot():
    import ot

    def prepare(method, costs, masses, epsilon, tolerance, attempt):
        costs, a, b = load(costs, masses)
        # The threshold is one of an L2 norm, which is about 1 / sqrt(n) of the L1 norm.
        options = {"method": method.split()[0], "numItermax": 100_000, "stopThr": tolerance / 16 / 2**attempt}
        if method.endswith("torch"):
            import torch

            torch.set_num_threads(1)
            costs, a, b = map(torch.from_numpy, (costs, a, b))
        return lambda: ot.sinkhorn(a, b, costs, epsilon, **options), np.asarray

    return prepare


def ott():
    import jax
    from ott.geometry import geometry
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import acceleration, sinkhorn

    jax.config.update("jax_enable_x64", True)
    methods = {
        "with kernel": {"lse_mode": False},
        "with momentum 1.5": {"momentum": acceleration.Momentum(value=1.5)},
    }

    def prepare(method, costs, masses, epsilon, tolerance, attempt):
        costs, a, b = load(costs, masses)
        dtype = costs.dtype
        solver = sinkhorn.Sinkhorn(
            threshold=tolerance / 2**attempt, max_iterations=100_000, min_iterations=0, **methods[method]
        )

        @jax.jit
        def solve(costs, a, b):
            problem = linear_problem.LinearProblem(geometry.Geometry(costs, epsilon=epsilon), a=a, b=b)
            solution = solver(problem)
            return solution.f, solution.g

        on_device = [jax.numpy.asarray(x) for x in (costs, a, b)]

        def plan(potentials):
            assert all(x.dtype == dtype for x in potentials), "computed in another type"
            f, g = (np.asarray(x, np.float64) for x in potentials)
            return np.exp((f[:, None] + g - costs) / epsilon)

        return lambda: jax.block_until_ready(solve(*on_device)), plan

    return prepare


def geomloss():
    import torch
    from geomloss import ot

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)

    def prepare(method, costs, masses, epsilon, tolerance, attempt):
        costs, a, b = map(torch.from_numpy, load(costs, masses))
        iterations = round(8 * 2 ** (attempt / 2))

        def work():
            solution = ot.solve(costs, a=a, b=b, reg=epsilon, max_iter=iterations)
            return solution, solution.potential_a, solution.potential_b

        return work, lambda result: result[0].plan.numpy()

    return prepare


def regot():
    import regot

    def prepare(method, costs, masses, epsilon, tolerance, attempt, max_iterations=100_000):
        costs, a, b = load(costs, masses)
        costs = np.asfortranarray(costs)
        function = getattr(regot, method)
        # As for POT.
        threshold = tolerance / 16 / 2**attempt
        return lambda: function(costs, a, b, epsilon, tol=threshold, max_iter=max_iterations), lambda r: r.plan

    return prepare


warnings.filterwarnings("ignore")
serve({"POT": pot, "ott-jax": ott, "geomloss": geomloss, "regot": regot})
