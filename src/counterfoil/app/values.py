"""The values that the calls give back, for whoever names them in annotations."""

from counterfoil.app.datasets.service import Planned, Shown
from counterfoil.app.datasets.usage_forecast import Outlook
from counterfoil.app.runs import Told
from counterfoil.proof.statement import Statement
from counterfoil.runs.preview import Preview
from counterfoil.runs.progress import Progress
from counterfoil.schedules import Schedule
from counterfoil.state.accounts import Account
from counterfoil.state.alert import Alert, Kind
from counterfoil.state.check import KeptCheck
from counterfoil.state.dataset import Choice, Dataset, Merge, Partition, Pause, Retry, Target
from counterfoil.state.run import Attempt, Counts, Line, LoadRecord, Run, Status

__all__ = [
    "Account",
    "Alert",
    "Attempt",
    "Choice",
    "Counts",
    "Dataset",
    "KeptCheck",
    "Kind",
    "Line",
    "LoadRecord",
    "Merge",
    "Outlook",
    "Partition",
    "Pause",
    "Planned",
    "Preview",
    "Progress",
    "Retry",
    "Run",
    "Schedule",
    "Shown",
    "Statement",
    "Status",
    "Target",
    "Told",
]
