"""Are the channels' effects found as they were planted, and are the raw numbers contradicted only where they mislead?

    python benchmarks/channel_effects.py [--companies 200]

Made-up companies of 2,000 deals by five channels over two years, with customers who come back, quarters that share luck, channels with
different mixes of segment, region and new customers, and of different speed, and deals that nobody ever closes.
*Planted*: how often the 90% intervals of the rates on the common mix, and of the gaps between channels, hold the truth.
*Null*: equal channels with unlike mixes; how often is a channel named, a reversal claimed? *Reversal*: the channel that wins most of its
own deals wins fewest of the same deals; how often is that found? *Delayed*: a channel as good as the others, three times as slow and
growing fast; how often is it called bad, by the page and by won / closed? *Split*: how often the intervals of the parts by which
the win rate changed hold the truth.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from salesforecast import channels
from salesforecast.tables import Crm

END = pd.Timestamp("2025-06-30")
DAYS = 730
NAMES = ("Agent", "Direct", "Event", "Partner", "Web")
SEGMENTS = ("Small", "Middle", "Large")
REGIONS = ("East", "West")
REGION_EFFECT = np.array([0.1, -0.1])
EXISTING = 0.5
BASE = -0.9
ACCOUNT_SD, SHOCK_SD = 0.4, 0.2
WIN_DAYS, SPREAD = (
    np.array([35.0, 50.0, 70.0]),
    0.6,
)  # median days to win by segment, and the standard deviation of their logarithm
LINGER, SILENT = 2.5, 0.05  # losses take so much longer; so many deals are never closed
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(21)


@dataclass(frozen=True)
class Plan:
    """What is true of a company's channels."""

    effect: tuple[float, ...] = (-0.4, -0.15, 0.0, 0.25, 0.5)
    delay: tuple[float, ...] = (1.0, 1.0, 1.3, 1.2, 0.8)
    mix: tuple[tuple[float, ...], ...] = (
        (0.5, 0.3, 0.2),
        (0.3, 0.4, 0.3),
        (0.4, 0.3, 0.3),
        (0.2, 0.4, 0.4),
        (0.5, 0.4, 0.1),
    )
    share: tuple[float, ...] = (0.2, 0.2, 0.2, 0.2, 0.2)
    growing: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)  # 1: all its deals in the second year
    of_segment: tuple[float, ...] = (0.5, 0.0, -0.7)
    drift: float = 0.0  # added to the effect of all channels in the second year
    deals: int = 2000


SIMPSON = Plan(
    effect=(0.0, 0.5, 0.0, 0.0, -0.4), share=(0.15, 0.275, 0.15, 0.15, 0.275), of_segment=(0.9, 0.0, -1.1),
    mix=((0.35, 0.35, 0.3), (0.08, 0.17, 0.75), (0.35, 0.35, 0.3), (0.35, 0.35, 0.3), (0.8, 0.17, 0.03)),
)  # fmt: skip
DELAYED = Plan(effect=(0.0,) * 5, delay=(1.0, 1.0, 1.0, 1.0, 3.0), growing=(0.0, 0.0, 0.0, 0.0, 0.8))


