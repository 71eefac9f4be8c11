"""Transport with sparse plans. `attempt` counts from 0: each has a stricter setting than the one before.

`masses` has two rows, those of the rows and of the columns. The result is the plan; with `max_entries`, the dual value.
It is empty if the solve fails.
"""

import os
import sys

import numpy as np
from worker import serve

# 32 times stricter each time: most methods converge fast, and attempts take long.
STRICTER = 32


def pot():
    from ot import smooth

    # It prints shapes while it solves.
    sys.stdout = open(os.devnull, "w")

    def prepare(method, costs, masses, gamma, attempt, max_entries=None):
        a, b = np.load(masses)
        # The masses of columns are exact, and their entries limited: rows of mantex are columns here.
        costs = np.ascontiguousarray(np.load(costs).T)
        options = {"stopThr": 1e-9 / STRICTER**attempt, "numItermax": 10_000}
        if max_entries:
            options |= {"reg_type": "sparsity_constrained", "max_nz": max_entries}
        function = getattr(smooth, method.split()[0])

        def results(result):
            plan, log = result
            return [-log["res"].fun] if max_entries else plan.T

        return lambda: function(b, a, costs, gamma, log=True, **options), results

    return prepare


def regot():
    import regot

    def prepare(method, costs, masses, gamma, attempt):
        (a, b), costs = np.load(masses), np.asfortranarray(np.load(costs))
        function = getattr(regot, method)
        threshold = 1e-6 / STRICTER**attempt
        return lambda: function(costs, a, b, gamma, tol=threshold, max_iter=100), lambda r: r.plan

    return prepare


serve({"POT": pot, "regot": regot})
