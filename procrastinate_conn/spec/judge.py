"""What libpq would refuse, found before it connects."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from procrastinate_conn import libpq
from procrastinate_conn.origins import Located
from procrastinate_conn.problems import Problem
from procrastinate_conn.rules import connection as rules
from procrastinate_conn.spec.keywords import CHOICES, INTEGERS

Stated = Mapping[str, Located]
"""Keyword to the text that won, and where it is written."""


def judge(stated: Stated) -> Iterator[Problem]:
    """Yield what libpq would refuse of the values that were stated.

    Parameters
    ----------
    stated
        Keyword to value; the values are text, the keywords are libpq's.
    """
    hosts = list(_judge_hosts(stated))
    ports = list(_judge_ports(stated))
    yield from hosts
    yield from ports
    yield from _judge_integers(stated)
    yield from _judge_values(
        {k: v for k, v in stated.items() if k not in {"host", "hostaddr", "port", "service"}}
    )
    if not hosts and not ports:
        yield from _judge_counts(stated)


def host_count(stated: Mapping[str, str]) -> int:
    """Return how many hosts libpq counts: by `hostaddr` where it is stated, else by `host`."""
    return len((stated.get("hostaddr") or stated.get("host") or "").split(","))


def text(stated: Stated) -> dict[str, str]:
    """Return the values without their origins."""
    return {keyword: str(located.value) for keyword, located in stated.items()}


def _judge_hosts(stated: Stated) -> Iterator[Problem]:
    """Judge addresses as libpq does, by asking the resolver for a numeric address and nothing else."""
    located = stated.get("hostaddr")
    for address in str(located.value).split(",") if located else []:
        try:
            socket.getaddrinfo(address or None, 5432, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            yield _refused(
                "hostaddr", stated, f"{address!r} is not a numeric address", "put a name into host"
            )


def _judge_ports(stated: Stated) -> Iterator[Problem]:
    located = stated.get("port")
    for port in filter(None, str(located.value).split(",") if located else []):
        if not libpq.is_integer(port):
            # What libpq takes for a port may be the rest of a password that was not percent-encoded.
            hint = (
                "percent-encode /, ?, # and @ in the user and the password"
                if _from_dsn(stated["port"])
                else ""
            )
            yield _refused("port", stated, "it is not a number", hint or "write a number from 1 to 65535")
        elif not 1 <= int(port) <= 65535:
            yield _refused("port", stated, f"{int(port)} is out of range", "write a number from 1 to 65535")


def _judge_integers(stated: Stated) -> Iterator[Problem]:
    """Judge the numbers that libpq reads only once it connects."""
    for keyword in stated.keys() & INTEGERS.keys():
        value = str(stated[keyword].value)
        if not libpq.is_integer(value) and not (keyword == "keepalives" and not value):
            unit = INTEGERS[keyword]
            yield _refused(
                keyword, stated, f"{_shown(value)} is not an integer", f"write a whole number of {unit}"
            )


def _judge_counts(stated: Stated) -> Iterator[Problem]:
    """Judge whether there are as many hosts, addresses and ports, as libpq counts them."""
    lists = {
        k: str(stated[k].value).split(",")
        for k in ("host", "hostaddr", "port")
        if k in stated and stated[k].value
    }
    hosts = host_count(text(stated))
    for keyword, noun in (("host", "hosts to hostaddr"), ("port", "ports to host")):
        count = len(lists.get(keyword, []))
        if count in (0, hosts) or (keyword == "port" and count == 1):
            continue
        yield rules.MISMATCHED_HOSTS(
            f"connection.{keyword}",
            f"{keyword} lists {count} and {noun.split()[-1]} {hosts}: libpq cannot match them",
            hint="write as many as there are hosts" + (", or one port for all" if keyword == "port" else ""),
            origin=stated[keyword].origin,
        )


def _judge_values(stated: Stated) -> Iterator[Problem]:
    """Let libpq judge all values together and, where it refuses, each by itself and each combination."""
    values = text(stated)
    if libpq.ask(values).refusal is None:
        return
    guilty = {k: reason for k, v in values.items() if (reason := libpq.ask({k: v}).refusal)}
    for keyword, reason in guilty.items():
        yield _refused_value(keyword, stated, reason)
    innocent = {k: v for k, v in values.items() if k not in guilty}
    if reason := libpq.ask(innocent).refusal:
        yield _refused_together(innocent, stated, reason)


def _refused_value(keyword: str, stated: Stated, reason: str) -> Problem:
    choices = CHOICES.get(keyword, ())
    if not choices:
        return _refused(keyword, stated, _without_value(reason), "see libpq's documentation of the keyword")
    value = str(stated[keyword].value)
    near = get_close_matches(value.lower(), choices, n=1)
    hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(choices)}"
    return _refused(keyword, stated, f"{_shown(value)} is none of {', '.join(choices)}", hint)


def _refused_together(values: Mapping[str, str], stated: Stated, reason: str) -> Problem:
    """Report a combination: the keywords without any one of which libpq has no objection."""
    involved = [k for k in values if libpq.ask({o: v for o, v in values.items() if o != k}).refusal is None]
    places = ", ".join(f"{keyword} ({stated[keyword].origin})" for keyword in involved)
    return rules.REFUSED_TOGETHER(
        f"connection.{involved[0]}" if involved else "connection",
        f"libpq refuses these together: {places}: {reason}",
        hint="change one of them",
        origin=stated[involved[0]].origin if involved else None,
    )


def _refused(keyword: str, stated: Stated, reason: str, hint: str) -> Problem:
    return rules.REFUSED_VALUE(
        f"connection.{keyword}",
        f"libpq refuses {keyword}: {reason}",
        hint=hint,
        origin=stated[keyword].origin,
    )


def _from_dsn(located: Located) -> bool:
    return located.origin.name is not None and located.origin.name.lower().endswith(("dsn", "_url"))


def _without_value(reason: str) -> str:
    return re.sub(r'[:,]? *"(?s:.*)"', "", reason)


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else f"{value[:40]}...")
