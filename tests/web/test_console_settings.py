"""The console's settings: where they come from, what is refused, and that the daemon does not mind them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from rowhooks.domain.errors import SettingsError
from rowhooks.settings import load_settings
from rowhooks.web.settings import ConsoleSettings, load_console_settings

CHECKOUT = Path(__file__).parents[2]
SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin in an empty directory, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("ROWHOOKS_") or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)


def write(text: str) -> None:
    Path("rowhooks.toml").write_text(text)


def refusal(**given: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        load_console_settings(**given)
    assert SECRET not in str(refused.value)
    return str(refused.value)


def test_without_anything_people_log_in_with_passwords_on_this_machine() -> None:
    settings = load_console_settings()
    assert (settings.listen, settings.login, settings.hosts) == ("127.0.0.1:8090", ("postgres",), ())
    assert (settings.idle, settings.longest) == (15 * 60, 8 * 3600)
    allowed = {settings.allow_superusers, settings.allow_passwordless, settings.allow_plain_http}
    assert allowed == {False}


def test_the_table_is_read_by_the_console_and_ignored_by_the_daemon() -> None:
    write('tasks = 7\n[console]\nlisten = "127.0.0.1:9000"\n[console.roles]\n"ada@example.org" = "ada"\n')
    assert load_settings().tasks == 7
    settings = load_console_settings()
    assert (settings.listen, settings.roles) == ("127.0.0.1:9000", {"ada@example.org": "ada"})


def test_what_is_no_table_is_refused_by_both() -> None:
    write("console = 3\n")
    assert "console is not a table" in refusal()
    with pytest.raises(SettingsError, match="console: unknown setting"):
        load_settings()


def test_the_command_line_comes_before_the_environment_and_that_before_credentials_and_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('[console]\nlisten = "127.0.0.1:1"\npassword = "in_file"\ndsn = "dbname=in_file"\nidle = 5\n')
    for name, text in {"console_password": "in_credential\n", "console_dsn": "dbname=in_credential"}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("ROWHOOKS_CONSOLE_DSN", "dbname=in_environment")
    monkeypatch.setenv("ROWHOOKS_CONSOLE_LISTEN", "127.0.0.1:2")
    settings = load_console_settings(listen="127.0.0.1:3")
    assert (settings.listen, settings.dsn) == ("127.0.0.1:3", "dbname=in_environment")
    assert (settings.password, settings.idle) == ("in_credential", 5)


def test_lists_and_roles_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWHOOKS_CONSOLE_HOSTS", "One.example, two.example")
    monkeypatch.setenv("ROWHOOKS_CONSOLE_ROLES", '{"ada@example.org": "ada"}')
    monkeypatch.setenv("ROWHOOKS_CONSOLE_TRUSTED_PEERS", '["10.0.0.0/8", "unix"]')
    settings = load_console_settings()
    assert settings.hosts == ("one.example", "two.example")
    assert settings.roles == {"ada@example.org": "ada"}
    assert settings.trusted_peers == ("10.0.0.0/8", "unix")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"lisen": "x"}, "lisen: unknown setting"),
        ({"listen": "nowhere"}, "listen: give host:port or unix:/path"),
        ({"listen": "127.0.0.1:99999"}, "listen: give host:port"),
        ({"listen": "unix:relative"}, "listen: give host:port"),
        ({"login": "ldap"}, "login"),
        ({"login": []}, "login"),
        ({"login": "proxy"}, "login by proxy needs trusted_peers"),
        ({"login": "oidc"}, "login by oidc needs oidc_issuer and oidc_client_id"),
        ({"hosts": "https://console.example"}, "hosts: give names without scheme"),
        ({"hosts": "*"}, "hosts: give names"),
        ({"hosts": "console.example:8443"}, "hosts: give names"),
        ({"trusted_peers": "10.0.0.0/33"}, "trusted_peers"),
        ({"trusted_peers": "proxy.example"}, "trusted_peers"),
        ({"public_url": "console.example"}, "public_url: give an address"),
        ({"public_url": "https://console.example/path"}, "public_url: give an address"),
        ({"proxy_header": "X User"}, "proxy_header"),
        ({"roles": "ada"}, "roles: not a JSON object"),
        ({"tls_key": "key.pem"}, "tls_certificate and tls_key need each other"),
        ({"idle": 0}, "idle"),
        ({"longest": "inf"}, "longest"),
        ({"password": {"x": SECRET}}, "password"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_and_not_repeated(given: dict[str, Any], named: str) -> None:
    assert named in refusal(**given)


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "localhost:1", "[::1]:1", "8090", ":8090", "unix:/run/x.sock"])
def test_addresses_of_this_machine_need_no_tls(listen: str) -> None:
    assert load_console_settings(listen=listen).is_loopback


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "console.example:1"])
def test_other_addresses_need_tls_or_a_proxy_or_the_word_that_they_need_none(listen: str) -> None:
    assert "would let other machines speak HTTP without TLS" in refusal(listen=listen)
    for given in ({"allow_plain_http": True}, {"trusted_peers": "10.0.0.1"}, {"tls_certificate": "c", "tls_key": "k"}):
        assert load_console_settings(listen=listen, **given).listen == listen


def test_the_names_that_the_settings_have_are_answered_to() -> None:
    tls: dict[str, Any] = {"tls_certificate": "c", "tls_key": "k"}
    assert load_console_settings(listen="10.0.0.5:8443", **tls).names == {"10.0.0.5"}
    assert load_console_settings(listen="0.0.0.0:8443", hosts="a.example", **tls).names == {"a.example"}
    assert load_console_settings(listen="unix:/run/x", public_url="https://B.example:8443").names == {"b.example"}
    assert load_console_settings().names == {"127.0.0.1"}


def test_settings_show_no_secrets() -> None:
    settings = load_console_settings(dsn=f"password={SECRET}", password=SECRET, oidc_client_secret=SECRET)
    assert SECRET not in repr(settings)


def test_the_table_of_settings_has_all_of_them_with_their_defaults() -> None:
    text = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `console\.(\w+)` \| `?(.*?)`? \|", text, re.MULTILINE))
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in ConsoleSettings.model_fields.items()
    }
    assert shown == {name: "none" if value is None else json.dumps(value) for name, value in defaults.items()}
