"""The folder of a report: built beside it, put in its place at once; one run at a time; what killed runs left is cleared."""

from __future__ import annotations

import ctypes
import glob
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from salesforecast.errors import ReportError

MANIFEST = "manifest.json"
REPORT, SCRATCH = "report", "scratch"  # what becomes the report, and what a run needs for itself
EXCHANGE = 2  # of Linux's renameat2 and of macOS' renamex_np: both names change places in one step
HERE = -100  # AT_FDCWD


@contextmanager
def building(out: Path, data: str = "") -> Iterator[Path]:
    """A folder beside `out`, in which the report is built, with a folder for it and one for scratch; only one run at a time has one.

    What killed runs have left is cleared first, and it goes when the block ends, however that is.

    Raises
    ------
    ReportError
        When another run is writing the same report, nothing can be written there, or it is no place for a report.
    """
    _fit(out, Path(data).resolve() if data else None)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with lock(
            out.parent / f".{out.name}.lock",
            f"Another run is writing {out} now. Wait for its end, or give another --out.",
        ):
            _clear(out)
            folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.building-", dir=out.parent))
            try:
                for part in (REPORT, SCRATCH):
                    (folder / part).mkdir()
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise ReportError(f"The report cannot be written to {out}: {error.strerror or error}.") from None


def _fit(out: Path, data: Path | None) -> None:
    """Refuse a place that a report must not take: a file, the folder in which somebody works, the folder of the export.

    Right beside the exported files it must not be either: its ledger would lie among them and be read as one of them.
    """
    if out.exists() and not out.is_dir():
        raise ReportError(f"{out} is a file; name a folder for the report.")
    if out in (here := Path.cwd().resolve(), *here.parents):
        raise ReportError(
            f"{out} is the folder you are in, or above it; name one for the report alone, as --out reports/2025Q2."
        )
    if data and (out == data or out in data.parents or out.parent == (data if data.is_dir() else data.parent)):
        raise ReportError(
            f"{out} holds the exported data, or lies right among them; name another, as --out reports/2025Q2."
        )


def put(folder: Path, out: Path) -> None:
    """Put the finished folder in the place of `out`, in one step; files and folders in `out` that no run has written go along."""
    if not out.exists():
        os.rename(folder, out)
        return
    written = _written(out)
    ours = {part.as_posix() for name in written for part in PurePosixPath(name).parents}  # the folders of a former run
    mine = []
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out)
        if name.as_posix() in written or (folder / name).exists():
            continue
        if path.is_dir() and not path.is_symlink():
            if name.as_posix() not in ours:
                mine.append((path, folder / name))
                (folder / name).mkdir(parents=True, exist_ok=True)
        elif path.is_file() or path.is_symlink():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, folder / name, follow_symlinks=False)
    for path, copied in (*reversed(mine), (out, folder)):
        shutil.copystat(path, copied)  # last: a folder may allow no more files
    if not _exchanged(folder, out):
        former = out.parent / f".{out.name}.former"
        os.rename(out, former)  # killed here, the next run puts it back
        os.rename(folder, out)
        shutil.rmtree(former, ignore_errors=True)


@contextmanager
def lock(path: Path, refused: str = "") -> Iterator[None]:
    """Hold a lock that ends with the process, however that ends.

    Parameters
    ----------
    path : path
        The file that is locked; it is removed again.
    refused : str
        What to say when another holds it; empty to wait.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            held = _locked(handle, wait=not refused)
        except OSError:
            os.close(handle)
            raise
        if not held:
            os.close(handle)
            if not refused:
                continue  # Windows gives up after ten seconds
            raise ReportError(refused)
        with suppress(OSError):
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                break
        os.close(handle)  # its last holder has removed the file: lock the new one
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(handle)


def _locked(handle: int, *, wait: bool) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _clear(out: Path) -> None:
    """Remove what killed runs left; what was killed between two names is put back."""
    for left in glob.glob(glob.escape(str(out.parent / f".{out.name}.building-")) + "*"):
        shutil.rmtree(left, ignore_errors=True)
    former = out.parent / f".{out.name}.former"
    if former.exists() and not out.exists():
        os.rename(former, out)
    shutil.rmtree(former, ignore_errors=True)


def _written(out: Path) -> set[str]:
    """The files that the former run wrote, by its manifest."""
    try:
        manifest = json.loads((out / MANIFEST).read_text("utf-8"))
        names = {str(name) for name in manifest.get("files", {})}
        # before there was a list of files
        names |= {
            str(page[kind]) for page in manifest.get("pages", []) for kind in ("page", "notebook") if kind in page
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {MANIFEST}
    return names | {MANIFEST, "index.html"}


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the system could let both names change places in one step."""
    names = os.fsencode(one), os.fsencode(other)
    with suppress(OSError, AttributeError):
        if sys.platform.startswith("linux"):
            system = ctypes.CDLL(None)
            return bool(system.renameat2(HERE, names[0], HERE, names[1], EXCHANGE) == 0)
        if sys.platform == "darwin":
            return bool(ctypes.CDLL(None).renamex_np(*names, EXCHANGE) == 0)
    return False


def slug(value: str) -> str:
    r"""A folder name made of a value from the data: letters and digits, and a hash wherever that is not the value itself.

    Examples
    --------
    >>> slug("North"), slug("North East"), slug("../../x")
    ('North', 'North-East-71ee2f35', 'x-9cdf6a50')
    """
    import hashlib
    import unicodedata

    name = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", value)).strip("-")[:40].strip("-")
    # names that Windows keeps for itself
    odd = name != value or not name or re.fullmatch(r"(?i)con|prn|aux|nul|com\d|lpt\d|index|manifest", name)
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name}-{digest}".strip("-") if odd else name


def slugs(values: list[str]) -> dict[str, str]:
    """A folder name for each value, no two alike on any disk."""
    import hashlib

    names, taken = {}, set()
    for value in values:
        name = slug(value)
        if name.casefold() in taken:
            name = f"{name}-{hashlib.sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[8:16]}"
        taken.add(name.casefold())
        names[value] = name
    return names
