"""Datasets: storage, ownership of tables, pauses, dependencies and due times."""

from __future__ import annotations

import pytest

from counterfoil.destinations.kinds import target_key
from counterfoil.errors import INVALID_TABLE, NameTaken, RunError, SettingsError
from counterfoil.schedules import Every, Manual, next_after, parse
from counterfoil.settings import Settings
from counterfoil.state import State
from counterfoil.state.accounts import Account, Accounts
from counterfoil.state.datasets import Choice, Dataset, Datasets, Partition, Pause, Retry, Target
from counterfoil.state.runs import Runs
from counterfoil.state.tables import datasets as table
from tests.state.conftest import KEY, MakeDataset, StandingClock

HOURLY = Every(1, "hours")


def test_added_dataset_is_returned_unchanged(
    make_dataset: MakeDataset, datasets: Datasets, account: Account, clock: StandingClock
) -> None:
    targets = (
        Target(url="duckdb:///a.duckdb", table="charges"),
        Target(url="parquet:///lake", table="charges"),
        Target(url="duckdb:///a.duckdb", table="copy"),
    )
    first = make_dataset("First")
    made = datasets.add(
        " Charges of Berlin ",
        account="Shop",
        report="Charges",
        targets=targets,
        method="partition",
        description="for accounting",
        choice=Choice(options={"customer": "cus_1"}, promoted=("order",), left_out=("receipt_url",)),
        partition=Partition(unit="week", last=2),
        schedule=parse("weekdays at 07:30", "Europe/Berlin"),
        after="First",
        retry=Retry(attempts=5, manual=True),
        deadline_minutes=90,
    )
    assert made == datasets.get("Charges of Berlin") == datasets.get(made.id)
    assert datasets.list() == (made, first)
    assert made.id.startswith("ds_")
    assert (made.name, made.report, made.account, made.after) == ("Charges of Berlin", "charges", account.id, first.id)
    assert made.targets == targets
    assert made.choice.promoted == ("order",)
    assert made.partition == Partition(unit="week", last=2)
    assert made.schedule == parse("weekdays at 07:30", "Europe/Berlin")
    assert made.next_due_at == next_after(made.schedule, clock())
    assert (made.retry, made.deadline_minutes) == (Retry(attempts=5, manual=True), 90)
    assert (made.pause, made.bookmark, made.failures) == (None, None, 0)
    assert made.created_at == made.updated_at == clock()


def test_dataset_without_schedule_is_never_due(dataset: Dataset, datasets: Datasets, clock: StandingClock) -> None:
    assert dataset.schedule == Manual()
    assert dataset.next_due_at is None
    assert datasets.claim_due(clock.advance(days=1_000)) == ()


def test_edit_changes_only_given_fields(make_dataset: MakeDataset, datasets: Datasets, clock: StandingClock) -> None:
    made = make_dataset(schedule=HOURLY)
    datasets.set_bookmark(made.id, {"as_of": 5})
    clock.advance(hours=5)
    edited = datasets.edit("Charges", name="Money in", description="new", retry=Retry(on=False))
    assert (edited.name, edited.description, edited.retry.on) == ("Money in", "new", False)
    assert (edited.created_at, edited.updated_at) == (made.created_at, clock())
    assert edited.bookmark == {"as_of": 5}
    assert (edited.next_due_at, edited.targets) == (made.next_due_at, made.targets)


def test_new_schedule_counts_from_now(make_dataset: MakeDataset, datasets: Datasets, clock: StandingClock) -> None:
    make_dataset(schedule=HOURLY)
    clock.advance(hours=5)
    daily = parse("daily at 06:00", "UTC")
    assert datasets.edit("Charges", schedule=daily).next_due_at == next_after(daily, clock())
    assert datasets.edit("Charges", schedule=Manual()).next_due_at is None


def test_new_method_clears_partition(make_dataset: MakeDataset, datasets: Datasets) -> None:
    make_dataset(method="partition", partition=Partition(unit="day", last=3))
    assert datasets.edit("Charges", method="replace").partition is None


