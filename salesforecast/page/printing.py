"""Printing a page: the templates of this folder filled in, with all that the page may run named by hash in its policy."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vl_convert
from markupsafe import Markup
from nbconvert.exporters import TemplateExporter

from salesforecast import words
from salesforecast.page.reading import content

HERE = Path(__file__).parent


class PageExporter(TemplateExporter):
    """An nbconvert exporter: the page of an executed notebook, from the templates in this folder.

    `resources["salesforecast"]` may hold `links` (name and address of each page) and `this` (this page's address).
    """

    export_from_notebook = "salesforecast page"

    def _file_extension_default(self) -> str:
        return ".html"

    def _template_extension_default(self) -> str:
        return ".html.j2"

    def _template_file_default(self) -> str:
        return "page.html.j2"

    def _template_name_default(self) -> str:
        return HERE.name

    def _extra_template_basedirs_default(self) -> list[str]:
        return [str(HERE.parent)]

    def _create_environment(self) -> Any:
        environment = super()._create_environment()
        environment.autoescape = True  # a tag in the layout would not reach the blocks and macros
        return environment

    def default_filters(self) -> Iterator[tuple[str, Any]]:
        """The filters of nbconvert, and those of these templates."""
        yield from super().default_filters()
        yield "short_hash", short_hash

    def from_notebook_node(self, nb: Any, resources: Any = None, **kwargs: Any) -> tuple[str, Any]:
        """The page as HTML, and the resources."""
        page = content(nb)
        resources = self._init_resources(resources)
        given = resources.get("salesforecast", {})
        links = given.get("links", [(page.name, "")])
        shown = {"page": page, "links": links, "this": given.get("this", ""), "locale": page.head.get("locale", "en")}
        return self.print("page.html.j2", **shown), resources

    def print(self, template: str, **shown: Any) -> str:
        """A template of this folder filled in, with what it may run named by hash in its policy."""
        charts = shown["page"].charts if "page" in shown else []
        style, script = (HERE / "page.css").read_text("utf-8"), (HERE / "page.js").read_text("utf-8")
        packed, runtime_hash = runtime() if charts else ("", "")
        hashes = [digest(script), *([runtime_hash] if charts else [])]
        policy = (
            f"default-src 'none'; script-src {' '.join(hashes)}; style-src {digest(style)}; img-src data:; "
            "base-uri 'none'; form-action 'none'"
        )
        payload = json.dumps(charts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for sign in "<>&\u2028\u2029":
            payload = payload.replace(sign, f"\\u{ord(sign):04x}")
        language = words.language(shown.pop("locale", "en"))
        english = "" if language.tag == "en" else Markup(' lang="en" dir="auto"')
        shown |= {"language": language, "t": language.of, "rows": partial(_rows, language), "english": english}
        shown["figures"] = lambda n: language.figures(f"{n:,}")
        parts = {"style": style, "script": script, "payload": payload, "runtime": packed}
        shown |= {name: Markup(text) for name, text in parts.items()}
        return str(self.environment.get_template(template).render(policy=policy, **shown))


def _rows(language: words.Language, rows: int) -> str:
    return f"{language.figures(f'{rows:,}')} {language.of('row' if rows == 1 else 'rows')}"


def digest(text: str) -> str:
    """The text's hash, as a content security policy names it."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@cache
def runtime() -> tuple[str, str]:
    """The chart runtime, gzipped, as base64; and its hash. Built once for each version of vl-convert and kept."""
    name = f"vega-{version('vl-convert-python')}.js"
    kept = _cache_folder() / name
    try:
        script = kept.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        script = "(()=>{" + vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;") + "})();"
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=kept.parent, delete=False) as new:
                new.write(script)
            os.replace(new.name, kept)
        except OSError:
            pass  # a full or read-only home costs a second, not the report
    packed = base64.b64encode(gzip.compress(script.encode(), 9, mtime=0)).decode()
    return packed, digest(script)


def _cache_folder() -> Path:
    given = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(given) if given else Path(os.path.expanduser("~")) / ".cache") / "salesforecast"


def short_hash(text: str) -> str:
    """The ends of a hash in groups of four: 3f9a 71d0 … c21e 08b4.

    Examples
    --------
    >>> short_hash("3f9a71d0" + 48 * "0" + "c21e08b4")
    '3f9a 71d0 … c21e 08b4'
    """
    if len(text) <= 16:
        return text
    return f"{text[:4]} {text[4:8]} … {text[-8:-4]} {text[-4:]}"
