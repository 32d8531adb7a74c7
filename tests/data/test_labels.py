"""Labels travel by name between a data set and a model."""

import numpy as np
import pytest

from ssd_np.data.labels import label_map, relabel
from ssd_np.errors import DataError
from ssd_np.records import Truth


def test_labels_follow_the_names():
    mapping = label_map(["cat", "dog"], ["bird", "dog", "cat"])
    truth = Truth(np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5]]), np.array([1, 2]), size=(10, 10))
    assert relabel(truth, mapping).labels.tolist() == [3, 2]
    assert relabel(truth, mapping).area.tolist() == [100, 25]


def test_a_class_unknown_to_the_model_is_named():
    with pytest.raises(DataError, match=r"\['fox'\] are unknown.*bird"):
        label_map(["fox", "bird"], ["bird"])
