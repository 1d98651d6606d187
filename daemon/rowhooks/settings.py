"""Settings: command line, then environment (ROWHOOKS_...), then rowhooks.toml, then the defaults."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from rowhooks.domain.errors import SettingsError

DEFAULT_FILE = Path("rowhooks.toml")


class Settings(BaseSettings):
    """What can be configured. Times are in seconds."""

    model_config = SettingsConfigDict(env_prefix="ROWHOOKS_", extra="forbid", frozen=True)

    dsn: str = Field("", description="the database; empty for libpq's own environment", repr=False)
    listen_dsn: str | None = Field(None, description="a direct connection for LISTEN, past a pooler", repr=False)
    receivers: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="modules with receivers: dotted names or paths to .py files"
    )
    owner_role: str = Field("rowhooks_owner", min_length=1, max_length=63)
    daemon_role: str = Field("rowhooks_daemon", min_length=1, max_length=63)
    tasks: int = Field(100, ge=1, description="asynchronous receivers that run at once")
    async_connections: int = Field(10, ge=1, description="connections that asynchronous receivers share")
    threads: int = Field(10, ge=1, description="plain receivers that run at once, each with a connection")
    batch_size: int = Field(1000, ge=1, description="changes read at once")
    poll_interval: float = Field(5.0, gt=0, description="fallback poll when no bell is heard")
    grace_period: float = Field(30.0, ge=0, description="how long SIGTERM waits for running receivers")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    log_format: str = Field("text", pattern="^(text|json)$")

    directory: Path = Field(Path(), exclude=True, description="where relative receiver paths start")

    @field_validator("receivers", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.startswith("["):
            try:
                return json.loads(value)
            except ValueError:
                raise ValueError("not a JSON list") from None
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the file's values, which `load_settings` hands over, behind the environment's."""
        assert isinstance(init_settings, InitSettingsSource)
        given = dict(init_settings.init_kwargs)
        in_file = given.pop("in_file", {})
        return (
            InitSettingsSource(settings_cls, given),
            EnvSettingsSource(settings_cls),
            InitSettingsSource(settings_cls, in_file),
        )


def load_settings(file: Path | None = None, **given: Any) -> Settings:
    """Read the settings.

    Args:
        file: a TOML file; `rowhooks.toml` in the working directory, where there is one, when None.
        given: settings from the command line; None counts as not given.

    Raises:
        SettingsError: the file is missing or malformed, or a setting is unknown or wrong; names it.
    """
    in_file: dict[str, Any] = {}
    if file is not None or DEFAULT_FILE.exists():
        file = file or DEFAULT_FILE
        try:
            in_file = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise SettingsError(f"{file} does not exist", hint="name another file with --config") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file} is not valid TOML: {error}", hint="mend the file") from error
        except OSError as error:
            raise SettingsError(f"{file} cannot be read: {error.strerror}") from error
    wanted = {name: value for name, value in given.items() if value is not None}
    if file is not None:
        wanted.setdefault("directory", file.resolve().parent)
    else:
        wanted.setdefault("directory", Path.cwd())
    try:
        return Settings(in_file=in_file, **wanted)  # type: ignore[call-arg]
    except ValidationError as error:
        raise SettingsError(_explain(error, file), hint="see: rowhooks run --help, docs/settings.md") from error


def _explain(error: ValidationError, file: Path | None) -> str:
    # Not pydantic's own text: that repeats the value, which may be a DSN with a password.
    problems = []
    for problem in error.errors(include_input=False, include_url=False):
        name = ".".join(map(str, problem["loc"]))
        what = "unknown setting" if problem["type"] == "extra_forbidden" else problem["msg"]
        problems.append(f"{name}: {what}")
    return f"{file or 'settings'}: " + "; ".join(problems)
