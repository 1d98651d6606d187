"""Sessions that end while somebody works: they say why, and lead back to the page."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.browser import Visit, Visitor, Visits, row_path
from tests.support.console import PASSWORD
from tests.support.console_server import Clock, console_thread
from tests.support.console_world import World
from tests.support.waiting import wait


def test_an_expired_session_is_explained_and_the_way_leads_back_to_the_page(visiting: Visits, world: World) -> None:
    clock = Clock()
    device, _ = world.new_device()
    with visiting.console(world.dsn, clock=clock) as address:
        alice = visiting(address, "alice")
        alice.goes_to(row_path("inv.device", device))
        clock.turn(901)
        alice.page.reload()
        expect(alice.page.get_by_role("main")).to_contain_text("because you had not used the console for a while")
        log_in_here(alice)
        expect(alice.page.get_by_role("heading", name=f"inv.device {device}")).to_be_visible()
        assert alice.path() == row_path("inv.device", device)


def test_a_session_ends_after_its_longest_time_however_much_it_is_used(visiting: Visits, world: World) -> None:
    clock = Clock()
    with visiting.console(world.dsn, clock=clock, longest=3000) as address:
        alice = visiting(address, "alice")
        for _ in range(4):
            clock.turn(800)
            alice.goes_to("/")
        expect(alice.page.get_by_role("main")).to_contain_text("because a session does not last longer")


def test_a_press_in_an_expired_session_presses_nothing_and_says_so(visiting: Visits, world: World) -> None:
    clock = Clock()
    device, _ = world.new_device()
    with visiting.console(world.dsn, clock=clock) as address:
        alice = visiting(address, "alice")
        alice.faults.expect(r"status 4\d\d: POST /tables/inv.device/press")
        alice.goes_to(row_path("inv.device", device))
        clock.turn(901)
        alice.page.get_by_role("button", name="Calibrate").click()
        expect(alice.page.get_by_role("heading", name="Log in")).to_be_visible()
        expect(alice.page.get_by_role("main")).to_contain_text("because you had not used the console for a while")
        log_in_here(alice)
        expect(alice.page.get_by_role("banner")).to_contain_text("alice")
    assert world.presses(device) == []


def test_lost_connections_end_the_session_and_it_says_why(visiting: Visits, own_world: World) -> None:
    with visiting.console(own_world.dsn) as address:
        alice = visiting(address, "alice")
        alice.goes_to("/tables")
        own_world.db.execute(
            "select pg_terminate_backend(a.pid, 10000) from pg_stat_activity as a"
            " where a.usename = 'alice' and a.datname = current_database()"
        )
        alice.page.reload()
        expect(alice.page.get_by_role("heading", name="Log in")).to_be_visible()
        expect(alice.page.get_by_role("main")).to_contain_text("because your connections to PostgreSQL have ended")
        log_in_here(alice)
        expect(alice.page.get_by_role("heading", name="Tables")).to_be_visible()


def test_a_restart_of_the_console_asks_everybody_to_log_in_again(visiting: Visits, world: World) -> None:
    with console_thread(world.dsn) as address:
        alice = visiting(address, "alice")
        # The browser asks for it when it likes: also while no console is there.
        alice.faults.expect(r"failed: GET .*/static/icon\.svg")
        alice.goes_to("/tables")
    with visiting.console(world.dsn, port=int(address.rpartition(":")[2])):
        alice.page.reload()
        expect(alice.page.get_by_role("main")).to_contain_text("Your session has ended")
        log_in_here(alice)
        expect(alice.page.get_by_role("heading", name="Tables")).to_be_visible()


def test_logging_out_in_one_tab_ends_the_other(visit: Visit) -> None:
    alice = visit("alice")
    alice.goes_to("/tables")
    other = alice.context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Log out").click()
    expect(other.get_by_role("heading", name="Log in")).to_be_visible()
    alice.page.reload()
    expect(alice.page.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_connections_of_a_session_end_with_it(visit: Visit, world: World) -> None:
    oscar = visit("oscar")
    oscar.goes_to("/")
    expect(oscar.page.get_by_role("banner")).to_contain_text("oscar")
    assert connections(world, "oscar") > 0
    oscar.page.get_by_role("button", name="Log out").click()
    expect(oscar.page.get_by_role("heading", name="Log in")).to_be_visible()
    wait(lambda: connections(world, "oscar") == 0)


def connections(world: World, role: str) -> int:
    """Return how many connections a role has."""
    [(count,)] = world.db.execute(
        "select count(*) from pg_stat_activity as a where a.usename = %s and a.datname = current_database()", (role,)
    ).fetchall()
    return int(count)


def log_in_here(visitor: Visitor) -> None:
    """Log in as alice by the form that is shown."""
    visitor.page.get_by_label("PostgreSQL role").fill("alice")
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.page.get_by_role("button", name="Log in").click()
