"""Masters as the catalog knows them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.models import MasterRow, MasterState, MasterTakeRow, RestorationState
from catalog.restorations import lock_restoration, selected_takes
from catalog.turns import work_is_open

__all__ = ["current_master", "master_stands", "snapshot_of"]


def current_master(session: Session, restoration_id: str) -> MasterRow | None:
    """Return the newest master of a restoration if it was made of the takes that are selected now."""
    row = session.scalars(
        select(MasterRow)
        .where(MasterRow.restoration_id == restoration_id, MasterRow.state == MasterState.OK)
        .order_by(MasterRow.made_at.desc(), MasterRow.id)
        .limit(1)
    ).first()
    if row is None:
        return None
    takes = selected_takes(session, restoration_id)
    now = {number: take.sha256 for number, take in takes.items()}
    return row if snapshot_of(session, row.id) == now else None


def master_stands(session: Session, restoration_id: str) -> None:
    """Record that a restoration is done: its newest master was made of the takes that are selected.

    So it is again where a person went back to them, or another take turned out to be the same bytes.
    """
    restoration = lock_restoration(session, restoration_id)
    if not work_is_open(session, restoration_id) and current_master(session, restoration_id):
        restoration.state = RestorationState.DONE
        session.flush()


def snapshot_of(session: Session, master_id: str) -> dict[int, str]:
    """Return the sha256 of the take that stood for each scene in a master."""
    rows = session.execute(
        select(MasterTakeRow.scene_number, MasterTakeRow.sha256).where(
            MasterTakeRow.master_id == master_id
        )
    )
    return {number: sha256 for number, sha256 in rows}
