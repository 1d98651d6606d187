"""What a page shows of the buttons on one row."""

from __future__ import annotations

import resource
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from rowhooks.domain.errors import UsageError
from rowhooks.postgres.labels import LONGEST_TEXT, LabelRow, RenderedButton, check_text, render_buttons

DEVICE = LabelRow({"id": 42, "name": "core-1", "serial": None, "a name": "x"}, "core-1")


class Clerk:
    username = "clerk"

    def has_perm(self, permission: str) -> bool:
        return permission == "dcim.view_device"

    def __str__(self) -> str:
        return self.username


def button(name: str = "Reboot", **given: Any) -> dict[str, Any]:
    return {
        "name": name, "text": name, "group_name": "", "weight": 100, "button_class": "default", "confirmation": True,
        "job": "jobs.Reboot", "enabled": True, "job_enabled": True, "may_press": True, **given,
    }  # fmt: skip


def render(*buttons: dict[str, Any], obj: Any = DEVICE) -> list[RenderedButton]:
    return [rendered for group in render_buttons(buttons, obj, Clerk()) for rendered in group.buttons]


def label(text: str, obj: Any = DEVICE) -> str:
    (rendered,) = render(button(text=text), obj=obj)
    assert (rendered.disabled, rendered.reason) == (False, "")
    return rendered.label


def reason(**given: Any) -> str:
    (rendered,) = render(button(**given))
    assert rendered.disabled
    return rendered.reason


def test_a_button_that_can_be_pressed_has_all_that_a_page_needs() -> None:
    given = button(
        text="Reboot {{ obj.name }}", group_name="Power", weight=5, button_class="danger", confirmation=False
    )
    assert render(given) == [
        RenderedButton("Reboot", Markup("Reboot core-1"), "Power", 5, "danger", confirmation=False)
    ]


def test_groups_come_by_name_and_in_them_buttons_by_weight_and_name() -> None:
    groups = render_buttons(
        [
            button("d", group_name="Power", weight=100), button("c", group_name="Power", weight=100),
            button("b", group_name="Power", weight=200), button("e", group_name="Audit"), button("a"),
            button("f", group_name="Power", weight=20),
        ],
        DEVICE,
        Clerk(),
    )  # fmt: skip
    assert [(group.name, [rendered.name for rendered in group.buttons]) for group in groups] == [
        ("", ["a"]), ("Audit", ["e"]), ("Power", ["f", "c", "d", "b"]),
    ]  # fmt: skip


def test_what_comes_out_of_the_row_is_escaped() -> None:
    row = LabelRow({"name": "<script>alert('x')</script>&"}, "<b>")
    expected = "Say &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;"
    assert label("Say {{ obj.name }}", row) == expected
    assert label("{{ 'Say ' ~ obj['name'] }}", row) == expected
    assert label("{{ obj }}", row) == "&lt;b&gt;"


def test_a_column_does_not_pass_as_escaped_by_its_name() -> None:
    row = LabelRow({"__html__": lambda: "<b>"}, "<i>")
    assert label("{{ obj }}", row) == "&lt;i&gt;"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ obj.id + 1 }}", "43"),
        ("{{ obj['a name'] }}", "x"),
        ("{{ obj }}", "core-1"),
        ("{{ obj.serial or 'no serial' }}", "no serial"),
        ("{{ user }} {{ user.username }}", "clerk clerk"),
        ("{% if user.has_perm('dcim.view_device') %}Look{% endif %}", "Look"),
        ("  spaced \n", "spaced"),
    ],
)
def test_a_label_is_made_of_the_row_and_the_user(text: str, expected: str) -> None:
    assert label(text) == expected


@pytest.mark.parametrize("text", ["", "  \n", "{% if obj.serial %}Check it{% endif %}"])
def test_a_text_that_renders_to_nothing_hides_the_button(text: str) -> None:
    assert render(button(text=text)) == []


def test_a_group_without_a_visible_button_is_not_shown() -> None:
    groups = render_buttons(
        [
            button("a", group_name="Empty", text=""),
            button("b", group_name="Off", enabled=False),
            button("c", group_name="On"),
        ],
        DEVICE,
        Clerk(),
    )
    assert [group.name for group in groups] == ["On"]


def test_a_disabled_button_is_not_shown() -> None:
    assert render(button(enabled=False)) == []


