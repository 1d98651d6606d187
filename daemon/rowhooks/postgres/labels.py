"""Labels: what a page shows of the buttons on one row. Pure: no database, no clock."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import jinja2
from jinja2 import nodes
from markupsafe import Markup, escape

from rowhooks.domain.errors import UsageError
from rowhooks.postgres.label_texts import LabelTemplate, parse, template_of

LONGEST_TEXT = 500
"""Characters of a template."""


@dataclass(frozen=True)
class RenderedButton:
    """A button as a page shows it.

    Args:
        name: the button's name, by which it is pressed.
        label: HTML; what came out of the row is escaped in it, and the template's own markup is not.
        group_name: the group it is shown in; empty: none.
        weight: the lower, the earlier.
        button_class: default, primary, success, info, warning, danger or link.
        confirmation: ask before pressing.
        disabled: it is shown and cannot be pressed.
        reason: why it is disabled, as plain text; empty for a button that can be pressed.
        inputs_schema: what a press has to give, as a JSON schema; None: nothing.
        input_fields: the same as fields of a form, see rowhooks.input_fields.
    """

    name: str
    label: Markup
    group_name: str
    weight: int
    button_class: str
    confirmation: bool
    disabled: bool = False
    reason: str = ""
    inputs_schema: Mapping[str, Any] | None = None
    input_fields: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class ButtonGroup:
    """The visible buttons of one group, in order; there is at least one."""

    name: str
    buttons: tuple[RenderedButton, ...]


class LabelRow:
    """A row as templates see it: `obj.name`, `obj["a name"]`, and `{{ obj }}` for what people call it.

    Args:
        values: columns to values.
        name: what people call the row.
        renamed: what columns were called when the template was written, to what they are called now.
    """

    def __init__(self, values: Mapping[str, Any], name: str, renamed: Mapping[str, str] | None = None) -> None:
        self._values = values
        self._name = name
        self._renamed = renamed or {}

    def under(self, renamed: Mapping[str, str]) -> LabelRow:
        """Return the row for a template that knows columns by other names."""
        return LabelRow(self._values, self._name, renamed)

    def __getattr__(self, column: str) -> Any:
        # Python's own protocols (`__html__` would pass as escaped) are not to be found in a column.
        if column.startswith("_") or self._renamed.get(column, column) not in self._values:
            raise AttributeError(f"the row has no column {column}")
        return self[column]

    def __getitem__(self, column: str) -> Any:
        return self._values[self._renamed.get(column, column)]

    def __str__(self) -> str:
        return self._name


@functools.lru_cache(maxsize=256)
def _template(text: str) -> LabelTemplate:
    return template_of(text)


def check_text(text: str) -> None:
    """Make sure that a button's text can be kept.

    Raises:
        UsageError: it is no Jinja2 template, or too long.
    """
    if len(text) > LONGEST_TEXT:
        raise UsageError(f"the text has {len(text)} characters", hint=f"{LONGEST_TEXT} at the most")
    try:
        _template(text)
    except jinja2.TemplateSyntaxError as error:
        raise UsageError(
            f"the text is no Jinja2 template: {error.message} (line {error.lineno})",
            hint="obj is the row and user the presser, for example: Reboot {{ obj.name }}",
        ) from error


def columns_in(text: str) -> set[str]:
    """Return the columns of the row that a template names; none where it is no template."""
    try:
        parsed = parse(text)
    except jinja2.TemplateSyntaxError:
        return set()
    named = {node.attr for node in parsed.find_all(nodes.Getattr) if _is_row(node.node)}
    items = [node.arg for node in parsed.find_all(nodes.Getitem) if _is_row(node.node)]
    return named | {item.value for item in items if isinstance(item, nodes.Const) and isinstance(item.value, str)}


def _is_row(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "obj"


def render_buttons(buttons: Iterable[Mapping[str, Any]], obj: Any, user: Any) -> list[ButtonGroup]:
    """Render the buttons of one row for one user, as Nautobot shows its job buttons.

    Args:
        buttons: rows of the view rowhooks.buttons.
        obj: the row, in templates; a LabelRow follows columns that were renamed since a text was written.
        user: who looks at it, in templates.

    Returns:
        The groups by name, in each the buttons by weight and name. A disabled button is left out, and one whose text
        renders to nothing. One that cannot be pressed, or whose template fails, is there with the reason.
    """
    ordered = sorted(buttons, key=lambda button: (button["group_name"], button["weight"], button["name"]))
    shown = [rendered for button in ordered if button["enabled"] and (rendered := _render(button, obj, user))]
    return [ButtonGroup(name, tuple(group)) for name, group in groupby(shown, lambda button: button.group_name)]


def _render(button: Mapping[str, Any], obj: Any, user: Any) -> RenderedButton | None:
    if isinstance(obj, LabelRow):
        obj = obj.under(button.get("renamed_columns") or {})
    try:
        label = Markup(_template(button["text"]).render(obj=obj, user=user).strip())  # noqa: S704  (rendered escaped)
        problem = ""
    except Exception as error:
        label = escape(button["name"])
        problem = str(error) if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: {error}"
        problem = f"the text cannot be rendered: {problem}"
    if not label:
        return None
    if not problem and not button["job_enabled"]:
        problem = f"its job {button['job']} is disabled"
    if not problem and not button["may_press"]:
        problem = "you may not press it"
    return RenderedButton(
        name=button["name"],
        label=label,
        group_name=button["group_name"],
        weight=button["weight"],
        button_class=button["button_class"],
        confirmation=button["confirmation"],
        disabled=bool(problem),
        reason=problem,
        inputs_schema=button.get("inputs_schema"),
        input_fields=button.get("input_fields") or (),
    )
