"""A simulated Stripe in the process of the service, for somebody who has no account yet."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from counterfoil.errors import SettingsError

if TYPE_CHECKING:
    from counterfoil.app.values import Account
    from stripe_sandbox import Sandbox

#: Always the same, so that an account of it is found again after a restart.
PORT = 8322
#: A small company: it shares the process with the service.
SCALE = 0.2
KEY = "sk_test_demo_paper_and_ink"


class SandboxAtHand:
    """Started by the first call, and at the start of a service whose state has an account of it."""

    def __init__(self, port: int = PORT) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._lock = threading.Lock()
        self._running: Sandbox | None = None

    def __call__(self) -> tuple[str, str]:
        """The address of its API and a key; SettingsError when something else listens there."""
        from stripe_sandbox import Sandbox

        with self._lock:
            if self._running is None:
                try:
                    self._running = Sandbox(scale=SCALE, live=True, port=self._port).start()
                except OSError as error:
                    raise SettingsError(
                        f"Something else listens on port {self._port}, where the simulated Stripe would",
                        hint=f"If that is a sandbox of yours, connect an account with the key {KEY}, and {self.url} as "
                        "the address of the API.",
                    ) from error
        return self.url, KEY

    def resume(self, accounts: Iterable[Account]) -> None:
        """Runs again where an account reads it."""
        if any(account.api_base == self.url for account in accounts):
            self()

    def close(self) -> None:
        """Ends it, if it runs."""
        if self._running is not None:
            self._running.stop()
