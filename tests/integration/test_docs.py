"""The examples of README.md and docs/ are true: receivers load, commands parse, settings and SQL are what they say."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowhooks import events
from rowhooks.cli import whole
from rowhooks.cli.plan_file import parse_plan
from rowhooks.domain.events import Events
from rowhooks.pipeline.conditions import parse_json
from rowhooks.receivers.loading import load_permission_backend, load_receivers
from rowhooks.receivers.registry import take_registered
from rowhooks.settings import Settings, load_settings

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
CONNECTORS = ("&&", "||", ";", "|", "&", ">")
# What a page shows is read by people: undefined names in a fragment, and lists in a class, are fine there.
RUFF = ["--isolated", "--line-length", "120"]
RULES = ["--select", "A,B,C4,E,F,I,PERF,PIE,RET,SIM,UP,W", "--ignore", "RET505"]

Command = Any
"""A command or group of click, which typer may bring along in a module of its own."""


def blocks(*languages: str) -> list[Any]:
    """Return the fenced blocks of these languages, each as a test's parameter that says where it stands."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            if match[1] in languages:
                line = text.count("\n", 0, match.start()) + 1
                found.append(pytest.param(match[2], id=f"{page.name}:{line}"))
    return found


def console_lines(text: str) -> Iterator[str]:
    """Yield the command lines of fenced consoles and indented blocks, continuation lines joined."""
    consoles = re.findall(r"^```(?:console|shell|sh|bash)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    typed = [re.findall(r"^\$ (.*)$", block, re.MULTILINE) or block.splitlines() for block in consoles]
    yield from (line for lines in typed for line in lines)
    unfenced = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    indented = "\n".join(line[4:] for line in unfenced.splitlines() if line.startswith("    "))
    yield from re.sub(r"(&&|\\)\n\s*", r"\1 ", indented).splitlines()


def commands(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of rowhooks in a line of shell."""
    if not re.match(r"(rowhooks|\$)\b", line):
        return
    words = shlex.shlex(line, posix=True, punctuation_chars="&|;")
    words.whitespace_split = True
    arguments: list[str] = []
    for word in [*words, ";"]:
        if word not in CONNECTORS:
            arguments.append(word)
            continue
        if arguments[:1] == ["rowhooks"]:
            yield arguments[1:]
        arguments = []


def documented_commands() -> list[Any]:
    return [
        pytest.param(arguments, id=f"{page.name}: {shlex.join(arguments)}")
        for page in PAGES
        for line in console_lines(page.read_text(encoding="utf-8"))
        for arguments in commands(line)
    ]


def parse(arguments: list[str]) -> None:
    """Parse a command line as the program does; run nothing."""
    command: Command = whole()
    context = None
    while hasattr(command, "commands"):
        name, *arguments = arguments
        assert name in command.commands, f"there is no command {name}"
        context = command.context_class(command, info_name=name, parent=context)
        command = command.commands[name]
    command.make_context(command.name, arguments, parent=context)


@pytest.mark.parametrize("arguments", documented_commands())
def test_each_command_line_in_the_docs_parses(arguments: list[str]) -> None:
    parse(arguments)


def test_no_page_and_no_message_shows_a_password_on_a_command_line() -> None:
    """Everybody on a machine reads the list of processes, and a shell keeps what was typed."""
    sources = sorted((CHECKOUT / "daemon").rglob("*.py"))
    shown: dict[str, Iterable[str]] = {page.name: console_lines(page.read_text(encoding="utf-8")) for page in PAGES}
    shown |= {str(source.relative_to(CHECKOUT)): source.read_text(encoding="utf-8").splitlines() for source in sources}
    wrong = [
        f"{name}: {line.strip()}"
        for name, lines in shown.items()
        for line in lines
        if re.search(r"--dsn[ =]\S*://[^\s/@:]*:[^\s@]*@|--dsn.*password=|-c .*\bpassword '|<<< ?'", line)
    ]
    assert wrong == []


@pytest.mark.parametrize("arguments", [["hooks", "add", "h", "--tabel", "t"], ["jobs", "start", "j"], ["press", "b"]])
def test_a_wrong_command_line_does_not_parse(arguments: list[str]) -> None:
    with pytest.raises((Exception, SystemExit), match=r"(?i)no such option|no command|missing parameter"):
        parse(arguments)


def test_each_command_named_in_running_text_exists_with_its_options() -> None:
    wrong = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        for span in re.findall(r"`rowhooks ([^`\n]+)`", text):
            command: Command = whole()
            words = span.split()
            while words and hasattr(command, "commands") and words[0] in command.commands:
                command = command.commands[words.pop(0)]
            options = {
                option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
            } | {"--help"}
            unknown = [word for word in words if word.startswith("--") and word not in options]
            if unknown or (hasattr(command, "commands") and not {*words} <= options):
                wrong.append(f"{page.name}: rowhooks {span}")
    assert wrong == []


@pytest.mark.parametrize("block", blocks("python"))
def test_each_python_block_compiles_and_is_clean(block: str) -> None:
    compile(block, "block", "exec")
    fragment = "import" not in block
    ignored = ["--extend-ignore", "F821,F706"] if fragment else []
    for arguments in (["check", *RUFF, *RULES, *ignored, "-"], ["format", "--check", *RUFF, "-"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments], input=block, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def module(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module's file, forgotten afterwards; the test writes it."""
    monkeypatch.setattr(events, "PROCESS", Events())
    name = re.sub(r"\W", "_", f"documented_{request.node.callspec.id}".lower())
    yield tmp_path / f"{name}.py"
    sys.modules.pop(name, None)
    take_registered()


# The one with Django's models is run in test_lent_to_django.py.
RECEIVERS = [b for b in blocks("python") if "register_jobs(" in b.values[0] and "django.setup()" not in b.values[0]]


@pytest.mark.parametrize("block", RECEIVERS)
def test_each_receivers_module_in_the_docs_loads(block: str, module: Path) -> None:
    module.write_text(block, encoding="utf-8")
    classes, problems = load_receivers([module.name], module.parent)
    assert problems == []
    registered = re.findall(r"^register_jobs\((.*)\)", block, re.MULTILINE)
    assert [cls.__name__ for cls in classes] == [name.strip() for line in registered for name in line.split(",")]


@pytest.mark.parametrize("block", [b for b in blocks("python") if "(rowhooks.PermissionBackend)" in b.values[0]])
def test_each_permission_backend_in_the_docs_loads(block: str, module: Path) -> None:
    module.write_text(block, encoding="utf-8")
    load_permission_backend(f"{module.stem}.Permissions", module.parent)


@pytest.mark.parametrize("block", blocks("json"))
def test_each_condition_in_the_docs_is_well_formed(block: str) -> None:
    parse_json(block)


@pytest.mark.parametrize("block", [b for b in blocks("yaml") if str(b.id).startswith("migrations.md")])
def test_each_plan_in_the_docs_is_well_formed(block: str) -> None:
    assert parse_plan(block, "plan.yaml").tables


@pytest.mark.parametrize("block", blocks("toml"))
def test_each_settings_file_in_the_docs_is_accepted(block: str, tmp_path: Path) -> None:
    file = tmp_path / "rowhooks.toml"
    file.write_text(block, encoding="utf-8")
    load_settings(file)


def test_the_table_of_settings_has_all_of_them_with_their_defaults() -> None:
    text = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))
    fields = {name: field.default for name, field in Settings.model_fields.items() if name != "directory"}
    assert shown.keys() == fields.keys()
    # Where the default is None, the table says what that means.
    stated = {name: default.strip("`").strip('"') for name, default in shown.items() if fields[name] is not None}
    actual = {
        name: json.dumps(value) if isinstance(value, bool | tuple) else value
        for name, value in fields.items()
        if value is not None
    }
    assert {name: type(actual[name])(value) for name, value in stated.items()} == actual


