"""The number of decimal digits of each currency at Stripe, and exact amounts in major units without floats.

Stripe's lists: https://docs.stripe.com/currencies#zero-decimal, #three-decimal and #special-cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

#: UGX is also on Stripe's zero-decimal list, but Stripe sends it with two digits as a special case (500 is 5 UGX).
_ZERO = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
_THREE = "bhd jod kwd omr tnd"
#: Current ISO 4217 codes of countries, and codes that Stripe accepted in earlier years. Codes that have other than two
#: digits by ISO and that Stripe does not list (clf, iqd, lyd, uyi, uyw) are omitted: their digits are unknown.
#: isk, ugx, huf and twd are special cases at Stripe, sent with two digits.
_TWO = """
aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd btn bwp byn bzd cad cdf chf cny cop crc cuc
cup cve czk dkk dop dzd eek egp ern etb eur fjd fkp gbp gel ghs gip gmd gtq gyd hkd hnl hrk htg huf idr ils inr irr isk
jmd kes kgs khr kpw kyd kzt lak lbp lkr lrd lsl ltl lvl mad mdl mkd mmk mnt mop mro mru mur mvr mwk mxn myr mzn nad ngn
nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sdg sek sgd shp sle sll sos srd ssp std stn svc syp
szl thb tjs tmt top try ttd twd tzs uah ugx usd uyu uzs ved vef ves wst xcd xcg yer zar zmk zmw zwg zwl
"""

#: Digits after the decimal point, by lower-case code.
DIGITS: Mapping[str, int] = MappingProxyType(
    {code: digits for codes, digits in ((_ZERO, 0), (_TWO, 2), (_THREE, 3)) for code in codes.split()}
)

#: Digits of `major`: thousandths, so that every currency fits one type.
SCALE = 3
NO_DIGITS: Mapping[str, int] = MappingProxyType({})


def is_currency(code: str) -> bool:
    """Whether the number of digits of this lower-case code is known."""
    return code in DIGITS


def major(amounts: pa.Array, currencies: pa.Array, digits: Mapping[str, int] = NO_DIGITS) -> pa.Array:
    """Amounts in minor units (int64) as DECIMAL(22,3) in major units; null if the currency is unknown.

    `digits` overrides Stripe's lists.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    factors = _factors(currencies, {**DIGITS, **digits})
    thousandths = pc.multiply(amounts.cast(pa.decimal128(19, 0)), factors)
    # An int64 times 1,000 has at most 22 digits, so the same 16 bytes are reinterpreted with another scale.
    return pa.Array.from_buffers(
        pa.decimal128(22, SCALE), len(thousandths), thousandths.buffers(), offset=thousandths.offset
    )


def unknown_currencies(currencies: pa.Array, digits: Mapping[str, int] = NO_DIGITS) -> dict[str, int]:
    """The codes with an unknown number of digits, with their number of rows."""
    counts = {entry["values"]: entry["counts"] for entry in currencies.value_counts().to_pylist()}
    return {
        code: count
        for code, count in counts.items()
        if code is not None and code.lower() not in DIGITS and code.lower() not in digits
    }


def _factors(currencies: pa.Array, digits: Mapping[str, int]) -> pa.Array:
    import pyarrow as pa

    encoded = currencies.dictionary_encode()
    known = [digits.get(code.lower()) for code in encoded.dictionary.to_pylist()]
    factors = [None if count is None else Decimal(10 ** (SCALE - count)) for count in known]
    return pa.array(factors, pa.decimal128(4, 0)).take(encoded.indices)
