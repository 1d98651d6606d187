"""Pressing buttons on rows: once for each click that a person means, with what the button asks for."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visit, Visits, row_path
from tests.support.console_receivers import closed_gates
from tests.support.console_world import World


@pytest.mark.parametrize("java_script", [True, False])
def test_a_button_with_inputs_asks_for_them_and_is_pressed_with_them(
    visit: Visit, world: World, java_script: bool
) -> None:
    device, name = world.new_device()
    page = visit("alice", java_script_enabled=java_script).page
    page.goto(row_path("inv.device", device))
    page.get_by_role("button", name=f"Provision {name}").click()
    fill_in_provision(page, template="edge", retries="5", note="rack it")
    page.get_by_role("button", name="Press it").click()
    expect(page.get_by_role("heading", name="Press")).to_have_count(0)
    world.settle()
    assert world.presses(device, "button_name, status, db_user, inputs") == [
        ("Provision", "SUCCESS", "alice", {"template": "edge", "retries": 5, "note": "rack it"})
    ]


@pytest.mark.parametrize("java_script", [True, False])
def test_inputs_that_do_not_fit_are_said_at_their_field_and_what_was_written_stays(
    visit: Visit, world: World, java_script: bool
) -> None:
    device, name = world.new_device()
    alice = visit("alice", java_script_enabled=java_script)
    alice.faults.expect("status 422: POST /tables/inv.device/press")
    page = alice.page
    page.goto(row_path("inv.device", device))
    page.get_by_role("button", name=f"Provision {name}").click()
    # What a browser would check itself, it is told not to.
    if java_script:
        page.locator("form.press").evaluate("form => { form.noValidate = true }")
        fill_in_provision(page, template="base", retries="77", note="x" * 200)
    else:
        fill_in_provision(page, template="base", retries="", note="x" * 200)
    page.get_by_role("button", name="Press it").click()
    if java_script:
        expect(page.get_by_role("alert")).to_contain_text("not pressed")
        expect(page.get_by_label("retries")).to_have_value("77")
        expect(page.get_by_label("note")).to_have_value("x" * 200)
        assert world.presses(device, "id") == []
    else:
        # An empty field is the default.
        world.settle()
        assert world.presses(device, "inputs -> 'retries'") in ([(3,)], [(None,)])


def test_after_a_press_the_back_button_leads_to_the_form_again_and_presses_nothing(visit: Visit, world: World) -> None:
    device, name = world.new_device()
    alice = visit("alice")
    alice.faults.expect("status 422: POST /tables/inv.device/press")
    page = alice.page
    page.goto(row_path("inv.device", device))
    page.get_by_role("button", name=f"Provision {name}").click()
    form = page.url
    page.locator("form.press").evaluate("form => { form.noValidate = true }")
    fill_in_provision(page, template="edge", retries="77")
    page.get_by_role("button", name="Press it").click()
    expect(page.get_by_role("alert")).to_contain_text("not pressed")
    fill_in_provision(page, template="edge", retries="5")
    page.get_by_role("button", name="Press it").click()
    expect(page.get_by_role("heading", name="Press")).to_have_count(0)
    # Where Chromium would have to send a form again, it shows a page of its own instead.
    assert page.go_back()
    assert page.url == form
    expect(page.get_by_role("button", name="Press it")).to_be_visible()
    assert page.reload()
    expect(page.get_by_role("button", name="Press it")).to_be_visible()
    world.settle()
    assert world.presses(device, "status") == [("SUCCESS",)]


def test_a_button_with_a_confirmation_is_pressed_after_it_alone(visit: Visit, world: World) -> None:
    device, _ = world.new_device()
    page = visit("alice").page
    page.goto(row_path("inv.device", device))
    page.get_by_text("Examples", exact=True).click()
    page.get_by_role("button", name="ExampleSimpleJobButtonReceiver").click()
    dialog = page.get_by_role("dialog", name="ExampleSimpleJobButtonReceiver")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert world.presses(device, "id") == []
    page.get_by_role("button", name="ExampleSimpleJobButtonReceiver").click()
    dialog.get_by_role("button", name="Press it").click()
    expect(dialog).to_have_count(0)
    world.settle()
    assert world.presses(device, "status") == [("SUCCESS",)]


def test_escape_closes_the_question_and_presses_nothing(visit: Visit, world: World) -> None:
    device, _ = world.new_device()
    page = visit("alice").page
    page.goto(row_path("inv.device", device))
    page.get_by_text("Examples", exact=True).click()
    asking = page.get_by_role("button", name="ExampleSimpleJobButtonReceiver")
    asking.click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(asking).to_be_focused()
    assert world.presses(device, "id") == []


def test_a_button_is_pressed_with_the_keyboard_alone(visit: Visit, world: World) -> None:
    device, _ = world.new_device()
    page = visit("alice").page
    page.goto(row_path("inv.device", device))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Examples")
    page.keyboard.press("Enter")
    tab_to(page, "ExampleSimpleJobButtonReceiver")
    page.keyboard.press("Enter")
    tab_to(page, "Press it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    world.settle()
    assert world.presses(device, "status") == [("SUCCESS",)]


@pytest.mark.parametrize("java_script", [True, False])
def test_a_double_click_presses_once(visit: Visit, world: World, java_script: bool) -> None:
    device, _ = world.new_device()
    alice = visit("alice", java_script_enabled=java_script)
    alice.faults.expect("status 409: POST /tables/inv.device/press")
    alice.goes_to(row_path("inv.device", device))
    alice.page.get_by_role("button", name="Calibrate").dblclick()
    expect(alice.page.get_by_role("main")).to_be_visible()
    world.settle()
    assert len(world.presses(device, "id")) == 1


def test_a_reload_after_a_press_presses_nothing(visit: Visit, world: World) -> None:
    device, _ = world.new_device()
    page = visit("alice").page
    page.goto(row_path("inv.device", device))
    with page.expect_navigation():
        page.get_by_role("button", name="Calibrate").click()
    page.reload()
    expect(page.get_by_role("main")).to_be_visible()
    world.settle()
    assert len(world.presses(device, "id")) == 1


def test_two_people_press_the_same_button_on_the_same_row_one_after_the_other(visit: Visit, world: World) -> None:
    device, name = world.new_device()
    alice, bert = visit("alice"), visit("bert")
    with closed_gates(world.dsn):
        for person, template in ((alice, "base"), (bert, "edge")):
            person.goes_to(row_path("inv.device", device))
            person.page.get_by_role("button", name=f"Provision {name}").click()
            fill_in_provision(person.page, template=template)
            person.page.get_by_role("button", name="Press it").click()
            expect(person.page.get_by_role("heading", name="Press")).to_have_count(0)
            expect(person.page.get_by_role("banner")).to_contain_text("alice" if person is alice else "bert")
    world.settle()
    found = world.presses(device, "db_user, status")
    assert found == [("alice", "SUCCESS"), ("bert", "SUCCESS")]
    assert world.db.execute("select comments from inv.device where id = %s", (device,)).fetchone() == (
        "edge, 3 retries",
    )


def test_a_press_that_is_forged_is_refused_by_the_database(visit: Visit, world: World) -> None:
    device, _ = world.new_device(is_hidden_from_bert=True)
    for role, refused in (("mallory", (403, 404)), ("bert", (404, 422))):
        visitor = visit(role)
        visitor.faults.expect(r"status 4\d\d: POST /tables/inv.device/press")
        visitor.goes_to("/")
        token = visitor.page.locator("input[name=csrf_token]").first.input_value()
        answer = visitor.context.request.post(
            "/tables/inv.device/press",
            form={"csrf_token": token, "button": "Calibrate", "key": str(device), "confirmed": "yes"},
            headers={"origin": visitor.address},
        )
        assert answer.status in refused
    assert world.presses(device, "id") == []


def test_a_button_is_pressed_on_several_rows_at_once(visit: Visit, world: World) -> None:
    devices = [world.new_device()[0] for _ in range(3)]
    alice = visit("alice")
    alice.goes_to(f"/tables/inv.device?column=id&operator=gt&value={devices[0] - 1}&sort=id")
    for device in devices:
        alice.page.get_by_role("checkbox", name=f"Select {device}", exact=True).check()
    alice.page.get_by_role("group", name="on the selected rows").get_by_role("button", name="Calibrate").click()
    alice.page.get_by_role("button", name="Press it on 3 rows").click()
    expect(alice.page.get_by_role("heading", name="Calibrate on 3 rows")).to_be_visible()
    world.settle()
    for device in devices:
        assert world.presses(device, "status") == [("SUCCESS",)]


def test_a_disabled_button_says_why_it_is(own_world: World, visiting: Visits) -> None:
    own_world.db.execute("update rowhooks.job set enabled = false where class_path ~ 'Calibrate'")
    device, _ = own_world.new_device()
    with visiting.console(own_world.dsn) as address:
        alice = visiting(address, "alice")
        alice.goes_to(row_path("inv.device", device))
        expect(alice.page.get_by_role("button", name="Calibrate")).to_be_disabled()
        expect(alice.page.get_by_text("job", exact=False).first).to_be_visible()


def fill_in_provision(page: Page, *, template: str, retries: str | None = None, note: str | None = None) -> None:
    """Fill in what Provision asks for."""
    page.get_by_label("template").select_option(template)
    if retries is not None:
        page.get_by_label("retries").fill(retries)
    if note is not None:
        page.get_by_label("note").fill(note)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with this text has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == name:
            return
    raise AssertionError(f"{name} is not reached with Tab")
