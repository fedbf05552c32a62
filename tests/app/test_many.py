"""Several machines on one state: a node with a local archive or local tables is rejected."""

from __future__ import annotations

import pytest

from counterfoil.app.app import App
from counterfoil.app.cluster import check_beside_others, check_shared
from counterfoil.app.node import node_of
from counterfoil.engine.nodes import SharedNode, host_of, this_host
from counterfoil.errors import SettingsError
from counterfoil.settings import Settings
from counterfoil.state import open_state
from counterfoil.state.nodes import Nodes
from tests.postgres import Server


@pytest.fixture
def many(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A separate state in Postgres."""
    home = tmp_path_factory.mktemp("many")
    name = f"many{home.name[-1]}{id(home)}"
    with postgres.connected() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = f"postgresql://owner@/{name}?host={postgres.folder}"
    return Settings(home=home / "home", archive_path=home / "archive", state_url=url)  # type: ignore[arg-type]


def test_worker_requires_shared_state(app: App) -> None:
    with pytest.raises(SettingsError, match="shared state") as error:
        check_shared(app.state)
    assert "COUNTERFOIL_STATE_URL" in str(error.value.hint)


def test_node_with_another_archive_is_rejected(many: Settings) -> None:
    with open_state(many) as state, App(many, state) as app:
        check_shared(state)
        check_beside_others(state, app.records)
        check_beside_others(state, app.records)
        other = many.model_copy(update={"archive_path": many.home / "elsewhere"})
        with pytest.raises(SettingsError, match="elsewhere differs") as error:
            check_beside_others(state, App(other, state).records)
        assert "COUNTERFOIL_ARCHIVE_PATH" in str(error.value.hint)


def test_local_table_is_rejected_with_nodes_on_other_machines(many: Settings) -> None:
    with open_state(many) as state, App(many, state) as app:
        app.records.accounts.add("Shop", key="sk_test_x4242", shown="sk_test_…4242", fingerprint="f")
        app.datasets.create("Charges", account="Shop", report="charges")
        check_beside_others(state, app.records)
        nodes = Nodes(state)
        nodes.beat(f"serve-{this_host()}-1-a", "serve")
        check_beside_others(state, app.records)
        nodes.beat("serve-other-host-1-a", "serve")
        with pytest.raises(SettingsError, match=r"'Charges' .*: other-host$"):
            check_beside_others(state, app.records)


def test_node_is_listed_until_it_leaves(many: Settings) -> None:
    with open_state(many) as state:
        one, other = node_of(state, "serve"), node_of(state, "run")
        assert isinstance(one, SharedNode)
        assert host_of(one.id) == this_host()
        one.join()
        assert other.others("serve") == 1
        one.leave()
        assert other.others() == 0
        with other.dead([one.id], unknown=False) as dead:
            assert dead == {one.id}
        with other.dead([one.id], unknown=False) as dead:
            assert dead == set()
