"""Dagster assets for reports: one table per report, pulled when the asset is materialized.

The assets form one multi-asset that can be materialized in parts. Its reports share one process, so they also share the
account's rate limits and can share a destination that accepts only one writing process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import counterfoil
from counterfoil.integrations import engine

with engine("dagster", extra="dagster"):
    import dagster

__all__ = ["stripe_assets"]


def stripe_assets(
    reports: Sequence[str],
    *,
    to: str,
    key: str = "env:STRIPE_API_KEY",
    name: str = "stripe",
    key_prefix: str | Sequence[str] = (),
    group_name: str | None = "stripe",
    retry_policy: dagster.RetryPolicy | None = None,
    account: str | None = None,
    api_base: str | None = None,
    **of_pull: Any,
) -> dagster.AssetsDefinition:
    """One asset per report, with the report's key as its name; SettingsError if a report does not exist.

    `key` is resolved when the assets are materialized; `of_pull` contains arguments of `Connection.pull`. The metadata
    are rows, columns, requests, seconds, table, destination and warnings. If one report fails, the others are still
    pulled. `retry_policy` applies to transient errors.
    """
    prefix = [key_prefix] if isinstance(key_prefix, str) else list(key_prefix)
    described = [counterfoil.describe(report) for report in reports]
    keys = {one.key: dagster.AssetKey([*prefix, one.key]) for one in described}
    specs = [
        dagster.AssetSpec(
            keys[one.key],
            description=f"{one.title}: {one.description}",
            group_name=group_name,
            kinds={"stripe"},
            metadata={"dagster/column_schema": _columns(one)},
        )
        for one in described
    ]

    def pull(context):  # type: ignore[no-untyped-def]  # Dagster can't resolve string annotations
        failed: dict[str, counterfoil.CounterfoilError] = {}
        with counterfoil.connect(key, api_base=api_base, stripe_account=account) as stripe:
            for report, asset_key in keys.items():
                if asset_key not in context.selected_asset_keys:
                    continue
                try:
                    pulled = stripe.pull(report, to=to, **of_pull)
                except counterfoil.CounterfoilError as error:
                    context.log.error("%s: %s", report, _told(error))  # noqa: TRY400 - the message is enough, no traceback
                    failed[report] = error
                else:
                    for warning in pulled.warnings:
                        context.log.warning("%s: %s", report, warning)
                    yield dagster.MaterializeResult(asset_key, metadata=_metadata(pulled))
        if failed:
            raise dagster.Failure(
                " ".join(f"{report}: {_told(error)}" for report, error in failed.items()),
                allow_retries=any(isinstance(error, counterfoil.TransientError) for error in failed.values()),
            )

    return dagster.multi_asset(name=name, specs=specs, can_subset=True, retry_policy=retry_policy)(pull)


def _columns(described: counterfoil.Description) -> dagster.TableSchema:
    return dagster.TableSchema(
        [dagster.TableColumn(field.name, str(field.type), described.comments[field.name]) for field in described.schema]
    )


def _metadata(pulled: counterfoil.Pulled) -> Mapping[str, Any]:
    result = pulled.as_dict()
    shown = {name: result[name] for name in ("columns", "requests", "seconds", "table", "destination")}
    return {"dagster/row_count": pulled.rows, "rows": pulled.rows, **shown, "warnings": list(pulled.warnings)}


def _told(error: counterfoil.CounterfoilError) -> str:
    return f"{error}. {error.hint}" if error.hint else f"{error}."
