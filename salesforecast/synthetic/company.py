"""The rest of the made-up company: everything around its deals, as the declared tables.

What is true here too: the channel of a lead is the channel of its deal, the customer's regions and segments are those
of the deals, order lines of a won deal add up to its amount, and sellers stop working a lost deal before they close it.
Orders hold more than the deals: reorders that never were a deal, and deals won before the CRM went live.
"""

from __future__ import annotations

from itertools import product as combinations

import numpy as np
import pandas as pd

from salesforecast.contract import check
from salesforecast.synthetic.calls import calls
from salesforecast.synthetic.process import (
    DAY,
    LOST,
    SILENT,
    WON,
    Array,
    Book,
    Truth,
    book_of,
    calendar,
    creation_weight,
    generator,
    ids,
    list_prices,
    on_duty,
    pick,
    stamp,
    text,
    walk_of,
)
from salesforecast.tables import TABLES

REPS = (
    "Zoë Lindqvist", "王思远", "Łukasz Wierzba", "José Almagro", "مریم کاویانی", "Олена Ковальчук", "佐藤結衣",
    "Aoife Brennan", "Nguyễn Minh Hà", "Håkon Sæther", "Çağla Demirtaş", "陈晓雨", "Benoît Lefèvre", "Тарас Левченко",
    "آرش نیکزاد", "高橋大輔", "Jürgen Weiß", "Priya Raman", "Ondřej Král", "Mónica Ibáñez", "李婉清",
    "Ilse Vandenbroucke", "Соломія Гнатюк", "渡辺葵", "Tomás Quiroga", "شیرین فرهمند", "Grace Whitfield",
    "Győző Balázs", "赵一鸣", "Daniel Okonjo",
)  # fmt: skip
# Company names: one of each column, all combinations.
_NAMES = tuple("".join(parts) for columns in (
    (
        ("Brön", "Çevi", "Dalå", "Ekel", "Fjor", "Gráv", "Havn", "Ijss", "Jørn", "Kvar", "Lumi", "Mård", "Nóra", "Óska",
         "Pérl", "Quil", "Rüst", "Søde", "Tárn", "Ulv", "Véga", "Weld", "Yst", "Žala", "Alba", "Bexl", "Corv", "Drum",
         "Elst", "Finc", "Garr", "Holt", "Inve", "Kest", "Lind", "Morr"),
        ("mek", "tek", "werk", "lab", "gen", "dyne", "metal", "form", "plast", "stal"),
        (" AB", " GmbH", " Ltd", " S.A.", " Inc"),
    ),
    (
        ("صنایع ", "فناوری ", "مهندسی "),
        ("آذرنگ", "سپیدار", "بهساز", "کیمیا", "نوآور", "پارسه", "مهرگان", "آبادیس"),
        ("", " نوین"),
    ),
    (
        ("华辰", "瑞泽", "鼎沃", "恒启", "嘉衡", "凌越", "博川", "明拓"),
        ("仪器", "科技", "制造", "化工", "食品"),
        ("有限公司", "集团"),
    ),
    (("青葉", "桜川", "東雲", "若松", "白樺", "瑞穂"), ("精機", "電子", "工業", "製薬"), ("株式会社",)),
    (
        ("ТОВ «", "ПрАТ «"),
        ("Дніпро", "Карпат", "Світан", "Явір", "Калин", "Степ"),
        ("маш»", "прилад»", "хім»", "буд»"),
    ),
) for parts in combinations(*columns))  # fmt: skip
INDUSTRIES = ("Chemicals", "Food", "Pharma", "Water", "Energy", "Machinery", "Electronics", "Research")
CONTENT = ("Newsletter", "Webinar", "Case study", "Price list", "Product video", "Invitation", "White paper", "Banner")
PURPOSES = ("Introduce", "Find needs", "Demonstrate", "Quote", "Negotiate", "Follow up")
REACTIONS = ("Positive", "Neutral", "No answer", "Call back")
# type, its share of activities on deals, usual minutes, cost beside the time
TYPES = (
    ("call", 0.30, 15, 0), ("email", 0.28, 5, 0), ("personalised_email", 0.09, 15, 0), ("meeting", 0.13, 60, 0),
    ("visit", 0.09, 120, 140), ("demo", 0.08, 75, 20), ("event", 0.03, 240, 300),
)  # fmt: skip
# the same for activities on no deal
OTHERS = (("cold_call", 0.55, 10, 0), ("admin", 0.30, 60, 0), ("event", 0.15, 300, 250))


