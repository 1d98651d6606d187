"""Which names look as if credentials or sessions were behind them."""

from __future__ import annotations

import pytest

from rowhooks.domain.sensitive import is_sensitive_column, is_sensitive_table


@pytest.mark.parametrize(("name", "looks_so"), [
    ("password", True), ("passwordHash", True), ("API_KEYS", True), ("reset_token", True), ("client_secret", True),
    ("session_key", True), ("otp", True), ("pwd", True), ("user_pwd", True),
    ("author", False), ("secretary", False), ("keyboard", False), ("pass", False), ("training_session", False),
    ("laptop_id", False),
])  # fmt: skip
def test_columns(name: str, looks_so: bool) -> None:
    assert is_sensitive_column(name) is looks_so


@pytest.mark.parametrize(("name", "looks_so"), [
    ("auth_user", True), ("django_session", True), ("UserSessions", True), ("oauth2_provider_accesstoken", True),
    ("author", False), ("device", False),
])  # fmt: skip
def test_tables(name: str, looks_so: bool) -> None:
    assert is_sensitive_table(name) is looks_so
