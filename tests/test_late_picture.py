from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecam.late_picture import LatePicture

SIZE = (16, 8)


class Maker:
    """Makes pictures of which each is a little brighter."""

    def __init__(self) -> None:
        self.made = 0
        self.faults: list[Exception] = []

    def __call__(self) -> NDArray[np.uint8]:
        if self.faults:
            raise self.faults.pop()
        self.made += 1
        return np.full((12, 16), self.made, np.uint8)


def test_it_is_made_once_for_all_who_look() -> None:
    make = Maker()
    late = LatePicture(make, SIZE)
    assert (late.size, late.made, make.made) == (SIZE, None, 0)
    with ThreadPoolExecutor(8) as lookers:
        seen = list(lookers.map(lambda _number: late.picture, range(8)))
    assert make.made == 1
    assert all(picture is late.made for picture in seen)
    with pytest.raises(ValueError, match="read-only"):
        late.picture[0, 0] = 9


def test_a_copy_is_the_callers_own_and_no_look() -> None:
    make = Maker()
    late = LatePicture(make, SIZE)
    late.copy()[...] = 99
    assert late.made is None
    picture = late.picture
    copy = late.copy()
    copy[...] = 99
    assert (make.made, picture.max(), late.picture.max()) == (2, 2, 2)


def test_what_it_is_made_of_goes_with_the_first_look() -> None:
    source = np.zeros((12, 16), np.uint8)
    gone = weakref.ref(source)
    late = LatePicture(partial(np.copy, source), SIZE)
    del source
    late.copy()
    assert gone() is not None
    assert late.picture.shape == (12, 16)
    gc.collect()
    assert gone() is None


def test_one_that_cannot_be_made_is_tried_again() -> None:
    make = Maker()
    make.faults.append(MemoryError())
    late = LatePicture(make, SIZE)
    with pytest.raises(MemoryError):
        _ = late.picture
    assert late.picture.max() == 1
