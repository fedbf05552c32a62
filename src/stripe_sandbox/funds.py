"""A running balance, updated with each transaction. Reading it processes only newly available funds."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from stripe_sandbox.company import ledger
from stripe_sandbox.company.money import CURRENCIES
from stripe_sandbox.company.world import World
from stripe_sandbox.objects.json import Json

#: The available and pending amounts per currency, by balance type.
Sums = dict[str, tuple[list[int], list[int]]]

_CODES = {code: n for n, code in enumerate(CURRENCIES)}


class Funds:
    def __init__(self, world: World) -> None:
        self._world = world
        self._sums = ledger.balance(world, world.now)
        #: (available_on, balance type, currency, net) of pending transactions.
        self._waiting: list[tuple[int, str, int, int]] = []
        #: (available_on, id, net) of transactions that are in no payout, by currency.
        self._unpaid: list[list[tuple[int, str, int]]] = [[] for _ in CURRENCIES]
        self._read_generated()

    def _read_generated(self) -> None:
        table, of = self._world.transactions, self._world.ids["balance_transaction"].of
        for n, available_on in enumerate(table.available_on):
            kind = ledger.KINDS[table.kind[n]]
            currency, net = table.currency[n], table.amount[n] - table.fee[n]
            if available_on > self._world.now:
                self._waiting.append((available_on, kind.balance, currency, net))
            if table.payout[n] < 0 and kind.balance == "payments":
                self._unpaid[currency].append((available_on, of(n), net))
        heapify(self._waiting)

    def add(self, transaction: Json) -> None:
        self._move(transaction, transaction["net"])
        if transaction["balance_type"] == "payments" and transaction["type"] != "payout":
            entry = (transaction["available_on"], transaction["id"], transaction["net"])
            self._unpaid[_CODES[transaction["currency"]]].append(entry)

    def remove(self, transaction: Json) -> None:
        self._move(transaction, -transaction["net"])
        currency = _CODES[transaction["currency"]]
        self._unpaid[currency] = [one for one in self._unpaid[currency] if one[1] != transaction["id"]]

    def _move(self, transaction: Json, net: int) -> None:
        balance, currency = transaction["balance_type"], _CODES[transaction["currency"]]
        pending = transaction["available_on"] > self._world.now
        self._sums[balance][pending][currency] += net
        if pending:
            heappush(self._waiting, (transaction["available_on"], balance, currency, net))

    def sums(self) -> Sums:
        """The balance at the world's current time, which never decreases."""
        while self._waiting and self._waiting[0][0] <= self._world.now:
            _, balance, currency, net = heappop(self._waiting)
            available, pending = self._sums[balance]
            available[currency] += net
            pending[currency] -= net
        return {balance: (list(available), list(pending)) for balance, (available, pending) in self._sums.items()}

    def payable(self, currency: int) -> tuple[int, list[str]]:
        """The available transactions that are in no payout: their sum and their ids."""
        found = [entry for entry in self._unpaid[currency] if entry[0] <= self._world.now]
        return sum(net for _, _, net in found), [id_ for _, id_, _ in found]

    def pay_out(self, currency: int) -> None:
        """Marks the payable transactions as paid out."""
        self._unpaid[currency] = [entry for entry in self._unpaid[currency] if entry[0] > self._world.now]
