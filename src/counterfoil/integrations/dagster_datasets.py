"""Dagster assets for saved datasets: materialized by a run, with the run's results as metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import counterfoil
from counterfoil.integrations import engine, is_transient

with engine("dagster", extra="dagster"):
    import dagster

__all__ = ["dataset_assets"]


def dataset_assets(
    datasets: Sequence[str],
    *,
    name: str = "datasets",
    key_prefix: str | Sequence[str] = (),
    group_name: str | None = "stripe",
    retry_policy: dagster.RetryPolicy | None = None,
) -> dagster.AssetsDefinition:
    """One asset per dataset. The settings in the environment select the state with the datasets.

    The asset key is the dataset's name in lower case, with `_` for characters that Dagster does not allow. If
    `counterfoil serve` is active, it executes the runs, otherwise Dagster's process. If one run fails, the others are
    still executed.
    """
    prefix = [key_prefix] if isinstance(key_prefix, str) else list(key_prefix)
    keys = {one: dagster.AssetKey([*prefix, re.sub(r"\W+", "_", one.lower())]) for one in datasets}
    specs = [dagster.AssetSpec(asset, group_name=group_name, kinds={"stripe"}) for asset in keys.values()]

    def run(context):  # type: ignore[no-untyped-def]  # Dagster can't resolve string annotations
        failed: dict[str, Mapping[str, Any]] = {}
        for dataset, asset in keys.items():
            if asset not in context.selected_asset_keys:
                continue
            result = counterfoil.run_dataset(dataset)
            for warning in result["warnings"]:
                context.log.warning("%s: %s", dataset, warning)
            if result["status"] == "succeeded":
                yield dagster.MaterializeResult(asset, metadata=_metadata(result))
            else:
                failed[dataset] = {"message": f"the run is {result['status']}", **(result["error"] or {})}
        if failed:
            raise dagster.Failure(
                " ".join(f"{one}: {error['message']}. {error.get('hint') or ''}" for one, error in failed.items()),
                allow_retries=any(is_transient(error.get("kind")) for error in failed.values()),
            )

    return dagster.multi_asset(name=name, specs=specs, can_subset=True, retry_policy=retry_policy)(run)


def _metadata(result: Mapping[str, Any]) -> dict[str, Any]:
    """The run's results as metadata, including its row counts. A replace counts all rows of the table."""
    rows = {f"rows_{name}": count for name, count in result["rows"].items()}
    shown = {name: result[name] for name in ("id", "method", "whole", "requests", "warnings")}
    return {**shown, **rows, "tables": [load["table"] for load in result["loads"]]}
