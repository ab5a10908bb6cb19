"""The validated connection: one field for each of libpq's keywords."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from procrastinate_conn import libpq
from procrastinate_conn.origins import Origin

MASK = "********"
"""What is shown in the place of a secret."""

_NEUTRAL = {
    "connect_timeout": "0",
    "max_protocol_version": "3.0",
    "min_protocol_version": "3.0",
    "require_auth": "password,md5,gss,sspi,scram-sha-256,none",
    "sslcertmode": "allow",
}
"""What an unset keyword means to libpq, where an empty value would be refused or would mean another thing."""


class ConnectionSpec(BaseModel):
    """What libpq is told, keyword by keyword.

    There is a field for each keyword that libpq 18 documents; a keyword that only a newer libpq knows is
    accepted as well. Two specs are equal if they tell libpq the same, wherever it was written.

    Attributes
    ----------
    parameters : Mapping of str to str
        Keyword to value, secrets in clear.
    origins : Mapping of str to Origin
        Keyword to the place where its value is written.
    """

    model_config = ConfigDict(
        frozen=True, extra="allow", hide_input_in_errors=True, coerce_numbers_to_str=True
    )

    service: str | None = Field(
        None, description="Section of the service file that completes the connection."
    )
    user: str | None = Field(None, description="Role to log in as; by default the operating system's user.")
    password: SecretStr | None = Field(None, description="Password, if the server asks for one.")
    passfile: str | None = Field(None, description="File that libpq looks passwords up in.")
    channel_binding: str | None = Field(None, description="Whether SCRAM is bound to the TLS channel.")
    connect_timeout: int | None = Field(
        None, description="Time for one host to accept, in seconds; 0 is no limit."
    )
    dbname: str | None = Field(None, description="Database; by default named like the user.")
    host: str | None = Field(None, description="Host names or socket directories, separated by commas.")
    hostaddr: str | None = Field(None, description="Numeric addresses, which save looking the hosts up.")
    port: str | None = Field(None, description="Port of each host, or one for all of them.")
    client_encoding: str | None = Field(
        None, description="Encoding of the session; `auto` takes the locale's."
    )
    options: str | None = Field(None, description="Command-line options for the server process.")
    application_name: str | None = Field(
        None, description="Name of the session in `pg_stat_activity` and logs."
    )
    fallback_application_name: str | None = Field(
        None, description="The same, where application_name is unset."
    )
    keepalives: int | None = Field(None, description="Whether TCP keepalives are sent: 1 or 0.")
    keepalives_idle: int | None = Field(None, description="Idle time before the first keepalive, in seconds.")
    keepalives_interval: int | None = Field(None, description="Time between lost keepalives, in seconds.")
    keepalives_count: int | None = Field(
        None, description="Lost keepalives after which the connection is dead."
    )
    tcp_user_timeout: int | None = Field(
        None, description="Time that sent data may stay unacknowledged, in milliseconds."
    )
    sslmode: str | None = Field(None, description="Whether TLS is used, and what is verified of the server.")
    sslnegotiation: str | None = Field(None, description="Whether TLS begins with a request or at once.")
    sslcompression: str | None = Field(
        None, description="Whether TLS compresses: 1 or 0; ignored by OpenSSL today."
    )
    sslcert: str | None = Field(None, description="File of the client certificate.")
    sslkey: str | None = Field(None, description="File or engine of the client certificate's key.")
    sslcertmode: str | None = Field(None, description="Whether the client certificate may or must be sent.")
    sslpassword: SecretStr | None = Field(None, description="Passphrase of the key in sslkey.")
    sslrootcert: str | None = Field(None, description="File of trusted certificates, or `system`.")
    sslcrl: str | None = Field(None, description="File of revoked certificates.")
    sslcrldir: str | None = Field(None, description="Directory of revoked certificates.")
    sslsni: str | None = Field(None, description="Whether TLS names the host to the server: 1 or 0.")
    requirepeer: str | None = Field(
        None, description="Operating system user that the socket's server must run as."
    )
    require_auth: str | None = Field(None, description="Authentication methods that the server may ask for.")
    min_protocol_version: str | None = Field(None, description="Oldest protocol version to accept.")
    max_protocol_version: str | None = Field(None, description="Newest protocol version to ask for.")
    ssl_min_protocol_version: str | None = Field(None, description="Oldest TLS version to accept.")
    ssl_max_protocol_version: str | None = Field(None, description="Newest TLS version to accept.")
    gssencmode: str | None = Field(None, description="Whether GSSAPI encryption is used.")
    krbsrvname: str | None = Field(None, description="Kerberos service name of the server.")
    gsslib: str | None = Field(None, description="GSSAPI library, on Windows.")
    gssdelegation: str | None = Field(
        None, description="Whether credentials are delegated to the server: 1 or 0."
    )
    replication: str | None = Field(None, description="Whether the session speaks the replication protocol.")
    target_session_attrs: str | None = Field(None, description="What the session must be able to do.")
    load_balance_hosts: str | None = Field(None, description="Whether hosts are tried in order or at random.")
    scram_client_key: SecretStr | None = Field(None, description="SCRAM client key, base64.")
    scram_server_key: SecretStr | None = Field(None, description="SCRAM server key, base64.")
    oauth_issuer: str | None = Field(None, description="HTTPS URL of the trusted OAuth issuer.")
    oauth_client_id: str | None = Field(None, description="OAuth client identifier.")
    oauth_client_secret: SecretStr | None = Field(None, description="OAuth client secret.")
    oauth_scope: str | None = Field(None, description="OAuth scope to ask for.")
    sslkeylogfile: str | None = Field(
        None, description="File that TLS session keys are logged to, for debugging."
    )

    _texts: dict[str, str] = PrivateAttr(default_factory=dict)
    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str], origins: Mapping[str, Origin]) -> Self:
        """Make a spec of values as libpq reads them, which are kept to the letter.

        Parameters
        ----------
        parameters
            Keyword to value; a number may have blanks and a sign.
        origins
            Keyword to the place where the value is written.
        """
        spec = cls.model_validate(parameters)
        spec._texts = dict(parameters)  # noqa: SLF001 - its own class
        spec._origins = dict(origins)  # noqa: SLF001
        return spec

    @model_validator(mode="before")
    @classmethod
    def _hide_new_secrets(cls, values: Any) -> Any:
        """Treat a keyword that only a newer libpq knows as a secret if libpq's table says so."""
        if not isinstance(values, dict):
            return values
        return {
            name: SecretStr(value)
            if name not in cls.model_fields and isinstance(value, str) and is_secret(name)
            else value
            for name, value in values.items()
        }

    @property
    def parameters(self) -> Mapping[str, str]:
        """Keyword to value, secrets in clear."""
        return {
            name: self._texts.get(name) or _clear(value)
            for name, value in dict(self).items()
            if value is not None
        }

    @property
    def origins(self) -> Mapping[str, Origin]:
        """Keyword to the place where its value is written."""
        return dict(self._origins)

    def redacted(self) -> dict[str, str]:
        """Return `parameters` with ``********`` in the place of every secret."""
        return {name: MASK if is_secret(name) else value for name, value in self.parameters.items()}

    def conninfo(self, keywords: Container[str] | None = None) -> str:
        """Write the spec as a string for libpq that means the same in every environment.

        Every keyword for which libpq would look at a variable is stated, if only as empty. The service
        is left out: what it says is in the spec.

        Parameters
        ----------
        keywords
            The keywords to state, for a libpq that does not know all of them.

        Returns
        -------
        str
            Keyword/value string, secrets in clear.
        """
        stated = {**self._neutral(), **self.parameters}
        stated.pop("service", None)
        return libpq.conninfo({k: v for k, v in stated.items() if keywords is None or k in keywords})

    def _neutral(self) -> dict[str, str]:
        """Return every keyword that has a variable, with the value that means nothing was stated."""
        neutral = {
            keyword.name: _NEUTRAL.get(keyword.name, keyword.default or "")
            for keyword in libpq.keywords().values()
            if keyword.variable
        }
        if self.min_protocol_version not in (None, "3.0"):
            # libpq's default follows the minimum; "3.0" would be below it.
            neutral["max_protocol_version"] = "latest"
        if self.oauth_issuer is not None:
            # Not known to every libpq that knows require_auth, but to every one that knows oauth_issuer.
            neutral["require_auth"] += ",oauth"
        return neutral

    def __eq__(self, other: object) -> bool:
        """Compare what libpq is told."""
        return isinstance(other, ConnectionSpec) and self.parameters == other.parameters

    def __hash__(self) -> int:
        """Hash what libpq is told."""
        return hash(frozenset(self.parameters.items()))

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        """Show what is stated, secrets masked."""
        return list(self.redacted().items())


def is_secret(keyword: str) -> bool:
    """Tell whether the value of a keyword must not be shown: libpq marks it, or it is a SCRAM key."""
    field = ConnectionSpec.model_fields.get(keyword)
    if field is not None and field.annotation == SecretStr | None:
        return True
    row = libpq.keywords().get(keyword)
    return row is not None and row.secret


def _clear(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
