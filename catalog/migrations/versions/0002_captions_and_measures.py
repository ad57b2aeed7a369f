"""Captions and measured series by film, and what the prompt policy did for each scene."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

SHA256 = sa.String(64)
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "measure",
        sa.Column("film_id", SHA256, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("series_sha256", SHA256, nullable=False),
        sa.Column("measured_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name=op.f("fk_measure_film_id_film")),
        sa.PrimaryKeyConstraint("film_id", "kind", "algorithm", name=op.f("pk_measure")),
    )
    op.create_table(
        "caption",
        sa.Column("film_id", SHA256, nullable=False),
        sa.Column("start_frame", sa.BigInteger(), nullable=False),
        sa.Column("end_frame", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.String(length=255), nullable=False),
        sa.Column("captioner", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.CheckConstraint(
            "start_frame >= 0 AND end_frame > start_frame", name=op.f("ck_caption_range")
        ),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name=op.f("fk_caption_film_id_film")),
        sa.PrimaryKeyConstraint(
            "film_id", "start_frame", "end_frame", "revision", name=op.f("pk_caption")
        ),
    )
    with op.batch_alter_table("restoration_scene") as scene:
        scene.add_column(sa.Column("marks", sa.JSON(), nullable=False, server_default="[]"))
        scene.add_column(sa.Column("prompt_record", sa.JSON(), nullable=True))
