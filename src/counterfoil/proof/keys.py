"""Checks whether each row has a unique key and plausible values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counterfoil.columns.column import Column
from counterfoil.columns.money import DIGITS
from counterfoil.destinations.sql.text import literal, quoted
from counterfoil.proof.check import MOST_DIFFERENCES, Check, counted, judged, not_applicable
from counterfoil.proof.table_queries import Ask, one, rows, shortened

#: 2011-01-01, the year in which Stripe opened.
FIRST_INSTANT = 1_293_840_000
#: How much later than Stripe's clock a past time may be, for objects created or changed while the data was read.
SLACK_SECONDS = 86_400

NAMES = ("null keys", "amounts", "instants")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One check of the values in each row."""

    name: str
    #: SQL conditions for invalid rows by column, and the columns to show for each.
    wrong: Mapping[str, str]
    shown: Mapping[str, Sequence[str]]
    well: str
    ill: str
    #: The reason if no column can be checked.
    nothing: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


def check_double_keys(ask: Ask, source: str, key: Sequence[str]) -> Check:
    """Checks for keys of more than one row; `source` is the SQL expression for FROM."""
    names = ", ".join(map(quoted, key))
    filled = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in key)
    sql = f"SELECT {names}, count(*) AS rows FROM {source} AS held WHERE {filled} GROUP BY {names} HAVING count(*) > 1"  # noqa: S608 - quoted
    doubled = one(ask, f"SELECT count(*) AS keys FROM ({sql}) AS doubled")["keys"]  # noqa: S608 - quoted
    columns = " and ".join(key)
    return judged(
        "keys",
        "double keys",
        f"No two rows have the same {columns}.",
        f"Several rows have the same {columns}: {counted(doubled, 'duplicate key')}.",
        {"double_keys": doubled},
        _some(ask, f"{sql} ORDER BY {names}") if doubled else (),
        different=doubled,
    )


def check_values(
    ask: Ask,
    source: str,
    columns: Sequence[Column],
    key: Sequence[str],
    *,
    created: str | None,
    until: int,
    digits: Mapping[str, int],
) -> list[Check]:
    """Checks null keys, amounts in major units and times, with one query over all rows.

    Past times must be before `until`, in Unix seconds; `created` is the column with the creation time.
    """
    pairs = list(_pairs(columns))
    known = _known(ask, source, sorted({currency for *_, currency in pairs}), {**DIGITS, **digits}) if pairs else {}
    looks = (_null_keys(key), _amounts(pairs, key, known), _instants(columns, key, created, until))
    tests = [test for look in looks for test in look.wrong.values()]
    counts = ", ".join(f"count(*) FILTER (WHERE {test}) AS n{number}" for number, test in enumerate(tests))
    found = iter(one(ask, f"SELECT {counts} FROM {source} AS held").values())  # noqa: S608 - quoted
    return [_judged(ask, source, look, {column: next(found) for column in look.wrong}) for look in looks]


def _judged(ask: Ask, source: str, look: _Look, found: Mapping[str, int]) -> Check:
    if not found:
        return not_applicable("keys", look.name, look.nothing)
    differences: list[dict[str, Any]] = []
    for column, count in found.items():
        if count and look.shown:
            names = ", ".join(quoted(name) for name in dict.fromkeys(look.shown[column]))
            differences += _some(ask, f"SELECT {names} FROM {source} AS held WHERE {look.wrong[column]}")  # noqa: S608 - quoted
    total = sum(found.values())
    return judged(
        "keys",
        look.name,
        look.well,
        f"{look.ill}: {total:,}.",
        look.figures,
        differences[:MOST_DIFFERENCES],
        different=total,
    )


def _null_keys(key: Sequence[str]) -> _Look:
    columns = " and ".join(key)
    return _Look(
        name="null keys",
        wrong={columns: " OR ".join(f"{quoted(name)} IS NULL" for name in key)},
        shown={},
        well=f"No row has a null in {columns}.",
        ill=f"Rows with a null in {columns}",
    )


def _amounts(pairs: Sequence[tuple[Column, str, str]], key: Sequence[str], digits: Mapping[str, int]) -> _Look:
    """Each amount in major units must equal the amount in minor units, converted by the digits of its currency."""
    return _Look(
        name="amounts",
        wrong={column.name: _wrong(column.name, major, currency, digits) for column, major, currency in pairs},
        shown={column.name: (*key, column.name, major, currency) for column, major, currency in pairs},
        well=f"Amounts in major units equal the amounts in minor units in {counted(len(pairs), 'column')}.",
        ill="Amounts in major units that differ from the amounts in minor units",
        nothing="The table has no amounts in both minor and major units.",
        figures={"columns": [column.name for column, *_ in pairs]},
    )


def _instants(columns: Sequence[Column], key: Sequence[str], created: str | None, until: int) -> _Look:
    """Past times must not be before Stripe's launch, nor after the data was read."""
    instants = [column.name for column in columns if column.type == "timestamp"]
    past = [name for name in instants if name == created or _is_past(name)]
    low, high = f"to_timestamp({FIRST_INSTANT})", f"to_timestamp({until + SLACK_SECONDS})"
    return _Look(
        name="instants",
        wrong={name: f"({quoted(name)} < {low} OR {quoted(name)} >= {high})" for name in past},
        shown={name: (*key, name) for name in past},
        well=f"Past times are plausible in {counted(len(past), 'column')}.",
        ill="Times before 2011 or after the data was read",
        nothing="The table has no columns with past times.",
        figures={"columns": past},
    )


def _pairs(columns: Sequence[Column]) -> Iterator[tuple[Column, str, str]]:
    """Each amount column with its major-unit and currency columns, if none of the three is left out or hashed."""
    types = {column.name: column.type for column in columns}
    for column in columns:
        major, currency = f"{column.name}_major", column.currency
        if column.type == "integer" and currency and types.get(major) == "major" and types.get(currency) == "string":
            yield column, major, currency


def _known(ask: Ask, source: str, currencies: Sequence[str], digits: Mapping[str, int]) -> dict[str, int]:
    """The known numbers of digits of the currencies in the table."""
    each = (f"SELECT lower({quoted(name)}) AS code FROM {source} AS held" for name in currencies)  # noqa: S608 - quoted
    codes = [str(row["code"]) for row in rows(ask, f"SELECT DISTINCT code FROM ({' UNION ALL '.join(each)}) AS used")]  # noqa: S608 - quoted
    return {code: digits[code] for code in sorted(codes) if code in digits}


def _wrong(amount: str, major: str, currency: str, digits: Mapping[str, int]) -> str:
    """The SQL condition for wrong amounts, in exact decimals. If digits are unknown, the major amount must be null."""
    cases = " ".join(f"WHEN {literal(code)} THEN {10**count}" for code, count in digits.items())
    factor = f"CASE lower({quoted(currency)}) {cases} END" if cases else "NULL::INTEGER"
    expected = f"CASE WHEN ({factor}) IS NOT NULL THEN {quoted(amount)} END"
    return f"({quoted(major)} * coalesce({factor}, 1) IS DISTINCT FROM {expected})"


def _is_past(name: str) -> bool:
    """Whether the column contains past times, by Stripe's names: `canceled_at` does, `cancel_at` does not."""
    return name.endswith("ed_at") or name.startswith("status_transitions_")


def _some(ask: Ask, sql: str) -> list[dict[str, Any]]:
    return [
        {name: shortened(value) for name, value in row.items()} for row in rows(ask, f"{sql} LIMIT {MOST_DIFFERENCES}")
    ]
