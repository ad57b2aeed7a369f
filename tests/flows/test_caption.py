"""Captions on their way through a restoration: made once, shared, edited, guarded, marked."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from sqlalchemy import delete, select

from captioners import Caption, SceneView
from captioners.vision import Vision
from catalog.models import CaptionRow, MeasureRow, RestorationSceneRow
from catalog.restorations import restoration_scenes, restorations_of
from catalog.status import scene_table
from flows.caption import Edit, caption_film
from flows.prepare import Order
from flows.restore import restore_film
from flows.score import score_named
from restar.errors import CheckpointError, PluginError, UsageError
from restar.recipe import Recipe, parse_recipe
from restar.settings import Settings
from restorers import StepContext
from restorers.identity import Identity
from tasks.house import House, open_house
from tasks.ingest import ingest
from tests.captioners.tiny_models import tiny_qwen
from tests.films import run_ffmpeg, scenes_film


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    with open_house(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen(tmp_path_factory.mktemp("models") / "qwen")


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """What `identity` was called for: the first frame of the scene and the prompt."""
    calls: list[tuple[int, str]] = []
    original = Identity.restore

    def counted(
        self: Identity, frames: Iterator[av.VideoFrame], context: StepContext
    ) -> Iterator[av.VideoFrame]:
        calls.append((context.frames.start, context.prompt))
        return original(self, frames, context)

    monkeypatch.setattr(Identity, "restore", counted)
    return calls


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the scenes that a model was shown, in order; it says what color is on top."""
    numbers: list[int] = []

    def describe(
        self: Vision, scenes: Sequence[SceneView], options: dict[str, Any]
    ) -> list[Caption]:
        numbers.extend(scene.number for scene in scenes)
        said = []
        for scene in scenes:
            assert scene.stills
            said.append(f"a horse of {round(float(np.mean(scene.stills[0])))} in Paris")
        return [Caption(text, self.revision(options)) for text in said]

    monkeypatch.setattr(Vision, "describe", describe)
    return numbers


def recipe(prompt: str = "", name: str = "mine", score: str = "scorers = []") -> Recipe:
    text = (
        f'name = "{name}"\n[[restore.steps]]\nuse = "identity"\n[score]\n{score}\n'
        f'[deliver]\naccess = "none"\nreport = false\n[prompt]\n{prompt}\n'
    )
    return parse_recipe(text.encode(), name)


def by_model(folder: Path, more: str = "") -> str:
    return (
        f'captioner = "transformers"\ntemplate = "{{caption}}"\n{more}\n'
        f'options = {{ model = "{folder}", frames = 2, words = 4, batch = 2 }}'
    )


def rows(house: House, film: Path) -> list[RestorationSceneRow]:
    film_id = ingest(house, path=film)
    with house.catalog.read() as session:
        newest = restorations_of(session, film_id)[-1]
        return restoration_scenes(session, newest.id)


def test_an_edited_prompt_makes_that_scene_and_no_other(
    house: House, scenes: Path, tmp_path: Path, restored: list[tuple[int, str]]
) -> None:
    order = Order(recipe('captioner = "facts"\ntemplate = "{caption}"'), tmp_path / "out")
    restore_film(house, scenes, order)
    assert [start for start, _ in restored] == [0, 20, 44, 66]
    assert all(prompt for _, prompt in restored)
    del restored[:]
    told = caption_film(house, scenes, numbers=[3], edit=Edit(prompt="a horse in the rain"))
    assert [(one["scene"], one["prompt"]) for one in told.scenes] == [(3, "a horse in the rain")]
    restore_film(house, scenes, order)
    assert restored == [(44, "a horse in the rain")]
    del restored[:]
    caption_film(house, scenes, numbers=[3], edit=Edit(again=True))
    restore_film(house, scenes, order)
    assert restored == [], "the first take of the scene is used again"


