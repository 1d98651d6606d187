"""Hooks, buttons and jobs are configured by those who may, and what they try shows before they save."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visit, Visits
from tests.support.console_world import World


def test_a_hook_is_tried_against_past_changes_saved_and_then_starts(visiting: Visits, own_world: World) -> None:
    device, _ = own_world.new_device()
    own_world.db.execute("update inv.device set status = 'planned' where id = %s", (device,))
    own_world.settle()
    with visiting.console(own_world.dsn) as address:
        page = visiting(address, "ada").page
        page.goto("/")
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Hooks").click()
        page.get_by_role("link", name="Add a hook").click()
        page.get_by_label("Name").fill("retired ones")
        page.get_by_label("Job", exact=True).select_option("tests.support.console_receivers.NoteStatus")
        page.get_by_role("group", name="Tables").get_by_role("checkbox", name="inv.device", exact=True).check()
        page.get_by_role("group", name="Starts on").get_by_role("checkbox", name="update").check()
        page.get_by_label("Conditions", exact=True).fill('{"attr": "status", "value": "retired"}')
        page.get_by_role("button", name="Try against past changes").click()
        expect(page.get_by_label("Name")).to_have_value("retired ones")
        assert own_world.db.execute("select from rowhooks.job_hook where name = 'retired ones'").fetchall() == []
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_role("heading", name="retired ones")).to_be_visible()
    own_world.db.execute("update inv.device set status = 'retired' where id = %s", (device,))
    own_world.settle()
    assert own_world.runs("status", "hook_name = 'retired ones'") == [("SUCCESS",)]


def test_conditions_that_are_wrong_are_said_at_their_field_and_nothing_is_lost(visit: Visit) -> None:
    ada = visit("ada")
    ada.faults.expect("status 422: POST /hooks/new")
    ada.goes_to("/hooks/new")
    page = ada.page
    page.get_by_label("Name").fill("wrong one")
    page.get_by_label("Job", exact=True).select_option("tests.support.console_receivers.NoteStatus")
    page.get_by_role("group", name="Tables").get_by_role("checkbox", name="inv.device", exact=True).check()
    page.get_by_role("group", name="Starts on").get_by_role("checkbox", name="update").check()
    page.get_by_label("Conditions", exact=True).fill('{"attr": "status", "op": "sounds like", "value": 1}')
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("alert").get_by_role("link", name="Conditions").click()
    expect(page.get_by_label("Conditions", exact=True)).to_be_focused()
    expect(page.get_by_label("Conditions", exact=True)).to_have_value(
        '{"attr": "status", "op": "sounds like", "value": 1}'
    )


@pytest.mark.parametrize(("role", "offered"), [("alice", ()), ("oscar", ("Disable",)), ("ada", ("Disable", "Remove"))])
def test_each_is_offered_the_acts_of_its_level(visit: Visit, role: str, offered: tuple[str, ...]) -> None:
    page = visit(role).page
    page.goto("/hooks/NoteStatus")
    expect(page.get_by_role("heading", name="NoteStatus")).to_be_visible()
    for act in ("Disable", "Remove"):
        assert (page.get_by_role("button", name=act, exact=True).count() > 0) is (act in offered), act


def test_an_operator_disables_a_hook_and_enables_it_again(visit: Visit, world: World) -> None:
    device, name = world.new_device()
    page = visit("oscar").page
    page.goto("/hooks/NoteStatus")
    page.get_by_role("button", name="Disable", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").last.click()
    expect(page.get_by_role("button", name="Enable", exact=True)).to_be_visible()
    world.db.execute("update inv.device set status = 'unnoticed' where id = %s", (device,))
    world.settle()
    page.get_by_role("button", name="Enable", exact=True).click()
    expect(page.get_by_role("button", name="Disable", exact=True)).to_be_visible()
    world.db.execute("update inv.device set status = 'noticed' where id = %s", (device,))
    world.settle()
    assert world.db.execute("select message from inv.journal where device_id = %s", (device,)).fetchall() == [
        (f"{name} is noticed",)
    ]
    assert world.db.execute(
        "select actor::text, act from rowhooks.audit where object::text ~ 'NoteStatus' order by time"
    ).fetchall() == [("oscar", "disable_hook"), ("oscar", "enable_hook")]
