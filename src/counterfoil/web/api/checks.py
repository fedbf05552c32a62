"""`/datasets/{dataset}/checks`: the latest statement of completeness, and new checks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.proof.statement import as_dict
from counterfoil.web.api import bodies
from counterfoil.web.api.resource import DatasetWord, address_of, dataset_of, router_of
from counterfoil.web.api.run_answers import Proving, StatementDetail
from counterfoil.web.proof_jobs import ProofJobs


def routes(app: App) -> APIRouter:
    """`/datasets/{dataset}/checks`."""
    router = router_of("checks")

    @router.get("/datasets/{dataset}/checks")
    def get_checks(
        request: Request,
        dataset: DatasetWord,
        run: Annotated[str | None, Query(description="Return the checks of this run instead.")] = None,
    ) -> StatementDetail:
        """Returns the latest checks of the tables with figures, and the progress of checks that are running."""
        found = dataset_of(app, dataset).id
        statement = as_dict(app.proofs.kept(found, run))
        return StatementDetail.model_validate({**statement, "proving": _proving(_hand(request), found)})

    @router.post("/datasets/{dataset}/checks", status_code=202)
    def prove(
        request: Request, response: Response, dataset: DatasetWord, body: bodies.ProveBody | None = None
    ) -> Proving:
        """Runs all checks now, in the background. Poll the URL in `Location` until `proving.going_on` is false.

        If checks of the dataset are already running, no others are started.
        """
        found, options, jobs = dataset_of(app, dataset), body or bodies.ProveBody(), _hand(request)
        recount = None if options.recount == "all" else options.recount
        jobs.begin(found.id, request.app.state.closing, recount=recount, seed=options.seed, payouts=options.payouts)
        response.headers["Location"] = address_of(f"/datasets/{found.id}/checks")
        return _proving(jobs, found.id)

    return router


def _hand(request: Request) -> ProofJobs:
    found: ProofJobs = request.app.state.proofs
    return found


def _proving(jobs: ProofJobs, dataset: str) -> Proving:
    proving, problem = jobs.of(dataset), jobs.last_problem(dataset)
    progress = None if proving is None else proving.progress
    return Proving(
        going_on=proving is not None,
        seconds=None if proving is None else proving.seconds,
        doing=None if progress is None else progress.note,
        requests=None if progress is None else progress.requests,
        problem=None if problem is None else str(problem),
    )
