"""The parts of a replay, one after another: runs are requested for each, as the person."""

from __future__ import annotations

from rowhooks.domain.errors import TookTooLong
from rowhooks.postgres.console import replay as console
from rowhooks.web.acts.replays import Matched, Progress, advanced, match
from rowhooks.web.people.person import Person


async def request_next(person: Person, progress: Progress) -> Progress:
    """Request runs for the next changes of a replay; return how far it has come.

    Raises:
        TookTooLong: the part is too large; see `with_smaller_part`.
        RowhooksError: as in `console.request_part`.
    """
    found: list[Matched] = []

    def matched(part: console.Part) -> tuple[tuple[int, ...], console.Place]:
        found.append(match(part))
        return found[-1].ids, found[-1].place

    _, requested, _ = await person.act(console.request_part, progress.wanted, progress.place, matched)
    return advanced(progress, found[-1], asked=requested.asked, known=requested.known)


def with_smaller_part(progress: Progress) -> Progress:
    """Return a progress whose next part is smaller, after one that took too long.

    Raises:
        TookTooLong: it cannot be smaller.
    """
    smaller = progress.smaller()
    if smaller is None:
        raise TookTooLong(
            "the changes of this time span cannot be read in the time that a page has",
            hint="use the command: rowhooks replay",
        )
    return smaller
