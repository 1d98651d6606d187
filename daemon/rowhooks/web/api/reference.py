"""The reference: the document of the API as a page for people, which needs no script."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rowhooks.web.api.problems import kinds
from rowhooks.web.rendering import page

_REFERENCE = "#/components/schemas/"
Schema = dict[str, Any]


def reference(request: Request, document: Schema) -> Response:
    """Return the page of a document."""
    subjects: dict[str, list[Schema]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            described = {**operation, "method": method.upper(), "path": path}
            subjects.setdefault(operation["tags"][0], []).append(described)
    return page(
        request, "api_reference.html", document=document, subjects=subjects, kinds=kinds(), type_of=type_of,
        schemas=document["components"]["schemas"], name_of=name_of,
    )  # fmt: skip


def name_of(schema: Schema) -> str | None:
    """Return the name of the model that a schema refers to, also as a list of it; None where it is none."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REFERENCE)
    nested = [*schema.get("anyOf", ()), *([schema["items"]] if schema.get("items") else [])]
    return next((name for one in nested if (name := name_of(one))), None)


def type_of(schema: Schema) -> str:
    """Return the type of a schema in words, for example: a list of Run, or null."""
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
