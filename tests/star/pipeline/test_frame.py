"""Pictures of any size fit the network and come out as they were."""

import pytest
import torch

from restar.errors import UsageError
from star.pipeline.frame import frame_for, reflected
from star.windows import accepts_height, accepts_width


@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 500), (23, 37), (719, 1281), (16, 64)])
@pytest.mark.parametrize(("factor", "levels"), [(4, 3), (8, 4), (8, 2)])
def test_any_size_fits_and_comes_back(height: int, width: int, factor: int, levels: int) -> None:
    frame = frame_for(height, width, factor, levels)
    assert accepts_height(frame.rows, levels)
    assert accepts_width(frame.columns, levels)
    assert frame.rows * factor - height < factor * (2**levels + 2)
    pictures = torch.rand(1, 1, height, width)
    padded = frame.padded(pictures)
    assert padded.shape[-2:] == (frame.rows * factor, frame.columns * factor)
    assert torch.equal(frame.cut(padded), pictures)
    assert set(padded.unique().tolist()) == set(pictures.unique().tolist())


def test_reflection_is_torchs_and_goes_on_where_that_can_not() -> None:
    picture = torch.arange(12.0).view(1, 1, 3, 4)
    expected = torch.nn.functional.pad(picture, (0, 3, 0, 2), mode="reflect")
    assert torch.equal(reflected(picture, 0, 2, 0, 3), expected)
    assert reflected(picture, 0, 9, 0, 0)[0, 0, :, 0].tolist() == [
        0,
        4,
        8,
        4,
        0,
        4,
        8,
        4,
        0,
        4,
        8,
        4,
    ]


def test_reference_padding_is_white_and_published() -> None:
    frame = frame_for(480, 640, 8, 4, "reference")
    padded = frame.padded(torch.zeros(1, 3, 480, 640))
    assert padded.shape[-2:] == (720, 1280)
    assert float(padded[0, 0, 0, 0]) == 1.0
    assert torch.equal(frame.cut(padded), torch.zeros(1, 3, 480, 640))


@pytest.mark.parametrize("size", [(1, 40), (40, 1)])
def test_one_row_or_column_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="at least 2 pixels a side"):
        frame_for(*size, 8, 4)
