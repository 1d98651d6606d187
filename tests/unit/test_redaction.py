"""Redactor: no password and no configured secret is left in what is kept or logged."""

from __future__ import annotations

import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowhooks.domain.redaction import Redactor, passwords_in

SECRET = "tr0ub4dor"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("postgresql://app:tr0ub4dor@db/inventory", "postgresql://app:***@db/inventory"),
        ("amqps://app:tr0ub4dor@mq:5671//", "amqps://app:***@mq:5671//"),
        ("postgresql+psycopg://app:tr0ub4dor@db", "postgresql+psycopg://app:***@db"),
        ("redis://:tr0ub4dor@cache", "redis://:***@cache"),
        ("postgresql://app:tr0%40ub4dor@db", "postgresql://app:***@db"),
        ("postgresql://app:tr0:ub4dor@db", "postgresql://app:***@db"),
        ("postgresql://app:tr0@ub4dor@db/x", "postgresql://app:***@db/x"),
        ("postgresql://app:tr0/ub4dor@db/x", "postgresql://app:***@db/x"),
        ("postgresql://app@server:tr0ub4dor@db/x", "postgresql://app@server:***@db/x"),
        ("postgresql://app:12345@db", "postgresql://app:***@db"),
        ("postgresql://app:tr0ub4dor@[::1]:5432/x", "postgresql://app:***@[::1]:5432/x"),
        ("postgresql://app:tr0ub4dor@a:1,b:2/x", "postgresql://app:***@a:1,b:2/x"),
        ('"a://u:tr0ub4dor@x","b://v:tr0ub4dor@y"', '"a://u:***@x","b://v:***@y"'),
        ("a://u:tr0ub4dor@x b://v:tr0ub4dor@y\nc://w:tr0ub4dor@z", "a://u:***@x b://v:***@y\nc://w:***@z"),
        ("http://plain,amqp://u:tr0ub4dor@mq", "http://plain,amqp://u:***@mq"),
        ("postgresql://db/x?user=app&password=tr0ub4dor", "postgresql://db/x?user=app&password=***"),
    ],
)
def test_the_password_of_a_uri_is_blanked(text: str, cleaned: str) -> None:
    assert Redactor().clean(text) == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("host=db password=tr0ub4dor user=app", "host=db password=*** user=app"),
        ("host=db password = tr0ub4dor", "host=db password = ***"),
        ("password='tr0 ub4dor' user=app", "password='***' user=app"),
        (r"password='tr0\' ub4dor' user=app", "password='***' user=app"),
        (r"password='tr0\\' user=app", "password='***' user=app"),
        (r"password=tr0\ ub4dor user=app", "password=*** user=app"),
        ("password='tr0\nub4dor' user=app", "password='***' user=app"),
        ("sslpassword=tr0ub4dor", "sslpassword=***"),
        ("PGPASSWORD=tr0ub4dor psql", "PGPASSWORD=*** psql"),
        ("password='tr0ub4dor", "password=***"),
        ('password="tr0 ub4dor", host="db"', 'password="***", host="db"'),
        ("connect(password='tr0ub4dor', host='db')", "connect(password='***', host='db')"),
        ("{'password': 'tr0ub4dor', 'host': 'db'}", "{'password': '***', 'host': 'db'}"),
        ('{"password": "tr0ub4dor"}', '{"password": "***"}'),
        ('password="tr0"ub4dor user=app', "password=*** user=app"),
    ],
)
def test_the_password_of_a_keyword_is_blanked(text: str, cleaned: str) -> None:
    assert Redactor().clean(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://host:8080/users/a@b",
        "http://[::1]:8080/users/a@b",
        "https://host/path:with@signs",
        "postgresql://app@db:5432/x?mail=a@b",
        "postgresql://app:@db/x",
        "mail a@b about http://host",
        'password authentication failed for user "app"',
        "password=''",
        "the password: it was wrong",
        "12:30 a@b ://",
    ],
)
def test_what_holds_no_password_stays_as_it_is(text: str) -> None:
    assert Redactor().clean(text) == text


def test_a_secret_is_blanked_wherever_it_stands() -> None:
    assert Redactor([SECRET]).clean(f"x{SECRET}y {SECRET}\n{SECRET}") == "x***y ***\n***"


def test_the_longer_of_two_secrets_that_begin_alike_is_blanked_whole() -> None:
    assert Redactor(["token", "token-of-admin"]).clean("token-of-admin token") == "*** ***"


def test_a_secrets_own_characters_mean_nothing() -> None:
    assert Redactor(["a.*+(b"]).clean("a.*+(b axxxx(b") == "*** axxxx(b"


