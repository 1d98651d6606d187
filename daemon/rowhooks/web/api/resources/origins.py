"""Origins of runs: what the API does with hooks and buttons alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing, Page, Paged
from rowhooks.web.api.operations import LINK, Answer, Call, Keyed, Operation, Operations
from rowhooks.web.api.versions import HEADERS, TAKES, check_version, tag_of, unchanged, wanted_tags

A = TypeVar("A", bound=BaseModel)
C = TypeVar("C", bound=BaseModel)
Named = Call[Any, Nothing, None]
Tags = frozenset[str] | None


@dataclass(frozen=True)
class Kind(Generic[A, C]):
    """Hooks, or buttons: their models, and what there is to do with them in the database.

    Args:
        word: `hook` or `button`.
        model: one, as it is told.
        page: a page of them.
        named: one in a path, as `name`.
        added: a new one.
        changed: what one is to be.
        list_behind: returns the rows behind a cursor, so many at most.
        place: the field of the last one on a page that is the cursor of the next.
        find: returns one by its name.
        add: adds one, and returns it.
        edit: makes one what it is to be, apart from whether it is enabled.
        set_enabled: enables or disables one, and returns it.
        remove: removes one.
    """

    word: str
    model: type[BaseModel]
    page: type[Page[Any]]
    named: type[BaseModel]
    added: type[A]
    changed: type[C]
    list_behind: Callable[[Connection, str | None, int], list[Row]]
    place: str
    find: Callable[[Connection, str], Row]
    add: Callable[[Connection, A], Row]
    edit: Callable[[Connection, str, C], object]
    set_enabled: Callable[..., Row]
    remove: Callable[[Connection, str], None]


class Origins(Generic[A, C]):
    """What the API does with the origins of one kind.

    Args:
        kind: the kind.
    """

    def __init__(self, kind: Kind[A, C]) -> None:
        self._kind = kind

    async def list_all(self, call: Call[Nothing, Paged, None]) -> Answer:
        """List them."""
        cursor, limit = call.query.cursor, call.query.limit
        rows = await call.caller.person.read(self._kind.list_behind, cursor, limit + 1)
        return call.page_of_more(self._kind.page, rows, limit, self._kind.place)

    async def show(self, call: Named) -> Answer:
        """Show one."""
        return self._shown(await call.caller.person.read(self._kind.find, call.path.name))

    async def add(self, call: Call[Nothing, Nothing, A]) -> Answer:
        """Add one."""
        row = await call.caller.person.act(self._kind.add, call.body)
        location = call.path_to(f"/{self._kind.word}s/{{name}}", name=row["name"])
        return self._shown(row, {"Location": location})

    async def replace(self, call: Call[Any, Nothing, C]) -> Answer:
        """Replace one by another one of its name."""
        tags = wanted_tags(call.request)
        return self._shown(await call.caller.person.act(self._replace, call.path.name, call.body, tags))

    async def enable(self, call: Named) -> Answer:
        """Enable one."""
        return self._shown(await call.caller.person.act(self._kind.set_enabled, call.path.name, enabled=True))

    async def disable(self, call: Named) -> Answer:
        """Disable one."""
        return self._shown(await call.caller.person.act(self._kind.set_enabled, call.path.name, enabled=False))

    async def remove(self, call: Named) -> Answer:
        """Remove one."""
        await call.caller.person.act(self._remove, call.path.name, wanted_tags(call.request))
        return Answer(None)

    def _replace(self, conn: Connection, name: str, wanted: Any, tags: Tags) -> Row:
        with unchanged(conn, tags):
            found = self._kind.find(conn, name)
            check_version(self._kind.model.model_validate(found), tags)
            self._kind.edit(conn, name, wanted)
            if wanted.enabled != found["enabled"]:
                self._kind.set_enabled(conn, name, enabled=wanted.enabled)
            return self._kind.find(conn, name)

    def _remove(self, conn: Connection, name: str, tags: Tags) -> None:
        with unchanged(conn, tags):
            check_version(self._kind.model.model_validate(self._kind.find(conn, name)), tags)
            self._kind.remove(conn, name)

    def _shown(self, row: Row, headers: dict[str, str] | None = None) -> Answer:
        shown = self._kind.model.model_validate(row)
        return Answer(shown, headers={"ETag": tag_of(shown), **(headers or {})})

    def operations(self) -> Operations:
        """Return the operations."""
        kind, one = self._kind, self._kind.word
        path = f"/{one}s"
        named: dict[str, Any] = {"path_model": kind.named}
        shown: dict[str, Any] = {"answer": kind.model, "headers": HEADERS}
        return (
            Operation(
                f"list_{one}s", "GET", path, self.list_all, f"List the {one}s.", Level.READ, query=Paged,
                answer=kind.page, headers=LINK,
            ),
            Operation(
                f"add_{one}", "POST", path, self.add, f"Add a {one}.", Level.ADMIN, body=kind.added,
                answer=kind.model, status=201, errors=(404, 409), keyed=Keyed.MEMORY,
                headers={"Location": f"The path of the {one}.", **HEADERS},
            ),
            Operation(
                f"show_{one}", "GET", f"{path}/{{name}}", self.show, f"Show a {one}.", Level.READ, errors=(404,),
                **named, **shown,
            ),
            Operation(
                f"replace_{one}", "PUT", f"{path}/{{name}}", self.replace, f"Replace a {one}.", Level.ADMIN,
                body=kind.changed, errors=(404, 409, 412), takes=TAKES, **named, **shown,
            ),
            Operation(
                f"remove_{one}", "DELETE", f"{path}/{{name}}", self.remove,
                f"Remove a {one}; its runs stay on record.", Level.ADMIN, status=204, errors=(404, 409, 412),
                takes=TAKES, **named,
            ),
            Operation(
                f"enable_{one}", "POST", f"{path}/{{name}}/enable", self.enable, f"Enable a {one}.", Level.OPERATE,
                errors=(404, 409), keyed=Keyed.MEMORY, **named, **shown,
            ),
            Operation(
                f"disable_{one}", "POST", f"{path}/{{name}}/disable", self.disable, f"Disable a {one}.",
                Level.OPERATE, errors=(404, 409), keyed=Keyed.MEMORY, **named, **shown,
            ),
        )  # fmt: skip
