"""Which CRM an export comes from, which table a file holds, and which of its columns are ours."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache

from salesforecast.crm.files import ENDINGS
from salesforecast.crm.mapping import CONFIG, OWN, Mapping, TableMapping, mappings
from salesforecast.crm.sheets import Sheet, plain
from salesforecast.tables import TABLES

# Words around the name of a table in a file name that say nothing about the table.
FILLERS = frozenset(
    (
        *("sf", "sfdc", "salesforce", "hubspot", "hs", "pipedrive", "zoho", "crm", "crms", "my", "our", "all", "the"),
        *(
            "raw",
            "full",
            "data",
            "table",
            "export",
            "exports",
            "exported",
            "extract",
            "dump",
            "report",
            "backup",
            "copy",
        ),
        *("final", "new", "bulk", "query", "result", "results", "view", "list", "csv"),
    )
)
FEW, ENOUGH = 3, 4  # columns of ours by which a file is known, when its name says nothing: any table, the opportunities

_DAY = re.compile(
    r"(?<!\d)(?P<y>(?:19|20)\d{2})(?P<s>[-_. ]?)(?P<m>0[1-9]|1[0-2])(?P=s)(?P<d>0[1-9]|[12]\d|3[01])(?!\d)"
)


@dataclass(frozen=True)
class Place:
    """Where a sheet belongs: the table ("" for none), our column -> their headers, and why not."""

    table: str = ""
    named: dict[str, tuple[str, ...]] = field(default_factory=dict)
    why: str = ""
    refused: str = ""  # the error, when the name is that of a table and a column is missing


def exported_on(name: str) -> str:
    """The day in a file's name, "" without one.

    >>> exported_on("Opportunity_2025-03-31.csv"), exported_on("deals 20250331T0800.csv"), exported_on("deals2.csv")
    ('2025-03-31', '2025-03-31', '')
    """
    days = [f"{m['y']}-{m['m']}-{m['d']}" for m in _DAY.finditer(name)]
    return days[-1] if days else ""


def columns(header: list[str], table: TableMapping) -> dict[str, tuple[str, ...]]:
    """Our column -> the first of their headers that is there; `_closed`, `_won`, … -> what says so.

    Case and spaces do not matter, nor does punctuation where only one header is left by it. An entry `A | B` stands for
    both headers, of which the one that is filled counts.
    """
    exact, loose = _forms(tuple(header))

    def there(name: str) -> str:
        alike = loose.get(plain(name), [])
        return exact.get("".join(name.casefold().split())) or (alike[0] if len(alike) == 1 else "")

    roles = {**table.outcome, "deleted": table.deleted, "key": table.key}
    found = {}
    for ours, theirs in {**table.columns, **{f"_{role}": names for role, names in roles.items()}}.items():
        for entry in theirs:
            if names := tuple(n for part in entry.split(" | ") if (n := there(part))):
                found[ours] = names
                break
    return found


@lru_cache(maxsize=256)
def _forms(header: tuple[str, ...]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The headers by what they are without case and spaces, and without punctuation."""
    exact: dict[str, str] = {}
    loose: dict[str, list[str]] = {}
    for name in header:
        exact.setdefault("".join(name.casefold().split()), name)
        loose.setdefault(plain(name), []).append(name)
    return exact, loose


def by_name(names: tuple[str, ...], mapping: Mapping) -> str:
    """The table that one of the names is known for, "" when there is none."""
    wanted = {_letters(name): table for table, t in mapping.tables.items() for name in t.files}
    for name in names:
        for form in (_letters(name), _bare(name)):
            if form in wanted:
                return wanted[form]
    return ""


def _letters(name: str) -> str:
    """A file name without ending, in one case, letters and digits only."""
    return "".join(ch for ch in _stem(name).casefold() if ch.isalnum())


def _bare(name: str) -> str:
    """The same without what is put around a table's name: days, numbers, and words such as export."""
    words = re.findall(r"[^\W\d_]+\d?(?=[^\W\d_]|\b|_|$)", _DAY.sub(" ", _stem(name)).replace("_", " "))
    words = [w for word in words for w in re.findall(r"[A-Z]+(?![a-z])\d?|[A-Z]?[^\WA-Z\d_]+2?", word)]
    kept = [w.casefold() for w in words if w.casefold() not in FILLERS]
    return "".join(kept)


def _stem(name: str) -> str:
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.casefold().endswith(ending):
            return name[: -len(ending)]
    return name


