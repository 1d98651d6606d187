"""What is left of the HTML of labels."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowhooks.domain.inline_markup import KEPT, inline_only


class Elements(HTMLParser):
    """What a browser would find in HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, Any]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, attrs))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.found.append(("declaration", decl))

    def handle_pi(self, data: str) -> None:
        self.found.append(("instruction", data))


@pytest.mark.parametrize(
    ("markup", "left"),
    [
        ("Reboot core-1", "Reboot core-1"),
        ("<b>Reboot</b> &lt;core&gt; &amp; <i class='mdi'>x</i>", "<b>Reboot</b> &lt;core&gt; &amp; <i>x</i>"),
        ("<script>alert(1)</script>Reboot", "Reboot"),
        ("<b onclick=alert(1) style='position:fixed'>Reboot", "<b>Reboot</b>"),
        ("<img src=x onerror=alert(1)>Reboot", "Reboot"),
        ("<a href='javascript:alert(1)'>Reboot</a>", "Reboot"),
        ("</button></form><form action=//evil.example><button>Reboot", "Reboot"),
        ("<style>*{display:none}</style>Reboot<!-- x --><?php x ?>", "Reboot"),
        ("<i><b>Reboot</i></b> now", "<i><b>Reboot</b></i> now"),
        ("<svg><script>x</script></svg>Reboot", "Reboot"),
        ("Re<br>boot<p>now", "Re boot now"),
        ("Re&nbsp;\n\tboot", "Re boot"),
        ("\u202eReboot\x00", "\\u202eReboot\\0"),
        ("a < b", "a &lt; b"),
        ("<b></b> ", ""),
        ("<script>x</script>", ""),
        ("", ""),
    ],
)
def test_what_is_left_of_a_label(markup: str, left: str) -> None:
    assert inline_only(markup) == left


def test_a_long_label_is_cut() -> None:
    assert inline_only("<b>" + "x" * 300 + "</b>y", longest=5) == "<b>xxxxx…</b>"


def test_a_label_of_many_elements_is_not_nested_without_end() -> None:
    assert inline_only("<b>" * 10_000 + "x").count("<b>") == 50


_PIECES = st.sampled_from([
    "<b>", "</b>", "<i ", "onclick=x", ">", "<", "</", "<script", "</script>", "<!--", "-->", "<![CDATA[", "]]>", "<?",
    "&", "&lt;", "&#60;", "&#x3c", "'", '"', "/", "<svg>", "<style>", "</button>", "text", " ", "\0", "\u202e",
])  # fmt: skip


@given(st.lists(_PIECES | st.text(max_size=3), max_size=30).map("".join))
def test_whatever_a_label_is_nothing_is_left_but_closed_elements_without_attributes(markup: str) -> None:
    browser = Elements()
    browser.feed(inline_only(markup))
    browser.close()
    assert {tag for tag, _ in browser.found} <= KEPT
    assert all(not attributes for _, attributes in browser.found)
    assert browser.open == []
