"""Decisions: what each writes, and that of two people at one scene neither overwrites the other."""

import re
import threading
from html import unescape

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from catalog.closeup import scene_sheet
from catalog.decisions import PRIORITY, accept, ask_again, reject, seen_of
from catalog.events import events_of, film_stream, restoration_stream, verify_chain
from catalog.models import JobKind, JobRow, JobState, RestorationRow, RestorationState
from catalog.redo import Wish
from catalog.restorations import restoration_scene, selected_takes
from catalog.shots import edit_shot_list, latest_shot_list, scenes_of, undo_edit
from restar.errors import OutdatedError, UsageError
from restar.film import Scene
from tasks.house import House


def seen_on(client: TestClient, rid: str, number: int) -> dict[str, str]:
    """What the first form of a scene's page carries."""
    text = client.get(f"/r/{rid}/scene/{number}").text
    found = re.findall(r'name="(take|seen)" value="([^"]+)"', text)
    fields = dict(reversed(found))  # the first of each
    return {name: unescape(value) for name, value in fields.items()}


def decided(house: House, rid: str) -> list[dict[str, object]]:
    with house.catalog.read() as session:
        film = session.get_one(RestorationRow, rid).film_id
        for stream in (film_stream(film), restoration_stream(rid)):
            verify_chain(session, stream)
        return [
            {**event["detail"], "agent": event["agent"]}
            for event in events_of(session, film)
            if event["type"] == "appraisal"
        ]


def test_a_person_accepts_under_their_name(client: TestClient, house: House, rid: str) -> None:
    client.post("/me", data={"name": "Anna Ö."})
    fields = seen_on(client, rid, 1)
    answer = client.post(f"/r/{rid}/scene/1/accept", data={**fields, "reason": "fine <i>grain"})
    assert answer.status_code == 200
    assert "chosen by Anna Ö." in answer.text
    assert "fine &lt;i&gt;grain" in answer.text
    (event,) = decided(house, rid)
    assert (event["agent"], event["decision"], event["scene"]) == ("Anna Ö.", "accept", 1)
    assert "To decide 2" in client.get(f"/r/{rid}/").text
    with house.catalog.read() as session:  # the master of just these takes stands
        assert session.scalars(select(JobRow).where(JobRow.state == JobState.QUEUED)).all() == []


def test_a_rejected_take_waits_for_a_person_and_no_rule_takes_it_again(
    client: TestClient, house: House, rid: str
) -> None:
    fields = seen_on(client, rid, 2)
    assert (
        client.post(f"/r/{rid}/scene/2/reject", data=fields).status_code == 404
    )  # without a reason
    assert decided(house, rid) == []
    answer = client.post(f"/r/{rid}/scene/2/reject", data={**fields, "reason": "smeared"})
    assert "rejected" in answer.text
    with house.catalog.begin() as session:
        assert 2 not in selected_takes(session, rid)
        assert session.get_one(RestorationRow, rid).state is RestorationState.OPEN
        scene = restoration_scene(session, rid, 2)
        from catalog.restorations import want
        from restar.spec import Spec

        spec = Spec.from_json(scene.wanted_spec or {})
        want(session, rid, 2, spec, scene.wanted_take_key or "")  # as every later run does
        assert 2 not in selected_takes(session, rid)
    again = {**seen_on(client, rid, 2), "take": fields["take"]}
    client.post(f"/r/{rid}/scene/2/accept", data=again)
    with house.catalog.read() as session:
        assert 2 in selected_takes(session, rid)
    assert [one["decision"] for one in decided(house, rid)] == ["reject", "accept"]


def test_what_was_seen_has_to_be_so_still(client: TestClient, house: House, rid: str) -> None:
    mine, theirs = seen_on(client, rid, 1), seen_on(client, rid, 1)
    client.post(f"/r/{rid}/scene/1/reject", data={**theirs, "reason": "halos"})
    for what in ("accept", "reject", "redo"):
        answer = client.post(f"/r/{rid}/scene/1/{what}", data={**mine, "reason": "mine"})
        assert answer.status_code == 409, what
        assert "Nothing of yours was written" in answer.text
        assert "halos" in answer.text  # who did what meanwhile
    assert [one["decision"] for one in decided(house, rid)] == ["reject"]
    assert client.post(f"/r/{rid}/scene/1/accept", data={"take": mine["take"]}).status_code == 404


