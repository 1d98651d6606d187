"""Settings. The order of precedence: command line, environment (ROWHOOKS_...), credentials, rowhooks.toml, defaults."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from rowhooks.domain.errors import SettingsError
from rowhooks.domain.likeness import did_you_mean
from rowhooks.domain.queues import DEFAULT, QUEUE_RULE, is_queue_name
from rowhooks.domain.redaction import SHORTEST, Redactor, passwords_in
from rowhooks.domain.setting_values import is_address, split

DEFAULT_FILE = Path("rowhooks.toml")
CONSOLE = "console"
"""The table of the file that has the console's settings."""
PREFIX = "ROWHOOKS_"
_CREDENTIALS = ("dsn", "listen_dsn", "receiver_dsn", "password", "celery_broker")
"""The settings that systemd can pass as credentials (LoadCredential=)."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Layered(BaseModel):
    """Settings from several places, of which the first that has a setting counts."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    prefix: ClassVar[str]
    """What the names of their environment variables begin with."""

    @classmethod
    def read(cls, *, given: Mapping[str, Any], credentials: Mapping[str, Any], in_file: Mapping[str, Any]) -> Self:
        """Return the settings.

        Args:
            given: on the command line. What is there comes first; then the environment, then
            credentials: of the service manager's, and at last
            in_file: what the settings file has.

        Raises:
            ValidationError: one is unknown or wrong.
        """
        # As pydantic-settings does, whose import takes longer than a command does.
        environment = {name: os.environ[variable] for name, variable in cls.variables().items()}
        return cls.model_validate({**in_file, **credentials, **environment, **given})

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Return the variables that are settings, in upper or lower case, by the names of these."""
        names = {f"{cls.prefix}{name}".lower(): name for name in cls.model_fields}
        return {names[variable.lower()]: variable for variable in os.environ if variable.lower() in names}


SHORTEST_AUDIT = 90
"""Days for which it is kept who did what, whatever is set: see rowhooks.delete_audit."""
Role = Annotated[str | None, Field(min_length=1, max_length=63)]
Names = tuple[str, ...]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Settings(Layered):
    """The settings. Times are in seconds."""

    prefix = PREFIX

    dsn: str = Field("", description="the database; empty: libpq's own environment", repr=False)
    listen_dsn: str | None = Field(
        None, description="a direct connection for LISTEN, where dsn goes through a pooler", repr=False
    )
    receiver_dsn: str | None = Field(
        None, description="the database for a separate login of receivers, a member of receiver_role", repr=False
    )
    password: str = Field("", description="the login's password, if the DSN has none", repr=False)
    receivers: Names = Field((), description="modules with receivers: dotted names or paths to .py files")
    models: Names = Field(
        (), description="modules with your SQLAlchemy classes, as in receivers; module:Class chooses one for its table"
    )
    owner_role: Role = Field(None, description="the role that owns schema rowhooks")
    daemon_role: Role = Field(None, description="the role of which the daemon's login is a member")
    capture_role: Role = Field(None, description="the role that owns the capture functions")
    receiver_role: Role = Field(None, description="the role of which a separate login of receivers is a member")
    viewer_role: Role = Field(None, description="the role whose members see changes and runs")
    operator_role: Role = Field(None, description="the role whose members retry, revoke, replay, enable and disable")
    admin_role: Role = Field(None, description="the role whose members change hooks and buttons")
    console_role: Role = Field(None, description="the role of which the console's login is a member")
    tasks: int = Field(100, ge=1, description="async def receivers that run concurrently")
    async_connections: int = Field(10, ge=1, description="connections that asynchronous receivers share")
    threads: int = Field(10, ge=1, description="plain def receivers that run concurrently, each with a connection")
    processes: int = Field(
        0, ge=0, description="worker processes that the daemon starts; 0: receivers run in the daemon itself"
    )
    queues: Names = Field((DEFAULT,), description="the queues that there are; runs in another one wait")
    default_queue: str = Field(DEFAULT, description="the queue of jobs that name none; one of queues")
    process_queues: Names = Field(
        (), description="the queues of the daemon's worker processes; empty: default_queue, and the daemon runs nothing"
    )
    celery_broker: str = Field(
        "", description="Celery's broker, which wakes workers that Celery runs; empty: none", repr=False
    )
    batch_size: int = Field(1000, ge=1, description="changes read by one query")
    waiting_limit: int = Field(
        100_000, ge=0, description="the largest number of runs kept for a job that the leader's code does not have"
    )
    allow_none: bool = Field(default=False, description="run a daemon that has no receiver")
    poll_interval: float = Field(5.0, gt=0, description="interval of the fallback poll, which runs without a bell")
    bell_linger: Finite = Field(0.02, ge=0, description="how long the daemon stays awake after the last change")
    bell_lock_timeout: Finite = Field(
        0.5, gt=0, description="how long one attempt to go to sleep waits for open transactions"
    )
    leader_timeout: Finite = Field(
        30.0, ge=1, description="silence after which a standby ends the leader's connections"
    )
    grace_period: Finite = Field(30.0, ge=0, description="how long SIGTERM waits for running receivers")
    soft_time_limit: Finite = Field(
        300.0, ge=0, description="when SoftTimeLimitExceeded is raised in a receiver; 0: never"
    )
    time_limit: Finite = Field(600.0, ge=0, description="when a run is ended; 0: never")
    # Nautobot's CHANGELOG_RETENTION is 90 days too.
    change_retention: Finite = Field(
        90.0, ge=0, description="days for which changes are kept after they were dealt with; 0: for ever"
    )
    result_retention: Finite = Field(
        90.0, ge=0, description="days for which results of finished runs are kept; 0: for ever"
    )
    audit_retention: Finite = Field(
        0.0, ge=0, description="days, 90 at least, for which it is kept who did what; 0: for ever"
    )
    permission_backend: str | None = Field(
        None, description="class that decides the permissions of self.user; None: PostgreSQL's privileges"
    )
    row_security: bool = Field(default=False, description="let row security policies decide which rows are loaded")
    secrets: Names = Field(
        (), description="names of environment variables whose values are blanked in results and logs"
    )
    traces: bool = Field(default=False, description="one OpenTelemetry span for each run; needs the extra otel")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error")
    log_format: str = Field("auto", pattern="^(auto|text|json|journal)$", description="auto, text, json or journal")
    http_listen: str = Field("", description="address of health and metrics, as host:port or a port; empty: none")

    directory: Path = Field(Path(), exclude=True, description="the directory of relative receiver paths")

    @field_validator("receivers", "models", "secrets", "queues", "process_queues", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split(value)

    @field_validator("secrets")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        # The value is not repeated: it may be the secret itself instead of the name of its variable.
        if not all(_VARIABLE.fullmatch(name) for name in names):
            raise ValueError("give the names of environment variables, not their values")
        return names

    @field_validator("queues")
    @classmethod
    def _are_queues(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or not all(map(is_queue_name, names)):
            raise ValueError(f"name one queue or more, each with {QUEUE_RULE}")
        return tuple(dict.fromkeys(names))

    @field_validator("default_queue")
    @classmethod
    def _is_among_queues(cls, name: str, info: ValidationInfo) -> str:
        # Where `queues` is wrong, that is what is said.
        if name not in info.data.get("queues", (name,)):
            raise ValueError("it is not one of queues: name one of those, or name it there too")
        return name

    @field_validator("process_queues")
    @classmethod
    def _are_served(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not set(names) <= set(info.data.get("queues", names)):
            raise ValueError("one is not among queues: name those, or name it there too")
        if names and info.data.get("processes") == 0:
            raise ValueError("processes is 0, so nothing would serve them: set processes, or leave this out")
        return tuple(dict.fromkeys(names))

    @field_validator("http_listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value and not is_address(value):
            raise ValueError("give host:port or a port, for example 127.0.0.1:9187")
        return value

    @field_validator("audit_retention")
    @classmethod
    def _is_long_enough(cls, days: float) -> float:
        if 0 < days < SHORTEST_AUDIT:
            raise ValueError(f"the last {SHORTEST_AUDIT} days of the audit are kept in any case; 0: for ever")
        return days

    @field_validator("permission_backend")
    @classmethod
    def _none_if_empty(cls, value: str | None) -> str | None:
        return value or None

    def redactor(self) -> Redactor:
        """Return the redactor of the secrets: the named variables, PGPASSWORD, and the passwords of the DSNs.

        Raises:
            SettingsError: a variable that `secrets` names is not set.
        """
        missing = [name for name in self.secrets if name not in os.environ]
        if missing:
            raise SettingsError(
                f"secrets: {', '.join(missing)} is not in the environment",
                hint="set the variable, or remove its name from the setting",
            )
        values = [os.environ.get(name, "") for name in (*self.secrets, "PGPASSWORD")]
        dsns = (self.dsn, self.listen_dsn or "", self.receiver_dsn or "", self.celery_broker)
        return Redactor([*values, self.password, *(word for dsn in dsns for word in passwords_in(dsn))])

    def short_secrets(self) -> list[str]:
        """Return the variables among `secrets` whose values are too short to be blanked."""
        return [name for name in self.secrets if len(os.environ.get(name, "").strip()) < SHORTEST]


def load_settings(file: Path | None = None, **given: Any) -> Settings:
    """Read the settings.

    Args:
        file: a TOML file; None: `rowhooks.toml` in the working directory, if it exists.
        given: settings from the command line; None means not given.

    Raises:
        SettingsError: the file is missing or malformed, or a setting is unknown or wrong; the message names it.
    """
    file, in_file = read_file(file)
    # The console's own table is read by the console alone.
    if isinstance(in_file.get(CONSOLE), dict):
        del in_file[CONSOLE]
    wanted = {name: value for name, value in given.items() if value is not None}
    options = frozenset(wanted)
    try:
        wanted.setdefault("directory", Path.cwd() if file is None else file.resolve().parent)
    except FileNotFoundError as error:
        raise SettingsError(
            "the working directory does not exist any more", hint="change to another directory"
        ) from error
    # The file cannot set its own directory.
    misplaced = ["directory: unknown setting"] if "directory" in in_file else []
    problems: dict[str, list[str]] = {str(file): misplaced} if misplaced else {}
    try:
        credentials = read_credentials(_CREDENTIALS)
        settings = Settings.read(given=wanted, credentials=credentials, in_file=in_file)
    except ValidationError as error:
        for name, what in explain(error, Settings.model_fields):
            problems.setdefault(_origin(name.partition(".")[0], options, file), []).append(f"{name}: {what}")
        raise refusal(problems) from error
    if problems:
        raise refusal(problems)
    return settings


def read_file(file: Path | None) -> tuple[Path | None, dict[str, Any]]:
    """Return the settings file, None if there is none, and what is in it.

    Args:
        file: a TOML file; None: `rowhooks.toml` in the working directory, if it exists.

    Raises:
        SettingsError: it is missing or malformed.
    """
    if file is None and not DEFAULT_FILE.exists():
        return None, {}
    file = file or DEFAULT_FILE
    try:
        return file, tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{file} does not exist", hint="name another file with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not valid TOML: {error}", hint="correct the file") from error
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from error


def read_credentials(names: Sequence[str]) -> dict[str, str]:
    """Return those of these credentials that the service manager passes.

    Raises:
        SettingsError: one cannot be read.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    files = {name: Path(directory) / name for name in names} if directory else {}
    try:
        return {name: file.read_text(encoding="utf-8").strip() for name, file in files.items() if file.exists()}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"a credential in {directory} cannot be read: {error}") from error


