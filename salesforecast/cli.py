"""The shell: `salesforecast demo`, `report`, `lab`, `check`, `list`, `sample`, `init`.

Heavy imports happen inside the commands, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from salesforecast import __version__
from salesforecast.errors import SalesforecastError, SettingError
from salesforecast.filters import FILTERS

DEMO_PERIOD = "2025Q2"
SAID = {"without": "not possible with these data"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 when all went well, 1 when a notebook failed, 2 when the input has to be mended."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except SalesforecastError as error:
        print(f"salesforecast: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("salesforecast: stopped; an earlier report stands as it was.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="salesforecast",
        description="From a CRM export to a quarterly sales report whose numbers are right and can show it.",
        epilog="Start with: salesforecast demo",
    )
    parser.add_argument("--version", action="version", version=f"salesforecast {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        sub.set_defaults(run=run)
        return sub

    demo = command("demo", _demo, "make the reports on the sample data")
    demo.add_argument("--out", type=Path, default=Path("reports") / "demo", help="folder of the report (%(default)s)")
    demo.add_argument("--jobs", type=int, default=2, help="notebooks at a time (%(default)s)")

    report = command("report", _report, "make the report of a period from your data")
    report.add_argument("notebook", nargs="*", help="which notebooks; all of them when none is named")
    report.add_argument("--data", type=Path, required=True, help="folder of the CRM export")
    report.add_argument("--config", type=Path, help="salesforecast.toml, when it is not in the data folder")
    report.add_argument("--period", required=True, help="2025Q2, 2025-06 or 2025")
    report.add_argument("--as-of", default="", help="last day to be known, as 2025-06-30 (the last day in the data)")
    report.add_argument("--out", type=Path, help="folder of the report (reports/PERIOD)")
    report.add_argument("--jobs", type=int, default=2, help="notebooks at a time (%(default)s)")
    report.add_argument(
        "--each", choices=FILTERS, help="a report for each region, team, rep or product, and a list of them"
    )
    report.add_argument(
        "-p",
        dest="parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the notebooks; may be repeated",
    )

    lab = command("lab", _lab, "open JupyterLab on your own copies of the notebooks, with your data in them")
    lab.add_argument("data", type=Path, nargs="?", help="folder of the CRM export (the sample data)")
    lab.add_argument("--config", type=Path, help="salesforecast.toml, when it is not in the data folder")
    lab.add_argument(
        "--in",
        dest="folder",
        type=Path,
        default=Path("analyses"),
        metavar="DIR",
        help="folder of your copies (%(default)s)",
    )
    lab.add_argument("--no-browser", action="store_true", help="print the address only")
    lab.add_argument("--port", type=int, help="the port to listen at (8888, or the next that is free)")

    check = command("check", _check, "say what is in the data, what was cleaned, and which analyses are possible")
    check.add_argument("data", type=Path, help="folder of the CRM export")
    check.add_argument("--config", type=Path, help="salesforecast.toml, when it is not in the data folder")
    check.add_argument("--issues", type=Path, metavar="FILE.csv", help="write every change to this file")

    check.add_argument(
        "--fixes", type=Path, metavar="FILE.csv", help="write proposed corrections for the CRM to this file"
    )

    command("list", _list, "list the notebooks and their parameters")

    sample = command("sample", _sample, "write the export of a made-up company, to try things on")
    sample.add_argument("folder", type=Path, help="a new or empty folder")
    sample.add_argument("--seed", type=int, default=0, help="another number, another company (%(default)s)")
    sample.add_argument("--opportunities", type=int, default=6000, help="about how many (%(default)s)")
    sample.add_argument("--dirty", action="store_true", help="with the mistakes that exports have")

    init = command("init", _init, "start a project of your own: the notebooks and a commented salesforecast.toml")
    init.add_argument("folder", type=Path, help="the folder of the project")
    return parser


def _sample_data(beside: Path) -> Path:
    """The sample data; written anew where the package was installed from a wheel, which does not carry them."""
    sample = Path(__file__).parent.parent / "data" / "sample"
    if not sample.is_dir():
        from salesforecast import synthetic

        sample = beside / "sample-data"
        synthetic.write(sample)
    return sample


def _demo(args: argparse.Namespace) -> int:
    sample = _sample_data(args.out.parent)
    return _run([], {"data": _shown(sample), "period": DEMO_PERIOD}, args.out, args.jobs)


def _report(args: argparse.Namespace) -> int:
    given = {"data": str(args.data), "period": args.period, "as_of": args.as_of, "config": str(args.config or "")}
    given = {name: value for name, value in given.items() if value}
    for pair in args.parameter:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingError(f"-p {pair!r} is not of the form NAME=VALUE.")
        given[name.strip()] = value
    from salesforecast.cleaning import clean
    from salesforecast.crm import load
    from salesforecast.periods import period

    # What is wrong with the data, the period or a filter is said here, in one line, and not once per notebook.
    export = load(given["data"], given.get("config"))
    asked = period(given["period"], export.settings.fiscal_year_start)
    checked = crm, _ = clean(export, as_of=given.get("as_of", ""))
    asked.so_far(crm.as_of)
    first = crm.first_day
    if asked.until <= first:
        raise SettingError(f"{asked.label} ends before the data begin ({first:%Y-%m-%d}).")
    from salesforecast.report import converted

    only = {name: given[name] for name in FILTERS if given.get(name)}

    if converted("codes", given.get("codes", "no"), bool):
        from salesforecast.privacy import coded

        crm = coded(crm)  # the filters are given as codes too, and no name is told
    _all_known(checked[0], crm, given.get("apart", ""), only)
    some = crm.only(**only)
    each = None
    if args.each:
        if args.each in only:
            raise SettingError(f"--each {args.each} makes a report for every {args.each}; leave -p {args.each}=… out.")
        deals = some.deals
        values = sorted(deals[args.each].dropna().unique()) if args.each in deals else []
        if not values:
            raise SettingError(f"No deal has a {args.each}, so there is nothing to make a report for each of.")
        each = args.each, values
    from salesforecast.report.folder import slug

    part = "".join(f"-{name}-{slug(value)}" for name, value in only.items()) + (f"-by-{args.each}" if args.each else "")
    return _run(args.notebook, given, args.out or Path("reports") / (asked.label + part), args.jobs, each, checked)


def _all_known(crm: Any, told: Any, apart: str, only: dict[str, str]) -> None:
    """Refuse all names at once of which there is none; `told` is the data with the names that may be told."""
    refused = []
    for name, value in only.items():
        try:
            told.only(**{name: value})
        except SettingError as error:
            names = told.deals["rep"].dropna().unique() if name == "rep" and "rep" in told.deals else []
            same = sorted(n for n in names if n.startswith(f"{value} (") and n.endswith(")"))
            several = f"Several reps are called {value!r}. Say which: {', '.join(same)}."
            refused.append(several if len(same) > 1 else str(error))
    if apart:
        from salesforecast.reps import owned

        try:
            owned(crm, apart)
        except SettingError as error:
            refused.append(str(error))
    if refused:
        raise SettingError(" ".join(refused))


def _run(
    names: list[str],
    parameters: dict[str, str],
    out: Path,
    jobs: int,
    each: tuple[str, list[str]] | None = None,
    checked: Any = None,
) -> int:
    from salesforecast import report

    if jobs < 1:
        raise SettingError(f"--jobs is {jobs}; it is 1 or more.")
    begun: dict[str, float] = {}

    def progress(name: str, status: str) -> None:
        if status == "started":
            begun[name] = time.monotonic()
            # a line at once: two notebooks may end in the same moment
            print(f"  {name} …\n", end="", file=sys.stderr, flush=True)
        else:
            took = f" ({time.monotonic() - begun[name]:.1f} s)" if name in begun else ""
            print(f"  {name}: {SAID.get(status, status)}{took}\n", end="", file=sys.stderr, flush=True)

    outcomes = report.run(
        names,
        out,
        parameters=parameters,
        folder=Path.cwd(),
        cwd=Path.cwd(),
        jobs=jobs,
        progress=progress,
        each=each,
        checked=checked,
    )
    for o in outcomes:
        where = f" in '{o.section}'" if o.section else ""
        if o.failed:
            print(f"salesforecast: the notebook '{o.name}' {o.status}{where}: {o.error}", file=sys.stderr)
        elif o.status == "without":
            print(f"  {o.name}: {o.error}", file=sys.stderr)
    print(f"Report: {_shown(out / 'index.html')}")
    return 1 if any(o.failed for o in outcomes) else 0


def _lab(args: argparse.Namespace) -> int:
    from salesforecast import lab
    from salesforecast.cleaning import clean
    from salesforecast.crm import load
    from salesforecast.periods import ONE_DAY, period_at

    data = args.data or _sample_data(Path())
    crm, _ = clean(load(data, args.config))
    span = period_at(crm.as_of + ONE_DAY, "Q", crm.settings.fiscal_year_start).previous()  # the last that is over
    config = str(args.config.resolve()) if args.config else ""
    told = {
        "data": str(data.resolve()),
        "config": config,
        "period": span.label,
        "then": f"{span.since - ONE_DAY:%Y-%m-%d}",
    }
    copied = lab.prepare(args.folder, **told)
    kept = "" if copied else "; all were there already and are as you left them"
    print(f"Your notebooks: {_shown(args.folder)} ({len(copied)} copied{kept}). To stop: Ctrl+C.", flush=True)
    options = [*(["--no-browser"] if args.no_browser else []), *([f"--port={args.port}"] if args.port else [])]
    return lab.serve(args.folder, options)


def _check(args: argparse.Namespace) -> int:
    from salesforecast.cleaning import clean, summary
    from salesforecast.crm import load
    from salesforecast.formats import for_spreadsheet, plural
    from salesforecast.moves import tells_merged
    from salesforecast.quality import analyses
    from salesforecast.tables import Settings

    export = load(args.data, args.config)
    crm, issues = clean(export)
    company = export.settings
    named = company.company if company.company != Settings.company else "not named, set company in salesforecast.toml"
    assumed = " is assumed, set currency in salesforecast.toml" if export.assumed else ""
    print(f"Read as: {company.crm}. Company: {named}. Currency: {company.currency}{assumed}.")
    print(f"Evidence: {export.evidence}.")
    print(f"Last record: {crm.as_of:%Y-%m-%d}. When the export was made later, give that day with --as-of.\n\nFiles")
    for file in export.sources.itertuples():
        if file.table:
            print(f"  {file.file}: {file.table}, {plural(file.rows, 'row')}")
            unused = ", ".join(c for c in file.unmapped.split(", ") if not tells_merged(c))
            for says, what in (
                ("", file.why), ("read as: ", file.mapped), ("lines that are no rows: ", file.dropped), ("filled up: ", file.filled),
                ("kept, and used by nothing: ", unused),
            ):  # fmt: skip
                if what:
                    print(f"    {says}{what}")
        else:
            print(f"  {file.file}: not used; {file.why}")
    deals = crm.opportunities["outcome"].value_counts()
    print("\nOpportunities: " + ", ".join(f"{deals.get(o, 0):,} {o}" for o in ("won", "lost", "open")) + ".")
    print("\nCleaned or noticed" if len(issues) else "\nNothing had to be cleaned.")
    for kind in summary(issues).itertuples():
        where = f"{kind.table}.{kind.column}" if kind.column else kind.table
        print(f"  {kind.n:,} × {where} ({kind.done}): {kind.rule}. {kind.why}")
    if args.issues:
        if args.issues.is_dir():
            raise SettingError(f"--issues is the folder {args.issues}; name a file, as issues.csv.")
        args.issues.parent.mkdir(parents=True, exist_ok=True)
        for_spreadsheet(issues).to_csv(args.issues, index=False, lineterminator="\n")
        print(f"  Every change: {args.issues}")
    if args.fixes:
        from salesforecast.cleaning import fixes

        if args.fixes.is_dir():
            raise SettingError(f"--fixes is the folder {args.fixes}; name a file, as fixes.csv.")
        args.fixes.parent.mkdir(parents=True, exist_ok=True)
        proposed = fixes(issues, crm)
        for_spreadsheet(proposed).to_csv(args.fixes, index=False, lineterminator="\n")
        print(f"  {plural(len(proposed), 'proposed correction')}: {args.fixes}")
    print("\nAnalyses")
    for row in analyses(crm).itertuples():
        print(
            f"  {'yes' if row.possible else 'no '}  {row.analysis} ({row.needs})"
            + (f": {row.missing}" if row.missing else "")
        )
    return 0


def _list(args: argparse.Namespace) -> int:
    from salesforecast import report

    for name, path in report.notebooks(Path.cwd()).items():
        print(name)
        for parameter, (kind, default, comment) in report.parameters(path).items():
            print(f"  -p {parameter}={default!r}  ({kind.__name__}) {comment}")
    return 0


def _sample(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from salesforecast import synthetic

    _must_be_empty(args.folder)
    if not 100 <= args.opportunities <= 2_000_000:
        raise SettingError(f"--opportunities is {args.opportunities}; it is between 100 and 2,000,000.")
    truth = replace(synthetic.Truth(), opportunities=args.opportunities)
    synthetic.write(args.folder, truth=truth, seed=args.seed, dirty=args.dirty)
    print(f"Sample export: {_shown(args.folder)}. Try: salesforecast check {_shown(args.folder)}")
    return 0


def _init(args: argparse.Namespace) -> int:
    import shutil

    from salesforecast import report
    from salesforecast.crm.mapping import CONFIG

    _must_be_empty(args.folder)
    (args.folder / "notebooks").mkdir(parents=True, exist_ok=True)
    (args.folder / "data").mkdir(exist_ok=True)
    for path in report.notebooks().values():
        report.copy_for_project(path, args.folder / "notebooks" / path.name, data="../data")
    shutil.copy(Path(__file__).parent / "crm" / "template" / CONFIG, args.folder / "data" / CONFIG)
    print(
        f"Project: {_shown(args.folder)}. Put the export into its data/, look into data/{CONFIG}, then: "
        f"cd {_shown(args.folder)} && salesforecast check data"
    )
    return 0


def _must_be_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingError(f"{folder} exists and is not an empty folder. Name a new one; nothing is written over.")


def _shown(path: Path) -> str:
    """A path as the reader would type it."""
    try:
        return os.path.relpath(path) if path.is_absolute() and Path.cwd() in path.resolve().parents else str(path)
    except ValueError:  # another drive
        return str(path)


if __name__ == "__main__":
    sys.exit(main())
