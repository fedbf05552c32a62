"""`/datasets/{dataset}/checks`: whether it is complete, as it was checked last, and checked anew."""

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
    """The statement, and a new proof."""
    router = router_of("checks")

    @router.get("/datasets/{dataset}/checks")
    def get_checks(
        request: Request,
        dataset: DatasetWord,
        run: Annotated[str | None, Query(description="What was checked of this run instead.")] = None,
    ) -> StatementDetail:
        """The latest checks of what is in its tables, with their figures; and the proof that goes on."""
        found = dataset_of(app, dataset).id
        statement = as_dict(app.proofs.kept(found, run))
        return StatementDetail.model_validate({**statement, "proving": _proving(_hand(request), found)})

    @router.post("/datasets/{dataset}/checks", status_code=202)
    def prove(
        request: Request, response: Response, dataset: DatasetWord, body: bodies.ProveBody | None = None
    ) -> Proving:
        """Makes every check now, in the background. Ask at the Location until `proving.going_on` is false.

        A proof of the dataset that goes on already is the one that is answered.
        """
        found, words, hand = dataset_of(app, dataset), body or bodies.ProveBody(), _hand(request)
        recount = None if words.recount == "all" else words.recount
        hand.begin(found.id, request.app.state.closing, recount=recount, seed=words.seed, payouts=words.payouts)
        response.headers["Location"] = address_of(f"/datasets/{found.id}/checks")
        return _proving(hand, found.id)

    return router


def _hand(request: Request) -> ProofJobs:
    found: ProofJobs = request.app.state.proofs
    return found


def _proving(hand: ProofJobs, dataset: str) -> Proving:
    proving, problem = hand.of(dataset), hand.last_problem(dataset)
    progress = None if proving is None else proving.progress
    return Proving(
        going_on=proving is not None,
        seconds=None if proving is None else proving.seconds,
        doing=None if progress is None else progress.note,
        requests=None if progress is None else progress.requests,
        problem=None if problem is None else str(problem),
    )
