"""Accounts: keys are tested before they are stored, and the results of later tests replace the earlier ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from counterfoil.app.accounts import account_dict, mode, readable
from counterfoil.app.app import App
from counterfoil.errors import AccountError, KeyRejected, NameTaken, SettingsError, StripeUnavailable
from counterfoil.reports.catalogue import REPORTS
from counterfoil.state.accounts import Account, Checked
from stripe_sandbox import Sandbox
from tests.app.conftest import FULL, LIVE, RESTRICTED

KEYS = [report.key for report in REPORTS]


def _stored(app: App) -> bytes:
    """The content of all files."""
    return b"".join(path.read_bytes() for path in app.settings.home.rglob("*") if path.is_file())


def test_full_key_is_tested_with_one_request(app: App, own_sandbox: Sandbox) -> None:
    account = app.accounts.add("Shop", FULL, api_base=own_sandbox.url)
    assert account.stripe_id == own_sandbox.ask("truth/account")["id"]
    assert (mode(account), account.display_name, account.status) == ("test", "Paper & Ink", "ok")
    assert (list(account.readable), dict(account.missing)) == (KEYS, {})
    assert [one["path"] for one in own_sandbox.ask("requests")["last"]] == ["/v1/account"]
    assert account.checked_at == app.state.now()


def test_restricted_key_has_readable_reports_and_missing_permissions(app: App, sandbox: Sandbox) -> None:
    account = app.accounts.add("Shop", RESTRICTED, api_base=sandbox.url)
    assert account.stripe_id == sandbox.ask("truth/account")["id"]
    assert account.readable == (
        "charges",
        "customers",
        "invoices",
        "invoiceitems",
        "recipients",
        "refunds",
        "invoice_line_items",
    )
    assert dict(account.missing) == {
        "account": "rak_accounts_kyc_basic_read",
        "application_fees": "rak_application_fee_read",
        "balance": "rak_balance_read",
        "balance_transactions": "rak_balance_transaction_source_read",
        "coupons": "rak_coupon_read",
        "discounts": "rak_subscription_read",
        "events": "rak_event_read",
        "upcoming_invoices": "rak_subscription_read",
        "plans": "rak_plan_read",
        "transfers": "rak_transfer_read",
        "subscriptions": "rak_subscription_read",
        "all_subscriptions": "rak_subscription_read",
        "subscription_items": "rak_subscription_read",
        "application_fee_refunds": "rak_application_fee_read",
        "transfer_reversals": "rak_transfer_read",
    }
    access = {one.report: (one.readable, one.permission) for one in readable(account)}
    assert list(access) == KEYS
    assert access["charges"] == (True, None)
    assert access["coupons"] == (False, "rak_coupon_read")


def test_permission_for_invoice_previews_is_tested_too(app: App, own_sandbox: Sandbox) -> None:
    own_sandbox.control("keys", key="rk_test_reads_only_4242", permissions=["rak_subscription_read"])
    account = app.accounts.add("Shop", "rk_test_reads_only_4242", api_base=own_sandbox.url)
    assert account.missing["upcoming_invoices"] == "rak_invoice_write"
    assert "subscriptions" in account.readable


def test_restricted_key_is_tested_with_one_row_per_path(app: App, own_sandbox: Sandbox) -> None:
    app.accounts.add("Shop", RESTRICTED, api_base=own_sandbox.url)
    requests = own_sandbox.ask("requests")["last"]
    assert len(requests) <= 20
    lists = [one for one in requests if one["path"] not in ("/v1/account", "/v1/balance") and one["method"] == "GET"]
    assert lists
    assert all("limit=1" in str(one["query"]) or one["query"].get("limit") in ("1", ["1"]) for one in lists)


def test_rejected_key_is_not_stored(app: App, sandbox: Sandbox) -> None:
    with pytest.raises(KeyRejected) as rejected:
        app.accounts.add("Shop", "sk_test_nobodys4242", api_base=sandbox.url)
    assert "STRIPE_API_KEY" not in str(rejected.value.hint)
    assert app.accounts.list() == ()


def test_account_is_not_stored_while_stripe_is_down(app: App) -> None:
    with pytest.raises(StripeUnavailable) as down:
        app.accounts.add("Shop", FULL, api_base="http://127.0.0.1:1")
    assert "Nothing was stored" in str(down.value.hint)
    assert app.accounts.list() == ()


def test_restricted_key_is_not_stored_if_stripe_fails_during_the_test(app: App, own_sandbox: Sandbox) -> None:
    own_sandbox.control("faults", fault="should_not_retry", path="/v1/charges")
    with pytest.raises(StripeUnavailable):
        app.accounts.add("Shop", RESTRICTED, api_base=own_sandbox.url)
    assert app.accounts.list() == ()


def test_name_in_use_is_rejected_before_any_request(app: App, shop: Account) -> None:
    with pytest.raises(NameTaken, match="'Shop'"):
        app.accounts.add("Shop", FULL, api_base="http://127.0.0.1:1")


def test_key_is_nowhere_in_clear(app: App, shop: Account) -> None:
    assert FULL.encode() not in _stored(app)
    assert FULL not in repr(app) + repr(shop) + repr(app.accounts.list()) + str(account_dict(shop))
    assert shop.shown == "sk_test_…4242"


def test_reference_is_resolved_at_each_use_and_its_key_not_stored(
    app: App, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.txt"
    file.write_text(f"{FULL}\n")
    account = app.accounts.add("Shop", reference=f"file:{file}", api_base=sandbox.url)
    assert (account.reference, account.shown) == (f"file:{file}", "sk_test_…4242")
    assert not (app.settings.home / "secret.key").exists()
    file.write_text("sk_test_demo_another_7777")
    assert app.accounts.check("Shop").shown == "sk_test_…7777"
    file.write_text(LIVE)
    with pytest.raises(SettingsError, match=r"live key.*'Shop'"):
        app.accounts.check("Shop")
    assert app.accounts.get("Shop").status == "rejected"
    file.unlink()
    with pytest.raises(SettingsError, match=re.escape(str(file))):
        app.accounts.check("Shop")


def test_invalid_reference_is_rejected(app: App) -> None:
    with pytest.raises(SettingsError, match="'vault/shop'"):
        app.accounts.add("Shop", reference="vault/shop")


def test_check_records_rejection_and_recovery_of_key(app: App, own_sandbox: Sandbox) -> None:
    app.accounts.add("Shop", FULL, api_base=own_sandbox.url)
    own_sandbox.control("keys", key=FULL, refused=True, code="api_key_expired")
    with pytest.raises(KeyRejected) as rejected:
        app.accounts.check("Shop")
    assert "counterfoil accounts key Shop" in str(rejected.value.hint)
    account = app.accounts.get("Shop")
    assert (account.status, account.livemode, list(account.readable)) == ("rejected", False, KEYS)
    assert "Stripe rejected" in str(account.problem)
    own_sandbox.control("keys", key=FULL)
    assert app.accounts.check("Shop").status == "ok"
    assert app.accounts.get("Shop").problem is None


def test_check_finds_new_permissions(app: App, own_sandbox: Sandbox) -> None:
    app.accounts.add("Shop", RESTRICTED, api_base=own_sandbox.url)
    own_sandbox.control("keys", key=RESTRICTED, permissions=["rak_coupon_read"])
    account = app.accounts.check("Shop")
    assert "coupons" in account.readable
    assert account.missing["charges"] == "rak_charge_read"


def test_check_changes_nothing_while_stripe_is_down(app: App, own_sandbox: Sandbox) -> None:
    before = app.accounts.add("Shop", FULL, api_base=own_sandbox.url)
    own_sandbox.control("faults", fault="should_not_retry")
    with pytest.raises(StripeUnavailable):
        app.accounts.check("Shop")
    assert app.accounts.get("Shop") == before


def test_key_is_replaced_only_by_key_of_same_account_and_mode(app: App, shop: Account) -> None:
    assert app.accounts.replace_key("Shop", RESTRICTED).shown == "rk_test_…4242"
    with pytest.raises(SettingsError, match=r"live key.*'Shop'") as rejected:
        app.accounts.replace_key("Shop", LIVE)
    assert "counterfoil accounts add" in str(rejected.value.hint)
    with pytest.raises(KeyRejected):
        app.accounts.replace_key("Shop", "sk_test_nobodys4242")
    assert app.accounts.get("Shop").shown == "rk_test_…4242"


def test_key_of_another_stripe_account_is_rejected(app: App, shop: Account) -> None:
    other = Checked(at=app.state.now(), livemode=False, stripe_id="acct_other")
    app.records.accounts.set_check(shop.id, other)
    with pytest.raises(SettingsError, match=r"'Shop' to acct_other"):
        app.accounts.replace_key("Shop", FULL)
    unknown = Checked(at=app.state.now(), livemode=False, stripe_id="key_0123456789abcdef")
    app.records.accounts.set_check(shop.id, unknown)
    assert app.accounts.replace_key("Shop", FULL).stripe_id == shop.stripe_id


def test_account_is_removed_with_its_datasets_and_archives(app: App, shop: Account) -> None:
    dataset = app.datasets.create("Charges", account="Shop", report="charges").dataset
    run = app.records.runs.create(dataset.id, "manual")
    app.records.runs.finish(run.id, "failed")
    archive = app.settings.archive / "runs" / run.id
    archive.mkdir(parents=True)
    assert app.accounts.used_by("Shop") == ("Charges",)
    with pytest.raises(SettingsError, match="1 dataset: Charges"):
        app.accounts.remove("Shop")
    assert archive.exists()
    assert app.accounts.remove("Shop", with_datasets=True) == ("Charges",)
    assert (app.accounts.list(), app.datasets.list(), archive.exists()) == ((), (), False)


@pytest.mark.parametrize("remedy", ["check", "replace key"])
def test_accepted_key_resumes_datasets_paused_by_rejection(app: App, own_sandbox: Sandbox, remedy: str) -> None:
    app.accounts.add("Shop", FULL, api_base=own_sandbox.url)
    for name in ("Charges", "Refunds"):
        app.datasets.create(name, account="Shop", report=name.lower())
    app.datasets.pause("Refunds")
    own_sandbox.control("keys", key=FULL, refused=True, code="api_key_expired")
    assert app.runs.start("Charges").status == "failed"
    assert app.accounts.paused("Shop") == ("Charges", "Refunds")

    if remedy == "check":
        own_sandbox.control("keys", key=FULL)
        app.accounts.check("Shop")
    else:
        app.accounts.replace_key("Shop", "sk_test_demo_another_7777")

    assert app.accounts.paused("Shop") == ("Refunds",)


def test_paused_datasets_of_account_are_listed(app: App, shop: Account) -> None:
    for name in ("Charges", "Refunds"):
        app.datasets.create(name, account="Shop", report=name.lower())
    app.datasets.pause("Refunds")
    assert app.accounts.paused("Shop") == ("Refunds",)


def test_rotation_reencrypts_keys_and_reports_lost_ones(
    app: App, shop: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.records.hash_keys.key(shop.id)
    before = _stored(app)
    done = app.accounts.rotate()
    assert (done.keys, done.locked, done.hash_keys_lost) == (1, (), False)
    assert app.accounts.check("Shop").status == "ok"
    assert _stored(app) != before
    (app.settings.home / "secret.key").unlink()
    lost = app.accounts.rotate()
    assert (lost.keys, lost.locked, lost.hash_keys_lost) == (0, ("Shop",), True)
    with pytest.raises(AccountError, match="can't be decrypted"):
        app.accounts.check("Shop")
    assert app.accounts.get("Shop").status == "locked"
    assert app.accounts.replace_key("Shop", FULL).status == "ok"