def test_a_button_whose_template_fails_is_shown_disabled_with_the_error_and_its_name() -> None:
    (rendered,) = render(button("<Reboot>", text="{{ obj.id / 0 }}"))
    assert rendered.label == "&lt;Reboot&gt;"
    assert rendered.disabled
    assert rendered.reason == "the text cannot be rendered: ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ obj.missing }}", "missing"),
        ("{{ obj['missing'] }}", "missing"),
        ("{% if obj.missing %}x{% endif %}", "missing"),
        ("{{ user.missing }}", "missing"),
        ("{% if %}", "Expected an expression"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_and_not_an_empty_label(text: str, named: str) -> None:
    assert named in reason(text=text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ obj.__class__.__mro__ }}",
        "{{ obj._values }}",
        "{{ user.has_perm.__globals__ }}",
        "{{ ''.__class__ }}",
        "{{ range.__globals__ }}",
        "{{ '{0.__class__}'.format(obj) }}",
    ],
)
def test_a_template_is_kept_in_its_sandbox(text: str) -> None:
    assert "unsafe" in reason(text=text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' * 10**9 }}",
        "{{ [0] * 10**8 }}",
        "{{ 10**10**8 }}",
        "{{ '%0999999999d' % 1 }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ 'x'.ljust(10**9) }}",
        "{{ 'x'.zfill(999999999) }}",
        "{{ 'x'|center(999999999) }}",
        "{{ 1|round(999999999, 'ceil') }}",
        "{{ obj.long|replace('', obj.long)|replace('', obj.long) }}",
        "{{ obj.long ~ obj.long ~ obj.long ~ obj.long ~ obj.long ~ obj.long }}",
        "{{ obj.long.join(obj.long) }}",
        "{% set a = obj.long %}" + "{% set a = a ~ a %}" * 20 + "{{ a|length }}",
        "{% set a = 99 %}" + "{% set a = a * a %}" * 20 + "{{ a }}",
        "{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}",
        "{% for a in range(999) %}{{ obj.long }}{% endfor %}",
        "{% for a in [[[1]]] recursive %}{{ loop([[a]]) }}{% endfor %}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% set a %}{{ obj.long }}{% endset %}{{ a }}",
        "{{ range(999999)|list }}",
        "{{ range(999)|map('replace', '', obj.long)|list }}",
        "{{ lipsum(n=99999) }}",
        "{{ obj.large|length }}" * 20,
        "{{ " + "(" * 230 + "1" + ")" * 230 + " }}",
    ],
)
def test_a_label_takes_neither_the_time_nor_the_memory_of_the_process_that_renders_it(text: str) -> None:
    row = LabelRow({"long": "x" * 4000, "large": [[1] * 1000] * 400}, "x")
    resource.setrlimit(resource.RLIMIT_AS, (_memory() + 2**28, resource.getrlimit(resource.RLIMIT_AS)[1]))
    before = time.process_time()
    try:
        (rendered,) = render(button(text=text), obj=row)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (-1, resource.getrlimit(resource.RLIMIT_AS)[1]))
    assert rendered.disabled
    assert rendered.reason.startswith("the text cannot be rendered: ")
    assert time.process_time() - before < 2


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% for tag in obj.tags %}{{ tag }}{{ '' if loop.last else ', ' }}{% endfor %}", "a, b, &lt;c&gt;"),
        ("{{ obj.tags|join(' + ') }}", "a + b + &lt;c&gt;"),
        (
            "{% set n = obj.id * 2 + 1 %}{{ n }}-{{ '<' ~ obj.tags[2] }}{{ ('a' ~ obj.id|string)|upper }}",
            "85-&lt;&lt;c&gt;A42",
        ),
        (
            "{{ obj.made.strftime('%d.%m.') }} {{ obj.name[:2]|title }} {{ obj.doc.mtu|default(1500) }}",
            "01.02. Co 1500",
        ),
        ("{{ obj.tags|map('upper')|first }} {{ obj.name.split('-')[1].zfill(3) }} {{ 10 // 3 }}", "A 001 3"),
        ("{{ obj.name|truncate(5, true, '…', 0) }} {{ '<b>' ~ obj.tags[2]|safe }}", "core… &lt;b&gt;<c>"),
    ],
)
def test_what_labels_are_made_of_is_there(text: str, expected: str) -> None:
    row = LabelRow(
        {"id": 42, "name": "core-1", "tags": ["a", "b", "<c>"], "made": date(2026, 2, 1), "doc": {}}, "core-1"
    )
    assert label(text, row) == expected


def test_a_template_cannot_change_what_it_is_given() -> None:
    names = ["a"]
    (rendered,) = render(button(text="{{ obj.names.append('b') }}"), obj=LabelRow({"names": names}, "x"))
    assert "unsafe" in rendered.reason
    assert names == ["a"]


def test_a_button_whose_job_cannot_run_is_disabled_and_names_the_job() -> None:
    assert reason(job_enabled=False) == "its job jobs.Reboot is disabled"


def test_a_button_that_the_user_may_not_press_is_disabled() -> None:
    (rendered,) = render(button(may_press=False))
    assert (rendered.label, rendered.disabled, rendered.reason) == ("Reboot", True, "you may not press it")


def test_a_template_with_a_syntax_error_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match=r"is no Jinja2 template: .*line 2") as caught:
        check_text("Reboot\n{{ obj.name ")
    assert "obj is the row" in str(caught.value.hint)


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(UsageError, match="No filter named 'shout'"):
        check_text("{{ obj.name | shout }}")


def test_a_text_is_as_long_as_the_database_allows() -> None:
    check_text("x" * LONGEST_TEXT)
    with pytest.raises(UsageError, match="the text has 501 characters"):
        check_text("x" * (LONGEST_TEXT + 1))
