"""The document of the API: OpenAPI 3.1, made of its operations and their models."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

import rowhooks
from rowhooks.web.api.authentication import CSRF_HEADER
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.problem import Problem
from rowhooks.web.api.operations import EVENT_STREAM, Operation, Operations
from rowhooks.web.api.problems import MEDIA_TYPE
from rowhooks.web.api.reading import LONGEST_KEY
from rowhooks.web.people.sessions import COOKIE

Schema = dict[str, Any]
_TEMPLATE = "#/components/schemas/{model}"
_ALWAYS = (400, 413, 422, 429, 500, 503)
"""Problems of every operation that asks the database."""
_KEY = (
    "A text of your own that names this act. A second request with it is the same act, and has the same answer;"
    " so a request that was not answered can be sent again."
)


def document(operations: Operations, root: str) -> Schema:
    """Return the document.

    Args:
        operations: what the API can do.
        root: the path under which it is.
    """
    schemas, definitions = _schemas(operations)
    paths: Schema = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas, definitions)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rowhooks",
            "version": rowhooks.__version__,
            "summary": "Rows, buttons, runs and changes of a PostgreSQL database.",
        },
        "servers": [{"url": root}],
        "paths": paths,
        "components": {
            "schemas": definitions,
            "responses": {str(status): _problem(status) for status in sorted(_statuses(operations))},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token: rwh_..."},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "A browser's session."},
                "csrf": {
                    "type": "apiKey", "in": "header", "name": CSRF_HEADER,
                    "description": "The token of the session, beside its cookie, for everything but GET.",
                },
            },
        },
    }  # fmt: skip


def problems_of(operation: Operation[Any, Any, Any]) -> list[int]:
    """Return the status codes of the problems that an operation may answer."""
    found = {*operation.errors, 500}
    if operation.level is not None:
        found |= {401, 403, *_ALWAYS}
    if operation.body is not None:
        found |= {413, 415}
    if operation.keyed is not None:
        found |= {409}
    return sorted(found)


def _statuses(operations: Operations) -> set[int]:
    return {status for operation in operations for status in problems_of(operation)}


def _schemas(operations: Operations) -> tuple[dict[tuple[type[BaseModel], JsonSchemaMode], Schema], Schema]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    for operation in operations:
        given = (operation.path_model, operation.query, operation.body)
        wanted += [(model, "validation") for model in given if model is not None and model is not Nothing]
        if operation.answer is not None:
            wanted.append((operation.answer, "serialization"))
    found, definitions = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_TEMPLATE)
    return {(model, mode): found[model, mode] for model, mode in wanted}, definitions.get("$defs", {})


def _operation(operation: Operation[Any, Any, Any], schemas: dict[Any, Schema], definitions: Schema) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.subject],
        "parameters": [
            *_parameters("path", operation.path_model, definitions),
            *_parameters("query", operation.query, definitions),
            *_headers(operation),
        ],
        "responses": {
            str(operation.status): _success(operation, schemas, HTTPStatus(operation.status).phrase),
            **{str(status): _success(operation, schemas, what) for status, what in operation.others.items()},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in problems_of(operation)},
        },
        "security": _security(operation),
    }
    if operation.level is not None and not operation.is_for_sessions:
        described["description"] = f"{operation.description} Scope of tokens: {operation.level}.".strip()
    elif operation.description:
        described["description"] = operation.description
    if operation.body is not None:
        content = {"application/json": {"schema": schemas[operation.body, "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _security(operation: Operation[Any, Any, Any]) -> list[Schema]:
    if operation.level is None:
        return []
    session: Schema = {"session": []} if operation.method == "GET" else {"session": [], "csrf": []}
    return [session] if operation.is_for_sessions else [{"token": []}, session]


def _parameters(place: str, model: type[BaseModel], definitions: Schema) -> list[Schema]:
    if model is Nothing:
        return []
    schema = model.model_json_schema(ref_template=_TEMPLATE)
    definitions.update(schema.get("$defs", {}))
    definitions.pop(model.__name__, None)
    required = schema.get("required", ())
    parameters = []
    for name, one in schema["properties"].items():
        shape = {key: value for key, value in one.items() if key not in ("title", "description")}
        parameter = {"name": name, "in": place, "required": name in required, "schema": _without_null(shape)}
        if "description" in one:
            parameter["description"] = one["description"]
        parameters.append(parameter)
    return parameters


def _without_null(shape: Schema) -> Schema:
    """Return the schema of a parameter without null, which stands for a parameter that is not given."""
    kept = [one for one in shape.get("anyOf", ()) if one != {"type": "null"}]
    if len(kept) != 1:
        return shape
    rest = {name: value for name, value in shape.items() if name != "anyOf" and (name, value) != ("default", None)}
    return {**kept[0], **rest}


def _headers(operation: Operation[Any, Any, Any]) -> list[Schema]:
    described = [
        {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}
        for name, description in operation.takes.items()
    ]
    if operation.keyed is not None:
        shape = {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]+$"}
        described.append(
            {"name": "Idempotency-Key", "in": "header", "required": False, "description": _KEY, "schema": shape}
        )
    return described


def _success(operation: Operation[Any, Any, Any], schemas: dict[Any, Schema], what: str) -> Schema:
    described: Schema = {"description": what}
    if operation.headers:
        described["headers"] = {
            name: {"description": description, "schema": {"type": "string"}}
            for name, description in operation.headers.items()
        }
    if operation.answer is not None:
        described["content"] = {operation.media_type: {"schema": schemas[operation.answer, "serialization"]}}
    elif operation.media_type == EVENT_STREAM or operation.media_type != "application/json":
        described["content"] = {operation.media_type: {"schema": {"type": "string"}}}
    elif operation.status != HTTPStatus.NO_CONTENT:
        described["content"] = {"application/json": {"schema": {"type": "object"}}}
    return described


def _problem(status: int) -> Schema:
    return {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
