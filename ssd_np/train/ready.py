"""What a training will need at some time is looked at before its first step.

A data set to validate on is first read after hundreds of steps, the folder's last file is written
at the end, a schedule is asked for its last rate then: what is wrong with them is said now. Of each
data set the first and the last item are read and looked at, as training or evaluation will.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssd_np.data.image import preprocess
from ssd_np.data.items import Dataset, IdentifiedDataset, check_indexed, item_place, sample_at
from ssd_np.data.labels import label_map
from ssd_np.data.promises import check_class_names, check_item
from ssd_np.errors import DataError, SsdError
from ssd_np.files import Plan, check_outputs, make_folder, remove_files
from ssd_np.model.own_layers import check_described
from ssd_np.model.ssd import SSD
from ssd_np.signatures import checked
from ssd_np.train.best import BEST
from ssd_np.train.callbacks import METHODS, Callback
from ssd_np.train.checkpoint import LAST
from ssd_np.train.parts import check_parts, require_methods

if TYPE_CHECKING:
    from ssd_np.train.trainer import Trainer

FILES = ("log.csv", "loss.png", LAST, BEST, "post_mortem.json")
# what a data set of somebody's raises that is not yet what it should be
UNFIT = (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, OSError)


def check_ready(trainer: Trainer) -> None:
    """SsdError, naming what and where, unless the training can go on to its last step."""
    check_described(trainer.model, trainer.model.own_layers)
    check_callbacks(trainer.callbacks)
    check_parts(trainer.loss, trainer.schedule, trainer.optimiser)
    check_data("training", trainer.dataset, trainer.model, trainer.config.seed)
    if trainer.validation is not None:
        check_data("validation", trainer.validation, trainer.model)
    for number in {min(trainer.progress.step, trainer.config.steps - 1), trainer.config.steps - 1}:
        trainer.rate(number)


def claim_folder(trainer: Trainer, force: bool) -> None:
    """The folder of a training that begins: new or empty, or `force` is given and the files of the
    run in it go; never one that the data is read from. The rule of `files.check_outputs`."""
    data = (trainer.dataset, trainer.validation)
    images = [one for d in data if isinstance(d, IdentifiedDataset) for one in d.identities()]
    trees = {Path(one).parent for one in images if Path(one).is_absolute()}
    check_outputs(Plan(trees=sorted(trees), folders=[(trainer.out_dir, FILES)]), force)
    remove_files(trainer.out_dir, FILES)
    make_folder(trainer.out_dir)


@checked
def check_callbacks(callbacks: Sequence[Callback]) -> None:
    """ConfigError for one that lacks a method."""
    hint = "derive from ssd_np.train.Callback, which has them all"
    for callback in callbacks:
        require_methods("callback", callback, METHODS, hint)


def mapping_of(role: str, dataset: Dataset, model: SSD) -> np.ndarray:
    """The model's label for each of the data's, by name (`data.labels.label_map`); DataError for
    what is no data set, or has classes that the model does not know."""
    kind = f"data set {type(dataset).__name__}"
    with _told(role, kind):
        check_indexed(dataset)
        check_class_names(dataset)
        return label_map(dataset.class_names, model.config.class_names)


def check_data(role: str, dataset: Dataset, model: SSD, seed: int | None = None) -> None:
    """DataError for data that the model can not be trained on, with a seed, or measured by."""
    mapping_of(role, dataset, model)
    kind = f"data set {type(dataset).__name__}"
    with _told(role, kind):
        count = len(dataset)
        if count < 1:
            raise DataError("has no images")
    for index in {0, count - 1}:
        with _told(role, item_place(dataset, index)):
            rng = None if seed is None else np.random.default_rng([seed, 0, index])
            sample = sample_at(dataset, index, rng)
            check_item(dataset, index, sample, learned=seed is not None)
            preprocess(sample.image, model.config)


@contextlib.contextmanager
def _told(role: str, place: str) -> Iterator[None]:
    """Errors say which data it was, and where; what it raises of its own becomes a DataError."""
    try:
        yield
    except SsdError as error:
        where = f"{role}: {error.where or place}"
        raise type(error)(error.what, where, error.hint) from error
    except UNFIT as error:
        what = f"can not be read: {type(error).__name__}: {error}"
        hint = "len(data), data[0] and data[len(data) - 1] must work, items are Samples"
        raise DataError(what, f"{role}: {place}", hint) from error
