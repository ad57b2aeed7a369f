"""Proxies of takes and sources, and indexes by which the review room finds what is flagged."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SHA256 = sa.String(64)


def upgrade() -> None:
    op.create_table(
        "proxy",
        sa.Column("of", sa.String(length=255), nullable=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("film_id", SHA256, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("index_sha256", SHA256, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name=op.f("fk_proxy_film_id_film")),
        sa.PrimaryKeyConstraint("of", name=op.f("pk_proxy")),
    )
    op.create_index(op.f("ix_proxy_film_id"), "proxy", ["film_id"])
    op.create_index(op.f("ix_film_registered_at"), "film", ["registered_at"])
    flagged, by_person = sa.text("CAST(flags AS TEXT) != '[]'"), sa.text("rule = 'person'")
    op.create_index(
        "ix_restoration_scene_flagged",
        "restoration_scene",
        ["restoration_id", "number"],
        sqlite_where=flagged,
        postgresql_where=flagged,
    )
    op.create_index(
        "ix_selection_by_person",
        "selection",
        ["restoration_id", "scene_number"],
        sqlite_where=by_person,
        postgresql_where=by_person,
    )
