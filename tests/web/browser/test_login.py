"""Logging in and out, and pages that are not there."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visit


def test_a_person_logs_in_with_its_role_and_password_and_out_again(visit: Visit) -> None:
    alice = visit()
    alice.logs_in("alice")
    expect(alice.page.get_by_role("banner")).to_contain_text("alice")
    alice.page.get_by_role("button", name="Log out").click()
    expect(alice.page.get_by_role("heading", name="Log in")).to_be_visible()
    alice.goes_to("/")
    assert alice.path() == "/login"


def test_a_wrong_password_says_so_keeps_the_name_and_shows_no_password(visit: Visit) -> None:
    alice = visit()
    alice.faults.expect("status 401: POST /login")
    alice.logs_in("alice", "wrong-one")
    expect(alice.page.get_by_role("alert")).to_contain_text("PostgreSQL did not let this role in")
    expect(alice.page.get_by_label("PostgreSQL role")).to_have_value("alice")
    expect(alice.page.get_by_label("Password")).to_have_value("")
    assert "wrong-one" not in alice.page.content()


def test_the_back_button_after_logging_out_shows_nothing(visit: Visit) -> None:
    alice = visit()
    alice.logs_in("alice")
    expect(alice.page.get_by_role("banner")).to_contain_text("alice")
    alice.page.get_by_role("button", name="Log out").click()
    expect(alice.page.get_by_role("heading", name="Log in")).to_be_visible()
    alice.page.go_back()
    expect(alice.page.get_by_role("heading", name="Log in")).to_be_visible()
    assert alice.page.get_by_role("banner").filter(has_text="alice").count() == 0


def test_two_people_in_one_browser_are_not_possible_and_the_newer_one_is_in(visit: Visit) -> None:
    visitor = visit()
    visitor.logs_in("alice")
    expect(visitor.page.get_by_role("banner")).to_contain_text("alice")
    visitor.logs_in("bert")
    expect(visitor.page.get_by_role("banner")).to_contain_text("bert")
    visitor.page.reload()
    expect(visitor.page.get_by_role("banner")).not_to_contain_text("alice")


@pytest.mark.parametrize("java_script", [True, False])
def test_a_page_that_is_not_there_says_so(visit: Visit, java_script: bool) -> None:
    alice = visit("alice", java_script_enabled=java_script)
    alice.faults.expect("status 404: GET /nowhere")
    assert alice.goes_to("/nowhere").status == 404
    expect(alice.page.get_by_role("heading", name="Not Found")).to_be_visible()
    expect(alice.page.get_by_role("link", name="rowhooks")).to_be_visible()
