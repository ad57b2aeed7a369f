"""Status: the figures that people and scripts read while a run goes on."""

import json

from catalog import Catalog
from catalog.agents import (
    record_environment,
    record_metric_licence,
    record_model_licence,
)
from catalog.claims import claim
from catalog.commits import NewScore, commit_scores
from catalog.jobs import NewJob, dedupe_key, enqueue, fail
from catalog.models import EnvironmentRow, JobKind, MetricLicenceRow, ModelLicenceRow
from catalog.status import scene_table, status
from tests.catalog.rows import (
    ALL_KINDS,
    SCENES,
    add_agent,
    add_film,
    add_restoration,
    claimed,
    digest,
    finished,
    key_of,
    recipe,
    restore,
    want_all,
)

NO_JOBS = {"queued": 0, "leased": 0, "done": 0, "failed": 0, "cancelled": 0}


def test_an_empty_catalog_has_no_films(catalog: Catalog) -> None:
    with catalog.read() as session:
        assert status(session) == {"films": []}


def test_the_figures_of_a_film_are_sums_over_its_restorations(catalog: Catalog) -> None:
    with catalog.begin() as session:
        first = finished(session)
        second = add_restoration(session, by=recipe("other", shade=1))
        bare = add_film(session, "b.mkv")
    with catalog.begin() as session:
        third = add_restoration(session, "c.mkv")
        want_all(session, third)
        restore(session, third)
        claimed(session)
    with catalog.read() as session:
        found = status(session)
        assert found == json.loads(json.dumps(found))
        films = {film["film"]: film for film in found["films"]}
        assert films[first.film_id] == {
            "film": first.film_id,
            "scenes": 6,
            "takes_done": 3,
            "jobs": {**NO_JOBS, "done": 4},
            "flags": 0,
            "masters": ["/out/a.mkv"],
            "restorations": [
                {
                    "id": first.id,
                    "recipe": "test",
                    "scenes": 3,
                    "takes_done": 3,
                    "masters": ["/out/a.mkv"],
                },
                {"id": second.id, "recipe": "other", "scenes": 3, "takes_done": 0, "masters": []},
            ],
        }
        assert films[bare.id] == {
            "film": bare.id,
            "scenes": 0,
            "takes_done": 0,
            "jobs": NO_JOBS,
            "flags": 0,
            "masters": [],
            "restorations": [],
        }
        assert films[third.film_id]["takes_done"] == 1
        assert films[third.film_id]["jobs"] == {**NO_JOBS, "done": 1, "leased": 1, "queued": 1}
        assert status(session, bare.id)["films"] == [films[bare.id]]


def test_status_answers_while_a_run_writes(catalog: Catalog) -> None:
    with catalog.begin() as writer:
        finished(writer)
        with catalog.read() as session:
            assert status(session) == {"films": []}


def test_flagged_scenes_are_counted_and_shown_with_their_scores(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        take = restore(session, restoration)
        fail(session, claimed(session), "no memory", final=True)
        restore(session, restoration)
        key = dedupe_key(JobKind.SCORE, restoration.id, take.take_key)
        enqueue(session, NewJob(JobKind.SCORE, key, restoration.id, scene_number=1))
        scores = [
            NewScore("psnr-to-source", {"mean": 20.5}),
            NewScore("sharpness", {"mean": 0.5}, algorithm=2),
        ]
        flags = ["psnr-to-source", "sharpness"]
        commit_scores(session, claimed(session), take.take_key, scores, flags=flags)
    with catalog.read() as session:
        film = status(session)["films"][0]
        assert (film["flags"], film["takes_done"], film["jobs"]["failed"]) == (1, 2, 1)
        table = scene_table(session, restoration.id)
    assert [line["scene"] for line in table] == [1, 2, 3]
    assert table[0]["scores"] == {"psnr-to-source": {"mean": 20.5}, "sharpness": {"mean": 0.5}}
    assert table[0]["flags"] == flags
    assert [line["error"] for line in table] == [None, "no memory", None]
    assert [line["take_key"] for line in table] == [
        key_of(restoration, SCENES[0]),
        None,
        key_of(restoration, SCENES[2]),
    ]


def test_a_job_that_waits_is_still_counted(catalog: Catalog) -> None:
    with catalog.begin() as session:
        restoration = add_restoration(session)
        want_all(session, restoration)
        for _ in range(2):
            claim(session, add_agent(session), ALL_KINDS, -1)
    with catalog.read() as session:
        assert status(session)["films"][0]["jobs"] == {**NO_JOBS, "leased": 2, "queued": 1}


def test_environments_and_licences_are_kept_once(catalog: Catalog) -> None:
    with catalog.begin() as session:
        first = record_environment(session, {"torch": "2.14", "python": "3.11"})
        assert record_environment(session, {"python": "3.11", "torch": "2.14"}) == first
        assert session.get_one(EnvironmentRow, first).content["torch"] == "2.14"
        for licence in ("unknown", "MIT"):
            record_model_licence(
                session,
                model_sha256=digest("weights"),
                name="STAR",
                licence=licence,
                commercial_use=licence == "MIT",
            )
            record_metric_licence(
                session, metric="sharpness", licence=licence, commercial_use=False
            )
    with catalog.read() as session:
        model = session.get_one(ModelLicenceRow, digest("weights"))
        assert (model.licence, model.commercial_use) == ("MIT", True)
        assert session.get_one(MetricLicenceRow, "sharpness").licence == "MIT"
