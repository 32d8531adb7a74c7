"""`ssd-np pretrain`: the base of a detector, trained to tell the objects of a data set apart."""

import argparse
import dataclasses

from ssd_np.commands import options as kinds
from ssd_np.data.sources import FOLDER, SHAPES, usual_splits
from ssd_np.terminal import last_names, say

HELP = "train the base of a detector to tell single objects apart"
EXAMPLE = "ssd-np pretrain --data folder:DIR --out base.npz"


def options(parser: argparse.ArgumentParser) -> None:
    # fmt: off
    add = parser.add_argument
    add("--data", type=kinds.data_or_folder, default=SHAPES,
        help=f"shapes, {kinds.DATA}; or folder:DIR, a folder of pictures for each class, or zip "
        "files with such folders (default: shapes)")
    add("--split", type=kinds.split, help="to train on (default: what there is)")
    add("--eval-split", type=kinds.split,
        help="to count right answers on, or none (default: test, else val)")
    add("--config", type=kinds.Input, default="small",
        help="whose base: preset or .json file (default: %(default)s)")
    add("--out", type=kinds.output_file, default="base.npz",
        help="file to write (default: %(default)s)")
    kinds.add_force(parser)
    add("--seed", type=kinds.whole, help="of weights, order and augmentation")
    add("--steps", type=kinds.positive, help="batches of 16 crops (default: 2000)")


def run(arguments: argparse.Namespace) -> int:
    """Writes the base to an `.npz` file for `ssd-np train --base-weights`."""
    from ssd_np.commands import datasets
    from ssd_np.config import load_config
    from ssd_np.data.digest import digest
    from ssd_np.model.pretrained import base_names, save_base
    from ssd_np.model.provenance import Measured, Origin, Used
    from ssd_np.train.pretrain import PRETRAINING, accuracy, classifier_config, pretrain

    out, detector = arguments.out, load_config(arguments.config)
    seed = PRETRAINING.seed if arguments.seed is None else arguments.seed
    data = arguments.data
    if data.startswith(FOLDER):
        split = arguments.split or "train"
        dataset, unseen, described = datasets.class_folders(data, split, arguments.eval_split)
    else:
        usual = usual_splits(data)
        split, other = arguments.split or usual[0], arguments.eval_split or usual[1]
        dataset = datasets.training_data(data, split, seed)
        unseen = datasets.unseen_data(data, other, "--eval-split", dataset.class_names, seed)
        described = datasets.describe_evaluation(data, other)
    datasets.tell_shared(dataset, unseen, "evaluated on", "learns from")
    config = classifier_config(detector, tuple(dataset.class_names))
    steps = arguments.steps or PRETRAINING.steps
    training = dataclasses.replace(PRETRAINING, steps=steps, seed=seed)
    say(f"base of {detector.name}, classes: {', '.join(config.class_names)}")
    model, loss = pretrain(config, dataset, training)
    say(f"{training.steps} steps, average loss {loss:.3f}")
    metric = Measured("average loss", loss, "what it learns from")
    if unseen is not None:
        right = accuracy(model, config, unseen, len(unseen) if data.startswith(FOLDER) else 512)
        metric = Measured("objects named rightly", right, last_names(described))
        say(f"{right:.1%} of the objects named rightly ({described})")
    arrays = {name: model.parameters[name].value for name in base_names(detector)}
    origin = Origin(
        "pretrained", command=arguments.line(arguments), training=training, metric=metric,
        data=(Used(last_names(data), split, len(dataset), digest(dataset)),),
    )  # fmt: skip
    save_base(out, detector, arrays, provenance=(origin,))
    say(f"weights: {out}\nuse: ssd-np train --data DATA --base-weights {out}")
    return 0
