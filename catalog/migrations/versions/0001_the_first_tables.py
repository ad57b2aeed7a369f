"""The first tables: films, shot lists, restorations, takes, masters, jobs and events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SHA256 = sa.String(64)
TIME = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "agent",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.Double(), nullable=False),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("registered_at", TIME, nullable=False),
        sa.Column("last_seen", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent")),
        sa.UniqueConstraint(
            "host", "pid", "create_time", name=op.f("uq_agent_host_pid_create_time")
        ),
    )
    op.create_table(
        "environment",
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_environment")),
    )
    op.create_table(
        "film",
        sa.Column("id", SHA256, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("accession", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("reel", sa.Text(), nullable=False),
        sa.Column("generation", sa.Text(), nullable=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sa.Column("media", sa.JSON(), nullable=False),
        sa.Column("frame_index", SHA256, nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("paths", sa.JSON(), nullable=False),
        sa.Column("registered_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_film")),
    )
    op.create_index(op.f("ix_film_accession"), "film", ["accession"])

    op.create_table(
        "metric_licence",
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("commercial_use", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("metric", name=op.f("pk_metric_licence")),
    )
    op.create_table(
        "model_licence",
        sa.Column("model_sha256", SHA256, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("commercial_use", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("model_sha256", name=op.f("pk_model_licence")),
    )
    op.create_table(
        "recipe",
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("resolved", sa.JSON(), nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_recipe")),
    )
    op.create_table(
        "event",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("film_id", SHA256, nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("software", sa.Text(), nullable=False),
        sa.Column("previous", SHA256, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name=op.f("fk_event_film_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("sha256", name=op.f("uq_event_sha256")),
        sa.UniqueConstraint("stream", "number", name=op.f("uq_event_stream_number")),
    )
    op.create_index(op.f("ix_event_film_id"), "event", ["film_id"])

    op.create_table(
        "shot_list",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("film_id", SHA256, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("detector", sa.Text(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("field_handling", sa.Text(), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name=op.f("fk_shot_list_film_id")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["shot_list.id"], name=op.f("fk_shot_list_parent_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shot_list")),
        sa.UniqueConstraint("film_id", "version", name=op.f("uq_shot_list_film_id_version")),
    )
    op.create_table(
        "take",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("take_key", SHA256, nullable=False),
        sa.Column("film_id", SHA256, nullable=False),
        sa.Column("start_frame", sa.BigInteger(), nullable=False),
        sa.Column("end_frame", sa.BigInteger(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("spec_sha256", SHA256, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("checksums_sha256", SHA256, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("environment_sha256", SHA256, nullable=False),
        sa.Column("agent_id", sa.Integer(), nullable=True),
        sa.Column("state", _enum("state", "ok", "lost"), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_take_agent_id")),
        sa.ForeignKeyConstraint(
            ["environment_sha256"], ["environment.sha256"], name=op.f("fk_take_environment_sha256")
        ),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name=op.f("fk_take_film_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_take")),
        sa.UniqueConstraint("take_key", name=op.f("uq_take_take_key")),
    )
    op.create_index(op.f("ix_take_film_id"), "take", ["film_id"])
    op.create_index(op.f("ix_take_sha256"), "take", ["sha256"])

    op.create_table(
        "restoration",
        sa.Column("id", SHA256, nullable=False),
        sa.Column("film_id", SHA256, nullable=False),
        sa.Column("recipe_sha256", SHA256, nullable=False),
        sa.Column("shot_list_id", sa.Integer(), nullable=False),
        sa.Column("take_format", sa.JSON(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("state", _enum("state", "open", "done"), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name=op.f("fk_restoration_film_id")),
        sa.ForeignKeyConstraint(
            ["recipe_sha256"], ["recipe.sha256"], name=op.f("fk_restoration_recipe_sha256")
        ),
        sa.ForeignKeyConstraint(
            ["shot_list_id"], ["shot_list.id"], name=op.f("fk_restoration_shot_list_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restoration")),
        sa.UniqueConstraint(
            "film_id",
            "recipe_sha256",
            "shot_list_id",
            name=op.f("uq_restoration_film_id_recipe_sha256_shot_list_id"),
        ),
    )
    op.create_table(
        "scene",
        sa.Column("shot_list_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("start_frame", sa.BigInteger(), nullable=False),
        sa.Column("end_frame", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("number >= 1", name=op.f("ck_scene_number")),
        sa.CheckConstraint(
            "start_frame >= 0 AND end_frame > start_frame", name=op.f("ck_scene_range")
        ),
        sa.ForeignKeyConstraint(
            ["shot_list_id"], ["shot_list.id"], name=op.f("fk_scene_shot_list_id")
        ),
        sa.PrimaryKeyConstraint("shot_list_id", "number", name=op.f("pk_scene")),
    )
    op.create_table(
        "score",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("take_id", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("series_sha256", SHA256, nullable=True),
        sa.Column("licence", sa.Text(), nullable=False),
        sa.Column("scored_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["metric"], ["metric_licence.metric"], name=op.f("fk_score_metric")
        ),
        sa.ForeignKeyConstraint(["take_id"], ["take.id"], name=op.f("fk_score_take_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score")),
        sa.UniqueConstraint(
            "take_id", "metric", "algorithm", name=op.f("uq_score_take_id_metric_algorithm")
        ),
    )
    op.create_table(
        "job",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column(
            "kind",
            _enum("kind", "caption", "restore", "score", "proxy", "assemble", "fixity"),
            nullable=False,
        ),
        sa.Column(
            "state",
            _enum("state", "queued", "leased", "done", "failed", "cancelled"),
            nullable=False,
        ),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("restoration_id", SHA256, nullable=True),
        sa.Column("film_id", SHA256, nullable=True),
        sa.Column("scene_number", sa.Integer(), nullable=True),
        sa.Column("dedupe_key", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("queued_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.CheckConstraint(
            "(state = 'leased') = (lease_until IS NOT NULL)", name=op.f("ck_job_lease")
        ),
        sa.CheckConstraint(
            "(state = 'leased') = (owner_id IS NOT NULL)", name=op.f("ck_job_owner")
        ),
        sa.ForeignKeyConstraint(["film_id"], ["film.id"], name=op.f("fk_job_film_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["agent.id"], name=op.f("fk_job_owner_id")),
        sa.ForeignKeyConstraint(
            ["restoration_id"], ["restoration.id"], name=op.f("fk_job_restoration_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_job_dedupe_key")),
    )
    op.create_index(
        op.f("ix_job_restoration_id_state_phase"), "job", ["restoration_id", "state", "phase"]
    )

    op.create_table(
        "master",
        sa.Column("id", SHA256, nullable=False),
        sa.Column("restoration_id", SHA256, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("framemd5", sa.Text(), nullable=False),
        sa.Column("event_head", SHA256, nullable=False),
        sa.Column("event_count", sa.BigInteger(), nullable=False),
        sa.Column("state", _enum("state", "ok", "superseded", "lost"), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["restoration_id"], ["restoration.id"], name=op.f("fk_master_restoration_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_master")),
    )
    op.create_index(op.f("ix_master_path"), "master", ["path"])
    op.create_index(op.f("ix_master_restoration_id"), "master", ["restoration_id"])

    op.create_table(
        "restoration_scene",
        sa.Column("restoration_id", SHA256, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("start_frame", sa.BigInteger(), nullable=False),
        sa.Column("end_frame", sa.BigInteger(), nullable=False),
        sa.Column("overrides", sa.JSON(), nullable=False),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("captioner", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column("wanted_spec", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("wanted_take_key", SHA256, nullable=True),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["restoration_id"], ["restoration.id"], name=op.f("fk_restoration_scene_restoration_id")
        ),
        sa.PrimaryKeyConstraint("restoration_id", "number", name=op.f("pk_restoration_scene")),
    )
    op.create_index(
        op.f("ix_restoration_scene_wanted_take_key"), "restoration_scene", ["wanted_take_key"]
    )

    op.create_table(
        "master_take",
        sa.Column("master_id", SHA256, nullable=False),
        sa.Column("scene_number", sa.Integer(), nullable=False),
        sa.Column("start_frame", sa.BigInteger(), nullable=False),
        sa.Column("end_frame", sa.BigInteger(), nullable=False),
        sa.Column("take_id", sa.Integer(), nullable=False),
        sa.Column("take_key", SHA256, nullable=False),
        sa.Column("sha256", SHA256, nullable=False),
        sa.ForeignKeyConstraint(
            ["master_id"], ["master.id"], name=op.f("fk_master_take_master_id")
        ),
        sa.ForeignKeyConstraint(["take_id"], ["take.id"], name=op.f("fk_master_take_take_id")),
        sa.PrimaryKeyConstraint("master_id", "scene_number", name=op.f("pk_master_take")),
    )
    op.create_table(
        "review",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("restoration_id", SHA256, nullable=False),
        sa.Column("scene_number", sa.Integer(), nullable=False),
        sa.Column("take_id", sa.Integer(), nullable=False),
        sa.Column("decision", _enum("decision", "accept", "reject"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("reviewed_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["restoration_id", "scene_number"],
            ["restoration_scene.restoration_id", "restoration_scene.number"],
            name=op.f("fk_review_restoration_id_scene_number"),
        ),
        sa.ForeignKeyConstraint(["take_id"], ["take.id"], name=op.f("fk_review_take_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
    )
    op.create_index(
        op.f("ix_review_restoration_id_scene_number"), "review", ["restoration_id", "scene_number"]
    )

    op.create_table(
        "selection",
        sa.Column("restoration_id", SHA256, nullable=False),
        sa.Column("scene_number", sa.Integer(), nullable=False),
        sa.Column("take_id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("selected_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["restoration_id", "scene_number"],
            ["restoration_scene.restoration_id", "restoration_scene.number"],
            name=op.f("fk_selection_restoration_id_scene_number"),
        ),
        sa.ForeignKeyConstraint(["take_id"], ["take.id"], name=op.f("fk_selection_take_id")),
        sa.PrimaryKeyConstraint("restoration_id", "scene_number", name=op.f("pk_selection")),
    )
    op.create_index(op.f("ix_selection_take_id"), "selection", ["take_id"])
    op.create_index("ix_job_queue", "job", ["state", sa.text("priority DESC"), "phase", "id"])
    events_are_append_only()


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=16)


def events_are_append_only() -> None:
    """Let the database itself refuse to change or delete an event.

    A later migration that makes table `event` anew (batch mode on SQLite) has to do this again.
    """
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER event_no_{action.lower()} BEFORE {action} ON event "
                "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION event_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'events are append-only' "
        "USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        "CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event "
        "FOR EACH STATEMENT EXECUTE FUNCTION event_is_append_only()"
    )
