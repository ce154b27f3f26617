"""What an export calls things: one TOML file per CRM, and the analyst's own salesforecast.toml on top."""

from __future__ import annotations

import re
import tomllib
import zoneinfo
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from salesforecast import words
from salesforecast.errors import SettingError, unknown
from salesforecast.tables import OUTCOMES, TABLES, Settings

CONFIG = "salesforecast.toml"
OWN = "salesforecast"
DATE_ORDERS = ("ymd", "mdy", "dmy")
ROLES = ("closed", "won", "lost", "status")
STATUS = ("open", "won", "lost", "deleted")


@dataclass(frozen=True)
class TableMapping:
    """How one of our tables is found in an export.

    Parameters
    ----------
    files : tuple of str
        File names, with or without ending; case and ending do not matter.
    columns : dict
        Our column -> their headers, the first that is there is taken.
    per_cent : tuple of str
        Our columns that the export writes in per cent.
    outcome : dict
        Their columns that say `closed`, `won` or `lost` by yes and no, or `status` by a word, where a stage table does not.
    status : dict
        `open`, `won`, `lost`, `deleted` -> the words for it in the status column.
    entered : tuple of str
        Patterns of their columns that hold the day a stage was entered; the bracket in it is the stage.
    key : tuple of str
        Their column with the ids by which other tables know a stage.
    numbered : bool
        Whether rows without an id are numbered, as in a sheet kept by hand.
    aliases : dict
        Our column -> {their spelling: ours}. Each replacement is a row of the issues.
    deleted : tuple of str
        Their columns that say that a row was deleted in the CRM; such rows are set apart.
    ignore : dict
        Our column -> values whose rows are set apart. Each is a row of the issues.
    """

    files: tuple[str, ...] = ()
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    per_cent: tuple[str, ...] = ()
    outcome: dict[str, tuple[str, ...]] = field(default_factory=dict)
    status: dict[str, tuple[str, ...]] = field(default_factory=dict)
    entered: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    numbered: bool = False
    deleted: tuple[str, ...] = ()
    aliases: dict[str, dict[str, str]] = field(default_factory=dict)
    ignore: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def over(self, base: TableMapping) -> TableMapping:
        """What it says, and what only the base says."""
        return TableMapping(
            files=self.files or base.files,
            columns={**base.columns, **self.columns},
            per_cent=tuple(dict.fromkeys(self.per_cent + base.per_cent)),
            outcome=self.outcome or base.outcome,
            status={**base.status, **self.status},
            entered=self.entered or base.entered,
            key=self.key or base.key,
            numbered=self.numbered or base.numbered,
            deleted=self.deleted or base.deleted,
            aliases={**base.aliases, **self.aliases},
            ignore={**base.ignore, **self.ignore},
        )


@dataclass(frozen=True)
class Stage:
    """A stage as the analyst declares it: its name, what a deal in it is, what the export calls it, how long a deal may stay in it."""

    stage: str
    outcome: str
    labels: tuple[str, ...] = ()
    limit_days: int | None = None


@dataclass(frozen=True)
class Mapping:
    """All that is needed to read one kind of export.

    Parameters
    ----------
    settings : Settings
        Company, currency, fiscal year.
    tables : dict
        Our table -> where it is.
    stages : tuple of Stage
        The stages in funnel order, where the export has no stage table.
    date_order : str
        "ymd", "mdy" or "dmy" for dates whose order of day and month the data do not show.
    timezone : str
        The business zone into which zone-aware moments are turned, as "Europe/Oslo".
    list_price_as_amount : bool
        Whether a missing amount is filled with the product's list price.
    fallback : bool
        Whether another mapping that knows as many headers goes before it.
    """

    settings: Settings = field(default_factory=Settings)
    tables: dict[str, TableMapping] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    date_order: str = ""
    timezone: str = ""
    list_price_as_amount: bool = False
    fallback: bool = False


