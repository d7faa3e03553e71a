"""The other side of recommender_speed: users per second of implicit, printed. Runs in implicit's own environment."""

import sys
import time

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse


def main() -> None:
    items, users, history, k, unavailable = map(int, sys.argv[1:])
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(users), history)
    columns = rng.integers(0, items, users * history)
    owned = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(users, items))
    model = AlternatingLeastSquares(factors=64, num_threads=2, random_state=0)
    model.user_factors = rng.normal(size=(users, 64)).astype(np.float32)
    model.item_factors = rng.normal(size=(items, 64)).astype(np.float32)
    ids = np.arange(users)
    barred = np.arange(unavailable)
    model.recommend(ids[:64], owned[:64], N=k, filter_already_liked_items=True, filter_items=barred)
    started = time.perf_counter()
    for start in range(0, users, 1024):
        batch = ids[start : start + 1024]
        model.recommend(batch, owned[batch], N=k, filter_already_liked_items=True, filter_items=barred)
    print(users / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