def test_a_corrected_caption_belongs_to_the_film_and_makes_the_prompt(
    house: House, scenes: Path, tmp_path: Path, restored: list[tuple[int, str]]
) -> None:
    mine = recipe('captioner = "facts"\ntemplate = "Seen: {caption}"')
    restore_film(house, scenes, Order(mine, tmp_path / "out"))
    del restored[:]
    caption_film(house, scenes, numbers=[1], edit=Edit(caption="a horse in Paris"))
    restore_film(house, scenes, Order(mine, tmp_path / "out"))
    assert restored == [(0, "Seen: a horse in Paris")], (
        "a person's names are that person's business"
    )
    other = recipe('captioner = "fixed"\ntext = "x"', name="other")
    told = caption_film(house, scenes, other, [1])
    assert told.scenes[0]["caption"] == "a horse in Paris"


def test_the_same_scene_and_revision_is_never_captioned_twice(
    house: House, scenes: Path, tmp_path: Path, qwen: Path, looked: list[int]
) -> None:
    mine = recipe(by_model(qwen, "guard = false"))
    restore_film(house, scenes, Order(mine, tmp_path / "out"))
    assert looked == [1, 2, 3, 4]
    caption_film(house, scenes, mine)
    restore_film(house, scenes, Order(mine, tmp_path / "out"))
    again = recipe(by_model(qwen, 'guard = false\nnegative = "x"'), name="again")
    restore_film(house, scenes, Order(again, tmp_path / "out"))
    assert looked == [1, 2, 3, 4]
    caption_film(house, scenes, mine, [2], Edit(again=True))
    assert looked == [1, 2, 3, 4, 2]
    for scene in rows(house, scenes):
        assert "Paris" in (scene.caption or "")
        assert "Paris" not in (scene.prompt or "")
        assert (scene.prompt_record or {})["left_out"] == ["Paris"]
        assert scene.captioner.startswith("transformers-1-qwen-")


def test_the_real_model_captions_a_film(
    house: House, scenes: Path, tmp_path: Path, qwen: Path, restored: list[tuple[int, str]]
) -> None:
    mine = recipe(by_model(qwen), score='scorers = ["psnr-to-source"]')
    restore_film(house, scenes, Order(mine, tmp_path / "out"))
    told = caption_film(house, scenes)
    assert [one["prompt"] for one in told.scenes] == [prompt for _, prompt in restored]
    assert all(not scene.flags for scene in rows(house, scenes)), "identity drifts nowhere"


def test_near_identical_neighbours_share_a_caption(
    house: House, tmp_path: Path, qwen: Path, looked: list[int]
) -> None:
    film = tmp_path / "still.mkv"
    run_ffmpeg(
        ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=24:d=1,loop=40:1:0,trim=end_frame=40",
         "-c:v", "ffv1", str(film)]
    )  # fmt: skip
    from tasks.shots import save_edit, shots_of, split_at

    film_id = ingest(house, path=film)
    save_edit(house, film_id, split_at(shots_of(house, film_id)[1], "10,20,30"), "split", "")
    told = caption_film(house, film, recipe(by_model(qwen)))
    assert looked == [1]
    assert len({one["caption"] for one in told.scenes}) == 1
    assert [one["shared_with"] for one in told.scenes] == [None, [0, 10], [0, 10], [0, 10]]


WAVERS = {  # what is said of the take of scene 2, of its source in other ways, and what comes of it
    "good": ("a grainy horse", [], ""),
    "drifted": ("boat", ["a horse", "horse", "a horse", "the horse"], "flag"),
    "one way says the same": ("boat", ["a horse", "horse", "a boat", "the horse"], "fine"),
    "babbles": ("boat", ["a cat", "a dog", "tree", "house"], "not applicable: the captioner"),
}


