"""`ssd-np pretrain`: the base of a detector, trained to tell the objects of a data set apart."""

import argparse
import dataclasses
from pathlib import Path

from ssd_np.commands.datasets import describe_evaluation, evaluation_data, training_data
from ssd_np.config import load_config
from ssd_np.errors import OutputError
from ssd_np.model.pretrained import base_names, save_base
from ssd_np.train.pretrain import PRETRAINING, accuracy, classifier_config, pretrain


def run(arguments: argparse.Namespace) -> int:
    """Writes the base to an `.npz` file for `ssd-np train --base-weights`."""
    out = Path(arguments.out)
    if out.exists() and not arguments.force:
        raise OutputError("exists", where=str(out), hint="choose another --out, or --force")
    detector = load_config(arguments.config)
    seed = PRETRAINING.seed if arguments.seed is None else arguments.seed
    dataset = training_data(arguments.data, arguments.split, seed)
    unseen = evaluation_data(arguments.data, arguments.eval_split, dataset.class_names, seed)
    config = classifier_config(detector, tuple(dataset.class_names))
    training = dataclasses.replace(
        PRETRAINING, steps=arguments.steps or PRETRAINING.steps, seed=seed
    )
    print(f"base of {detector.name}, classes: {', '.join(config.class_names)}")
    model, loss = pretrain(config, dataset, training)
    share = accuracy(model, config, unseen)
    data = describe_evaluation(arguments.data, arguments.eval_split)
    print(f"{training.steps} steps, average loss {loss:.3f}")
    print(f"{share:.1%} of the objects named rightly ({data})")
    arrays = {name: model.parameters[name].value for name in base_names(detector)}
    save_base(out, detector, arrays)
    print(f"weights: {out}\nuse: ssd-np train --config {arguments.config} --base-weights {out}")
    return 0
