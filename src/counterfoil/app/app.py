"""The data center: settings and state, opened once, and the calls on what is in it."""

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
    """Accounts, datasets and runs of one state. Closes with `with`, or with `close`; safe to share between threads."""

    def __init__(self, settings: Settings, state: State) -> None:
        from counterfoil.state.vault import Vault

        self.settings = settings
        self.state = state
        self.vault = Vault(settings)

    def __repr__(self) -> str:
        return f"App({self.state!r})"

    @cached_property
    def records(self) -> RunContext:
        """What is remembered, as the steps of runs take it."""
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
        """Saved keys of Stripe."""
        from counterfoil.app.accounts import AccountService

        return AccountService(self.state, self.vault)

    @cached_property
    def datasets(self) -> DatasetService:
        """What is read with them, where to and when."""
        from counterfoil.app.datasets.service import DatasetService

        return DatasetService(self.state, self.vault)

    @cached_property
    def config(self) -> ConfigService:
        """Both of them as a file."""
        from counterfoil.app.config.service import ConfigService

        return ConfigService(self.state, self.accounts, self.datasets)

    @cached_property
    def runs(self) -> RunService:
        """Datasets run, watched, canceled and gone back to."""
        from counterfoil.app.runs import RunService

        return RunService(self.state, self.records)

    @cached_property
    def proofs(self) -> ProofService:
        """What is checked of datasets."""
        from counterfoil.app.proofs import ProofService

        return ProofService(self.records)

    @cached_property
    def tables(self) -> TableService:
        """What is in the tables of datasets."""
        from counterfoil.app.tables import TableService

        return TableService(self.records)

    @cached_property
    def alerts(self) -> AlertService:
        """Who is told of what happens."""
        from counterfoil.app.alerts import AlertService

        return AlertService(self.records.alerts)

    @cached_property
    def metrics(self) -> MetricService:
        """How all of it fares, for Prometheus."""
        from counterfoil.app.metrics import MetricService

        return MetricService(self.datasets, self.records)

    @cached_property
    def questions(self) -> SavedQueryService:
        """What is asked again and again."""
        from counterfoil.app.saved_queries import SavedQueryService

        return SavedQueryService(self.state)

    @cached_property
    def sessions(self) -> SessionService:
        """Who is signed in to the page."""
        from counterfoil.app.sessions import SessionService

        return SessionService(self.state)

    @cached_property
    def tokens(self) -> TokenService:
        """With which other programs come in."""
        from counterfoil.app.tokens import TokenService

        return TokenService(self.state)

    def fill(self, dataset: str, to: str, *, wait: bool = True, look: Look | None = None) -> Run:
        """Makes a dataset's table in a destination anew from what is kept; one that is new becomes the dataset's.

        RunError when the dataset has not run yet, or what it takes is kept no longer; then nothing is changed.
        """
        self.runs.kept(dataset)
        urls = [target.url for target in self.datasets.get(dataset).targets]
        if to not in urls:
            self.datasets.edit(dataset, to=[*urls, to])
        return self.runs.fill(dataset, to, wait=wait, look=look)

    def close(self) -> None:
        """Gives the state back."""
        self.state.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_app(settings: Settings | None = None, *, clock: Clock | None = None) -> App:
    """The data center of these settings, or of the environment's; its state is made when there is none.

    SettingsError says what to do about a state that is older or newer than this program.
    """
    from counterfoil.state import open_state
    from counterfoil.state.database import utc_now

    settings = settings or load_settings()
    return App(settings, open_state(settings, clock=clock or utc_now))