def refusal(problems: Mapping[str, Sequence[str]], command: str = "run") -> SettingsError:
    """Return the error that names all problems, by where each comes from."""
    return SettingsError(
        "; ".join(f"{origin}: {'; '.join(whats)}" for origin, whats in problems.items()),
        hint=f"see: rowhooks {command} --help, docs/settings.md",
    )


def explain(error: ValidationError, known: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Return the names of wrong settings, and what is wrong with each.

    Args:
        error: what pydantic says.
        known: the settings that there are: one that is like an unknown one is named.
    """
    names = [name for name in known if name != "directory"]
    # Not pydantic's own text, which repeats the value: it may be a DSN with a password.
    return [
        (
            ".".join(map(str, problem["loc"])),
            _unknown(str(problem["loc"][-1]), names)
            if problem["type"] == "extra_forbidden"
            else problem["msg"].removeprefix("Value error, "),
        )
        for problem in error.errors(include_input=False, include_url=False)
    ]


def _unknown(name: str, known: Iterable[str]) -> str:
    question = did_you_mean(name, known)
    return f"unknown setting; {question}" if question else "unknown setting"


def _origin(setting: str, options: frozenset[str], file: Path | None) -> str:
    """Return the source of a setting's value, in the order of precedence."""
    if setting in options:
        return "command line"
    return Settings.variables().get(setting) or str(file or "settings")
