"""How sales answer to spend: a curve that flattens and carries over, and what the data leave open of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HALVES = np.geomspace(
    0.25, 8.0, 6
)  # of the usual spend: where half of the most is reached; at 8 the curve is nearly straight
SLOPES = np.array([1.0, 1.5, 2.5])  # of the Hill curve
WARM_UP, CHAINS = 120, 25
SPREADS = np.geomspace(0.05, 3.0, 24)  # of returns between channels, in units of sales over spend
CARRIED = 0.8  # the most that an error is taken to carry over


@dataclass(frozen=True)
class Block:
    """Sales and the spend that may have made them: of all channels together, or of one.

    Parameters
    ----------
    sales : ndarray (periods,)
    nuisance : ndarray (periods, columns)
        What else moves sales: constant, trend, season, controls.
    channels : tuple of int
        Which channels' spend may have made them.
    rows : ndarray of int
        The period of spend that belongs to each period of sales.
    """

    sales: np.ndarray
    nuisance: np.ndarray
    channels: tuple[int, ...]
    rows: np.ndarray


@dataclass(frozen=True)
class Curves:
    """The possible curves of a channel: one row a combination of decay, half and slope.

    `shape` is the answer to each period's spend per unit of average return: its mean over all periods is the mean spend.
    """

    decay: np.ndarray
    half: np.ndarray
    slope: np.ndarray
    carried: np.ndarray  # (curves, periods): spend with what is carried over from before
    scale: np.ndarray  # (curves,)

    @property
    def shape(self) -> np.ndarray:
        """(curves, periods): the answer to the spend as it was."""
        return self.at(1.0)

    def at(self, times: float, last: int = 0) -> np.ndarray:
        """The answer, had the spend been so many times what it was; of all periods or the last few."""
        spend = times * self.carried[:, -last:]
        return self.scale[:, None] * hill(spend, self.half[:, None], self.slope[:, None])

    def marginal(self, last: int) -> np.ndarray:
        """(curves,): what the last periods' answer grows by per relative growth of the spend, per unit of average return."""
        spend = self.carried[:, -last:]
        part = hill(spend, self.half[:, None], self.slope[:, None])
        return np.asarray((self.scale[:, None] * self.slope[:, None] * part * (1 - part)).sum(axis=1))


@dataclass(frozen=True)
class Posterior:
    """Draws of what is true of each channel: which of its curves, and its average return."""

    curves: tuple[Curves, ...]
    curve: np.ndarray  # (draws, channels)
    gain: np.ndarray  # (draws, channels): sales per unit spent, over all periods


def adstock(spend: np.ndarray, decay: float, before: float = 0.0) -> np.ndarray:
    """Spend with what is carried over: a_t = (1 - decay) x_t + decay a_(t-1), so that steady spend stays what it is.

    Examples
    --------
    >>> adstock(np.array([8.0, 0.0, 0.0]), 0.5).tolist()
    [4.0, 2.0, 1.0]
    >>> adstock(np.array([3.0, 3.0]), 0.5, before=3.0).tolist()
    [3.0, 3.0]
    """
    from scipy.signal import lfilter

    return np.asarray(lfilter([1 - decay], [1, -decay], spend, zi=[decay * before])[0])


def hill(spend: np.ndarray, half: np.ndarray | float, slope: np.ndarray | float) -> np.ndarray:
    """x^s / (x^s + k^s): 0 for no spend, a half at `half`, nearly 1 for much.

    >>> hill(np.array([0.0, 2.0]), 2.0, 1.5).tolist()
    [0.0, 0.5]
    """
    powered = (np.asarray(spend) / half) ** slope
    return np.asarray(powered / (1 + powered))


