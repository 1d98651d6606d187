"""Target: one DSN, understood alike by both drivers, that never shows its password."""

from __future__ import annotations

import os
import ssl
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowhooks.domain.errors import SettingsError
from rowhooks.postgres.connections.target import CONNECT_TIMEOUT, TRANSACTION_POOLER, Target
from rowhooks.runtime.context import Targets
from rowhooks.settings import Settings

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep libpq from finding anything in the environment or at home."""
    for name in list(os.environ):
        if name.startswith("PG"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def arguments(dsn: str) -> dict[str, Any]:
    (only,) = Target(dsn).asyncpg_attempts()
    return only


def each(dsn: str, name: str) -> list[Any]:
    """Return one argument of each attempt; a host as it stands."""
    return [one[name][0] if name == "host" else one[name] for one in Target(dsn).asyncpg_attempts()]


def where(dsn: str) -> dict[str, Any]:
    names = ("host", "port", "user", "password", "database")
    return {name: value for name, value in arguments(dsn).items() if name in names}


def tls(dsn: str) -> dict[str, str]:
    """Return what asyncpg is told of TLS."""
    return dict(parse_qsl(urlsplit(arguments(dsn)["dsn"]).query, strict_parsing=True))


WHERE = {"host": ["db.example"], "port": 5433, "user": "app", "password": SECRET, "database": "inventory"}


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://app:{SECRET}@db.example:5433/inventory",
        f"postgres://app:{SECRET}@db.example:5433/inventory",
        f"postgresql:///inventory?host=db.example&port=5433&user=app&password={SECRET}",
        f"host=db.example port=5433 user=app password={SECRET} dbname=inventory",
        f"host='db.example' port = '5433' user='app' password='{SECRET}' dbname='inventory'",
    ],
)
def test_a_uri_and_keywords_mean_the_same(dsn: str) -> None:
    assert where(dsn) == WHERE


def test_characters_that_a_uri_escapes_arrive_as_they_are() -> None:
    found = where("postgresql://app:p%40ss%2Fw%20rd@db.example/odd%20name")
    assert (found["password"], found["database"]) == ("p@ss/w rd", "odd name")


def test_several_hosts_share_a_port_or_have_one_each() -> None:
    assert each("host=a,b,c port=5433", "host") == ["a", "b", "c"]
    assert each("host=a,b,c port=5433", "port") == [5433, 5433, 5433]
    assert each("postgresql://app@a:1,b:2,c/inventory", "host") == ["a", "b", "c"]
    assert each("postgresql://app@a:1,b:2,c/inventory", "port") == [1, 2, 5432]


def test_hosts_and_ports_that_do_not_match_are_refused() -> None:
    with pytest.raises(SettingsError, match="could not match 2 port numbers to 3 hosts"):
        Target("host=a,b,c port=1,2")


def test_hosts_change_places_where_the_load_is_to_be_balanced() -> None:
    orders = {tuple(each("host=a,b,c load_balance_hosts=random", "host")) for _ in range(200)}
    assert len(orders) == 6


def test_which_of_several_hosts_is_wanted_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert each("host=a,b target_session_attrs=read-write", "target_session_attrs") == ["read-write", "read-write"]
    assert "PGTARGETSESSIONATTRS" not in os.environ
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "primary")
    assert each("host=a", "target_session_attrs") == ["primary"]


def test_a_standby_is_looked_for_first_where_it_is_preferred() -> None:
    dsn = "host=a,b target_session_attrs=prefer-standby"
    assert each(dsn, "host") == ["a", "b", "a", "b"]
    assert each(dsn, "target_session_attrs") == ["standby", "standby", "any", "any"]


@pytest.mark.parametrize(
    "dsn", ["postgresql:///inventory?host=/run/pg", "postgresql://%2Frun%2Fpg/inventory", "host=/run/pg"]
)
def test_a_unix_sockets_directory_is_a_host(dsn: str) -> None:
    found = arguments(dsn)
    assert found["host"] == ["/run/pg"]
    # There is no TLS on it, whatever else the DSN says.
    assert found["ssl"] is False


def test_an_abstract_socket_is_refused() -> None:
    with pytest.raises(SettingsError, match="abstract socket @pg is known to libpq alone"):
        arguments("host=@pg")


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require"])
def test_sslmodes_without_verification_go_by_their_names(mode: str) -> None:
    assert tls(f"host=db sslmode={mode}")["sslmode"] == mode


def test_without_an_sslmode_it_is_libpqs_default() -> None:
    assert tls("host=db")["sslmode"] == "prefer"


def test_the_operating_systems_authorities_are_those_of_python() -> None:
    context = arguments("host=db sslmode=verify-full sslrootcert=system")["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_all_else_that_libpq_knows_of_tls_is_passed_on(tmp_path: Path) -> None:
    given = {name: str(tmp_path / f"{name} of mine") for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl")}
    for file in given.values():
        Path(file).touch()
    given |= {"sslmode": "verify-ca", "sslpassword": f"{SECRET}&x=1", "ssl_min_protocol_version": "TLSv1.3"}
    assert given.items() <= tls(make_conninfo("host=db", **given)).items()


@pytest.mark.parametrize(("mode", "direct"), [("postgres", False), ("direct", True)])
def test_tls_may_begin_at_once(mode: str, *, direct: bool) -> None:
    assert arguments(f"host=db sslmode=require sslnegotiation={mode}")["direct_tls"] is direct


def test_a_tls_that_libpq_refuses_is_refused() -> None:
    with pytest.raises(SettingsError, match='weak sslmode "prefer" may not be used with sslnegotiation=direct'):
        Target("host=db sslnegotiation=direct")


LIBPQ_ALONE = [
    "channel_binding=require", "gssencmode=require", "require_auth=scram-sha-256", "requirepeer=postgres",
    "sslcertmode=disable", "sslcrldir=/etc/crl",
]  # fmt: skip


@pytest.mark.parametrize("given", LIBPQ_ALONE)
def test_what_one_driver_could_not_keep_to_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=f"{given} is understood by libpq alone"):
        arguments(f"host=db {given}")


def test_a_root_certificate_that_is_missing_is_not_passed_over() -> None:
    with pytest.raises(SettingsError, match=r"cannot be read \(/does/not/exist.pem\)"):
        arguments("host=db sslmode=verify-full sslrootcert=/does/not/exist.pem")


def test_the_time_out_is_the_dsns_or_ours() -> None:
    assert arguments("host=db connect_timeout=0")["timeout"] is None
    assert arguments("host=db")["timeout"] == float(CONNECT_TIMEOUT)
    assert arguments("host=db connect_timeout=3")["timeout"] == 3.0


def test_server_settings_travel_along() -> None:
    dsn = "postgresql://db/inventory?application_name=mine&options=-c%20statement_timeout%3D5s"
    assert arguments(dsn)["server_settings"] == {"application_name": "mine", "options": "-c statement_timeout=5s"}
    assert arguments("")["server_settings"] == {"application_name": "rowhooks"}


def test_a_password_given_beside_the_dsn_is_for_both_drivers_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "another one")
    target = Target("host=db.example user=app", password=SECRET)
    assert conninfo_to_dict(target.conninfo)["password"] == SECRET
    assert [one["password"] for one in target.asyncpg_attempts()] == [SECRET]
    assert SECRET not in repr(target)
    assert SECRET not in target.label


def test_the_dsns_own_password_goes_before_it() -> None:
    target = Target(f"postgresql://app:{SECRET}@db.example", password="another one")
    assert conninfo_to_dict(target.conninfo)["password"] == SECRET
    assert [one["password"] for one in target.asyncpg_attempts()] == [SECRET]


def test_a_services_password_goes_before_it_and_the_environments_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".pg_service.conf"
    file.write_text("[inventory]\nhost=db.example\n")
    monkeypatch.setenv("PGPASSWORD", "of the environment")
    target = Target("service=inventory", password=SECRET)
    assert conninfo_to_dict(target.conninfo)["password"] == SECRET
    file.write_text("[inventory]\nhost=db.example\npassword=its own\n")
    assert "password" not in conninfo_to_dict(target.conninfo)
    assert [one["password"] for one in target.asyncpg_attempts()] == ["its own"]


@pytest.mark.parametrize(
    ("line", "password"),
    [
        ("b:5433:app:me:secret", "secret"),
        ("*:*:*:*:secret", "secret"),
        (r"b:*:app:me:a\:b\\c", r"a:b\c"),
        ("b:5432:app:me:secret", ""),
        ("b:*:other:me:secret", ""),
    ],
)
def test_a_password_file_is_read_by_libpq_for_each_host(tmp_path: Path, line: str, password: str) -> None:
    file = tmp_path / "passwords"
    file.write_text(f"a:5432:app:me:first\n{line}\n")
    file.chmod(0o600)
    dsn = f"host=a,b port=5432,5433 user=me dbname=app passfile={file}"
    assert each(dsn, "password") == ["first", password]
    assert each(f"{dsn} password=another", "password") == ["another", "another"]
    assert each(dsn.replace("user=me", "user=you"), "password")[0] != "first"


def test_a_password_file_that_others_may_read_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / ".pgpass"
    file.write_text(f"*:*:*:*:{SECRET}\n")
    file.chmod(0o640)
    assert arguments("host=db")["password"] == ""


def test_an_empty_dsn_is_libpqs_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOST": "db.example", "PGPORT": "5433", "PGUSER": "app", "PGPASSWORD": SECRET, "PGDATABASE": "inventory",
        "PGSSLMODE": "require",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert where("") == WHERE
    assert tls("")["sslmode"] == "require"
    assert SECRET not in Target().label


def test_a_service_in_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "services.conf"
    file.write_text(f"[inventory]\nhost=db.example\nport=5433\nuser=app\npassword={SECRET}\ndbname=inventory\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGSERVICE", "inventory")
    assert where("") == WHERE


def test_a_service_in_the_dsn_is_read_and_leaves_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "services.conf"
    file.write_text(f"[inventory]\nhost=db.example\nport=5433\nuser=app\npassword={SECRET}\ndbname=inventory\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    monkeypatch.setenv("PGSERVICE", "another")
    assert where("service=inventory") == WHERE
    assert os.environ["PGSERVICE"] == "another"
    monkeypatch.delenv("PGSERVICE")
    assert where("service=inventory") == WHERE
    assert "PGSERVICE" not in os.environ


def test_a_service_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingsError, match='definition of service "inventroy" not found'):
        Target("service=inventroy")


def test_what_libpq_would_not_connect_with_is_refused() -> None:
    for wrong, said in {
        "sslmode=verify": 'invalid sslmode value: "verify"',
        "target_session_attrs=writable": 'invalid target_session_attrs value: "writable"',
        "connect_timeout=soon": "connect_timeout=soon is not a number of seconds",
    }.items():
        with pytest.raises(SettingsError, match=said):
            Target(f"host=db password={SECRET} {wrong}")


def test_an_address_is_where_asyncpg_goes_unless_a_name_is_to_be_verified(tmp_path: Path) -> None:
    root = tmp_path / "root.crt"
    root.touch()
    assert arguments("hostaddr=127.0.0.2 dbname=x")["host"] == ["127.0.0.2"]
    assert arguments("host=db hostaddr=127.0.0.2")["host"] == ["127.0.0.2"]
    verified = f"host=db hostaddr=127.0.0.2 sslmode=verify-full sslrootcert={root}"
    assert arguments(verified)["host"] == ["db"]


@pytest.mark.parametrize("port", ["abc", "5432x", "-1"])
def test_a_port_that_is_no_number_is_refused(port: str) -> None:
    with pytest.raises(SettingsError, match="is not a number"):
        Target(f"host=db port={port}")


def test_an_unescaped_at_sign_in_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(SettingsError, match="%40") as refused:
        Target(f"postgresql://app:pa@{SECRET}@db/inventory")
    assert SECRET not in str(refused.value)


def test_the_dsn_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("PGDATABASE", "elsewhere")
    found = where("host=db.example")
    assert (found["host"], found["database"]) == (["db.example"], "elsewhere")


SILENCE_IS_NOTICED = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


def test_for_libpq_only_what_is_missing_is_added() -> None:
    assert conninfo_to_dict(Target("host=db").conninfo) == {
        "host": "db",
        "application_name": "rowhooks",
        "connect_timeout": str(CONNECT_TIMEOUT),
        "client_encoding": "UTF8",
        **SILENCE_IS_NOTICED,
    }
    given = "host=db application_name=mine connect_timeout=3 client_encoding=UTF8 " + " ".join(
        f"{k}=7" for k in SILENCE_IS_NOTICED
    )
    assert conninfo_to_dict(Target(given).conninfo) == conninfo_to_dict(given)


@pytest.mark.parametrize("route", [None, TRANSACTION_POOLER])
def test_nothing_is_prepared_where_a_pooler_may_change_server_connections(route: str | None) -> None:
    target = Target("host=db", route=route)
    assert [one["statement_cache_size"] for one in target.asyncpg_attempts()] == [0]
    assert target.psycopg_arguments == {"prepare_threshold": None}


@pytest.mark.parametrize(
    ("dsn", "label"),
    [
        (f"postgresql://app:{SECRET}@db.example/inventory", "inventory on db.example"),
        (f"host=a,b dbname=inventory password={SECRET}", "inventory on a,b"),
        (f"user=app password={SECRET} host=/run/pg", "app on /run/pg"),
        (f"dbname=inventory password={SECRET}", "inventory on the local socket"),
    ],
)
def test_the_label_names_the_database_and_never_shows_the_password(dsn: str, label: str) -> None:
    assert Target(dsn).label == label
    assert SECRET not in repr(Target(dsn))
    assert SECRET not in str(Target(dsn))


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://app:{SECRET}@[db/inventory",
        f"postgresql://app:{SECRET}@db/inventory?no_such_option=1",
        f"host=db password='{SECRET}",
        f"host=db pasword={SECRET}",
        f"mysql://app:{SECRET}@db/inventory",
        f"{SECRET}",
    ],
)
def test_a_dsn_that_cannot_be_read_is_refused_without_repeating_it(dsn: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Target(dsn)
    assert "the DSN cannot be read" in str(refused.value)
    assert "postgresql://" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert SECRET not in "".join(traceback.format_exception(refused.value, chain=False))


def test_versions_of_tls_hold_with_the_operating_systems_authorities_too() -> None:
    context = arguments("host=db sslrootcert=system sslmode=verify-full ssl_min_protocol_version=TLSv1.3")["ssl"]
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert tls("host=db ssl_max_protocol_version=tlsv1.3")["ssl_max_protocol_version"] == "TLSv1.3"
    with pytest.raises(SettingsError, match='invalid "ssl_max_protocol_version" value: "TLSv9"'):
        arguments("host=db sslrootcert=system sslmode=verify-full ssl_max_protocol_version=TLSv9")


def test_an_empty_way_for_receivers_or_the_bell_is_that_of_libpq_and_not_the_daemons() -> None:
    targets = Targets.of(Settings.model_validate({"dsn": "host=one", "listen_dsn": "", "receiver_dsn": ""}), "rowhooks")
    assert (targets.listen, targets.receivers) == (Target("", "rowhooks"), Target("", "rowhooks"))
    targets = Targets.of(Settings.model_validate({"dsn": "host=one"}), "rowhooks")
    assert targets.listen is targets.receivers is targets.main
