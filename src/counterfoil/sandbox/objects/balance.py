"""The balance: what is available, pending and set aside, in each currency."""

from __future__ import annotations

from bisect import bisect_right

from counterfoil.sandbox.company import ledger
from counterfoil.sandbox.company.money import CURRENCIES
from counterfoil.sandbox.company.world import World
from counterfoil.sandbox.objects.json import Json

Sums = dict[str, tuple[list[int], list[int]]]


class RunningBalance:
    """Keeps sums as of the last look, so that looking again costs what has become available since."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sums = ledger.balance(world, world.now)
        table = world.transactions
        self._waiting = sorted((at, n) for n, at in enumerate(table.available_on) if at > world.now)

    def sums(self) -> Sums:
        done = bisect_right(self._waiting, (self._world.now, 1 << 62))
        table = self._world.transactions
        for _, n in self._waiting[:done]:
            available, pending = self._sums[ledger.KINDS[table.kind[n]].balance]
            net = table.amount[n] - table.fee[n]
            available[table.currency[n]] += net
            pending[table.currency[n]] -= net
        del self._waiting[:done]
        return {kind: (list(available), list(pending)) for kind, (available, pending) in self._sums.items()}


def balance(sums: Sums, added: list[Json], now: int) -> Json:
    """Stripe's shape of the sums, with what added transactions move."""
    codes = {code: n for n, code in enumerate(CURRENCIES)}
    for one in added:
        sums[one["balance_type"]][one["available_on"] > now][codes[one["currency"]]] += one["net"]
    available, pending = sums["payments"]
    held = sums["refund_and_dispute_prefunding"]
    return {
        "object": "balance",
        "available": [_typed(n, amount) for n, amount in enumerate(available)],
        "connect_reserved": [_bare(0, 0), _bare(1, 1250)],
        "instant_available": [_typed(0, max(0, available[0])) | {"net_available": []}],
        "issuing": {"available": [_bare(0, sums["issuing"][0][0])]},
        "livemode": False,
        "pending": [_typed(n, amount) for n, amount in enumerate(pending)],
        "refund_and_dispute_prefunding": {"available": [_bare(0, held[0][0])], "pending": [_bare(0, held[1][0])]},
    }


def _bare(currency: int, amount: int) -> Json:
    return {"amount": amount, "currency": CURRENCIES[currency]}


def _typed(currency: int, amount: int) -> Json:
    """Bank debits are a part of it in euro; the whole is cards elsewhere."""
    banked = amount // 8 if CURRENCIES[currency] == "eur" else 0
    types = {"bank_account": banked, "card": amount - banked} if banked else {"card": amount}
    return _bare(currency, amount) | {"source_types": types}
