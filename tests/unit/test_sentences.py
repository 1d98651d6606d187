"""The tests that show what users may rely on are there, and each asks for a database."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.sentences import SENTENCES

TESTS = Path(__file__).parents[1]
# The fixtures that begin with a database of the test's own.
DATABASES = {"db", "dsn", "daemon_dsn", "database", "restored", "stage"}


@pytest.mark.parametrize(("sentence", "named"), [
    (sentence, named) for sentence, tests in SENTENCES.items() for named in tests
])  # fmt: skip
def test_a_sentence_is_shown_by_a_test_that_is_there(sentence: str, named: str) -> None:
    file, _, name = named.partition(" ")
    module = ast.parse((TESTS / file).read_text("utf-8"))
    found = [
        node
        for node in module.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == f"test_{name}"
    ]
    assert found, f"{file} has no test_{name}, which is to show: {sentence}"
    assert DATABASES & {argument.arg for argument in found[0].args.args}


def test_every_sentence_is_shown() -> None:
    assert [sentence for sentence, tests in SENTENCES.items() if not tests] == []