@pytest.mark.parametrize("case", WAVERS)
def test_a_take_of_another_content_is_flagged_with_both_texts_and_how_far_the_captioner_wavers(
    house: House, scenes: Path, tmp_path: Path, qwen: Path, monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:  # fmt: skip
    of_take, in_other_ways, comes = WAVERS[case]
    seen: set[int] = set()
    asked: list[int] = []

    def describe(
        self: Vision, views: Sequence[SceneView], options: dict[str, Any]
    ) -> list[Caption]:
        revision = self.revision(options)
        if [view.number for view in views] == [2, 2, 2, 2]:
            asked.append(2)
            return [Caption(text, revision) for text in in_other_ways]
        said = []
        for view in views:
            again = of_take if view.number == 2 else "a grainy horse"
            said.append(again if view.number in seen else "a horse")
            seen.add(view.number)
        return [Caption(text, revision) for text in said]

    words = ["horse", "boat", "cat", "dog", "tree", "house"]
    monkeypatch.setattr(Vision, "describe", describe)
    monkeypatch.setattr("captioners.drift.find_spec", lambda _name: None)
    monkeypatch.setattr(
        Vision, "tower",
        lambda _self, asked, _options: np.eye(6, dtype=np.float32)[[words.index(w) for w in asked]],
    )  # fmt: skip
    mine = recipe(by_model(qwen))
    restore_film(house, scenes, Order(mine, tmp_path / "out"))
    flags = {scene.number: scene.flags for scene in rows(house, scenes)}
    told = [
        (
            'caption-drift: the source shows "a horse", the take "boat" (alike by 0.00; what is said of '
            "the source by 1.00)"
        )
    ]
    assert flags == {1: [], 2: told if comes == "flag" else [], 3: [], 4: []}
    score_named(house, str(scenes), ("blank",))
    assert rows(house, scenes)[1].flags == flags[2], "another measure takes no flag away"
    summary = drift_of(house, scenes)[2]
    assert (summary["source"], summary["take"]) == ("a horse", of_take)
    assert summary["said_in_other_ways"] == in_other_ways
    assert (summary["mean"] is None) == comes.startswith("not applicable")
    assert comes in {"flag", "fine"} or summary["note"].startswith(comes)
    assert asked == ([] if case == "good" else [2]), "only asked where it matters"

    other = recipe(by_model(qwen, 'negative = "x"'), name="other")
    restore_film(house, scenes, Order(other, tmp_path / "out"))
    assert len(asked) <= 1, "and never twice"
    caption_film(house, scenes, mine, [2], Edit(again=True))
    film_id = ingest(house, path=scenes)
    with house.catalog.read() as session:
        kept = session.scalars(select(CaptionRow).filter_by(film_id=film_id)).all()
    assert not [row for row in kept if "+ways-" in row.revision], "captioned anew, wavering and all"


def drift_of(house: House, film: Path) -> dict[int, dict[str, Any]]:
    film_id = ingest(house, path=film)
    with house.catalog.read() as session:
        table = scene_table(session, restorations_of(session, film_id)[-1].id)
    return {row["scene"]: row["scores"]["caption-drift"] for row in table}


def test_without_a_model_the_guard_is_not_applicable(
    house: House, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Identity, "uses_prompt", True)
    mine = recipe('captioner = "auto"', score='scorers = ["psnr-to-source"]')
    restore_film(house, scenes, Order(mine, tmp_path / "out"))
    for summary in drift_of(house, scenes).values():
        assert summary["mean"] is None
        assert summary["note"].startswith("not applicable")


def test_a_chain_that_listens_to_no_text_is_not_guarded(
    house: House, scenes: Path, tmp_path: Path
) -> None:
    restore_film(house, scenes, Order(recipe('captioner = "auto"'), tmp_path / "out"))
    with house.catalog.read() as session:
        (restoration,) = restorations_of(session, ingest(house, path=scenes))
        assert all(not row["scores"] for row in scene_table(session, restoration.id))


def test_a_captioner_that_is_asked_for_and_absent_stops_before_any_work(
    house: House, scenes: Path, tmp_path: Path
) -> None:
    absent = recipe('captioner = "transformers"\noptions = { model = "smolvlm2-500m" }')
    with pytest.raises(CheckpointError, match="hf download"):
        restore_film(house, scenes, Order(absent, tmp_path / "out"))
    with pytest.raises(PluginError, match="captioner 'nobody' is not known; installed: facts"):
        restore_film(house, scenes, Order(recipe('captioner = "nobody"'), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_sidecar_that_is_edited_redoes_what_it_changes(
    house: House, scenes: Path, tmp_path: Path, restored: list[tuple[int, str]]
) -> None:
    film = tmp_path / "reel.mp4"
    shutil.copyfile(scenes, film)
    sidecar = tmp_path / "reel.captions.txt"
    sidecar.write_text("a film\n2: a street\n")
    mine = Order(recipe('captioner = "file"\ntemplate = "{caption}"'), tmp_path / "out")
    restore_film(house, film, mine)
    assert [prompt for _, prompt in restored] == ["a film", "a street", "a film", "a film"]
    del restored[:]
    sidecar.write_text("a film\n2: a road\n")
    restore_film(house, film, mine)
    assert restored == [(20, "a road")]


def test_an_edited_prompt_outlives_a_changed_threshold_and_an_edited_shot_list(
    house: House, scenes: Path, tmp_path: Path, restored: list[tuple[int, str]]
) -> None:
    from tasks.shots import merged, save_edit, shots_of

    words = 'captioner = "fixed"'
    restore_film(house, scenes, Order(recipe(words), tmp_path / "out"))
    told = caption_film(house, scenes, numbers=[4], edit=Edit(prompt="a horse"))
    del restored[:]
    changed = recipe(words, score='scorers = ["psnr-to-source"]')
    restore_film(house, scenes, Order(changed, tmp_path / "out"))
    assert restored == [(66, "a horse")]
    del restored[:]
    save_edit(house, told.film_id, merged(shots_of(house, told.film_id)[1], "1-2"), "merge", "")
    restore_film(house, scenes, Order(changed, tmp_path / "out"))
    assert restored == [(0, "")], "only the scene that is new"


def test_text_cards_are_marked(house: House, tmp_path: Path) -> None:
    from benchmarks.known_clips import known_clips, write_clip

    card = next(clip for clip in known_clips(7, 5) if clip.truth["text_card"] == "yes")
    film = write_clip(card, tmp_path / "card.mp4")
    told = caption_film(house, film)
    assert [one["marks"] for one in told.scenes] == [["text-card"]] * len(told.scenes)
    assert told.scenes[0]["caption"].startswith("A ")
    other = caption_film(house, scenes_film(tmp_path / "scenes.mp4"))
    assert all(one["marks"] == [] for one in other.scenes)


def with_a_card(path: Path) -> Path:
    """A film of two scenes: a text card, then a picture."""
    from benchmarks.known_clips import RATE, known_clips, pictures

    clips = known_clips(14, 5)
    card = next(clip for clip in clips if clip.truth["text_card"] == "yes")
    picture = next(
        clip for clip in clips
        if clip.truth["text_card"] == "no" and clip.truth["fade_in"] == "no"
        and clip.truth["flicker"] == "no"
    )  # fmt: skip
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = card.size
        for clip in (card, picture):
            for one in pictures(clip):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(one, "rgb24")))
        container.mux(stream.encode(None))
    return path


def cards_resized(prompt: str) -> Recipe:
    made = recipe(prompt)
    restore = made.restore.model_copy(update={"text_cards": "resize"})
    return made.model_copy(update={"restore": restore})


@pytest.mark.parametrize("who", ["facts", "fixed", "model"])
def test_text_cards_are_resized_where_the_recipe_says_so(
    house: House, tmp_path: Path, restored: list[tuple[int, str]], qwen: Path, looked: list[int],
    monkeypatch: pytest.MonkeyPatch, who: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(Identity, "invents", True)
    film = with_a_card(tmp_path / "film.mp4")
    prompt = by_model(qwen) if who == "model" else f'captioner = "{who}"\ntext = "a horse"'
    order = Order(cards_resized(prompt), tmp_path / "out")
    restore_film(house, film, order)
    card, picture = rows(house, film)
    assert (card.marks, picture.marks) == (["text-card"], [])
    assert [step["use"] for step in specs(card, picture)] == ["resize", "identity"]
    assert (card.prompt, [start for start, _ in restored]) == ("", [picture.start])
    assert routed(house, film) == [{"scenes": "1", "text_cards": "resize"}]

    del restored[:]
    restore_film(house, film, order)
    assert (restored, len(routed(house, film))) == ([], 1), "nothing is done or told twice"

    caption_film(house, film, order.recipe, [1], Edit(prompt="letters"))
    restore_film(house, film, order)
    assert restored == [(0, "letters")], "who writes a prompt wants it restored"
    caption_film(house, film, order.recipe, [1], Edit(again=True))
    restore_film(house, film, order)
    assert [step["use"] for step in specs(*rows(house, film))] == ["resize", "identity"]


def test_text_cards_are_restored_as_any_scene_where_nothing_is_said(
    house: House, tmp_path: Path, restored: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Identity, "invents", True)
    film = with_a_card(tmp_path / "film.mp4")
    restore_film(house, film, Order(recipe('captioner = "facts"'), tmp_path / "out"))
    assert len(restored) == 2
    assert routed(house, film) == []


def specs(*scenes: RestorationSceneRow) -> list[dict[str, Any]]:
    """The one step of each scene's spec."""
    return [scene.wanted_spec["steps"][0] for scene in scenes if scene.wanted_spec]


def routed(house: House, film: Path) -> list[dict[str, Any]]:
    """What events tell of text cards."""
    from catalog.models import EventRow

    with house.catalog.read() as session:
        found = session.scalars(select(EventRow).where(EventRow.type == "policy assignment"))
        return [dict(row.detail) for row in found]


def test_ingest_measures_and_an_older_film_is_measured_once(
    house: House, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    import tasks.measure

    original = tasks.measure.decode_all
    monkeypatch.setattr(tasks.measure, "decode_all", lambda *a: decoded.append(1) or original(*a))
    first = caption_film(house, scenes)
    assert decoded == [], "ingest's own pass has measured"
    with house.catalog.begin() as session:
        session.execute(delete(MeasureRow))
    assert caption_film(house, scenes).scenes == first.scenes
    assert caption_film(house, scenes).scenes == first.scenes
    assert decoded == [1]
    from tasks.shots import merged, save_edit, shots_of

    save_edit(house, first.film_id, merged(shots_of(house, first.film_id)[1], "1-2"), "merge", "")
    assert len(caption_film(house, scenes).scenes) == 3
    assert decoded == [1], "another shot list needs no new decode"


def test_edits_that_make_no_sense_are_refused(house: House, scenes: Path) -> None:
    with pytest.raises(UsageError, match="at most 10,000"):
        caption_film(house, scenes, numbers=[1], edit=Edit(prompt="x" * 10_001))
    with pytest.raises(UsageError, match="without --set"):
        caption_film(house, scenes, numbers=[1], edit=Edit(prompt="x", again=True))
    with pytest.raises(UsageError, match="has scenes 1-4, not 9"):
        caption_film(house, scenes, numbers=[9], edit=Edit(prompt="x"))


def test_every_change_is_an_event_with_what_was_before(house: House, scenes: Path) -> None:
    from catalog.events import events_of, restoration_stream, verify_chain

    for prompt in ("one", "two"):
        told = caption_film(house, scenes, numbers=[2], edit=Edit(prompt=prompt))
    with house.catalog.read() as session:
        events = [
            e["detail"]
            for e in events_of(session, told.film_id)
            if e["type"] == "metadata modification"
        ]
        verify_chain(session, restoration_stream(told.restoration_id))
    assert [(e["before"]["prompt"], e["after"]["prompt"]) for e in events] == [
        (None, "one"), ("one", "two"),
    ]  # fmt: skip
