"""Executing notebooks: several at a time, each in a kernel of its own; how each ended and what stopped it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from salesforecast import quick  # noqa: F401  (before anything of Jupyter)

# isort: split
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from salesforecast import errors
from salesforecast.report.nursery import ONE_THREAD, Nursery

LAUNCHER = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
NOT_SAID = ("CannotSay", "MissingTable", "TooLittleData")


@dataclass(frozen=True)
class Outcome:
    """How the run of a notebook ended.

    Parameters
    ----------
    name : str
        The notebook; of several bundles "bundle/notebook".
    status : str
        ok; without (the data do not allow it: a table is missing or too short); failed (a cell raised an error or took too
        long); died (the kernel did).
    error : str
        What went wrong, in one line; empty when ok.
    section : str
        The question of the cell that failed; empty when that was before the first.
    seconds : float
        How long it took; 0 where it was not measured. It does not count when two are compared.
    refused : bool
        Whether it failed over the value of a parameter.
    """

    name: str
    status: str
    error: str = ""
    section: str = ""
    seconds: float = field(default=0.0, compare=False)
    refused: bool = False

    @property
    def failed(self) -> bool:
        """Whether something went wrong; that the data do not allow an analysis is no failure."""
        return self.status not in ("ok", "without")


@dataclass(frozen=True)
class Job:
    """A notebook to be executed in place, where it runs, and what its kernel finds in the environment."""

    name: str
    nb: Any
    place: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class _ThisPython(KernelSpecManager):
    """Kernels run on the Python that runs this, whatever kernels the machine has registered."""

    argv: Sequence[str] = LAUNCHER

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        about = {"supported_encryption": ["curve"]}
        return KernelSpec(argv=list(self.argv), display_name="Python 3", language="python", metadata=about)


def _manager(argv: Sequence[str]) -> type[AsyncKernelManager]:
    specs = _ThisPython()
    specs.argv = argv

    class Kernel(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options, kernel_spec_manager=specs)
            if self.has_trait("transport_encryption"):
                self.transport_encryption = "auto"  # else ipykernel warns about every kernel

    return Kernel


def execute(
    jobs: Sequence[Job],
    *,
    at_a_time: int,
    timeout: int,
    progress: Callable[[str, str], None],
    nursery: Nursery,
    done: Callable[[Job], None] = lambda job: None,
) -> list[Outcome]:
    """Execute the notebooks in place; what stopped one is kept in its metadata, for the page.

    Parameters
    ----------
    jobs : sequence of Job
        They are begun in this order.
    at_a_time : int
        How many run at a time.
    timeout : int
        Seconds a cell may take.
    progress : callable
        Called with a notebook's name and "started" or its status.
    nursery : Nursery
        Where kernels come from.
    done : callable, optional
        Called with each job when its notebook has run, while others still do.
    """
    clients: list[NotebookClient] = []

    def one(job: Job) -> Outcome:
        progress(job.name, "started")
        begun = time.monotonic()
        outcome = _execute(job, timeout, clients, nursery.argv() or LAUNCHER, begun)
        done(job)
        return outcome

    ended: dict[str, Outcome] = {}
    pool = ThreadPoolExecutor(max(1, at_a_time))
    try:
        for future in as_completed([pool.submit(one, job) for job in jobs]):
            outcome = future.result()
            ended[outcome.name] = outcome
            progress(outcome.name, outcome.status)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for client in clients:
            if process := getattr(getattr(client.km, "provisioner", None), "process", None):
                process.kill()
        raise
    finally:
        pool.shutdown()
    return [ended[job.name] for job in jobs]


def _execute(job: Job, timeout: int, clients: list[NotebookClient], argv: Sequence[str], begun: float) -> Outcome:
    running, nb = [0], job.nb
    client = NotebookClient(
        nb,
        kernel_name="python3",
        kernel_manager_class=_manager(argv),
        timeout=timeout,
        startup_timeout=120,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(job.place)}},
        on_cell_start=lambda cell, cell_index: running.__setitem__(0, cell_index),
    )
    clients.append(client)
    # sets and dicts of the notebook keep their order from run to run
    environment = {**ONE_THREAD, **os.environ, **job.environment, "PYTHONHASHSEED": "0"}
    status, error, refused = "ok", "", False
    try:
        asyncio.run(client.async_execute(env=environment))
    except CellExecutionError as failure:
        status = "without" if failure.ename in NOT_SAID else "failed"
        error, refused = _in_words(failure.ename, failure.evalue), failure.ename == "SettingError"
    except CellTimeoutError:
        status, error = "failed", f"It took longer than {timeout} seconds."
    except DeadKernelError:
        status, error = "died", "Python stopped without a message; it may have run out of memory."
    except RuntimeError as failure:
        status, error = "died", f"Python did not start: {failure}"
    section = ""
    if status != "ok":
        section = _section(nb, running[0])
        nb.metadata.setdefault("salesforecast", {})["run"] = {
            "status": status, "error": error, "cell": running[0], "section": section
        }  # fmt: skip
    _settle(nb)
    return Outcome(job.name, status, error, section, time.monotonic() - begun, refused)


def _in_words(kind: str, message: str) -> str:
    """An error in one line. Our own say all in their message."""
    line = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", message).split())
    line = line if len(line) <= 600 else line[:599] + "…"
    return line if isinstance(getattr(errors, kind, None), type) and line else f"{kind}: {line}".rstrip(": ")


def _section(nb: Any, cell: int) -> str:
    """The question above a cell; empty before the first."""
    heads = [
        line.lstrip("# ").strip()
        for above in nb.cells[:cell]
        if above.cell_type == "markdown"
        for line in above.source.splitlines()
        if line.startswith("## ")
    ]
    return heads[-1] if heads else ""


def _settle(nb: Any) -> None:
    """Take out of the outputs what differs between two runs."""
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            output.pop("transient", None)
            if "text" in output:
                output["text"] = _anywhere(output["text"])
            if "traceback" in output:
                output["traceback"] = [_anywhere(line) for line in output["traceback"]]


def _anywhere(text: str) -> str:
    """A text without the places of files and of memory that a run leaves in it."""
    return re.sub(r"(?<=\b0x)[0-9a-f]{6,}", "…", re.sub(r"\S*ipykernel_\d+[\\/]\d+\.py", "cell", text))
