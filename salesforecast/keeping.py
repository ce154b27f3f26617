"""The checked tables of a run, kept in files so that its notebooks need not read and clean the export again.

A run writes them once, as Parquet, and names the folder to its notebooks in the environment. `load` and `clean` take them
when the data, the config and the last day asked for are those of the run; else they work as ever.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from salesforecast.tables import Crm, Settings

FOLDER = "SALESFORECAST_RUN"  # the environment variable that names the folder
ABOUT = "about.json"


class Later(Mapping[str, Any]):
    """A mapping that is worked out when something of it is asked for."""

    def __init__(self, make: Callable[[], Mapping[str, Any]]) -> None:
        self._make, self._made = make, None

    def _all(self) -> Mapping[str, Any]:
        if self._made is None:
            self._made = self._make()  # type: ignore[assignment]
        return self._made  # type: ignore[return-value]

    def __getitem__(self, name: str) -> Any:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def write(folder: Path, crm: Crm, issues: pd.DataFrame, *, data: str, config: str, as_of: str) -> None:
    """Keep what `clean` gave.

    Parameters
    ----------
    folder : path
        Made when it is not there.
    crm, issues
        What `clean` gave.
    data, config, as_of : str
        What was asked of `load` and `clean`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _frames(folder / "tables", crm.tables)
    days = {f"{day:%Y-%m-%d}": tables for day, tables in crm.snapshots.items()}
    for day, tables in days.items():
        _frames(folder / "snapshots" / day, tables)
    issues.to_parquet(folder / "issues.parquet")
    about = {
        "asked": _asked(data, config), "as_of_asked": as_of, "as_of": crm.as_of.isoformat(), "unit": crm.as_of.unit,
        "settings": asdict(crm.settings), "digest": crm.digest, "of_today": crm.of_today, "evidence": crm.evidence,
        "tables": list(crm.tables), "snapshots": {day: list(tables) for day, tables in days.items()},
        "units": [day.unit for day in crm.snapshots], "written": bool(crm.written),
    }  # fmt: skip
    (folder / ABOUT).write_text(json.dumps(about), "utf-8")  # last: without it nothing is taken from the folder


def kept(data: str | Path, config: str | Path | None) -> bool:
    """Whether this is a notebook of a run that has kept these data."""
    about = _about()
    return bool(about) and about["asked"] == _asked(data, config)


def read(as_of: str, written: Callable[[], Mapping[str, Any]]) -> tuple[Crm, pd.DataFrame] | None:
    """What `clean` gave to the run, when it was asked for the same last day.

    Parameters
    ----------
    as_of : str
        The last day asked for.
    written : callable
        Gives what `cleaning.undo` needs, should it be asked for: it is not kept.
    """
    about = _about()
    if not about or about["as_of_asked"] != as_of:
        return None
    folder = Path(os.environ[FOLDER])
    tables = {name: pd.read_parquet(folder / "tables" / f"{name}.parquet") for name in about["tables"]}
    snapshots = {
        pd.Timestamp(day).as_unit(unit): {
            name: pd.read_parquet(folder / "snapshots" / day / f"{name}.parquet") for name in names
        }
        for (day, names), unit in zip(about["snapshots"].items(), about["units"], strict=True)
    }
    crm = Crm(
        tables, pd.Timestamp(about["as_of"]).as_unit(about["unit"]), Settings(**about["settings"]), about["digest"],
        tuple(about["of_today"]), about["evidence"], snapshots, Later(written) if about["written"] else {},
    )  # fmt: skip
    return crm, pd.read_parquet(folder / "issues.parquet")


def _frames(folder: Path, frames: Mapping[str, pd.DataFrame]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")


def _asked(data: str | Path, config: str | Path | None) -> list[str]:
    return [os.path.abspath(data), os.path.abspath(config) if config else ""]


def _about() -> dict[str, Any]:
    folder = os.environ.get(FOLDER)
    try:
        return dict(json.loads((Path(folder) / ABOUT).read_text("utf-8"))) if folder else {}
    except (OSError, ValueError):
        return {}
