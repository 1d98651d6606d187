"""Manual: writes the man page and the shell completions, both made from the command line's own description.

Run as `python packaging/manual.py DIRECTORY`. The files below DIRECTORY are laid out as below /usr/share.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from rowhooks import __version__
from rowhooks.cli import whole
from rowhooks.settings import Settings

COMPLETIONS = {
    "bash": "bash-completion/completions/rowhooks",
    "zsh": "zsh/site-functions/_rowhooks",
    "fish": "fish/vendor_completions.d/rowhooks.fish",
}

EXIT_STATUS = [
    ("0", "The command succeeded."),
    ("1", "The command failed. The reason, and a hint if there is one, is on standard error."),
    ("2", "The command, an argument or a setting is wrong."),
]

FILES = [
    ("rowhooks.toml", "The settings, in the working directory, unless --config names another file."),
    ("/etc/rowhooks/*.toml", "The settings of the daemons that systemd starts."),
    ("~/.pgpass, ~/.pg_service.conf", "Passwords and service definitions, as libpq reads them."),
]

Items = list[tuple[str, str]]


def page() -> Iterator[str]:
    """Yield the lines of rowhooks(1)."""
    root: Any = whole()
    context = typer.Context(root, info_name="rowhooks")
    yield f'.TH ROWHOOKS 1 "" "rowhooks {__version__}" "User Commands"'
    yield from section("Name", [f"rowhooks \\- {escaped(root.help[0].lower() + root.help[1:].rstrip('.'))}"])
    yield from section("Synopsis", [*synopsis(root, context)])
    yield from section("Options", tagged(parameters(root, context)))
    yield from section("Commands", [line for name in root.commands for line in command(root, context, name)])
    yield from section("Exit status", tagged(EXIT_STATUS))
    yield from section("Environment", [*environment()])
    yield from section("Files", tagged(FILES))
    yield from section("See also", [".BR psql (1),", ".BR systemctl (1)"])


def section(title: str, lines: list[str]) -> Iterator[str]:
    """Yield a section."""
    yield f".SH {title.upper()}"
    yield from lines


def command(parent: Any, context: Any, name: str) -> Iterator[str]:
    """Yield the description of a command and of its subcommands."""
    this = parent.commands[name]
    if this.hidden:
        return
    context = typer.Context(this, info_name=name, parent=context)
    yield f'.SS "{escaped(context.command_path)}"'
    yield from (line for number, text in enumerate(paragraphs(this.help)) for line in ([".PP"] * bool(number) + [text]))
    below = getattr(this, "commands", None)
    if below is None:
        yield ".PP"
        yield from synopsis(this, context)
        yield from tagged([item for item in parameters(this, context) if not item[0].startswith("--help")])
        return
    for one in below:
        yield from command(this, context, one)


def synopsis(this: Any, context: Any) -> Iterator[str]:
    """Yield the synopsis of a command."""
    yield f'.B "{escaped(context.command_path)}"'
    yield escaped(" ".join(this.collect_usage_pieces(context)))


def parameters(this: Any, context: Any) -> Items:
    """Return the arguments and options of a command with their descriptions."""
    records = [one.get_help_record(context) for one in this.get_params(context) if not one.hidden]
    return [record for record in records if record is not None]


def environment() -> Iterator[str]:
    """Yield the variables, one for each setting."""
    items: Items = []
    for name, field in Settings.model_fields.items():
        if field.exclude:
            continue
        default = field.get_default()
        said = [field.description or ""]
        if default not in ("", None, ()):
            said.append(f"the default is {default}")
        items.append((f"ROWHOOKS_{name.upper()}", "; ".join(said)))
    yield from tagged(items)
    yield ".PP"
    yield escaped("PGHOST, PGSERVICE, PGPASSWORD and the other variables of libpq apply to what the DSN does not set.")


def tagged(items: Items) -> list[str]:
    """Return a list of terms, each with its explanation."""
    lines = []
    for term, explanation in items:
        lines += [".TP", f'.B "{escaped(term)}"', *(paragraphs(explanation) or ["\\&"])]
    return lines


def paragraphs(text: str | None) -> list[str]:
    """Return the paragraphs of a text, each as one line of roff."""
    return [escaped(" ".join(part.split())) for part in (text or "").split("\n\n") if part.strip()]


def escaped(text: str) -> str:
    """Return a text escaped for roff: it contains no requests, and hyphens can be copied."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("~", "\\(ti")
    return f"\\&{safe}" if safe.startswith((".", "'")) else safe


def completion(shell: str) -> str:
    """Return the completions for a shell, as the installed program writes them."""
    done = subprocess.run(
        [sys.executable, "-m", "rowhooks"],
        env={**os.environ, "_ROWHOOKS_COMPLETE": f"source_{shell}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    script = done.stdout.strip()
    if done.returncode or "_ROWHOOKS_COMPLETE" not in script:
        raise SystemExit(f"the command line has written no completions for {shell}: {done.stdout}{done.stderr}")
    if shell == "zsh":
        # zsh loads the file at the first completion; without this line that completion would have no answer.
        script += '\n_rowhooks_completion "$@"'
    return script + "\n"


def write(directory: Path) -> None:
    """Write the man page and the completions."""
    files = {"man/man1/rowhooks.1": "\n".join(page()) + "\n"}
    files |= {path: completion(shell) for shell, path in COMPLETIONS.items()}
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: manual.py DIRECTORY")
    write(Path(sys.argv[1]))
