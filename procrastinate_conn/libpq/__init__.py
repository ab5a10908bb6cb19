"""libpq, the authority on connection parameters: its keywords, its parser, its validation."""

from procrastinate_conn.libpq.conninfo import InvalidConninfo as InvalidConninfo
from procrastinate_conn.libpq.conninfo import conninfo as conninfo
from procrastinate_conn.libpq.conninfo import integer as integer
from procrastinate_conn.libpq.conninfo import parse as parse
from procrastinate_conn.libpq.conninfo import unencodable as unencodable
from procrastinate_conn.libpq.environment import SESSION_VARIABLES as SESSION_VARIABLES
from procrastinate_conn.libpq.environment import UNREACHABLE_HOST as UNREACHABLE_HOST
from procrastinate_conn.libpq.environment import pinned_environment as pinned_environment
from procrastinate_conn.libpq.keywords import CHOICES as CHOICES
from procrastinate_conn.libpq.keywords import INTEGERS as INTEGERS
from procrastinate_conn.libpq.keywords import UNSET_VALUES as UNSET_VALUES
from procrastinate_conn.libpq.keywords import Keyword as Keyword
from procrastinate_conn.libpq.keywords import home as home
from procrastinate_conn.libpq.keywords import is_secret as is_secret
from procrastinate_conn.libpq.keywords import keywords as keywords
from procrastinate_conn.libpq.keywords import unset_value as unset_value
from procrastinate_conn.libpq.keywords import variables as variables
from procrastinate_conn.libpq.keywords import version as version
from procrastinate_conn.libpq.probe import PLACEHOLDER_USER as PLACEHOLDER_USER
from procrastinate_conn.libpq.probe import default_host as default_host
from procrastinate_conn.libpq.probe import keepalives_rejection as keepalives_rejection
from procrastinate_conn.libpq.probe import lists_rejection as lists_rejection
from procrastinate_conn.libpq.probe import probe as probe
from procrastinate_conn.libpq.probe import rejection as rejection
from procrastinate_conn.libpq.probe import system_service as system_service
from procrastinate_conn.libpq.probe import turns_keepalives_off as turns_keepalives_off
