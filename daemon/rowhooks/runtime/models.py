"""Users' own classes for rows, as the settings name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rowhooks.postgres.rows.models import Models, find_models
from rowhooks.receivers.loading import load_model_modules


def load_models(entries: Sequence[str], directory: Path) -> Models:
    """Import the modules that setting `models` names, and return their classes.

    Args:
        entries: dotted names or paths to .py files, each perhaps with `:Class`.
        directory: where relative paths begin, and where dotted names are looked for first.

    Raises:
        SettingsError: a module cannot be imported, or its classes cannot be used together.
    """
    return find_models((one.module, one.class_name) for one in load_model_modules(entries, directory))
