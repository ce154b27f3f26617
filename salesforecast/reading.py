"""Text into values, and one name for one thing. What a column is written like is worked out once for each different text."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from salesforecast import keys
from salesforecast.crm import multiples, values
from salesforecast.crm.mapping import Mapping, TableMapping
from salesforecast.errors import DataError
from salesforecast.formats import plural
from salesforecast.ledger import apart, noted, of_column
from salesforecast.tables import TABLES, Kind, examples

Frames = dict[str, pd.DataFrame]
Found = list[pd.DataFrame]
Change = Callable[[pd.Series], pd.Series]  # of the different texts of a column
Step = tuple[tuple[str, str], Change]  # the rule and why; what it makes of the texts

# Labels in which two spellings mean one thing; names of people, firms and deals are left as they are written.
CATEGORIES = {
    "channel", "segment", "stage", "outcome", "lost_reason", "competitor", "forecast_category", "team", "manager",
    "region", "role", "industry", "size", "family", "type", "purpose", "kind", "campaign",
}  # fmt: skip
# A reference may be given by the name instead of the id: our column -> (table, its name).
REFERENCES = {"rep_id": ("reps", "rep"), "product_id": ("products", "product"), "account_id": ("accounts", "account")}
ROLES = ("_closed", "_won", "_deleted")  # columns of theirs that say what a row is, and are none of ours
SPACES = ("spaces", "Spaces around or doubled inside a text mean nothing.")
NOTHING = ("stands for nothing", "It is written where there is no value.")
SAID: dict[Kind, str] = {"money": "an amount", "count": "a number", "fraction": "a share"}
MULTIPLE = "in thousands or millions"
SILENT = ("", "")  # a name for a name, and no issue
ALIAS = ("alias", "The config says that both are the same.")
# What might hold a space that means nothing; the rest needs no second look.
_SPACED = r"^\s|\s$|\s\s|[\t\n\r\f\v]|[^\x00-\x7f]"


def date_orders(tables: Frames, mapping: Mapping, files: dict[str, str], found: Found) -> dict[str, dict[str, str]]:
    """The order of day and month of each date column, by its own dates, else by the others of its table.

    A column that has dates of both orders is read in that of the most, and is an issue; see `values.date_order`.
    """
    orders: dict[str, dict[str, str]] = {}
    for name, raw in tables.items():
        dated = {c.name: c.kind for c in TABLES[name].columns if c.kind in ("date", "moment") and c.name in raw}
        if mapping.date_order:
            orders[name] = dict.fromkeys(dated, mapping.date_order)
            continue
        texts = {}
        for column, kind in dated.items():
            text = raw[column].astype("str")
            # What begins with the year says nothing of days and months.
            short = text[~keys.matches(text, r"^\s*\d{4}[-/.]") & text.notna()]
            text = _tidied(pd.Series(short.unique(), dtype="str"))
            texts[column] = text.mask((text == "") | _is_nothing(text, kind)).dropna()
        where = f"the table '{name}'"
        clear = {c: t for c, t in texts.items() if any(values.against(t, order) for order in ("mdy", "dmy"))}
        whole = values.date_order(texts.values(), where)
        orders[name] = {c: values.date_order([clear[c]], where) if c in clear else whole for c in texts}
        for column, text in clear.items():
            if odd := values.against(text, orders[name][column]):
                found.append(_both_orders(name, column, orders[name][column], odd, files.get(name, "")))
    return orders


def _both_orders(name: str, column: str, order: str, odd: list[str], files: str) -> pd.DataFrame:
    said = {"mdy": ("month/day", "dmy"), "dmy": ("day/month", "mdy")}
    why = (
        f"Most dates of the column are {said[order][0]}; these can be read the other way only, so they are left out and none is "
        f"guessed. Where both numbers are 12 or less nothing shows which was meant, and the date is read like the most. If these "
        f'are right and the others wrong, set date_order = "{said[order][1]}" in salesforecast.toml.'
    )
    what = f"{plural(len(odd), 'date')}, e.g. {examples(odd)}"
    return of_column(name, files, column, what, "dates in both orders", why)


def entries(raw: pd.DataFrame, name: str, mapping: Mapping, orders: dict[str, str], found: Found) -> pd.DataFrame:
    """A table of text with each declared column turned into its kind; rows keep their place in the export as index."""
    of = mapping.tables.get(name, TableMapping())
    frame = _without_ignored(raw.copy(), name, of, found)
    for c in [c for c in TABLES[name].columns if c.name in frame]:
        steps: list[Step] = [(SPACES, _tidied), (NOTHING, _emptied(c.kind))]
        if c.kind == "id":
            _note_decimals(frame, name, c.name, found)
            steps.append((SILENT, whole_numbers))
        if c.name in of.aliases:
            steps.append((ALIAS, _swap(of.aliases[c.name])))
        if c.name == "stage" and name in ("opportunities", "stage_history"):
            # Their labels for our stages are names, like their headers for our columns, and no issue.
            steps.append((SILENT, _ours({folded(label): s.stage for s in mapping.stages for label in s.labels})))
        why = f"It cannot be read as {SAID.get(c.kind, f'a {c.kind}')}, so it is left out."
        steps.append(
            ((f"not a {c.kind}", why), _parsed(c.kind, orders.get(c.name, ""), mapping, c.name in of.per_cent))
        )
        text, frame[c.name] = frame[c.name], _through(frame, name, c.name, steps, found)
        if c.kind == "money":
            _note_multiples(frame, name, c.name, text, found)
    for role in [c for c in ROLES if c in frame]:
        unclear = ("not a flag", "It says neither true nor false.")
        flags: list[Step] = [(SILENT, _tidied), (unclear, _parsed("flag"))]
        frame[role] = _through(frame, name, role, flags, found)
    if "_deleted" in frame:
        gone = frame.pop("_deleted").fillna(False).astype(bool)
        found.append(apart(name, frame[gone], "deleted in the CRM", "The export still holds it, the CRM does not."))
        frame = frame[~gone]
    return frame


def _through(frame: pd.DataFrame, name: str, column: str, steps: list[Step], found: Found) -> pd.Series:
    """The column after each step, with a row of the issues for each value that a step changed."""
    codes, texts = pd.factorize(frame[column])
    at = pd.Series(texts, dtype="str")
    at = at.mask(at == "")
    for (rule, why), step in steps:
        became = step(at)
        other = at.notna() & became.isna()
        if pd.api.types.is_string_dtype(became.dtype):
            other |= (at.notna() & (became != at)).fillna(False).astype(bool)
        if rule and other.any():
            rows = np.r_[other.to_numpy(), False][codes]  # no value has the code -1
            here = frame[[c for c in frame if c in TABLES[name].key or c == column]][rows]
            now = became.take(codes[rows]).set_axis(here.index)
            here = here.assign(**{column: at.take(codes[rows]).to_numpy()})
            found.append(noted(name, here, column, now, rule, why))
        at = became
    if pd.api.types.is_string_dtype(at.dtype) and at.equals(pd.Series(texts, dtype="str")):
        return frame[column]  # nothing was changed
    taken = pd.api.extensions.take(at.array, codes, allow_fill=True)
    return pd.Series(taken, index=frame.index, name=column)


def _note_multiples(frame: pd.DataFrame, name: str, column: str, text: pd.Series, found: Found) -> None:
    """A row of the issues for each amount that was written in thousands, millions or billions."""
    rows = multiples.written(text.astype("str")) & frame[column].notna()
    if rows.any():
        why = "It is written with a word for thousand, million or billion, as k or Mio., and is read with it."
        found.append(noted(name, frame[rows].assign(**{column: text}), column, frame.loc[rows, column], MULTIPLE, why))


def whole_numbers(ids: pd.Series) -> pd.Series:
    """Ids without the .0 that a program has put behind all of them, since it took them for figures.

    Examples
    --------
    >>> whole_numbers(pd.Series(["112.0", None, "7"])).tolist(), whole_numbers(pd.Series(["1.0", "1.1"])).tolist()
    (['112', nan, '7'], ['1.0', '1.1'])
    """
    figures = ids.dropna().str.fullmatch(r"-?\d+(\.0+)?").all()
    return ids.str.replace(r"\.0+$", "", regex=True) if figures else ids


def _note_decimals(frame: pd.DataFrame, name: str, column: str, found: Found) -> None:
    """One row of the issues for a column whose ids were written with .0."""
    text = _tidied(pd.Series(frame[column].dropna().unique(), dtype="str"))
    text = text.mask(_is_nothing(text, "id") | (text == "")).dropna()
    if odd := text[whole_numbers(text) != text].tolist():
        why = "A program took these ids for figures; they are read without .0, as other tables have them."
        found.append(
            of_column(name, "", column, f"{plural(len(odd), 'id')}, e.g. {examples(odd)}", "ids written with .0", why)
        )


def _without_ignored(frame: pd.DataFrame, name: str, of: TableMapping, found: Found) -> pd.DataFrame:
    for column, words in of.ignore.items():
        if column in frame and (rows := frame[column].astype("str").str.strip().isin(words)).any():
            why = f"The config sets rows apart whose {column} is {', '.join(words)}."
            found.append(apart(name, frame[rows], "ignored", why))
            frame = frame[~rows]
    return frame


def _tidied(text: pd.Series) -> pd.Series:
    """Without spaces around, and one where there were several."""
    odd = keys.matches(text, _SPACED)
    if not odd.any():
        return text
    text = text.copy()
    text[odd] = text[odd].map(_tidy)
    return text.mask(text == "")


def _tidy(value: str) -> str:
    return " ".join(value.split())


def _emptied(kind: Kind) -> Change:
    return lambda text: text.mask(_is_nothing(text, kind))


def _is_nothing(text: pd.Series, kind: Kind) -> pd.Series:
    return text.str.casefold().isin(values.NOTHING_IN_TEXT if kind in ("id", "label") else values.NOTHING)


def _parsed(kind: Kind, order: str = "", mapping: Mapping | None = None, per_cent: bool = False) -> Change:
    zone = mapping.timezone if mapping else ""
    return lambda text: values.parse(text, kind, order=order, timezone=zone, per_cent=per_cent)


def _ours(stages: dict[str, str]) -> Change:
    return lambda text: text.map(lambda v: stages.get(folded(v), v), na_action="ignore").astype("str")


def _swap(names: dict[str, str]) -> Change:
    return lambda text: text.map(lambda v: names.get(v, v), na_action="ignore").astype("str")


# ---- one name for one thing ------------------------------------------------------------------------------------------


def one_spelling(frame: pd.DataFrame, name: str, tables: Frames, found: Found) -> pd.DataFrame:
    """Categories that differ in case or spaces only become one; a reference by name becomes the id."""
    frame = frame.copy()
    for column in [c for c in frame if c in TABLES[name].names]:
        referred = column in REFERENCES and REFERENCES[column][0] in tables and REFERENCES[column][0] != name
        if not referred and column not in CATEGORIES:
            continue
        given = pd.Series(frame[column].dropna().unique(), dtype="str")
        if referred:
            swap, rule = _ids_of_names(given, tables[REFERENCES[column][0]], column), "named, not numbered"
            why = "It is the name of the one whose id belongs here."
        elif column == "stage" and "stages" in tables and name != "stages":
            swap, rule = _known_spelling(given, tables["stages"]["stage"]), "spelling"
            why = "It differs from a stage in case or spaces only."
        else:
            counts = frame[column].value_counts().sort_index().sort_values(ascending=False, kind="stable")
            swap, rule = _known_spelling(given, counts.index.to_series()), "spelling"
            why = "It differs from the usual spelling in case or spaces only."
        if swap:
            rows = frame[column].isin(list(swap))
            became = frame.loc[rows, column].map(swap).astype("str")
            found.append(noted(name, frame[rows], column, became, rule, why))
            frame.loc[rows, column] = became
    return frame


def _known_spelling(given: pd.Series, known: pd.Series) -> dict[str, str]:
    """What is written -> the known one (the first, of several) that is the same when folded."""
    best: dict[str, str] = {}
    for value in known.dropna():
        best.setdefault(folded(value), value)
    return {v: best[folded(v)] for v in given if best.get(folded(v), v) != v}


def _ids_of_names(given: pd.Series, other: pd.DataFrame, key: str) -> dict[str, str]:
    """What is written and is no id -> the id of the only one of that name."""
    label = REFERENCES[key][1]
    unknown = given[~keys.among(given, other[key])] if key in other else given
    if key not in other or label not in other or unknown.empty:
        return {}
    names = other[[key, label]].dropna().drop_duplicates()
    plain = names[label].map(folded)
    ids = names[~plain.duplicated(keep=False)].set_axis(plain[~plain.duplicated(keep=False)])[key]
    return {v: ids[folded(v)] for v in unknown if folded(v) in ids.index}


def folded(value: str) -> str:
    """A label without what people vary: case, spaces, underscores, and hyphens or slashes between letters.

    >>> folded("Mid-Market") == folded("mid market"), folded("A+") == folded("A-")
    (True, False)
    """
    return re.sub(r"[\s_]|(?<=[^\W\d_])[-/](?=[^\W\d_])", "", value.casefold())


def unknown_stages(tables: Frames, found: Found) -> None:
    """Set apart deals whose stage nobody declared: whether they are open, won or lost would be a guess."""
    for name in [n for n in ("opportunities", "stage_history") if n in tables and "stage" in tables[n]]:
        frame = tables[name]
        odd = frame["stage"].notna() & ~frame["stage"].isin(tables["stages"]["stage"])
        if odd.sum() > 0.1 * len(frame):
            named = frame.loc[odd, "stage"].value_counts()
            raise DataError(
                f"{odd.sum():,} of {len(frame):,} rows of '{name}' are in stages that the stage table does not have: "
                f"{', '.join(f'{s!r} ({n:,})' for s, n in named.head(5).items())}. Declare them as [[stage]] in "
                f"salesforecast.toml."
            )
        if odd.any():
            found.append(
                apart(name, frame[odd], "unknown stage", "No stage table says whether it is open, won or lost.")
            )
            tables[name] = frame[~odd]
