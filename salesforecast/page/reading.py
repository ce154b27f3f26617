"""What the page of an executed notebook says, read from its structure and from the roles that `show` gave the outputs."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from salesforecast.page.marked import finding, markdown, signed
from salesforecast.text import clean, plain

VEGA_LITE = "application/vnd.vegalite.v5+json"
NOTHING = Markup()


@dataclass
class Chart:
    """A chart: its caption, lifted out of the spec so that it wraps, and what a screen reader says."""

    title: str
    subtitle: str
    alt: str
    number: int


@dataclass
class Block:
    """A finding with what shows it."""

    finding: Markup = NOTHING
    charts: list[Chart] = field(default_factory=list)
    cards: Markup = NOTHING
    table: Markup = NOTHING
    rows: int = 0
    notes: list[Markup] = field(default_factory=list)
    others: list[Markup] = field(default_factory=list)

    @property
    def bare(self) -> bool:
        """Whether it is a sentence alone."""
        return not (self.charts or self.cards or self.table or self.notes or self.others)


@dataclass
class Section:
    """A question with its answer, or with the reason why there is none."""

    title: str
    text: str = ""
    asides: list[Markup] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    unsaid: list[Markup] = field(default_factory=list)
    error: str = ""
    roles: set[str] = field(default_factory=set)

    @property
    def answered(self) -> bool:
        """Whether it has a finding."""
        return any(block.finding for block in self.blocks)

    @property
    def prose(self) -> Markup:
        """Its text as HTML."""
        return markdown(self.text)

    @property
    def parts(self) -> list[tuple[str, Markup]]:
        """Its text by its `###` headings; what stands before the first is the method."""
        pieces = re.split(r"(?m)^### +(.*)$", self.text)
        named = [("Method", pieces[0]), *zip(pieces[1::2], pieces[2::2], strict=True)]
        return [(name.strip(), markdown(text)) for name, text in named if text.strip()]


@dataclass
class Page:
    """What a page says."""

    title: str
    name: str
    sections: list[Section]
    head: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    lead: Markup = NOTHING
    opening: Section = field(default_factory=lambda: Section(""))
    charts: list[dict[str, Any]] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    @property
    def cards(self) -> Markup:
        """The cards under the lead."""
        return next((block.cards for block in self.opening.blocks if block.cards), NOTHING)

    @property
    def stopped(self) -> str:
        """Where the run stopped, in words."""
        section = self.run.get("section", "")
        return f"“{section}”" if section else "its first cells"

    @property
    def unsaid(self) -> list[tuple[str, Markup]]:
        """The questions without an answer, each with the reason."""
        return [(section.title, reason) for section in self.sections for reason in section.unsaid]


def content(nb: Mapping[str, Any]) -> Page:
    """What the page of an executed notebook says.

    Parameters
    ----------
    nb : NotebookNode
        An executed notebook. What stopped its run is in `metadata.salesforecast.run`.

    Returns
    -------
    Page
        The first `#` heading is its title, each `##` heading begins a section. A finding shown before the first
        question is the lead; without one the first finding of the page is.
    """
    about = nb["metadata"].get("salesforecast", {})
    run = about.get("run", {})
    page = Page("", "", [], run=run)
    opening = Section("")
    here = opening
    for number, cell in enumerate(nb["cells"]):
        tags = cell["metadata"].get("tags", [])
        if cell["cell_type"] == "markdown":
            if "aside" in tags:
                here.asides.append(_aside(cell["source"]))
                continue
            for line in cell["source"].splitlines():
                if line.startswith("# ") and not page.title:
                    page.title = plain(line[2:].strip())
                elif line.startswith("## "):
                    here = Section(plain(line[3:].strip()))
                    if number > run.get("cell", number):
                        page.missed.append(here.title)
                    else:
                        page.sections.append(here)
                else:
                    here.text += line + "\n"
        elif cell["cell_type"] == "code":
            for output in cell["outputs"]:
                _read(output, page, here)
            if run.get("cell") == number:
                here.error = str(run["error"])
    page.title = page.title or "Report"
    page.name = str(about.get("nav", page.title))
    # the cell that lists the findings is the page's opening, whatever heading stands above it
    openings = [opening, *(section for section in page.sections if "in_short" in section.roles)]
    said = [block for section in (*openings, *page.sections) for block in section.blocks if block.finding]
    unsaid = [reason for section in openings for reason in section.unsaid]
    first = next((block.finding for section in openings for block in section.blocks if block.finding), NOTHING)
    page.lead = first or (unsaid[0] if unsaid else said[0].finding if said else NOTHING)
    page.opening = openings[-1]
    page.sections = [section for section in page.sections if "in_short" not in section.roles]
    for section in page.sections:
        _into_the_margin(section)
    return page


def _into_the_margin(section: Section) -> None:
    """Sentences that follow a finding with its figure, and have none of their own, stand beside it."""
    first, rest = section.blocks[:1], section.blocks[1:]
    if first and not first[0].bare:
        section.asides += [Markup("<div><p>{}</p></div>").format(block.finding) for block in rest if block.bare]
        section.blocks = [*first, *(block for block in rest if not block.bare)]


def _read(output: Mapping[str, Any], page: Page, section: Section) -> None:
    """Put an output where it belongs by its role; one without a role is shown as it is."""
    about: dict[str, Any] = output.get("metadata", {}).get("salesforecast", {})
    data: Mapping[str, Any] = output.get("data", {})
    role = str(about.get("role", ""))
    text = _text(data.get("text/markdown", ""))
    section.roles.add(role)
    if role == "head":
        page.head = about
    elif role == "made":
        page.made = about
    elif role == "finding":
        section.blocks.append(Block(finding=finding(text)))
    elif role == "unsaid":
        section.unsaid.append(finding(text))
    elif role == "in_short" or not data:
        return
    else:
        if not section.blocks:
            section.blocks.append(Block())
        block = section.blocks[-1]
        if VEGA_LITE in data:
            block.charts.append(_chart(data[VEGA_LITE], plain_label(about, data), page))
        elif role == "table":
            block.table, block.rows = Markup(_text(data["text/html"])), int(about["rows"])
        elif role == "cards":
            block.cards = Markup(_text(data["text/html"]))
        elif role == "note":
            block.notes.append(finding(text))
        elif text:
            block.others.append(markdown(text))
        elif "image/png" in data:
            source = re.sub(r"\s", "", _text(data["image/png"]))
            block.others.append(Markup('<img alt="" src="data:image/png;base64,{}">').format(source))
        else:
            # HTML of unknown origin is not trusted with the page
            block.others.append(Markup("<pre>{}</pre>").format(_text(data.get("text/plain", ""))))


def plain_label(about: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """What a screen reader says of a chart: its finding, else its own description."""
    return str(about.get("finding") or _text(data.get("text/plain", "")) or "Chart")


def _chart(given: Mapping[str, Any], alt: str, page: Page) -> Chart:
    """The chart, its spec moved into the page's payload without the title."""
    spec: dict[str, Any] = copy.deepcopy(dict(given))
    spec.pop("$schema", None)
    title = spec.pop("title", None) or {}
    title = {"text": title} if isinstance(title, str | list) else title
    about = spec.pop("usermeta", {}).get("salesforecast", {})
    if (taken := about.get("title_height", 0)) and title:
        edge = spec.get("padding", 0)
        spec["padding"] = (
            dict(edge) if isinstance(edge, dict) else dict.fromkeys(("top", "right", "bottom", "left"), edge)
        )
        spec["padding"]["top"] = max(0, spec["padding"].get("top", 0) - taken)
    if "background" not in spec and "background" not in spec.get("config", {}):
        spec["background"] = None
    page.charts.append({"spec": spec, "narrow": about.get("narrow")})
    return Chart(_joined(title.get("text", "")), _joined(title.get("subtitle", "")), alt, len(page.charts) - 1)


def _aside(source: str) -> Markup:
    """Notes for the margin, one for each `###` heading."""
    notes = [piece for piece in re.split(r"(?m)^(?=### )", source) if piece.strip()]
    return Markup().join(Markup("<div>{}</div>").format(markdown(note)) for note in notes)


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def _joined(lines: str | list[str]) -> str:
    return signed(
        clean(lines if isinstance(lines, str) else " ".join(lines))
    )  # a name in it must not turn the words after it
