"""Runs: their logs arrive while somebody looks, failed ones are run again, and each shows what it wrote."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visit, Visits, row_path
from tests.support.console_receivers import closed_gates
from tests.support.console_world import World
from tests.support.relay import Relay
from tests.support.waiting import wait

SEEN = """isSeen => {
    Object.defineProperty(document, 'hidden', {value: !isSeen, configurable: true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""
"""Lets a page find itself seen by somebody, or by nobody."""


def test_a_log_arrives_line_by_line_while_the_run_goes_on(visit: Visit, world: World) -> None:
    device, name = world.new_device()
    page = visit("alice").page
    with closed_gates(world.dsn) as gates:
        press_provision(page, device, name)
        log = page.get_by_role("table", name="Log")
        for step in (1, 2, 3):
            expect(log).to_contain_text(f"step {step} of 3 on {name}")
            assert log.get_by_text(f"step {step + 1} of 3").count() == 0
            expect(page.get_by_text("STARTED", exact=True)).to_be_visible()
            gates.open(step)
        expect(log).to_contain_text("provisioned")
        expect(page.get_by_text("SUCCESS", exact=True)).to_be_visible()
    # In their order, and each once.
    assert log.locator("tbody td:last-child").all_inner_texts() == [
        *(f"step {step} of 3 on {name}" for step in (1, 2, 3)), "provisioned",
    ]  # fmt: skip


def test_a_run_shows_what_it_wrote_column_by_column_when_it_has_ended(visit: Visit, world: World) -> None:
    device, name = world.new_device()
    page = visit("alice").page
    with closed_gates(world.dsn):
        press_provision(page, device, name, template="edge")
    written = page.get_by_role("region", name="What it wrote")
    expect(written.get_by_role("row", name="comments")).to_contain_text("edge, 3 retries")


def test_without_a_script_a_reload_shows_the_log_so_far(visit: Visit, world: World) -> None:
    device, name = world.new_device()
    page = visit("alice", java_script_enabled=False).page
    with closed_gates(world.dsn) as gates:
        press_provision(page, device, name)
        reload_until(page, f"step 1 of 3 on {name}")
        gates.open(1)
        reload_until(page, f"step 2 of 3 on {name}")
    # The last line may come before the COMMIT.
    reload_until(page, "base, 3 retries")
    expect(page.get_by_role("row", name="comments")).to_contain_text("base, 3 retries")
    expect(page.get_by_role("table", name="Log")).to_contain_text("provisioned")


@pytest.mark.parametrize("java_script", [True, False])
def test_a_failed_run_is_run_again_by_an_operator(visit: Visit, world: World, java_script: bool) -> None:
    device, _ = world.new_device(serial=None)
    page = visit("oscar", java_script_enabled=java_script).page
    page.goto(row_path("inv.device", device))
    page.get_by_role("button", name="Calibrate").click()
    reload_until(page, "FAILURE")
    expect(page.get_by_role("region", name="Exception")).to_contain_text("no serial on")
    expect(page.get_by_role("table", name="Log")).to_contain_text("does not answer")
    failed = page.url
    world.db.execute("update inv.device set serial = 'SN-9' where id = %s", (device,))
    page.get_by_text("Run again", exact=True).first.click()
    page.get_by_role("button", name="Run it again").click()
    page.wait_for_url(lambda url: url != failed)
    reload_until(page, "SUCCESS")
    expect(page.get_by_role("row", name="comments")).to_contain_text("calibrated")
    assert world.presses(device, "status") == [("FAILURE",), ("SUCCESS",)]
    # The new run names the old one, and leads to it.
    page.get_by_role("link", name=f"run {failed.rpartition('/')[2]}").first.click()
    page.wait_for_url(failed)


def test_a_viewer_is_offered_no_retry_and_its_forged_one_is_refused_by_the_database(visit: Visit, world: World) -> None:
    device, _ = world.new_device(serial=None)
    run = world.press("Calibrate", device)
    world.settle()
    alice = visit("alice")
    alice.faults.expect("status 403: POST /runs/")
    alice.goes_to(f"/runs/{run}")
    expect(alice.page.get_by_role("heading", name=f"Run {run}")).to_be_visible()
    expect(alice.page.get_by_text("Run again")).to_have_count(0)
    token = alice.page.locator("input[name=csrf_token]").first.input_value()
    answer = alice.context.request.post(
        f"/runs/{run}/retry", form={"csrf_token": token, "seen": "0"}, headers={"origin": alice.address}
    )
    assert answer.status == 403
    assert len(world.presses(device)) == 1


def test_a_run_that_waits_is_revoked(visit: Visit, world: World) -> None:
    device, name = world.new_device()
    oscar = visit("oscar")
    with closed_gates(world.dsn):
        world.press("Provision", device, inputs='{"template": "base"}')
        press_provision(oscar.page, device, name)
        oscar.page.get_by_role("button", name="Revoke").click()
        oscar.page.get_by_role("dialog").get_by_role("button", name="Revoke it").click()
        expect(oscar.page.get_by_text("REVOKED", exact=True).first).to_be_visible()
    world.settle()
    assert world.presses(device, "db_user, status") == [("alice", "SUCCESS"), ("oscar", "REVOKED")]


def test_new_runs_appear_at_the_top_of_the_list_and_change_their_status_there(visit: Visit, world: World) -> None:
    device, _ = world.new_device()
    page = visit("alice").page
    page.goto("/runs?button=Provision")
    expect(page.get_by_text("Live.", exact=True)).to_be_visible()
    with closed_gates(world.dsn):
        run = world.press("Provision", device, inputs='{"template": "base"}')
        line = (
            page.get_by_role("table").get_by_role("row").filter(has=page.get_by_role("link", name=str(run), exact=True))
        )
        expect(line).to_contain_text("STARTED")
    expect(line).to_contain_text("SUCCESS")
    assert page.get_by_role("table").get_by_role("rowheader").first.inner_text() == str(run)


def test_the_filters_of_the_runs_stand_in_the_address(visit: Visit, world: World) -> None:
    device, _ = world.new_device(serial=None)
    failed, succeeded = world.press("Calibrate", device), world.press("ExampleSimpleJobButtonReceiver", device)
    world.settle()
    page = visit("alice").page
    page.goto("/runs")
    page.get_by_label("Status").select_option("FAILURE")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("link", name=str(failed), exact=True)).to_be_visible()
    expect(page.get_by_role("link", name=str(succeeded), exact=True)).to_have_count(0)
    assert "status=FAILURE" in page.url
    page.reload()
    expect(page.get_by_label("Status")).to_have_value("FAILURE")


def test_a_run_of_a_row_that_a_person_may_not_see_is_no_run_for_it(visit: Visit, world: World) -> None:
    device, name = world.new_device(is_hidden_from_bert=True)
    run = world.press("Calibrate", device)
    world.settle()
    bert = visit("bert")
    bert.faults.expect(f"status 404: GET /runs/{run}")
    assert bert.goes_to(f"/runs/{run}").status == 404
    bert.goes_to("/runs")
    expect(bert.page.get_by_role("heading", name="Runs")).to_be_visible()
    assert name not in bert.page.content()


def test_two_people_watch_the_same_run(visit: Visit, world: World) -> None:
    device, name = world.new_device()
    alice, bert = visit("alice"), visit("bert")
    with closed_gates(world.dsn) as gates:
        press_provision(alice.page, device, name)
        bert.goes_to(alice.path())
        for person in (alice, bert):
            expect(person.page.get_by_role("table", name="Log")).to_contain_text("step 1 of 3")
        gates.open(1)
        for person in (alice, bert):
            expect(person.page.get_by_role("table", name="Log")).to_contain_text("step 2 of 3")


def test_a_log_goes_on_where_it_was_when_the_network_comes_back(visiting: Visits, address: str, world: World) -> None:
    device, name = world.new_device()
    with Relay(address) as relay, visiting.until_the_end(), closed_gates(world.dsn) as gates:
        alice = visiting(relay.address, "alice")
        # The browser asks for the icon when it likes.
        alice.faults.expect(r"failed: GET .*/(events|static/icon\.svg)")
        press_provision(alice.page, device, name)
        log = alice.page.get_by_role("table", name="Log")
        expect(log).to_contain_text("step 1 of 3")
        with relay.cut():
            expect(alice.page.get_by_text("The connection is lost")).to_be_visible()
            gates.open(1)
        expect(log).to_contain_text("step 2 of 3")
        for step in (2, 3):
            gates.open(step)
        expect(log).to_contain_text("provisioned")
        expect(log.locator("tbody tr")).to_have_count(4)


def test_a_log_says_that_it_is_not_live_when_the_connections_to_the_database_end(
    visiting: Visits, own_world: World
) -> None:
    device, name = own_world.new_device()
    with visiting.console(own_world.dsn) as address, closed_gates(own_world.dsn):
        alice = visiting(address, "alice")
        alice.faults.expect(r"status 401: GET /runs/\d+/events")
        press_provision(alice.page, device, name)
        expect(alice.page.get_by_role("table", name="Log")).to_contain_text("step 1 of 3")
        own_world.db.execute(
            "select pg_terminate_backend(a.pid, 10000) from pg_stat_activity as a"
            " where a.usename = 'alice' and a.datname = current_database()"
        )
        expect(alice.page.get_by_text("Not live any more")).to_be_visible()


def test_a_tab_that_nobody_sees_follows_nothing_and_catches_up_when_it_is_seen_again(
    visit: Visit, world: World
) -> None:
    device, name = world.new_device()
    alice = visit("alice", timezone_id="Asia/Kolkata", locale="en-GB")
    with closed_gates(world.dsn) as gates:
        press_provision(alice.page, device, name)
        log = alice.page.get_by_role("table", name="Log")
        expect(log).to_contain_text("step 1 of 3")
        with alice.page.expect_event("requestfailed", lambda request: "/events" in request.url):
            alice.page.evaluate(SEEN, False)
        gates.open(1)
        wait(lambda: world.db.execute("select from rowhooks.job_log_entry where message ~ 'step 2'").fetchall())
        assert log.get_by_text("step 2 of 3").count() == 0
        alice.page.evaluate(SEEN, True)
        expect(log).to_contain_text("step 2 of 3")
        times = alice.page.locator("time").evaluate_all("all => all.map(it => [it.dateTime, it.title, it.textContent])")
    # Those that came live too: in the viewer's zone, with the exact time as title.
    assert len(times) >= 4
    for exact, title, text in times:
        there = datetime.fromisoformat(exact).astimezone(ZoneInfo("Asia/Kolkata"))
        assert title == exact
        assert text == f"{there:%-d %b %Y, %H:%M:%S}"


def press_provision(page: Page, device: int, name: str, template: str = "base") -> None:
    """Press Provision on a device, with its inputs, by clicks; the run's page is open then."""
    page.goto(row_path("inv.device", device))
    page.get_by_role("button", name=f"Provision {name}").click()
    page.get_by_label("template").select_option(template)
    page.get_by_role("button", name="Press it").click()
    page.wait_for_url("**/runs/*")


def reload_until(page: Page, text: str) -> None:
    """Load the page again until it has a text, as somebody without a script does."""
    expect(page.get_by_role("heading", name="Run ", level=1)).to_be_visible()
    for _ in range(200):
        if page.get_by_role("main").get_by_text(text).count():
            return
        page.reload()
    raise AssertionError(f"{text} does not come")