@pytest.mark.parametrize("written", ["p@ss w/é", "p%40ss%20w%2F%C3%A9", "p%40ss+w/%c3%a9", "p@ss%20w%2fé"])
def test_a_secret_is_blanked_in_every_percent_encoding(written: str) -> None:
    assert Redactor(["p@ss w/é"]).clean(f"<{written}>") == "<***>"


def test_a_secret_is_blanked_as_tracebacks_and_json_show_it() -> None:
    secret = '-----BEGIN-----\nit\'s "quoted"\\n\n-----END-----'
    assert secret not in repr(secret)
    assert Redactor([secret]).clean(f"{secret} {secret!r} {json.dumps(secret)}") == "*** '***' \"***\""


def test_blank_space_around_a_secret_does_not_count() -> None:
    assert Redactor([f"{SECRET}\n"]).clean(f"token {SECRET}.") == "token ***."


@pytest.mark.parametrize("secret", ["", " ", "a", "abc", " abc\n"])
def test_a_secret_too_short_to_tell_from_words_is_left_out(secret: str) -> None:
    assert Redactor([secret]).clean("abc a  abc") == "abc a  abc"


def test_what_is_cleaned_twice_is_the_same() -> None:
    redactor = Redactor([SECRET])
    once = redactor.clean(f"a://u:p@h password=x password='y z' {SECRET}")
    assert once == "a://u:***@h password=*** password='***' ***"
    assert redactor.clean(once) == once


# A blanked text has *** in the place of a secret, which a secret made of it could be put together from.
secrets = st.text(st.characters(exclude_characters="*", codec="utf-8"), min_size=4).filter(
    lambda text: len(text.strip()) >= 4
)


@given(st.lists(secrets, min_size=1, max_size=4), st.lists(st.text(), max_size=6), st.randoms(use_true_random=False))
def test_no_secret_is_ever_left(values: list[str], words: list[str], random: object) -> None:
    pieces = words + [
        form
        for value in (secret.strip() for secret in values)
        for form in (value, quote(value), quote(value, safe=""), quote_plus(value), repr(value)[1:-1])
    ]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    for separator in ("", " "):
        cleaned = Redactor(values).clean(separator.join(pieces))
        assert not any(value.strip() in cleaned for value in values)


@given(st.text(st.characters(codec="utf-8"), min_size=4), st.text(st.characters(codec="utf-8")))
def test_no_encoded_password_of_a_uri_is_ever_left(password: str, path: str) -> None:
    encoded = quote(password, safe="")
    dsn = f"postgresql://app:{encoded}@db/{quote(path)}"
    assert Redactor().clean(f"cannot reach {dsn}") == f"cannot reach postgresql://app:***@db/{quote(path)}"
    assert passwords_in(dsn) == [password]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_no_quoted_password_of_a_keyword_is_ever_left(password: str) -> None:
    quoted = password.replace("\\", r"\\").replace("'", r"\'")
    dsn = f"host=db password='{quoted}' user=app"
    assert Redactor().clean(dsn) == "host=db password='***' user=app"
    assert passwords_in(dsn) == [password]


@pytest.mark.parametrize(
    ("dsn", "passwords"),
    [
        ("", []),
        ("host=db user=app", []),
        ("postgresql://app@db/x", []),
        ("postgresql://app:tr0%40b@db", ["tr0@b"]),
        ("postgresql://db/x?password=a%20b&sslpassword=c+d&sslmode=require", ["a b", "c+d"]),
        (r"host=db password=tr0\ b sslpassword='c d'", ["tr0 b", "c d"]),
        ("password=a://b", ["a://b"]),
    ],
)
def test_the_passwords_of_a_dsn_are_found_and_decoded(dsn: str, passwords: list[str]) -> None:
    assert passwords_in(dsn) == passwords


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "piece",
    [
        "a", " ", "@", "'", '"', "\\", ":", "/", "1", "%", "*", "://", "://u:", "://u:@", "://:1", "://h:80/", "://a@b:",
        "password", "password=", "password='", 'password="', 'password="a ', "password=\\", "password='\\'", "passwor",
        "tr0ub4do", "a@",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["", "@", "'", " password="])
def test_a_megabyte_of_anything_is_cleaned_in_time(piece: str, end: str) -> None:
    redactor = Redactor([SECRET, "a" * 30 + "b", "\\" * 40 + "x", "% %", "password=='"])
    start = time.process_time()
    redactor.clean(f"://u:password={piece * (MEGABYTE // len(piece))}{end}")
    redactor.clean(f"{piece * (MEGABYTE // len(piece))}{end}")
    # Tenths of a second; what is not linear takes minutes.
    assert time.process_time() - start < 5
