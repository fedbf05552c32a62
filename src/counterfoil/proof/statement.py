"""The statement of completeness as text, JSON and printable HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from textwrap import wrap
from typing import Any

from counterfoil.proof.check import Result, StoredCheck, worst
from counterfoil.proof.figures import difference_words, figure_words

_WIDTH = 100
_RESULT_WIDTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The checks of a run's rows, with everything needed to repeat them."""

    dataset: str
    #: The report's title.
    report: str
    #: The selection of the report, the update method and the tables, as text.
    choice: str
    method: str
    places: tuple[str, ...]
    #: The account's name in Counterfoil, its id at Stripe, and whether it is live.
    account: str
    stripe_account: str
    livemode: bool
    run: str
    run_ended_at: datetime | None
    #: Everything that existed at this time was read, by Stripe's clock.
    as_of: datetime
    api_version: str
    program_version: str
    checks: tuple[StoredCheck, ...]
    #: API requests of the checks; None for stored checks.
    requests: int | None = None

    @property
    def result(self) -> Result | None:
        """The worst result of the checks."""
        return worst(self.checks)

    @property
    def made_at(self) -> datetime | None:
        """The time of the latest check."""
        return max((check.made_at for check in self.checks), default=None)

    def facts(self) -> list[tuple[str, str]]:
        """The facts about the run and the table, as pairs of name and text."""
        facts = [
            ("dataset", self.dataset),
            ("report", f"{self.report}, {self.choice}"),
            ("update method", self.method),
            ("table", "\n".join(self.places)),
            ("account", f"{self.account}, {self.stripe_account}, {'live' if self.livemode else 'test'} mode"),
            ("run", self.run),
            ("run ended", statement_of(self.run_ended_at)),
            ("data as of", f"{statement_of(self.as_of)}, by Stripe's clock"),
            ("Stripe API version", self.api_version),
            ("Counterfoil version", self.program_version),
            ("checked", statement_of(self.made_at)),
            ("API requests", "" if self.requests is None else f"{self.requests:,}"),
        ]
        return [(name, text) for name, text in facts if text]

    def counts(self) -> str:
        """`11 PASS, 1 FAIL`."""
        results = [check.result for check in self.checks]
        order: Sequence[Result] = ("FAIL", "INCONCLUSIVE", "PASS", "NOT APPLICABLE")
        return ", ".join(f"{results.count(each)} {each}" for each in order if each in results)


def statement_of(at: datetime | None) -> str:
    """The time in UTC, to the second."""
    return "" if at is None else at.astimezone(UTC).isoformat(" ", "seconds").replace("+00:00", "Z")


def as_dict(statement: Statement) -> dict[str, Any]:
    """The statement as JSON data."""
    return {
        "result": statement.result,
        "dataset": statement.dataset,
        "report": statement.report,
        "choice": statement.choice,
        "method": statement.method,
        "tables": list(statement.places),
        "account": {"name": statement.account, "stripe_id": statement.stripe_account, "livemode": statement.livemode},
        "run": statement.run,
        "run_ended_at": _instant(statement.run_ended_at),
        "as_of": _instant(statement.as_of),
        "api_version": statement.api_version,
        "program_version": statement.program_version,
        "made_at": _instant(statement.made_at),
        "requests": statement.requests,
        "checks": [check_dict(check) for check in statement.checks],
    }


def check_dict(check: StoredCheck) -> dict[str, Any]:
    """One check as JSON data."""
    return {
        "family": check.family,
        "name": check.name,
        "result": check.result,
        "reason": check.reason,
        "table": check.table,
        "figures": dict(check.figures),
        "differences": [dict(each) for each in check.differences],
        "different": check.different,
        "made_at": _instant(check.made_at),
    }


def as_text(statement: Statement) -> str:
    """The statement as text, with lines of at most 100 characters where they can be wrapped."""
    return "\n".join(_lines(statement)) + "\n"


def as_html(statement: Statement) -> str:
    """The statement as one self-contained HTML page."""
    from jinja2 import Environment, StrictUndefined

    place = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = place.from_string(files(__package__).joinpath("statement.html").read_text("utf-8"))
    return template.render(
        statement=statement, figure_words=figure_words, difference_words=difference_words, families=_families(statement)
    )


def _families(statement: Statement) -> Mapping[str, list[StoredCheck]]:
    found: dict[str, list[StoredCheck]] = {}
    for check in statement.checks:
        found.setdefault(check.family, []).append(check)
    return found


def _lines(statement: Statement) -> Iterator[str]:
    yield f"Statement of completeness: {statement.result or 'no checks'}"
    yield ""
    width = max(len(name) for name, _ in statement.facts())
    for name, text in statement.facts():
        for number, line in enumerate(text.splitlines()):
            yield f"{'' if number else name:<{width}}  {line}"
    for family, checks in _families(statement).items():
        yield ""
        yield family
        for check in checks:
            yield from _check_lines(check)
    yield ""
    yield statement.counts()


def _check_lines(check: StoredCheck) -> Iterator[str]:
    indent = " " * (_RESULT_WIDTH + 2)
    first, *rest = wrap(f"{check.name}: {check.reason}", _WIDTH - len(indent))
    yield f"  {check.result:<{_RESULT_WIDTH}}{first}"
    yield from (f"{indent}{line}" for line in rest)
    yield from (f"{indent}  {name}: {text}" for name, text in figure_words(check))
    if check.different:
        shown_of = f"{len(check.differences):,} of {check.different:,}" if check.differences else f"{check.different:,}"
        yield f"{indent}  differences: {shown_of}"
    yield from (f"{indent}    {words}" for words in map(difference_words, check.differences))


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")
