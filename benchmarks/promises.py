"""How much of what is promised of the best of several options is delivered, by how the estimates are drawn together first.

    python benchmarks/promises.py

Options have true worths with a standard deviation of `spread` and are each seen with an error of 20. The best one by its estimate is
taken; printed is the mean of delivered less promised: 0 is right, below 0 too much was promised.
"""

import numpy as np

ERROR, TIMES = 20.0, 4000
GRID = np.linspace(0.0, 6 * ERROR, 241)


def paule_mandel(seen: np.ndarray) -> np.ndarray:
    """The share of an estimate's distance from the mean that is kept: by the method of moments, 0 at least."""
    squares = ((seen - seen.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return np.maximum(0.0, 1 - ERROR**2 * (seen.shape[1] - 1) / squares)


def bayes(seen: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """The same, with the spread drawn from its likelihood and a prior on the grid."""
    squares = ((seen - seen.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    total = ERROR**2 + GRID**2
    likely = -0.5 * ((seen.shape[1] - 1) * np.log(total) + squares[:, None] / total) + prior
    weight = np.exp(likely - likely.max(axis=1, keepdims=True))
    return (weight * GRID**2 / total).sum(axis=1) / weight.sum(axis=1)


METHODS = {
    "none": lambda seen: np.ones(len(seen)),
    "flat prior": lambda seen: bayes(seen, np.zeros_like(GRID)),
    "half-normal prior": lambda seen: bayes(seen, -0.5 * (GRID / ERROR) ** 2),
    "half-Cauchy prior": lambda seen: bayes(seen, -np.log1p((GRID / ERROR) ** 2)),
    "Paule-Mandel": paule_mandel,
}


def main() -> None:
    rng = np.random.default_rng(0)
    print("options  spread  " + "  ".join(f"{name:>17}" for name in METHODS))
    for options in (3, 6, 12):
        for spread in (0, 5, 10, 20, 40):
            true = rng.normal(0, spread, (TIMES, options))
            seen = true + rng.normal(0, ERROR, true.shape)
            best, row, mean = seen.argmax(axis=1), np.arange(TIMES), seen.mean(axis=1)
            found = [
                (true[row, best] - mean - keep(seen) * (seen[row, best] - mean)).mean() for keep in METHODS.values()
            ]
            print(f"{options:>7}  {spread:>6}  " + "  ".join(f"{one:>17.1f}" for one in found))


if __name__ == "__main__":
    main()
