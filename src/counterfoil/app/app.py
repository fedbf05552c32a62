"""The app: settings and state, with a service for each kind of object."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Self

from counterfoil.settings import Settings, load_settings

if TYPE_CHECKING:
    from counterfoil.app.accounts import AccountService
    from counterfoil.app.alerts import AlertService
    from counterfoil.app.config.service import ConfigService
    from counterfoil.app.datasets.service import DatasetService
    from counterfoil.app.metrics import MetricService
    from counterfoil.app.proofs import ProofService
    from counterfoil.app.runs import Look, RunService
    from counterfoil.app.saved_queries import SavedQueryService
    from counterfoil.app.sessions import SessionService
    from counterfoil.app.tables import TableService
    from counterfoil.app.tokens import TokenService
    from counterfoil.runs.run_context import RunContext
    from counterfoil.state import State
    from counterfoil.state.database import Clock
    from counterfoil.state.run import Run


class App:
    """Accounts, datasets and runs of one state. Use it in a `with` block, or call `close`. Thread-safe."""

    def __init__(self, settings: Settings, state: State) -> None:
        from counterfoil.state.vault import Vault

        self.settings = settings
        self.state = state
        self.vault = Vault(settings)

    def __repr__(self) -> str:
        return f"App({self.state!r})"

    @cached_property
    def records(self) -> RunContext:
        """The stored objects, for the steps of runs."""
        from counterfoil.runs.run_context import RunContext
        from counterfoil.state.accounts import Accounts
        from counterfoil.state.alerts import Alerts
        from counterfoil.state.checks import Checks
        from counterfoil.state.datasets import Datasets
        from counterfoil.state.hash_keys import HashKeys
        from counterfoil.state.runs import Runs

        return RunContext(
            accounts=Accounts(self.state, self.vault),
            alerts=Alerts(self.state, self.vault),
            datasets=Datasets(self.state),
            runs=Runs(self.state),
            checks=Checks(self.state),
            hash_keys=HashKeys(self.state, self.vault),
            settings=self.settings,
            now=self.state.now,
        )

    @cached_property
    def accounts(self) -> AccountService:
        """Operations on accounts."""
        from counterfoil.app.accounts import AccountService

        return AccountService(self.state, self.vault)

    @cached_property
    def datasets(self) -> DatasetService:
        """Operations on datasets."""
        from counterfoil.app.datasets.service import DatasetService

        return DatasetService(self.state, self.vault)

    @cached_property
    def config(self) -> ConfigService:
        """Accounts and datasets as a configuration file."""
        from counterfoil.app.config.service import ConfigService

        return ConfigService(self.state, self.accounts, self.datasets)

    @cached_property
    def runs(self) -> RunService:
        """Operations on runs."""
        from counterfoil.app.runs import RunService

        return RunService(self.state, self.records)

    @cached_property
    def proofs(self) -> ProofService:
        """Verification of datasets."""
        from counterfoil.app.proofs import ProofService

        return ProofService(self.records)

    @cached_property
    def tables(self) -> TableService:
        """Tables of datasets."""
        from counterfoil.app.tables import TableService

        return TableService(self.records)

    @cached_property
    def alerts(self) -> AlertService:
        """Operations on alerts."""
        from counterfoil.app.alerts import AlertService

        return AlertService(self.records.alerts)

    @cached_property
    def metrics(self) -> MetricService:
        """Metrics for Prometheus."""
        from counterfoil.app.metrics import MetricService

        return MetricService(self.datasets, self.records)

    @cached_property
    def questions(self) -> SavedQueryService:
        """Saved queries."""
        from counterfoil.app.saved_queries import SavedQueryService

        return SavedQueryService(self.state)

    @cached_property
    def sessions(self) -> SessionService:
        """Sessions of the UI."""
        from counterfoil.app.sessions import SessionService

        return SessionService(self.state)

    @cached_property
    def tokens(self) -> TokenService:
        """Tokens for the API."""
        from counterfoil.app.tokens import TokenService

        return TokenService(self.state)

    def fill(self, dataset: str, to: str, *, wait: bool = True, look: Look | None = None) -> Run:
        """Rebuilds a dataset's table in a destination from archives; adds the destination to the dataset if it is new.

        RunError if no run has succeeded or an archive is deleted; then nothing is changed.
        """
        self.runs.kept(dataset)
        urls = [target.url for target in self.datasets.get(dataset).targets]
        if to not in urls:
            self.datasets.edit(dataset, to=[*urls, to])
        return self.runs.fill(dataset, to, wait=wait, look=look)

    def close(self) -> None:
        """Closes the state."""
        self.state.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_app(settings: Settings | None = None, *, clock: Clock | None = None) -> App:
    """Opens the app with these settings, by default those of the environment; creates the state if it does not exist.

    SettingsError if the schema of the state is older or newer than this version.
    """
    from counterfoil.state import open_state
    from counterfoil.state.database import utc_now

    settings = settings or load_settings()
    return App(settings, open_state(settings, clock=clock or utc_now))
