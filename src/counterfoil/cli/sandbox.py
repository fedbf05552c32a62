"""`counterfoil sandbox`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

from cyclopts import Parameter

from counterfoil.errors import SettingsError


def sandbox(
    *,
    port: Annotated[int, Parameter(name="--port")] = 8322,
    seed: int = 1,
    scale: float = 1.0,
    latency_ms: int = 0,
    rps: float | None = None,
    fault_rate: float = 0.0,
    live: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> None:
    """Serve a simulated Stripe API with two years of data of a fictional company.

    Accepts any key that begins with `sk_test_demo`. See: counterfoil docs sandbox

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0 picks a free port.
    seed
        Seed of the data; the same seed and scale give the same data.
    scale
        Amount of data; 1 is about 3,000 charges.
    latency_ms
        Minimum latency of each response, in milliseconds.
    rps
        Requests per second and account before responses are 429; unlimited by default.
    fault_rate
        Share of requests that fail: 0 to 1.
    live
        Advance the clock and change data every few seconds: new customers, refunds, paid invoices, deleted coupons.
    """
    from stripe_sandbox import LIVELY, serve

    if not 0 <= fault_rate <= 1:
        raise SettingsError(f"invalid --fault-rate: {fault_rate}", hint="Use a number from 0 to 1.")
    if scale <= 0:
        raise SettingsError(f"invalid --scale: {scale}", hint="Use a number above 0.")
    if latency_ms < 0:
        raise SettingsError(f"invalid --latency-ms: {latency_ms}", hint="Use 0 or more milliseconds.")
    if rps is not None and not rps > 0:
        raise SettingsError(f"invalid --rps: {rps:g}", hint="Use a number above 0, or omit --rps for no limit.")
    with port_taken(port), suppress(KeyboardInterrupt):
        serve(
            port=checked_port(port),
            seed=seed,
            scale=scale,
            latency_ms=latency_ms,
            rps=rps,
            fault_rate=fault_rate,
            live=live,
            life=LIVELY if live else None,
            ready=lambda url: print(f"Sandbox ready at {url}", flush=True),
        )


def checked_port(port: int) -> int:
    """The port; SettingsError if it is out of range."""
    if not 0 <= port <= 65535:
        raise SettingsError(f"invalid --port: {port}", hint="Use 1 to 65535, or 0 for a free port.")
    return port


@contextmanager
def port_taken(port: int) -> Iterator[None]:
    """Raises SettingsError with the reason of the operating system if the port cannot be used."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise SettingsError(
            f"cannot listen on port {port}: {reason}", hint="Choose another port with --port."
        ) from error
