"""Masters as the catalog knows them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog.models import MasterRow, MasterState, MasterTakeRow
from catalog.restorations import selected_takes

__all__ = ["current_master", "snapshot_of"]


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


def snapshot_of(session: Session, master_id: str) -> dict[int, str]:
    """Return the sha256 of the take that stood for each scene in a master."""
    rows = session.execute(
        select(MasterTakeRow.scene_number, MasterTakeRow.sha256).where(
            MasterTakeRow.master_id == master_id
        )
    )
    return {number: sha256 for number, sha256 in rows}
