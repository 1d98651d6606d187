"""`<rowhooks-buttons>` in a real browser, on the page of the FastAPI example, which runs as its users run it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.browser import Visit, Visitor, violations
from tests.support.builds import CHECKOUT
from tests.support.databases import Templates
from tests.support.embedding import ANN, Shop, ends, presses, served, shop_database
from tests.support.waiting import wait

Connection = psycopg.Connection[Any]
EXAMPLE = CHECKOUT / "examples" / "fastapi"


@pytest.fixture(scope="module")
def running(
    administrator: Connection, server: SimpleNamespace, templates: Templates, browser: Any, tmp_path_factory: Any
) -> Iterator[Shop]:
    log: Path = tmp_path_factory.mktemp("shop") / "log"
    uvicorn = (sys.executable, "-m", "uvicorn", "app:app", "--port", "{port}")
    with (
        shop_database(administrator, server, templates) as (db, dsn),
        served(*uvicorn, directory=EXAMPLE, log=log, INVENTORY_DSN=dsn) as address,
    ):
        yield Shop(db, dsn, address)


@pytest.fixture
def shop(running: Shop) -> Iterator[Shop]:
    """The application; at the end its database is as it was."""
    yield running
    running.db.execute("delete from rowhooks.job_result")
    running.db.execute("update dcim.device set name = 'core-1' where id = 42")
    running.db.execute("update rowhooks.job_button set enabled = true")


@pytest.fixture
def ann(shop: Shop, visiting: Visit) -> Visitor:
    """Ann, who looks at the device 42."""
    visitor = visiting(shop.address)
    comes(visitor)
    return visitor


def comes(visitor: Visitor, user: str = ANN) -> None:
    visitor.goes_to("/login")
    visitor.page.get_by_label("User").fill(user)
    visitor.page.get_by_role("button", name="Log in").click()


def button(visitor: Visitor, name: str) -> Locator:
    return visitor.page.get_by_role("button", name=name)


def says(visitor: Visitor, text: str) -> None:
    expect(visitor.page.get_by_role("status")).to_have_text(text)


def heard(page: Page) -> list[Any]:
    """Return the events that the page has got since `listens`."""
    found: list[Any] = page.evaluate("window.heard")
    return found


def listens(page: Page) -> None:
    page.evaluate(
        """() => {
          window.heard = [];
          for (const name of ["pressed", "finished", "error"])
            document.addEventListener(`rowhooks:${name}`, ({ detail }) => window.heard.push([name, { ...detail }]));
        }"""
    )


def test_a_button_is_pressed_and_its_run_followed_to_the_end(shop: Shop, ann: Visitor) -> None:
    listens(ann.page)
    button(ann, "Ping & wait").click()
    wait(lambda: presses(shop.db))
    [(run, *pressed)] = presses(shop.db, "id, button_name, object_id, db_user, user_name")
    assert pressed == ["Ping", {"id": 42}, "ann", "ann"]
    says(ann, f"Ping & wait: run {run} goes on")
    shop.db.execute("update dcim.device set name = 'renamed' where id = 42")
    ends(shop.db)
    says(ann, "Ping & wait: success")
    # What the run has written is seen in the labels.
    expect(button(ann, "Reboot renamed")).to_be_visible()
    assert heard(ann.page) == [
        ["pressed", {"id": run, "button": "Ping"}],
        ["finished", {"id": run, "status": "SUCCESS", "button": "Ping"}],
    ]


def test_a_failure_says_what_the_receiver_says(shop: Shop, ann: Visitor) -> None:
    button(ann, "Ping & wait").click()
    wait(lambda: presses(shop.db))
    ends(shop.db, "FAILURE", "the power is <b>off</b>")
    says(ann, "Ping & wait: failure the power is <b>off</b>")


def test_a_press_is_confirmed_first_and_the_focus_returns(shop: Shop, ann: Visitor) -> None:
    button(ann, "Reboot core-1").click()
    dialog = ann.page.get_by_role("dialog", name="Press Reboot core-1?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).not_to_be_attached()
    expect(button(ann, "Reboot core-1")).to_be_focused()
    ann.page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    ann.page.keyboard.press("Escape")
    expect(button(ann, "Reboot core-1")).to_be_focused()
    assert presses(shop.db) == []
    ann.page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Press").click()
    wait(lambda: presses(shop.db))
    expect(dialog).not_to_be_attached()
    expect(button(ann, "Reboot core-1")).to_be_focused()


def test_a_group_opens_and_closes_with_the_keyboard(shop: Shop, ann: Visitor) -> None:
    group = ann.page.get_by_text("Life", exact=True)
    expect(button(ann, "Resize")).not_to_be_visible()
    group.focus()
    ann.page.keyboard.press("Enter")
    expect(button(ann, "Resize")).to_be_visible()
    ann.page.keyboard.press("Tab")
    expect(button(ann, "Resize")).to_be_focused()
    ann.page.keyboard.press("Escape")
    expect(button(ann, "Resize")).not_to_be_visible()
    expect(group).to_be_focused()
    group.click()
    button(ann, "Ping & wait").focus()
    expect(button(ann, "Resize")).not_to_be_visible()


def test_a_disabled_button_says_why_and_does_nothing(shop: Shop, ann: Visitor) -> None:
    ann.page.get_by_text("Life", exact=True).click()
    retire = button(ann, "ann: Retire you may not press it")
    expect(retire).to_be_disabled()
    retire.click(force=True)
    retire.press("Enter")
    expect(ann.page.get_by_role("dialog")).to_have_count(0)
    assert presses(shop.db) == []


def opens_resize(ann: Visitor) -> Locator:
    ann.page.get_by_text("Life", exact=True).click()
    button(ann, "Resize").click()
    return ann.page.get_by_role("dialog", name="Resize")


def test_inputs_are_asked_for_and_sent_as_they_are_typed(shop: Shop, ann: Visitor) -> None:
    form = opens_resize(ann)
    form.get_by_label("Size *").fill("3")
    form.get_by_label("colour").select_option("red")
    form.get_by_label("note").fill('"quoted"')
    form.get_by_label("force").select_option("true")
    form.get_by_label("tags").fill('["a", "b"]')
    form.get_by_label("price").fill("1.10")
    form.get_by_role("button", name="Press").click()
    wait(lambda: presses(shop.db))
    assert presses(shop.db, "inputs") == [
        (
            {
                "size": 3, "colour": "red", "note": '"quoted"', "force": True, "tags": ["a", "b"], "price": "1.10",
            },
        )
    ]  # fmt: skip
    expect(form).not_to_be_attached()
    expect(ann.page.get_by_text("Life", exact=True)).to_be_focused()


def test_what_is_left_alone_has_its_default_and_an_emptied_text_is_empty(shop: Shop, ann: Visitor) -> None:
    form = opens_resize(ann)
    form.get_by_role("button", name="Press").click()
    # The browser asks for what is missing.
    expect(form.get_by_label("Size *")).to_be_focused()
    form.get_by_label("Size *").fill("7")
    form.get_by_label("note").fill("")
    form.get_by_role("button", name="Press").click()
    wait(lambda: presses(shop.db))
    assert presses(shop.db, "inputs") == [({"size": 7, "note": "", "force": False, "tags": [], "price": "1.50"},)]


def test_inputs_that_are_refused_stay_in_the_form(shop: Shop, ann: Visitor) -> None:
    ann.faults.expect("status 422: POST /rowhooks/press")
    form = opens_resize(ann)
    form.get_by_label("Size *").fill("100")
    form.get_by_label("tags").fill("[")
    form.get_by_role("button", name="Press").click()
    says(ann, "tags: JSON?")
    form.get_by_label("tags").fill("[]")
    form.get_by_role("button", name="Press").click()
    expect(form.get_by_role("status")).to_contain_text("size")
    assert presses(shop.db) == []
    form.get_by_label("Size *").fill("48")
    form.get_by_role("button", name="Press").click()
    wait(lambda: presses(shop.db))


@pytest.mark.parametrize("clicks", [2, 3])
def test_a_double_click_presses_once(shop: Shop, ann: Visitor, clicks: int) -> None:
    button(ann, "Ping & wait").click(click_count=clicks, delay=1)
    wait(lambda: presses(shop.db))
    ends(shop.db)
    says(ann, "Ping & wait: success")
    assert len(presses(shop.db)) == 1


def test_a_press_whose_answer_was_lost_is_the_same_press_when_it_is_tried_again(shop: Shop, ann: Visitor) -> None:
    ann.faults.expect("failed: POST")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    ann.page.route("**/press", lose, times=1)
    button(ann, "Ping & wait").click()
    says(ann, "Failed to fetch")
    [(run,)] = presses(shop.db, "id")
    button(ann, "Ping & wait").click()
    says(ann, f"Ping & wait: run {run} goes on")
    assert len(presses(shop.db)) == 1
    # When it was answered, the next one is another.
    button(ann, "Ping & wait").click()
    wait(lambda: len(presses(shop.db)) == 2)


def test_a_run_is_followed_on_when_the_server_is_away_for_a_while(shop: Shop, ann: Visitor) -> None:
    ann.faults.expect("failed: GET", "status 502")
    listens(ann.page)
    ann.page.route("**/run_state*", lambda route: route.fulfill(status=502, body="<html>"), times=1)
    ann.page.route("**/run_state*", lambda route: route.abort("connectionreset"), times=1)
    button(ann, "Ping & wait").click()
    wait(lambda: any(detail.get("status") == 502 for _, detail in heard(ann.page)))
    ends(shop.db)
    says(ann, "Ping & wait: success")


def test_who_is_not_logged_in_is_told(shop: Shop, ann: Visitor) -> None:
    ann.faults.expect("status 401")
    listens(ann.page)
    expect(button(ann, "Ping & wait")).to_be_visible()
    ann.context.clear_cookies()
    button(ann, "Ping & wait").click()
    says(ann, "nobody is logged in")
    [(event, detail)] = heard(ann.page)
    assert (event, detail["status"], detail["hint"]) == ("error", 401, "log in, and load the page again")


def test_another_row_is_shown_when_the_attributes_change_and_its_name_is_inert(shop: Shop, ann: Visitor) -> None:
    expect(button(ann, "Reboot core-1")).to_be_visible()
    ann.page.evaluate("document.querySelector('rowhooks-buttons').setAttribute('key', '43')")
    expect(button(ann, 'Reboot <i>&amp;"')).to_be_visible()


def test_texts_are_the_pages_own(shop: Shop, ann: Visitor) -> None:
    ann.page.evaluate(
        """() => {
          const buttons = document.querySelector("rowhooks-buttons");
          for (const [name, text] of Object.entries({
            confirm: "{label} drücken?", press: "Drücken", cancel: "Abbrechen", pressed: "Läuft", success: "Fertig",
          })) buttons.setAttribute(`text-${name}`, text);
        }"""
    )
    button(ann, "Reboot core-1").click()
    dialog = ann.page.get_by_role("dialog", name="Reboot core-1 drücken?")
    expect(dialog.get_by_role("button", name="Abbrechen")).to_be_visible()
    dialog.get_by_role("button", name="Drücken").click()
    says(ann, "Läuft")
    ends(shop.db)
    says(ann, "Fertig")


def test_a_row_without_buttons_shows_what_the_page_has_for_that(shop: Shop, ann: Visitor) -> None:
    shop.db.execute("update rowhooks.job_button set enabled = false")
    ann.page.evaluate(
        """document.querySelector("rowhooks-buttons").innerHTML = '<span slot="empty">Nothing to press</span>'"""
    )
    ann.page.evaluate("document.querySelector('rowhooks-buttons').load()")
    expect(ann.page.get_by_text("Nothing to press")).to_be_visible()


def test_parts_are_styled_by_the_page(shop: Shop, ann: Visitor) -> None:
    ann.page.evaluate(
        """() => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync(`
            rowhooks-buttons::part(primary) { color: rgb(1, 2, 3) }
            rowhooks-buttons::part(group) { color: rgb(4, 5, 6) }
            rowhooks-buttons::part(reason) { color: rgb(7, 8, 9) }
            rowhooks-buttons::part(status) { color: rgb(10, 11, 12) }`);
          document.adoptedStyleSheets = [sheet];
        }"""
    )
    expect(button(ann, "Reboot core-1")).to_have_css("color", "rgb(1, 2, 3)")
    expect(ann.page.get_by_text("Life", exact=True)).to_have_css("color", "rgb(4, 5, 6)")
    ann.page.get_by_text("Life", exact=True).click()
    expect(ann.page.get_by_text("you may not press it", exact=True)).to_have_css("color", "rgb(7, 8, 9)")
    expect(ann.page.get_by_role("status")).to_have_css("color", "rgb(10, 11, 12)")


def test_nothing_is_wrong_for_those_who_need_a_screen_reader(shop: Shop, ann: Visitor) -> None:
    expect(button(ann, "Reboot core-1")).to_be_visible()
    assert found(ann) == []
    ann.page.get_by_text("Life", exact=True).click()
    assert found(ann) == []
    button(ann, "Resize").click()
    assert found(ann) == []


def found(visitor: Visitor) -> list[str]:
    """Return what axe finds, apart from what is the page's own matter."""
    return [one for one in violations(visitor.page) if not one.startswith(("landmark-one-main", "region"))]