@cache
def mappings() -> dict[str, Mapping]:
    """The mappings that come with the package, by CRM; the project's own table names first."""
    own = Mapping(
        tables={t.name: TableMapping((t.name,), {c.name: (c.name,) for c in t.columns}) for t in TABLES.values()}
    )
    found = {OWN: own}
    for file in sorted(resources.files("salesforecast.crm").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            found[name] = parse(tomllib.loads(file.read_text("utf-8")), file.name)
    return found


def read_config(path: Path) -> dict[str, Any]:
    """The content of a salesforecast.toml.

    Raises
    ------
    SettingError
        When it is not there or not TOML, with the line.
    """
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise SettingError(f"There is no config file {path}. `salesforecast init` writes one to start from.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is not valid TOML: {error}.") from None


def parse(content: dict[str, Any], where: str) -> Mapping:
    """The mapping that a TOML file declares, over that of the CRM it names.

    Raises
    ------
    SettingError
        For a key, table, column or value nobody knows, with "Did you mean".
    """
    rest = dict(content)
    crm = _read(rest, "crm", str, where, "")
    if crm and crm not in mappings():
        raise unknown("CRM mapping", crm, mappings())
    base = mappings()[crm] if crm else Mapping()
    given = {name: _read(rest, name, type(default), where, default) for name, default in _defaults(base.settings)}
    settings = replace(base.settings, **given)
    words.language(settings.locale)  # an unknown one is refused here
    if not 1 <= settings.fiscal_year_start <= 12:
        raise SettingError(f"{where}: fiscal_year_start is {settings.fiscal_year_start}; it is a month, 1 to 12.")
    stages = tuple(_stage(s, where) for s in _read(rest, "stage", list, where, []))
    date_order = _read(rest, "date_order", str, where, base.date_order)
    if date_order and date_order not in DATE_ORDERS:
        raise SettingError(f"{where}: date_order is {date_order!r}; it is one of {', '.join(DATE_ORDERS)}.")
    timezone = _read(rest, "timezone", str, where, base.timezone)
    if timezone and timezone not in zoneinfo.available_timezones():
        raise SettingError(f"{where}: {unknown('time zone', timezone, sorted(zoneinfo.available_timezones()))}")
    as_amount = _read(rest, "list_price_as_amount", bool, where, base.list_price_as_amount)
    fallback = _read(rest, "fallback", bool, where, False)
    tables = {name: _table(name, declared, where) for name, declared in rest.items()}
    return Mapping(
        settings,
        {**base.tables, **{n: t.over(base.tables.get(n, TableMapping())) for n, t in tables.items()}},
        stages or base.stages,
        date_order,
        timezone,
        as_amount,
        fallback,
    )


def _defaults(settings: Settings) -> list[tuple[str, Any]]:
    return [(f.name, getattr(settings, f.name)) for f in fields(Settings) if f.name != "crm"]


def _read(of: dict[str, Any], key: str, kind: type, where: str, default: Any) -> Any:
    """Take a key out of a TOML table, when it is of its kind."""
    value = of.pop(key, default)
    if type(value) is not kind:
        wanted = {str: "text", int: "a whole number", bool: "true or false", list: "a list", dict: "a table"}[kind]
        raise SettingError(f"{where}: {key} is {value!r}; it is {wanted}.")
    return value


def _table(name: str, declared: Any, where: str) -> TableMapping:
    if name not in TABLES or not isinstance(declared, dict):
        top = [*TABLES, *(f.name for f in fields(Settings)), "stage", "date_order", "timezone", "list_price_as_amount"]
        raise SettingError(f"{where}: {unknown('setting or table', name, sorted(top))}")
    parts = [f.name for f in fields(TableMapping)]
    for key in declared:
        if key not in parts:
            raise SettingError(f"{where}, [{name}]: {unknown('key', key, parts)}")
    own, rest = TABLES[name].names, dict(declared)
    dicts = ("columns", "outcome", "status", "aliases", "ignore")
    inner = {part: _read(rest, part, dict, f"{where}, [{name}]", {}) for part in dicts}
    for part, known in (("outcome", ROLES), ("status", STATUS)):
        for key in inner[part]:
            if key not in known:
                raise SettingError(f"{where}, [{name}.{part}]: {unknown('key', key, known)}")
    for part in ("columns", "aliases", "ignore"):
        for column in inner[part]:
            if column not in own:
                raise SettingError(f"{where}, [{name}.{part}]: {unknown('column', column, own)}")
    here = f"{where}, [{name}]"
    aliases = {c: _read(inner["aliases"], c, dict, f"{where}, [{name}.aliases]", {}) for c in list(inner["aliases"])}
    return TableMapping(
        files=_texts(rest.get("files", ()), "files", here),
        columns={c: _texts(theirs, c, f"{where}, [{name}.columns]") for c, theirs in inner["columns"].items()},
        per_cent=_texts(rest.get("per_cent", ()), "per_cent", here),
        outcome={k: _texts(theirs, k, f"{where}, [{name}.outcome]") for k, theirs in inner["outcome"].items()},
        status={k: _texts(words, k, f"{where}, [{name}.status]") for k, words in inner["status"].items()},
        entered=_patterns(rest.get("entered", ()), here),
        key=_texts(rest.get("key", ()), "key", here),
        numbered=_read(rest, "numbered", bool, here, False),
        deleted=_texts(rest.get("deleted", ()), "deleted", here),
        aliases={c: {str(k): str(v) for k, v in pairs.items()} for c, pairs in aliases.items()},
        ignore={c: _texts(values, c, f"{where}, [{name}.ignore]") for c, values in inner["ignore"].items()},
    )


def _stage(declared: Any, where: str) -> Stage:
    if (
        not isinstance(declared, dict)
        or set(declared) - {"stage", "outcome", "labels", "limit_days"}
        or "stage" not in declared
    ):
        raise SettingError(
            f"{where}: a [[stage]] has stage, outcome and perhaps labels and limit_days; this one is {declared!r}."
        )
    rest = dict(declared)
    name, outcome = _read(rest, "stage", str, where, ""), _read(rest, "outcome", str, where, "open")
    if outcome not in OUTCOMES:
        raise SettingError(f"{where}, stage {name!r}: {unknown('outcome', outcome, OUTCOMES)}")
    limit = _read(rest, "limit_days", int, f"{where}, stage {name!r}", 0)
    if limit < 0 or ("limit_days" in declared and limit == 0):
        raise SettingError(f"{where}, stage {name!r}: limit_days is {limit}; it is a number of days, 1 or more.")
    return Stage(name, outcome, _texts(rest.get("labels", ()), "labels", f"{where}, stage {name!r}"), limit or None)


def _texts(value: Any, key: str, where: str) -> tuple[str, ...]:
    """A text, or a list of texts, as a tuple."""
    texts = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple) else None
    if texts is None or not all(isinstance(t, str) for t in texts):
        raise SettingError(f"{where}: {key} is {value!r}; it is a text or a list of texts.")
    return texts


def _patterns(value: Any, where: str) -> tuple[str, ...]:
    """Regular expressions with one bracket for the stage."""
    for pattern in (texts := _texts(value, "entered", where)):
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise SettingError(f"{where}: entered has {pattern!r}, which is no regular expression: {error}.") from None
        if groups != 1:
            raise SettingError(f"{where}: entered has {pattern!r}; it needs one bracket, (.*), where the stage stands.")
    return texts
