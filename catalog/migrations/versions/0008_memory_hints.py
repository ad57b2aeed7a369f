"""What ran out of memory once, for restorations that are opened later."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "memory_hint",
        sa.Column("recipe_sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.Text(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column(
            "noted_at",
            sa.DateTime(timezone=True),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("recipe_sha256", "size", name=op.f("pk_memory_hint")),
    )
