"""The pages of the documentation site: all are in the navigation, and the reference knows everything that there is."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from website import pages, python_api, sql_functions
from website.settings_and_metrics import families

from rowhooks.cli import whole
from rowhooks.settings import Settings
from rowhooks.web.settings import ConsoleSettings

CHECKOUT = Path(__file__).resolve().parents[2]
NOT_IMPORTED = {"rowhooks.integrations.django.buttons"}
"""A configuration of addresses, which Django includes by its name."""


def page(name: str) -> str:
    return "\n\n".join(pages.REFERENCE[f"reference/{name}.md"]())


def leaves(nav: Any) -> Iterator[str]:
    """Yield the pages of a navigation."""
    if isinstance(nav, str):
        yield nav
        return
    for one in nav.values() if isinstance(nav, dict) else nav:
        yield from leaves(one)


def headings(text: str) -> list[str]:
    """Return the headings of a page, code left out."""
    return re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)


def test_each_page_is_in_the_navigation_once() -> None:
    shown = list(leaves(yaml.load((CHECKOUT / "mkdocs.yml").read_text("utf-8"), yaml.BaseLoader)["nav"]))
    there_are = [*map(str, pages.sources().values()), *pages.REFERENCE]
    assert sorted(shown) == sorted(there_are)


def test_the_pages_are_written_with_their_links_and_files(tmp_path: Path) -> None:
    pages.write(tmp_path / "docs")
    home = (tmp_path / "docs/index.md").read_text("utf-8")
    assert "[Tutorial](tutorial.md)" in home
    assert "[Contributing](project/contributing.md)" in home
    operating = (tmp_path / "docs/how-to/grafana.md").read_text("utf-8")
    assert "](../files/contrib/grafana/rowhooks.json)" in operating
    assert (tmp_path / "docs/files/contrib/grafana/rowhooks.json").exists()
    assert (tmp_path / "docs/performance.svg").exists()


def test_a_link_to_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "CHECKOUT", tmp_path)
    source = tmp_path / "page.md"
    source.write_text("`[code](nothing.md)` [text](nothing.md)")
    with pytest.raises(pages.BrokenLink, match=r"page\.md links to nothing\.md"):
        pages.with_links(source, {source: Path("page.md")})


def modules_with_public_names() -> Iterator[str]:
    """Yield the modules of ours that list what they offer."""
    source = CHECKOUT / "daemon"
    for file in sorted((source / "rowhooks").rglob("*.py")):
        body = ast.parse(file.read_text("utf-8")).body
        if any(isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "__all__" for one in body):
            yield ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


def test_each_module_that_lists_its_public_names_is_in_the_reference() -> None:
    assert set(modules_with_public_names()) - NOT_IMPORTED <= set(python_api.MODULES)


def test_each_public_name_is_in_the_reference_with_its_description() -> None:
    text = page("python")
    shown = headings(text)
    for module in python_api.MODULES:
        assert module in shown
        for name in python_api.public_names(module):
            assert name in shown
            value = getattr(sys.modules[module], name)
            if inspect.isroutine(value) or inspect.isclass(value):
                assert (inspect.getdoc(value) or "").partition("\n")[0] in text, name
    # What a receiver has is on the page too, and no address of this process.
    assert {"JobHookReceiver.session", "JobHookReceiver.logger", "ObjectChange.get_snapshots"} <= set(shown)
    assert not re.search(r"0x[0-9a-f]{6}", text)


def test_a_long_signature_has_a_line_for_each_parameter() -> None:
    assert python_api.laid_out("(a: int = 1) -> None") == "(a: int = 1) -> None"
    long = "(first: Callable[[int, str], None], *, second: dict[str, int] = {}, third: tuple[int, ...] = (1, 2)) -> int"
    assert python_api.laid_out(long).splitlines() == [
        "(",
        "    first: Callable[[int, str], None],",
        "    *,",
        "    second: dict[str, int] = {},",
        "    third: tuple[int, ...] = (1, 2),",
        ") -> int",
    ]


def commands(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    yield " ".join(path), command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


def test_each_command_is_in_the_reference_with_its_options() -> None:
    parts = dict(
        re.findall(r"^#+ (rowhooks [a-z -]+)\n(.*?)(?=^#+ |\Z)", page("command-line"), re.DOTALL | re.MULTILINE)
    )
    found = {path: command for path, command in commands(whole(), "rowhooks") if path != "rowhooks"}
    assert parts.keys() == found.keys()
    for path, command in found.items():
        shown = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
        options = {option for one in shown for option in one.opts}
        for option in options - {"--help"}:
            assert re.search(rf"`[^`\n]*{option}\b", parts[path]) or hasattr(command, "commands"), (path, option)


def test_each_setting_is_in_the_reference() -> None:
    text = page("settings")
    for model, prefix in ((Settings, "ROWHOOKS_"), (ConsoleSettings, "ROWHOOKS_CONSOLE_")):
        for name, field in model.model_fields.items():
            if not field.exclude:
                assert f"| `{name}` | `{prefix}{name.upper()}` |" in text
                assert field.description


def test_each_metric_is_in_the_reference() -> None:
    shown = set(re.findall(r"^\| `(\w+)` \|", page("metrics"), re.MULTILINE))
    # The page for people names each sample, and the process's own.
    manual = (CHECKOUT / "docs" / "monitoring.md").read_text("utf-8")
    assert shown == set(re.findall(r"`(rowhooks_\w+)(?:\{[^`]*\})?`", manual.partition("## Alerts")[0]))
    assert all(family.documentation for family in families())


def test_each_function_that_a_role_may_call_is_in_the_reference() -> None:
    shown = {one for one in headings(page("sql")) if one.startswith("rowhooks.")}
    granted = sql_functions.callers().keys()
    named = {name for names in sql_functions.CALLED.values() for name in names}
    views = {one.name for one in sql_functions.headed() if one.kind == "view"}
    assert named - set(sql_functions.OWNERS) <= granted
    assert {"changes", "results", "buttons", "my_presses"} <= views
    assert shown == {f"rowhooks.{name}" for name in granted | named | views}


def test_the_header_of_a_function_is_shown_as_it_was_written() -> None:
    text = page("sql")
    begin = text.index("### rowhooks.press\n")
    shown = text[begin : text.index("### rowhooks.press_many")]
    assert "rowhooks.press(\n" in shown
    assert "- `object_table`: the table, tracked and among the button's; a partition counts" in shown
    assert "- *returns*: rowhooks.job\\_result.id" in shown or "- *returns*: rowhooks.job_result.id" in shown
    assert "Called by: public." in shown
    # It is there twice, with the key as jsonb and as text.
    assert shown.count("```sql") == 2
