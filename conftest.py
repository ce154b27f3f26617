"""For tests and doctests: plain words to begin with, a company counted by hand, the sample, the evaluation sets if any."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

import salesforecast as sf
from salesforecast import formats, words
from salesforecast.tables import Crm

# The same examples on every machine, however slow it is.
settings.register_profile("everywhere", deadline=None, derandomize=True)
settings.load_profile("everywhere")

ROOT = Path(__file__).parent
SAMPLE = ROOT / "data" / "sample"


@pytest.fixture(autouse=True)
def plain_words():
    """English and dollars: cleaning sets the language and the currency of its data for all that follows in the process."""
    formats.use_currency("$")
    words.use("en")


@pytest.fixture(scope="session")
def evaluation() -> Path:
    """The folder of evaluation data; tests that need it are skipped without it."""
    folder = os.environ.get("SALESFORECAST_EVALUATION_DATA", "")
    if not Path(folder).is_dir() or not folder:
        pytest.skip("SALESFORECAST_EVALUATION_DATA does not name a folder")
    return Path(folder)


@pytest.fixture(scope="session")
def sample():
    """The committed sample, loaded and cleaned."""
    return sf.clean(sf.load(SAMPLE))[0]


@pytest.fixture(scope="module")
def kernels_find_the_package():
    """For tests that run notebooks: `pytestmark = pytest.mark.usefixtures("kernels_find_the_package")`."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])
    yield
    os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.fixture
def write(tmp_path):
    """Write an export: file name -> CSV text; gives the folder."""

    def _write(**files: str) -> Path:
        folder = tmp_path / "export"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            name = name.replace("__", ".")
            (folder / (name if "." in name else f"{name}.csv")).write_text(text, encoding="utf-8", newline="")
        return folder

    return _write


def deals(*rows: tuple) -> pd.DataFrame:
    """Deals from (created day, closed day or None, outcome[, amount]) counted from 2025-01-01."""
    zero = pd.Timestamp("2025-01-01")

    def on(n):
        return pd.NaT if n is None else zero + pd.Timedelta(days=n)

    return pd.DataFrame(
        {
            "opportunity_id": [f"D{i:03}" for i in range(len(rows))],
            "created_date": pd.to_datetime([on(r[0]) for r in rows]),
            "closed_date": pd.to_datetime([on(r[1]) for r in rows]),
            "outcome": pd.Series([r[2] for r in rows], dtype="str"),
            "amount": [float(r[3]) if len(r) > 3 else 100.0 for r in rows],
        }
    )


def altered(crm: Crm, day: pd.Timestamp) -> Crm:
    """The same up to the end of the day; everything after it shuffled, changed or deleted."""
    rng = np.random.default_rng(7)
    deals, end = crm.opportunities.copy(), day + pd.Timedelta(days=1)
    deals = deals[(deals["created_date"] < end) | (rng.random(len(deals)) < 0.5)].copy()
    later = deals["closed_date"] >= end
    fate = deals.loc[later, ["outcome", "stage", "amount"]].sample(frac=1, random_state=1)
    deals.loc[later, ["outcome", "stage", "amount"]] = fate.to_numpy()
    deals.loc[later, "closed_date"] = deals.loc[later, "closed_date"] + pd.Timedelta(days=3)
    deals["amount"] = deals["amount"].where(~later, deals["amount"] * 7)
    moves = crm.stage_history
    moves = moves[(moves["entered_at"] < end) | (rng.random(len(moves)) < 0.4)].copy()
    if "amount" in moves:
        moves.loc[moves["entered_at"] >= end, "amount"] *= 3
    tables = dict(crm.tables)
    if "calls" in tables:
        said = tables["calls"]
        said = said[(said["submitted_at"] < end) | (rng.random(len(said)) < 0.5)].copy()
        said.loc[said["submitted_at"] >= end, "amount"] *= 5
        tables["calls"] = said.reset_index(drop=True)
    tables |= {
        "opportunities": deals.reset_index(drop=True),
        "stage_history": moves.reset_index(drop=True),
    }
    return replace(crm, tables=tables)