def test_of_many_at_once_one_decides(house: House, rid: str) -> None:
    with house.catalog.read() as session:
        sheet = scene_sheet(session, rid, 3)
        seen, take = seen_of(session, rid, 3), sheet.takes[0].row.id
    results: list[str] = []
    barrier = threading.Barrier(6)

    def one(number: int) -> None:
        barrier.wait()
        try:
            with house.catalog.begin() as session:
                if number % 2:
                    accept(session, rid, 3, take, seen=seen, reviewer=f"p{number}")
                else:
                    reject(session, rid, 3, take, seen=seen, reviewer=f"p{number}", reason="no")
            results.append(f"p{number}")
        except OutdatedError:
            results.append("")

    threads = [threading.Thread(target=one, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    (winner,) = filter(None, results)
    assert [event["agent"] for event in decided(house, rid)] == [winner]


def test_another_take_is_asked_for_with_its_job_at_once(
    client: TestClient, house: House, rid: str
) -> None:
    fields = seen_on(client, rid, 1)
    answer = client.post(
        f"/r/{rid}/scene/1/redo", data={**fields, "seed": " 7 ", "was": "", "prompt": "a lake"}
    )
    assert answer.status_code == 200
    assert "caption queued" in answer.text
    with house.catalog.read() as session:
        scene = restoration_scene(session, rid, 1)
        assert scene.overrides == {"seed": 7, "prompt": "a lake"}
        (job,) = session.scalars(select(JobRow).where(JobRow.state == JobState.QUEUED)).all()
        assert (job.kind, job.scene_number, job.priority) == (JobKind.CAPTION, 1, PRIORITY)
        assert 1 not in selected_takes(session, rid)
    (event,) = decided(house, rid)
    assert (event["decision"], event["after"]) == ("redo", {"seed": 7, "prompt": "a lake"})
    wrong = client.post(f"/r/{rid}/scene/1/redo", data={**seen_on(client, rid, 1), "seed": "x"})
    assert wrong.status_code == 404


def test_a_wish_and_its_job_are_one_transaction(house: House, rid: str) -> None:
    with house.catalog.read() as session:
        seen = seen_of(session, rid, 2)
    with pytest.raises(ZeroDivisionError), house.catalog.begin() as session:
        ask_again(session, rid, 2, Wish(seed=9), seen=seen, reviewer="anna")
        raise ZeroDivisionError
    with house.catalog.read() as session:
        assert seen_of(session, rid, 2) == seen
        assert session.scalars(select(JobRow).where(JobRow.state == JobState.QUEUED)).all() == []


def test_a_take_of_another_scene_or_size_is_not_taken(house: House, rid: str) -> None:
    with house.catalog.read() as session:
        takes, seen = scene_sheet(session, rid, 1).takes, seen_of(session, rid, 1)
        other = scene_sheet(session, rid, 2).takes[0].row.id
    with pytest.raises(UsageError, match="not one of scene 1"), house.catalog.begin() as session:
        accept(session, rid, 1, other, seen=seen, reviewer="anna")
    smaller = next(take.row.id for take in takes if not take.fits)
    with pytest.raises(UsageError, match="another size"), house.catalog.begin() as session:
        accept(session, rid, 1, smaller, seen=seen, reviewer="anna")
    assert decided(house, rid) == []


def test_shot_lists_are_edited_and_brought_back(client: TestClient, house: House, rid: str) -> None:
    def edit(do: str, what: str, version: int, status: int = 200) -> str:
        fields = {"do": do, "what": what, "version": str(version), "note": "a fade"}
        answer = client.post(f"/r/{rid}/shots", data=fields)
        assert answer.status_code == status, answer.text
        return answer.text

    def scenes() -> tuple[Scene, ...]:
        with house.catalog.read() as session:
            newest = latest_shot_list(session, session.get_one(RestorationRow, rid).film_id)
            assert newest is not None
            return scenes_of(session, newest.id)

    first = scenes()
    assert "merge 1-2" in edit("merge", "1-2", 1)
    assert [s.end for s in scenes()] == [s.end for s in first[1:]]
    edit("split", "100", 1, 409)  # seen before the merge
    edit("split", "100", 2)
    assert [s.start for s in scenes()] == [0, 100, first[2].start]
    edit("undo", "", 3)
    edit("undo", "", 4)
    assert [s.start for s in scenes()] == [0, 100, first[2].start]  # an undo is undone, too
    for do, what in (("merge", "1,3"), ("split", "0"), ("split", "999999"), ("burn", "1")):
        edit(do, what, 5, 404)
    with house.catalog.read() as session:
        film = session.get_one(RestorationRow, rid).film_id
        told = [e for e in events_of(session, film) if e["type"] == "metadata modification"]
        assert [e["detail"]["shot_list"] for e in told] == [2, 3, 4, 5]
        assert {e["agent"] for e in told} == {"tester"}
    with pytest.raises(UsageError, match="nothing to undo"), house.catalog.begin() as session:
        fresh = latest_shot_list(session, film)
        assert fresh is not None
        fresh.parent_id = None
        undo_edit(session, film, fresh.version, made_by="anna")
    with pytest.raises(OutdatedError), house.catalog.begin() as session:
        edit_shot_list(session, film, 1, lambda all_: all_, how="none", made_by="anna")
