"""The company, generated from a seed and a scale, with two years of history up to a given time."""

from __future__ import annotations

from bisect import bisect_right

from stripe_sandbox.chance import Chance
from stripe_sandbox.company import charges, discounts, history, invoices, ledger, subscriptions, tables
from stripe_sandbox.company.calendar import DAY, growing
from stripe_sandbox.company.catalogue import Catalogue
from stripe_sandbox.company.money import EUR, JPY, KWD, USD
from stripe_sandbox.ids import Ids

#: The first Monday after the epoch, 04:00 UTC. Payouts are created at this time of the week.
_MONDAY = 4 * DAY + 4 * 3600

_PREFIXES = {
    "account": "acct_1", "charge": "ch_3", "customer": "cus_", "subscription": "sub_1", "subscription_item": "si_",
    "subscription_schedule": "sub_sched_1", "invoice": "in_1", "line_item": "il_1", "invoiceitem": "ii_1",
    "product": "prod_", "price": "price_1", "discount": "di_1", "refund": "re_3", "dispute": "du_1", "payout": "po_1",
    "transfer": "tr_1", "transfer_reversal": "trr_1", "application_fee": "fee_1", "fee_refund": "fr_1",
    "balance_transaction": "txn_3", "event": "evt_1", "invoice_payment": "inpay_1", "payment_intent": "pi_3",
    "payment_method": "pm_1", "request": "req_", "coupon": "coupon_1", "topup": "tu_1", "issuing": "ipi_1",
}  # fmt: skip


class World:
    """The company's data; `objects` renders it. The same seed, scale and end give the same world."""

    def __init__(self, seed: int, scale: float, end: int) -> None:
        self.seed, self.scale, self.end = seed, scale, end
        #: The current time, which starts at `end`; it determines when pending transactions become available.
        self.now = end
        self.start = end - 730 * DAY
        self.gap = (end - 400 * DAY, end - 386 * DAY)
        self.bursts = (end - 200 * DAY + 123, end - 3 * DAY + 77)
        self.first_payout = self.start + (_MONDAY - self.start) % ledger.WEEK
        self.ids = {kind: Ids(prefix, seed) for kind, prefix in _PREFIXES.items()}
        self.catalogue = Catalogue(self.start)
        self.charge_chance, self.invoice_chance = self.chance("charge"), self.chance("invoice")
        self.customer_chance = self.chance("customer")
        self._make_tables()
        self._fill()

    def _make_tables(self) -> None:
        self.customers = tables.Customers()
        self.subscriptions = tables.Subscriptions()
        self.schedules = tables.Schedules()
        self.invoices = tables.Invoices()
        self.invoice_items = tables.InvoiceItems()
        self.discounts = tables.Discounts()
        self.charges = tables.Charges()
        self.refunds = tables.Refunds()
        self.disputes = tables.Disputes()
        self.fees = tables.Fees()
        self.fee_refunds = tables.PartialReturns()
        self.transfers = tables.Transfers()
        self.reversals = tables.PartialReturns()
        self.payouts = tables.Payouts()
        self.payouts_by_week: list[dict[int, int]] = [{} for _ in range(4)]
        self.transactions = tables.Transactions()
        self.events = tables.Events()

    def _fill(self) -> None:
        self._win_customers()
        subscriptions.subscribe(self)
        subscriptions.schedule(self)
        invoices.invoice(self)
        discounts.give_lasting(self)
        discounts.give_once(self)
        invoices.total(self)
        charges.charge(self)
        charges.transfer(self)
        ledger.settle(self)
        history.record(self)

    def _win_customers(self) -> None:
        count = max(20, round(600 * self.scale))
        table, span = self.customers, self.end - self.start - 3600
        for n in range(count):
            dice = self.customer_chance.of(n)
            table.created.append(growing(n, count, (dice >> 32) / (1 << 32), self.start, span, 0.6))
            table.currency.append(
                (USD, USD, USD, USD, USD, USD, EUR, EUR, EUR, EUR, EUR, JPY, JPY, JPY, KWD, KWD)[dice % 16]
            )
            table.deleted.append(int((n > 10 and (dice >> 8) % 40 == 7) or n == 15))

    def chance(self, family: str) -> Chance:
        return Chance(self.seed, family)

    def customers_before(self, at: int) -> int:
        """The number of customers at that time."""
        return bisect_right(self.customers.created, at)

    def item_price(self, sub: int, position: int) -> int:
        """The price of an item of a subscription."""
        subs = self.subscriptions
        lists = self.catalogue.yearly if subs.yearly[sub] else self.catalogue.monthly
        prices = lists[self.customers.currency[subs.customer[sub]]]
        return prices[(subs.first_price[sub] + position) % len(prices)]

    def item_quantity(self, sub: int, position: int) -> int:
        """Units of an item per period; for a metered item, its usage."""
        if self.catalogue.prices[self.item_price(sub, position)].metered:
            return 40 + (sub * 7 + position * 13) % 400
        return self.subscriptions.quantity[sub] if position == 0 else 1

    def item_cost(self, sub: int, position: int) -> int:
        return self.catalogue.prices[self.item_price(sub, position)].cost(self.item_quantity(sub, position))

    def payout_week(self, available_on: int) -> int:
        """The week number of the first payout that can include funds available at that time."""
        return max(0, -((self.first_payout - available_on) // ledger.WEEK))

    def payout_of(self, currency: int, available_on: int) -> int:
        """The payout that includes funds available at that time; -1 if there is none yet."""
        week, weeks = self.payout_week(available_on), self.payouts_by_week[currency]
        last = (self.end - self.first_payout) // ledger.WEEK
        while week <= last:
            if week in weeks:
                return weeks[week]
            week += 1
        return -1
