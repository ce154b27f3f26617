"""What a finding is about in money, and what a forecast has said: `show` keeps it beside the sentence, for summary and next report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist
from typing import Any

EVIDENCE = ("association", "natural experiment", "test")  # from weak to strong
LEVEL = 0.8  # of every range of a stake


@dataclass(frozen=True)
class Stake:
    """The bookings within a year that hang on a finding; with a lever it is an option that a reader can take.

    Parameters
    ----------
    amount : float
        Money: the estimate. A cost that the lever needs is taken off.
    lower, upper : float
        Its 80% range; missing where there is none.
    lever : str
        What could be done, in Markdown, as "Help at **Proposal**"; empty when nothing is proposed.
    key : str
        Names the option in this and every later report; the sentence may change, the key does not.
    test : str
        The cheapest way to find out whether it works.
    evidence : str
        association, natural experiment or test.
    shrunk : bool
        Whether the estimate has been drawn towards the others already: it is then not drawn a second time.
    level : float
        The figure that the lever moves, in money a year: by how much it has risen in the next report was delivered. Missing
        where the data cannot show it.
    """

    amount: float
    lower: float = math.nan
    upper: float = math.nan
    lever: str = ""
    key: str = ""
    test: str = ""
    evidence: str = EVIDENCE[0]
    shrunk: bool = False
    level: float = math.nan

    def __post_init__(self) -> None:
        if self.evidence not in EVIDENCE:
            raise ValueError(f"evidence is one of {', '.join(EVIDENCE)}, not {self.evidence!r}")


@dataclass(frozen=True)
class Forecast:
    """What was said of a period, so that a later report can hold it against what came.

    Parameters
    ----------
    period : str
        The label of the period forecast.
    mean, lower, upper : float
        Bookings: the forecast and its 80% range.
    """

    period: str
    mean: float
    lower: float = math.nan
    upper: float = math.nan


def at_80(amount: float, lower: float, upper: float, level: float) -> tuple[float, float]:
    """The 80% range of an estimate whose range is given at another level; each side by itself, shaped like a normal's.

    Examples
    --------
    >>> [round(bound, 1) for bound in at_80(100.0, 80.4, 139.2, 0.95)]
    [87.2, 125.6]
    """
    scale = NormalDist().inv_cdf(0.5 + LEVEL / 2) / NormalDist().inv_cdf(0.5 + level / 2)
    return amount - (amount - lower) * scale, amount + (upper - amount) * scale


def shortfall(gap: float, lower: float, upper: float) -> Stake:
    """What is missing of a target over all that may happen: the mean of the gap where it is one, the gap taken as normal.

    Parameters
    ----------
    gap, lower, upper : float
        Target less what is expected, and its 80% range; below 0 nothing is missing.

    Examples
    --------
    >>> shortfall(5.0, 5.0, 5.0).amount, shortfall(-5.0, -5.0, -5.0).amount
    (5.0, 0.0)
    """
    usual = NormalDist()
    error = (upper - lower) / (2 * usual.inv_cdf(0.5 + LEVEL / 2))
    z = gap / error if error > 0 else 0.0
    short = gap * usual.cdf(z) + error * usual.pdf(z) if error > 0 else max(gap, 0.0)
    # a shortfall less likely than the range reaches has a mean and no range
    return Stake(short, max(0.0, lower), upper) if upper > 0 else Stake(short)


def kept(said: Stake | Forecast) -> dict[str, Any]:
    """As JSON: without what is missing or empty, six digits of each figure.

    Examples
    --------
    >>> kept(Stake(1 / 3, lever="Call them"))
    {'amount': 0.333333, 'lever': 'Call them', 'evidence': 'association', 'shrunk': False}
    """
    return {
        name: float(f"{value:.6g}") if isinstance(value, float | int) and not isinstance(value, bool) else value
        for name, value in asdict(said).items()
        if value != "" and not (isinstance(value, float) and not math.isfinite(value))
    }


def stake(given: Mapping[str, Any]) -> Stake:
    """The stake that `kept` wrote; what this version does not know is left out."""
    return Stake(**{f.name: given[f.name] for f in fields(Stake) if f.name in given})


def forecast(given: Mapping[str, Any]) -> Forecast:
    """The forecast that `kept` wrote."""
    return Forecast(**{f.name: given[f.name] for f in fields(Forecast) if f.name in given})
