"""Markdown as HTML: a finding, in which names from the CRM stand, and an author's text."""

from __future__ import annotations

import re
from typing import Any

import mistune
from markupsafe import Markup, escape


class _Author(mistune.HTMLRenderer):
    """HTML in the text is shown, not used."""

    def __init__(self) -> None:
        super().__init__(escape=False)  # it would escape entities twice

    def inline_html(self, html: str) -> str:
        return str(escape(html))

    def block_html(self, html: str) -> str:
        return f"<p>{escape(html.strip())}</p>"


class _Words(_Author):
    """Words only: a finding holds text from the CRM, and needs no link, image or heading."""

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return text

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return text

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        return text

    def paragraph(self, text: str) -> str:
        return text

    def block_html(self, html: str) -> str:
        return str(escape(html.strip()))


_finding = mistune.create_markdown(renderer=_Words())
_markdown = mistune.create_markdown(renderer=_Author(), plugins=["table"])


def finding(text: str) -> Markup:
    """A finding as HTML: escaped, bold kept, no links."""
    return Markup(signed(str(_finding(text)).strip()))


def markdown(text: str) -> Markup:
    """An author's Markdown as HTML; HTML in it is shown, not used."""
    return Markup(signed(str(_markdown(text))))


def signed(text: str) -> str:
    """A minus stays with its currency when the line breaks."""
    return re.sub(r"−(?=[^\d\s<])", "−\u2060", text)
