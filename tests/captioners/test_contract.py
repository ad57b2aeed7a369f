"""Each check of the captioners' contract fails on a captioner that is wrong in just that."""

import itertools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from captioners import Caption
from captioners.contract import CaptionerContract
from restar.errors import RecipeError

CHECKS = {name for name in vars(CaptionerContract) if name.startswith("test_")}
Stills = Sequence[NDArray[np.uint8]]
_calls = itertools.count()


class Brightness:
    """A right one: says how bright a scene is."""

    name = "brightness"

    def revision(self, options: dict[str, Any]) -> str:
        return f"brightness-1-{self.chosen(options)}"

    def stills(self, options: dict[str, Any]) -> int:
        self.chosen(options)
        return 2

    def caption(self, stills: Stills, options: dict[str, Any]) -> Caption:
        revision = self.revision(options)
        mean = float(np.mean([still.mean() for still in stills]))
        return Caption("bright" if mean > 127 else "dark", revision)

    def chosen(self, options: dict[str, Any]) -> str:
        for key in options:
            if key != "words":
                raise RecipeError(f"captioner brightness: unknown option '{key}'; known: words")
        return str(options.get("words", "few"))


class Nameless(Brightness):
    name = ""


class Restless(Brightness):
    def revision(self, options: dict[str, Any]) -> str:
        return super().revision(options) + str(next(_calls))


class Unnamed(Brightness):
    def revision(self, options: dict[str, Any]) -> str:
        return "brightness-1"


class Greedy(Brightness):
    def stills(self, options: dict[str, Any]) -> int:
        return 100_000


class Lenient(Brightness):
    def chosen(self, options: dict[str, Any]) -> str:
        return str(options.get("words", "few"))


class Talkative(Brightness):
    def caption(self, stills: Stills, options: dict[str, Any]) -> Caption:
        return Caption("very " * 9000, self.revision(options))


class Foreign(Brightness):
    def caption(self, stills: Stills, options: dict[str, Any]) -> Caption:
        return Caption("bright", "another-2")


class NeedsTwo(Brightness):
    def caption(self, stills: Stills, options: dict[str, Any]) -> Caption:
        assert stills[1].size
        return super().caption(stills, options)


class Remembering(Brightness):
    def caption(self, stills: Stills, options: dict[str, Any]) -> Caption:
        return Caption(f"scene {next(_calls)}", self.revision(options))


class Scribbling(Brightness):
    def caption(self, stills: Stills, options: dict[str, Any]) -> Caption:
        stills[0][:] = 0
        return super().caption(stills, options)


WRONG = {
    Nameless: "test_it_says_what_it_is",
    Restless: "test_its_revision_names_what_decides_a_caption",
    Unnamed: "test_its_revision_names_what_decides_a_caption",
    Greedy: "test_it_wants_no_more_stills_than_can_be_held",
    Lenient: "test_an_unknown_option_is_refused_by_name",
    Talkative: "test_a_caption_is_text_of_this_revision",
    Foreign: "test_a_caption_is_text_of_this_revision",
    NeedsTwo: "test_a_scene_shorter_than_the_stills_has_a_caption",
    Remembering: "test_the_same_stills_give_the_same_caption",
    Scribbling: "test_stills_and_options_are_left_as_they_were",
}


class TestOfTwoStills(CaptionerContract):
    other_options: ClassVar[dict[str, Any]] = {"words": "many"}

    @pytest.fixture
    def captioner(self) -> Brightness:
        return Brightness()


@pytest.mark.parametrize(("wrong", "check"), WRONG.items())
def test_a_wrong_captioner_is_found(wrong: type[Brightness], check: str) -> None:
    contract = TestOfTwoStills()
    size = ((48, 64),) if check == "test_a_caption_is_text_of_this_revision" else ()
    with pytest.raises((AssertionError, IndexError, pytest.fail.Exception)):
        getattr(contract, check)(wrong(), *size)


def test_each_check_is_proven_able_to_fail() -> None:
    assert set(WRONG.values()) == CHECKS
