"""What a restoration's steps left to `auto`, as it was answered when it was opened."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column(
        "restoration", sa.Column("settled", sa.JSON(), server_default="{}", nullable=False)
    )
