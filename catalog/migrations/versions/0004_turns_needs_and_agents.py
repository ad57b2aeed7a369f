"""The order of the queue in columns, what agents did, and the GPU's time of a take."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)
KINDS = ("caption", "restore", "score", "proxy", "assemble", "fixity")


def upgrade() -> None:
    op.create_table(
        "need",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(*KINDS, name="kind", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("gpu", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_need")),
        sa.UniqueConstraint(
            "kind", "model", "memory_bytes", "gpu", name=op.f("uq_need_kind_model_memory_bytes_gpu")
        ),
    )
    for name, kind, default in (
        ("place", sa.Text(), ""),
        ("device", sa.Text(), ""),
        ("model", sa.Text(), ""),
        ("jobs", sa.Integer(), "0"),
        ("frames", sa.BigInteger(), "0"),
        ("seconds", sa.Double(), "0"),
        ("ended", sa.Text(), ""),
    ):
        op.add_column("agent", sa.Column(name, kind, server_default=default, nullable=False))
    op.add_column("agent", sa.Column("error", sa.Text(), nullable=True))
    op.add_column("agent", sa.Column("ended_at", TIME, nullable=True))
    op.add_column("take", sa.Column("gpu_seconds", sa.Double(), server_default="0", nullable=False))
    op.add_column("job", sa.Column("error_kind", sa.Text(), server_default="", nullable=False))
    op.add_column("job", sa.Column("held", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("job", sa.Column("turn", sa.Double(), server_default="0", nullable=False))
    op.add_column("job", sa.Column("cost", sa.Double(), server_default="1", nullable=False))
    # SQLite adds a column with its reference in one step; Alembic would make the table anew for it
    op.execute(
        "ALTER TABLE job ADD COLUMN need_id INTEGER CONSTRAINT fk_job_need_id REFERENCES need (id)"
    )
    give_every_job_its_place()
    op.drop_index("ix_job_queue", "job")
    op.drop_index(op.f("ix_job_restoration_id_state_phase"), "job")
    op.create_index(
        "ix_job_queue",
        "job",
        ["state", "held", "need_id", sa.text("priority DESC"), "turn", "phase", "id"],
    )
    for columns in (
        ["state", "held", "priority", "turn"],
        ["restoration_id", "state", "held", "phase"],
        ["restoration_id", "state", "priority", "turn"],
    ):
        op.create_index(op.f("ix_job_" + "_".join(columns)), "job", columns)


def give_every_job_its_place() -> None:
    """Jobs that are queued already: one queue for each kind, in the order of their ids."""
    for kind in KINDS:
        op.execute(
            f"INSERT INTO need (kind, model, memory_bytes, gpu) SELECT '{kind}', '', 0, '' "  # noqa: S608
            f"WHERE EXISTS (SELECT 1 FROM job WHERE kind = '{kind}')"
        )
    op.execute("UPDATE job SET need_id = (SELECT id FROM need WHERE need.kind = job.kind)")
    op.execute(
        "UPDATE job SET turn = (SELECT count(*) FROM job AS before "
        "WHERE before.restoration_id = job.restoration_id AND before.state = 'queued' "
        "AND before.id < job.id) WHERE state = 'queued'"
    )
    op.execute(
        "UPDATE job SET held = (1 = 1) WHERE state = 'queued' AND EXISTS (SELECT 1 FROM job AS before "
        "WHERE before.restoration_id = job.restoration_id AND before.state IN ('queued', 'leased') "
        "AND before.kind IN ('caption', 'restore', 'score') AND before.phase < job.phase)"
    )
