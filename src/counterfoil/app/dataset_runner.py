"""A saved dataset run by its name, for programs that have no other business with the state."""

from __future__ import annotations

from typing import Any

from counterfoil.extras import missing_extra


def run_dataset(dataset: str, *, allow_shrink: bool = False) -> dict[str, Any]:
    """Runs a dataset, by name or id, waits until the run is over, and tells it as `GET /api/v1/runs/{run}` does.

    The state is that of the environment's settings. A service that is alive does the work, else this process, with the
    datasets that follow it. How it failed is told, not raised; RunError names a run of it that goes on already.
    `allow_shrink` lets it remove more than half of its table.
    """
    try:
        from counterfoil.app.app import open_app
        from counterfoil.app.dictionaries import detail_dict

        opened = open_app()
    except ModuleNotFoundError as error:
        missing = missing_extra(error, "a saved dataset")
        if missing is None:
            raise
        raise missing from error
    with opened as app:
        return detail_dict(app.runs.show(app.runs.start(dataset, wait=True, allow_shrink=allow_shrink).id))
