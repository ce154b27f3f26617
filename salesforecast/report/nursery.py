"""A process that has imported what notebooks import and gives birth to kernels, which then need not import it again.

Each kernel is a fork of it. Jupyter starts a small launcher in the kernel's place, which asks for the fork, lives as long as it
does, and whose end is its end. Where there is no safe fork (anything but Linux), kernels start the usual way.
"""

from __future__ import annotations

import ast
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

# What the launcher does: it hands over where the kernel is to run and waits for its end, or ends it by its own.
LAUNCHER = """
import json, os, signal, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
signal.signal(signal.SIGINT, lambda number, frame: line.send(b"i"))
line.sendall(json.dumps([sys.argv[2], os.getcwd(), dict(os.environ)]).encode() + b"\\n")
said = line.recv(16)
os._exit(int(said or b"1"))
"""
# What every kernel needs, and what the analyses import only when they come to it.
KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "IPython")
# Several notebooks share the cores, and sums come out the same to the last digit only on the same number of threads.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
WAIT = 60.0  # seconds: what is still importing then will not end; kernels start the usual way
JOBS = "SALESFORECAST_JOBS"  # on how many forks the loops of a notebook may run
LATER = (
    "pyarrow.parquet", "joblib", "scipy.optimize", "scipy.special", "scipy.stats", "sklearn.linear_model",
    "statsmodels.stats.proportion", "salesforecast.style", "salesforecast.cells", "salesforecast.cleaning",
)  # fmt: skip


def modules(sources: Iterable[str]) -> list[str]:
    r"""What the code of notebooks imports, and what that will import in turn.

    Examples
    --------
    >>> modules(["import pandas as pd\nfrom os import path"])
    ['os', 'os.path', 'pandas']
    """
    found: set[str] = set()
    for source in sources:
        try:
            tree = ast.parse(source)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    if "salesforecast" in found:
        found |= set(LATER)
    return sorted(found)


class Nursery:
    """The process, begun when the block is entered and ended with it; with it all its kernels.

    Parameters
    ----------
    modules : sequence of str
        What it imports; what is not there is left to the notebook, which will say so. Without any, kernels start the usual way.
    """

    def __init__(self, modules: Sequence[str] = ()) -> None:
        self._modules = list(modules)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder, self._used = "", False

    def __enter__(self) -> Nursery:
        if sys.platform == "linux" and self._modules:
            self._folder = tempfile.mkdtemp(prefix="salesforecast-")  # for this user only
            environment = {**ONE_THREAD, **os.environ, "PYTHONHASHSEED": "0"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "salesforecast.report.nursery", self._address, *KERNEL, *self._modules], stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True,
                cwd=self._folder,  # what lies where we are may not be what lies where a notebook runs
            )  # fmt: skip
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5 if self._used else 0)  # it ends its kernels, if it has any
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _address(self) -> str:
        return str(Path(self._folder) / "line")

    def argv(self) -> list[str]:
        """What Jupyter is to start for a kernel; empty for the usual."""
        import time

        end = time.monotonic() + WAIT
        while self._process and self._process.poll() is None and time.monotonic() < end:
            if os.path.exists(self._address):
                self._used = True
                return [sys.executable, "-I", "-S", "-c", LAUNCHER, self._address, "{connection_file}"]
            time.sleep(0.02)
        return []


def main(address: str, modules: Sequence[str]) -> None:
    """Import the modules; listen at the address for launchers; end when the standard input does."""
    import importlib

    from salesforecast import quick  # noqa: F401  (before anything of Jupyter)

    for module in modules:
        with suppress(Exception):
            importlib.import_module(module)
    door = socket.socket(socket.AF_UNIX)
    door.bind(address + ".new")
    door.listen(64)
    os.rename(address + ".new", address)
    wake, awake = socket.socketpair()
    awake.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    chooser = selectors.DefaultSelector()
    for what in (door, awake, sys.stdin):
        chooser.register(what, selectors.EVENT_READ)
    kernels: dict[int, socket.socket] = {}
    try:
        while True:
            for key, _ in chooser.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is awake:
                    with suppress(BlockingIOError):
                        awake.recv(1024)
                elif key.fileobj is door:
                    line, _ = door.accept()
                    if not (asked := _asked(line)):
                        line.close()
                        continue
                    if not (pid := os.fork()):
                        _kernel(*asked)
                    kernels[pid] = line
                    chooser.register(line, selectors.EVENT_READ)
                else:  # the launcher was interrupted, or is gone
                    pid = next(pid for pid, line in kernels.items() if line is key.fileobj)
                    said = _received(kernels[pid])
                    if not said:
                        chooser.unregister(key.fileobj)
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGINT) if said else os.killpg(pid, signal.SIGKILL)
            for pid in list(kernels):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    line = kernels.pop(pid)
                    with suppress(KeyError):
                        chooser.unregister(line)
                    with suppress(OSError):
                        line.sendall(str(abs(os.waitstatus_to_exitcode(status))).encode())
                    line.close()
    finally:
        for pid in kernels:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        shutil.rmtree(Path(address).parent, ignore_errors=True)  # whoever made it may have been killed


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(64)
    except OSError:
        return b""


def _asked(line: socket.socket) -> tuple[str, str, dict[str, str]] | None:
    said = b""
    while not said.endswith(b"\n"):
        if not (more := line.recv(65536)):
            return None
        said += more
    connection, place, environment = json.loads(said)
    return connection, place, environment


def _kernel(connection: str, place: str, environment: dict[str, str]) -> None:
    """Be the kernel, in the process just forked."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.clear()
        # it is the nursery whose end is the kernel's
        os.environ.update(environment | {"JPY_PARENT_PID": str(os.getppid())})
        os.chdir(place)
        sys.path[0] = ""
        if (jobs := int(environment.get(JOBS, "1"))) > 1:
            from salesforecast.report import forks

            forks.enable(jobs)
        from ipykernel.kernelapp import IPKernelApp

        IPKernelApp.launch_instance(argv=["-f", connection])
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
