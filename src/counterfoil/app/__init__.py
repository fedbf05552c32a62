"""The calls that the command line, the page and other programs make."""

from counterfoil.app.app import App, open_app
from counterfoil.app.connection import (
    Connection,
    catalogue,
    connect,
    describe_reports,
    destination_name,
    has_created,
    working_folder,
)
from counterfoil.app.dataset_runner import run_dataset
from counterfoil.app.description import Description, describe

__all__ = [
    "App",
    "Connection",
    "Description",
    "catalogue",
    "connect",
    "describe",
    "describe_reports",
    "destination_name",
    "has_created",
    "open_app",
    "run_dataset",
    "working_folder",
]