def test_duplicate_name_is_rejected(make_dataset: MakeDataset, datasets: Datasets) -> None:
    make_dataset("Charges")
    make_dataset("Other")
    with pytest.raises(NameTaken, match="dataset 'Charges'"):
        make_dataset("Charges", targets=(Target(url="duckdb:///b.duckdb", table="t"),))
    with pytest.raises(NameTaken, match="dataset 'Charges'"):
        datasets.edit("Other", name="Charges")


def test_unknown_dataset_suggests_nearest_name(dataset: Dataset, datasets: Datasets) -> None:
    with pytest.raises(SettingsError, match="'charge'") as caught:
        datasets.get("charge")
    assert caught.value.code == "dataset_not_found"
    assert "'Charges'" in (caught.value.hint or "")


def test_table_of_another_dataset_is_rejected_in_every_spelling(
    make_dataset: MakeDataset, datasets: Datasets, settings: Settings
) -> None:
    owner = make_dataset("Owner", targets=(Target(url="duckdb:///data/stripe.duckdb", table="charges"),))
    make_dataset("Other")
    for url in (
        "duckdb:///data/stripe.duckdb",
        "duckdb:///./data/../data/stripe.duckdb",
        f"duckdb:///{settings.home}/data/stripe.duckdb",
    ):
        taken = Target(url=url, table="CHARGES")
        assert datasets.owner_of(taken) == owner
        with pytest.raises(SettingsError, match="'Owner'") as added:
            make_dataset("Third", targets=(taken,))
        with pytest.raises(SettingsError, match="'Owner'") as edited:
            datasets.edit("Other", targets=(taken,))
        assert added.value.code == edited.value.code == INVALID_TABLE
    assert datasets.owner_of(Target(url="duckdb:///data/stripe.duckdb", table="refunds")) is None
    assert [target.table for target in datasets.get("Other").targets] == ["other"]
    assert datasets.edit("Owner", targets=owner.targets) == owner


@pytest.mark.parametrize("url", ["domo://me:hunter2@api.domo.com", "domo://me@api.domo.com?secret=hunter2"])
def test_destination_with_secret_is_rejected(make_dataset: MakeDataset, url: str) -> None:
    with pytest.raises(SettingsError, match="password") as caught:
        make_dataset("Cards", targets=(Target(url=url, table="charges"),))
    assert "?secret=env:NAME" in (caught.value.hint or "")
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_table_is_available_after_removal_of_its_dataset(make_dataset: MakeDataset, datasets: Datasets) -> None:
    owner = make_dataset("Owner")
    datasets.remove("Owner")
    assert make_dataset("Successor", targets=owner.targets).targets == owner.targets


def test_target_key_is_canonical_and_has_no_password(settings: Settings) -> None:
    one = target_key("postgresql://a:secret@DB.example:5432/x", "T", home=settings.home)
    assert one == target_key("postgres://b@db.example/x/", "t", home=settings.home)
    assert "secret" not in one
    assert one != target_key("postgresql://a@db.example/y", "t", home=settings.home)
    assert one == target_key("postgresql://db.example/x?sslmode=require&schema=public", "t", home=settings.home)
    assert one != target_key("postgresql://db.example/x?schema=other", "t", home=settings.home)
    domo = target_key("domo://me@API.domo.com?secret=env:X&prefix=Stripe%20", "T", home=settings.home)
    assert domo == target_key("domo://me@api.domo.com?prefix=stripe+", "t", home=settings.home)
    assert domo == target_key("domo://me@api.domo.com", "stripe t", home=settings.home)
    assert domo != target_key("domo://other@api.domo.com?prefix=stripe+", "t", home=settings.home)
    warehouse = target_key("dlt+snowflake://me@acme/books?dataset=stripe&warehouse=w", "T", home=settings.home)
    assert warehouse == target_key("dlt+snowflake://you@acme/books", "t", home=settings.home)
    assert warehouse != target_key("dlt+snowflake://me@acme/books?dataset=other", "t", home=settings.home)
    assert target_key("dlt+duckdb:///x.duckdb", "t", home=settings.home) == target_key(
        f"dlt+duckdb:///{settings.home}/x.duckdb?dataset=stripe", "t", home=settings.home
    )
    copied, months = "duckdb:///x.duckdb?publish=/y.duckdb", "parquet:///x?partition=month"
    assert target_key(copied, "t", home=settings.home) == target_key("duckdb:///x.duckdb", "t", home=settings.home)
    assert target_key(months, "t", home=settings.home) == target_key("parquet:///x", "t", home=settings.home)
    sockets = [target_key(f"postgresql:///x?host=/run/{name}", "t", home=settings.home) for name in ("a", "b")]
    assert sockets[0] != sockets[1]


