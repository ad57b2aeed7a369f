"""The contract of a captioner as tests: what restar relies on, to run on a plug-in of one's own.

    from captioners.contract import CaptionerContract

    class TestMine(CaptionerContract):
        @pytest.fixture
        def captioner(self):
            return Mine()

`options` are those that it can't do without; `other_options` others, by which its captions may differ.
"""

# ruff: noqa: S101

from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from captioners import Caption, Captioner
from restar.errors import RecipeError

__all__ = ["CaptionerContract"]

Stills = list[NDArray[np.uint8]]
_LONGEST = 10_000


class CaptionerContract:
    """Subclass it, and give the fixture `captioner`."""

    options: ClassVar[dict[str, Any]] = {}
    other_options: ClassVar[dict[str, Any] | None] = None

    @pytest.fixture
    def captioner(self) -> Captioner:
        """The captioner under test."""
        raise NotImplementedError("override the fixture `captioner`")

    @pytest.fixture(params=[(48, 64), (37, 23), (1, 1)], ids=["usual", "odd", "one pixel"])
    def size(self, request: pytest.FixtureRequest) -> tuple[int, int]:
        """Height and width of the stills."""
        height, width = request.param
        return height, width

    def test_it_says_what_it_is(self, captioner: Captioner) -> None:
        assert isinstance(captioner, Captioner)
        assert captioner.name

    def test_its_revision_names_what_decides_a_caption(self, captioner: Captioner) -> None:
        revision = captioner.revision(dict(self.options))
        assert revision
        assert revision == captioner.revision(dict(self.options)), "it is not always the same"
        if self.other_options is not None:
            assert revision != captioner.revision(dict(self.other_options)), "options are not in it"

    def test_it_wants_no_more_stills_than_can_be_held(self, captioner: Captioner) -> None:
        assert 0 <= captioner.stills(dict(self.options)) <= 64

    def test_an_unknown_option_is_refused_by_name(self, captioner: Captioner) -> None:
        wrong = {**self.options, "no_such_option": 1}
        for ask in (captioner.revision, captioner.stills, lambda o: captioner.caption([], o)):
            with pytest.raises(RecipeError, match="no_such_option"):
                ask(wrong)

    def test_a_caption_is_text_of_this_revision(
        self, captioner: Captioner, size: tuple[int, int]
    ) -> None:
        caption = self.captioned(captioner, self.stills(captioner, size))
        assert isinstance(caption, Caption)
        assert isinstance(caption.text, str)
        assert len(caption.text) <= _LONGEST
        assert "\0" not in caption.text, "a catalog can't hold NUL"
        assert caption.revision == captioner.revision(dict(self.options))

    def test_a_scene_shorter_than_the_stills_has_a_caption(self, captioner: Captioner) -> None:
        stills = self.stills(captioner, (16, 16))[:1]
        assert isinstance(self.captioned(captioner, stills), Caption)

    def test_the_same_stills_give_the_same_caption(self, captioner: Captioner) -> None:
        stills = self.stills(captioner, (48, 64))
        first = self.captioned(captioner, stills)
        self.captioned(captioner, [255 - still for still in stills])
        assert self.captioned(captioner, stills) == first

    def test_stills_and_options_are_left_as_they_were(self, captioner: Captioner) -> None:
        stills = self.stills(captioner, (48, 64))
        intact = [still.copy() for still in stills]
        options = dict(self.options)
        captioner.caption(stills, options)
        assert options == self.options
        assert all(np.array_equal(a, b) for a, b in zip(stills, intact, strict=True))

    def stills(self, captioner: Captioner, size: tuple[int, int]) -> Stills:
        """As many stills as it asks for, the same at each call."""
        rng = np.random.default_rng(0)
        count = captioner.stills(dict(self.options))
        return [rng.integers(0, 256, (*size, 3), np.uint8) for _ in range(count)]

    def captioned(self, captioner: Captioner, stills: Stills) -> Caption:
        """The caption of a scene by the options under test."""
        return captioner.caption(stills, dict(self.options))
