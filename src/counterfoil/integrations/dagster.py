"""Assets of Dagster: a table for each report, pulled when it is materialized.

All of them are one multi-asset that can be materialized in parts: its reports share one process, and with it the
account's rates and a destination that only one process may write.
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
    """One asset for each report, named as it; SettingsError where there is no such report.

    `key` is found when they are materialized; `of_pull` are words of `Connection.pull`. Metadata tell rows, columns,
    requests, seconds, table, destination and warnings. One that fails keeps none of the others from being pulled;
    `retry_policy` is heeded where the error is one that may pass by itself.
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

    def pull(context):  # type: ignore[no-untyped-def]  # Dagster can't resolve annotations that are text
        failed: dict[str, counterfoil.CounterfoilError] = {}
        with counterfoil.connect(key, api_base=api_base, stripe_account=account) as stripe:
            for report, asset_key in keys.items():
                if asset_key not in context.selected_asset_keys:
                    continue
                try:
                    pulled = stripe.pull(report, to=to, **of_pull)
                except counterfoil.CounterfoilError as error:
                    context.log.error("%s: %s", report, _told(error))  # noqa: TRY400 - what it says is told, not where
                    failed[report] = error
                else:
                    for warning in pulled.warnings:
                        context.log.warning("%s: %s", report, warning)
                    yield dagster.MaterializeResult(asset_key, metadata=_metadata(pulled))
        if failed:
            raise dagster.Failure(
                "; ".join(f"{report}: {_told(error)}" for report, error in failed.items()),
                allow_retries=any(isinstance(error, counterfoil.TransientError) for error in failed.values()),
            )

    return dagster.multi_asset(name=name, specs=specs, can_subset=True, retry_policy=retry_policy)(pull)


def _columns(described: counterfoil.Description) -> dagster.TableSchema:
    return dagster.TableSchema(
        [dagster.TableColumn(field.name, str(field.type), described.comments[field.name]) for field in described.schema]
    )


def _metadata(pulled: counterfoil.Pulled) -> Mapping[str, Any]:
    told = pulled.as_dict()
    shown = {name: told[name] for name in ("columns", "requests", "seconds", "table", "destination")}
    return {"dagster/row_count": pulled.rows, "rows": pulled.rows, **shown, "warnings": list(pulled.warnings)}


def _told(error: counterfoil.CounterfoilError) -> str:
    return f"{error} {error.hint}" if error.hint else str(error)