def test_pause_clears_due_time_and_resume_counts_from_now(
    make_dataset: MakeDataset, datasets: Datasets, clock: StandingClock
) -> None:
    made = make_dataset(schedule=HOURLY)
    paused = datasets.pause("Charges", f"Stripe rejected {KEY}.", "Replace the key.")
    assert paused.pause == Pause(
        reason="Stripe rejected sk_test_….", action="Replace the key.", at=clock(), code="manual"
    )
    assert paused.next_due_at is None
    assert datasets.claim_due(clock.advance(days=3)) == ()
    assert datasets.pause("Charges", "another reason").pause == paused.pause
    resumed = datasets.resume("Charges")
    assert (resumed.pause, resumed.failures) == (None, 0)
    assert resumed.next_due_at == next_after(HOURLY, clock())
    assert made.next_due_at != resumed.next_due_at


def test_new_schedule_does_not_resume_paused_dataset(make_dataset: MakeDataset, datasets: Datasets) -> None:
    make_dataset()
    datasets.pause("Charges", "manual")
    assert datasets.edit("Charges", schedule=HOURLY).next_due_at is None


def test_manual_pause_has_resume_command(dataset: Dataset, datasets: Datasets) -> None:
    pause = datasets.pause("Charges", "manual").pause
    assert pause is not None
    assert pause.action == f"counterfoil datasets resume {dataset.id}"


def test_pause_account_pauses_only_its_active_datasets(
    make_dataset: MakeDataset, datasets: Datasets, accounts: Accounts, account: Account
) -> None:
    other = accounts.add("Other", key=KEY, shown="…", fingerprint="f")
    make_dataset("One", schedule=HOURLY)
    make_dataset("Two")
    make_dataset("Three", account=other.id, schedule=HOURLY)
    datasets.pause("Two", "manual")
    paused = datasets.pause_account(account.id, "The key was rejected.", "counterfoil accounts key Shop")
    assert [each.name for each in paused] == ["One"]
    reasons = [each.pause and each.pause.reason for each in datasets.list()]
    assert reasons == ["The key was rejected.", None, "manual"]


def test_circular_order_of_datasets_is_rejected(make_dataset: MakeDataset, datasets: Datasets) -> None:
    make_dataset("A")
    make_dataset("B", after="A")
    make_dataset("C", after="B")
    assert [each.name for each in datasets.followers("A")] == ["B"]
    for name in ("A", "B", "C"):
        with pytest.raises(SettingsError, match=f"'{name}'") as caught:
            datasets.edit("A", after=name)
        assert caught.value.code == "circular_order"
    assert datasets.edit("B", after=None).after is None
    assert datasets.edit("A", after="C").after == datasets.get("C").id


def test_dataset_with_follower_is_removed_only_with_it(make_dataset: MakeDataset, datasets: Datasets) -> None:
    make_dataset("A")
    make_dataset("B", after="A")
    with pytest.raises(SettingsError, match=r"'B'.*'A'"):
        datasets.remove("A")
    datasets.remove("A", "B")
    assert datasets.list() == ()


def test_dataset_with_active_run_is_not_removed(dataset: Dataset, datasets: Datasets, runs: Runs) -> None:
    run = runs.create(dataset.id, "manual")
    with pytest.raises(RunError, match=run.id) as caught:
        datasets.remove("Charges")
    assert f"counterfoil runs cancel {run.id}" in (caught.value.hint or "")
    runs.request_cancel(run.id)
    datasets.remove("Charges")
    assert runs.list() == ()


