"""k-medoids of a matrix of distances, from given medoids. The result is the medoids."""

import warnings

import numpy as np
from worker import serve


def kmedoids():
    import kmedoids

    def prepare(method, algorithm, distances, max_iterations, start):
        distances, start = np.load(distances), np.array(start, np.uint64)
        function = getattr(kmedoids, algorithm)
        options = {"n_cpu": 1} if algorithm == "fasterpam" else {}
        return lambda: function(distances, start, max_iter=max_iterations, **options), lambda result: result.medoids

    return prepare


def scikit_learn_extra():
    from sklearn_extra.cluster import KMedoids

    methods = {"fastpam1": "pam", "alternating": "alternate"}

    def prepare(method, algorithm, distances, max_iterations, start):
        distances = np.load(distances)
        # Given medoids are rows of the matrix.
        search = KMedoids(
            n_clusters=len(start),
            metric="precomputed",
            method=methods[algorithm],
            init=distances[start],
            max_iter=max_iterations,
        )
        return lambda: search.fit(distances), lambda result: result.medoid_indices_

    return prepare


warnings.filterwarnings("ignore")
serve({"kmedoids": kmedoids, "scikit-learn-extra": scikit_learn_extra})
