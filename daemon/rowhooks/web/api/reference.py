"""The reference: the document of the API as pages for people, which need no script. One page for each subject."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rowhooks.domain.errors import NotFound
from rowhooks.web.api.problems import kinds
from rowhooks.web.rendering import page

_REFERENCE = "#/components/schemas/"
Schema = dict[str, Any]


def overview(request: Request, document: Schema) -> Response:
    """Return the page that lists all operations and all kinds of problems."""
    return page(
        request, "api_overview.html", root=document["servers"][0]["url"], subjects=_subjects(document), kinds=kinds()
    )


def reference(request: Request, document: Schema, subject: str) -> Response:
    """Return the page of the operations of a subject, with the models that they use.

    Raises:
        NotFound: there is no such subject.
    """
    operations = _subjects(document).get(subject)
    if operations is None:
        raise NotFound(f"the API has no subject {subject}", hint="see the list of subjects")
    schemas = document["components"]["schemas"]
    used = _used(operations, schemas)
    return page(
        request, "api_reference.html", root=document["servers"][0]["url"], subject=subject, operations=operations,
        schemas={name: schema for name, schema in schemas.items() if name in used}, type_of=type_of, name_of=name_of,
    )  # fmt: skip


def _subjects(document: Schema) -> dict[str, list[Schema]]:
    subjects: dict[str, list[Schema]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            described = {**operation, "method": method.upper(), "path": path}
            subjects.setdefault(operation["tags"][0], []).append(described)
    return dict(sorted(subjects.items()))


def _used(value: Any, schemas: Schema) -> set[str]:
    """Return the names of the models that something refers to, also by way of others."""
    used: set[str] = set()
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += one
        elif isinstance(one, dict):
            todo += one.values()
            name = str(one.get("$ref", "")).removeprefix(_REFERENCE)
            if name in schemas and name not in used:
                used.add(name)
                todo.append(schemas[name])
    return used


def name_of(schema: Schema) -> str | None:
    """Return the name of the model that a schema refers to, also as a list of it; None where it is none."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REFERENCE)
    nested = [*schema.get("anyOf", ()), *([schema["items"]] if schema.get("items") else [])]
    return next((name for one in nested if (name := name_of(one))), None)


def type_of(schema: Schema) -> str:
    """Return the type of a schema in words, for example: list of Run or null."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REFERENCE)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_of(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"]).lower()
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return str(schema.get("format", kind)) if kind == "string" else str(kind)
