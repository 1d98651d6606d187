"""HTML of which only what stands within a line is left: what a page shows of a button's label.

A label is written by those who make buttons, and shown to all who see the row. What could run code, load something,
lead elsewhere or change the page around it is left out: all attributes, and all elements but a few that have no effect
beyond their text.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from rowhooks.domain.display import visible

KEPT = frozenset({"b", "code", "del", "em", "i", "ins", "kbd", "mark", "s", "small", "strong", "sub", "sup", "u"})
"""The elements that are left, without their attributes."""
_DROPPED = frozenset({
    "applet", "audio", "canvas", "head", "iframe", "math", "noembed", "noframes", "noscript", "object", "script",
    "select", "style", "svg", "template", "textarea", "title", "video",
})  # fmt: skip
"""The elements whose contents are no text for people."""
_MOST_TAGS = 50
_SPACE = re.compile(r"[\s\xa0]+")


def inline_only(markup: str, longest: int = 200) -> str:
    """Return HTML with no markup but that of KEPT, every element closed; the text of other elements stays.

    Args:
        markup: HTML, or what should be HTML.
        longest: how many characters of text are kept.

    Returns:
        HTML that is safe inside an element. It is empty where there is no text to be seen.
    """
    reader = _Reader(longest)
    reader.feed(markup)
    reader.close()
    return reader.result()


def plain_text(markup: str, longest: int = 200) -> str:
    """Return the text of HTML, without its markup.

    Args:
        markup: HTML, or what should be HTML.
        longest: how many characters are kept.
    """
    reader = _Reader(longest)
    reader.feed(markup)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self, longest: int) -> None:
        super().__init__(convert_charrefs=True)
        self._left = longest
        self._parts: list[str] = []
        self._texts: list[str] = []
        self._open: list[str] = []
        self._tags = 0
        self._dropping: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _DROPPED:
            self._dropping.append(tag)
        elif tag in KEPT and not self._dropping and self._tags < _MOST_TAGS:
            self._tags += 1
            self._open.append(tag)
            self._parts.append(f"<{tag}>")
        elif tag in ("br", "p", "div", "li", "tr"):
            self.handle_data(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # In HTML, the slash does not close an element. An empty one would be nothing to see.
        if tag not in _DROPPED and tag not in KEPT:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._dropping:
            while self._dropping.pop() != tag:
                pass
        elif tag in self._open and not self._dropping:
            while (closed := self._open.pop()) != tag:
                self._parts.append(f"</{closed}>")
            self._parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._dropping or not self._left:
            return
        is_cut = len(data) > self._left
        shown = visible(_SPACE.sub(" ", data[: self._left]), None) + ("…" if is_cut else "")
        self._left = 0 if is_cut else self._left - len(data)
        self._parts.append(html.escape(shown))
        self._texts.append(shown)

    def text(self) -> str:
        return "".join(self._texts).strip()

    def result(self) -> str:
        if not self.text():
            return ""
        return "".join(self._parts).strip() + "".join(f"</{tag}>" for tag in reversed(self._open))
