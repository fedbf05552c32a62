"""A simulated Stripe in the process of the service, for users without a Stripe account."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from counterfoil.errors import SettingsError

if TYPE_CHECKING:
    from counterfoil.app.values import Account
    from stripe_sandbox import Sandbox

#: Fixed, so that saved sandbox accounts still work after a restart.
PORT = 8322
#: Small, because it shares the process with the service.
SCALE = 0.2
KEY = "sk_test_demo_paper_and_ink"


class SandboxAtHand:
    """A sandbox that starts at the first call, or with a service that has an account for it."""

    def __init__(self, port: int = PORT) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._lock = threading.Lock()
        self._running: Sandbox | None = None

    def __call__(self) -> tuple[str, str]:
        """The URL of its API and a key; SettingsError if the port is in use."""
        from stripe_sandbox import Sandbox

        with self._lock:
            if self._running is None:
                try:
                    self._running = Sandbox(scale=SCALE, live=True, port=self._port).start()
                except OSError as error:
                    raise SettingsError(
                        f"cannot start the simulated Stripe: port {self._port} is in use",
                        hint=f"If another sandbox uses it, connect an account with the key {KEY} and the API URL "
                        f"{self.url}.",
                    ) from error
        return self.url, KEY

    def resume(self, accounts: Iterable[Account]) -> None:
        """Starts the sandbox if an account uses it."""
        if any(account.api_base == self.url for account in accounts):
            self()

    def close(self) -> None:
        """Stops the sandbox if it is running."""
        if self._running is not None:
            self._running.stop()
