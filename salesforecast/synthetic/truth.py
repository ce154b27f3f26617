"""What is true of the made-up company: every parameter of its process, which tests compare estimates with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from salesforecast.errors import SettingError


@dataclass(frozen=True)
class Stage:
    """An open stage: how a reference deal (all effects 0) passes it."""

    stage: str
    conversion: float  # share of reference deals that go on from it, of those not silent
    days: float  # median days of one visit
    skip: float  # share of deals that jump over it, of those that get further
    back: float  # share of its visitors that fall back to the stage before, once
    probability: float  # what the CRM says a deal in it is worth: too much
    commit: float  # share of sellers who call a deal in it Commit
    best_case: float  # share who call it Best Case; the rest say Pipeline


@dataclass(frozen=True)
class Segment:
    """A customer segment."""

    segment: str
    size: float  # median of the list amount, times the product's scale
    effect: float  # on the log-odds of winning
    delay: float  # factor on days in stage
    discount: float  # mean discount on won deals


@dataclass(frozen=True)
class Channel:
    """A way by which deals come in."""

    channel: str
    mix: tuple[float, ...]  # its share of deals in each segment
    effect: float  # on the log-odds of winning
    delay: float  # factor on days in stage
    spend: float  # marketing spend per month


@dataclass(frozen=True)
class Product:
    """A product."""

    product: str
    family: str
    mix: float  # its share of deals
    list_price: float  # of one, in the last year
    unit_cost: float  # of one
    scale: float  # factor on the size of a deal
    effect: float  # on the log-odds of winning


@dataclass(frozen=True)
class Team:
    """A sales team."""

    team: str
    region: str
    manager: str
    mix: tuple[float, ...]  # share of each segment in its deals


@dataclass(frozen=True)
class Truth:
    """All that is true of the company. Two equal truths and seeds give the same tables.

    Effects are on the log-odds of winning; shares and probabilities are fractions; money is in whole units.
    """

    start: str = "2022-07-01"  # the day the CRM went live: the first day with deals
    years: int = 3  # how long it has run; the data are known up to `as_of`, its last day
    opportunities: int = 6000  # deals created in that time
    stages: tuple[Stage, ...] = (
        Stage("Qualification", 0.60, 11, 0.05, 0.00, 0.10, 0.00, 0.05),
        Stage("Discovery", 0.70, 15, 0.08, 0.05, 0.30, 0.02, 0.18),
        Stage("Proposal", 0.78, 18, 0.03, 0.07, 0.60, 0.10, 0.50),
        Stage("Negotiation", 0.82, 15, 0.00, 0.06, 0.80, 0.55, 0.40),
    )
    won: str = "Closed Won"  # name of the stage of won deals
    lost: str = "Closed Lost"  # name of the stage of lost deals
    segments: tuple[Segment, ...] = (
        Segment("Small", 9_000, 0.25, 0.80, 0.06),
        Segment("Mid-market", 30_000, 0.00, 1.00, 0.10),
        Segment("Enterprise", 110_000, -0.50, 1.45, 0.16),
    )
    channels: tuple[Channel, ...] = (
        Channel("Website", (0.34, 0.22, 0.10), 0.10, 0.90, 14_000),
        Channel("Referral", (0.12, 0.14, 0.14), 0.60, 0.85, 2_000),
        Channel("Partner", (0.08, 0.20, 0.32), 0.30, 1.10, 9_000),
        Channel("Trade show", (0.10, 0.16, 0.20), -0.10, 1.20, 21_000),
        Channel("Cold call", (0.16, 0.16, 0.16), -0.55, 1.15, 5_000),
        Channel("Paid search", (0.20, 0.12, 0.08), -0.20, 0.95, 16_000),
    )
    products: tuple[Product, ...] = (
        Product("Atlas Basic", "Atlas", 0.12, 480, 210, 0.7, 0.10),
        Product("Atlas Pro", "Atlas", 0.14, 1_150, 470, 1.1, 0.10),
        Product("Atlas Max", "Atlas", 0.06, 2_900, 1_250, 1.6, 0.10),
        Product("Beacon One", "Beacon", 0.10, 320, 120, 0.6, 0.00),
        Product("Beacon Duo", "Beacon", 0.09, 640, 260, 0.9, 0.00),
        Product("Cobalt Lab", "Cobalt", 0.08, 3_400, 1_700, 1.4, -0.20),
        Product("Cobalt Field", "Cobalt", 0.07, 2_200, 1_050, 1.2, -0.20),
        Product("Delta Check", "Delta", 0.09, 750, 330, 0.8, 0.00),
        Product("Delta Check Plus", "Delta", 0.06, 1_400, 590, 1.0, 0.00),
        Product("Ember Care", "Ember", 0.08, 250, 90, 0.5, 0.25),
        Product("Ember Care Plus", "Ember", 0.06, 420, 160, 0.7, 0.25),
        Product("Ember Onsite", "Ember", 0.05, 900, 480, 0.8, 0.25),
    )
    teams: tuple[Team, ...] = (
        Team("North", "Europe", "Åsa Holmgren", (0.50, 0.36, 0.14)),
        Team("South", "Europe", "Inês Valadares", (0.44, 0.40, 0.16)),
        Team("West", "Americas", "Ruth Castellanos", (0.32, 0.42, 0.26)),
        Team("East", "Asia Pacific", "林雅雯", (0.40, 0.38, 0.22)),
    )
    reps: int = 24  # sellers, past and present
    rep_sd: float = 0.25  # standard deviation of the rep effects, which are drawn and then centred on 0
    joiners: int = 6  # reps who came after the start
    leavers: int = 4  # reps who left before as_of
    ramp_days: int = 180  # how long a rep is new
    ramp_effect: float = -0.40  # effect of a rep who is new
    new_share: float = 0.50  # share of deals with accounts that have never bought
    existing_effect: float = 0.50  # effect of an account that has bought before
    size_sd: float = 0.80  # standard deviation of log size within segment and product
    size_effect: float = -0.15  # effect of each e-fold by which a deal is larger than usual
    silent_share: float = 0.08  # deals that die without ever being closed
    shock_sd: float = 0.15  # standard deviation of the effect that all deals of a quarter share
    dwell_sd: float = 0.60  # standard deviation of log days in a stage, one visit to the next
    speed_sd: float = 0.30  # standard deviation of log days in stage, one deal to the next
    loss_linger: float = 5.0  # factor on the days in the stage where a deal is lost: nobody closes a loss in time
    season: tuple[float, ...] = (0.95, 1.0, 1.1, 1.05, 1.05, 1.0, 0.85, 0.7, 1.15, 1.1, 1.1, 0.95)  # deals by month
    growth: float = 0.06  # deals created, one year to the next
    price_growth: float = 0.03  # list prices, each January
    quarter_end_rush: float = 0.35  # share of a quarter's wins of the first 30 days pulled into the one before
    # (of deals at least three weeks old by then)
    rush_discount: float = 0.05  # discount added to wins of the last ten working days of a quarter
    holidays: tuple[str, ...] = ("01-01", "12-25", "12-26")  # days off beside Saturday and Sunday, month-day
    wish_days: float = 70.0  # median days from creation to the first expected close date
    push_share: float = 0.65  # share of expected dates gone by that are pushed; the others stay past due
    requote_share: float = 0.35  # share of deals quoted that get a second quote
    amount_missing: float = 0.12  # share of deals without an amount until they are quoted
    lost_reason_share: float = 0.40  # share of lost deals with a reason
    competitor_share: float = 0.25  # share of deals with a named competitor
    customers: int = 600  # accounts that had bought before the start
    quota: float = 1.0  # targets over the bookings to be expected
    lead_share: float = 0.42  # share of new customers' deals that began as a lead
    lead_conversion: float = 0.29  # share of leads that became a deal
    touches: int = 5000  # marketing touches
    contacts_per_month: float = 0.30  # sellers' activities on a deal in its 30 days, beside one or two at the start
    reorders_per_month: int = 40  # orders of old customers that never were a deal
    commission: float = 0.04  # share of the amount won
    # share of each channel's invoices paid after they were due
    late_share: tuple[float, ...] = (0.22, 0.15, 0.38, 0.25, 0.28, 0.24)
    # share of each channel's won deals with a complaint
    complaint_share: tuple[float, ...] = (0.10, 0.07, 0.16, 0.12, 0.11, 0.09)
    # by how much sellers' calls are too high: mean log of the rest called over the rest that comes
    call_bias: float = 0.20
    call_bias_sd: float = 0.30  # standard deviation of it among sellers; managers have half of both
    call_noise: float = 0.35  # standard deviation of the log of a seller's call of a whole quarter
    call_mood: float = 0.15  # the same, of what all calls of a quarter have in common

    def __post_init__(self) -> None:
        shares = {
            "products: mix": sum(p.mix for p in self.products),
            **{f"team {t.team}: mix": sum(t.mix) for t in self.teams},
            **{
                f"channels: mix in {s.segment}": sum(c.mix[i] for c in self.channels)
                for i, s in enumerate(self.segments)
            },
        }
        wrong = [f"{name} sums to {total:.4g}, not 1" for name, total in shares.items() if abs(total - 1) > 1e-9]
        if len(self.season) != 12:
            wrong.append(f"season has {len(self.season)} numbers, not 12")
        if self.joiners + self.leavers >= self.reps:
            wrong.append("nobody is there all the time: reps must be more than joiners and leavers together")
        if self.stages[-1].skip or self.stages[0].back:
            wrong.append("the last stage cannot be skipped, and from the first there is no way back")
        if wrong:
            raise SettingError("This company cannot be: " + "; ".join(wrong) + ".")

    @property
    def as_of(self) -> pd.Timestamp:
        """The last day the data are known."""
        return pd.Timestamp(self.start) + pd.DateOffset(years=self.years) - pd.Timedelta(days=1)

    @property
    def days(self) -> int:
        """Days from the start to as_of, both counted."""
        return (self.as_of - pd.Timestamp(self.start)).days + 1

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions, in the order of the teams."""
        return tuple(dict.fromkeys(t.region for t in self.teams))

    @property
    def loss_stage(self) -> np.ndarray:
        """Of the deals not won: the share whose furthest stage is the first, the second, …"""
        conversion = np.array([s.conversion for s in self.stages])
        reached = np.cumprod(np.r_[1.0, conversion[:-1]])
        return reached * (1 - conversion) / (1 - conversion.prod())
