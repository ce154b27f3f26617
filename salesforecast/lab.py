"""JupyterLab on an analyst's own copies of the notebooks, with her data in their parameters."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from salesforecast import report
from salesforecast.errors import ReportError, SettingError


def prepare(folder: str | Path, **values: str) -> list[str]:
    """Copy the notebooks that the folder does not have yet; its own are left as they are.

    Parameters
    ----------
    folder : path
        Where the copies go; made when it is not there.
    **values : str
        Defaults for the parameters of the copies: data, config, period, …

    Returns
    -------
    list of str
        The names of the notebooks that were copied.

    Raises
    ------
    SettingError
        When the folder is a file.
    ReportError
        When a copy cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise SettingError(f"{folder} is a file; name a folder for your copies of the notebooks.")
    copied = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in report.notebooks().items():
            if not (folder / path.name).exists():
                report.copy_for_project(path, folder / path.name, **values)
                copied.append(name)
    except OSError as error:
        raise ReportError(f"The notebooks cannot be copied to {folder}: {error.strerror}.") from None
    return copied


def serve(folder: str | Path, options: Sequence[str] = ()) -> int:
    """Run JupyterLab in the folder until it is stopped; its exit code.

    Parameters
    ----------
    folder : path
        What it shows.
    options : sequence of str
        For JupyterLab itself: "--no-browser", "--port=8899".
    """
    # the kernels run on this Python, from wherever its packages come
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={Path(folder).resolve()}", *options]
    try:
        return subprocess.call(command, env=dict(os.environ))
    except KeyboardInterrupt:
        return 0
