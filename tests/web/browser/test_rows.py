"""Rows: found by clicks, shown to those alone who may see them, with buttons for those alone who may press."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.browser import Visit, row_path
from tests.support.console_world import World


def test_a_person_finds_a_row_from_the_first_page_by_clicks(visit: Visit, world: World) -> None:
    _, name = world.new_device()
    page = visit("alice").page
    page.goto("/")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Rows").click()
    page.get_by_role("link", name="inv.device").click()
    filter_by(page, "name", "equals", name)
    expect(page.get_by_role("table").get_by_role("link")).to_have_count(1)
    page.get_by_role("table").get_by_role("link").click()
    expect(page.get_by_role("table", name="Values").get_by_role("row", name="name")).to_contain_text(name)


def test_a_foreign_key_leads_to_the_row_that_it_names(visit: Visit, world: World) -> None:
    device, _ = world.new_device()
    alice = visit("alice")
    alice.goes_to(row_path("inv.device", device))
    alice.page.get_by_role("row", name="location_id").get_by_role("link").click()
    expect(alice.page.get_by_role("heading", name="inv.location 2")).to_be_visible()
    expect(alice.page.get_by_role("row", name="name")).to_contain_text("Room 7")


def test_the_order_of_the_rows_and_the_place_among_them_stand_in_the_address(visit: Visit, world: World) -> None:
    alice = visit("alice")
    alice.goes_to("/tables/inv.device?sort_desc=id")
    first = alice.page.get_by_role("table").get_by_role("rowheader").first
    largest = first.inner_text()
    alice.page.get_by_role("button", name="id", exact=True).or_(
        alice.page.get_by_role("button", name="serial")
    ).last.click()
    expect(alice.page.get_by_role("columnheader", name="serial")).to_have_attribute("aria-sort", "ascending")
    alice.page.go_back()
    expect(first).to_have_text(largest)


def test_row_security_hides_rows_from_one_person_and_shows_them_to_another(visit: Visit, world: World) -> None:
    hidden, hidden_name = world.new_device(is_hidden_from_bert=True)
    shown, shown_name = world.new_device()
    alice, bert = visit("alice"), visit("bert")
    bert.faults.expect("status 404: GET /tables/inv.device/row")
    for name, is_there in ((hidden_name, False), (shown_name, True)):
        filtered = f"/tables/inv.device?column=name&operator=eq&value={name}"
        alice.goes_to(filtered)
        expect(alice.page.get_by_role("cell", name=name)).to_be_visible()
        bert.goes_to(filtered)
        expect(bert.page.get_by_role("cell", name=name)).to_have_count(int(is_there))
    assert alice.goes_to(row_path("inv.device", hidden)).status == 200
    assert bert.goes_to(row_path("inv.device", shown)).status == 200
    assert bert.goes_to(row_path("inv.device", hidden)).status == 404
    assert hidden_name not in bert.page.content()


def test_what_a_row_is_not_for_somebody_is_the_same_as_no_row(visit: Visit, world: World) -> None:
    hidden, _ = world.new_device(is_hidden_from_bert=True)
    bert = visit("bert")
    bert.faults.expect("status 404: GET /tables/inv.device/row")
    said = []
    for key in (hidden, 999_999_998):
        bert.goes_to(row_path("inv.device", key))
        said.append(bert.page.get_by_role("main").inner_text().replace(str(key), "KEY"))
    assert said[0] == said[1]


def test_a_person_without_rights_sees_no_table_and_no_row(visit: Visit, world: World) -> None:
    device, name = world.new_device()
    mallory = visit("mallory")
    mallory.faults.expect(r"status 40[34]: GET /tables/inv\.")
    mallory.goes_to("/tables")
    expect(mallory.page.get_by_text("You may read no table")).to_be_visible()
    for path in ("/tables/inv.device", row_path("inv.device", device)):
        assert mallory.goes_to(path).status in (403, 404)
        assert name not in mallory.page.content()


def test_a_person_that_may_not_press_sees_no_button(visit: Visit, world: World) -> None:
    device, _ = world.new_device()
    world.db.execute("grant usage on schema inv to mallory; grant select on inv.device to mallory")
    mallory = visit("mallory")
    mallory.goes_to(row_path("inv.device", device))
    expect(mallory.page.get_by_role("heading", name=f"inv.device {device}")).to_be_visible()
    expect(mallory.page.get_by_role("button", name="Provision")).to_have_count(0)
    expect(mallory.page.get_by_role("button", name="Calibrate")).to_have_count(0)
    world.db.execute("revoke select on inv.device from mallory; revoke usage on schema inv from mallory")


def filter_by(page: Page, column: str, operator: str, value: str) -> None:
    """Fill in the last filter, and ask for the rows."""
    empty = page.get_by_role("group", name="Add a filter")
    empty.get_by_label("Column").select_option(column)
    empty.get_by_label("Operator").select_option(label=operator)
    empty.get_by_label("Value").fill(value)
    page.get_by_role("button", name="Show rows").click()
