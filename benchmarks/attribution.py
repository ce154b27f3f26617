"""Do the intervals of credit hold the truth, and how long do a million touches take?

    python benchmarks/attribution.py [--companies 200] [--touches 1000000] [--channels 6]

First: made-up companies of 600 accounts of two kinds, which are touched and convert differently, with one to five journeys each. For each
company and method the 90% intervals of the channels' shares against the shares in 300,000 accounts; once resampled by account and once by
journey. Then a made-up CRM with leads, accounts and deals: its journeys are formed and all methods with their intervals computed.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import pandas as pd

from salesforecast import channels
from salesforecast.channels.attribution import METHODS
from salesforecast.tables import Crm

CHANNELS = ["Cold call", "Event", "Partner", "Referral", "Website"]
# where two kinds of accounts begin, where they go from each channel, and whether they end won or lost there
BEGIN = np.array([[0.40, 0.05, 0.10, 0.05, 0.40], [0.05, 0.30, 0.25, 0.35, 0.05]])
NEXT = np.array([[[0.20, 0.05, 0.05, 0.05, 0.15]] * 5, [[0.05, 0.15, 0.15, 0.15, 0.10]] * 5])
WON = np.array([[0.05, 0.20, 0.15, 0.30, 0.10], [0.05, 0.25, 0.20, 0.35, 0.10]])
STEPS = 60


def made_up(accounts: int, seed: int) -> channels.Journeys:
    """Journeys of accounts of two kinds; touches are one to ten days apart."""
    rng = np.random.default_rng(seed)
    kind = (rng.random(accounts) < 0.4).astype(int)
    account = np.repeat(np.arange(accounts), rng.integers(1, 6, accounts))
    of = kind[account]
    at = (rng.random(len(of))[:, None] > np.cumsum(BEGIN, axis=1)[of][:, :-1]).sum(axis=1)
    going, won = np.arange(len(of)), np.zeros(len(of), dtype=bool)
    touches = []
    for step in range(STEPS):
        touches.append(pd.DataFrame({"journey": going, "channel": at, "step": step}))
        to = np.concatenate([NEXT[of[going], at], WON[of[going], at][:, None]], axis=1)
        pick = (rng.random(len(going))[:, None] > np.cumsum(to, axis=1)).sum(axis=1)
        won[going[pick == len(CHANNELS)]] = True
        going, at = going[pick < len(CHANNELS)], pick[pick < len(CHANNELS)]
    rows = pd.concat(touches).sort_values(["journey", "step"], ignore_index=True)
    back = rows.groupby("journey")["step"].transform("max") - rows["step"]
    day = pd.Timestamp("2025-06-30")
    ends = pd.DataFrame({
        "journey": np.arange(len(of)), "account_id": "A" + pd.Series(account).astype("str").str.zfill(7),
        "outcome": np.where(won, "won", "lost"), "ended_at": day, "value": 1000.0,
    })  # fmt: skip
    rows = rows.assign(
        channel=np.array(CHANNELS)[rows["channel"]],
        at=day - pd.to_timedelta(back * 5 + rng.random(len(rows)), unit="D"),
    )
    return channels.paths(rows[["journey", "channel", "at"]], ends, window=400)


def coverage(
    companies: int, accounts: int = 600, level: float = 0.90, order: int = 1, large: int = 300_000
) -> pd.DataFrame:
    """How often the intervals hold the truth: method, by_account, by_journey (shares of companies and channels), width (mean)."""
    key, methods = ["method", "channel"], list(METHODS)
    truth = channels.attribution(made_up(large, 10**6), methods=methods, order=order, replicates=2).set_index(key)[
        "share"
    ]
    rows = []
    for seed in range(companies):
        journeys = made_up(accounts, seed)
        alone = channels.Journeys(
            journeys.ends.assign(account_id=journeys.ends["journey"].astype("str").str.zfill(7)), journeys.touches,
            journeys.window, journeys.left_out,
        )  # fmt: skip
        for name, given in (("by_account", journeys), ("by_journey", alone)):
            found = (
                channels.attribution(given, methods=methods, order=order, level=level, seed=seed)
                .set_index(key)
                .loc[truth.index]
            )
            held = (found["lower"] <= truth) & (truth <= found["upper"])
            rows.append(
                pd.DataFrame({"unit": name, "held": held, "width": found["upper"] - found["lower"]}).reset_index()
            )
    every = pd.concat(rows)
    frame = every.pivot_table(index="method", columns="unit", values="held", aggfunc="mean", sort=False)
    frame["width"] = every[every["unit"] == "by_account"].groupby("method")["width"].mean()
    return frame.loc[methods].reset_index().rename_axis(columns=None)


def company(touches: int, channel_count: int = 6, seed: int = 0) -> Crm:
    """A CRM with so many touches: half of leads, the rest of accounts and deals; three years."""
    rng = np.random.default_rng(seed)
    deals, accounts, leads = touches // 5, touches // 10, touches // 4
    first, days = pd.Timestamp("2022-07-01"), 1096
    minutes = pd.Timedelta(minutes=1)

    def ids(letter: str, numbers: np.ndarray) -> pd.Series:
        return pd.Series(letter + pd.Series(numbers).astype("str").str.zfill(8), dtype="str")

    created = rng.integers(0, days, deals)
    closed = created + rng.integers(10, 150, deals)
    outcome = np.where(closed >= days, "open", np.where(rng.random(deals) < 0.35, "won", "lost"))
    opportunities = pd.DataFrame({
        "opportunity_id": ids("O", np.arange(deals)), "account_id": ids("A", rng.integers(0, accounts, deals)),
        "outcome": pd.Series(outcome, dtype="str"), "created_date": first + pd.to_timedelta(created, unit="D"),
        "closed_date": (first + pd.Series(pd.to_timedelta(closed, unit="D"))).where(outcome != "open"),
        "amount": np.round(rng.lognormal(9, 1, deals), 2),
    })  # fmt: skip
    became = np.where(np.arange(leads) < 0.3 * leads, np.arange(leads), -1)
    lead = pd.DataFrame({
        "lead_id": ids("L", np.arange(leads)), "opportunity_id": ids("O", np.maximum(became, 0)).where(became >= 0),
        "created_at": first + minutes * 0,
    })  # fmt: skip
    kind = rng.choice(3, touches, p=[0.5, 0.3, 0.2])
    who = [rng.integers(0, n, touches) for n in (leads, accounts, deals)]
    deal = np.where(kind == 0, became[who[0]], np.where(kind == 2, who[2], -1))
    around = np.where(
        deal >= 0, (created[deal] + (closed - created)[deal] * rng.random(touches)), days * rng.random(touches)
    )
    day = np.minimum(around, days - 0.01)
    return Crm(
        {
            "opportunities": opportunities, "leads": lead,
            "touches": pd.DataFrame({
                "touch_id": ids("T", np.arange(touches)), "at": first + pd.to_timedelta((day * 1440).astype("int64"), unit="min"),
                "channel": "Channel " + pd.Series(rng.integers(1, channel_count + 1, touches)).astype("str").str.zfill(2),
                **{name: ids(letter, who[k]).where(kind == k)
                   for k, (name, letter) in enumerate((("lead_id", "L"), ("account_id", "A"), ("opportunity_id", "O")))},
            }),
        },
        first + pd.Timedelta(days=days - 1),
    )  # fmt: skip


def speed(touches: int, channel_count: int) -> dict[str, float]:
    """Seconds, by the clock and of the processor, of each step; GB at the most."""
    crm = company(touches, channel_count)
    since, until = pd.Timestamp("2022-07-01"), crm.as_of + pd.Timedelta(days=1)
    begin, work = time.perf_counter(), time.process_time()
    journeys = channels.journeys(crm, since=since, until=until, window=90)
    formed = time.perf_counter()
    orders = channels.chain_orders(journeys)
    found = channels.attribution(journeys)
    rates = channels.attribution(journeys, methods=["Shapley"], worth="rates")
    done = time.perf_counter()
    assert not found.isna().any(axis=None) and not rates.isna().any(axis=None)
    return {
        "touches": touches, "channels": channel_count, "journeys": len(journeys.ends), "touches in them": len(journeys.touches),
        "order": int(orders.loc[orders["chosen"], "order"].iloc[0]), "forming, s": formed - begin, "credit, s": done - formed,
        "together, s": done - begin, "processor, s": time.process_time() - work,
        "memory, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--companies", type=int, default=200)
    parser.add_argument("--touches", type=int, default=1_000_000)
    parser.add_argument("--channels", type=int, default=6)
    given = parser.parse_args()
    if given.touches:
        for name, figure in speed(given.touches, given.channels).items():
            print(f"{name:>16}  {figure:,.1f}" if isinstance(figure, float) else f"{name:>16}  {figure:,}")
    if given.companies:
        print(coverage(given.companies).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
