"""Reads a page as a browser would: its elements, its texts, and what it refers to."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

EMPTY = {"meta", "img", "input", "link", "br", "hr"}  # elements that have no end
OPTIONAL_END = {"option", "li"}
REFERRING = ("src", "href", "srcset", "action", "data", "poster", "background")


@dataclass
class Element:
    """An element with its attributes and the text directly in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """A parsed page; elements that are not closed in order are in `unclosed`."""

    source: str
    elements: list[Element] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[Element] = []
        self.feed(self.source)
        self.close()
        self.unclosed += [each.tag for each in self._open if each.tag not in OPTIONAL_END]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in EMPTY | {"option"}:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1].tag == tag:
            self._open.pop()
        else:
            self.unclosed.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def texts(self, tag: str) -> list[str]:
        return [" ".join(element.text.split()) for element in self.all(tag)]

    def references(self) -> list[str]:
        """All addresses that the page names."""
        return [
            element.attributes[name]
            for element in self.elements
            for name in REFERRING
            if name in element.attributes
        ]
