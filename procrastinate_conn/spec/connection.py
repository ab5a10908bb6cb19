"""The validated connection: one field per libpq keyword."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.conninfo import make_conninfo
from pydantic import BaseModel, ConfigDict


class ConnectionSpec(BaseModel):
    """What libpq is told, keyword by keyword."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    @property
    def parameters(self) -> Mapping[str, str]:
        """libpq keyword to its string, secrets in clear."""
        return {str(k): str(v) for k, v in (self.model_extra or {}).items()}

    def conninfo(self) -> str:
        """Keyword/value string that connects exactly as the spec says, in any environment."""
        return make_conninfo(**self.parameters)
