"""The validated connection: a field for each of libpq's keywords."""

# Annotations are not postponed here: pydantic would evaluate the strings one by one, at every start.
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.libpq import INTEGERS, is_secret
from procrastinate_conn.origins import Origin
from procrastinate_conn.redaction import MASK
from procrastinate_conn.redaction.validation_errors import hide_inputs

_SERVICE = ("service", "servicefile")
"""Keywords that are left out of a connection string: the service's values are in the spec."""

_SET_BY_SERVICE_ALONE = ("keepalives", "oauth_issuer", "replication", "sslkeylogfile", "tcp_user_timeout")
"""Keywords without a variable, and with a value that means the same as none."""


class ConnectionSpec(BaseModel):
    """The parameters of a connection, keyword by keyword.

    There is a field for each keyword that libpq 18 documents; a keyword that only the installed libpq knows
    is accepted as well, and no other. Two specs are equal if they mean the same to libpq, whatever their
    origins.

    Attributes
    ----------
    parameters : Mapping of str to str
        Keyword to value, secrets in clear.
    origins : Mapping of str to Origin
        Keyword to the place where its value is written.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        defer_build=True,  # no connector needs the schema, and every start would build it
    )

    service: str | None = Field(None, description="Service file section that completes the connection.")
    user: str | None = Field(None, description="Role to log in as; by default the operating system's user.")
    password: SecretStr | None = Field(None, description="Password, if the server asks for one.")
    passfile: str | None = Field(None, description="File that libpq looks passwords up in.")
    channel_binding: str | None = Field(None, description="Whether SCRAM is bound to the TLS channel.")
    connect_timeout: int | str | None = Field(
        None, description="Time limit to connect to one host, in seconds; 0 is none."
    )
    dbname: str | None = Field(None, description="Database; by default named like the user.")
    host: str | None = Field(None, description="Host names or socket directories, separated by commas.")
    hostaddr: str | None = Field(None, description="Numeric addresses, instead of resolving the hosts.")
    port: str | None = Field(None, description="Port of each host, or one for all of them.")
    client_encoding: str | None = Field(None, description="Encoding of the session; `auto` for the locale's.")
    options: str | None = Field(None, description="Command-line options for the server process.")
    application_name: str | None = Field(None, description="Session name in `pg_stat_activity` and logs.")
    fallback_application_name: str | None = Field(None, description="The same, if application_name is unset.")
    keepalives: int | str | None = Field(None, description="Whether TCP keepalives are sent: 1 or 0.")
    keepalives_idle: int | str | None = Field(None, description="Idle seconds before the first keepalive.")
    keepalives_interval: int | str | None = Field(None, description="Seconds between lost keepalives.")
    keepalives_count: int | str | None = Field(None, description="Lost keepalives that end the connection.")
    tcp_user_timeout: int | str | None = Field(
        None, description="Time limit for unacknowledged data, in milliseconds."
    )
    sslmode: str | None = Field(None, description="Whether TLS is used, and what is verified of the server.")
    sslnegotiation: str | None = Field(None, description="Whether TLS begins with a request or at once.")
    sslcompression: str | None = Field(None, description="Whether TLS compresses: 1 or 0; OpenSSL does not.")
    sslcert: str | None = Field(None, description="File of the client certificate.")
    sslkey: str | None = Field(None, description="File or engine of the client certificate's key.")
    sslcertmode: str | None = Field(None, description="Whether the client certificate may or must be sent.")
    sslpassword: SecretStr | None = Field(None, description="Passphrase of the key in sslkey.")
    sslrootcert: str | None = Field(None, description="File of trusted certificates, or `system`.")
    sslcrl: str | None = Field(None, description="File of revoked certificates.")
    sslcrldir: str | None = Field(None, description="Directory of revoked certificates.")
    sslsni: str | None = Field(None, description="Whether TLS names the host to the server: 1 or 0.")
    requirepeer: str | None = Field(None, description="System user that the socket's server must run as.")
    require_auth: str | None = Field(None, description="Authentication methods that the server may ask for.")
    min_protocol_version: str | None = Field(None, description="Oldest protocol version to accept.")
    max_protocol_version: str | None = Field(None, description="Newest protocol version to ask for.")
    ssl_min_protocol_version: str | None = Field(None, description="Oldest TLS version to accept.")
    ssl_max_protocol_version: str | None = Field(None, description="Newest TLS version to accept.")
    gssencmode: str | None = Field(None, description="Whether GSSAPI encryption is used.")
    krbsrvname: str | None = Field(None, description="Kerberos service name of the server.")
    gsslib: str | None = Field(None, description="GSSAPI library, on Windows.")
    gssdelegation: str | None = Field(None, description="Whether credentials are delegated: 1 or 0.")
    replication: str | None = Field(None, description="Whether the session speaks the replication protocol.")
    target_session_attrs: str | None = Field(None, description="What the session must be able to do.")
    load_balance_hosts: str | None = Field(None, description="Whether hosts are tried in order or at random.")
    scram_client_key: SecretStr | None = Field(None, description="SCRAM client key, base64.")
    scram_server_key: SecretStr | None = Field(None, description="SCRAM server key, base64.")
    oauth_issuer: str | None = Field(None, description="HTTPS URL of the trusted OAuth issuer.")
    oauth_client_id: str | None = Field(None, description="OAuth client identifier.")
    oauth_client_secret: SecretStr | None = Field(None, description="OAuth client secret.")
    oauth_scope: str | None = Field(None, description="OAuth scope to ask for.")
    sslkeylogfile: str | None = Field(None, description="File to log TLS session keys to, for debugging.")

    _empty: frozenset[str] = PrivateAttr(frozenset())
    _redacted_keywords: frozenset[str] = PrivateAttr(frozenset())
    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)
    _session: dict[str, str] = PrivateAttr(default_factory=dict)
    _known: frozenset[str] | None = PrivateAttr(None)

    @classmethod
    def from_parameters(
        cls,
        parameters: Mapping[str, str],
        origins: Mapping[str, Origin],
        *,
        redacted_keywords: Iterable[str] = (),
        session: Mapping[str, str] | None = None,
        known: Collection[str] | None = None,
    ) -> Self:
        """Make a spec from complete parameters; an empty value may mean something else to libpq than none.

        The values of `redacted_keywords` may contain a piece of a password. `session` has libpq's variables
        for the session, `known` the keywords that the driver's libpq knows, by default those of psycopg's.
        """
        values = {keyword: _convert(keyword, value) for keyword, value in parameters.items() if value}
        spec = cls.model_construct(**values)  # libpq has accepted them
        spec._empty = frozenset(parameters.keys() - values.keys())  # noqa: SLF001
        spec._redacted_keywords = frozenset(redacted_keywords)  # noqa: SLF001 - its own class
        spec._origins = dict(origins)  # noqa: SLF001
        spec._session = dict(session or {})  # noqa: SLF001
        spec._known = None if known is None else frozenset(known)  # noqa: SLF001
        return spec

    @model_validator(mode="before")
    @classmethod
    def _validate_keywords(cls, values: Any) -> Any:
        """Reject unknown keywords, convert numbers, and hide what is secret according to libpq's table."""
        if not isinstance(values, dict):
            return values
        known = cls.model_fields.keys() | libpq.keywords().keys()
        if unknown := [str(name) for name in values if name not in known]:
            raise ValueError("; ".join(map(_unknown, unknown)))
        return {name: _convert(name, value) for name, value in values.items()}

    _hide_inputs = model_validator(mode="wrap")(hide_inputs)

    @model_serializer(mode="wrap")
    def _redact_dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: MASK if k in self._redacted_keywords else v for k, v in handler(self).items()}

    @property
    def parameters(self) -> Mapping[str, str]:
        """Keyword to value, secrets in clear."""
        return {name: _clear(value) for name, value in dict(self).items() if value is not None}

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Keyword to the place where its value is written."""
        return dict(self._origins)

    @property
    def session(self) -> Mapping[str, str]:
        """The variables that libpq sends as settings of the session: ``PGTZ`` and the like."""
        return dict(self._session)

    def redact(self, text: str) -> str:
        """Return a text, such as an error's, without the values that may contain a piece of a password."""
        for keyword in self._redacted_keywords:
            for value in filter(None, re.split(r"[,:]", self.parameters.get(keyword, ""))):
                text = text.replace(value, MASK)
        return text

    def redacted(self) -> dict[str, str]:
        """Return `parameters` with ``********`` in the place of every secret."""
        return {
            name: MASK if is_secret(name) or name in self._redacted_keywords else value
            for name, value in self.parameters.items()
        }

    def conninfo(self, keywords: Collection[str] | None = None) -> str:
        """Write the spec as a string for libpq that means the same in every environment.

        Every keyword for which libpq would read a variable is set, if only to what it means when unset. The
        service is left out: its values are in the spec.

        A string cannot exclude two things; the connectors exclude them themselves. If ``PGSERVICE`` is
        set, libpq does not connect unless the service is defined, and takes from it the keywords without a
        value that means the same as none: ``keepalives_idle``, ``keepalives_interval``, ``keepalives_count``,
        ``sslpassword`` and the SCRAM keys, unless the spec sets them. And ``PGTZ``, ``PGDATESTYLE`` and
        ``PGGEQO`` are settings of the session, which libpq sends in any case.

        Parameters
        ----------
        keywords
            The keywords to set; by default those that the libpq of the spec's driver knows.

        Returns
        -------
        str
            Keyword/value string, secrets in clear.
        """
        return libpq.conninfo(self.keyword_values(keywords))

    def keyword_values(
        self, keywords: Collection[str] | None = None, environment: Collection[str] | None = None
    ) -> dict[str, str]:
        """Return the keywords of `conninfo`, or only those that are needed beside certain variables.

        Parameters
        ----------
        keywords
            As for `conninfo`.
        environment
            The names of the variables that are set; by default they may be any.

        Returns
        -------
        dict[str, str]
            Keyword to value, secrets in clear.
        """
        table = libpq.keywords()
        known = set(keywords or self._known or table)
        # The order is libpq's, so that equal specs give equal strings.
        in_order = [*(k for k in table if k in known), *sorted(known - table.keys())]
        return {k: v for k, v in self._complete(in_order, environment).items() if k in known}

    def _complete(self, known: Iterable[str], environment: Collection[str] | None = None) -> dict[str, str]:
        """Return the parameters, with unset values for the known keywords that are set elsewhere."""
        unset = self._unset_values(known)
        if environment is not None and "PGSERVICE" not in environment:
            set_there = {k for variable, k in libpq.variables().items() if variable in environment}
            unset = {k: v for k, v in unset.items() if k in set_there or k not in libpq.keywords()}
        values = {**unset, **dict.fromkeys(self._empty, ""), **self.parameters}
        return {keyword: value for keyword, value in values.items() if keyword not in _SERVICE}

    def _unset_values(self, known: Iterable[str]) -> dict[str, str]:
        """Return a value that means the same as none for each keyword that may be set elsewhere."""
        table = libpq.keywords()
        elsewhere = [k for k in known if k not in table or table[k].variable or k in _SET_BY_SERVICE_ALONE]
        values = {keyword: libpq.unset_value(keyword) for keyword in elsewhere}
        if self.oauth_issuer is not None:
            # Not known to every libpq that knows require_auth, but to every one that knows oauth_issuer.
            values["require_auth"] += ",oauth"
        # Even an empty application_name keeps libpq from the fallback.
        values["application_name"] = self.fallback_application_name or ""
        if "max_protocol_version" in values and self.min_protocol_version not in (None, "3.0"):
            # libpq's default follows the minimum; "3.0" would be below it.
            values["max_protocol_version"] = "latest"
        return values

    def __eq__(self, other: object) -> bool:
        """Compare what the specs mean to libpq."""
        table = libpq.keywords()
        return isinstance(other, ConnectionSpec) and self._complete(table) == other._complete(table)

    def __hash__(self) -> int:
        """Hash what the spec means to libpq."""
        return hash(frozenset(self._complete(libpq.keywords()).items()))

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Show the parameters, secrets masked."""
        return list(self.redacted().items())


def _unknown(keyword: str) -> str:
    near = suggestions.keyword(keyword)
    return f"libpq knows no {keyword}" + (f" (did you mean {near}?)" if near else "")


def _convert(name: str, value: object) -> Any:
    if not isinstance(value, str):
        return value
    if name in INTEGERS and str(number := libpq.integer(value)) == value:
        return number
    return SecretStr(value) if is_secret(name) else value


def _clear(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
