"""What docs/security.md says keeps the console's doors closed, and what opens each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.support.sabotage.mechanism import Python, Sabotage, constant, returning

LOGIN, PROXY, LIMITS = "web/test_login.py", "web/test_proxy_login.py", "web/test_limits.py"


class Everything:
    """A set that has everything."""

    def __or__(self, _: object) -> Everything:
        return self

    def __contains__(self, _: object) -> bool:
        return True


def without_passwords(connect: Any) -> Any:
    """Let roles in that the server asks for no password."""

    def altered(*given: Any, **_: Any) -> Any:
        return connect(*given, allow_passwordless=True)

    return altered


def with_superusers(admit: Any) -> Any:
    """Let superusers in."""

    def altered(conn: Any, **_: Any) -> Any:
        return admit(conn, allow_superusers=True)

    return altered


def whoever_it_was(_: Any) -> Any:
    """Have a session go on whomever the proxy names."""

    def altered(self: Any, connection: Any, user: str) -> Any:
        from rowhooks.web.people.cookies import session_cookie

        return self._sessions.find(session_cookie(connection))

    return altered


def for_any_browser(_: Any) -> Any:
    """Have a log-in at a provider finished by whoever brings its state."""

    def altered(self: Any, cookie: str | None, state: str) -> Any:
        return next(one for one in self._away.values() if one.state == state)

    return altered


def as_it_comes(_: Any) -> Any:
    """Have bodies read however large they are."""

    async def altered(self: Any) -> Any:
        return await self._receive()

    return altered


CONSOLE_DOORS = [
    Sabotage(
        5, "a role that the server asks for no password is not let into the console",
        Python("rowhooks.postgres.console.people:connect_with_password", without_passwords),
        f"{LOGIN} a_role_that_the_server_lets_in_without_a_password_is_refused",
    ),
    Sabotage(
        5, "superusers are not let into the console",
        Python("rowhooks.postgres.console.access:admit", with_superusers),
        f"{LOGIN} superusers_are_refused_unless_they_are_allowed",
    ),
    Sabotage(
        5, "log-ins that fail are counted before PostgreSQL is asked",
        Python("rowhooks.web.security.attempts:Attempts.begin", returning(0.0)),
        f"{LOGIN} attempts_on_many_roles_are_limited_by_the_client",
    ),
    Sabotage(
        5, "a form has the token of its session",
        Python("rowhooks.web.forms.reading:hmac", constant(SimpleNamespace(compare_digest=lambda *_: True))),
        "web/test_csrf.py no_form_is_taken_without_the_sessions_token",
    ),
    Sabotage(
        5, "a form comes from a page of the console",
        Python("rowhooks.web.forms.reading:comes_from_here", returning(True)),
        "web/test_csrf.py no_form_is_taken_from_another_site_even_with_the_token",
    ),
    Sabotage(
        5, "the console answers under its own names alone",
        Python("rowhooks.web.security.hosts:LOOPBACK", constant(Everything())),
        "web/test_headers.py it_does_not_answer_under_another_name",
    ),
    Sabotage(
        5, "a header that names a user is believed from trusted proxies alone",
        Python("rowhooks.web.security.peers:FindPeer.trusts", returning(True)),
        f"{PROXY} a_header_from_anybody_else_is_refused_whatever_it_asks_for",
    ),
    Sabotage(
        5, "a session ends when the proxy names another user",
        Python("rowhooks.web.login.finding:FindSession._find", whoever_it_was),
        f"{PROXY} the_session_of_one_user_is_none_of_the_next_ones",
    ),
    Sabotage(
        5, "nobody becomes the console's own login",
        Python("rowhooks.postgres.console.logins:OwnLogin._check_person", returning(None)),
        f"{PROXY} nobody_becomes_the_consoles_own_login",
    ),
    Sabotage(
        5, "a shared connection is set back before it serves another role",
        Python("rowhooks.postgres.console.pools:_set_back", returning(None)),
        f"{PROXY} nothing_that_one_person_leaves_in_a_connection_reaches_the_next",
    ),
    Sabotage(
        5, "a log-in at an OpenID provider is finished by the browser that began it",
        Python("rowhooks.web.login.oidc:Departures.back", for_any_browser),
        "web/test_oidc.py a_log_in_that_another_browser_has_begun_is_refused",
    ),
    Sabotage(
        5, "the log-in leads to paths of the console alone",
        Python("rowhooks.web.linking.addresses:safe_path", lambda _: lambda text, default: text or default),
        "web/test_redirects.py the_log_in_leads_nobody_away",
    ),
    Sabotage(
        5, "a session that has ended asks the database nothing more",
        Python("rowhooks.web.people.person:Person.end", returning(None)),
        "web/test_sessions.py whoever_still_asks_in_the_name_of_a_session_that_has_ended_gets_nothing",
    ),
    Sabotage(
        2, "a body is counted while it comes",
        Python("rowhooks.web.security.bodies:_Limited.receive", as_it_comes),
        f"{LIMITS} a_body_in_pieces_is_refused_when_it_has_become_too_large",
    ),
    Sabotage(
        2, "the live pages of one role are counted",
        Python("rowhooks.web.security.limits:_is_stream", returning(False)),
        f"{LIMITS} five_hundred_idle_streams_of_one_person_leave_the_console_to_others",
    ),
    Sabotage(
        2, "each step of a label's template is counted before it is taken",
        Python("rowhooks.postgres.label_texts:_Budget.spend", returning(None)),
        "unit/test_labels.py a_label_takes_neither_the_time_nor_the_memory_of_the_process_that_renders_it",
    ),
    Sabotage(
        2, "a number that somebody sends has no more digits than PostgreSQL stores",
        Python("rowhooks.domain.exact:LARGEST_EXPONENT", constant(10**9)),
        "web/test_api_problems.py a_few_characters_do_not_keep_the_console_busy",
    ),
    Sabotage(
        2, "a client that keeps the console waiting is cut off",
        Python("rowhooks.web.server:Server.give_slow_clients_up", returning(None)),
        f"{LIMITS} a_client_that_does_not_take_its_answer_is_cut_off",
    ),
    Sabotage(
        2, "the connections of one client that wait are counted",
        Python("rowhooks.web.server:Server.give_crowds_up", returning(None)),
        f"{LIMITS} a_client_has_only_so_many_connections_that_wait_and_others_keep_theirs",
    ),
]  # fmt: skip
