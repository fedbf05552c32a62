"""Errors as text: one full stop in a sentence, and none before the context."""

from __future__ import annotations

import pytest

from counterfoil.errors import StripeUnavailable


@pytest.mark.parametrize("message", ["Connection refused", "Connection refused."])
def test_sentence_has_one_full_stop_and_context_none(message: str) -> None:
    error = StripeUnavailable(message, path="/v1/account", request_id="req_1")
    assert error.sentence == "Connection refused."
    assert str(error) == "Connection refused (/v1/account, request req_1)"
    assert error.message == message