@pytest.fixture
def inventory(db: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """The tables, jobs and buttons that the docs speak of."""
    db.execute(
        """
        create schema dcim;
        create table dcim.location (id integer primary key, name text);
        create table dcim.device (
          id integer primary key, name text, serial text, status text, price numeric, location_id integer
        );
        create table dcim.interface (device_id integer, name text, primary key (device_id, name));
        create table dcim.rack (id integer primary key, height integer);
        insert into dcim.device values (42, 'core1', 'SN-1', 'planned', 1, 1);
        insert into dcim.rack values (7, 1);
        insert into dcim.interface values (1, 'eth0');
        select rowhooks.track('dcim.device'), rowhooks.track('dcim.location'), rowhooks.track('dcim.interface'),
          rowhooks.track('dcim.rack');
        insert into rowhooks.job (class_path, kind, name, enabled) values
          ('serial_policy.SerialPolicy', 'hook', 'Serial policy', true),
          ('buttons.Activate', 'button', 'Activate', true), ('buttons.Resize', 'button', 'Resize', true);
        update rowhooks.job set inputs_schema = '{"properties": {"size": {"type": "integer"}}}' where name = 'Resize';
        insert into rowhooks.job_button (name, job_id, text)
        select b.name, j.id, b.name
        from (values ('Activate', 'Activate'), ('Cable', 'Activate'), ('Resize', 'Resize')) as b (name, job)
        join rowhooks.job as j on j.name = b.job;
        insert into rowhooks.job_button_table
        select b.id, t.id from rowhooks.job_button as b cross join rowhooks.tracked_table as t;
        """
    )
    return db


@pytest.mark.parametrize("block", blocks("sql"))
def test_each_sql_block_in_the_docs_runs(block: str, inventory: psycopg.Connection[Any]) -> None:
    # Roles are the cluster's: what a block makes must not stay.
    statements = re.sub(r"^(begin|commit);$", "", block, flags=re.MULTILINE).replace("alice", "docs_alice")
    with inventory.transaction(force_rollback=True):
        inventory.execute("create role inventory_api; create role inventory_owner")
        inventory.execute(statements)
        inventory.execute("set constraints all immediate")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_between_the_pages_leads_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Return what the page's headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_page_that_a_message_names_is_there() -> None:
    named = {
        match.groups()
        for source in (CHECKOUT / "daemon").rglob("*.py")
        for match in re.finditer(r'docs/([\w-]+\.md)(?:, "(\w+)")?', source.read_text(encoding="utf-8"))
    }
    assert ("receivers.md", "Meta") in named
    for page, heading in named:
        assert (CHECKOUT / "docs" / page).exists()
        assert heading is None or heading.lower() in anchors(CHECKOUT / "docs" / page)
