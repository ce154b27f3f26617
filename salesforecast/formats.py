"""Figures in words, the same on every machine: money, shares, counts, days, changes, and the columns of tables.

A minus is U+2212, a missing figure an en dash. Nothing here reads the machine's locale; the language of figures and
labels is the one that `words.use` set, English without it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from salesforecast import words

MISSING = "–"
MINUS = "−"

Format = str | Callable[[Any], str]
_currency = "$"


def missing(x: Any) -> bool:
    """Whether there is nothing to say: None, NaN, NaT, NA or an infinity."""
    return bool(pd.isna(x)) or (isinstance(x, float) and math.isinf(x))


def _bare(x: float, spec: str) -> str:
    """The figure in English signs and digits."""
    text = format(x, spec)
    if not re.search("[1-9]", text):
        text = text.replace("-", "")  # no minus zero
    return text.replace("-", MINUS)


def _figure(x: float, spec: str) -> str:
    return _local(_bare(x, spec))


def _local(bare: str) -> str:
    """A figure as the language in use writes it."""
    language, (figure, share, _) = words.in_use(), bare.partition("%")
    return language.percent.format(figure=language.figures(figure)) if share else language.figures(figure)


def _three(x: float) -> str:
    """Three figures of a positive number below 1,000."""
    return f"{x:.{2 if x < 9.995 else 1 if x < 99.95 else 0}f}"


def _with_currency(sign: str, bare: str, word: str, currency: str) -> str:
    """An amount with its sign, its unit and its currency, each where the language in use has it."""
    pattern = words.in_use().amount
    if pattern.startswith("{currency}{"):
        currency += "\u00a0" if currency[-1:].isalnum() else ""
        return sign + pattern.format(currency=currency, figure=_local(bare) + word)
    return pattern.format(currency=currency, figure=_local(sign + bare) + word)


def use_currency(sign: str) -> None:
    """Set the sign or code that `money` puts before amounts where none is given: the one of the data at hand."""
    global _currency
    _currency = sign


def currency_in_use() -> str:
    """The sign or code that `money` puts before amounts where none is given."""
    return _currency


def money(x: Any, currency: str = "", *, short: bool = False) -> str:
    """An amount in three figures, or in whole units below 10,000; in the currency of the data where none is given.

    Examples
    --------
    >>> money(4_718_200), money(548_000), money(548_000, short=True), money(1240), money(-27_400)
    ('$4.72M', '$548 thousand', '$548k', '$1,240', '−$27.4 thousand')
    >>> money(2.1e9, "€"), money(999_600), money(0), money(None)
    ('€2.10B', '$1.00M', '$0', '–')
    >>> print(money(5e6, "CHF").replace(chr(160), " "))
    CHF 5.00M
    """
    if missing(x):
        return MISSING
    size = abs(float(x))
    if round(size) < 10_000:
        bare, word = f"{round(size):,}", ""
    else:
        scales = words.in_use().scales
        ends = [*(0.9995 * scale.size for scale in scales[1:]), math.inf]
        scale = next(scale for scale, end in zip(scales, ends, strict=True) if size < end)
        scaled, word = size / scale.size, scale.short if short else scale.long
        bare = _three(scaled) if scaled < 999.5 else f"{scaled:,.0f}"
    sign = MINUS if x < 0 and re.search("[1-9]", bare) else ""
    return _with_currency(sign, bare, word, currency or _currency)


def percent(x: Any, digits: int = 0) -> str:
    """A share in per cent.

    Examples
    --------
    >>> percent(0.312), percent(0.312, 1), percent(-0.02), percent(-0.001), percent(float("nan"))
    ('31%', '31.2%', '−2%', '0%', '–')
    """
    return MISSING if missing(x) else _figure(float(x), f".{digits}%")


def points(x: Any) -> str:
    """The difference of two shares.

    Examples
    --------
    >>> points(0.03), points(-0.021), points(0.01), points(0.004), points(None)
    ('+3 points', '−2 points', '+1 point', 'no change', '–')
    """
    if missing(x):
        return MISSING
    bare, whole = _bare(100 * x, ".0f"), _signed(100 * x, ".0f")
    return whole if not re.search("[1-9]", bare) else whole + (" point" if bare.lstrip(MINUS) == "1" else " points")


def points_bare(x: Any) -> str:
    """The difference of two shares as a bare figure, for a column whose header says "points".

    Examples
    --------
    >>> points_bare(0.034), points_bare(-0.02), points_bare(None)
    ('+3.4', '−2.0', '–')
    """
    return MISSING if missing(x) else _figure(100 * float(x), "+.1f")


def count(x: Any) -> str:
    """A whole number.

    Examples
    --------
    >>> count(4238), count(0), count(float("nan"))
    ('4,238', '0', '–')
    """
    return MISSING if missing(x) else _figure(float(x), ",.0f")


def days(x: Any) -> str:
    """A time in whole days.

    Examples
    --------
    >>> days(47.2), days(1), days(1204), days(None)
    ('47 days', '1 day', '1,204 days', '–')
    """
    return MISSING if missing(x) else plural(round(x), "day")


def duration(x: Any) -> str:
    """A time given in days, in the unit that suits it.

    Examples
    --------
    >>> duration(47.2), duration(3.87), duration(0.295), duration(0.00213), duration(None)
    ('47 days', '3.9 days', '7.1 hours', '3.1 minutes', '–')
    """
    if missing(x):
        return MISSING
    size = abs(float(x))
    for unit, scale in (("day", 1), ("hour", 24), ("minute", 1440), ("second", 86400)):
        if size * scale >= 1 or unit == "second":
            value = float(x) * scale
            rounded = f"{value:.1f}".removesuffix(".0") if abs(value) < 9.95 else f"{value:,.0f}"
            return f"{_local(rounded.replace('-', MINUS))} {words.t(unit + ('' if rounded == '1' else 's'))}"
    raise AssertionError


def times(x: Any) -> str:
    """A multiple.

    Examples
    --------
    >>> times(2.14), times(12), times(None)
    ('2.1×', '12.0×', '–')
    """
    return MISSING if missing(x) else _figure(float(x), ",.1f") + "×"


def change(x: Any) -> str:
    """A relative change.

    Examples
    --------
    >>> change(0.06), change(-0.021), change(0.004), change(None)
    ('+6%', '−2%', 'no change', '–')
    """
    return MISSING if missing(x) else _signed(x, ".0%")


def _signed(x: Any, spec: str) -> str:
    bare = _bare(float(x), spec)
    if not re.search("[1-9]", bare):
        return words.t("no change")
    return _local(bare if bare.startswith(MINUS) else "+" + bare)


def between(lower: Any, upper: Any, fmt: Format) -> str:
    """A range in words; `fmt` is a function of this module or a format such as ".0%".

    Examples
    --------
    >>> between(0.37, 0.68, percent), between(4.33, 5.15, ".2f"), between(None, 5, count)
    ('37% to 68%', '4.33 to 5.15', '–')
    """
    if missing(lower) or missing(upper):
        return MISSING
    say = speaker(fmt)
    return words.in_use().between.format(lower=say(lower), upper=say(upper))


def plural(n: Any, one: str, many: str = "") -> str:
    """A number with its noun.

    Examples
    --------
    >>> plural(1, "deal"), plural(1234, "deal"), plural(2, "opportunity"), plural(0, "loss"), plural(2, "man", "men")
    ('1 deal', '1,234 deals', '2 opportunities', '0 losses', '2 men')
    """
    if not many:
        ies, es = re.search("[^aeiou]y$", one), re.search("(s|x|ch|sh)$", one)
        many = one[:-1] + "ies" if ies else one + "es" if es else one + "s"
    return f"{count(n)} {one if n == 1 else many}"


def day(x: Any) -> str:
    """A date.

    Examples
    --------
    >>> day("2025-06-08"), day(None)
    ('8 Jun 2025', '–')
    """
    if missing(x):
        return MISSING
    return dated(words.in_use().day, x)


def dated(pattern: str, x: Any) -> str:
    """A date in a pattern of the language in use: `day`, `month` or `month_day` of `words.Language`.

    Examples
    --------
    >>> dated(words.in_use().month, "2025-06-08")
    'Jun 2025'
    """
    at, language = pd.Timestamp(x), words.in_use()
    day, year = language.figures(str(at.day)), language.figures(str(at.year))
    return pattern.format(day=day, month=language.months[at.month - 1], year=year)


def label(text: str) -> str:
    """A figure in English words, as `money` or `percent` write it, in the language of the page.

    Examples
    --------
    >>> label("$68.9 thousand"), label("no change")
    ('$68.9 thousand', 'no change')
    """
    language = words.of_page()
    found = re.fullmatch(rf"([+{MINUS}]?)(\D*?)\s?([\d.,]+)\s?(\D*)", text)
    if language.tag == "en" or found is None:
        return language.of(text)
    sign, currency, figure, unit = found.groups()
    if unit == "%":
        return language.percent.format(figure=language.figures(sign + figure))
    scale = {"k": 1e3, "thousand": 1e3, "M": 1e6, "B": 1e9}.get(unit)
    with words.labels():
        if scale:
            return money(float(figure.replace(",", "")) * scale * (-1 if sign == MINUS else 1), currency or " ").strip()
        written = _with_currency(sign, figure, "", currency) if currency else language.figures(sign + figure)
        return f"{written} {words.t(unit)}" if unit else written


def share(x: Any) -> str:
    """A share as a bare figure, for a column whose header says "%".

    Examples
    --------
    >>> share(0.527), share(None)
    ('53', '–')
    """
    return MISSING if missing(x) else _local(_bare(float(x), ".0%").removesuffix("%"))


def figure(digits: int) -> Callable[[Any], str]:
    """The format for a bare figure with so many decimals.

    Examples
    --------
    >>> figure(1)(1234.56), figure(2)(-0.001), figure(0)(None)
    ('1,234.6', '0.00', '–')
    """

    def say(x: Any) -> str:
        return MISSING if missing(x) else _figure(float(x), f",.{digits}f")

    return say


def money_in(fmt: Format) -> str | None:
    """The currency, when this format is one of money: `money`, a partial of it, or a currency sign.

    Examples
    --------
    >>> money_in(money), money_in(partial(money, currency="€")), money_in("CHF"), money_in(".0%")
    ('$', '€', 'CHF', None)
    """
    if isinstance(fmt, str):
        return None if re.search(r"[\d%.,]", fmt) or fmt in {"", "f", "g", "e", "n", "d"} else fmt
    if isinstance(fmt, partial) and fmt.func is money:
        return str(fmt.keywords.get("currency") or _currency)
    return _currency if fmt is money else None


def speaker(fmt: Format) -> Callable[[Any], str]:
    """The function behind a format: a function as it is, a currency short, else Python's format language.

    Examples
    --------
    >>> speaker(".1f")(-2), speaker("€")(548_000), speaker(days)(3)
    ('−2.0', '€548k', '3 days')
    """
    currency = money_in(fmt)
    if currency is not None:
        return partial(money, currency=currency, short=True)
    if isinstance(fmt, str):
        return lambda x: MISSING if missing(x) else _figure(float(x), fmt)
    return fmt


def for_spreadsheet(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with text that a spreadsheet would run as a formula kept as text, by an apostrophe before it.

    Examples
    --------
    >>> for_spreadsheet(pd.DataFrame({"name": ["=1+1", "Ann"], "n": [-1, 2]}))["name"].tolist()
    ["'=1+1", 'Ann']
    """
    texts = [c for c in frame if pd.api.types.is_string_dtype(frame[c].dtype)]
    return frame.assign(**{c: frame[c].str.replace(r"^(?=[=+\-@\t\r])", "'", regex=True) for c in texts})


