"""How errors print: one full stop, wherever their message stands."""

from __future__ import annotations

import pytest

from counterfoil.errors import StripeUnavailable


@pytest.mark.parametrize("message", ["Connection refused", "Connection refused."])
def test_a_message_has_one_full_stop_in_a_sentence_and_none_before_its_context(message: str) -> None:
    error = StripeUnavailable(message, path="/v1/account", request_id="req_1")
    assert error.sentence == "Connection refused."
    assert str(error) == "Connection refused (/v1/account, request req_1)"
    assert error.message == message
