"""A trial that would tell two tactics apart: how many, how long, and how it is read."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from salesforecast import style
from salesforecast.channels.attempts import WITHIN
from salesforecast.channels.tactics import WORDS
from salesforecast.errors import TooLittleData, unknown
from salesforecast.text import md

ALPHA, POWER = 0.05, 0.80
GAPS = (0.02, 0.03, 0.05, 0.10)
SPANS = (3, 12)  # months
A_MONTH = 365.25 / 12


def arm_size(base: float, other: float, *, design: float = 1.0, alpha: float = ALPHA, power: float = POWER) -> int:
    """Attempts in each of two equal arms to tell one rate from another.

        n = D (z_(alpha/2) sqrt(2 p q) + z_beta sqrt(p1 q1 + p2 q2))^2 / (p1 - p2)^2, p the mean of p1 and p2

    Parameters
    ----------
    base, other : float
        The two rates.
    design : float
        D, by how much clusters blow up the variance, from `design_effect`.
    alpha, power : float
        Two-sided level, and the chance to see the difference when it is there.

    Source
    ------
    Fleiss, Levin & Paik (2003), section 4.2; Donner & Klar (2000) for the clusters.

    Examples
    --------
    >>> arm_size(0.10, 0.15)
    686
    >>> arm_size(0.10, 0.15, design=2.0)
    1372
    """
    from scipy.stats import norm

    mean = (base + other) / 2
    reach = norm.isf(alpha / 2) * np.sqrt(2 * mean * (1 - mean)) + norm.ppf(power) * np.sqrt(
        base * (1 - base) + other * (1 - other)
    )
    return int(np.ceil(design * reach**2 / (base - other) ** 2))


def detectable(base: float, n: float, *, design: float = 1.0, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest rise above the base rate that so many attempts in each arm can tell; missing when none.

    >>> round(detectable(0.10, 686), 3)
    0.05
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    def short(gap: float) -> float:
        other, mean = base + gap, base + gap / 2
        spread = norm.isf(alpha / 2) * np.sqrt(2 * mean * (1 - mean)) + norm.ppf(power) * np.sqrt(
            base * (1 - base) + other * (1 - other)
        )
        return float(gap - np.sqrt(design / n) * spread)

    most = 1 - base - 1e-9
    return float(brentq(short, 1e-9, most)) if n > 0 and short(most) > 0 else np.nan


def design_effect(result: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """By how much clusters blow up the variance of a rate, and the correlation within them.

    1 + (m - 1) rho, m the size of the cluster an attempt lies in on average, rho by analysis of variance, at least 0.

    Source: Donner & Klar (2000), section 1.4; Kish (1965).

    Examples
    --------
    >>> design, rho = design_effect(np.array([1, 1, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 2, 2]))
    >>> round(design, 2), round(rho, 2)
    (2.0, 1.0)
    """
    codes = pd.factorize(clusters)[0]
    size = np.bincount(codes).astype("float64")
    n, k, y = len(codes), len(size), np.asarray(result, dtype="float64")
    if k < 2 or n == k:
        return 1.0, 0.0
    means = np.bincount(codes, y) / size
    between = (size * (means - y.mean()) ** 2).sum() / (k - 1)
    within = ((y - means[codes]) ** 2).sum() / (n - k)
    usual = (n - (size**2).sum() / n) / (k - 1)
    total = between + (usual - 1) * within
    rho = float(np.clip((between - within) / total, 0, 1)) if total > 0 else 0.0
    return float(1 + ((size**2).sum() / n - 1) * rho), rho


def trial(attempts: pd.DataFrame, pairs: pd.DataFrame, *, tactic: str = "", other: str = "") -> pd.DataFrame:
    """What it takes to tell two tactics apart by lot: attempts and accounts in each arm, and months at today's pace.

    Without names it is the comparison with most at stake: attempts a month of both, times the largest difference that the data
    still allow. Accounts are dealt out, so that all attempts at one are in the same arm. The pace is that of both together over
    the time of the attempts, a half to each arm.

    Parameters
    ----------
    attempts, pairs : DataFrame
        From the functions of these names.
    tactic, other : str
        The two to compare, as in `pairs`.

    Returns
    -------
    DataFrame
        to_tell (a gap, or a number of months), gap_share (told with a chance of 80% at a two-sided 5%), tries_each, accounts_each, months;
        and the same in each row: tactic, other, aim, base (the lower adjusted rate's raw one), design (effect of clusters), within (their
        correlation), a_month (attempts of both).

    Raises
    ------
    TooLittleData
        When the two are not among the pairs.
    SettingError
        When there is no such tactic.
    """
    if pairs.empty:
        raise TooLittleData("No two tactics were used often enough to plan a trial between them.")
    months = max(1.0, (attempts["at"].max() - attempts["at"].min()).days / A_MONTH)
    pace = attempts.groupby(["aim", "tactic"]).size() / months
    both = [float(pace[(r.aim, r.tactic)] + pace[(r.aim, r.other)]) for r in pairs.itertuples()]
    stake = pd.Series(both, index=pairs.index) * pairs[["lower", "upper"]].abs().max(axis=1)
    for name in (tactic, other):
        known = sorted(set(pairs["tactic"]) | set(pairs["other"]))
        if name and name not in known:
            raise unknown("tactic in these comparisons", name, known)
    asked = pd.Series(True, index=pairs.index)
    for name in filter(None, (tactic, other)):
        asked &= (pairs["tactic"] == name) | (pairs["other"] == name)
    if not asked.any():
        raise TooLittleData(f"{tactic} and {other} do not have the same aim, so they cannot be compared.")
    chosen = pairs.loc[stake[asked].idxmax()]
    rows = attempts[(attempts["aim"] == chosen["aim"]) & attempts["tactic"].isin([chosen["tactic"], chosen["other"]])]
    done = rows[rows["decided"]]
    base = float(done.loc[done["tactic"] == chosen["other"], "result"].mean())
    design, rho = design_effect(done["result"].to_numpy(), done["cluster"].astype("str").to_numpy())
    per_account, a_month = len(done) / done["cluster"].nunique(), len(rows) / months
    out = []
    for span in SPANS:
        gap = detectable(base, span * a_month / 2, design=design) if 0 < base < 1 else np.nan
        out.append((f"in {span} months", gap, span * a_month / 2, float(span)))
    seen = float(chosen["gap_share"])
    for gap in sorted({*GAPS, *((round(seen, 3),) if seen >= 0.01 else ())}):
        if base + gap < 1:
            n = arm_size(base, base + gap, design=design)
            words = style.points(gap).lstrip("+") + (", as seen" if gap == round(seen, 3) and gap not in GAPS else "")
            out.append((words, gap, float(n), 2 * n / a_month))
    frame = pd.DataFrame(out, columns=["to_tell", "gap_share", "tries_each", "months"])
    frame.insert(3, "accounts_each", frame["tries_each"] / per_account)
    return frame.assign(
        tactic=chosen["tactic"],
        other=chosen["other"],
        aim=chosen["aim"],
        base=base,
        design=design,
        within=rho,
        a_month=a_month,
    )


def rule(trial: pd.DataFrame, gap: float = 0.05) -> str:
    """How the trial is done and read, in words, fixed before it begins."""
    row, first = _at(trial, gap), trial.iloc[0]
    one, other = (WORDS.get(first[c], first[c]) for c in ("tactic", "other"))
    return (
        f"Deal out accounts by lot to {md(one)} or {md(other)}, {style.count(row['accounts_each'])} to each. Count the attempts after "
        f"which a {first['aim']} within {WITHIN} days, every account in the arm it was dealt to. Look once, when "
        f"{style.count(row['tries_each'])} attempts in each arm are so old: difference of the two shares, errors by account, "
        f"two-sided 5%. No look before, no longer run."
    )


def _at(trial: pd.DataFrame, gap: float) -> pd.Series:
    planned = trial.iloc[len(SPANS) :]
    return planned.loc[(planned["gap_share"] - gap).abs().idxmin()]


def finding_trial(trial: pd.DataFrame) -> str:
    """One sentence: what the trial that matters most takes."""
    row, first, year = _at(trial, 0.05), trial.iloc[0], trial.iloc[len(SPANS) - 1]
    one, other = (WORDS.get(first[c], first[c]) for c in ("tactic", "other"))
    gap = style.points(row["gap_share"]).lstrip("+")
    months = style.plural(round(row["months"]), "month") if row["months"] >= 1 else "under a month"
    long = (
        ""
        if row["months"] <= SPANS[-1] or pd.isna(year["gap_share"])
        else f"; a year tells {style.points(year['gap_share']).lstrip('+')}"
    )
    return (
        f"A trial of **{md(one)} against {md(other)}** tells {gap} with {style.plural(row['tries_each'], 'attempt')} each, "
        f"{months} at today's pace{long}."
    )


def chart_trial(trial: pd.DataFrame) -> alt.LayerChart:
    """How many months it takes to tell each gap."""
    rows = trial.iloc[len(SPANS) :]
    rows = rows.assign(
        text=[
            f"{style.figure(1)(m)} months, {style.count(n)} each"
            for m, n in zip(rows["months"], rows["tries_each"], strict=True)
        ]
    )
    return style.bars(
        rows, "months", "to_tell", text="text", accent=str(_at(trial, 0.05)["to_tell"]), title="Months to tell a gap between the two",
        subtitle="At today's pace of attempts; two-sided 5%, seen with a chance of 80%",
    )  # fmt: skip
