"""Data for the tests: a company counted by hand, the sample, and the evaluation sets where there are any."""

import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

import salesforecast as sf

# The same examples on every machine, however slow it is.
settings.register_profile("everywhere", deadline=None, derandomize=True)
settings.load_profile("everywhere")

ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "data" / "sample"


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