def company(seed: int, plan: Plan) -> tuple[Crm, pd.DataFrame]:
    """A company, and what is true of each of its deals."""
    rng, n = np.random.default_rng(seed), plan.deals
    channel = rng.choice(5, n, p=plan.share)
    segment = (rng.random(n)[:, None] > np.cumsum(np.array(plan.mix), axis=1)[channel, :-1]).sum(axis=1)
    account = rng.integers(0, n // 2, n) + n * segment
    region, luck = rng.integers(0, 2, 3 * n)[account], rng.standard_normal(3 * n)[account]
    existing = rng.random(n) < 0.4
    day = rng.random(n)
    late = rng.random(n) < np.array(plan.growing)[channel]
    created = np.floor(np.where(late, 0.5 + 0.5 * day, day) * DAYS).astype(int)
    median = WIN_DAYS[segment] * np.array(plan.delay)[channel]
    days = np.exp(SPREAD * rng.standard_normal(n)) * median
    shocks = SHOCK_SD * rng.standard_normal(20)
    quarter = ((created + np.minimum(days, 365)) // 91.25).astype(int)
    odds = (
        BASE
        + np.array(plan.effect)[channel]
        + np.array(plan.of_segment)[segment]
        + REGION_EFFECT[region]
        + EXISTING * existing
    )
    odds = odds + plan.drift * (created >= 365)
    won = rng.random(n) < expit(odds + ACCOUNT_SD * luck + shocks[quarter])
    silent = rng.random(n) < SILENT
    won &= ~silent
    closed = created + np.floor(np.where(won, days, days * LINGER)).astype(int)
    done = (closed < DAYS) & ~silent
    zero = END - pd.Timedelta(days=DAYS - 1)
    ids = pd.Series([f"A{a:06}" for a in account], dtype="str")
    opportunities = pd.DataFrame({
        "opportunity_id": pd.Series([f"D{i:06}" for i in range(n)], dtype="str"), "account_id": ids,
        "channel": pd.Series(np.array(NAMES)[channel], dtype="str"), "segment": pd.Series(np.array(SEGMENTS)[segment], dtype="str"),
        "is_new_customer": pd.array(~existing, dtype="boolean"), "stage": "-",
        "outcome": pd.Series(np.where(done, np.where(won, "won", "lost"), "open"), dtype="str"),
        "amount": np.round(np.exp(rng.normal(9, 0.8, n) + 0.8 * segment)),
        "created_date": zero + pd.to_timedelta(created, unit="D"),
        "closed_date": (zero + pd.to_timedelta(closed, unit="D")).where(done),
    })  # fmt: skip
    accounts = pd.DataFrame(
        {"account_id": ids, "account": ids, "region": pd.Series(np.array(REGIONS)[region], dtype="str")}
    )
    accounts = accounts.drop_duplicates("account_id", ignore_index=True)
    truth = pd.DataFrame({
        "id": opportunities["opportunity_id"], "channel": opportunities["channel"], "segment": segment, "created": created,
        "odds": odds - np.array(plan.effect)[channel],
    })  # fmt: skip
    return Crm({"opportunities": opportunities, "accounts": accounts}, END), truth


def chance(odds: np.ndarray, segment: np.ndarray, delay: np.ndarray | float, age: float) -> np.ndarray:
    """The true chance of being won by an age, customers' and quarters' luck integrated over."""
    luck = np.hypot(ACCOUNT_SD, SHOCK_SD) * NODES
    ever = (expit(np.asarray(odds)[:, None] + luck) @ WEIGHTS) / WEIGHTS.sum()
    return np.asarray((1 - SILENT) * ever * norm.cdf(np.log((age + 1) / (WIN_DAYS[segment] * delay)) / SPREAD))


def standardised(plan: Plan, truth: pd.DataFrame, age: float) -> pd.Series:
    """The true rate of each channel on the mix of these deals."""
    return pd.Series({
        name: chance(truth["odds"] + plan.effect[i], truth["segment"].to_numpy(), plan.delay[i], age).mean()
        for i, name in enumerate(NAMES)
    })  # fmt: skip


def entered(crm: Crm) -> pd.DataFrame:
    """The deals of the two years."""
    return channels.entries(crm, since=END - pd.Timedelta(days=DAYS - 1), until=END + pd.Timedelta(days=1))


def planted(companies: int, plan: Plan = Plan()) -> pd.Series:
    """Coverage of the rates and of the gaps between channels."""
    rates, gaps, errors, raw_errors, widths = [], [], [], [], []
    for seed in range(companies):
        crm, truth = company(seed, plan)
        rows = entered(crm)
        frame = channels.fair(rows).set_index("channel")
        frame = frame[frame["adjusted"].notna()]
        true = standardised(plan, truth[truth["channel"].isin(frame.index)], frame["age"].iloc[0])[frame.index]
        rates.append(((frame["lower"] <= true) & (true <= frame["upper"])).mean())
        errors.append(((frame["adjusted"] - true) ** 2).mean())
        raw_errors.append(((frame["raw"] - true) ** 2).mean())
        widths.append((frame["upper"] - frame["lower"]).mean())
        pairs = channels.reversals(rows)
        gap = true[pairs["channel"]].to_numpy() - true[pairs["other"]].to_numpy()
        gaps.append(((pairs["fair_gap_lower"] <= gap) & (gap <= pairs["fair_gap_upper"])).mean())
    return pd.Series({
        "companies": companies, "rates held": np.mean(rates), "gaps held": np.mean(gaps), "width": np.mean(widths),
        "error": np.sqrt(np.mean(errors)), "raw error": np.sqrt(np.mean(raw_errors)),
    })  # fmt: skip


def reversal(companies: int, plan: Plan) -> pd.Series:
    """How often a channel is named, a reversal claimed, and the planted one (Web over Direct) found."""
    named, claimed, found = [], [], []
    for seed in range(companies):
        rows = entered(company(50_000 + seed, plan)[0])
        named.append(channels.fair(rows)["verdict"].isin(["above", "below"]).any())
        pairs = channels.reversals(rows)
        pairs = pairs[pairs["reversed"]]
        claimed.append(len(pairs) > 0)
        found.append(((pairs["channel"] == "Web") & (pairs["other"] == "Direct")).any())
    return pd.Series({
        "companies": companies, "a channel named": np.mean(named), "a reversal claimed": np.mean(claimed),
        "the planted one": np.mean(found),
    })  # fmt: skip


def delayed(companies: int, plan: Plan = DELAYED) -> pd.Series:
    """How often the slow channel is called bad, and how often a plain test of won / all entered calls it so."""
    bad, young, naive = [], [], []
    for seed in range(companies):
        rows = entered(company(70_000 + seed, plan)[0])
        verdict = channels.fair(rows).set_index("channel")["verdict"]["Web"]
        bad.append(verdict == "below")
        young.append(verdict == "young")
        won, own = rows["outcome"] == "won", rows["channel"] == "Web"
        p, q, n = won[own].mean(), won[~own].mean(), own.sum()
        naive.append((p - q) / np.sqrt(p * (1 - p) / n + q * (1 - q) / (~own).sum()) < -1.96)
    return pd.Series({
        "companies": companies, "called bad": np.mean(bad), "cannot be judged yet": np.mean(young), "won of all entered": np.mean(naive),
    })  # fmt: skip


def split(companies: int) -> pd.Series:
    """Coverage of the parts of a change of the share won: all channels got better, and one of them grew."""
    plan, held = Plan(drift=0.35, growing=(0.0, 0.0, 0.0, 0.0, 0.5)), []
    middle = END - pd.Timedelta(days=DAYS - 1 - 365)
    for seed in range(companies):
        crm, truth = company(90_000 + seed, plan)
        window = [(END - pd.Timedelta(days=DAYS - 1), middle), (middle, END + pd.Timedelta(days=1))]
        frame = channels.change(*(channels.entries(crm, since=a, until=b) for a, b in window)).set_index("channel")
        age, rates, shares = frame["age"].iloc[0], [], []
        for year in (False, True):
            part, came = truth[(truth["created"] >= 365) == year], np.array(plan.growing)
            weight = np.array(plan.share) * np.where(year, 1 + came, 1 - came)
            shares.append(weight / weight.sum())
            own = [part[part["channel"] == name] for name in NAMES]
            rates.append(np.array([
                chance(rows["odds"] + plan.effect[i], rows["segment"].to_numpy(), plan.delay[i], age).mean() for i, rows in enumerate(own)
            ]))  # fmt: skip
        (w0, w1), (r0, r1) = shares, rates
        mean = (w0 @ r0 + w1 @ r1) / 2
        true = {"by_rate": (r1 - r0) * (w0 + w1) / 2, "by_mix": (w1 - w0) * ((r0 + r1) / 2 - mean)}
        for name, parts in true.items():
            values = np.r_[parts, parts.sum()]
            rows = frame.loc[[*NAMES, "All"]]
            held.append(
                (seed, name, ((rows[f"{name}_lower"] <= values) & (values <= rows[f"{name}_upper"])).to_numpy())
            )
    by = pd.DataFrame(held, columns=["seed", "part", "held"])
    means = {part: np.vstack(rows["held"]).mean(axis=0) for part, rows in by.groupby("part")}
    return pd.Series({
        "companies": companies, "rates of channels held": means["by_rate"][:-1].mean(), "mix of channels held": means["by_mix"][:-1].mean(),
        "all rates held": means["by_rate"][-1], "all mix held": means["by_mix"][-1],
    })  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--companies", type=int, default=200)
    many = parser.parse_args().companies
    equal = Plan(effect=(0.0,) * 5)
    print(f"planted\n{planted(many).round(3).to_string()}")
    print(f"\nnull, unlike mixes\n{reversal(many, equal).round(3).to_string()}")
    print(
        f"\nnull, the mixes of the reversal\n{reversal(many, replace(SIMPSON, effect=(0.0,) * 5)).round(3).to_string()}"
    )
    print(f"\nreversal\n{reversal(many, SIMPSON).round(3).to_string()}")
    print(f"\ndelayed\n{delayed(many).round(3).to_string()}")
    print(f"\nsplit\n{split(many).round(3).to_string()}")
