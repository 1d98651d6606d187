"""Names in Python code that is written for a table: a class, its module, and what may not be one."""

from __future__ import annotations

import keyword
import re
import unicodedata

from rowhooks.domain.errors import UsageError

_WORD = re.compile(r"[^\W_]+")


def class_name_for(table: str, suffix: str) -> str:
    """Return the name of a class for a table, `DeviceReceiver`; it is an identifier whatever the table is called.

    Args:
        table: the table's name, without its schema.
        suffix: what the name ends with.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", table))
    stem = "".join(word[:1].upper() + word[1:] for word in words)
    if not f"{stem}_".isidentifier() or not words:
        stem = f"Table{stem}"
    # Some letters are in \w, and in no identifier.
    return f"{stem}{suffix}" if f"{stem}{suffix}".isidentifier() else f"Table{suffix}"


def module_name_for(class_name: str) -> str:
    """Return the name of the module of a class: `device_receiver`."""
    name = class_name
    for place in range(len(class_name) - 1, 0, -1):
        if _begins_word(class_name[place - 1], class_name[place], class_name[place + 1 :]):
            name = f"{name[:place]}_{name[place:]}"
    # What is lower-cased may be no identifier in the form that Python gives it.
    name = unicodedata.normalize("NFKC", name.lower())
    return f"{name}_" if keyword.iskeyword(name) else name


def _begins_word(before: str, character: str, after: str) -> bool:
    return character.isupper() and before != "_" and (not before.isupper() or after[:1].islower())


def check_class_name(name: str) -> None:
    """Make sure that a class can have this name.

    Raises:
        UsageError: it is no identifier, a keyword, or an own name of Python's.
    """
    if not name.isidentifier():
        raise UsageError(
            f"{name!r} cannot be the name of a class", hint="letters, digits and _, for example SerialPolicy"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise UsageError(f"{name!r} is a keyword of Python", hint="for example SerialPolicy")
    if unicodedata.normalize("NFKC", name) != name:
        raise UsageError(
            f"{name!r} is another name for Python", hint=f"write it as {unicodedata.normalize('NFKC', name)}"
        )
    if name.startswith("_"):
        raise UsageError(f"{name!r} begins with _, as the name of a class that is not registered", hint="leave it out")
