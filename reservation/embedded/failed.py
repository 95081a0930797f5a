"""The one failure of this package."""


class EmbeddedFailed(Exception):
    """The embedded PostgreSQL cannot be used: one sentence, then the end of its log if there is one."""