def tables(truth: Truth, seed: int) -> dict[str, pd.DataFrame]:
    """The company under our table and column names, as known at the end of `truth.as_of`.

    Nothing in it happened after as_of; only wishes (expected close dates) and plans (targets up to the end of the
    calendar year) reach further.

    Returns
    -------
    dict of DataFrame
        opportunities, stages, stage_history, reps, accounts, products, leads, touches, activities, orders, targets,
        spend, costs, invoices, complaints, calls: each with all its declared columns, sorted by its key or by time, and
        checked. Orders without an opportunity_id are reorders (no rep) and deals won before the CRM went live.
    """
    book = book_of(truth, seed)
    found = {
        "opportunities": book.opportunities,
        "stages": _stages(truth),
        "stage_history": book.stage_history,
        "reps": _reps(truth, book),
        "accounts": _accounts(truth, seed, book),
        "products": _products(truth),
        "leads": (leads := _leads(truth, seed, book)),
        "touches": _touches(truth, seed, book, leads),
        "activities": _activities(truth, seed, book),
        "orders": _orders(truth, seed, book),
        "targets": _targets(truth, seed, book),
        "spend": _spend(truth, seed),
        "costs": _costs(truth, seed, book),
        "invoices": _invoices(truth, seed, book),
        "complaints": _complaints(truth, seed, book),
        "calls": calls(truth, seed, book),
    }
    return {name: check(frame[[c for c in TABLES[name].names if c in frame]], name) for name, frame in found.items()}


def _stages(truth: Truth) -> pd.DataFrame:
    n = len(truth.stages)
    return pd.DataFrame({
        "stage": text([s.stage for s in truth.stages] + [truth.won, truth.lost], np.arange(n + 2)),
        "rank": np.arange(1.0, n + 3),
        "outcome": text(("open", "won", "lost"), np.r_[[0] * n, 1, 2]),
    })  # fmt: skip


def _reps(truth: Truth, book: Book) -> pd.DataFrame:
    crew, rep = book.crew, np.arange(truth.reps)
    names = [REPS[i % len(REPS)] + (f" {i // len(REPS) + 1}" if i >= len(REPS) else "") for i in rep]
    return pd.DataFrame({
        "rep_id": text(ids("U", truth.reps), rep),
        "rep": text(names, rep),
        "team": text([t.team for t in truth.teams], crew.team),
        "manager": text([t.manager for t in truth.teams], crew.team),
        "region": text([t.region for t in truth.teams], crew.team),
        "role": text(("Account executive", "Senior account executive"), (crew.first < -1500).astype(int)),
        "start_date": pd.Series(np.datetime64(truth.start, "us") + crew.first.astype("timedelta64[D]")),
        "end_date": stamp(truth, np.where(crew.last < truth.days, crew.last, -1) * DAY),
    })  # fmt: skip


