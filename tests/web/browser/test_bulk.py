"""All runs that match are run again by clicks, and the page says how far that is."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visit, violations
from tests.support.console_world import World


@pytest.mark.parametrize("java_script", [True, False])
def test_an_operator_runs_all_failed_runs_of_a_button_again(visit: Visit, world: World, java_script: bool) -> None:
    devices = [world.new_device(serial=None)[0] for _ in range(3)]
    failed = [world.press("Calibrate", device) for device in devices]
    world.settle()
    user = f"batch-{java_script}"
    world.db.execute("update rowhooks.job_result set user_name = %s where id = any (%s)", (user, failed))
    world.db.execute("update inv.device set serial = 'SN-9' where id = any (%s)", (devices,))
    world.settle()
    page = visit("oscar", java_script_enabled=java_script).page
    page.goto(f"/runs?button=Calibrate&status=FAILURE&user={user}")
    page.get_by_role("link", name="Run all that match again").click()
    expect(page.get_by_role("main")).to_contain_text(user)
    page.get_by_role("button", name="Run 3 runs again").click()
    page.wait_for_url("**/runs/acts/*")
    while not java_script and page.get_by_role("link", name="Look again").count():
        page.reload()
    expect(page.get_by_text("It is done.")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "3")
    if java_script:
        assert violations(page) == []
    world.settle()
    assert [world.presses(device) for device in devices] == [[("FAILURE",), ("SUCCESS",)]] * 3
    # Back at the question, there is nothing left to be asked for.
    page.go_back()
    expect(page.get_by_text("No run matches that could be run again.")).to_be_visible()
    expect(page.get_by_role("button", name="runs again")).to_have_count(0)