def curves(spend: np.ndarray, decays: np.ndarray, first: int) -> Curves:
    """All curves considered for one channel's spend; before the data it is taken to have been as in the `first` periods."""
    usual = spend[spend > 0].mean()
    decay, half, slope = (a.ravel() for a in np.meshgrid(decays, usual * HALVES, SLOPES, indexing="ij"))
    by_decay = np.array([adstock(spend, d, spend[:first].mean()) for d in decays])
    carried = np.repeat(by_decay, len(decay) // len(decays), axis=0)
    mean = hill(carried, half[:, None], slope[:, None]).mean(axis=1)
    return Curves(decay, half, slope, carried, spend.mean() / mean)


def posterior(
    blocks: list[Block], options: list[Curves], unit: float, *, draws: int = 2000, seed: int = 0
) -> Posterior:
    """Draws of curves and returns given the data, by collapsed Gibbs sampling over the grid of curves.

    Sales are nuisance + sum of gain x shape + error. The coefficients of the nuisance have a flat prior and are integrated
    out; the errors may carry over from one period to the next (first order), and blocks may share them within a period, both by
    a first fit. Returns of channels are normal around a common mean with a spread, both learned: what is little
    known moves towards the mean of all. A return may come out below 0, so that a channel that does nothing is not given something.

    Source: Jin et al. (2017) for the curve with carry-over; Gelman et al. (2013), sections 5.4 and 11.3, for the pooling and
    the sampler.

    Parameters
    ----------
    blocks : list of Block
    options : list of Curves
        By channel.
    unit : float
        Sales over spend: the scale of the priors of the returns.
    draws, seed : int
    """
    rng = np.random.default_rng(seed)
    channels, sizes = len(options), [len(o.decay) for o in options]
    sales, of = _independent([_whitened(block, options) for block in blocks], sizes)
    n, rank = len(sales), sum(b.nuisance.shape[1] for b in blocks)
    to_sales = [f @ sales for f in of]
    between = [[a @ b.T for b in of] for a in of]
    own = [np.einsum("gt,gt->g", f, f) for f in of]
    total, free = float(sales @ sales), n - rank

    every = np.arange(channels)
    curve = np.stack([rng.integers(0, size, CHAINS) for size in sizes], axis=1)
    gain = np.zeros((CHAINS, channels))
    noise, mean, spread = np.full(CHAINS, total / free), np.zeros(CHAINS), np.full(CHAINS, 0.5 * unit)
    tau = SPREADS * unit
    keep = int(np.ceil(draws / CHAINS))
    kept_curve, kept_gain = [], []
    for sweep in range(WARM_UP + keep):
        for c in range(channels):
            others = sum((gain[:, d] * between[c][d][:, curve[:, d]] for d in range(channels) if d != c), np.zeros(1))
            score = (to_sales[c][:, None] - others) / noise + mean / spread**2
            precision = own[c][:, None] / noise + 1 / spread**2
            likely = 0.5 * score**2 / precision - 0.5 * np.log(precision)
            chance = np.exp(likely - likely.max(axis=0)).cumsum(axis=0)
            curve[:, c] = (chance < rng.random(CHAINS) * chance[-1]).sum(axis=0)
            here = (curve[:, c], np.arange(CHAINS))
            gain[:, c] = score[here] / precision[here] + rng.standard_normal(CHAINS) / np.sqrt(precision[here])
        gram = np.empty((CHAINS, channels, channels))
        for c in range(channels):
            for d in range(channels):
                gram[:, c, d] = between[c][d][curve[:, c], curve[:, d]]
        right = np.stack([to_sales[c][curve[:, c]] for c in range(channels)], axis=1)
        precision = gram / noise[:, None, None]
        precision[:, every, every] += 1 / spread[:, None] ** 2
        root = np.linalg.cholesky(np.linalg.inv(precision))
        centre = np.linalg.solve(precision, (right / noise[:, None] + (mean / spread**2)[:, None])[..., None])[..., 0]
        gain = centre + np.einsum("kij,kj->ki", root, rng.standard_normal((CHAINS, channels)))
        left = total - 2 * (gain * right).sum(axis=1) + np.einsum("ki,kij,kj->k", gain, gram, gain)
        noise = np.maximum(left, 1e-9 * total) / rng.chisquare(free, CHAINS)
        weight = channels / spread**2 + 1 / unit**2
        mean = gain.sum(axis=1) / spread**2 / weight + rng.standard_normal(CHAINS) / np.sqrt(weight)
        away = ((gain - mean[:, None]) ** 2).sum(axis=1)
        likely = -channels * np.log(tau) - 0.5 * away[:, None] / tau**2 - 0.5 * (tau / (0.5 * unit)) ** 2 + np.log(tau)
        spread = tau[(likely + rng.gumbel(size=likely.shape)).argmax(axis=1)]
        if sweep >= WARM_UP:
            kept_curve.append(curve.copy())
            kept_gain.append(gain.copy())
    return Posterior(tuple(options), np.concatenate(kept_curve), np.concatenate(kept_gain))


@dataclass(frozen=True)
class _Clear:
    """A block in units of its error, without what its nuisance explains."""

    sales: np.ndarray
    shapes: list[np.ndarray]
    rest: np.ndarray  # what a first fit leaves
    channels: tuple[int, ...]


def _independent(blocks: list[_Clear], sizes: list[int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """All sales and shapes in one row each, with errors that blocks share in a period (a good month for all) taken out."""
    errors = np.stack([b.rest for b in blocks])
    shared = np.atleast_2d(np.corrcoef(errors)) * (1 - len(blocks) / errors.shape[1])
    pairs = len(blocks) * (len(blocks) - 1) / 2
    if errors.shape[1] * (np.triu(shared, 1) ** 2).sum() < pairs + 2 * np.sqrt(
        2 * pairs
    ):  # Breusch & Pagan (1980): no more than by chance
        shared = np.eye(len(blocks))
    np.fill_diagonal(shared, 1.0)
    values, vectors = np.linalg.eigh(shared)
    apart = (vectors / np.sqrt(values)) @ vectors.T
    sales = (apart @ np.stack([b.sales for b in blocks])).ravel()
    of = [np.zeros((size, len(sales))) for size in sizes]
    for i, block in enumerate(blocks):
        for c, shape in zip(block.channels, block.shapes, strict=True):
            of[c] = (apart[:, i, None, None] * shape).transpose(1, 0, 2).reshape(sizes[c], -1)
    return sales, of


def _whitened(block: Block, options: list[Curves]) -> _Clear:
    """Sales and shapes without what the nuisance explains and without what errors carry over, in units of the error."""
    shapes = [options[c].shape[:, block.rows] for c in block.channels]
    middle = [shape[len(shape) // 2] for shape in shapes]
    first = np.column_stack([block.nuisance, *middle])
    carry = _carry(block.sales, first)

    def passed(values: np.ndarray) -> np.ndarray:
        return _passed(values, carry)

    rest = block.sales - first @ np.linalg.lstsq(first, block.sales, rcond=None)[0]
    base = np.linalg.qr(passed(block.nuisance.T).T)[0]
    y = passed(block.sales)
    error = passed(rest).std() or 1.0

    def cleared(values: np.ndarray) -> np.ndarray:
        return np.asarray((values - (values @ base) @ base.T) / error)

    return _Clear(cleared(y), [cleared(passed(shape)) for shape in shapes], cleared(passed(rest)), block.channels)


def _passed(values: np.ndarray, carry: float) -> np.ndarray:
    """Values less what is carried over from the period before, so that errors become independent (Prais & Winsten 1954)."""
    begin = np.sqrt(1 - carry**2) * values[..., :1]
    return np.concatenate([begin, values[..., 1:] - carry * values[..., :-1]], axis=-1)


def _carry(sales: np.ndarray, first: np.ndarray) -> float:
    """How much of an error carries over to the next period: the mean over its restricted likelihood, from 0 to `CARRIED`.

    That of the residuals is far too low where trend and season take many of few periods.

    Source: Harville (1977) for the restricted likelihood.
    """
    grid = np.linspace(0.0, CARRIED, 17)
    likely = np.zeros(len(grid))
    basis = np.linalg.svd(first, full_matrices=False)[0][:, : np.linalg.matrix_rank(first)]
    for i, carry in enumerate(grid):
        q, r = np.linalg.qr(_passed(basis.T, carry).T)
        y = _passed(sales, carry)
        rest = y - q @ (q.T @ y)
        free = len(y) - basis.shape[1]
        size = np.log(max(float(rest @ rest), 1e-300))
        likely[i] = 0.5 * np.log(1 - carry**2) - 0.5 * free * size - np.log(np.abs(np.diag(r))).sum()
    chance = np.exp(likely - likely.max())
    return float(grid @ chance / chance.sum())
