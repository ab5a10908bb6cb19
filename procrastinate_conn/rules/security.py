"""Rules of the security room: what connects, or would, and should not stay so."""

from procrastinate_conn.rules_tmp import Example, Rule

PLAINTEXT_POSSIBLE = Rule(
    "PC501",
    "plaintext to a host that is not local",
    "With an sslmode below `require` libpq goes on without encryption when the server, or somebody in"
    " between, says that it has none: the password and every job can be read and changed on the way.",
    "State sslmode=verify-full and the sslrootcert to verify against, or at least sslmode=require.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs"),
)
UNVERIFIED_SERVER = Rule(
    "PC502",
    "encryption without verification",
    "sslmode=require without a root certificate encrypts, but to whoever answers: another server is not"
    " noticed.",
    "State sslmode=verify-full and sslrootcert: a file, or `system`, for which the drivers' wheels need"
    " SSL_CERT_FILE as well.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs?sslmode=require"),
)
NO_ROOT_CERTIFICATE = Rule(
    "PC503",
    "verification without a root certificate",
    "libpq has nothing to verify the server against, and refuses to connect.",
    "State sslrootcert: a file, or `system`, for which the drivers' wheels need SSL_CERT_FILE as well.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@db1.example.com/jobs?sslmode=verify-full"),
)
UNUSABLE_TLS_FILE = Rule(
    "PC504",
    "certificate or key that cannot be used",
    "libpq refuses to connect.",
    "Name a file in PEM format that exists and that the process may read.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTION__HOST=db1.example.com\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLMODE=verify-full\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLROOTCERT=ca.pem",
        given="there is no file ca.pem",
    ),
)
EXPOSED_KEY = Rule(
    "PC505",
    "private key that libpq refuses for its permissions",
    "libpq does not use a key that others can read, and refuses to connect.",
    "chmod 0600, or 0640 where the file belongs to root.",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTION__HOST=db1.example.com\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLMODE=verify-full\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLROOTCERT=system\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLCERT=client.pem\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLKEY=client.key",
        files={"client.key": "-----BEGIN PRIVATE KEY-----\n...\n"},
        given="client.pem is a certificate",
    ),
)
EXPOSED_PASSWORD = Rule(
    "PC506",
    "password in a file that everybody can read",
    "Every user of the machine can log in to the database with it.",
    "chmod 0600, or keep the password in a password file, a secrets directory or password_command.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app:...@localhost/jobs"),
)
UNUSABLE_PASSWORD_FILE = Rule(
    "PC507",
    "password_file that holds no password",
    "Every new connection reads the password from it, and fails.",
    "Name a file that exists, that the process may read, and whose content is the password.",
    example=Example("PROCRASTINATE_CONN_PASSWORD_FILE=db-password", given="there is no file db-password"),
)
UNKNOWN_COMMAND = Rule(
    "PC508",
    "password_command that cannot be run",
    "Every new connection runs it for the password, and fails.",
    "Name a program that is installed and in PATH, or its full path. No shell reads the command.",
    example=Example("PROCRASTINATE_CONN_PASSWORD_COMMAND=vault-read secret/jobs"),
)
TLS_FILE_PASSED_OVER = Rule(
    "PC509",
    "certificate or key that libpq goes on without",
    "libpq says nothing, and connects without what the file was named for: no verification, no client"
    " certificate, no revocations, or not even TLS.",
    "Name a file that can be used, or leave the setting out.",
    severity="warning",
    example=Example(
        "PROCRASTINATE_CONN_CONNECTION__HOST=db1.example.com\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLMODE=require\n"
        "PROCRASTINATE_CONN_CONNECTION__SSLROOTCERT=ca.pem",
        given="there is no file ca.pem",
    ),
)
