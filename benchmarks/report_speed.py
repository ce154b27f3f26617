"""How long the whole report takes, against a plain shell loop of papermill and nbconvert over the same notebooks.

    python benchmarks/report_speed.py [FOLDER]

Prints wall clock and processor seconds of both on the sample, and the size of every page. Other work on the machine makes the wall
clock of both longer; processor seconds hardly.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from salesforecast.report.declared import notebooks

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def measured(*commands: list[str], cwd: Path) -> tuple[float, float]:
    """Seconds on the clock and of the processors, children included."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for command in commands:
        subprocess.run(command, cwd=cwd, check=True, env=environment, **QUIET)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - begun, sum(getattr(after, k) - getattr(before, k) for k in ("ru_utime", "ru_stime"))


def main(folder: Path) -> None:
    loop, bundle = folder / "loop", folder / "bundle"
    loop.mkdir(parents=True, exist_ok=True)
    names = list(notebooks(ROOT))  # in the order of the pages, in which a report that names none begins them
    report = [
        sys.executable,
        "-m",
        "salesforecast.cli",
        "report",
        *names,
        "--data",
        "data/sample",
        "--period",
        "2025Q2",
        "--out",
        str(bundle),
    ]
    ours = measured(report, cwd=ROOT)
    plain = measured(
        *(
            command
            for name in names
            for command in (
                [
                    str(BIN / "papermill"),
                    "--no-progress-bar",
                    "-k",
                    "python3",
                    f"{name}.ipynb",
                    str(loop / f"{name}.ipynb"),
                    "-p",
                    "period",
                    "2025Q2",
                ],
                [str(BIN / "jupyter"), "nbconvert", "--to", "html", str(loop / f"{name}.ipynb")],
            )
        ),
        cwd=ROOT / "notebooks",
    )
    print(
        f"{len(names)} notebooks: {', '.join(names)}; load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    print("              clock  processors")
    for what, (clock, processors) in (("report", ours), ("shell loop", plain)):
        print(f"{what:<12} {clock:6.1f} s {processors:9.1f} s")
    print(f"{'share':<12} {ours[0] / plain[0]:8.2f} {ours[1] / plain[1]:11.2f}")
    for page in sorted(bundle.glob("*.html")):
        beside = loop / page.name
        than = f", nbconvert's {beside.stat().st_size / 1e6:.2f}" if beside.exists() else ""
        print(f"  {page.name:<28} {page.stat().st_size / 1e6:.2f} MB{than}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as place:
            main(Path(place))
