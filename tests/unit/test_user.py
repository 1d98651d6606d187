"""self.user: what a receiver may ask, when the backend is asked, and what a forgotten await does."""

from __future__ import annotations

import asyncio
import gc
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rowhooks import PermissionBackend
from rowhooks.domain.errors import ReceiverError, SettingsError
from rowhooks.receivers.loading import load_permission_backend
from rowhooks.receivers.user import User


class Book(PermissionBackend):
    """Knows what alice may do, and remembers what it was asked."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed
        self.asked: list[Any] = []

    def has_perm(self, session: Any, username: str, permission: str, obj: Any = None) -> bool:
        self.asked.append((session, username, permission, obj))
        if permission == "broken":
            raise ReceiverError("'broken' is not a permission")
        return permission in self.allowed

    def is_superuser(self, session: Any, username: str) -> bool:
        self.asked.append((session, username, "superuser"))
        return username == "root"

    def groups(self, session: Any, username: str) -> list[str]:
        self.asked.append((session, username, "groups"))
        return ["staff", "network"]


def plain(backend: PermissionBackend, username: str = "alice") -> User:
    return User(username, backend, lambda work: work("session"), asynchronous=False)


class OneAtATime:
    """A session of an async receiver: it refuses a second question before the first is answered."""

    def __init__(self) -> None:
        self.busy = False

    async def run_sync(self, work: Callable[[Any], Any]) -> Any:
        assert not self.busy
        self.busy = True
        await asyncio.sleep(0)
        value = work("session")
        self.busy = False
        return value


def asynchronous(backend: PermissionBackend, username: str = "alice") -> User:
    return User(username, backend, OneAtATime().run_sync, asynchronous=True)


def test_a_user_is_shown_by_its_name() -> None:
    user = plain(Book(), "alice")
    assert (user.username, str(user), f"User '{user}'", repr(user)) == (
        "alice",
        "alice",
        "User 'alice'",
        "<User alice>",
    )


def test_the_backend_answers_for_the_user_on_the_runs_session() -> None:
    backend = Book("dcim.view_device")
    user = plain(backend)
    assert user.has_perm("dcim.view_device") is True
    assert user.has_perm("dcim.add_device", "row") is False
    assert backend.asked == [
        ("session", "alice", "dcim.view_device", None),
        ("session", "alice", "dcim.add_device", "row"),
    ]


def test_all_of_several_permissions_are_needed() -> None:
    user = plain(Book("dcim.view_device", "dcim.add_device"))
    assert user.has_perms(["dcim.view_device", "dcim.add_device"]) is True
    assert user.has_perms(["dcim.view_device", "dcim.delete_device"]) is False
    assert user.has_perms([]) is True


def test_several_permissions_are_asked_for_the_object() -> None:
    backend = Book("dcim.view_device")
    assert plain(backend).has_perms(iter(["dcim.view_device"]), "row") is True
    assert backend.asked == [("session", "alice", "dcim.view_device", "row")]


@pytest.mark.parametrize("make", [plain, asynchronous])
def test_one_string_is_not_taken_for_a_list_of_permissions(make: Callable[[Book], User]) -> None:
    with pytest.raises(ReceiverError, match=r"has_perms\('dcim.view_device'\) needs a list"):
        make(Book()).has_perms("dcim.view_device")


def test_superuser_and_groups_are_the_backends() -> None:
    assert (plain(Book(), "alice").is_superuser, plain(Book(), "root").is_superuser) == (False, True)
    assert plain(Book()).groups == ["staff", "network"]


def test_an_answer_is_kept_for_the_run() -> None:
    backend = Book()
    user = plain(backend)
    for _ in range(2):
        user.has_perm("dcim.view_device")
        user.has_perms(["dcim.view_device"])
        assert user.is_superuser is False
        user.groups.append("wheel")
    assert user.groups == ["staff", "network"]
    assert len(backend.asked) == 3


def test_an_answer_about_an_object_is_not_kept() -> None:
    backend = Book()
    user = plain(backend)
    user.has_perm("dcim.view_device", "row")
    user.has_perm("dcim.view_device", "row")
    assert len(backend.asked) == 2


def test_another_run_asks_again() -> None:
    backend = Book()
    plain(backend).has_perm("dcim.view_device")
    plain(backend).has_perm("dcim.view_device")
    assert len(backend.asked) == 2


def test_a_question_that_failed_is_asked_again() -> None:
    backend = Book()
    user = plain(backend)
    for _ in range(2):
        with pytest.raises(ReceiverError, match="'broken' is not a permission"):
            user.has_perm("broken")
    assert len(backend.asked) == 2


@pytest.mark.parametrize("value", [None, 1, "no", []])
def test_anything_but_true_and_false_is_no_answer(value: Any) -> None:
    class Mistaken(Book):
        def has_perm(self, *_: Any) -> Any:
            return value

        def is_superuser(self, *_: Any) -> Any:
            return value

    with pytest.raises(ReceiverError, match=r"Mistaken\.has_perm returned .*, not True or False"):
        plain(Mistaken()).has_perm("dcim.view_device")
    with pytest.raises(ReceiverError, match=r"Mistaken\.is_superuser returned .*, not True or False"):
        _ = plain(Mistaken()).is_superuser


async def test_in_an_async_receiver_the_answers_are_awaited() -> None:
    user = asynchronous(Book("dcim.view_device", "dcim.add_device"))
    assert await user.has_perm("dcim.view_device") is True
    assert await user.has_perm("dcim.delete_device") is False
    assert await user.has_perms(["dcim.view_device", "dcim.add_device"]) is True
    assert await user.has_perms(["dcim.view_device", "dcim.delete_device"]) is False
    assert await user.is_superuser is False
    assert await user.groups == ["staff", "network"]


async def test_an_awaited_answer_is_kept_for_the_run() -> None:
    backend = Book("dcim.view_device")
    user = asynchronous(backend)
    assert await user.has_perm("dcim.view_device")
    assert await user.has_perm("dcim.view_device")
    assert await user.has_perms(["dcim.view_device"])
    assert len(backend.asked) == 1


async def test_an_answer_may_be_awaited_more_than_once() -> None:
    backend = Book("dcim.view_device")
    answer = asynchronous(backend).has_perms(name for name in ["dcim.view_device"])
    assert [await answer, await answer] == [True, True]
    assert len(backend.asked) == 1


async def test_answers_awaited_together_are_asked_for_one_after_another() -> None:
    backend = Book("dcim.view_device")
    user = asynchronous(backend)
    answers = await asyncio.gather(
        user.has_perm("dcim.view_device"), user.has_perm("dcim.view_device"), user.is_superuser, user.groups
    )
    assert list(answers) == [True, True, False, ["staff", "network"]]
    assert len(backend.asked) == 3


async def test_an_error_comes_out_of_the_await() -> None:
    with pytest.raises(ReceiverError, match="'broken' is not a permission"):
        await asynchronous(Book()).has_perm("broken")


WITHOUT_AWAIT: list[Callable[[Any], Any]] = [
    lambda answer: not answer,
    lambda answer: "yes" if answer else "no",
    lambda answer: answer and 1,
    lambda answer: answer or 1,
    lambda answer: all([answer]),
    lambda answer: bool(answer),
    lambda answer: int(answer),
    lambda answer: answer == True,  # noqa: E712
    lambda answer: answer != False,  # noqa: E712
    lambda answer: True == answer,  # noqa: E712, SIM300
    lambda answer: answer in (True,),
    lambda answer: answer in [False],
    lambda answer: answer > 0,
    lambda answer: answer & True,
    lambda answer: True | answer,
    lambda answer: ~answer,
    lambda answer: len(answer),
    lambda answer: list(answer),
    lambda answer: "staff" in answer,
    lambda answer: answer[0],
    lambda answer: ["wheel"] + answer,  # noqa: RUF005
]


@pytest.mark.parametrize("use", WITHOUT_AWAIT, ids=range(len(WITHOUT_AWAIT)))
def test_an_answer_that_is_not_awaited_never_passes_for_one(use: Callable[[Any], Any]) -> None:
    user = asynchronous(Book("dcim.view_device"))
    for answer, question in [
        (user.has_perm("dcim.view_device"), "has_perm('dcim.view_device')"),
        (user.has_perm("dcim.view_device", "row"), "has_perm('dcim.view_device', obj)"),
        (user.has_perms(["dcim.view_device"]), "has_perms(['dcim.view_device'])"),
        (user.is_superuser, "is_superuser"),
        (user.groups, "groups"),
    ]:
        with pytest.raises(TypeError) as refused:
            use(answer)
        assert f"await self.user.{question}" in str(refused.value)
        assert repr(answer) == f"<not awaited: self.user.{question}>"


def test_an_answer_that_is_not_awaited_asks_nothing_and_leaves_no_warning() -> None:
    backend = Book()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        user = asynchronous(backend)
        user.has_perm("dcim.view_device")
        user.has_perms(["dcim.view_device"])
        _ = user.groups
        gc.collect()
    assert backend.asked == []


def test_the_base_backend_believes_the_application_and_denies_everything() -> None:
    backend = PermissionBackend()
    assert backend.resolve(None, [("alice", "app"), (None, "app"), ("", "app")]) == ["alice", "app", "app"]
    assert backend.is_superuser(None, "alice") is False
    assert backend.groups(None, "alice") == []
    with pytest.raises(NotImplementedError, match="PermissionBackend must define has_perm"):
        backend.has_perm(None, "alice", "dcim.view_device")


@pytest.fixture
def auth(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Write a module `acme_auth` with a permission backend; undo its import after the test."""

    def write(body: str) -> str:
        (tmp_path / "acme_auth.py").write_text("import rowhooks\n" + textwrap.dedent(body))
        return "acme_auth.Permissions"

    yield write
    sys.modules.pop("acme_auth", None)


