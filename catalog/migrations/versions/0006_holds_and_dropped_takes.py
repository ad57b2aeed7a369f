"""A hold on a film, and takes whose files were dropped on purpose."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("film", sa.Column("hold", sa.Text(), server_default="", nullable=False))
    op.add_column("take", sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True))