def missing(table: str, found: Collection[str], mapping: TableMapping, *, by_headers: bool = False) -> str:
    """The first column without which a sheet cannot be this table; "" when none is missing.

    What cleaning can derive is not asked for; a sheet known by its headers alone has to show more.
    """
    derived = {"sequence", "outcome", "rank"} | ({"stage"} if table == "opportunities" and not by_headers else set())
    numbered = set(TABLES[table].key) if mapping.numbered and len(found) >= ENOUGH else set()
    must = [c.name for c in TABLES[table].columns if c.required and c.name not in derived | numbered]
    return next((name for name in must if name not in found), "")


def place(sheet: Sheet, mapping: Mapping, declared: set[str]) -> Place:
    """The table that a sheet's name says, when the columns it needs are there."""
    header, refused, needed = [str(c) for c in sheet.frame.columns], [], False
    for candidate in (mapping, mappings()[OWN]):
        table = by_name(sheet.named, candidate)
        if not table:
            continue
        found = columns(header, candidate.tables[table])
        lacks = missing(table, found, candidate.tables[table])
        if not lacks:
            return Place(table, found)
        theirs = candidate.tables[table].columns.get(lacks, (lacks,))
        refused.append(
            f"{sheet.name} should hold the table '{table}', but the column for {lacks} is missing: "
            f"no header is {' or '.join(repr(t) for t in theirs)}. Its headers: {', '.join(header[:30])}. "
            f'Name the right one in {CONFIG} under [{table}.columns]: {lacks} = "…".'
        )
        needed |= table == "opportunities" or table in declared
    if not refused:
        return Place(why="no table of this name is known")
    return Place(why=refused[0], refused=refused[0] if needed else "")


def by_headers(sheet: Sheet, mapping: Mapping) -> Place:
    """The table most of whose columns a sheet has, when what it needs is there and no other table has as many."""
    header = [str(c) for c in sheet.frame.columns]
    ranked: list[tuple[int, Place]] = []
    for table, of in mapping.tables.items():
        found = columns(header, of)
        enough = ENOUGH if table == "opportunities" else max(FEW, len(header) / 2)
        if len(found) >= enough and not missing(table, found, of, by_headers=True):
            ranked.append((len(set(found.values())), Place(table, found)))
    ranked.sort(key=lambda item: -item[0])
    if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        return Place(why="no table of this name is known, and its headers are not those of one")
    return ranked[0][1]


def detect(sheets: list[Sheet], *, mapped: bool = False) -> tuple[str, str]:
    """The CRM most of whose headers are in the files, and the evidence; the project's own names when none is better.

    When the analyst has mapped the opportunities (`mapped`), only a CRM that would know them as well counts.
    """
    scores: dict[str, tuple[bool, int]] = {}
    order = sorted(mappings(), key=lambda crm: mappings()[crm].fallback)
    for crm in order:
        mapping, ready, hits = mappings()[crm], False, 0
        for sheet in sheets:
            header = [str(c) for c in sheet.frame.columns]
            known = by_name(sheet.named, mapping)
            at = place(sheet, mapping, set()) if known else by_headers(sheet, mapping)
            table = mapping.tables.get(at.table or known)
            found = len({h for names in columns(header, table).values() for h in names}) if table else 0
            ready |= at.table == "opportunities" and found >= (ENOUGH if mapped else 1)
            hits += found
        if not mapped or (ready and not mapping.fallback):
            scores[crm] = (ready, hits)
    first = max(scores, key=lambda crm: scores[crm], default=OWN)  # of equal ones the first
    if mapped and first == OWN:
        return OWN, f"{CONFIG} maps the columns"
    return first, _evidence(first, sheets, [crm for crm in order if crm != first])


def _evidence(crm: str, sheets: list[Sheet], others: list[str]) -> str:
    """How many headers of the opportunities' file the CRM knows, and the next best one."""

    def known(crm: str) -> tuple[int, Sheet | None]:
        table = mappings()[crm].tables.get("opportunities", TableMapping())
        ranked = [(by_name(s.named, mappings()[crm]) == "opportunities",
                   len({h for names in columns(list(s.frame.columns), table).values() for h in names}), i)
                  for i, s in enumerate(sheets)]  # fmt: skip
        _, found, i = max(ranked, default=(False, 0, -1))
        return found, sheets[i] if ranked else None

    found, sheet = known(crm)
    if sheet is None or not found:
        return "no header of another CRM is in the files"
    told = f"{found} of {len(sheet.frame.columns)} headers of {sheet.name} are those of {crm}"
    rest = [(n, other) for other in others if 0 < (n := known(other)[0]) < found]
    return f"{told}; {max(rest)[1]} would know {max(rest)[0]}" if rest else told
