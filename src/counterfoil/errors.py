"""All errors, grouped by how to recover from them.

CounterfoilError
├─ SettingsError        the user changes a setting or an option
│  └─ NameTaken         the name is in use: choose another name, or use what has it
├─ AccountError         the user fixes the account at Stripe; never retried
│  ├─ KeyRejected       401; the account's datasets pause
│  └─ PermissionMissing 403, names the permission; that dataset pauses
├─ TransientError       the same operation may work later; retried by policy
│  ├─ RateLimited
│  ├─ StripeUnavailable
│  ├─ StateUnavailable  attempts wait until the database is available again
│  └─ DestinationBusy
└─ RunError             the run cannot succeed as defined
   ├─ ClockError        the operator corrects a clock, or starts a full refresh
   ├─ QueryFailed       the user corrects the query
   ├─ SchemaConflict
   └─ DestinationRejected

A message says what happened, with names and values: one phrase that starts with a lower-case letter, unless it starts
with a name, and has no final full stop. `hint` is the next step, as a sentence. Neither contains a key.
"""

#: Codes that the program itself reads.
FOLDER_MISSING, QUERY_FAILED = "folder_missing", "query_failed"
INVALID_TABLE, REPLACES_ROWS = "invalid_table", "replaces_rows"


class CounterfoilError(Exception):
    """The base class. `exit_code` is the exit code of the command line."""

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
        #: Stripe's `Request-Id`, None without a response.
        self.request_id = request_id
        #: The requested path, without parameters.
        self.path = path
        #: Stripe's `error.code`, or one of our codes (docs/errors.md).
        self.code = code
        #: The HTTP status and Stripe's `error.param`, None without a response.
        self.status = status
        self.param = param

    def __str__(self) -> str:
        context = ", ".join(part for part in (self.path, self.request_id and f"request {self.request_id}") if part)
        return f"{self.message.rstrip('.')} ({context})" if context else self.message

    @property
    def sentence(self) -> str:
        """The message as a sentence: with a capital letter and one full stop."""
        return f"{self.message[:1].upper()}{self.message[1:].rstrip('.')}."


class SettingsError(CounterfoilError):
    """A setting, an option or a value is invalid; the user changes it."""

    exit_code = 2


class NameTaken(SettingsError):  # noqa: N818 - the name says what happened
    """The name is already in use."""


class AccountError(CounterfoilError):
    """The account has to be fixed at Stripe; never retried."""

    exit_code = 3


class KeyRejected(AccountError):  # noqa: N818 - the names say what happened
    """Stripe rejected the key (401)."""


class PermissionMissing(AccountError):  # noqa: N818
    """The key lacks a permission (403)."""

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
        #: Stripe's name of the permission (`rak_…`), None when its message has none.
        self.permission = permission


class TransientError(CounterfoilError):
    """The same operation may work later; retried by policy."""


class RateLimited(TransientError):  # noqa: N818
    """Stripe still responds with 429 after the client's retries."""


class StripeUnavailable(TransientError):  # noqa: N818
    """No connection, a timeout, a 5xx response, or an invalid response."""


class StateUnavailable(TransientError):  # noqa: N818
    """The database of the state or of the queue is unavailable."""


class DestinationBusy(TransientError):  # noqa: N818
    """Another process has locked the destination. `reason` is the message without the waiting time."""

    def __init__(
        self,
        message: str,
        *,
        waited_seconds: float | None = None,
        hint: str | None = None,
        path: str | None = None,
        code: str | None = None,
    ) -> None:
        waited = "" if waited_seconds is None else f" (waited {waited_seconds:g} seconds)"
        super().__init__(message + waited, hint=hint, path=path, code=code)
        self.reason = message


class RunError(CounterfoilError):
    """The run cannot succeed as defined."""


class ClockError(RunError):
    """The run would begin before the dataset's last run: a clock, here or at Stripe, is or was wrong."""


class QueryFailed(RunError):  # noqa: N818
    """A database rejected a query. `reason` is the database's message."""

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"the query failed: {reason}", hint=hint, code=QUERY_FAILED)
        self.reason = reason

    @property
    def first_line(self) -> str:
        """The message without the excerpt of the query that some databases append."""
        return self.message.splitlines()[0]


class SchemaConflict(RunError):  # noqa: N818
    """The table's columns do not match the data."""


class DestinationRejected(RunError):  # noqa: N818
    """The destination rejected the load: it is read-only, full, not a database, or has a table of another program."""
