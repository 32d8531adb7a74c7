"""The fingerprint of data whose every number is known, because it was made so."""

import numpy as np
import pytest

from ssd_np.errors import DataError
from ssd_np.fit.decide import MIRRORED
from ssd_np.fit.fingerprint import LOOKS, fingerprint
from ssd_np.records import Sample, Truth

BOX = np.array([0.25, 0.25, 0.75, 0.75])


class Made:
    """Pictures of 64 x 48 pixels, one object each, painted by `paint(index, rng)`: (24, 32, 3)."""

    def __init__(self, paint, labels, class_names, grey=lambda index: 128):
        self.paint, self.labels, self.class_names, self.grey = paint, labels, class_names, grey
        self.decoded = []

    def __len__(self):
        return len(self.labels)

    def truth(self, index):
        return Truth(BOX[None], [self.labels[index]], size=(48, 64))

    def __getitem__(self, index):
        self.decoded.append(index)
        rng = np.random.default_rng(index)
        image = np.full((48, 64, 3), self.grey(index), np.uint8)
        image[12:36, 16:48] = self.paint(index, rng)
        return Sample(image, self.truth(index), str(index), self.class_names)


def noise(index, rng):
    return rng.integers(0, 256, (24, 32, 3))


def test_annotations_count_and_pictures_are_sampled():
    data = Made(noise, [1, 2] * 150, ("a", "b"))
    found = fingerprint(data)
    assert found.class_names == ("a", "b") and found.shapes.tolist() == [[48, 64]] * 300
    assert found.labels.tolist() == [1, 2] * 150 and found.images.tolist() == list(range(300))
    np.testing.assert_allclose(found.objects, 0.5)
    assert len(data.decoded) == LOOKS
    again = fingerprint(Made(noise, [1, 2] * 150, ("a", "b")))
    assert (again.upright, again.colour) == (found.upright, found.colour)  # drawn by a seed
    assert "300 images, usually 64 x 48 pixels, 300 objects (1.0 an image)" in found.lines()[0]


def test_classes_count_the_same_and_sizes_are_compared_within_them():
    boxes = np.array([[0, 0, 0.1, 0.1], [0, 0, 0.2, 0.2], [0, 0, 0.4, 0.4], [0, 0, 0.8, 0.8]])

    class Four:
        class_names = ("small", "large", "none")

        def __len__(self):
            return 1

        def __getitem__(self, index):
            truth = Truth(boxes, [1, 1, 1, 2], crowd=[False, False, True, False])
            return Sample(noise(0, np.random.default_rng(0)).astype(np.uint8), truth, "four", ())

    found = fingerprint(Four())  # a data set that can not tell a truth without its picture
    assert found.shapes.tolist() == [[24, 32]]
    assert found.labels.tolist() == [1, 1, 2]  # the crowd is no object
    np.testing.assert_allclose(found.weights, [0.25, 0.25, 0.5])
    # log sizes: half of log 2 above and below the middle of a class, 0 for the only one
    assert found.spread == pytest.approx(2 ** (1.48 / 2))


def test_upside_down():
    def face(index, rng):
        patch = noise(index, rng) // 4
        patch[4:8, 4:28] += 120  # always above
        return patch

    def ball(index, rng):
        patch = noise(index, rng) // 4
        patch[4:8, 4:28] += 120
        return patch if rng.random() < 0.5 else patch[::-1]

    one = [1] * 80
    assert fingerprint(Made(face, one, ("face",))).upright > 20
    assert fingerprint(Made(ball, one, ("ball",))).upright < 2


LEFT = np.tri(24, 32, -4, dtype=int)[..., None]  # a corner at the left, below


def painted(turn, light=lambda index, rng: 150):
    """Of two classes in turn: a shape, and the same after `turn`, on noise."""

    def paint(index, rng):
        shape = LEFT if index % 2 else turn(LEFT)
        return noise(index, rng) // 4 + 90 + shape * light(index, rng) // 2

    return fingerprint(Made(paint, [1, 2] * 40, ("one", "other")))


@pytest.mark.parametrize(
    ("turn", "mirror", "tumble"),
    [
        (lambda shape: shape[:, ::-1], True, False),  # arrows to the left and to the right
        (lambda shape: shape[::-1], False, True),  # up and down
        (lambda shape: shape[::-1, ::-1], False, True),  # 6 and 9
        (lambda shape: shape // 2, False, False),  # of one kind
    ],
    ids=["left and right", "up and down", "turned by half", "one shape"],
)
@pytest.mark.parametrize("varied", [False, True], ids=["light", "light or dark"])
def test_objects_that_flips_make_another_class_of(turn, mirror, tumble, varied):
    """Whether they are always lighter than what is behind them, or now lighter and now darker."""
    either = lambda index, rng: rng.choice([-150, 150])  # noqa: E731
    found = painted(turn, either) if varied else painted(turn)
    assert (found.mirror > MIRRORED, found.tumble > MIRRORED) == (mirror, tumble)


def test_one_class_may_be_mirrored_and_noise_becomes_nothing():
    def arrow(index, rng):
        return noise(index, rng) // 4 + (LEFT if index % 2 else LEFT[:, ::-1]) * 150

    assert fingerprint(Made(arrow, [1] * 80, ("arrow",))).mirror == 0
    # no class has a side: which of them is nearer is chance
    found = fingerprint(Made(arrow, [1, 1, 2, 2, 3, 3, 4, 4] * 6, tuple("abcd")))
    assert max(found.mirror, found.tumble) < MIRRORED
    stripes = fingerprint(Made(lambda i, rng: noise(i, rng) // 4 + (i % 2) * 90, [1, 2] * 40, "ab"))
    assert stripes.mirror < MIRRORED


def test_colour_that_tells_classes_apart():
    def painted(index, rng):
        patch = noise(index, rng) // 4
        patch[..., index % 2] += 100
        return patch

    labels = [1, 2] * 40
    assert fingerprint(Made(painted, labels, ("red", "green"))).colour > 0.9
    assert fingerprint(Made(noise, labels, ("a", "b"))).colour < 0.3
    assert fingerprint(Made(painted, [1] * 80, ("both",))).colour == 0


def test_light_of_the_pictures():
    dark_and_bright = Made(
        lambda i, r: 40 + 160 * (i % 2), [1] * 60, ("a",), lambda i: 40 + 160 * (i % 2)
    )
    assert 70 < fingerprint(dark_and_bright).light < 90  # half of 160
    same = fingerprint(Made(lambda i, r: 100, [1] * 60, ("a",)))
    assert same.light == 0 and same.contrast == pytest.approx(1)


def test_nothing_to_fit_to():
    class Empty(Made):
        def truth(self, index):
            return Truth(np.empty((0, 4)), [], size=(48, 64))

    with pytest.raises(DataError, match="no image has an object"):
        fingerprint(Empty(noise, [1] * 3, ("a",)))
