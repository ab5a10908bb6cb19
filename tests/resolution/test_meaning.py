"""What libpq makes of particular inputs: every difference ever found, and every rule that is easily broken.

Each case says what is expected, so that a reader learns it here; that libpq agrees is asserted too.
"""

from __future__ import annotations

import pytest

from procrastinate_conn import libpq
from tests.resolution.comparison import compare
from tests.resolution.oracle import BROADCAST, Inputs, ask_spec

pytestmark = pytest.mark.subprocess

REFUSED = None

CASES = {
    # URIs
    "nothing at all": (Inputs(), {"port": "5432", "sslmode": "prefer"}),
    "a URI with every part": (
        Inputs(dsn=f"postgresql://u%40x:p%3Aw@{BROADCAST}:6432/d%2Fb?sslmode=require"),
        {
            "user": "u@x",
            "password": "p:w",
            "host": BROADCAST,
            "port": "6432",
            "dbname": "d/b",
            "sslmode": "require",
        },
    ),
    "the short scheme": (Inputs(dsn="postgres:///d"), {"dbname": "d"}),
    "SQLAlchemy's scheme": (Inputs(dsn="postgresql+asyncpg://u:p@/d"), {"user": "u", "password": "p"}),
    "SQLAlchemy's scheme inside a password": (
        Inputs(dsn="password=postgresql+x://y host=/nowhere"),
        {"password": "postgresql+x://y"},
    ),
    "a scheme in capitals is none": (Inputs(dsn="POSTGRESQL://h/d"), REFUSED),
    "a socket directory as a parameter": (
        Inputs(dsn="postgresql:///d?host=/nowhere/sock"),
        {"host": "/nowhere/sock", "dbname": "d"},
    ),
    "a socket directory as the host": (Inputs(dsn="postgresql://%2Fnowhere/d"), {"host": "/nowhere"}),
    "an IPv6 address": (Inputs(dsn="postgresql://[ff02::1]:1/d"), {"host": "ff02::1", "port": "1"}),
    "an IPv6 address with a zone": (Inputs(dsn="postgresql://[fe80::1%25lo]/d"), {"host": "fe80::1%lo"}),
    "an IPv6 address that does not end": (Inputs(dsn="postgresql://[::1/d"), REFUSED),
    "several hosts, a port each": (
        Inputs(dsn=f"postgresql://{BROADCAST}:1,{BROADCAST}:2/d"),
        {"host": f"{BROADCAST},{BROADCAST}", "port": "1,2"},
    ),
    "several hosts, one without a port": (
        Inputs(dsn=f"postgresql://{BROADCAST}:1,{BROADCAST}/d"),
        {"port": "1,"},
    ),
    "JDBC's ssl=true": (Inputs(dsn="postgresql:///d?ssl=true"), {"sslmode": "require"}),
    "JDBC's ssl=false": (Inputs(dsn="postgresql:///d?ssl=false"), REFUSED),
    "an unknown parameter": (Inputs(dsn="postgresql:///d?sslmod=require"), REFUSED),
    "a parameter twice": (Inputs(dsn="postgresql:///d?user=a&user=b"), {"user": "b"}),
    "a percent sign by itself": (Inputs(dsn="postgresql://u:10%@/d"), REFUSED),
    "an encoded NUL": (Inputs(dsn="postgresql://u%00@/d"), REFUSED),
    "a password with an @": (Inputs(dsn="postgresql://u:p@ss@/d"), {"host": "ss@", "password": "p"}),
    "a password with a slash": (
        Inputs(dsn="postgresql://u:1/2@h/d"),
        {"host": "u", "port": "1", "dbname": "2@h/d"},
    ),
    # keyword/value strings
    "the last of two counts": (Inputs(dsn="user=a user=b"), {"user": "b"}),
    "blanks around =": (Inputs(dsn="user = a"), {"user": "a"}),
    "quotes and backslashes": (
        Inputs(dsn=r"user='a \'b\' \\c' password=d\ e"),
        {"user": r"a 'b' \c", "password": "d e"},
    ),
    "a quote that does not end": (Inputs(dsn="user='a"), REFUSED),
    "a word by itself": (Inputs(dsn="user=a b"), REFUSED),
    "an empty value counts as set": (
        Inputs(environment={"PGHOSTADDR": "192.0.2.1"}, dsn=f"host={BROADCAST} hostaddr=''"),
        {"host": BROADCAST, "hostaddr": ""},
    ),
    # empty values, which are not unset ones
    "an empty sslmode": (Inputs(environment={"PGSSLMODE": ""}), REFUSED),
    "an empty port is the default": (Inputs(environment={"PGPORT": ""}), {"port": ""}),
    "an empty user is the system's": (Inputs(environment={"PGUSER": ""}, dsn="dbname=d"), {"dbname": "d"}),
    "an empty sslsni sends none": (Inputs(environment={"PGSSLSNI": ""}), {"sslsni": ""}),
    "an empty ssl_min_protocol_version": (
        Inputs(dsn="ssl_min_protocol_version=''"),
        {"ssl_min_protocol_version": ""},
    ),
    "an empty connect_timeout": (Inputs(environment={"PGCONNECT_TIMEOUT": ""}), REFUSED),
    "an empty service": (Inputs(environment={"PGSERVICE": ""}), REFUSED),
    # hosts, addresses and ports
    "an address beside a name": (
        Inputs(dsn=f"host=db.example hostaddr={BROADCAST}"),
        {"host": "db.example", "hostaddr": BROADCAST},
    ),
    "an address beside a name, from a variable": (
        Inputs(environment={"PGHOSTADDR": BROADCAST}, dsn="host=/nowhere"),
        {"host": "/nowhere", "hostaddr": BROADCAST},
    ),
    "a name for an address": (Inputs(dsn="hostaddr=localhost"), REFUSED),
    "an address in full-width digits": (Inputs(dsn="hostaddr=\uff11\uff12\uff17.0.0.1"), REFUSED),
    "an address in one number": (Inputs(dsn="hostaddr=2130706433"), {"hostaddr": "2130706433"}),
    "two hosts, three ports": (Inputs(dsn="host=/a,/b port=1,2,3"), REFUSED),
    "two hosts, one port": (Inputs(dsn="host=/a,/b port=1"), {"port": "1"}),
    "two hosts, one address": (Inputs(dsn=f"host=/a,/b hostaddr={BROADCAST}"), REFUSED),
    "one host, two ports": (Inputs(dsn="port=1,2"), REFUSED),
    "a host between commas": (Inputs(dsn="host=/a,,/b port=1,,2"), {"host": "/a,,/b", "port": "1,,2"}),
    "a port below the range": (Inputs(dsn="port=0"), REFUSED),
    "a port above the range": (Inputs(dsn="port=65536"), REFUSED),
    "the second port out of range": (Inputs(dsn="host=/a,/b port=1,65536"), REFUSED),
    "a port with a sign and blanks": (Inputs(dsn="port=' +5 '"), {"port": " +5 "}),
    "a port in hexadecimal": (Inputs(dsn="port=0x10"), REFUSED),
    "a port in Arabic digits": (Inputs(dsn="port=\u0665"), REFUSED),
    "a socket path of 107 bytes": (Inputs(dsn=f"host=/{'n' * 92}"), {"host": "/" + "n" * 92}),
    "a socket path of 108 bytes": (Inputs(dsn=f"host=/{'n' * 93}"), REFUSED),
    "a socket path whose port makes it too long": (Inputs(dsn=f"host=/{'n' * 92} port=54321"), REFUSED),
    "a socket path of too many bytes, not characters": (Inputs(dsn=f"host=/{'é' * 47}"), REFUSED),
    # numbers
    "a timeout with a sign": (Inputs(dsn="connect_timeout=+5"), {"connect_timeout": "+5"}),
    "a timeout with a fraction": (Inputs(dsn="connect_timeout=2.5"), REFUSED),
    "a timeout of 2^31": (Inputs(dsn="connect_timeout=2147483648"), REFUSED),
    "a timeout below zero": (Inputs(dsn="connect_timeout=-1"), {"connect_timeout": "-1"}),
    "keepalives over TCP": (Inputs(dsn=f"host={BROADCAST} keepalives_idle=5x"), REFUSED),
    "keepalives over a socket": (Inputs(dsn="host=/nowhere keepalives_idle=5x"), {"keepalives_idle": "5x"}),
    "keepalives of zero seconds": (Inputs(dsn=f"host={BROADCAST} keepalives_idle=0"), REFUSED),
    "more keepalives than the system allows": (Inputs(dsn=f"host={BROADCAST} keepalives_count=128"), REFUSED),
    "keepalives where one host is a socket": (Inputs(dsn=f"host=/a,{BROADCAST} keepalives=x"), REFUSED),
    "keepalives off, and nothing else looked at": (
        Inputs(dsn=f"host={BROADCAST} keepalives=0 keepalives_idle=5x tcp_user_timeout=x"),
        {"keepalives": "0"},
    ),
    "keepalives off by themselves": (Inputs(dsn=f"host={BROADCAST} keepalives=0"), {"keepalives": "0"}),
    "tcp_user_timeout below zero": (
        Inputs(dsn=f"host={BROADCAST} tcp_user_timeout=-1"),
        {"tcp_user_timeout": "-1"},
    ),
    # what libpq knows by itself
    "the database is named like the user": (Inputs(environment={"PGUSER": "u"}), {"dbname": "u"}),
    # psql would take it for a connection string, and libpq here for a name: it is rejected
    "a dbname that is a string": (Inputs(dsn="dbname='host=/x'"), REFUSED),
    "a dbname that is a URI": (Inputs(keywords={"dbname": "postgresql://u:p@h/d"}), REFUSED),
    "PGREQUIRESSL": (Inputs(environment={"PGREQUIRESSL": "1"}), {"sslmode": "require"}),
    "PGREQUIRESSL beside PGSSLMODE": (
        Inputs(environment={"PGREQUIRESSL": "1"}, dotenv={"PGSSLMODE": "disable"}),
        {"sslmode": "disable"},
    ),
    "PGREQUIRESSL in two sources": (
        Inputs(environment={"PGREQUIRESSL": "0"}, dotenv={"PGREQUIRESSL": "1"}),
        {"sslmode": "prefer"},
    ),
    "an SSL range that is none": (
        Inputs(dsn="ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2"),
        REFUSED,
    ),
    "an SSL version in small letters": (
        Inputs(dsn="ssl_min_protocol_version=tlsv1.3"),
        {"ssl_min_protocol_version": "tlsv1.3"},
    ),
    "a choice in capitals": (Inputs(dsn="sslmode=Require"), REFUSED),
    "a choice behind a blank": (Inputs(environment={"PGSSLMODE": " require"}), REFUSED),
    # precedence
    "a variable in the environment overrides the env file's": (
        Inputs(environment={"PGUSER": "e"}, dotenv={"PGUSER": "d", "PGDATABASE": "d"}),
        {"user": "e", "dbname": "d"},
    ),
    "an empty variable overrides the env file's": (
        Inputs(environment={"PGHOST": ""}, dotenv={"PGHOST": "/d"}),
        {"host": ""},
    ),
    # service files
    "a service overrides variables, and the DSN overrides it": (
        Inputs(
            environment={"PGUSER": "env", "PGPORT": "1"},
            dsn="service=jobs dbname=dsn",
            service_file=b"[jobs]\nuser=service\ndbname=service\n",
        ),
        {"user": "service", "dbname": "dsn", "port": "1"},
    ),
    "a service from the env file": (
        Inputs(dotenv={"PGSERVICE": "jobs"}, service_file=b"[jobs]\nuser=s\n"),
        {"user": "s"},
    ),
    "the first of two counts": (
        Inputs(dsn="service=a", service_file=b"[a]\nuser=1\nuser=2\n"),
        {"user": "1"},
    ),
    "blanks around a line": (Inputs(dsn="service=a", service_file=b"  [a] x\n\t user=1 \r\n"), {"user": "1"}),
    "blanks around its =": (Inputs(dsn="service=a", service_file=b"[a]\nuser = 1\n"), REFUSED),
    "a comment in a service": (
        Inputs(dsn="service=a", service_file=b"[a]\n #x\nuser=1#2\n"),
        {"user": "1#2"},
    ),
    "a service twice": (
        Inputs(dsn="service=a", service_file=b"[a]\nuser=1\n[a]\nport=2\n"),
        {"port": "5432"},
    ),
    "a fault behind the service": (
        Inputs(dsn="service=a", service_file=b"[a]\nuser=1\n[b]\nx\n"),
        {"user": "1"},
    ),
    "a fault in the service": (Inputs(dsn="service=a", service_file=b"[a]\nx\n"), REFUSED),
    "an unknown keyword in the service": (Inputs(dsn="service=a", service_file=b"[a]\nhots=/x\n"), REFUSED),
    "a service that names one": (Inputs(dsn="service=a", service_file=b"[a]\nservice=b\n"), REFUSED),
    "a line of LDAP, damaged": (Inputs(dsn="service=a", service_file=b"[a]\nldap\n"), REFUSED),
    "a line of 1022 bytes": (
        Inputs(dsn="service=a", service_file=b"[a]\nuser=" + b"u" * 1016 + b"\n"),
        {"user": "u" * 1016},
    ),
    "a line of 1023 bytes": (
        Inputs(dsn="service=a", service_file=b"[a]\nuser=" + b"u" * 1017 + b"\n"),
        REFUSED,
    ),
    "a long line before the service": (
        Inputs(dsn="service=a", service_file=b"#" * 1023 + b"\n[a]\n"),
        REFUSED,
    ),
    "a NUL in a line": (
        Inputs(dsn="service=a", service_file=b"[a]\nuser=u\0v\nport=1\n"),
        {"user": "u", "port": "1"},
    ),
    "an empty connect_timeout in a service": (
        Inputs(environment={"PGSERVICE": "a"}, service_file=b"[a]\nconnect_timeout=\n"),
        REFUSED,
    ),
    "a DATABASE_URL that is none": (Inputs(dsn="A", dsn_in="DATABASE_URL"), REFUSED),
    "a service without a file": (Inputs(dsn="service=a"), REFUSED),
    "a service file that is a directory": (
        Inputs(environment={"PGSERVICEFILE": "/"}, dsn="service=a", service_file=b"[a]\nuser=1\n"),
        REFUSED,
    ),
    "PGSERVICEFILE alone is read": (
        Inputs(environment={"PGSERVICEFILE": "/nowhere"}, dsn="service=a", service_file=b"[a]\nuser=1\n"),
        REFUSED,
    ),
    "an empty PGSERVICEFILE": (
        Inputs(environment={"PGSERVICEFILE": ""}, dsn="service=a", service_file=b"[a]\nuser=1\n"),
        REFUSED,
    ),
    "PGSERVICEFILE without a service": (Inputs(environment={"PGSERVICEFILE": "/nowhere"}), {"port": "5432"}),
    # password files
    "a password for this login": (
        Inputs(dsn="host=/nowhere user=u dbname=d", password_file=b"/nowhere:5432:d:u:hush\n"),
        {"password": ""},
    ),
    "a password for an address with colons": (
        Inputs(dsn=f"host=::1 hostaddr={BROADCAST} user=u dbname=d", password_file=b"::1:5432:d:u:hush\n"),
        {"password": ""},
    ),
    "a password for a database with a colon": (
        Inputs(dsn="host=/nowhere user=u dbname=a:b", password_file=b"/nowhere:5432:a:b:u:hush\n"),
        {"password": ""},
    ),
    "a password for localhost": (Inputs(password_file=b"localhost:*:*:*:hush\n"), {"password": ""}),
    "a password is set": (
        Inputs(environment={"PGPASSWORD": "p"}, password_file=b"*:*:*:*:hush\n"),
        {"password": "p", "passfile": ""},
    ),
    "an empty password is none": (
        Inputs(environment={"PGPASSWORD": ""}, password_file=b"*:*:*:*:hush\n"),
        {"password": ""},
    ),
    "a password file that is named": (
        Inputs(environment={"PGPASSFILE": "/nowhere"}, password_file=b"*:*:*:*:hush\n"),
        {"passfile": "/nowhere"},
    ),
    "a port with a blank is another text": (
        Inputs(dsn=f"hostaddr={BROADCAST} port='5432 '", password_file=b"*:5432:*:*:hush\n"),
        {"port": "5432 "},
    ),
    "a port with a sign is another text": (
        Inputs(dsn="port=+5432", password_file=b"*:5432:*:*:hush\n"),
        {"port": "+5432"},
    ),
}


