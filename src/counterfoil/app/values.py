"""Types of the values that the services return, for annotations."""

from counterfoil.app.datasets.service import DatasetSummary, PlannedDataset
from counterfoil.app.datasets.usage_forecast import UsageForecast
from counterfoil.app.runs import RunDetail
from counterfoil.proof.statement import Statement
from counterfoil.runs.preview import Preview
from counterfoil.runs.progress import Progress
from counterfoil.schedules import Schedule
from counterfoil.state.accounts import Account
from counterfoil.state.alert import Alert, Kind
from counterfoil.state.check import StoredCheck
from counterfoil.state.dataset import Choice, Dataset, Merge, Partition, Pause, Retry, Target
from counterfoil.state.run import Attempt, Counts, Line, LoadRecord, Run, Status

__all__ = [
    "Account",
    "Alert",
    "Attempt",
    "Choice",
    "Counts",
    "Dataset",
    "DatasetSummary",
    "Kind",
    "Line",
    "LoadRecord",
    "Merge",
    "Partition",
    "Pause",
    "PlannedDataset",
    "Preview",
    "Progress",
    "Retry",
    "Run",
    "RunDetail",
    "Schedule",
    "Statement",
    "Status",
    "StoredCheck",
    "Target",
    "UsageForecast",
]
