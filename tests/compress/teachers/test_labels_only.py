"""Labels alone: nothing is predicted, and what is no picture is refused."""

import numpy as np
import pytest

from edgeemo.compress.teachers.labels_only import LabelsOnly
from edgeemo.errors import BadInput

FACE = np.zeros((60, 50, 3), np.uint8)


@pytest.mark.parametrize("wrong", [np.zeros(160, np.float32), np.zeros((4, 4, 4), np.uint8)])
def test_what_is_no_picture_is_named(wrong):
    with pytest.raises(BadInput, match="picture 1"):
        LabelsOnly().label([FACE, wrong])