# ---- the columns of tables and the words beside marks -----------------------------------------------------------


class Column(NamedTuple):
    """How a column is headed and written; money is scaled to one unit for the whole column."""

    header: str
    unit: str = ""
    format: Callable[[Any], str] | None = None


VERDICTS = {"above": "above", "below": "below", "same": "no", "few": "too few"}


def verdict(x: Any) -> str:
    """Whether something differs by more than chance, in words.

    Examples
    --------
    >>> verdict("above"), verdict("same"), verdict("few"), verdict(None)
    ('above', 'no', 'too few', '–')
    """
    return MISSING if missing(x) else words.t(VERDICTS.get(x, str(x)))


COLUMNS: dict[str, Column] = {
    "ahead": Column("Ahead", "", money),
    "ahead_share": Column("Of the gap", "%", share),
    "assumed": Column("Own target missing"),
    "baseline": Column("Before wishes", "", money),
    "by_day": Column("Until the end of"),
    "chance_of": Column("Chance of being met"),
    "due": Column("Due", "", money),
    "due_share": Column("Due", "%", share),
    "elsewhere": Column("Fell elsewhere", "% of the money", share),
    "times_due": Column("Of what the path has", "×", figure(1)),
    "explained": Column("Explained", "%", share),
    "full": Column("There", "% of the period", share),
    "more": Column("More below", "", money),
    "new_items": Column("New items", "", money),
    "parts": Column("Parts", "", money),
    "per_day": Column("Needed a working day", "", money),
    "potential_share": Column("Potential", "% of all", share),
    "projected": Column("Will end near", "", money),
    "ratio": Column("Booked over due", "all at 1", figure(2)),
    "reps": Column("Reps", "", count),
    "results_share": Column("Results", "% of all", share),
    "to_create": Column("Pipeline missing", "", money),
    "to_hand_over": Column("To hand over", "", money),
    "usual_per_day": Column("Due a working day", "", money),
    "weight": Column("Weight", "%", share),
    "working_day": Column("Working day", "", count),
    "working_days": Column("Working days left", "", count),
    "workload_share": Column("Workload", "% of all", share),
    "to_book": Column("Still to book", "", money),
    "needed": Column("Needed", "×", figure(1)),
    "missing_pipeline": Column("Pipeline missing", "", money),
    "likely": Column("For a chance of", "%", share),
    "booked": Column("Booked", "", money),
    "swing": Column("Swing", "points", points_bare),
    "likelier": Column("Speaks for it"),
    "unlikelier": Column("Speaks against it"),
    "said": Column("Said", "%", share),
    "won_share": Column("Won", "%", share),
    "weeks_to_go": Column("Weeks to go", "", count),
    "silent_after": Column("Silent after", "days", count),
    "of": Column("Of", "", count),
    "off": Column("Came to", "%", share),
    "off_by": Column("Off by", "%", share),
    "taken_off": Column("Taken off", "points", points_bare),
    "called": Column("Called", "", money),
    "came_amount": Column("Came", "", money),
    "bias": Column("Bias", "%", share),
    **{
        f"{w}_week{'s' if w > 1 else ''}_to_go": Column(f"{w} week{'s' if w > 1 else ''} to go", "%", share)
        for w in (1, 2, 3, 4, 8, 12)
    },
    "about": Column("What it does"),
    "term": Column("What happened"),
    "against": Column("Against"),
    "driver": Column("Driver"),
    "part": Column("Part", "a day", money),
    "from": Column("From", "", figure(2)),
    "to": Column("To", "", figure(2)),
    "since": Column("Since"),
    "until": Column("Before"),
    "horizon": Column("Horizon", "days", count),
    "open_deals": Column("Open deals", "", count),
    "undated": Column("Without date", "deals", count),
    "alive": Column("Alive", "%", share),
    "average_size": Column("Average size", "", money),
    "time_to_close": Column("Time to close", "days", figure(1)),
    "definition": Column("Win rate as"),
    "error": Column("Off by", "points", points_bare),
    "still_there": Column("Still there", "stays", count),
    "late_days": Column("9 of 10 end by", "", duration),
    "valued": Column("With amount", "deals", count),
    "closed_after": Column("Closed after", "days", count),
    "age": Column("Age", "days", count),
    "ages": Column("Age"),
    "limit": Column("Limit", "days", count),
    "chance": Column("Chance", "%", share),
    "loss_rate": Column("Loss rate", "%", share),
    "expected_close_date": Column("Expected"),
    "opportunity_id": Column("Deal"),
    "lost_reason": Column("Reason"),
    "family": Column("Product family"),
    "account": Column("Account"),
    "name": Column("Name"),
    "filled": Column("Filled", "rows", count),
    "last": Column("Last record"),
    "days_ago": Column("Before the end", "days", count),
    "usual": Column("Usual", "", figure(1)),
    "silent": Column("Silent"),
    "date": Column("Day"),
    "times": Column("Times usual", "×", figure(0)),
    "before": Column("Before", "", money),
    "after": Column("After", "", money),
    "change": Column("Change", "", money),
    "analysis": Column("Analysis"),
    "possible": Column("Possible"),
    "missing": Column("What would open it"),
    "rule": Column("What was found"),
    "table": Column("Table"),
    "column": Column("Column"),
    "done": Column("Done"),
    "why": Column("Why"),
    "expected_wins": Column("Expected", "wins", figure(1)),
    "to_tell": Column("To tell a gap of"),
    "place": Column("Place, 90% range"),
    "q": Column("False names", "rate", figure(2)),
    "beyond": Column("Gap over 2 points", "chance, %", share),
    "have": Column("They have", "deals", count),
    "discount": Column("Discount", "%", share),
    "bookings_before": Column("Bookings, period before", "", money),
    "bookings_year": Column("Bookings, year before", "", money),
    "change_before": Column("Change, period before", "", change),
    "change_year": Column("Change, year before", "", change),
    "difference": Column("Difference to the mean", "", money),
    "volume": Column("By deals closed", "", money),
    "winning": Column("By win rate", "", money),
    "mix": Column("By product mix", "", money),
    "price": Column("By size within product", "", money),
    "usual_share": Column("Usual", "%", share),
    "gap_share": Column("Gap", "points", points_bare),
    "worth": Column("Worth", "", money),
    "quiet": Column("Quiet", "days", count),
    "closed_before": Column("Closed before", "deals", count),
    "closed_now": Column("Closed now", "deals", count),
    "rate_before": Column("Win rate before", "%", share),
    "predicted": Column("Predicted", "%", share),
    "rate_now": Column("Win rate now", "%", share),
    "change_share": Column("Change", "points", points_bare),
    "quarter": Column("Quarter of tenure"),
    "wins": Column("Wins", "average", figure(1)),
    "option": Column("Option"),
    "who": Column("Who"),
    "cost": Column("Cost a year", "", money),
    "stayers": Column("Of those still here", "wins", figure(1)),
    "n_stayers": Column("Still here", "reps", count),
    "staying": Column("Stayed", "%", share),
    "completion": Column("Done", "% of planned", share),
    "unplanned": Column("Unplanned", "% of done", share),
    "cadence_days": Column("Between contacts", "days", figure(0)),
    "resting_on": Column("Rests on"),
    "raw": Column("Raw", "%", share),
    "same_deals": Column("Same deals", "%", share),
    "believed": Column("Believed", "%", share),
    "covered": Column("Kinds covered", "%", share),
    "undecided": Column("Undecided", "", count),
    "undecided_share": Column("Undecided", "%", share),
    "naive": Column("Won so far", "%", share),
    "others": Column("Others", "%", share),
    "half_days": Column("Half of wins by", "days", count),
    "entries": Column("Entered, 2 years", "deals", count),
    "top_share": Column("Five largest customers", "%", share),
    "revenue": Column("Ordered", "", money),
    "margin": Column("Margin", "", money),
    "spent": Column("Spent", "", money),
    "margin_less_spend": Column("Margin less spend", "", money),
    "cost_per_win": Column("Cost a win", "", money),
    "return_share": Column("Return on spend", "%", share),
    "for_hour": Column("For an hour", "", money),
    "first_euro": Column("Highest return", "chance, %", share),
    "first_hour": Column("Highest an hour", "chance, %", share),
    "to_repair": Column("Cost", "", money),
    "n_before": Column("Before", "deals", count),
    "n_now": Column("Now", "deals", count),
    "for_each": Column("For each spent", "×", figure(1)),
    "moved_by": Column("Added", "points", points_bare),
    "late": Column("Late", "", count),
    "late_rate": Column("Late", "%", share),
    "overdue": Column("Overdue", "", count),
    "complained": Column("Complaints", "deals", count),
    "complaint_rate": Column("Complaints", "%", share),
    "before_value": Column("Before", "%", share),
    "now_value": Column("Now", "%", share),
    "by_rate": Column("By own rate", "points", points_bare),
    "by_mix": Column("By mix", "points", points_bare),
    "total": Column("Together", "points", points_bare),
    "before_money": Column("Before", "", money),
    "now_money": Column("Now", "", money),
    "by_rate_money": Column("By own rate", "", money),
    "by_mix_money": Column("By mix", "", money),
    "total_money": Column("Together", "", money),
    "centre": Column("Usual", "%", share),
    "low": Column("Lower limit", "%", share),
    "high": Column("Upper limit", "%", share),
    "spend": Column("Spend", "a period", money),
    "contribution": Column("Brings", "a period", money),
    "average_return": Column("Average return", "", figure(2)),
    "marginal_return": Column("Marginal return", "", figure(2)),
    "marginal_then": Column("Marginal then", "", figure(2)),
    "above_zero": Column("Above 0", "chance, %", share),
    "own_share": Column("Own variation", "%", share),
    "follows_q": Column("Follows sales", "rate", figure(2)),
    "told": Column("Can be told"),
    "proposed": Column("Proposed", "a period", money),
    "least_tried": Column("Least tried", "", money),
    "most_tried": Column("Most tried", "", money),
    "added": Column("Sales added", "a period", money),
    "sure": Column("Above 0", "chance, %", share),
    "tactic": Column("Tactic"),
    "aim": Column("After which a"),
    "tries": Column("Attempts", "", count),
    "young": Column("Too young", "", count),
    "results": Column("Results", "", count),
    "adjusted": Column("Same cases", "%", share),
    "hours": Column("Hours", "", count),
    "per_hour": Column("Per hour", "", figure(2)),
    "adjusted_per_hour": Column("Per hour, same cases", "", figure(2)),
    "raw_gap": Column("Gap as it is", "points", points_bare),
    "overlap": Column("Comparable", "%", share),
    "tries_each": Column("Attempts each", "", count),
    "accounts_each": Column("Accounts each", "", count),
    "months": Column("Months", "", figure(1)),
    "got": Column("Got", "leads", count),
    "even": Column("Even deal", "leads", figure(1)),
    "got_ratio": Column("Got over even", "", figure(2)),
    "good": Column("Expected to become deals", "%", share),
    "good_gap": Column("Better than usual", "points", points_bare),
    "gini": Column("Gini", "", figure(3)),
    "by_lot": Column("Gini by lot", "", figure(3)),
    "true_spread": Column("Beyond chance", "%", share),
    "p": Column("By chance", "p", figure(3)),
    "leads": Column("Leads", "", count),
    "answered": Column("Answered"),
    "in_a_day": Column("In a day", "%", share),
    "came": Column("Came", "", count),
    "became": Column("Became deals", "", count),
    "early": Column("Within a day", "", count),
    "type": Column("Kind of activity"),
    "purpose": Column("Purpose"),
    "followed": Column("A win followed", "%", share),
    "per_attempt": Column("Bookings each", "", money),
    "bookings_an_hour": Column("Bookings an hour", "", money),
    "no_deal": Column("On no deal", "", count),
    "limit_days": Column("Limit", "days", count),
    "left": Column("Had left"),
    "kept": Column("In time", "", count),
    "kept_share": Column("In time", "%", share),
    "kept_won": Column("Won, in time", "%", share),
    "late_won": Column("Won, late", "%", share),
    "landmark": Column("Compared"),
    "within_days": Column("Followed", "days", count),
    "difference_share": Column("Difference", "points", points_bare),
    "reps_here": Column("Reps here", "", figure(1)),
    "to_date": Column("From the first month on", "", money),
    "n": Column("Number", "", count),
    "rep": Column("Rep"),
    "team": Column("Team"),
    "stage": Column("Stage"),
    "channel": Column("Channel"),
    "segment": Column("Segment"),
    "region": Column("Region"),
    "product": Column("Product"),
    "reason": Column("Reason"),
    "period": Column("Period"),
    "verdict": Column("Beyond chance", "", verdict),
    "opportunities": Column("Opportunities", "", count),
    "deals": Column("Deals", "", count),
    "created": Column("Created", "deals", count),
    "entered": Column("Entered", "deals", count),
    "closed": Column("Closed", "deals", count),
    "won": Column("Won", "deals", count),
    "lost": Column("Lost", "deals", count),
    "open": Column("Open", "deals", count),
    "waiting": Column("Waiting", "deals", count),
    "advanced": Column("Went on", "deals", count),
    "win_rate": Column("Win rate", "%", share),
    "conversion": Column("Conversion", "%", share),
    "share": Column("Share", "%", share),
    "probability": Column("Chance", "%", share),
    "conversions": Column("Wins", "", figure(1)),
    "first_touch": Column("First touch", "%", share),
    "last_touch": Column("Last touch", "%", share),
    "linear": Column("Linear", "%", share),
    "time_decay": Column("Time decay", "%", share),
    "position_based": Column("Position", "%", share),
    "markov": Column("Markov", "%", share),
    "shapley": Column("Shapley", "%", share),
    "lowest": Column("Lowest", "%", share),
    "highest": Column("Highest", "%", share),
    "lowest_by": Column("By"),
    "highest_by": Column("By"),
    "range_share": Column("Apart", "points", share),
    "place_first": Column("Best place", "", count),
    "place_last": Column("Worst place", "", count),
    "touched": Column("With a touch", "journeys", count),
    "touched_share": Column("With a touch", "%", share),
    "touches_each": Column("Touches each", "", figure(2)),
    "attainment": Column("Quota reached", "%", share),
    "growth": Column("Growth", "%", share),
    "median_days": Column("Median", "", duration),
    "mean_days": Column("Mean", "days", count),
    "days": Column("Time", "days", count),
    "age_days": Column("Age", "days", count),
    "cycle_days": Column("Cycle", "days", count),
    "coverage": Column("Coverage", "×", figure(1)),
    "amount": Column("Amount", "", money),
    "bookings": Column("Bookings", "", money),
    "pipeline": Column("Pipeline", "", money),
    "open_amount": Column("Open amount", "", money),
    "won_amount": Column("Won", "", money),
    "lost_amount": Column("Lost", "", money),
    "average_deal": Column("Average deal", "", money),
    "median_deal": Column("Median deal", "", money),
    "velocity": Column("Velocity", "a day", money),
    "expected": Column("Expected", "", money),
    "forecast": Column("Forecast", "", money),
    "mean": Column("Mean", "", money),
    "actual": Column("Actual", "", money),
    "target": Column("Target", "", money),
    "quota": Column("Quota", "", money),
    "gap": Column("Gap", "", money),
}


def column(name: object) -> Column:
    """What is known of a column, or a header made from its name.

    Examples
    --------
    >>> column("win_rate").header, column("lead_source").header, column("n_won").format
    ('Win rate', 'Lead source', None)
    """
    said = str(name).replace("_", " ").strip()
    known = COLUMNS.get(str(name)) or Column(said[:1].upper() + said[1:])
    return known._replace(header=words.t(known.header), unit=words.t(known.unit))
