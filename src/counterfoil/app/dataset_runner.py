"""Running a saved dataset by its name, for programs that do not otherwise use the state."""

from __future__ import annotations

from typing import Any

from counterfoil.extras import missing_extra


def run_dataset(dataset: str, *, allow_shrink: bool = False) -> dict[str, Any]:
    """Runs a dataset by name or id, waits for the end and returns the run like `GET /api/v1/runs/{run}`.

    Uses the state from the settings of the environment. If a service is running, it executes the run; otherwise this
    process does, with the datasets that run after it. A failed run is returned, not raised; RunError names a run of the
    dataset that is already active. `allow_shrink` allows the run to delete more than half of the table.
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
