"""The tables of the catalog, as SQLAlchemy models. docs/catalog.md draws them and says what each is for.

Rows are read by other parts after their session is closed, so nothing here loads lazily. JSON columns
hold canonical JSON as text: what is hashed must come back as it went in (PostgreSQL's jsonb rewrites
numbers). Times are UTC and by the database's clock.
"""

from catalog.base import (
    OPEN,
    Base,
    JobKind,
    JobState,
    MasterState,
    RestorationState,
    ReviewDecision,
    TakeState,
)
from catalog.models.films import CaptionRow, FilmRow, MeasureRow, SceneRow, ShotListRow
from catalog.models.restorations import (
    FLAGGED,
    EventRow,
    MemoryHintRow,
    RecipeRow,
    RestorationRow,
    RestorationSceneRow,
    ReviewRow,
    SelectionRow,
)
from catalog.models.takes import (
    EnvironmentRow,
    MasterRow,
    MasterTakeRow,
    MetricLicenceRow,
    ModelLicenceRow,
    ProxyRow,
    ScoreRow,
    TakeRow,
)
from catalog.models.work import AgentRow, JobRow, NeedRow

__all__ = [
    "FLAGGED",
    "OPEN",
    "AgentRow",
    "Base",
    "CaptionRow",
    "EnvironmentRow",
    "EventRow",
    "FilmRow",
    "JobKind",
    "JobRow",
    "JobState",
    "MasterRow",
    "MasterState",
    "MasterTakeRow",
    "MeasureRow",
    "MemoryHintRow",
    "MetricLicenceRow",
    "ModelLicenceRow",
    "NeedRow",
    "ProxyRow",
    "RecipeRow",
    "RestorationRow",
    "RestorationSceneRow",
    "RestorationState",
    "ReviewDecision",
    "ReviewRow",
    "SceneRow",
    "ScoreRow",
    "SelectionRow",
    "ShotListRow",
    "TakeRow",
    "TakeState",
]
