"""Destinations: one protocol, and one adapter for each kind of destination, chosen by URL."""

from counterfoil.destinations.protocol import LOADS_TABLE, Destination, Guard, Progress, Stop
from counterfoil.destinations.urls import check_destination, open_destination

__all__ = [
    "LOADS_TABLE",
    "Destination",
    "Guarantee",
    "Guard",
    "Progress",
    "Stop",
    "check_destination",
    "open_destination",
]
