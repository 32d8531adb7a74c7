"""The catalogue of exercises, lesson by lesson: a file of lessons/ each."""

from importlib import import_module

from ssd_np.errors import ConfigError
from ssd_np.exercises.exercise import Exercise

LESSONS = {
    2: "default boxes",
    3: "IoU and matching",
    4: "encoding and variances",
    5: "convolution as im2col, and its gradient",
    6: "pooling, ReLU, L2Norm",
    7: "the base network and its feature maps",
    8: "convolutional predictors and the whole network",
    9: "the SSD loss",
    10: "photometric augmentation",
    11: "geometric augmentation",
    12: "training",
    13: "decoding and non-maximum suppression",
    14: "mean average precision",
    17: "batch normalisation",
    18: "separable convolutions",
}

EXERCISES: tuple[Exercise, ...] = tuple(
    exercise
    for number in LESSONS
    for exercise in import_module(f"ssd_np.exercises.lessons.lesson_{number:02}").EXERCISES
)


def find(name: str) -> Exercise:
    """The exercise of that name; ConfigError lists those there are."""
    for exercise in EXERCISES:
        if exercise.name == name:
            return exercise
    hint = f"there are {', '.join(e.name for e in EXERCISES)}"
    raise ConfigError(f"no exercise {name!r}", hint=hint)
