"""What the pages of hooks and of buttons do alike: one is added, edited, tried, enabled, disabled and removed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.console.origins import Choices
from rowhooks.web.forms.origin_fields import OriginFields
from rowhooks.web.forms.origins import Problems, offer, status_of_problem, text_of
from rowhooks.web.forms.reading import read_form
from rowhooks.web.linking.names import address
from rowhooks.web.people.person import Person, person_of
from rowhooks.web.rendering import page, see

Fields = TypeVar("Fields", bound=OriginFields)
Trial = TypeVar("Trial")


@dataclass(frozen=True)
class OriginPages(Generic[Fields, Trial]):
    """The pages on which hooks, or buttons, are changed.

    Args:
        kind: `hook` or `button`: the name of its page, of its value in the form's template, and of the list with an s.
        fields: the fields of the form.
        keeps_name: whether one that is there keeps its name, whatever was sent.
        to_edit: asks for it (None for one that is to be added) and for what the form offers.
        add: adds what the form says.
        edit: changes it, by its name and the fingerprint that the person has seen, to what the form says.
        set_enabled: enables or disables it.
        remove: removes it.
        trying: the form's `act` that tries what it says, and changes nothing.
        attempt: tries it.
        values_of: returns the values of the template that show what was tried; None: nothing was.
        problem: returns an error as a field's problem; the second argument says whether it was of a trial.
    """

    kind: str
    fields: type[Fields]
    keeps_name: bool
    to_edit: Callable[[Connection, str | None], tuple[Row | None, Choices]]
    add: Callable[[Connection, Any], Row]
    edit: Callable[[Connection, str, str, Any], Row]
    set_enabled: Callable[..., Row]
    remove: Callable[[Connection, str], object]
    trying: str
    attempt: Callable[[Person, Fields], Awaitable[Trial]]
    values_of: Callable[[Trial | None], dict[str, Any]]
    problem: Callable[[RowhooksError, bool], Problems]

    async def show_new(self, request: Request) -> Response:
        """Show the form of a new one, try what it says, or add it."""
        return await self._changed(request, None) if request.method == "POST" else await self._opened(request, None)

    async def show_edit(self, request: Request) -> Response:
        """Show the form of one that is there, try what it says, or change it."""
        name = request.path_params["name"]
        return await self._changed(request, name) if request.method == "POST" else await self._opened(request, name)

    async def enable(self, request: Request) -> Response:
        """Enable or disable it."""
        form = await read_form(request)
        name, enabled = request.path_params["name"], text_of(form, "enabled") == "yes"
        await person_of(request).act(self.set_enabled, name, enabled=enabled)
        return see(address(request, self.kind, {"done": "enabled" if enabled else "disabled"}, name=name))

    async def take_away(self, request: Request) -> Response:
        """Remove it."""
        await read_form(request)
        await person_of(request).act(self.remove, request.path_params["name"])
        return see(address(request, f"{self.kind}s", {"done": "removed"}))

    async def _opened(self, request: Request, name: str | None) -> Response:
        found, offered = await person_of(request).read(self.to_edit, name)
        given = request.query_params
        if found is not None:
            fields = self.fields.of(found, offered.chosen)
        else:
            fields = self.fields(job=given.get("job", ""), tables=tuple(given.getlist("table")))
        return self._form(request, fields, found, offered)

    async def _changed(self, request: Request, name: str | None) -> Response:
        person, form = person_of(request), await read_form(request)
        fields = self.fields.sent(form)
        if name is not None and self.keeps_name:
            fields = replace(fields, name=name)
        is_trial = form.get("act") == self.trying
        problems, status, trial = fields.problems(trying=is_trial), 422, None
        try:
            if is_trial:
                trial = None if problems else await self.attempt(person, fields)
            elif not problems:
                await self._save(person, name, fields)
                done = "added" if name is None else "changed"
                return see(address(request, self.kind, {"done": done}, name=fields.name))
        except RowhooksError as error:
            problems, status = self.problem(error, is_trial), status_of_problem(error)
        found, offered = await person.read(self.to_edit, name)
        return self._form(request, fields, found, offered, problems, status=status, trial=trial)

    async def _save(self, person: Person, name: str | None, fields: Fields) -> None:
        if name is None:
            await person.act(self.add, fields.wanted())
        else:
            await person.act(self.edit, name, fields.seen, fields.wanted())

    def _form(
        self, request: Request, fields: Fields, found: Row | None, offered: Choices, problems: Problems | None = None,
        *, status: int = 422, trial: Trial | None = None,
    ) -> Response:  # fmt: skip
        values = {self.kind: found, **self.values_of(trial)}
        return page(
            request, f"{self.kind}s_form.html", status=status if problems else 200, fields=fields,
            problems=problems or {}, **values, **offer(offered, fields.tables, found["waits_for"] if found else ()),
        )  # fmt: skip
