"""The example of Nautobot's job buttons, by clicks: enable the job, make the button, press it on two kinds of rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import Visits, row_path
from tests.support.console_world import World

SIMPLE, COMPLEX = "ExampleSimpleJobButtonReceiver", "ExampleComplexJobButtonReceiver"
JOB = "tests.support.console_receivers.{}".format


@pytest.fixture
def fresh(own_world: World, visiting: Visits) -> Iterator[tuple[World, str]]:
    """An inventory in which the examples were registered and nothing was done since, and its console's address."""
    own_world.db.execute("delete from rowhooks.job_button where name ~ 'Example'")
    own_world.db.execute("update rowhooks.job set enabled = false where class_path ~ 'Example'")
    with visiting.console(own_world.dsn) as address:
        yield own_world, address


@pytest.mark.parametrize("java_script", [True, False])
def test_the_simple_example_by_clicks(visiting: Visits, fresh: tuple[World, str], java_script: bool) -> None:
    world, address = fresh
    device, name = world.new_device()
    ada, alice = (visiting(address, java_script_enabled=java_script) for _ in range(2))
    ada.logs_in("ada")
    alice.logs_in("alice")
    enable(ada.page, JOB(SIMPLE))
    add_button(ada.page, "Run simple job", JOB(SIMPLE), ["inv.device"], "Simple job on {{ obj.name }}")
    alice.goes_to(row_path("inv.device", device))
    press(alice.page, f"Simple job on {name}")
    line = log_line(alice.page, "Running Job Button Receiver.")
    expect(line).to_contain_text("info")
    expect(line).to_contain_text(name)
    world.settle()
    assert world.presses(device, "status, db_user") == [("SUCCESS", "alice")]


def test_the_complex_example_by_clicks_asks_what_the_presser_may(visiting: Visits, fresh: tuple[World, str]) -> None:
    world, address = fresh
    device, _ = world.new_device()
    ada, alice = visiting(address, "ada"), visiting(address, "alice")
    ada.goes_to("/")
    enable(ada.page, JOB(COMPLEX))
    add_button(ada.page, "Run complex job", JOB(COMPLEX), ["inv.device", "inv.location"], "Complex job")
    # Alice may add devices, and no locations.
    alice.goes_to(row_path("inv.device", device))
    press(alice.page, "Complex job")
    log_line(alice.page, "Running Device Job Button Receiver.")
    alice.goes_to(row_path("inv.location", 2))
    press(alice.page, "Complex job")
    line = log_line(alice.page, "User 'alice' does not have permission to add a Location.")
    expect(line).to_contain_text("error")
    expect(alice.page.get_by_role("region", name="Exception")).to_contain_text(
        "User does not have permission to add a Location."
    )


def enable(page: Page, job: str) -> None:
    """Enable a job."""
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Jobs").click()
    page.get_by_role("link", name=job).click()
    page.get_by_role("button", name="Enable", exact=True).click()
    expect(page.get_by_text("The job was enabled.")).to_be_visible()


def add_button(page: Page, name: str, job: str, tables: list[str], label: str) -> None:
    """Add a button for a job."""
    page.get_by_role("link", name="Add a button for it").click()
    expect(page.get_by_label("Job", exact=True)).to_have_value(job)
    page.get_by_label("Name").fill(name)
    for table in tables:
        page.get_by_role("group", name="Tables").get_by_role("checkbox", name=table, exact=True).check()
    page.get_by_label("Label").fill(label)
    page.get_by_label("Roles that may press it").fill("technicians")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def press(page: Page, label: str) -> None:
    """Press a button that asks before."""
    page.locator("summary", has_text=label).click()
    page.get_by_role("button", name="Press it").locator("visible=true").click()
    page.wait_for_url("**/runs/*")


def log_line(page: Page, text: str) -> Locator:
    """Load the page of a run until a line is in its log; return that line."""
    for _ in range(100):
        if page.get_by_text("SUCCESS", exact=True).or_(page.get_by_text("FAILURE", exact=True)).count():
            break
        page.reload()
    line = page.get_by_role("table", name="Log").get_by_role("row").filter(has_text=text)
    expect(line).to_have_count(1)
    return line
