"""What a request gives: its path, its query and its body, checked against the models of the operation."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from rowhooks.domain import exact
from rowhooks.web.api.models.problem import FieldError
from rowhooks.web.api.problems import INVALID, MALFORMED, UNSUPPORTED_MEDIA_TYPE, Refusal

Part = Literal["body", "query", "path", "header"]
M = TypeVar("M", bound=BaseModel)

LONGEST_KEY = 255
"""The longest idempotency key, in characters."""
DEEPEST = 100
"""How deep a body may be nested."""


def read_path(request: Request, model: type[M]) -> M:
    """Return the parameters in the path.

    Raises:
        Refusal: they are not as the model has them.
    """
    given = {name: unquote(value) for name, value in request.path_params.items()}
    return _checked("path", model, given)


def read_query(request: Request, model: type[M]) -> M:
    """Return the parameters in the query. One that is unknown, or is given twice without being a list, is refused.

    Raises:
        Refusal: they are not as the model has them.
    """
    given: dict[str, Any] = {}
    for name, value in _pairs(request):
        field = _field(model, name)
        if field is not None and is_list(field):
            given.setdefault(name, []).append(value)
        elif name in given:
            raise _invalid("query", [FieldError(part="query", field=name, detail="given more than once")])
        else:
            given[name] = value
    return _checked("query", model, given)


async def read_body(request: Request, model: type[M]) -> M:
    """Return the body, a JSON document.

    Raises:
        Refusal: it is of another type, or not JSON, or not as the model has it.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(UNSUPPORTED_MEDIA_TYPE, f"the body is {media_type or 'of no type'}",
                      hint="send JSON, with the header Content-Type: application/json")  # fmt: skip
    return _checked("body", model, document_of(await request.body()))


def read_key(request: Request) -> str | None:
    """Return the idempotency key of a request; None where it has none.

    Raises:
        Refusal: it is empty, too long, or not of printable characters.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        detail = f"not 1 to {LONGEST_KEY} printable ASCII characters"
        raise _invalid("header", [FieldError(part="header", field="Idempotency-Key", detail=detail)])
    return key


def document_of(body: bytes) -> Any:
    """Return the value of a JSON document, with exact numbers.

    Raises:
        Refusal: it is no JSON in UTF-8, or holds what PostgreSQL cannot store.
    """
    try:
        document = exact.read_given(body.decode("utf-8"))
    except exact.Unstorable as error:
        raise Refusal(MALFORMED, "the body has a number that PostgreSQL does not store") from error
    except (ValueError, RecursionError) as error:
        raise Refusal(MALFORMED, "the body is not JSON in UTF-8", hint="see RFC 8259") from error
    _check_texts(document)
    return document


def is_list(annotation: object) -> bool:
    """Say whether a parameter may be given several times."""
    if typing.get_origin(annotation) is list:
        return True
    return any(is_list(one) for one in typing.get_args(annotation))


def _pairs(request: Request) -> list[tuple[str, str]]:
    query: bytes = request.scope["query_string"]
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
    except ValueError as error:
        raise Refusal(MALFORMED, "the query is not in UTF-8, or has more than 200 parameters") from error


def _field(model: type[BaseModel], name: str) -> object | None:
    for known, field in model.model_fields.items():
        if name == (field.alias or known):
            return field.annotation
    return None


def _check_texts(document: Any) -> None:
    """Refuse what no text of PostgreSQL's can hold, and what is nested too deeply to be walked through."""
    todo = [(document, 0)]
    while todo:
        value, depth = todo.pop()
        if depth > DEEPEST:
            raise Refusal(MALFORMED, f"the body is nested more than {DEEPEST} levels deep")
        if isinstance(value, dict):
            todo += ((one, depth + 1) for pair in value.items() for one in pair)
        elif isinstance(value, list):
            todo += ((one, depth + 1) for one in value)
        elif isinstance(value, str):
            check_text(value)


def check_text(text: str) -> str:
    r"""Return a text that PostgreSQL can hold.

    Raises:
        Refusal: it has the character \0, or half of a surrogate pair.
    """
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Refusal(MALFORMED, "a text has a character that PostgreSQL cannot store: \\u0000, or half of a pair")
    return text


def _checked(part: Part, model: type[M], given: Any) -> M:
    if part != "body":
        _check_texts(given)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _invalid(part, _field_errors(part, error)) from None


def _invalid(part: Part, fields: list[FieldError]) -> Refusal:
    first = fields[0]
    name = first.field.lstrip("/")
    detail = f"{part} {name}: {first.detail}" if name else f"{part}: {first.detail}"
    if len(fields) > 1:
        detail += f" (and {len(fields) - 1} more)"
    return Refusal(INVALID, detail, fields=fields)


def _field_errors(part: Part, error: ValidationError) -> list[FieldError]:
    # Without the input, which may be a secret.
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [FieldError(part=part, field=_place(part, one["loc"]), detail=_sentence(one)) for one in found[:20]]


def _place(part: Part, place: Iterable[int | str]) -> str:
    if part != "body":
        return ".".join(map(str, place))
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in place)


def _sentence(found: Mapping[str, Any]) -> str:
    message = str(found["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
