"""The fixed captioner says what it was told."""

from typing import Any, ClassVar

import pytest

from captioners import Caption, captioner
from captioners.contract import CaptionerContract
from captioners.fixed import Fixed
from restar.errors import RecipeError


class TestContract(CaptionerContract):
    options: ClassVar[dict[str, Any]] = {"text": "a street in the rain, 1926"}
    other_options: ClassVar[dict[str, Any]] = {"text": "the same street"}

    @pytest.fixture
    def captioner(self) -> Fixed:
        return Fixed()


class TestContractWithoutText(CaptionerContract):
    @pytest.fixture
    def captioner(self) -> Fixed:
        return Fixed()


def test_it_says_the_text_and_looks_at_nothing() -> None:
    options = {"text": "<b>{caption}</b> \N{SNOWMAN}"}
    assert Fixed().stills(options) == 0
    assert Fixed().caption([], options) == Caption(
        options["text"], Fixed().revision(options), "fixed"
    )
    assert Fixed().caption([], {}).text == ""


@pytest.mark.parametrize("text", [7, None, ["a"], "x" * 10_001])
def test_what_is_no_caption_is_refused(text: object) -> None:
    with pytest.raises(RecipeError, match="captioner fixed: 'text' is not valid"):
        Fixed().revision({"text": text})


def test_it_is_found_by_name() -> None:
    assert isinstance(captioner("fixed"), Fixed)
