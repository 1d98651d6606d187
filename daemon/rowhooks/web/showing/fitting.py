"""Values that fit on a page: they are shortened until they all do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import escape

from rowhooks.domain.display import visible


def length_that_fits(texts: Iterable[str], lengths: Sequence[int], room: int) -> int:
    """Return to how many characters texts have to be shortened.

    Args:
        texts: the texts.
        lengths: the lengths to choose from, the longest first. The last one is taken where none fits.
        room: how many bytes there are on the page for all of them, as HTML.
    """
    texts = list(texts)
    for length in lengths[:-1]:
        if sum(len(escape(shown(text, length)).encode()) for text in texts) <= room:
            return length
    return lengths[-1]


def shown(text: str, length: int) -> str:
    """Return a text on one line, as people read it, of which no more than some characters are kept."""
    return visible(text[:length], None)