def test_bookmark_is_stored_and_cleared(dataset: Dataset, datasets: Datasets) -> None:
    assert datasets.set_bookmark("Charges", {"as_of": 1, "ids": ["a"]}).bookmark == {"as_of": 1, "ids": ["a"]}
    assert datasets.set_bookmark("Charges", None).bookmark is None


def test_due_dataset_is_claimed_once_and_missed_times_are_skipped(
    make_dataset: MakeDataset, datasets: Datasets, clock: StandingClock
) -> None:
    made = make_dataset(schedule=HOURLY)
    due = made.next_due_at
    assert due is not None
    assert datasets.claim_due(clock()) == ()
    clock.advance(hours=7, minutes=20)
    ((claimed, at),) = datasets.claim_due(clock())
    assert (claimed.id, at) == (made.id, due)
    assert claimed.next_due_at == datasets.get("Charges").next_due_at == next_after(HOURLY, clock())
    assert datasets.claim_due(clock()) == ()


def test_dataset_is_due_exactly_at_its_due_time(make_dataset: MakeDataset, datasets: Datasets) -> None:
    due = make_dataset(schedule=HOURLY).next_due_at
    assert due is not None
    ((claimed, at),) = datasets.claim_due(due)
    assert at == due
    assert claimed.next_due_at == next_after(HOURLY, due)


def test_longest_due_datasets_are_claimed_first_up_to_limit(
    make_dataset: MakeDataset, datasets: Datasets, clock: StandingClock
) -> None:
    make_dataset("Later", schedule=Every(5, "hours"))
    make_dataset("Sooner", schedule=HOURLY)
    clock.advance(days=1)
    assert [each.name for each, _ in datasets.claim_due(clock(), limit=1)] == ["Sooner"]
    assert [each.name for each, _ in datasets.claim_due(clock(), limit=9)] == ["Later"]


def test_claim_and_its_run_are_one_transaction(
    make_dataset: MakeDataset, datasets: Datasets, state: State, runs: Runs, clock: StandingClock
) -> None:
    make_dataset(schedule=HOURLY)
    clock.advance(hours=2)

    def claim(*, crash: bool) -> None:
        with state.begin():
            for dataset, due_at in datasets.claim_due(clock()):
                runs.create(dataset.id, "schedule", due_at)
            if crash:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        claim(crash=True)
    assert runs.list() == ()
    claim(crash=False)
    assert len(runs.list()) == 1
    assert datasets.claim_due(clock()) == ()


def test_unknown_time_zone_pauses_only_its_dataset(
    make_dataset: MakeDataset, datasets: Datasets, state: State, clock: StandingClock
) -> None:
    broken = make_dataset("Broken", schedule=Every(1, "hours", zone="Europe/Berlin"))
    make_dataset("Valid", schedule=HOURLY)
    with state.begin() as connection:
        schedule = {**connection.execute(table.select().where(table.c.id == broken.id)).mappings().one()["schedule"]}
        values = {"schedule": schedule | {"zone": "Europe/Atlantis"}}
        connection.execute(table.update().where(table.c.id == broken.id).values(**values))
    clock.advance(hours=2)
    assert [each.name for each, _ in datasets.claim_due(clock())] == ["Valid"]
    with state.read() as connection:
        pause = connection.execute(table.select().where(table.c.id == broken.id)).mappings().one()["pause"]
    assert "Europe/Atlantis" in pause["reason"]


def test_lost_state_is_reported_if_archives_exist_without_datasets(
    datasets: Datasets, settings: Settings, make_dataset: MakeDataset
) -> None:
    (settings.archive / "pull-20270101T000000Z-abc").mkdir(parents=True)
    with pytest.raises(SettingsError) as unknown:
        datasets.get("Charges")
    assert str(settings.archive) not in unknown.value.message
    (settings.archive / "20270101T000000Z-abc123").mkdir()
    with pytest.raises(SettingsError) as lost:
        datasets.get("Charges")
    assert str(settings.archive) in lost.value.message
    make_dataset("Refunds")
    with pytest.raises(SettingsError) as other:
        datasets.get("Charges")
    assert str(settings.archive) not in other.value.message
