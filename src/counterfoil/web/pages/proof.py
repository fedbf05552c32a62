"""The page Proof of a dataset: its checks with figures, and the statement of completeness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from starlette.responses import StreamingResponse

from counterfoil.app.app import App
from counterfoil.app.values import Statement, StoredCheck
from counterfoil.errors import CounterfoilError
from counterfoil.proof.figures import difference_words, figure_words, major, units
from counterfoil.proof.statement import as_dict, as_html, as_text
from counterfoil.state.check import worst
from counterfoil.web import charts
from counterfoil.web.downloads import file_name
from counterfoil.web.events import Seen, stream
from counterfoil.web.pages.dataset import frame
from counterfoil.web.proof_jobs import ProofJobs
from counterfoil.web.rendering import fragment, render

_FORMS = {"html": "text/html; charset=utf-8", "txt": "text/plain; charset=utf-8", "json": "application/json"}


def routes(app: App) -> APIRouter:
    """`/datasets/{dataset}/proof`, its live progress, and the statement as a file."""
    router = APIRouter()

    @router.get("/datasets/{dataset}/proof")
    def proof(request: Request, dataset: str) -> HTMLResponse:
        return _page(app, request, dataset, None)

    @router.post("/datasets/{dataset}/proof")
    def prove(request: Request, dataset: str) -> Response:
        found = app.datasets.get(dataset).id
        try:
            _hand(request).begin(found, request.app.state.closing)
        except CounterfoilError as error:
            return _page(app, request, dataset, error)
        return RedirectResponse(f"/datasets/{found}/proof", status_code=303)

    @router.get("/datasets/{dataset}/proof/live")
    def live(request: Request, dataset: str) -> StreamingResponse:
        found, hand = app.datasets.get(dataset).id, _hand(request)

        def look() -> Seen:
            proving = hand.of(found)
            return Seen(fragment("parts/proof_progress.html", proving=proving), last=proving is None)

        return stream(request, look)

    @router.get("/datasets/{dataset}/proof.{form}")
    def statement(dataset: str, form: Literal["html", "txt", "json"]) -> Response:
        found = app.proofs.kept(dataset)
        name = f"{file_name(found.dataset)}-{found.run}.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(_written(found, form), media_type=_FORMS[form], headers=headers)

    return router


def _written(statement: Statement, form: str) -> bytes | str:
    if form == "json":
        import orjson

        return orjson.dumps(as_dict(statement), option=orjson.OPT_INDENT_2)
    return as_html(statement) if form == "html" else as_text(statement)


def _hand(request: Request) -> ProofJobs:
    found: ProofJobs = request.app.state.proofs
    return found


def _page(app: App, request: Request, dataset: str, refused: CounterfoilError | None) -> HTMLResponse:
    values, hand = frame(app, dataset, "Proof"), _hand(request)
    found = values["dataset"].id
    proving = hand.of(found)
    checks: Sequence[StoredCheck] = values["shown"].checks
    families: dict[str, list[StoredCheck]] = {}
    for check in checks:
        families.setdefault(check.family, []).append(check)
    return render(
        request,
        "proof.html",
        status_code=200 if refused is None else 409,
        **values,
        proving=proving,
        problem=refused or hand.problem(found),
        checks=checks,
        families=families,
        worst=worst(checks),
        balances=[one for check in checks for one in _balances(check)],
        can=any(run.status == "succeeded" for run in app.runs.list(found, "succeeded", limit=1)),
        figure_words=figure_words,
        difference_words=difference_words,
    )


def _balances(check: StoredCheck) -> Iterator[dict[str, Any]]:
    """Values for a chart per currency of a balance check: the sum of the table's movements, and Stripe's balance."""
    if check.family != "balance":
        return
    for code, sums in check.figures.get("currencies", {}).items():
        table, stripe = sums["table"], sums["stripe"]
        yield {
            "name": f"{check.name.replace('_', ' ')} in {code}",
            "same": table == stripe,
            "stripe": major(table, code),
            "difference": major(table - stripe, code),
            "svg": _drawn(code, table, stripe),
        }


def _drawn(code: str, table: int, stripe: int) -> Markup | None:
    """A chart of two bars; None for negative amounts, which bars can't show."""
    if min(table, stripe) < 0:
        return None
    unit = units(code)
    return charts.bars(
        [("In the table", table / unit), ("At Stripe", stripe / unit)],
        title=f"The balance in {code}, computed and reported by Stripe",
        width=420,
        height=150,
        tell=lambda amount: major(round(amount * unit), code),
    )
