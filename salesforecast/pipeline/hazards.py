"""The chance that an open deal is won or lost in each of the coming weeks, from what is known of it today.

Discrete-time competing risks by landmarking: the rows are deal-weeks ahead of the day of a panel, the features are those of
that day, and two penalised logits give the share won in a week of those open, and the share lost of the others. What changes
later (its stage, say) needs no model of its own: the weeks ahead are learnt from deals that stood where this one stands.

Source: van Houwelingen (2007) for landmarking; Tutz & Schmid (2016), chapter 8, for the two logits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from salesforecast.pipeline import weeks

AHEAD = 14  # weeks: a quarter and the one that has begun
_BINS = np.array([1, 2, 3, 4, 6, 8, 10, 12])  # first week ahead of each step of the baseline
_SPREAD = {
    "segment": 0.7,
    "channel": 0.4,
    "product_id": 0.3,
    "rep_id": 0.25,
    "customer": 0.35,
}  # sd of a value's effect
_WEIGHT = 0.3  # of a deal-week: the panels tell of each more than once
_FEWER = 7  # one row in so many to begin a fit with; weeks ahead of a deal follow each other, so no week is left out
_LATE = 0.15  # filled more often by so much on deals won: then the outcome filled it in
_ROWS = 50_000  # deal-weeks that a fit takes at most; of more every second, third, … is taken
_MOST = 60  # values of a label with an effect of their own: the most frequent ones
_BLOCK = 20_000  # deals scored at once
BECAUSE = (  # groups of features, as the reasons name them
    "stage", "time in stage", "age", "silence", "amount", "expected close date", "pushed date", "segment", "channel",
    "product_id", "rep_id", "customer",
)  # fmt: skip


@dataclass(frozen=True)
class Hazards:
    """Two fitted logits over the same features.

    Parameters
    ----------
    levels : dict
        Label -> its values with an effect of their own.
    usual : float
        The median log amount.
    won, lost : tuple of ndarray and float
        Coefficients and intercept.
    fiscal_year_start : int
    """

    levels: dict[str, list[str]]
    usual: float
    won: tuple[np.ndarray, float]
    lost: tuple[np.ndarray, float]
    fiscal_year_start: int

    def ahead(self, panel: pd.DataFrame, week: int, h: int) -> tuple[np.ndarray, np.ndarray]:
        """The chance of being won, and of being lost, in each of h weeks from the one after `week` on.

        Parameters
        ----------
        panel : DataFrame
            As `panels.panel` gives it.
        week : int
            The number of the week at whose end the deals stand (`weeks.number`).
        h : int

        Returns
        -------
        won, lost : ndarray (deals, h)
        """
        return next(iter(self.from_weeks(panel, [week], [h])), (np.zeros((0, h)), np.zeros((0, h))))

    def from_weeks(
        self, panel: pd.DataFrame, starts: Sequence[int], reach: Sequence[int]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """As `ahead`, from the end of each of several weeks, as many weeks far: the same deals, each time as if new."""
        blocks = [panel.iloc[i : i + _BLOCK] for i in range(0, len(panel), _BLOCK)]
        ready = [(len(b), *_features(b, self.levels, self.usual, self.fiscal_year_start)) for b in blocks]
        for week, h in zip(starts, reach, strict=True) if blocks else ():
            parts = [self._chances(n, still, moving, week, h) for n, still, moving in ready]
            yield np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _chances(self, n: int, still: _Columns, moving: _Moving, week: int, h: int) -> tuple[np.ndarray, np.ndarray]:
        later = moving(np.repeat(np.arange(n), h), np.tile(np.arange(1, h + 1), n), np.full(n * h, week))
        odds = [
            (still @ beta[: still.width] + intercept)[:, None] + (later @ beta[still.width :]).reshape(n, h)
            for beta, intercept in (self.won, self.lost)
        ]
        win = 1 / (1 + np.exp(-odds[0]))
        lose = (1 - win) / (1 + np.exp(-odds[1]))
        before = np.cumprod(np.column_stack([np.ones(n), 1 - win - lose]), axis=1)[:, :-1]
        return before * win, before * lose

    def reasons(self, panel: pd.DataFrame, week: int) -> pd.DataFrame:
        """What moves each deal's odds of being won in the coming weeks away from those of the average deal of the panel.

        Returns
        -------
        DataFrame
            One row per deal, one column per group of features (`BECAUSE`): log-odds.
        """
        still, moving = _features(panel, self.levels, self.usual, self.fiscal_year_start)
        later = moving(np.arange(len(panel)), np.full(len(panel), 4), np.full(len(panel), week))
        values = np.column_stack([*still.columns, *later.columns]) * self.won[0]
        names = np.array([*still.names, *later.names])
        away = values - values.mean(axis=0)
        return pd.DataFrame({g: away[:, names == g].sum(axis=1) for g in BECAUSE}, index=panel.index)


def fit(
    panels: pd.DataFrame, week: np.ndarray, ended: pd.DataFrame, until: int, fiscal_year_start: int = 1, thin: int = 4
) -> Hazards:
    """The two logits, learnt from panels of the past and from what became of their deals.

    A deal that is still open at the end of week `until` counts as open up to there. Of the weeks in which a deal stands in
    the panels every `thin`-th is taken (which, follows from its id), for neighbouring weeks tell nearly the same; of very
    many deals fewer.

    Parameters
    ----------
    panels : DataFrame
        Of days up to the end of `until`.
    ended : DataFrame
        By opportunity_id: outcome and closed_date, as known at the end of `until`.
    until : int
        The last week seen.
    """
    code, ids = pd.factorize(panels["opportunity_id"])
    offset = np.array([zlib.crc32(str(i).encode()) for i in ids], dtype="int64")[code]
    kept = (week + offset) % thin == 0
    panels, week, offset = panels[kept], week[kept], offset[kept]
    fate = ended.reindex(panels["opportunity_id"])
    closed = weeks.number(fate["closed_date"], fiscal_year_start)
    outcome = fate["outcome"].to_numpy()
    ends = np.where((outcome == "open") | (closed > until), np.iinfo(np.int32).max, np.maximum(closed, week + 1))
    seen = np.minimum(np.minimum(ends, until) - week, AHEAD).clip(min=0)
    share = int(np.ceil(seen.sum() / _ROWS)) or 1
    few = (week + offset) // thin % share == 0
    panels, week, outcome, ends, seen = panels[few], week[few], outcome[few], ends[few], seen[few]
    row = np.repeat(np.arange(len(panels)), seen)
    u = np.arange(len(row)) - np.repeat(np.cumsum(seen) - seen, seen) + 1
    over = week[row] + u == ends[row]
    won, lost = over & (outcome[row] == "won"), over & (outcome[row] == "lost")

    levels = _levels(panels, outcome == "won")
    amounts = np.log(panels["amount"].where(panels["amount"] > 0))
    usual = float(amounts.median()) if amounts.notna().any() else 0.0
    still, moving = _features(panels, levels, usual, fiscal_year_start)
    later = moving(row, u, week[row])
    scale = np.r_[still.spread, later.spread]
    x = np.empty((len(row), len(scale)))
    for k, (column, spread) in enumerate(zip([*still.columns, *later.columns], scale, strict=True)):
        x[:, k] = spread * (column[row] if k < still.width else column)
    return Hazards(
        levels,
        usual,
        _logit(x, won, scale, _WEIGHT * share),
        _logit(x[~won], lost[~won], scale, _WEIGHT * share),
        fiscal_year_start,
    )


def _logit(x: np.ndarray, y: np.ndarray, scale: np.ndarray, weight: float) -> tuple[np.ndarray, float]:
    """Coefficients and intercept; effects are drawn towards 0 as if each came from a normal of the spread given, a row counting
    `weight` times.
    """
    if not y.any() or y.all():
        share = (y.sum() + 0.5) / (len(y) + 1)
        return np.zeros(x.shape[1]), float(np.log(share / (1 - share)))
    model = LogisticRegression(solver="newton-cholesky", tol=1e-5, max_iter=50, warm_start=True)
    with threadpool_limits(1):  # small products, many of them: threads would wait for each other
        if (
            0 < y[::_FEWER].sum() < len(y[::_FEWER])
        ):  # from where a part of the rows leads, all of them need two or three steps
            model.set_params(C=weight * _FEWER).fit(x[::_FEWER], y[::_FEWER])
        model.set_params(C=weight).fit(x, y)
    return model.coef_[0] * scale, float(model.intercept_[0])


@dataclass(frozen=True)
class _Columns:
    """Features side by side, the group of each, and the standard deviation its effect is thought to have."""

    columns: list[np.ndarray] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)

    @property
    def width(self) -> int:
        return len(self.columns)

    def add(self, name: str, spread: float, *columns: np.ndarray) -> None:
        for column in columns:
            self.columns.append(np.asarray(column, dtype="float64"))
            self.names.append(name)
            self.spread.append(spread)

    def __matmul__(self, beta: np.ndarray) -> np.ndarray:
        total = np.zeros(len(self.columns[0]))
        for column, effect in zip(self.columns, beta, strict=True):
            total += effect * column
        return total


_Moving = Callable[[np.ndarray, np.ndarray, np.ndarray], _Columns]


def _levels(panels: pd.DataFrame, won: np.ndarray) -> dict[str, list[str]]:
    """The values of each label that have an effect of their own; none where the label is filled in when a deal is won."""
    found: dict[str, list[str]] = {}
    for label in ("stage", *_SPREAD):
        filled = (panels[label] != "").to_numpy()
        if won.any() and not won.all() and abs(filled[won].mean() - filled[~won].mean()) > _LATE:
            found[label] = []  # today's labels stand for those of then, and would tell the outcome
            continue
        counts = panels[label].value_counts()
        values = sorted(counts.index[counts.to_numpy() > 0], key=lambda v: (-counts[v], v))[:_MOST]
        found[label] = values if len(values) > 1 or label == "stage" else []
    return found


def _features(
    panel: pd.DataFrame, levels: dict[str, list[str]], usual: float, fiscal_year_start: int
) -> tuple[_Columns, _Moving]:
    """What holds for all weeks ahead, and a function for what moves with them: of rows, weeks ahead, and week numbers."""
    of = {label: _one_of(panel[label], values) for label, values in levels.items()}
    stages, segments = of["stage"], of["segment"]
    age, in_stage, quiet = (panel[c].to_numpy("float64") / 7 for c in ("age", "in_stage", "quiet"))
    due, pushes = panel["due"].to_numpy("float64") / 7, panel["pushes"].to_numpy("float64")
    old, stuck, silent = (np.log1p(np.maximum(x, 0)) for x in (age, in_stage, quiet))
    amount = np.log(panel["amount"].where(panel["amount"] > 0)).to_numpy("float64") - usual

    still = _Columns()
    still.add("stage", 1.0, *stages)
    for label, spread in _SPREAD.items():
        still.add(label, spread, *of[label])
    still.add("amount", 0.4, np.clip(np.nan_to_num(amount), -4, 4), np.isnan(amount))
    still.add("pushed date", 0.5, np.minimum(pushes, 3) / 1.5, pushes > 0)
    still.add("age", 0.6, old - 2, (old - 2) ** 2 / 2)
    still.add("silence", 0.5, silent - 1)
    past = due < 0
    still.add("expected close date", 0.5, np.isnan(due), past, past * np.log1p(np.maximum(-np.nan_to_num(due), 0)))

    def moving(row: np.ndarray, u: np.ndarray, week: np.ndarray) -> _Columns:
        """Of a row, u weeks ahead of `week`."""
        log_u, then = np.log(u) - 1, week + u
        waited, aged = np.log1p(np.maximum(in_stage[row] + u, 0)) - 2, np.log1p(np.maximum(age[row] + u, 0)) - 2.3
        moved = _Columns()
        step = np.searchsorted(_BINS, u, side="right") - 1
        moved.add("", 1.0, *[step == k for k in range(len(_BINS))])
        for here in stages:
            here = here[row]
            moved.add("time in stage", 0.7, here * waited, here * (stuck[row] - 1.5))
            moved.add("time in stage", 0.4, here * waited**2)
            moved.add("stage", 0.7, here * log_u, here * log_u**2 / 2)
        of_quarter = weeks.of_quarter(then)
        for here in stages:  # at the end of a quarter early stages jump more than the odds alone would tell
            moved.add("stage", 0.7, here[row] * (of_quarter == 13), here[row] * (of_quarter == 12))
        for ours in segments:
            moved.add("segment", 0.4, ours[row] * log_u, ours[row] * aged, ours[row] * waited)
        after = u - due[row]  # weeks since the date it was expected
        hoped = due[row] >= 0
        moved.add(
            "expected close date", 0.5,
            hoped & (after >= 0) & (after < 1), hoped & (after >= 1) & (after < 3), hoped & (after >= 3),
            (after < 0) & (after >= -4),
        )  # fmt: skip
        moved.add(
            "", 1.0,
            of_quarter == 13, of_quarter == 12, (of_quarter == 10) | (of_quarter == 11), of_quarter <= 2,
            (of_quarter == 3) | (of_quarter == 4), _log_working_days(then, fiscal_year_start),
        )  # fmt: skip
        return moved

    return still, moving


def _one_of(column: pd.Series, values: list[str]) -> list[np.ndarray]:
    """Whether each row has the first value, the second, …"""
    place = pd.Index(values, dtype="object").get_indexer(column.astype("object"))
    return list((place[:, None] == np.arange(len(values))).T.astype("float64"))


def _log_working_days(week: np.ndarray, fiscal_year_start: int) -> np.ndarray:
    """The log of the working days of each week over five."""
    distinct, back = np.unique(week, return_inverse=True)
    first = weeks.last_day(distinct - 1, fiscal_year_start) + 1
    return np.log(weeks.working_days(first, weeks.last_day(distinct, fiscal_year_start)) / 5)[back]
