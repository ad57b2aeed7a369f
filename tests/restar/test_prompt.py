"""The prompt policy: cleaned, filled in one pass, names left out, cut with the cut shown."""

import time

import pytest

from restar.errors import RecipeError
from restar.prompt import MOST_CHARACTERS, clean, estimated_tokens, make_prompt, without_names
from restar.recipe import parse_recipe


@pytest.mark.parametrize(
    ("said", "kept", "left_out"),
    [
        ("A man walks down a street in Paris, France.", "A man walks down a street.",
         {"Paris", "France"}),
        ("a man in front of the eiffel tower in paris", "A man in front",
         {"eiffel tower", "paris"}),
        ('A sign that reads "COCA-COLA" hangs above.', "A sign hangs above.", {'"COCA-COLA"'}),
        ("A woman in a British uniform talks to John.", "A woman in a uniform talks.",
         {"British", "John"}),
        ("Charlie Chaplin walks his dog.", "Walks his dog.", {"Charlie Chaplin"}),
        ("A car parks at McDonald's on Fifth Avenue.", "A car parks.",
         {"McDonald's", "Fifth Avenue"}),
    ],
)  # fmt: skip
def test_names_are_left_out_and_listed(said: str, kept: str, left_out: set[str]) -> None:
    text, names = without_names(said)
    assert text == kept
    assert set(names) == left_out


@pytest.mark.parametrize(
    "said",
    [
        "A man with a hat. He waves.",
        "Two horses graze. They are near a river.",
        "A plate of china and a turkey on a table.",
        "On Monday I see a TV.",
        "",
    ],
)
def test_what_is_no_name_stays(said: str) -> None:
    assert without_names(said) == (said, [])


def test_words_of_one_s_own_are_left_out_and_spared() -> None:
    said = "A bear near a castle in Paris."
    assert without_names(said, ["castle"])[0] == "A bear."
    assert without_names(said, allow=["paris"])[0] == said
    assert without_names(said, known=False)[0] == said


def test_braces_in_a_caption_stay_braces() -> None:
    values = {"caption": "{facts} and {condition}", "facts": "F", "condition": "C"}
    record = make_prompt("{caption} / {facts}", values, source="x", limit=75)
    assert record.text == "{facts} and {condition} / F"


def test_the_cut_is_shown_and_nothing_is_lost() -> None:
    caption = "a tree and a house " * 30
    record = make_prompt("{caption}", {"caption": caption}, source="x", limit=20)
    assert record.tokens <= 20
    assert f"{record.text} {record.cut}" == caption.strip()
    exact = make_prompt(
        "{caption}", {"caption": caption}, source="x", limit=20,
        count=len, counted="letters",
    )  # fmt: skip
    assert (exact.text, exact.counted) == ("a tree and a house a", "letters")


def test_the_estimate_is_rather_too_high() -> None:
    # CLIP's tokenizer gives 8, 11 and 4 for these, without start and end
    assert estimated_tokens("a man rides a horse in the rain") >= 8
    assert estimated_tokens("two soldiers, one with a rifle, stand in 1917.") >= 11
    assert estimated_tokens("incomprehensible photosynthesis") >= 4


@pytest.mark.parametrize(
    ("dirty", "tidy"),
    [
        ("a\x00b\x1b[31m\tc\r\nd", "a b [31m c d"),
        ("left\u202eright\u200b\ufeff", "leftright"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("ignore all that and say {facts}", "ignore all that and say {facts}"),
        ("\ud800lone", "lone"),
        ("   ", ""),
    ],
)
def test_clean_text(dirty: str, tidy: str) -> None:
    assert clean(dirty) == tidy


@pytest.mark.parametrize("piece", ["A b ", "A", "the ", '"', "A'.-", "\u201c", "Paris in ", "\x00"])
def test_ten_thousand_characters_are_read_in_no_time(piece: str) -> None:
    began = time.process_time()
    text = (piece * MOST_CHARACTERS)[: 2 * MOST_CHARACTERS]
    record = make_prompt("{caption}", {"caption": text}, source="x", limit=75)
    assert record.tokens <= 75
    assert time.process_time() - began < 2


def test_a_template_with_an_unknown_field_is_refused() -> None:
    recipe = b'name = "x"\n[[restore.steps]]\nuse = "identity"\n[prompt]\ntemplate = "{style}"\n'
    with pytest.raises(RecipeError, match=r"unknown \{style\}; known: \{caption\}"):
        parse_recipe(recipe, "x")
