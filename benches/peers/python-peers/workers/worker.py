"""What the workers share: a process that does the work of one package as often as it is told.

It prints the package's version when everything is imported. Then it reads requests from standard
input, each a JSON object on a line of its own, and answers each with a line:
  results ..   prepare a work of the other fields, do it once, and write its results, as f64, to this file;
               if the package raises a RuntimeError, its message is printed and there are no results
  at_least     do the work for so many seconds, at least once; the answer is the mean seconds of once
"""

import json
import os
import sys
from importlib.metadata import version
from itertools import repeat
from time import perf_counter

import numpy as np


def seconds(work, at_least):
    """The mean time of one call, with a clock around batches of calls that become longer."""
    calls, total, batch = 0, 0.0, 1
    while calls == 0 or total < at_least:
        start = perf_counter()
        for _ in repeat(None, batch):
            work()
        total += perf_counter() - start
        calls += batch
        batch *= 2
    return total / calls


def serve(packages):
    """`packages` maps names to functions that import the package and return another, of the fields of a request.

    That one returns the work, and a function of its result that makes an array of it.
    """
    package = sys.argv[1]
    # Libraries may print. Only answers go to the parent.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    prepare, work = packages[package](), None
    print(version(package), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "at_least" in request:
            print(seconds(work, request["at_least"]), file=answers, flush=True)
        else:
            path = request.pop("results")
            work, array = prepare(**request)
            try:
                results = array(work())
            except RuntimeError as error:
                print(f"{package}: {error}", file=sys.stderr)
                results = []
            np.asarray(results).astype("<f8").tofile(path)
            print("ready", file=answers, flush=True)
