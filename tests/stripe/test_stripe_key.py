"""Keys, addresses, proxies and endpoints, and the errors before the first request."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from counterfoil.errors import SettingsError
from counterfoil.http.address import proxy_for
from counterfoil.settings import Settings
from counterfoil.stripe.address import address_of
from counterfoil.stripe.client import Client
from counterfoil.stripe.endpoints import endpoint
from counterfoil.stripe.key import Key

SPEC = Path(__file__).resolve().parents[2] / "../shared/stripe/spec3.json"


@pytest.mark.parametrize(
    ("secret", "shown", "live"),
    [
        ("sk_test_51AbcDefGhiJ4242", "sk_test_…4242", False),
        ("sk_live_51AbcDefGhiJ4242", "sk_live_…4242", True),
        ("rk_live_51AbcDefGhiJ4242", "rk_live_…4242", True),
        ("rk_test_51AbcDefGhiJ4242", "rk_test_…4242", False),
        ("rkcs_test_51AbcDefGhiJ4242", "rkcs_test_…4242", False),
        ("sk_org_51AbcDefGhiJ4242", "sk_org_…4242", True),
        ("sk_org_test_51AbcDefGhiJ4242", "sk_org_test_…4242", False),
        ("sk_test_short", "sk_test_…", False),
    ],
)
def test_key_has_a_mode_and_a_masked_repr(secret: str, shown: str, live: bool) -> None:
    assert repr(Key(secret)) == f"{Key(secret)}" == shown
    assert Key(secret).live is live


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        ("", "missing_key"),
        ("pk_live_51AbcDefGhiJ4242", "publishable_key"),
        ("whsec_51AbcDefGhiJ4242", "webhook_secret"),
        ("sk_live_", "invalid_key"),
        ("sk_live_51Abc DefGhiJ4242", "invalid_key"),
        ("sk_live_51Abc\r\nX-Evil: 1", "invalid_key"),
        ("sk_live_schlüssel51AbcDefG", "invalid_key"),
        ("Bearer sk_live_51AbcDefGhiJ4242", "invalid_key"),
        ("51AbcDefGhiJ4242", "invalid_key"),
    ],
)
def test_invalid_key_is_rejected_without_repeating_it(secret: str, code: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Client(secret, settings=Settings())
    assert caught.value.code == code
    assert caught.value.exit_code == 2
    assert caught.value.hint is not None
    assert "sk_live_" in caught.value.hint
    assert "51Abc" not in f"{caught.value!r} {caught.value.hint}"


def test_whitespace_around_a_key_is_ignored() -> None:
    assert repr(Client(" sk_test_51AbcDefGhiJ4242\n", settings=Settings())) == "Client(sk_test_…4242, api.stripe.com)"


@pytest.mark.parametrize("account", ["", "1Abc", "acct_", "acct_1\r\nX: 1", "acct_1/acct_2", "ACCT_1"])
def test_malformed_connected_account_is_rejected(account: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Client("sk_test_51AbcDefGhiJ4242", stripe_account=account, settings=Settings())
    assert caught.value.code == "invalid_account_id"


def test_organization_key_without_an_account_is_rejected() -> None:
    with pytest.raises(SettingsError, match="organization") as caught:
        Client("sk_org_51AbcDefGhiJ4242", settings=Settings())
    assert caught.value.code == "account_required"


@pytest.mark.parametrize(
    ("address", "base", "loopback"),
    [
        ("https://api.stripe.com", "https://api.stripe.com", False),
        ("https://API.stripe.com/", "https://api.stripe.com", False),
        ("https://stripe.internal:8443", "https://stripe.internal:8443", False),
        ("http://127.0.0.1:8322", "http://127.0.0.1:8322", True),
        ("http://localhost:8322/", "http://localhost:8322", True),
        ("http://[::1]:8322", "http://[::1]:8322", True),
    ],
)
def test_https_and_loopback_addresses_are_accepted(address: str, base: str, loopback: bool) -> None:
    assert (address_of(address).base, address_of(address).loopback) == (base, loopback)


@pytest.mark.parametrize(
    "address",
    [
        "http://api.stripe.com",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.1:8322",
        "ftp://127.0.0.1",
        "api.stripe.com",
        "https://",
        "https://user:hunter2@api.stripe.com",
        "https://@api.stripe.com",
        "https://api.stripe.com/v1",
        "https://api.stripe.com?x=hunter2",
        "https://api.stripe.com#hunter2",
        "https://api.stripe.com:port",
        "https://[::1",
        "",
    ],
)
def test_unsafe_address_is_rejected_without_its_password(address: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Client("sk_test_51AbcDefGhiJ4242", api_base=address, settings=Settings())
    assert "hunter2" not in f"{caught.value!r} {caught.value.hint}"
    assert caught.value.hint


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "base", "url"),
    [
        ({}, "https://api.stripe.com", None),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, "https://api.stripe.com", "http://proxy.example:3128"),
        ({"https_proxy": "proxy.example:3128"}, "https://api.stripe.com", "http://proxy.example:3128"),
        ({"ALL_PROXY": "http://proxy.example"}, "https://api.stripe.com", "http://proxy.example"),
        ({"HTTP_PROXY": "http://proxy.example"}, "https://api.stripe.com", None),
        ({"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": ".stripe.com"}, "https://api.stripe.com", None),
        (
            {"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "other.example"},
            "https://x.example",
            "http://proxy.example",
        ),
        ({"HTTPS_PROXY": "http://proxy.example", "ALL_PROXY": "http://proxy.example"}, "http://127.0.0.1:1", None),
    ],
)
def test_proxy_of_the_environment_is_used_except_for_loopback(
    environment: pytest.MonkeyPatch, variables: dict[str, str], base: str, url: str | None
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    proxy = proxy_for(address_of(base))
    assert (proxy and proxy.url) == url


def test_proxy_login_is_sent_as_a_header_and_never_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTPS_PROXY", "http://jane:p%40ss@proxy.example:3128")
    proxy = proxy_for(address_of("https://api.stripe.com"))
    assert proxy is not None
    assert proxy.headers == {"Proxy-Authorization": "Basic amFuZTpwQHNz"}
    assert repr(proxy) == "Proxy(proxy.example:3128)"
    assert proxy.url == "http://proxy.example:3128"


def test_unsupported_proxy_protocol_is_rejected(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "socks5://jane:hunter2@proxy.example")
    with pytest.raises(SettingsError, match="socks5") as caught:
        Client("sk_test_51AbcDefGhiJ4242", settings=Settings())
    assert "hunter2" not in repr(caught.value)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1/charges", "GET /v1/charges"),
        ("/v1/charges/ch_1", "GET /v1/charges/{id}"),
        ("/v1/coupons/SUMMER", "GET /v1/coupons/{id}"),
        ("/v1/invoices/in_1/lines", "GET /v1/invoices/{id}/lines"),
        ("/v1/invoices/create_preview", "GET /v1/invoices/create_preview"),
        ("/v1/application_fees/fee_1/refunds/fr_1", "GET /v1/application_fees/{id}/refunds/{id}"),
        ("/v1/issuing/cards/ic_1", "GET /v1/issuing/cards/{id}"),
        ("/v1/recipients/rp_1", "GET /v1/recipients/{id}"),
    ],
)
def test_endpoint_is_the_path_without_ids(path: str, template: str) -> None:
    assert endpoint("GET", path) == template


@pytest.mark.skipif(not SPEC.parent.parent.exists(), reason="Stripe's spec is not available")
def test_every_path_of_the_stripe_api_is_one_endpoint() -> None:
    paths = [path for path, verbs in json.loads(SPEC.read_bytes())["paths"].items() if "get" in verbs]
    wrong = {
        path: endpoint("GET", re.sub(r"\{\w+\}", "search_charges_1", path))
        for path in paths
        if path.startswith("/v1/")
        and endpoint("GET", re.sub(r"\{\w+\}", "search_charges_1", path)) != "GET " + re.sub(r"\{\w+\}", "{id}", path)
    }
    assert len(paths) > 200
    assert wrong == {}