GOOD = """
class Permissions(rowhooks.PermissionBackend):
    def has_perm(self, session, username, permission, obj=None):
        return username == "alice"
"""


def test_a_backend_is_found_by_its_name_beside_the_settings_file(auth: Callable[[str], str], tmp_path: Path) -> None:
    backend = load_permission_backend(auth(GOOD), tmp_path)
    assert type(backend).__name__ == "Permissions"
    assert plain(backend).has_perm("anything") is True


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise RuntimeError('no server')", "cannot be imported: RuntimeError: no server"),
        ("import sys; sys.exit(1)", "cannot be imported: SystemExit: 1"),
        ("None.x", "cannot be imported: AttributeError: 'NoneType' object has no attribute 'x'"),
        ("", "module acme_auth has no Permissions"),
        ("Permissions = 3", "is not a class"),
        (GOOD + "Permissions = Permissions()", "is not a class"),
        ("class Permissions: ...", "is no subclass of rowhooks.PermissionBackend"),
        ("class Permissions(rowhooks.PermissionBackend): ...", "does not define has_perm"),
        (GOOD.replace("def has_perm", "async def has_perm"), "has_perm is async def"),
        (GOOD + "    async def groups(self, session, username): return []", "groups is async def"),
        (GOOD + "    def __init__(self): raise OSError('no LDAP')", "cannot be constructed: OSError: no LDAP"),
        (GOOD + "    def __init__(self, url): ...", "cannot be constructed: TypeError: "),
    ],
)
def test_a_backend_that_cannot_be_used_is_a_wrong_setting(
    auth: Callable[[str], str], tmp_path: Path, body: str, message: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load_permission_backend(auth(body), tmp_path)
    assert str(refused.value).startswith("permission_backend: ")
    assert "acme_auth" in str(refused.value)
    assert message in str(refused.value)


@pytest.mark.parametrize("path", ["Permissions", "", ".", "acme_auth.", ".Permissions"])
def test_a_backend_is_named_by_module_and_class(path: str) -> None:
    with pytest.raises(SettingsError, match=r"is not module\.Class \(for example acme\.auth\.Permissions\)"):
        load_permission_backend(path)


def test_a_backends_module_that_is_missing_is_named() -> None:
    with pytest.raises(SettingsError, match=r"acme_missing\.Permissions cannot be imported: ModuleNotFoundError"):
        load_permission_backend("acme_missing.Permissions")
