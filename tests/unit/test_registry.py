"""register_jobs, table() and the catalogue of receivers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange, register_jobs, table
from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.row_types import RowType, describe_rows
from rowhooks.pipeline.execution.run_log import RunLog
from rowhooks.receivers.classes import describe
from rowhooks.receivers.logger import collect_entries
from rowhooks.receivers.registry import Catalog, take_registered
from tests.support.make import change, hook, job, run


@pytest.fixture(autouse=True)
def empty_registry() -> Iterator[None]:
    take_registered()
    yield
    take_registered()


class Plain(JobHookReceiver):
    """Keep serials tidy.

    More about it.
    """

    class Meta:
        name = "Serial policy"
        grouping = "Policies"

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return {"action": action, "object": changed_object, "session": self.session, "key": self.job_result.key}


class Asynchronous(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return action


class WithoutMethod(JobHookReceiver):
    pass


class RunOnly(JobHookReceiver):
    def run(self, object_change: ObjectChange) -> Any:
        return object_change.id


def test_what_is_registered_is_taken_once() -> None:
    register_jobs(Plain, Asynchronous)
    assert take_registered() == [Plain, Asynchronous]
    assert take_registered() == []


def test_a_receiver_may_define_run_instead() -> None:
    register_jobs(RunOnly)
    assert take_registered() == [RunOnly]


def test_a_class_without_its_method_is_refused_by_file_and_line() -> None:
    with pytest.raises(ReceiverError) as refused:
        register_jobs(WithoutMethod)
    assert f"{__name__}.WithoutMethod ({__file__}, line " in refused.value.message
    line = int(refused.value.message.partition("line ")[2].partition(")")[0])
    with open(__file__) as source:  # noqa: PTH123
        assert source.read().splitlines()[line - 1] == "class WithoutMethod(JobHookReceiver):"
    assert refused.value.message.endswith("does not define receive_job_hook")
    assert refused.value.hint == "def receive_job_hook(self, change, action, changed_object): ..."


class WrongArguments(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str) -> Any:  # type: ignore[override]
        return action


class WrongNames(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, what: str, changed_object: Any) -> Any:
        return what


class WrongRun(JobHookReceiver):
    def run(self, change: ObjectChange) -> Any:
        return change


class Lenient(JobHookReceiver):
    def receive_job_hook(self, **given: Any) -> Any:  # type: ignore[override]
        return given


@pytest.mark.parametrize("wrong", [WrongArguments, WrongNames, WrongRun])
def test_a_method_that_cannot_be_called_as_it_will_be_is_refused_by_file_and_line(wrong: type[JobHookReceiver]) -> None:
    with pytest.raises(ReceiverError, match=rf"{wrong.__name__} \(.*test_registry.py, line \d+\) cannot be called"):
        register_jobs(wrong)
    assert take_registered() == []


def test_a_method_that_takes_any_keyword_is_fine() -> None:
    register_jobs(Lenient)
    assert take_registered() == [Lenient]


def test_a_class_without_a_source_is_refused_all_the_same() -> None:
    made = type("Made", (JobHookReceiver,), {"__module__": "nowhere"})
    with pytest.raises(ReceiverError, match=r"nowhere\.Made .* does not define receive_job_hook"):
        register_jobs(made)


@pytest.mark.parametrize("wrong", [Plain(), "Plain", None])
def test_what_is_no_receiver_class_is_refused(wrong: Any) -> None:
    with pytest.raises(ReceiverError, match="not a JobHookReceiver or JobButtonReceiver class"):
        register_jobs(wrong)


def test_one_refusal_registers_none_of_the_call() -> None:
    with pytest.raises(ReceiverError):
        register_jobs(Plain, WithoutMethod)
    assert take_registered() == []


def test_a_plain_class_is_left_out_with_a_warning_and_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class Helper:
        pass

    given: Any = (Helper, Plain, int)
    register_jobs(*given)
    assert take_registered() == [Plain]
    left_out = "register_jobs leaves %s out: it is neither a JobHookReceiver nor a JobButtonReceiver"
    assert caplog.messages == [left_out % f"{__name__}.{Helper.__qualname__}", left_out % "builtins.int"]


def test_a_job_is_described_by_its_meta_and_docstring() -> None:
    described = describe(Plain)
    assert (described.class_path, described.entry.name, described.entry.grouping, described.entry.description) == (
        f"{__name__}.Plain", "Serial policy", "Policies", "Keep serials tidy.",
    )  # fmt: skip
    assert not described.asynchronous


def test_a_job_that_says_nothing_of_itself_is_called_by_its_class() -> None:
    described = describe(Asynchronous)
    assert (described.entry.name, described.entry.grouping) == ("Asynchronous", "")
    assert described.asynchronous


def test_a_job_without_a_docstring_has_no_description() -> None:
    assert describe(Asynchronous).entry.description == ""


def test_the_catalogue_knows_its_classes() -> None:
    catalog = Catalog([Plain, Asynchronous])
    assert len(catalog) == 2
    assert [one.cls for one in catalog] == [Plain, Asynchronous]
    assert catalog.is_asynchronous(f"{__name__}.Asynchronous")
    assert not catalog.is_asynchronous(f"{__name__}.Plain")
    assert not catalog.is_asynchronous("no.such.Class")


class Workspace:
    session = "the session"

    def with_session(self, work: Any) -> Any:
        return work(self.session)


def call(cls: Any, log: RunLog | None = None, of: ObjectChange | None = None) -> Any:
    one = run(7, cause=of or change(7), origin=hook(job=job(class_path=f"{__name__}.{cls.__qualname__}")))
    workspace: Any = Workspace()
    return Catalog([cls]).prepare(one, "alice", workspace, "the row", log or RunLog()).run()


def test_a_receiver_is_called_with_everything_it_may_use() -> None:
    assert call(Plain) == {"action": "update", "object": "the row", "session": "the session", "key": "key:7"}


async def test_an_asynchronous_receivers_call_is_awaited_by_the_caller() -> None:
    assert await call(Asynchronous) == "update"


class Instances(JobHookReceiver):
    seen: list[Any] = []  # noqa: RUF012

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(self)


class WithoutRow(JobHookReceiver):
    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return changed_object


class Batched(JobHookReceiver):
    def receive_job_hooks(self, changes: list[ObjectChange]) -> None:
        pass


class Pressed(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("cls", "loads"),
    [(Plain, True), (Lenient, True), (RunOnly, True), (Pressed, True), (WithoutRow, False), (Batched, False)],
)
def test_the_row_is_loaded_for_those_that_are_called_with_it(cls: Any, loads: bool) -> None:
    catalog = Catalog([cls])
    (described,) = catalog
    assert catalog.options(described.class_path).loads_object is loads
    assert described.entry.meta["loads_object"] is loads


def test_no_row_is_loaded_for_a_class_that_is_not_installed() -> None:
    assert not Catalog([]).options("no.such.Class").loads_object


@pytest.mark.parametrize(
    ("cls", "value", "what"),
    [
        (Plain, "no", "True or False, not 'no'"),
        (Plain, None, "True or False, not None"),
        (Batched, True, "left out, as receive_job_hooks gets changes and no rows, not True"),
        (Pressed, False, "left out, as receive_job_button always gets its row, not False"),
    ],
)
def test_a_loads_object_that_cannot_be_is_refused(cls: Any, value: object, what: str) -> None:
    wrong = type("Wrong", (cls,), {"Meta": type("Meta", (), {"loads_object": value})})
    with pytest.raises(ReceiverError, match=rf"\.Wrong: Meta\.loads_object must be {what}"):
        register_jobs(wrong)


class Looks(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return [change.changed_object, change.pk, self.job_result.user]


class LooksWithoutRow(Looks):
    class Meta:
        loads_object = False


def test_the_change_has_the_row_that_the_receiver_is_called_with() -> None:
    row, pk, user = call(Looks)
    assert (row, pk, str(user)) == ("the row", 7, "alice")


def test_a_row_that_was_not_loaded_is_no_row_that_is_gone() -> None:
    with pytest.raises(ReceiverError, match=r"the row of <ObjectChange 7: update dcim.device> was not loaded .*batch"):
        call(LooksWithoutRow)


def test_the_result_and_the_receiver_have_one_user() -> None:
    class Asks(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
            return self.user is self.job_result.user

    one = run(7, cause=change(7), origin=hook(job=job(class_path=f"{__name__}.{Asks.__qualname__}")))
    workspace: Any = Workspace()
    assert Catalog([Asks]).prepare(one, "alice", workspace, None, RunLog()).run()


def test_each_run_has_an_instance_of_its_own() -> None:
    call(Instances)
    call(Instances)
    assert len(set(map(id, Instances.seen))) == 2


class Altering(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        assert change.postchange == {"name": "sw1"}
        change.postchange["name"] = "altered"


def test_what_a_receiver_does_to_its_change_is_not_seen_by_the_next() -> None:
    one = change(after={"name": "sw1"})
    call(Altering, of=one)
    call(Altering, of=one)
    assert one.postchange == {"name": "sw1"}


class Talking(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.logger.info("hello")


def test_what_a_receiver_logs_is_collected() -> None:
    collect_entries()
    log = RunLog()
    call(Talking, log)
    assert [(entry.level, entry.message) for entry in log.take()] == [("info", "hello")]
    assert logging.getLogger("rowhooks.jobs").level == logging.DEBUG


def test_a_class_that_is_not_installed_cannot_be_called() -> None:
    workspace: Any = Workspace()
    with pytest.raises(ReceiverError, match=r"policies\.Serial is not installed in this daemon"):
        Catalog([]).prepare(run(), "alice", workspace, None, RunLog())


def test_the_base_class_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="must define receive_job_hook"):
        JobHookReceiver().receive_job_hook(change(), "update", None)


class Row:
    pass


class RowOfOwnKind(Row):
    pass


describe_rows(RowType(Row, "dcim.device"))


def test_isinstance_tells_rows_by_their_table() -> None:
    assert isinstance(Row(), table("dcim.device"))
    assert isinstance(RowOfOwnKind(), table("dcim.device"))
    assert not isinstance(Row(), table("dcim.site"))
    assert not isinstance(None, table("dcim.device"))
    assert not isinstance(object(), table("dcim.device"))


def test_a_table_says_what_it_is() -> None:
    assert repr(table("dcim.device")) == "table('dcim.device')"
    assert table("dcim.device").table_name == "dcim.device"
    assert table('Odd schema."odd.table"').table_name == 'Odd schema."odd.table"'
    assert table('"acme.com"."user"').table_name == '"acme.com".user'


@pytest.mark.parametrize("name", ["device", "", ".device", "dcim.", "."])
def test_a_table_without_schema_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(ReceiverError, match="needs schema and table") as refused:
        table(name)
    assert "for example table('public." in (refused.value.hint or "")


def test_the_hint_for_a_bare_name_uses_it() -> None:
    with pytest.raises(ReceiverError) as refused:
        table("device")
    assert refused.value.hint == "for example table('public.device')"
