"""The kind ``pg8000``: its description, for which no driver is imported."""

from procrastinate_conn import POOL_OPTIONS, ConnectorInfo, OptionSupport

KIND = ConnectorInfo(
    interface=1,
    implementation="own_kind.connector:Pg8000Connector",
    drivers=("pg8000",),
    asynchronous=True,
    resolves_hosts=True,
    pool_options={
        **POOL_OPTIONS,
        "configure": OptionSupport("exact", "called with pg8000's connection"),
        "check": OptionSupport("exact", "called with pg8000's connection"),
        "reset": OptionSupport("exact", "called with pg8000's connection"),
        "prepare_threshold": OptionSupport("not possible", "no statement is prepared"),
    },
    # Each with the values that ask for nothing.
    unsupported_keywords={
        "channel_binding": ("disable", "prefer"),
        "gssencmode": ("disable", "prefer"),
        "replication": ("0", "false", "no", "off"),
        "require_auth": (),
        "requirepeer": (),
        "sslcertmode": ("disable", "allow"),
        "sslmode": ("disable", "allow", "prefer"),
        "target_session_attrs": ("any",),
    },
)