def _accounts(truth: Truth, seed: int, book: Book) -> pd.DataFrame:
    rng, n = generator(seed, "companies"), len(book.group)
    names = [_NAMES[i] for i in rng.permutation(len(_NAMES))]
    names = [names[i % len(names)] + (f" {i // len(names) + 1}" if i >= len(names) else "") for i in range(n)]
    parent = np.where(rng.random(n) < 0.04, (rng.random(n) * _old(book)).astype(int), -1)
    number = text(ids("A", n), np.arange(n))
    return pd.DataFrame({
        "account_id": number,
        "account": text(names, np.arange(n)),
        "industry": text(INDUSTRIES, (rng.random(n) * len(INDUSTRIES)).astype(int)),
        "size": text([s.segment for s in truth.segments], book.group % len(truth.segments)),
        "region": text(truth.regions, book.group // len(truth.segments)),
        "parent_id": text(list(number), np.where(parent == np.arange(n), -1, parent)),
    })  # fmt: skip


def _products(truth: Truth) -> pd.DataFrame:
    frame = pd.DataFrame([(p.product, p.family, p.list_price, p.unit_cost) for p in truth.products])
    frame = frame.set_axis(["product", "family", "list_price", "unit_cost"], axis=1)
    frame = frame.astype({"product": "str", "family": "str", "list_price": float, "unit_cost": float})
    return frame.assign(product_id=text(ids("P", len(frame)), np.arange(len(frame))))


def _leads(truth: Truth, seed: int, book: Book) -> pd.DataFrame:
    """Leads that became deals, and those that did not."""
    rng, walk, days, last = generator(seed, "leads"), book.walk, calendar(truth), truth.days * DAY
    deal = np.flatnonzero(walk.is_new & (rng.random(truth.opportunities) < truth.lead_share))
    at = walk.created[deal] - (DAY * 4 * np.exp(0.8 * rng.standard_normal(len(deal)))).astype(np.int64)
    deal, at = deal[at >= 0], at[at >= 0]
    n = round(len(deal) * (1 / truth.lead_conversion - 1))
    day = _days(rng, truth, n)
    mix = np.array([c.mix for c in truth.channels]).mean(axis=1) * (1.3 - np.array([c.effect for c in truth.channels]))
    at = np.r_[at, day * DAY + 420 + (900 * rng.random(n)).astype(np.int64)]
    channel = np.r_[walk.channel[deal], pick(rng, np.tile(mix / mix.sum(), (n, 1)))]
    rep = np.r_[walk.rep[deal], on_duty(truth, book.crew, day, rng.random(n))]
    deal = np.r_[deal, np.full(n, -1)]
    answer = days.moment(at / DAY + 0.35 * np.exp(1.1 * rng.standard_normal(len(at))))
    answer = np.maximum(answer, at + 5)
    answer = np.where((answer < last) & (rng.random(len(at)) > 0.07), answer, -1)
    order = np.lexsort((deal, at))
    at, channel, rep, deal, answer = at[order], channel[order], rep[order], deal[order], answer[order]
    half = (pd.DatetimeIndex(stamp(truth, at)).month > 6) + 1
    name = text([c.channel for c in truth.channels], channel)
    year = pd.Series(pd.DatetimeIndex(stamp(truth, at)).year).astype("str")
    bought = pd.Series(np.array([c.spend for c in truth.channels])[channel] >= 9000)
    return pd.DataFrame({
        "lead_id": text(ids("L", len(at), 4), np.arange(len(at))),
        "created_at": stamp(truth, at),
        "channel": name,
        "campaign": (name + " " + year + "H" + pd.Series(half).astype("str")).where(bought),
        "rep_id": text(ids("U", truth.reps), rep),
        "first_response_at": stamp(truth, answer),
        "opportunity_id": text(ids("O", truth.opportunities), deal),
    })  # fmt: skip


def _touches(truth: Truth, seed: int, book: Book, leads: pd.DataFrame) -> pd.DataFrame:
    """Touches of leads (most), of accounts and of deals, each with one of the three."""
    rng, walk, n = generator(seed, "touches"), book.walk, truth.touches
    kind = pick(rng, np.tile([0.65, 0.22, 0.13], (n, 1)))
    u = rng.random(n)
    lead = np.where(kind == 0, (u * len(leads)).astype(int), -1)
    account = np.where(kind == 1, (u * len(book.group)).astype(int), -1)
    deal = np.where(kind == 2, (u * truth.opportunities).astype(int), -1)
    came = ((leads["created_at"] - pd.Timestamp(truth.start)) // pd.Timedelta(minutes=1)).to_numpy()
    around = came[lead] + DAY * (-10 + 30 * rng.random(n))
    during = walk.created[deal] + (walk.closed - walk.created)[deal] * rng.random(n)
    at = np.select([kind == 0, kind == 2], [around, during], _days(rng, truth, n) * DAY + 480 + 720 * rng.random(n))
    at = at.astype(np.int64)
    codes = {name: i for i, name in enumerate(c.channel for c in truth.channels)}
    own = np.where(kind == 0, leads["channel"].map(codes).to_numpy()[lead], walk.channel[deal])
    other = (rng.random(n) * len(codes)).astype(int)
    channel = np.where((kind != 1) & (rng.random(n) < 0.6), own, other)
    content = (rng.random(n) * len(CONTENT)).astype(int)
    keep = np.flatnonzero((at >= 0) & (at < truth.days * DAY))
    keep = keep[np.argsort(at[keep], kind="stable")]
    return pd.DataFrame({
        "touch_id": text(ids("M", len(keep), 4), np.arange(len(keep))),
        "at": stamp(truth, at[keep]),
        "channel": text(list(codes), channel[keep]),
        "content": text(CONTENT, content[keep]),
        "lead_id": leads["lead_id"].array.take(lead[keep], allow_fill=True),
        "account_id": text(ids("A", len(book.group)), account[keep]),
        "opportunity_id": text(ids("O", truth.opportunities), deal[keep]),
    })  # fmt: skip


def _activities(truth: Truth, seed: int, book: Book) -> pd.DataFrame:
    """What sellers did on deals while they cared, and the rest of their work."""
    rng, walk, days, n = generator(seed, "activities"), book.walk, calendar(truth), truth.opportunities
    created, entered, closed = walk.created, walk.entered[:, -1], walk.closed
    worked = np.select(
        [walk.outcome == SILENT, walk.outcome == LOST],
        [np.minimum(entered + 15 * DAY, closed), entered + 0.4 * (closed - entered)],
        closed,
    )
    span = np.maximum(worked - created, 0)
    many = (1 + rng.random(n) + truth.contacts_per_month * span / (30 * DAY)).astype(int)
    deal = np.repeat(np.arange(n), many)
    at = days.moment((created[deal] + span[deal] * rng.random(len(deal))) / DAY)
    at = np.maximum(at, created[deal])
    at = np.where(walk.outcome[deal] == SILENT, at, np.minimum(at, closed[deal]))
    rep = np.where(at >= book.moved[deal], book.heir[deal], walk.rep[deal])
    kind = pick(rng, np.tile([t[1] for t in TYPES], (len(deal), 1)))

    rest = int(2.2 * truth.reps * truth.years * 12)
    day = _days(rng, truth, rest)
    at = np.r_[at, days.moment(day + rng.random(rest))]
    rep = np.r_[rep, on_duty(truth, book.crew, day, rng.random(rest))]
    kind = np.r_[kind, len(TYPES) + pick(rng, np.tile([t[1] for t in OTHERS], (rest, 1)))]
    deal = np.r_[deal, np.full(rest, -1)]

    m, types = len(at), (*TYPES, *OTHERS)
    about, when, length, price, dropped, reaction = rng.random((6, m))
    planned = np.where(when < 0.25, days.moment(np.maximum(at / DAY - 0.02 - 8 * when, 0)), -1)
    planned = np.where(planned > at, at, planned)
    minutes = np.maximum(5, np.round(np.array([t[2] for t in types])[kind] * (0.5 + length) / 5) * 5)
    usual = np.array([t[3] for t in types], dtype=float)[kind]
    keep = np.flatnonzero((at < truth.days * DAY) & (planned < truth.days * DAY))
    keep = keep[np.lexsort((kind[keep], deal[keep], at[keep]))]
    undone = (dropped < 0.03) & (planned >= 0)
    purpose = np.where(deal < 0, -1, (about * len(PURPOSES)).astype(int))
    silent = undone | (deal < 0) | (reaction > 0.55)
    return pd.DataFrame({
        "activity_id": text(ids("T", len(keep), 5), np.arange(len(keep))),
        "at": stamp(truth, np.where(undone, -1, at)[keep]),
        "planned_at": stamp(truth, planned[keep]),
        "rep_id": text(ids("U", truth.reps), rep[keep]),
        "account_id": text(ids("A", len(book.group)), np.where(deal < 0, -1, book.account[deal])[keep]),
        "opportunity_id": text(ids("O", n), deal[keep]),
        "type": text([t[0] for t in types], kind[keep]),
        "purpose": text(PURPOSES, purpose[keep]),
        "minutes": np.where(undone, np.nan, minutes)[keep],
        "cost": np.where(undone | (usual == 0), np.nan, np.round(usual * (0.5 + price)))[keep],
        "outcome": text(REACTIONS, np.where(silent, -1, (reaction / 0.55 * len(REACTIONS)).astype(int))[keep]),
    })  # fmt: skip


def _orders(truth: Truth, seed: int, book: Book) -> pd.DataFrame:
    rng, walk, days, n = generator(seed, "orders"), book.walk, calendar(truth), truth.opportunities
    amount = book.opportunities["true_amount"].to_numpy()
    # Before the CRM: the winners of the first year once more, a year (52 weeks) earlier.
    early = walk.closed_day - 364
    legacy = np.flatnonzero((walk.outcome == WON) & (walk.born < 364) & (early >= 0))
    won = np.flatnonzero((walk.outcome == WON) & (walk.closed_day < truth.days))
    deal = np.r_[won, legacy]
    day = np.r_[walk.closed_day[won], days.next_working[early[legacy]]]
    extra = rng.random(len(deal)) < 0.3
    side = len(truth.products) - 1 - (3 * rng.random(len(deal))).astype(int) % len(truth.products)
    price = list_prices(truth, walk.born[deal])
    part = np.where(extra, np.round(0.08 * amount[deal]), 0.0)
    rows = np.arange(len(deal))
    main = pd.DataFrame({
        "day": day, "line": 0, "deal": np.where(rows < len(won), deal, -1), "channel": walk.channel[deal],
        "account": np.where(rows < len(won), book.account[deal], (rng.random(len(deal)) * _old(book)).astype(int)),
        "rep": np.where(rows < len(won), _owner(book, deal), -1), "product": walk.product[deal],
        "quantity": np.maximum(1, np.round(walk.quantity[deal] * np.where(extra, 0.92, 1.0))),
        "list_price": price[rows, walk.product[deal]], "net_amount": amount[deal] - part,
    })  # fmt: skip
    factor = (1 - book.discount[deal]) * price[rows, side]
    pieces = np.maximum(1, np.round(part / factor))
    second = main.assign(line=1, product=side, list_price=price[rows, side], net_amount=part, quantity=pieces)
    second = second[extra & (part > 0)]

    m = truth.reorders_per_month * truth.years * 12
    day = _days(rng, truth, m)
    product = pick(rng, np.tile([p.mix for p in truth.products], (m, 1)))
    quantity = 1 + np.floor(6 * rng.random(m) ** 2)
    price = list_prices(truth, day)[np.arange(m), product]
    reorders = pd.DataFrame({
        "day": day, "line": 0, "deal": -1, "channel": 0, "account": (rng.random(m) * _old(book)).astype(int), "rep": -1,
        "product": product, "quantity": quantity, "list_price": price, "net_amount": np.round(0.95 * price * quantity),
    })  # fmt: skip
    lines = pd.concat([main, second, reorders], ignore_index=True)
    lines = lines.sort_values(["day", "deal", "account", "line", "product"], kind="stable", ignore_index=True)
    cost = list_costs(truth, lines["day"].to_numpy())[np.arange(len(lines)), lines["product"]]
    return pd.DataFrame({
        "order_line_id": text(ids("S", len(lines), 4), np.arange(len(lines))),
        "order_date": stamp(truth, lines["day"].to_numpy() * DAY),
        "account_id": text(ids("A", len(book.group)), lines["account"]),
        "opportunity_id": text(ids("O", n), lines["deal"]),
        "rep_id": text(ids("U", truth.reps), lines["rep"]),
        "product_id": text(ids("P", len(truth.products)), lines["product"]),
        "channel": text([c.channel for c in truth.channels], lines["channel"]),
        "quantity": lines["quantity"],
        "list_price": lines["list_price"],
        "net_amount": lines["net_amount"],
        "unit_cost": cost,
    })  # fmt: skip


def list_costs(truth: Truth, day: Array) -> Array:
    """(day, product): what one cost to make that year; costs rise as list prices do."""
    share = np.array([p.unit_cost / p.list_price for p in truth.products])
    return np.round(list_prices(truth, day) * share)


def _targets(truth: Truth, seed: int, book: Book) -> pd.DataFrame:
    """Quarterly targets of reps, teams and the company, from the first new year to the end of the year of as_of.

    They come from what a rep of the team can be expected to win of the deals of a quarter, times `quota`.
    """
    rng, crew = generator(seed, "targets"), book.crew
    per_deal = _expected(truth)
    start = pd.Timestamp(truth.start)
    quarters = pd.period_range(f"{start.year + 1}Q1", f"{truth.as_of.year}Q4", freq="Q")
    month = pd.DatetimeIndex(calendar(truth).dates[: truth.days]).to_period("Q")
    weight = pd.Series(creation_weight(truth)).groupby(np.asarray(month)).sum()
    noise = rng.standard_normal((len(quarters), truth.reps))
    rows: list[tuple[str, int, int, float]] = []
    for quarter, luck in zip(quarters, noise, strict=True):
        same = quarter if quarter in weight.index and quarter.end_time <= truth.as_of else quarter - 4
        usual = weight.get(same, weight.mean()) * (1 + truth.growth) ** ((quarter - same).n / 4) / weight.sum()
        first = (quarter.start_time - start).days
        there = (crew.first <= first) & (crew.last >= min(first + 45, truth.days))
        new = first - crew.first < truth.ramp_days
        share = np.where(there, np.where(new, 0.6, 1.0) * np.exp(0.08 * luck), 0.0)
        goals = np.round(truth.quota * usual * truth.opportunities * per_deal[crew.team] * share / there.sum(), -3)
        label = f"{quarter.year}Q{quarter.quarter}"
        rows += [(label, int(rep), -1, float(goals[rep])) for rep in np.flatnonzero(there)]
        teams = [round(float(goals[crew.team == team].sum()) * 0.97, -3) for team in range(len(truth.teams))]
        rows += [(label, -1, team, goal) for team, goal in enumerate(teams)]
        rows.append((label, -1, -1, round(sum(teams) * 0.98, -3)))
    frame = pd.DataFrame(rows, columns=["period", "rep", "team", "target"]).astype({"period": "str", "target": float})
    nobody = text((), np.full(len(frame), -1))
    return frame.assign(
        rep_id=text(ids("U", truth.reps), frame["rep"]),
        team=text([t.team for t in truth.teams], frame["team"]),
        region=nobody,
        channel=nobody,
        product_id=nobody,
    )


def _expected(truth: Truth) -> Array:
    """What a deal of each team brings on average: the chance of winning times the amount, over ten companies."""
    discount = np.array([s.discount for s in truth.segments])
    total, count = np.zeros(len(truth.teams)), np.zeros(len(truth.teams))
    for k in range(10):
        walk = walk_of(truth, 1_000_000 + k)
        team = walk.rep % len(truth.teams)
        value = walk.p * (1 - truth.silent_share) * walk.list_amount * (1 - discount[walk.segment])
        total += np.bincount(team, value, len(truth.teams))
        count += np.bincount(team, minlength=len(truth.teams))
    return total / np.maximum(count, 1)


def _spend(truth: Truth, seed: int) -> pd.DataFrame:
    months = _months(truth)
    noise = generator(seed, "spend").standard_normal((len(months), len(truth.channels)))
    season = np.asarray(truth.season)[months.month - 1] * (1 + truth.growth) ** (np.arange(len(months)) / 12)
    spend = np.array([c.spend for c in truth.channels]) * season[:, None] * np.exp(0.12 * noise)
    return pd.DataFrame({
        "channel": text([c.channel for c in truth.channels], np.tile(np.arange(len(truth.channels)), len(months))),
        "period": text(_labels(months), np.repeat(np.arange(len(months)), len(truth.channels))),
        "spend": np.round(spend.ravel(), -1),
    })  # fmt: skip


def _costs(truth: Truth, seed: int, book: Book) -> pd.DataFrame:
    """Salary, commission on what was won in the month, travel, entertainment and training by rep and month."""
    rng, months, crew = generator(seed, "costs"), _months(truth), book.crew
    first = (months.start_time - pd.Timestamp(truth.start)).days.to_numpy()[:, None]
    there = (crew.first <= first + 15) & (crew.last >= first)
    shape = there.shape
    luck = rng.random((3, *shape))
    won = book.opportunities[book.opportunities["outcome"] == "won"]
    month = pd.PeriodIndex(won["closed_date"], freq="M")
    sold = np.zeros(shape)
    np.add.at(sold, (months.get_indexer(month), won["rep_id"].str[1:].astype(int).to_numpy() - 1), won["amount"])
    raises = 1.03 ** (months.year.to_numpy()[:, None] - months[0].year)
    salary = np.where(crew.first < -1500, 6_200, 4_600) * raises
    kinds = {
        "salary": np.where(there, np.round(salary, -1), 0),
        "commission": np.round(truth.commission * sold),
        "travel": np.where(there, np.round(250 + 900 * luck[0] ** 2, -1), 0),
        "entertainment": np.where(there & (luck[1] < 0.35), np.round(60 + 300 * luck[2], -1), 0),
        "training": np.where(there & (first - crew.first < 60) & (crew.first > 0), 1_200, 0),
    }
    parts = []
    for kind, cost in kinds.items():
        at, rep = np.nonzero(cost)
        parts.append(pd.DataFrame({"at": at, "rep": rep, "kind": kind, "cost": cost[at, rep]}))
    quarterly = np.flatnonzero(months.month % 3 == 1)
    parts.append(pd.DataFrame({"at": quarterly, "rep": -1, "kind": "training", "cost": 8_000.0}))
    frame = pd.concat(parts, ignore_index=True).sort_values(["at", "rep", "kind"], kind="stable", ignore_index=True)
    return frame.assign(
        period=text(_labels(months), frame["at"]),
        rep_id=text(ids("U", truth.reps), frame["rep"]),
        kind=frame["kind"].astype("str"),
        cost=frame["cost"].astype(float),
    )


def _invoices(truth: Truth, seed: int, book: Book) -> pd.DataFrame:
    """One invoice for each won deal, a few days after it was won, to be paid within 30 days."""
    rng, walk = generator(seed, "invoices"), book.walk
    luck = rng.random((4, truth.opportunities))
    won = np.flatnonzero((walk.outcome == WON) & (walk.closed_day < truth.days))
    won = won[np.lexsort((won, walk.closed_day[won]))]
    late = np.array(_per_channel(truth, truth.late_share))[walk.channel[won]]
    day = walk.closed_day[won] + 1 + (6 * luck[0, won]).astype(np.int64)
    due = day + 30
    in_time = np.maximum(day + 5, due - (25 * luck[2, won] ** 2).astype(np.int64))
    after = due + 1 + (18 * -np.log(1 - 0.98 * luck[3, won])).astype(np.int64)
    paid = np.where(luck[1, won] < late, after, in_time)
    keep = np.flatnonzero(day < truth.days)
    deal = won[keep]
    return pd.DataFrame({
        "invoice_id": text(ids("I", len(keep), 4), np.arange(len(keep))),
        "opportunity_id": text(ids("O", truth.opportunities), deal),
        "account_id": text(ids("A", len(book.group)), book.account[deal]),
        "channel": text([c.channel for c in truth.channels], walk.channel[deal]),
        "invoice_date": stamp(truth, day[keep] * DAY),
        "due_date": stamp(truth, due[keep] * DAY),
        "paid_date": stamp(truth, np.where(paid[keep] < truth.days, paid[keep], -1) * DAY),
        "amount": book.opportunities["true_amount"].to_numpy()[deal],
    })  # fmt: skip


COMPLAINTS = ("Late delivery", "Defect", "Wrong item", "Invoice", "Service")


def _complaints(truth: Truth, seed: int, book: Book) -> pd.DataFrame:
    """At most one complaint for each won deal, in the ten weeks after."""
    rng, walk = generator(seed, "complaints"), book.walk
    luck = rng.random((4, truth.opportunities))
    share = np.array(_per_channel(truth, truth.complaint_share))[walk.channel]
    deal = np.flatnonzero((walk.outcome == WON) & (luck[0] < share))
    at = ((walk.closed_day[deal] + 3 + 67 * luck[1, deal]) * DAY).astype(np.int64)
    deal, at = deal[at < truth.days * DAY], at[at < truth.days * DAY]
    order = np.lexsort((deal, at))
    deal, at = deal[order], at[order]
    cost = np.round(0.08 * luck[3, deal] ** 2 * book.opportunities["true_amount"].to_numpy()[deal])
    return pd.DataFrame({
        "complaint_id": text(ids("K", len(deal), 4), np.arange(len(deal))),
        "created_at": stamp(truth, at),
        "account_id": text(ids("A", len(book.group)), book.account[deal]),
        "opportunity_id": text(ids("O", truth.opportunities), deal),
        "order_line_id": text((), np.full(len(deal), -1)),
        "kind": text(COMPLAINTS, (luck[2, deal] * len(COMPLAINTS)).astype(int)),
        "cost": np.where(cost > 0, cost, np.nan),
    })  # fmt: skip


def _per_channel(truth: Truth, shares: tuple[float, ...]) -> list[float]:
    """A share for each channel; those of a company with other channels begin again."""
    return [shares[i % len(shares)] for i in range(len(truth.channels))]


def _owner(book: Book, deal: Array) -> Array:
    """Who owned the deal when it closed."""
    return np.where(book.walk.closed >= book.moved, book.heir, book.walk.rep)[deal]


def _old(book: Book) -> int:
    """Accounts that had bought before the start; they are the first ones."""
    return len(book.group) - int(book.walk.is_new.sum())


def _days(rng: np.random.Generator, truth: Truth, n: int) -> Array:
    """Working days, more of them when more deals are created."""
    weight = creation_weight(truth).cumsum()
    return np.searchsorted(weight / weight[-1], rng.random(n), side="right")


def _months(truth: Truth) -> pd.PeriodIndex:
    return pd.period_range(truth.start, truth.as_of, freq="M")


def _labels(months: pd.PeriodIndex) -> list[str]:
    return [f"{m.year}-{m.month:02d}" for m in months]
