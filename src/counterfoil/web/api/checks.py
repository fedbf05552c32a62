"""`/datasets/{dataset}/checks`: whether it is complete, as it was checked last, and checked anew."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from counterfoil.app.app import App
from counterfoil.proof.statement import as_dict
from counterfoil.web.api import bodies, run_answers
from counterfoil.web.api.json_response import V1, DatasetWord, dataset_of, json_response
from counterfoil.web.proof_jobs import ProofJobs


def routes(app: App) -> APIRouter:
    """The statement, and a new proof."""
    router = APIRouter(prefix=V1, tags=["checks"])

    @router.get("/datasets/{dataset}/checks", response_model=run_answers.StatementDetail)
    def get_checks(
        request: Request,
        dataset: DatasetWord,
        run: Annotated[str | None, Query(description="What was checked of this run instead.")] = None,
    ) -> Response:
        """The latest checks of what is in its tables, with their figures; and the proof that goes on."""
        found = dataset_of(app, dataset).id
        statement = as_dict(app.proofs.kept(found, run))
        return json_response({**statement, "proving": _proving(_hand(request), found)})

    @router.post("/datasets/{dataset}/checks", status_code=202, response_model=run_answers.Proving)
    def prove(request: Request, dataset: DatasetWord, body: bodies.ProveBody | None = None) -> Response:
        """Makes every check now, in the background. Ask at the Location until `proving.going_on` is false.

        A proof of the dataset that goes on already is the one that is answered.
        """
        found, words, hand = dataset_of(app, dataset), body or bodies.ProveBody(), _hand(request)
        recount = None if words.recount == "all" else words.recount
        hand.begin(found.id, request.app.state.closing, recount=recount, seed=words.seed, payouts=words.payouts)
        return json_response(_proving(hand, found.id), 202, location=f"/datasets/{found.id}/checks")

    return router


def _hand(request: Request) -> ProofJobs:
    found: ProofJobs = request.app.state.proofs
    return found


def _proving(hand: ProofJobs, dataset: str) -> dict[str, Any]:
    proving, problem = hand.of(dataset), hand.last_problem(dataset)
    progress = None if proving is None else proving.progress
    return {
        "going_on": proving is not None,
        "seconds": None if proving is None else proving.seconds,
        "doing": progress and progress.note,
        "requests": progress and progress.requests,
        "problem": None if problem is None else str(problem),
    }
