"""Generates `src/counterfoil/columns/stripe_columns.json` from Stripe's OpenAPI spec: `python tools/columns.py SPEC`.

docs/decisions/0004-column-depth.md describes the rules for the depth of columns.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).resolve().parents[1] / "src" / "counterfoil" / "columns" / "stripe_columns.json"

#: Our name of each resource, and its name in the specification.
RESOURCES = {
    "account": "account",
    "application_fee": "application_fee",
    "balance_amount": "balance_amount_net",  # the entry of a balance's lists with the most fields
    "balance_transaction": "balance_transaction",
    "charge": "charge",
    "coupon": "coupon",
    "customer": "customer",
    "discount": "discount",
    "dispute": "dispute",
    "event": "event",
    "fee_refund": "fee_refund",
    "invoice": "invoice",
    "invoiceitem": "invoiceitem",
    "line_item": "line_item",
    "payment_intent": "payment_intent",
    "payout": "payout",
    "plan": "plan",
    "price": "price",
    "product": "product",
    "promotion_code": "promotion_code",
    "refund": "refund",
    "subscription": "subscription",
    "subscription_item": "subscription_item",
    "subscription_schedule": "subscription_schedule",
    "transfer": "transfer",
    "transfer_reversal": "transfer_reversal",
}
#: Arms of a choice that become columns in addition to its JSON, because they are needed often.
ARMS = {("charge", "payment_method_details"): ("card",)}
#: Values that are Unix times although the specification gives no format.
TIMESTAMPS = {
    ("account", "settings.card_issuing.tos_acceptance.date"),
    ("account", "settings.treasury.tos_acceptance.date"),
    ("subscription_item", "created"),
}
#: Fields that Stripe sends and its SDK has, but the public specification omits, in the form of the specification.
HIDDEN = {"subscription_item": {"plan": {"$ref": "#/components/schemas/plan"}}}

MANY_ARMS = 4
MANY_FLAGS = 20
#: Postgres truncates longer names.
NAME_BYTES = 63
SCALARS = {"string": "string", "integer": "integer", "number": "double", "boolean": "boolean"}

Schema = dict[str, Any]
#: Name, type, path, derived.
Row = tuple[str, str, tuple[str, ...], bool]


class Spec:
    """The schemas of one OpenAPI document, and the type of column for each."""

    def __init__(self, document: Schema) -> None:
        self.version: str = document["info"]["version"]
        self.schemas: dict[str, Schema] = document["components"]["schemas"]

    def resolved(self, schema: Schema) -> Schema:
        """The schema that a reference, or a choice with one option, points to."""
        if len(schema.get("anyOf", ())) == 1 and "x-expansionResources" not in schema:
            return self.resolved(schema["anyOf"][0])
        if "$ref" in schema:
            return self.schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def is_shape(self, schema: Schema) -> bool:
        """Whether the schema is an object with fields, or a choice, and not a separate resource."""
        fields = schema.get("properties", {})
        tag = fields.get("object", {})
        return bool(fields) and "x-resourceId" not in schema and not ("enum" in tag and tag.get("type") == "string")

    def arms(self, schema: Schema) -> list[str]:
        """The fields of a shape that are objects."""
        resolved = {name: self.resolved(field) for name, field in schema["properties"].items()}
        return [name for name, field in resolved.items() if field.get("type") == "object"]

    def is_choice(self, schema: Schema) -> bool:
        """Whether a shape is a disguised union: many optional objects, with a tag or without other fields."""
        arms = set(self.arms(schema))
        fields = set(schema["properties"])
        return (
            len(arms) >= MANY_ARMS
            and ("type" in fields or arms == fields)
            and not arms & set(schema.get("required", ()))
        )

    def is_map(self, schema: Schema) -> bool:
        """Whether a shape is a disguised map: many fields that share one enumeration."""
        enums = [field.get("enum") for field in schema["properties"].values()]
        return len(enums) > MANY_FLAGS and enums[0] is not None and all(enum == enums[0] for enum in enums)

    def is_too_deep(self, schema: Schema, name: str) -> bool:
        """Whether a direct field would have a column name that exceeds the limit of Postgres."""
        return any(len(f"{name}_{field}") > NAME_BYTES for field in schema["properties"])

    def scalar(self, schema: Schema) -> str:
        """The type of a single column for this field."""
        if "x-expansionResources" in schema:
            return "id" if any(arm.get("type") == "string" for arm in schema["anyOf"]) else "json"
        if "anyOf" in schema:
            kinds = {self.scalar(self.resolved(arm)) for arm in schema["anyOf"]}
            return kinds.pop() if len(kinds) == 1 else "json"
        match schema.get("type"), schema.get("format"):
            case "integer", "unix-time":
                return "timestamp"
            case "string", "decimal":
                return "decimal"
            case kind, _:
                return SCALARS.get(kind or "", "json")

    def rows(
        self, resource: str, schema: Schema, path: tuple[str, ...] = (), *, derived: bool = False
    ) -> Iterator[Row]:
        """The columns of a shape, `id` and `created` first, the others in the order of the specification."""
        fields = schema["properties"]
        if not path and resource in HIDDEN:
            fields = dict(sorted({**fields, **HIDDEN[resource]}.items()))
        first = [name for name in ("id", "created") if name in fields and not path]
        for name in [*first, *(name for name in fields if name not in first)]:
            yield from self.field(resource, fields[name], (*path, name), derived=derived)

    def field(self, resource: str, schema: Schema, path: tuple[str, ...], *, derived: bool) -> Iterator[Row]:
        """The columns of one field."""
        name = "_".join(path)
        shape = self.resolved(schema)
        if "x-expansionResources" in schema or not self.is_shape(shape):
            kind = "timestamp" if (resource, ".".join(path)) in TIMESTAMPS else self.scalar(shape)
            yield name, kind, path, derived
        elif self.is_map(shape) or (self.is_too_deep(shape, name) and not self.is_choice(shape)):
            yield name, "json", path, derived
        elif self.is_choice(shape):
            yield name, "json", path, derived
            for arm in ("type", *ARMS.get((resource, ".".join(path)), ())):
                if arm in shape["properties"]:
                    yield from self.field(resource, shape["properties"][arm], (*path, arm), derived=True)
        else:
            yield from self.rows(resource, shape, path, derived=derived)


def generate(document: Schema) -> str:
    """The text of the file; ValueError if two paths of a resource have the same name."""
    spec = Spec(document)
    resources = []
    for resource, name in RESOURCES.items():
        rows = list(spec.rows(resource, spec.schemas[name]))
        duplicates = [column for column, times in Counter(row[0] for row in rows).items() if times > 1]
        if duplicates:
            raise ValueError(f"{resource}: several paths have the same column name: {', '.join(duplicates)}")
        lines = ",\n".join(
            json.dumps([column, kind, ".".join(path), *(["derived"] if derived else [])])
            for column, kind, path, derived in rows
        )
        resources.append(f"{json.dumps(resource)}: [\n{lines}\n]")
    body = ",\n".join(resources)
    return f'{{"version": {json.dumps(spec.version)}, "resources": {{\n{body}\n}}}}\n'


def main() -> None:
    """Writes the file and prints the number of columns of each resource."""
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/columns.py SPEC")
    text = generate(json.loads(Path(sys.argv[1]).read_bytes()))
    OUTPUT.write_text(text)
    for resource, rows in json.loads(text)["resources"].items():
        print(f"{len(rows):4} {resource}")


if __name__ == "__main__":
    main()
