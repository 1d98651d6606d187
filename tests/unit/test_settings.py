"""Settings: command line, environment, file, defaults; and messages that keep passwords to themselves."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import Any

import pytest

from rowhooks.domain.errors import SettingsError
from rowhooks.runtime.context import queues_of
from rowhooks.settings import Settings, load_settings

SECRET = "hunter2"
DSN = f"postgresql://app:{SECRET}@db/inventory"


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin in an empty directory, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("ROWHOOKS_"):
            monkeypatch.delenv(name)


def write(text: str, name: str = "rowhooks.toml") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def refusal(file: Path | None = None, **given: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(file, **given)
    assert refused.value.exit_code == 2
    # Also not where the error is printed in full.
    assert SECRET not in "".join(traceback.format_exception(refused.value, chain=False))
    return str(refused.value)


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings == Settings.model_validate({"directory": tmp_path})
    assert (settings.dsn, settings.receivers, settings.log_level, settings.log_format) == ("", (), "info", "auto")
    assert (settings.owner_role, settings.daemon_role) == (None, None)


def test_the_file_comes_before_the_defaults() -> None:
    write('tasks = 7\nreceivers = ["policies", "more/hooks.py"]')
    settings = load_settings()
    assert (settings.tasks, settings.receivers) == (7, ("policies", "more/hooks.py"))


def test_the_environment_comes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write('tasks = 7\ndsn = "dbname=in_file"')
    monkeypatch.setenv("ROWHOOKS_TASKS", "8")
    monkeypatch.setenv("ROWHOOKS_DSN", "dbname=in_environment")
    settings = load_settings()
    assert (settings.tasks, settings.dsn) == (8, "dbname=in_environment")


def test_the_command_line_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    write("tasks = 7")
    monkeypatch.setenv("ROWHOOKS_TASKS", "8")
    assert load_settings(tasks=9).tasks == 9


def test_an_option_that_was_not_given_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    write("threads = 3")
    monkeypatch.setenv("ROWHOOKS_TASKS", "8")
    settings = load_settings(tasks=None, threads=None, dsn=None)
    assert (settings.tasks, settings.threads) == (8, 3)


def test_another_file_can_be_named() -> None:
    write("tasks = 7")
    assert load_settings(write("tasks = 6", "other.toml")).tasks == 6


def test_relative_receivers_start_where_the_file_is(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    assert load_settings(write("", "etc/rowhooks.toml")).directory == (tmp_path / "etc").resolve()
    assert load_settings().directory == tmp_path


def test_other_variables_of_the_environment_are_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKS", "8")
    monkeypatch.setenv("ROWHOOKS_SOMETHING_ELSE", "8")
    assert load_settings().tasks == 100


@pytest.mark.parametrize(
    "text", ["policies,more/hooks.py", " policies , more/hooks.py ,", '["policies", "more/hooks.py"]']
)
def test_receivers_in_the_environment_are_a_json_list_or_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ROWHOOKS_RECEIVERS", text)
    assert load_settings().receivers == ("policies", "more/hooks.py")


def test_there_is_one_queue_unless_others_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert (settings.processes, settings.queues, settings.default_queue) == (0, ("default",), "default")
    write('processes = 2\nqueues = ["slow", "fast", "slow"]\ndefault_queue = "fast"')
    settings = load_settings()
    assert (settings.processes, settings.queues, settings.default_queue) == (2, ("slow", "fast"), "fast")
    monkeypatch.setenv("ROWHOOKS_QUEUES", "fast, other")
    assert load_settings().queues == ("fast", "other")


def test_queues_that_contradict_the_default_queue_say_what_to_do() -> None:
    write('queues = ["reports"]')
    assert refusal().startswith(
        "rowhooks.toml: default_queue: it is not one of queues: name one of those, or name it there too"
    )
    write('queues = ["a b"]\ndefault_queue = "c"')
    assert refusal().startswith("rowhooks.toml: queues: name one queue or more, each with 1 to 63 letters, digits, ")
    assert "default_queue" not in refusal()


def test_the_queues_of_processes_are_taken_from_the_daemon_alone() -> None:
    write("processes = 2")
    assert queues_of(load_settings()).own == frozenset()
    write('processes = 2\nqueues = ["default", "isolated"]\nprocess_queues = ["isolated"]')
    assert queues_of(load_settings()).own == {"default"}
    write('processes = 2\nqueues = ["default", "isolated"]\nprocess_queues = ["isolated", "default"]')
    assert queues_of(load_settings()).own == frozenset()


def test_queues_of_processes_that_nothing_would_serve_say_what_to_do() -> None:
    write('processes = 1\nprocess_queues = ["isolated"]')
    assert refusal().startswith("rowhooks.toml: process_queues: one is not among queues: name those, or name it there")
    write('queues = ["default", "isolated"]\nprocess_queues = ["isolated"]')
    assert refusal().startswith("rowhooks.toml: process_queues: processes is 0, so nothing would serve them: set proce")


def test_no_receivers_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWHOOKS_RECEIVERS", "")
    assert load_settings().receivers == ()


def test_one_receiver_in_the_file_needs_no_list() -> None:
    write('receivers = "policies.py"')
    assert load_settings().receivers == ("policies.py",)


def test_an_unknown_setting_is_named() -> None:
    write(f'taks = 7\npasswort = "{SECRET}"')
    assert refusal().startswith("rowhooks.toml: ")
    assert "taks: unknown setting" in refusal()
    assert "passwort: unknown setting" in refusal()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f'tasks = "{SECRET}"', "tasks"),
        ("tasks = 0", "tasks"),
        ("poll_interval = 0", "poll_interval"),
        ("grace_period = -1", "grace_period"),
        (f'log_level = "{SECRET}"', "log_level"),
        (f'log_format = "{SECRET}"', "log_format"),
        (f'dsn = ["{DSN}"]', "dsn"),
        (f'[dsn]\npassword = "{SECRET}"', "dsn"),
        ("receivers = 3", "receivers"),
        (f'receivers = [["{SECRET}"]]', "receivers.0"),
        ('owner_role = ""', "owner_role"),
        ("soft_time_limit = -1", "soft_time_limit"),
        ("soft_time_limit = nan", "soft_time_limit"),
        ("time_limit = -0.5", "time_limit"),
        ("time_limit = inf", "time_limit"),
        ("result_retention = -1", "result_retention"),
        ("audit_retention = 30", "audit_retention"),
        (f'result_retention = "{SECRET}"', "result_retention"),
        ("permission_backend = 3", "permission_backend"),
        ("processes = -1", "processes"),
        ('processes = "all"', "processes"),
        ("queues = 3", "queues"),
        ("queues = []", "queues"),
        (f'queues = ["default", "{SECRET}!"]', "queues"),
        (f'default_queue = "{SECRET}"', "default_queue"),
        ('queues = ["reports"]', "default_queue"),
        ("secrets = 3", "secrets"),
        (f'secrets = ["API_TOKEN", "{SECRET}!"]', "secrets"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_not_repeated(text: str, name: str) -> None:
    write(text)
    assert f"rowhooks.toml: {name}: " in refusal()


@pytest.mark.parametrize("variable", ["ROWHOOKS_TASKS", "rowhooks_tasks"])
def test_a_wrong_value_in_the_environment_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    write("threads = 7\ntasks = 7")
    monkeypatch.setenv(variable, SECRET)
    assert refusal().startswith(f"{variable}: tasks: ")
    assert "rowhooks.toml" not in refusal()


def test_a_wrong_list_in_the_environment_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWHOOKS_RECEIVERS", f'["{SECRET}", 3]')
    assert refusal().startswith("ROWHOOKS_RECEIVERS: receivers.1: ")
    monkeypatch.setenv("ROWHOOKS_RECEIVERS", f'["{SECRET}"')
    assert "receivers: " in refusal()


def test_a_wrong_option_is_refused_by_name() -> None:
    write("log_level = 'debug'")
    assert refusal(log_level="loud").startswith("command line: log_level: ")


def test_every_problem_is_told_at_once_with_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    write("tasks = 0\nthreads = 0\nbatch_size = 0\ndirectory = '/srv'\ntaks = 1")
    monkeypatch.setenv("ROWHOOKS_BATCH_SIZE", "-1")
    in_file, in_environment, on_command_line = (
        "rowhooks.toml: ",
        "; ROWHOOKS_BATCH_SIZE: batch_size: ",
        "command line: ",
    )
    message = refusal(log_level="loud")
    assert message.startswith(in_file)
    of_file = message.partition(in_environment)[0]
    assert all(f"{name}: " in of_file for name in ("directory", "tasks", "threads", "taks"))
    assert in_environment in message
    assert f"; {on_command_line}log_level: " in message
    assert message.count(in_file) == 1


def test_a_file_does_not_say_where_it_is() -> None:
    write("directory = '/srv'")
    assert refusal().startswith("rowhooks.toml: directory: unknown setting")


def test_limits_and_retention_have_defaults_and_may_be_switched_off() -> None:
    settings = load_settings()
    assert (settings.soft_time_limit, settings.time_limit, settings.result_retention) == (300, 600, 90)
    write("soft_time_limit = 0\ntime_limit = 0\nresult_retention = 0.5")
    settings = load_settings()
    assert (settings.soft_time_limit, settings.time_limit, settings.result_retention) == (0, 0, 0.5)


def test_a_permission_backend_is_named_or_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().permission_backend is None
    write('permission_backend = "acme.auth.Permissions"')
    assert load_settings().permission_backend == "acme.auth.Permissions"
    monkeypatch.setenv("ROWHOOKS_PERMISSION_BACKEND", "")
    assert load_settings().permission_backend is None


def test_secrets_are_named_in_the_file_or_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    write('secrets = ["API_TOKEN"]')
    assert load_settings().secrets == ("API_TOKEN",)
    monkeypatch.setenv("ROWHOOKS_SECRETS", '["API_TOKEN", "CRM_KEY"]')
    assert load_settings().secrets == ("API_TOKEN", "CRM_KEY")
    monkeypatch.setenv("ROWHOOKS_SECRETS", "API_TOKEN, CRM_KEY")
    assert load_settings().secrets == ("API_TOKEN", "CRM_KEY")


def test_the_values_of_secrets_are_blanked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "t0ken/1")
    monkeypatch.setenv("OTHER", "other")
    write('secrets = ["API_TOKEN"]')
    assert load_settings().redactor().clean("t0ken/1 t0ken%2F1 other") == "*** *** other"


def test_the_passwords_of_both_dsns_and_of_libpqs_environment_are_blanked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "fr0m-environment")
    settings = load_settings(dsn="postgresql://app:p%40ssw0rd@db/x", listen_dsn="host=db password='an0ther one'")
    assert (
        settings.redactor().clean("<p@ssw0rd> <p%40ssw0rd> <an0ther one> <fr0m-environment>") == "<***> " * 3 + "<***>"
    )


def test_without_secrets_a_dsn_in_a_text_is_still_blanked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    assert load_settings().redactor().clean(f"hello {DSN}") == "hello postgresql://app:***@db/inventory"


def test_a_secret_that_is_not_set_is_named_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_TOKEN", raising=False)
    # Commands that run no receiver do not need it.
    settings = load_settings(secrets=("API_TOKEN",))
    with pytest.raises(SettingsError) as refused:
        settings.redactor()
    assert refused.value.message == "secrets: API_TOKEN is not in the environment"
    assert refused.value.hint


def test_secrets_too_short_to_be_blanked_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in [("LONG", "abcd"), ("SHORT", "abc"), ("BLANK", "      "), ("EMPTY", "")]:
        monkeypatch.setenv(name, value)
    settings = load_settings(secrets=("LONG", "SHORT", "BLANK", "EMPTY"))
    assert settings.short_secrets() == ["SHORT", "BLANK", "EMPTY"]
    assert settings.redactor().clean("abcd abc") == "*** abc"


@pytest.mark.parametrize(
    "text", [f'dsn = "{DSN}', f"dsn = {DSN}", f'dsn = "{DSN}"\ndsn = "{DSN}"', f'dsn = "{DSN}" "{SECRET}"', "=", "[["]
)
def test_a_malformed_file_is_named_with_the_place(text: str) -> None:
    write(text)
    message = refusal()
    assert message.startswith("rowhooks.toml is not valid TOML: ")
    assert "line " in message or "end of document" in message


def test_a_file_that_is_not_text_is_refused() -> None:
    Path("rowhooks.toml").write_bytes(b'dsn = "\xff"')
    assert refusal().startswith("rowhooks.toml is not valid TOML: ")


def test_a_file_that_is_missing_is_named() -> None:
    assert refusal(Path("no.toml")) == "no.toml does not exist (name another file with --config)"


def test_a_directory_is_no_file() -> None:
    Path("etc").mkdir()
    assert refusal(Path("etc")).startswith("etc cannot be read: ")


def test_settings_do_not_show_the_dsn() -> None:
    settings = load_settings(dsn=DSN, listen_dsn=DSN)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def test_credentials_come_before_the_file_and_after_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "dsn").write_text("host=credential\n")
    (tmp_path / "credentials" / "password").write_text("from a credential\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    write('dsn = "host=file"\nlisten_dsn = "host=file"')
    settings = load_settings()
    assert (settings.dsn, settings.listen_dsn, settings.password) == (
        "host=credential", "host=file", "from a credential",
    )  # fmt: skip
    monkeypatch.setenv("ROWHOOKS_DSN", "host=environment")
    assert load_settings().dsn == "host=environment"
    assert load_settings(dsn="host=option").dsn == "host=option"


def test_a_password_is_blanked_and_not_shown() -> None:
    settings = load_settings(password=SECRET)
    assert SECRET not in repr(settings)
    assert settings.redactor().clean(f"it was {SECRET}") == "it was ***"


def test_a_credential_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dsn").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(SettingsError, match=r"a credential in .* cannot be read"):
        load_settings()


@pytest.mark.parametrize("address", ["9187", ":9187", "127.0.0.1:0", "[::1]:9187", "metrics.example:80"])
def test_an_address_to_listen_on(address: str) -> None:
    assert load_settings(http_listen=address).http_listen == address


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1:", "::1:9187", "1:2:3", "host:99999", "a b:1", "host:9x"])
def test_what_is_no_address_to_listen_on(address: str) -> None:
    with pytest.raises(SettingsError, match=r"http_listen: .*for example 127\.0\.0\.1:9187"):
        load_settings(http_listen=address)


def test_a_working_directory_that_has_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(SettingsError, match="the working directory does not exist any more"):
        load_settings()
