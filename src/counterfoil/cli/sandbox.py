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
    """Serve a simulated Stripe with two years of an invented company, until stopped.

    Any key that begins with `sk_test_demo` is taken. docs/sandbox.md tells how to steer it.

    Parameters
    ----------
    port
        Where to listen on 127.0.0.1; 0 picks a free one.
    seed
        Which company; the same seed and scale give the same data.
    scale
        How large; 1 is about 3,000 charges.
    latency_ms
        How long each answer takes at least.
    rps
        Requests a second to one account, then 429; unlimited unless given.
    fault_rate
        Share of requests that fail: 0 to 1.
    live
        The company's clock runs, and every few seconds something happens: customers come, charges are refunded,
        invoices are paid, coupons are deleted.
    """
    from stripe_sandbox import LIVELY, serve

    if not 0 <= fault_rate <= 1:
        raise SettingsError(f"--fault-rate {fault_rate} is not a share", hint="Give a number from 0 to 1.")
    if scale <= 0:
        raise SettingsError(f"--scale {scale} is not a size", hint="Give a number above 0.")
    if latency_ms < 0:
        raise SettingsError(f"--latency-ms {latency_ms} is not a time", hint="Give 0 or more milliseconds.")
    if rps is not None and not rps > 0:
        raise SettingsError(f"--rps {rps:g} is not a rate", hint="Give a number above 0, or leave it out for no limit.")
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
    """The port; SettingsError when it is none."""
    if not 0 <= port <= 65535:
        raise SettingsError(f"--port {port} is not a port", hint="Give 1 to 65535, or 0 for a free one.")
    return port


@contextmanager
def port_taken(port: int) -> Iterator[None]:
    """Says what the operating system has against the port."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise SettingsError(
            f"Port {port} can't be listened on: {reason}", hint="Choose another with --port."
        ) from error
