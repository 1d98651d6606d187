"""The man page and the completions, as `make package` makes them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowhooks.cli import whole
from rowhooks.settings import Settings
from tests.support.builds import CHECKOUT, build


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("share")
    subprocess.run([sys.executable, str(CHECKOUT / "packaging" / "manual.py"), str(directory)], check=True)
    return directory


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


def shown(page: Path, *options: str) -> str:
    """Return the page as groff shows it, without underlining and bold; what it complains of is a failure."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-P-c", "-P-b", "-P-u", "-rLL=500n", "-ww", *options, str(page)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_page_names_every_command_with_its_options(share: Path) -> None:
    text = shown(share / "man/man1/rowhooks.1")
    parts = dict(re.findall(r"^   (rowhooks [a-z ]+)\n(.*?)(?=^   rowhooks |^[A-Z])", text, re.MULTILINE | re.DOTALL))
    for path, command in commands(whole(), "rowhooks"):
        if len(path) == 1:
            continue
        said = parts[" ".join(path)]
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                if parameter.param_type_name == "option" and option != "--help":
                    is_named = re.search(rf"(^ +|[/,] ){option}\b", said, re.MULTILINE) is not None
                    assert is_named != parameter.hidden, (path, option)


def test_the_page_has_the_other_sections(share: Path) -> None:
    text = shown(share / "man/man1/rowhooks.1")
    titles = re.findall(r"^[A-Z][A-Z ]+$", text, re.MULTILINE)
    assert titles == [
        "NAME", "SYNOPSIS", "OPTIONS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO",
    ]  # fmt: skip
    for name, field in Settings.model_fields.items():
        assert (f"ROWHOOKS_{name.upper()}\n" in text) is not bool(field.exclude)
    for option in ("--version", "--show-completion", "--help"):
        assert option in text
    # Hyphens that can be copied, and quotes that end no argument.
    assert "--older-than" in text
    assert "public.*" in text


def test_man_has_nothing_to_say_against_the_page(share: Path) -> None:
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    page = share / "man/man1/rowhooks.1"
    assert page.read_text().isascii()
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(page)],
        env={**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "ROWHOOKS(1)" in done.stdout


def completed(share: Path, shell: str, program: str) -> list[str]:
    """Run a program in a shell that has read the completions."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, "-c", program, shell, str(share)],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_bash_completes_commands_and_options(share: Path) -> None:
    program = """
        source "$1/bash-completion/completions/rowhooks"
        name=$(complete -p rowhooks | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        for line in 'rowhooks ho' 'rowhooks hooks ad' 'rowhooks run --log-f'; do
            COMP_WORDS=($line) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
            "$name" rowhooks
            echo "${COMPREPLY[@]}"
        done
    """
    words = [word.split(",")[-1] for word in completed(share, "bash", program)]
    assert words == ["hooks", "add", "--log-format"]


def test_fish_completes_commands(share: Path) -> None:
    words = completed(
        share, "fish", "source $argv[2]/fish/vendor_completions.d/rowhooks.fish; complete -C 'rowhooks ho'"
    )
    assert words[0] == "hooks"


def test_zsh_completes_commands_at_the_first_tab(share: Path) -> None:
    # A shell on a terminal of its own, which finds the completions where the package puts them.
    program = """
        zmodload zsh/zpty
        zpty shell "PS1= zsh -f -i"
        zpty -w shell "unsetopt zle_bracketed_paste; fpath=($1/zsh/site-functions \\$fpath)
            autoload -Uz compinit; compinit -u -D; PS1='ready:'"
        zpty -r shell reply "*ready:"
        zpty -w -n shell $'rowhooks ho\\t'
        zpty -r shell reply "*rowhooks hooks*"
        print -r -- "$reply"
    """
    assert "hooks" in completed(share, "zsh", program)


@pytest.mark.packaging
def test_the_wheel_carries_them_where_it_is_told_to(
    share: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWHOOKS_SHARE", str(share))
    with zipfile.ZipFile(build(tmp_path / "wheel", "--wheel")) as archive:
        found = {name.partition(".data/data/share/")[2] for name in archive.namelist() if ".data/" in name}
    assert found == {
        "man/man1/rowhooks.1",
        "bash-completion/completions/rowhooks",
        "zsh/site-functions/_rowhooks",
        "fish/vendor_completions.d/rowhooks.fish",
    }
