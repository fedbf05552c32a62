"""The data center: settings and state, opened once, and the calls on what is in it."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from counterfoil.settings import Settings, load_settings

if TYPE_CHECKING:
    from counterfoil.app.accounts import AccountCalls
    from counterfoil.app.alerts import AlertCalls
    from counterfoil.app.config.service import ConfigCalls
    from counterfoil.app.datasets.service import DatasetCalls
    from counterfoil.app.metrics import MetricCalls
    from counterfoil.app.proofs import ProofCalls
    from counterfoil.app.runs import Look, RunCalls
    from counterfoil.app.saved_queries import QuestionCalls
    from counterfoil.app.sessions import SessionCalls
    from counterfoil.app.tables import TableCalls
    from counterfoil.app.tokens import TokenCalls
    from counterfoil.runs.run_context import Records
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
    def records(self) -> Records:
        """What is remembered, as the steps of runs take it."""
        from counterfoil.runs.run_context import Records
        from counterfoil.state.accounts import Accounts
        from counterfoil.state.alerts import Alerts
        from counterfoil.state.checks import Checks
        from counterfoil.state.datasets import Datasets
        from counterfoil.state.hash_keys import HashKeys
        from counterfoil.state.runs import Runs

        return Records(
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
    def accounts(self) -> AccountCalls:
        """Saved keys of Stripe."""
        from counterfoil.app.accounts import AccountCalls

        return AccountCalls(self.state, self.vault)

    @cached_property
    def datasets(self) -> DatasetCalls:
        """What is read with them, where to and when."""
        from counterfoil.app.datasets.service import DatasetCalls

        return DatasetCalls(self.state, self.vault)

    @cached_property
    def config(self) -> ConfigCalls:
        """Both of them as a file."""
        from counterfoil.app.config.service import ConfigCalls

        return ConfigCalls(self.state, self.accounts, self.datasets)

    @cached_property
    def runs(self) -> RunCalls:
        """Datasets run, watched, canceled and gone back to."""
        from counterfoil.app.runs import RunCalls

        return RunCalls(self.state, self.records)

    @cached_property
    def proofs(self) -> ProofCalls:
        """What is checked of datasets."""
        from counterfoil.app.proofs import ProofCalls

        return ProofCalls(self.records)

    @cached_property
    def tables(self) -> TableCalls:
        """What is in the tables of datasets."""
        from counterfoil.app.tables import TableCalls

        return TableCalls(self.records)

    @cached_property
    def alerts(self) -> AlertCalls:
        """Who is told of what happens."""
        from counterfoil.app.alerts import AlertCalls

        return AlertCalls(self.records.alerts)

    @cached_property
    def metrics(self) -> MetricCalls:
        """How all of it fares, for Prometheus."""
        from counterfoil.app.metrics import MetricCalls

        return MetricCalls(self.datasets, self.records)

    @cached_property
    def questions(self) -> QuestionCalls:
        """What is asked again and again."""
        from counterfoil.app.saved_queries import QuestionCalls

        return QuestionCalls(self.state)

    @cached_property
    def sessions(self) -> SessionCalls:
        """Who is signed in to the page."""
        from counterfoil.app.sessions import SessionCalls

        return SessionCalls(self.state)

    @cached_property
    def tokens(self) -> TokenCalls:
        """With which other programs come in."""
        from counterfoil.app.tokens import TokenCalls

        return TokenCalls(self.state)

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_app(settings: Settings | None = None, *, clock: Clock | None = None) -> App:
    """The data center of these settings, or of the environment's; its state is made when there is none.

    SettingsError says what to do about a state that is older or newer than this program.
    """
    from counterfoil.state import open_state
    from counterfoil.state.database import utc_now

    settings = settings or load_settings()
    return App(settings, open_state(settings, clock=clock or utc_now))
