"""Job hooks: listed, shown, added, replaced, enabled, disabled, removed."""

from __future__ import annotations

from typing import TypeVar

from rowhooks.postgres.administration import hooks as administration
from rowhooks.postgres.administration.common import Connection, Row
from rowhooks.postgres.console.hooks import hooks_behind
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing, Paged
from rowhooks.web.api.models.hooks import Hook, HookAdded, HookChanged, HookNamed, HookPage
from rowhooks.web.api.operations import LINK, Answer, Call, Keyed, Operation, Operations
from rowhooks.web.api.versions import HEADERS, TAKES, check_version, tag_of, wanted_tags

B = TypeVar("B", bound=HookChanged | None)
Named = Call[HookNamed, Nothing, B]


async def list_hooks(call: Call[Nothing, Paged, None]) -> Answer:
    """List the hooks."""
    after, limit = call.query.cursor, call.query.limit
    rows = await call.caller.person.read(hooks_behind, after, limit + 1)
    return call.page_of_more(HookPage, rows, limit, "name")


async def show_hook(call: Named[None]) -> Answer:
    """Show a hook."""
    return _shown(await call.caller.person.read(administration.find_hook, call.path.name))


async def add_hook(call: Call[Nothing, Nothing, HookAdded]) -> Answer:
    """Add a hook."""
    row = await call.caller.person.act(_add, call.body)
    location = call.path_to("/hooks/{name}", name=row["name"])
    return _shown(row, {"Location": location})


async def replace_hook(call: Named[HookChanged]) -> Answer:
    """Replace a hook by another one of its name."""
    tags = wanted_tags(call.request)
    return _shown(await call.caller.person.act(_replace, call.path.name, call.body, tags))


async def enable_hook(call: Named[None]) -> Answer:
    """Enable a hook."""
    return _shown(await call.caller.person.act(administration.set_hook_enabled, call.path.name, enabled=True))


async def disable_hook(call: Named[None]) -> Answer:
    """Disable a hook."""
    return _shown(await call.caller.person.act(administration.set_hook_enabled, call.path.name, enabled=False))


async def remove_hook(call: Named[None]) -> Answer:
    """Remove a hook."""
    await call.caller.person.act(_remove, call.path.name, wanted_tags(call.request))
    return Answer(None)


def _add(conn: Connection, wanted: HookAdded) -> Row:
    return administration.add_hook(conn, **wanted.model_dump())


def _replace(conn: Connection, name: str, wanted: HookChanged, tags: frozenset[str] | None) -> Row:
    found = administration.find_hook(conn, name)
    check_version(Hook.model_validate(found), tags)
    fields = wanted.model_dump(exclude={"enabled"})
    administration.edit_hook(conn, name, **fields, no_conditions=wanted.conditions is None)
    if wanted.enabled != found["enabled"]:
        administration.set_hook_enabled(conn, name, enabled=wanted.enabled)
    return administration.find_hook(conn, name)


def _remove(conn: Connection, name: str, tags: frozenset[str] | None) -> None:
    check_version(Hook.model_validate(administration.find_hook(conn, name)), tags)
    administration.remove_hook(conn, name)


def _shown(row: Row, headers: dict[str, str] | None = None) -> Answer:
    hook = Hook.model_validate(row)
    return Answer(hook, headers={"ETag": tag_of(hook), **(headers or {})})


OPERATIONS: Operations = (
    Operation(
        "list_hooks", "GET", "/hooks", list_hooks, "List the hooks.", Level.READ, query=Paged, answer=HookPage,
        headers=LINK,
    ),
    Operation(
        "add_hook", "POST", "/hooks", add_hook, "Add a hook.", Level.ADMIN, body=HookAdded, answer=Hook, status=201,
        errors=(404, 409), keyed=Keyed.MEMORY, headers={"Location": "The path of the hook.", **HEADERS},
    ),
    Operation(
        "show_hook", "GET", "/hooks/{name}", show_hook, "Show a hook.", Level.READ, path_model=HookNamed, answer=Hook,
        errors=(404,), headers=HEADERS,
    ),
    Operation(
        "replace_hook", "PUT", "/hooks/{name}", replace_hook, "Replace a hook.", Level.ADMIN, path_model=HookNamed,
        body=HookChanged, answer=Hook, errors=(404, 409, 412), headers=HEADERS, takes=TAKES,
    ),
    Operation(
        "remove_hook", "DELETE", "/hooks/{name}", remove_hook, "Remove a hook; its runs stay on record.", Level.ADMIN,
        path_model=HookNamed, status=204, errors=(404, 409, 412), takes=TAKES,
    ),
    Operation(
        "enable_hook", "POST", "/hooks/{name}/enable", enable_hook, "Enable a hook.", Level.OPERATE,
        path_model=HookNamed, answer=Hook, errors=(404, 409), headers=HEADERS, keyed=Keyed.MEMORY,
    ),
    Operation(
        "disable_hook", "POST", "/hooks/{name}/disable", disable_hook, "Disable a hook.", Level.OPERATE,
        path_model=HookNamed, answer=Hook, errors=(404, 409), headers=HEADERS, keyed=Keyed.MEMORY,
    ),
)  # fmt: skip
