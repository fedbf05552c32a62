"""Assets of Dagster for saved datasets: materialized by a run, with what the run tells beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import counterfoil
from counterfoil.integrations import engine, may_pass

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
    """One asset for each dataset of the state that the environment's settings lead to.

    Its key is the name in lower case, with `_` for what Dagster has no room for. `counterfoil serve` does the work
    where it is alive, else Dagster's process. A dataset whose run fails keeps none of the others from being run.
    """
    prefix = [key_prefix] if isinstance(key_prefix, str) else list(key_prefix)
    keys = {one: dagster.AssetKey([*prefix, re.sub(r"\W+", "_", one.lower())]) for one in datasets}
    specs = [dagster.AssetSpec(asset, group_name=group_name, kinds={"stripe"}) for asset in keys.values()]

    def run(context):  # type: ignore[no-untyped-def]  # Dagster can't resolve annotations that are text
        failed: dict[str, Mapping[str, Any]] = {}
        for dataset, asset in keys.items():
            if asset not in context.selected_asset_keys:
                continue
            told = counterfoil.run_dataset(dataset)
            for warning in told["warnings"]:
                context.log.warning("%s: %s", dataset, warning)
            if told["status"] == "succeeded":
                yield dagster.MaterializeResult(asset, metadata=_metadata(told))
            else:
                failed[dataset] = {"message": f"its run is {told['status']}", **(told["error"] or {})}
        if failed:
            raise dagster.Failure(
                "; ".join(f"{one}: {error['message']} {error.get('hint') or ''}" for one, error in failed.items()),
                allow_retries=any(may_pass(error.get("kind")) for error in failed.values()),
            )

    return dagster.multi_asset(name=name, specs=specs, can_subset=True, retry_policy=retry_policy)(run)


def _metadata(told: Mapping[str, Any]) -> dict[str, Any]:
    """Rows by what became of them; a load's are those of the whole table where it replaces it."""
    rows = {f"rows_{name}": count for name, count in told["rows"].items()}
    shown = {name: told[name] for name in ("id", "method", "whole", "requests", "warnings")}
    return {**shown, **rows, "tables": [load["table"] for load in told["loads"]]}
