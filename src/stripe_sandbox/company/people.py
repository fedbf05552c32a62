"""Names and places for customers, by currency."""

from __future__ import annotations

from dataclasses import dataclass

FIRST = (
    "Ada", "Björn", "Chidi", "Dalia", "Emre", "Fatou", "Grace", "Haruki", "Inés", "Jonas", "Keiko", "Lukas", "María",
    "Noor", "Olga", "Pavel", "Qadir", "Rosa", "Søren", "Tala", "Uma", "Viktor", "Wanda", "Ximena", "Yusuf", "Zoë",
)  # fmt: skip
LAST = (
    "Abe", "Baker", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ivanova", "Jensen", "Kimura", "López",
    "Moreau", "Nakamura", "O'Neill", "Petrov", "Quist", "Rossi", "Schmidt", "Tanaka", "Ueda", "Vogel", "Weber", "Young",
)  # fmt: skip
STREETS = ("Harbour Street", "Mill Lane", "Station Road", "Lindenallee", "Rue du Port", "Sakura-dori", "Calle Mayor")
WORDS = ("North", "Blue", "Paper", "Green", "Silver", "Quiet", "River", "Stone", "Copper", "Maple", "Harbour", "Bright")
TRADES = (
    "Bakery",
    "Studio",
    "Labs",
    "Books",
    "Bikes",
    "Press",
    "Coffee",
    "Dental",
    "Foods",
    "Films",
    "Garden",
    "Tools",
)


@dataclass(frozen=True, slots=True)
class Place:
    city: str
    country: str
    postal_code: str
    state: str | None
    locale: str
    dial: str


PLACES: tuple[tuple[Place, ...], ...] = (
    (
        Place("Portland", "US", "97201", "OR", "en-US", "+1503555"),
        Place("Austin", "US", "73301", "TX", "en-US", "+1512555"),
        Place("Brooklyn", "US", "11201", "NY", "en-US", "+1718555"),
        Place("Toronto", "CA", "M5V 2T6", "ON", "en-CA", "+1416555"),
    ),
    (
        Place("Berlin", "DE", "10115", None, "de-DE", "+4930555"),
        Place("Lyon", "FR", "69002", None, "fr-FR", "+3347855"),
        Place("Dublin", "IE", "D02 X285", "Dublin", "en-IE", "+3531555"),
        Place("Sevilla", "ES", "41001", "Sevilla", "es-ES", "+3495455"),
    ),
    (
        Place("大阪市", "JP", "530-0001", "大阪府", "ja-JP", "+8166555"),
        Place("Tokyo", "JP", "150-0002", "Tokyo", "ja-JP", "+8135555"),
    ),
    (Place("Kuwait City", "KW", "15000", None, "en-KW", "+9652255"),),
)