@pytest.mark.parametrize(("inputs", "expected"), CASES.values(), ids=CASES)
def test_libpq_and_the_spec_agree(inputs, expected, home):
    compare(inputs, home)
    if libpq.unset_value("sslmode") == "disable":
        return  # built without TLS, this libpq says something else; that the spec says it too is proven
    configuration = ask_spec(inputs, home)
    if expected is REFUSED:
        assert configuration.spec is None or configuration.errors
    else:
        parameters = configuration.spec.parameters
        assert {keyword: parameters.get(keyword, "") for keyword in expected} == expected


SINCE = {
    # 16.0, and minor releases of its time, take it for 0
    "keepalives empty": (160001, Inputs(dsn=f"host={BROADCAST} keepalives=''"), REFUSED),
    "keepalives empty turn nothing else off": (
        160001,
        Inputs(dsn=f"host={BROADCAST} keepalives='' tcp_user_timeout=x"),
        REFUSED,
    ),
    "system certificates demand verification": (
        160000,
        Inputs(dsn="sslrootcert=system"),
        {"sslmode": "verify-full"},
    ),
    "system certificates reject less": (160000, Inputs(dsn="sslrootcert=system sslmode=require"), REFUSED),
    "system certificates reject less from anywhere": (
        160000,
        Inputs(environment={"PGSSLMODE": "require"}, dotenv={"PGSSLROOTCERT": "system"}),
        REFUSED,
    ),
    "methods and their negation": (160000, Inputs(dsn="require_auth=md5,!gss"), REFUSED),
    "no method at all": (160000, Inputs(dsn="require_auth=''"), {"require_auth": ""}),
    "direct TLS demands TLS": (170000, Inputs(dsn="sslnegotiation=direct"), REFUSED),
    "a minimum above the default maximum": (
        180000,
        Inputs(dsn="min_protocol_version=3.2"),
        {"min_protocol_version": "3.2"},
    ),
    "a minimum above the maximum": (
        180000,
        Inputs(dsn="min_protocol_version=3.2 max_protocol_version=3.0"),
        REFUSED,
    ),
    "a SCRAM key of the wrong length": (180000, Inputs(dsn="scram_client_key=AAAA"), REFUSED),
}


@pytest.mark.parametrize(("version", "inputs", "expected"), SINCE.values(), ids=SINCE)
def test_libpq_and_the_spec_agree_on_behaviour_of_one_version(version, inputs, expected, home):
    compare(inputs, home)
    if libpq.version() >= version:
        test_libpq_and_the_spec_agree(inputs, expected, home)
