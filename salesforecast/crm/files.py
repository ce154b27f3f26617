"""Opening what an export comes in: CSV, gzip, zip, Excel and Parquet files become sheets of text."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path, PurePath

import pandas as pd

from salesforecast.crm import separated
from salesforecast.crm.encodings import utf8
from salesforecast.crm.sheets import AHEAD, Sheet, header_row, tidy
from salesforecast.errors import DataError

TEXTS = (".csv", ".tsv", ".tab", ".psv")
BOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
ENDINGS = (*TEXTS, *(t + ".gz" for t in TEXTS), ".zip", *BOOKS, ".parquet")
LARGEST = 1 << 34  # bytes that a packed file may unpack to


def is_export(name: str) -> bool:
    """Whether a file of this name may hold a table; hidden files and Excel's lock files do not."""
    return name.casefold().endswith(ENDINGS) and not name.startswith((".", "~$", "__MACOSX/"))


def read(path: Path, known: Collection[str] = ()) -> list[Sheet]:
    """The tables of a file as text, exactly as they are written.

    What it is, is seen by its first bytes, whatever its name ends in.

    Parameters
    ----------
    path : Path
        The file.
    known : collection of str
        Headers that some mapping knows, as `sheets.plain` writes them: they show which row holds the headers.

    Raises
    ------
    DataError
        When it cannot be read, with the reason.
    """
    try:
        return _opened(path.read_bytes(), path.name, known)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror or error}.") from None


def _opened(data: bytes, name: str, known: Collection[str], depth: int = 0) -> list[Sheet]:
    if depth > 2:
        raise DataError(f"{name} is packed in itself too often. Unpack it first.")
    ending = PurePath(name.casefold()).suffix
    if data.startswith(b"\x1f\x8b") or ending == ".gz":
        inner = name[: -len(ending)] if ending == ".gz" else name
        return _opened(_gunzipped(data, name), inner, known, depth + 1)
    if ending == ".parquet" or data.startswith(b"PAR1"):
        return [_parquet(data, name)]
    if data.startswith(b"PK\x03\x04") or data.startswith(b"PK\x05\x06") or ending == ".zip":
        if ending in BOOKS or _is_book(data):
            return _book(data, name, known)
        return _unzipped(data, name, known, depth)
    if data.startswith(b"\xd0\xcf\x11\xe0") or ending in BOOKS:
        if data.lstrip()[:200].lower().startswith((b"<html", b"<!doctype", b"<table", b"<head", b"<meta", b"<?xml")):
            raise DataError(
                f"{name} is a web page named like a workbook. Export it as CSV, or save it as .xlsx in Excel."
            )
        return _book(data, name, known) if data.startswith(b"\xd0\xcf\x11\xe0") else [_text(data, name, known)]
    return [_text(data, name, known)]


def _text(data: bytes, name: str, known: Collection[str]) -> Sheet:
    text, encoding = utf8(data, name)
    frame, dropped, filled = separated.rows(text, name, known)
    return Sheet(name, (name,), frame, encoding, dropped, filled)


def _gunzipped(data: bytes, name: str) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as packed:
            return _limited(packed.read(LARGEST + 1), name)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} cannot be unpacked: {error}. It is damaged or cut off; export it again.") from None


def _limited(data: bytes, name: str) -> bytes:
    if len(data) > LARGEST:
        raise DataError(f"{name} unpacks to more than {LARGEST >> 30} GB. Split the export.")
    return data


def _is_book(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            return any(n in ("[Content_Types].xml", "mimetype") for n in packed.namelist())
    except zipfile.BadZipFile:
        return False


def _unzipped(data: bytes, name: str, known: Collection[str], depth: int) -> list[Sheet]:
    sheets: list[Sheet] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = [m for m in packed.infolist() if is_export(m.filename) and is_export(PurePath(m.filename).name)]
            if not members:
                raise DataError(f"{name} holds no table: nothing in it ends in {', '.join(TEXTS + BOOKS)}.")
            for member in members:
                if member.file_size > LARGEST:
                    _limited(b"", name)
                inner = PurePath(member.filename).name
                for sheet in _opened(packed.read(member), inner, known, depth + 1):
                    named = (*sheet.named, name) if len(members) == 1 else sheet.named
                    sheets.append(replace(sheet, name=f"{name}: {sheet.name}", named=named))
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{name} cannot be unpacked: {error}. Export it again, without a password.") from None
    return sheets


def _parquet(data: bytes, name: str) -> Sheet:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        frame = pq.read_table(pa.BufferReader(data)).to_pandas(ignore_metadata=True)
    except Exception as error:
        raise DataError(f"{name} cannot be read as Parquet: {error}.") from None
    return Sheet(name, (name,), pd.DataFrame({str(c): _as_text(frame[c]) for c in frame}, index=frame.index))


def _as_text(column: pd.Series) -> pd.Series:
    """A typed column as a CSV would write it."""
    if pd.api.types.is_datetime64_any_dtype(column):
        text = column.map(lambda v: v.isoformat(), na_action="ignore")
    elif pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        text = column.astype("Int64")
    else:
        text = column
    return text.astype("str").mask(column.isna())


# ---- workbooks ---------------------------------------------------------------------------------------------------------


def _book(data: bytes, name: str, known: Collection[str]) -> list[Sheet]:
    """The sheets of a workbook that hold a table."""
    import python_calamine

    try:
        book = python_calamine.load_workbook(io.BytesIO(data))
        pages = [(title, book.get_sheet_by_name(title).to_python()) for title in book.sheet_names]
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a broken workbook can make the reader panic, which is no Exception
        raise DataError(
            f"{name} cannot be read as a workbook: {error}. Save it anew in Excel, or export CSV."
        ) from None
    sheets: list[Sheet] = []
    for title, cells in pages:
        texts = [[_cell(v) for v in row] for row in cells]
        if not any(v.strip() for row in texts for v in row):
            continue
        known_as = (title, name) if not sheets else (title,)  # the first table may be called like the file
        sheets.append(replace(_page(texts, f"{name}: {title}" if len(pages) > 1 else name, known), named=known_as))
    if not sheets:
        raise DataError(f"{name} is empty: none of its sheets holds a value ({', '.join(book.sheet_names)}).")
    return sheets


def _page(texts: list[list[str]], name: str, known: Collection[str]) -> Sheet:
    place = header_row(texts[: 2 * AHEAD], known)
    width = max(map(len, texts))
    body = pd.DataFrame(texts[place + 1 :], columns=range(width), dtype="str")
    titles = [" ".join(v for v in row if v.strip()) for row in texts[:place]]
    frame, dropped, filled = tidy(texts[place], body, name, first_line=place + 2, titles=[t for t in titles if t])
    return Sheet(name, (), frame, "", dropped, filled)


def _cell(value: object) -> str:
    """What a cell holds, as a CSV would write it."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)
