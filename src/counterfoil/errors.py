"""Every error, arranged by what happens next.

CounterfoilError
├─ SettingsError        the operator changes a setting or a word of the command
│  └─ NameTaken         the same with another name, or what has the name is what was wanted
├─ AccountError         the user mends the account; never retried
│  ├─ KeyRejected       401; the account's datasets pause
│  └─ PermissionMissing 403, names the permission; that dataset pauses
├─ TransientError       the same may work later; retried by policy
│  ├─ RateLimited
│  ├─ StripeUnavailable
│  ├─ StateUnavailable  the attempts wait for the database of the state
│  └─ DestinationBusy
└─ RunError             this run cannot succeed as defined
   ├─ ClockError        the operator sets a clock right, or has everything read again
   ├─ QueryFailed       the user corrects the query
   ├─ SchemaConflict
   └─ DestinationRejected

Messages say what happened, with names and values; `hint` says what to do. Neither ever holds a key.
"""

#: Codes of errors after which the program acts in another way.
FOLDER_MISSING, QUERY_FAILED = "folder_missing", "query_failed"
INVALID_TABLE, REPLACES_ROWS = "invalid_table", "replaces_rows"


class CounterfoilError(Exception):
    """The root. `exit_code` is what the command line ends with."""

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        request_id: str | None = None,
        path: str | None = None,
        code: str | None = None,
        status: int | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        #: Stripe's `Request-Id`, where an answer brought one.
        self.request_id = request_id
        #: The path asked for, without parameters.
        self.path = path
        #: Stripe's `error.code`, where an answer brought one; or ours (docs/errors.md).
        self.code = code
        #: The HTTP status, and the parameter that Stripe's `error.param` names, where an answer brought them.
        self.status = status
        self.param = param

    def __str__(self) -> str:
        context = ", ".join(part for part in (self.path, self.request_id and f"request {self.request_id}") if part)
        return f"{self.message.rstrip('.')} ({context})" if context else self.message

    @property
    def sentence(self) -> str:
        """The message with one full stop."""
        return f"{self.message.rstrip('.')}."


class SettingsError(CounterfoilError):
    """The operator changes a setting, an option or a word of the command."""

    exit_code = 2


class NameTaken(SettingsError):  # noqa: N818 - the name says what happened
    """Another one has the name."""


class AccountError(CounterfoilError):
    """The user mends the account at Stripe; the same request will not work later by itself."""

    exit_code = 3


class KeyRejected(AccountError):  # noqa: N818 - the names say what happened
    """Stripe does not take the key (401)."""


class PermissionMissing(AccountError):  # noqa: N818
    """The key may not read this (403)."""

    def __init__(
        self,
        message: str,
        *,
        permission: str | None = None,
        hint: str | None = None,
        request_id: str | None = None,
        path: str | None = None,
        code: str | None = None,
        status: int | None = 403,
    ) -> None:
        super().__init__(message, hint=hint, request_id=request_id, path=path, code=code, status=status)
        #: `rak_…`, as Stripe names it, or None when its sentence names none.
        self.permission = permission


class TransientError(CounterfoilError):
    """The same may work later; retried by policy."""


class RateLimited(TransientError):  # noqa: N818
    """Stripe still answers 429 after the client's own tries."""


class StripeUnavailable(TransientError):  # noqa: N818
    """No connection, a time-out, a 5xx, or an answer that is not what it should be."""


class StateUnavailable(TransientError):  # noqa: N818
    """The database of the state or of the queue can't be reached."""


class DestinationBusy(TransientError):  # noqa: N818
    """Another process holds the destination; `reason` is the message without how long was waited."""

    def __init__(
        self,
        message: str,
        *,
        waited_seconds: float | None = None,
        hint: str | None = None,
        path: str | None = None,
        code: str | None = None,
    ) -> None:
        waited = "" if waited_seconds is None else f", after waiting {waited_seconds:g} seconds"
        super().__init__(message + waited, hint=hint, path=path, code=code)
        self.reason = message


class RunError(CounterfoilError):
    """This run cannot succeed as it is defined."""


class ClockError(RunError):
    """The run would begin before the dataset's last one: a clock, here or at Stripe, is or was wrong."""


class QueryFailed(RunError):  # noqa: N818
    """A database rejects a query; `reason` is what it says."""

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"the query failed: {reason}", hint=hint, code=QUERY_FAILED)
        self.reason = reason

    @property
    def first_line(self) -> str:
        """The message without the excerpt of the query that some databases add."""
        return self.message.splitlines()[0]


class SchemaConflict(RunError):  # noqa: N818
    """The table has another shape than the data."""


class DestinationRejected(RunError):  # noqa: N818
    """The destination refuses: read-only, full, not a database, a table that is not ours."""
