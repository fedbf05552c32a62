"""A state in a temporary home directory, a clock that tests advance, an account and a dataset."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from counterfoil.settings import Settings
from counterfoil.state import State, open_state
from counterfoil.state.accounts import Account, Accounts
from counterfoil.state.datasets import Dataset, Datasets, Target
from counterfoil.state.runs import Runs
from counterfoil.state.vault import Vault
from tests.postgres import Server

KEY = "sk_test_" + "51Counterfoil" + "4242"

MakeDataset = Callable[..., Dataset]


@dataclass
class StandingClock:
    """A clock that moves only by `advance`."""

    at: datetime = datetime(2027, 1, 4, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def advance(self, **units: float) -> datetime:
        self.at += timedelta(**units)
        return self.at


@pytest.fixture(autouse=True)
def _no_state_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_URL", "SECRET_KEY"):
        monkeypatch.delenv(f"COUNTERFOIL_{name}", raising=False)
        monkeypatch.delenv(f"COUNTERFOIL_{name}_FILE", raising=False)


@pytest.fixture(scope="session")
def made_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a new state, which the tests copy."""
    home = tmp_path_factory.mktemp("made")
    open_state(Settings(home=home, state_url=None)).close()
    return home / "state.db"


@pytest.fixture(scope="session")
def template(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Creates databases quickly, with a new state or empty, and returns their URLs."""
    with postgres.connected() as connection:
        connection.execute("CREATE DATABASE made")
    open_state(Settings(home=tmp_path_factory.mktemp("made"), state_url=_address(postgres, "made"))).close()

    def make(*, empty: bool = False) -> str:
        name = f"t{uuid.uuid4().hex}"
        with postgres.connected() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else 'made'} STRATEGY file_copy")
        return _address(postgres, name)

    return make


def _address(server: Server, database: str) -> str:
    return f"postgresql://owner@/{database}?host={server.folder}"


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings for a state in SQLite and in Postgres. The mark `sqlite` omits Postgres; `empty` gives no tables."""
    if request.param == "sqlite":
        return Settings(home=tmp_path / "home")
    if request.node.get_closest_marker("sqlite") is not None:
        pytest.skip("only for a state in a file")
    empty = request.node.get_closest_marker("empty") is not None
    return Settings(home=tmp_path / "home", state_url=request.getfixturevalue("template")(empty=empty))


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def state(settings: Settings, made_state: Path, clock: StandingClock) -> Iterator[State]:
    settings.home.mkdir(mode=0o700)
    if settings.state_url is None:
        shutil.copy(made_state, settings.home / "state.db")
    with open_state(settings, clock=clock) as state:
        yield state


@pytest.fixture
def vault(settings: Settings) -> Vault:
    return Vault(settings)


@pytest.fixture
def accounts(state: State, vault: Vault) -> Accounts:
    return Accounts(state, vault)


@pytest.fixture
def datasets(state: State) -> Datasets:
    return Datasets(state)


@pytest.fixture
def runs(state: State) -> Runs:
    return Runs(state)


@pytest.fixture
def account(accounts: Accounts) -> Account:
    return accounts.add("Shop", key=KEY, shown="sk_test_…4242", fingerprint="f1")


@pytest.fixture
def make_dataset(datasets: Datasets, account: Account) -> MakeDataset:
    """Adds a dataset of charges with a separate table; keywords override its fields."""

    def make(name: str = "Charges", **fields: Any) -> Dataset:
        table = Target(url="duckdb:///stripe.duckdb", table=name.lower().replace(" ", "_"))
        return datasets.add(name, **({"account": account.id, "report": "charges", "targets": (table,)} | fields))

    return make


@pytest.fixture
def dataset(make_dataset: MakeDataset) -> Dataset:
    return make_dataset()
