"""Queues: their names, which one a run is in, and what becomes of one that the settings do not have."""

from __future__ import annotations

from typing import Any

import pytest

from rowhooks import JobHookReceiver, ObjectChange, register_jobs
from rowhooks.domain.configuration import Configuration, JobButton
from rowhooks.domain.errors import ReceiverError, UsageError
from rowhooks.domain.job import JobOptions
from rowhooks.domain.queues import check_queue, is_allowed, is_queue_name, queue_of, with_stray_queues_kept
from rowhooks.receivers.registry import Catalog, take_registered
from tests.support.make import hook, job

NO_NAMES = ["", "a b", "a/b", "ü", "a\n", "a" * 64, 3, None, ["default"]]


class Reports(JobHookReceiver):
    class Meta:
        queue = "reports"

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None: ...


@pytest.mark.parametrize("name", ["default", "a", "Reports.2026_q-1", "a" * 63, "0"])
def test_a_name_has_letters_digits_and_three_signs(name: str) -> None:
    assert is_queue_name(name)
    check_queue(name)


@pytest.mark.parametrize("name", NO_NAMES)
def test_anything_else_is_no_name(name: object) -> None:
    assert not is_queue_name(name)


def test_what_is_given_for_a_hook_is_refused_with_what_a_name_has() -> None:
    check_queue(None)
    with pytest.raises(UsageError, match=r"queue 'a b' is no name of a queue \(a name has 1 to 63 letters, digits, _"):
        check_queue("a b")


@pytest.mark.parametrize(
    ("own", "of_job", "expected"),
    [("own", "job", "own"), (None, "job", "job"), (None, None, "default"), ("own", None, "own")],
)
def test_the_hooks_or_buttons_own_queue_comes_before_the_jobs_and_the_default(
    own: str | None, of_job: str | None, expected: str
) -> None:
    options = JobOptions(queue=of_job)
    assert queue_of(hook(queue=own), options, "default") == expected
    assert queue_of(JobButton(1, "one", job(), own), options, "default") == expected


def test_only_the_queues_of_the_settings_are_allowed() -> None:
    assert is_allowed("reports", ("default", "reports"))
    assert not is_allowed("report", ("default", "reports"))


def test_what_is_in_no_queue_of_the_settings_waits_as_if_its_job_were_missing_and_nothing_else_does() -> None:
    stray, other = hook(1, queue="stray"), hook(2)
    buttons = (JobButton(1, "stray", job(), "stray"), JobButton(2, "other", job()))
    loaded = Configuration(1, {}, (job(),), (stray, other), buttons)
    kept = with_stray_queues_kept(loaded, lambda origin: origin.queue is None)
    assert [one.lacks_class for one in kept.hooks] == [True, False]
    assert [one.job.installed for one in kept.buttons] == [False, True]
    assert (kept.jobs, kept.hooks[1]) == (loaded.jobs, other)


def test_meta_names_the_queue_of_a_jobs_runs() -> None:
    catalog = Catalog([Reports])
    (registered,) = catalog
    assert catalog.options(registered.class_path).queue == "reports"
    assert registered.entry.meta["queue"] == "reports"


@pytest.mark.parametrize("name", [name for name in NO_NAMES if name is not None])
def test_a_queue_in_meta_that_is_no_name_is_refused_with_class_and_attribute(name: object) -> None:
    wrong = type("Wrong", (Reports,), {"Meta": type("Meta", (), {"queue": name})})
    with pytest.raises(ReceiverError, match=r"\.Wrong: Meta\.queue must be None or the name of a queue \(1 to") as no:
        register_jobs(wrong)
    assert no.value.hint == 'see docs/receivers.md, "Meta"'
    assert take_registered() == []
