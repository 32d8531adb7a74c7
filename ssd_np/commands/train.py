"""`ssd-np train`: a training, an evaluation on unseen images, pictures of both."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ssd_np.commands.datasets import describe_evaluation, evaluation_data, training_data
from ssd_np.commands.eval import evaluate_and_write
from ssd_np.config import Config, config_to_json, load_config
from ssd_np.data.stored import shared_images
from ssd_np.errors import ConfigError, DataError, OutputError
from ssd_np.files import write_atomically
from ssd_np.model.pretrained import read_base, set_base
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.train.trainer import Trainer

# options that the config does not hold; a resumed run takes them from its run.json
SETTINGS = ("data", "split", "val_split", "eval_split", "leave_out_difficult", "freeze_base")


def run(arguments: argparse.Namespace) -> int:
    """Trains and reports; the output folder holds everything, also what a resumed run needs."""
    if arguments.resume:
        _recall(arguments)
    config = load_config(arguments.config or ("tiny" if arguments.data == "shapes" else "small"))
    seed = config.training.seed if arguments.seed is None else arguments.seed
    data, strict = arguments.data, arguments.strict
    easy = arguments.leave_out_difficult
    dataset = training_data(data, arguments.split, seed, strict, keep_difficult=not easy)
    start = {}
    if not arguments.resume:
        config, start = _start(config, dataset.class_names, arguments)
        config = _adapt(config, dataset, seed, arguments)
    names = config.class_names
    # data that is missing should be missed before the training, not after it
    unseen = evaluation_data(data, arguments.eval_split, names, seed, strict, "--eval-split")
    validation = None
    if arguments.val_split:
        validation = evaluation_data(
            data, arguments.val_split, names, seed + 1, strict, "--val-split"
        )
    shared = shared_images(dataset, unseen)
    if shared:
        what = f"{shared} of the {len(unseen)} images that it is evaluated on"
        print(f"note: {what} are images that it learns from", file=sys.stderr)

    out = Path(arguments.resume or _output_folder(arguments.out, config.name, arguments.force))
    model = _network(config, seed, start, arguments)
    trainer = Trainer(model, dataset, config.training, out, validation)
    if arguments.resume:
        trainer.resume()
        print(f"{out}: going on at step {trainer.progress.step} of {config.training.steps}")
    else:
        (out / "last.npz").unlink(missing_ok=True)  # of a run that --force gives up
        write_atomically(out / "config.json", config_to_json(config))
        settings = {name: getattr(arguments, name) for name in SETTINGS}
        write_atomically(out / "run.json", json.dumps(settings, indent=2) + "\n")
        print(f"{len(dataset)} images, classes: {', '.join(names)}; results go to {out}")
    try:
        result = trainer.fit()
    except KeyboardInterrupt as stop:
        print(
            f"{str(stop) or 'stopped'}; go on with: ssd-np train --resume {shlex.quote(str(out))}",
            file=sys.stderr,
        )
        raise
    print(
        f"{result.steps} steps in {result.seconds:.0f} s, average loss {result.loss:.3f}, "
        f"waited for data {result.waited:.1%} of the time"
    )
    weights = out / "best.npz"
    evaluate_and_write(load(weights), unseen, describe_evaluation(data, arguments.eval_split), out)
    print(f"weights: {weights}\npictures: {out / 'gallery.png'}, {out / 'loss.png'}")
    return 0


def _start(config: Config, names: Sequence[str], arguments: argparse.Namespace) -> tuple:
    """The config and the tensors that --base-weights or --fine-tune bring along."""
    if arguments.fine_tune:
        if arguments.config:
            raise ConfigError("--fine-tune brings its own config", hint="leave --config out")
        model = load(arguments.fine_tune, replace_heads=names)
        return model.config, {name: p.value for name, p in model.parameters.items()}
    if arguments.base_weights:
        return read_base(arguments.base_weights, config)
    if arguments.freeze_base is not None:
        raise ConfigError(
            "--freeze-base would freeze random weights",
            hint="give a --base-weights file, or --fine-tune",
        )
    return config, {}


def _network(config: Config, seed: int, start: dict, arguments: argparse.Namespace) -> SSD:
    """The model to train, beginning with the tensors `start`, frozen as far as wished."""
    model = SSD(config, seed)
    if start:
        where = arguments.base_weights or arguments.fine_tune
        new = set_base(model, start, where)
        print(f"begins with {where}" + (f"; not in it: {', '.join(new)}" if new else ""))
    if arguments.freeze_base is not None:
        model.freeze(arguments.freeze_base or config.base_end)
    return model


def _recall(arguments: argparse.Namespace) -> None:
    """Fills in what the run was started with, from the files it left."""
    run = Path(arguments.resume)
    try:
        settings = json.loads((run / "run.json").read_text(encoding="utf-8"))
        recalled = {name: settings[name] for name in SETTINGS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"holds no training to go on with ({error})",
            where=str(run),
            hint="give the folder that `ssd-np train` wrote its results to",
        ) from error
    vars(arguments).update(recalled, config=run / "config.json", seed=None)


def _adapt(config: Config, dataset, seed: int, arguments: argparse.Namespace) -> Config:
    """The config with the data's classes and the command line's wishes."""
    training = config.training
    steps = arguments.steps or training.steps
    if arguments.epochs:
        steps = math.ceil(arguments.epochs * len(dataset) / training.batch_size)
    training = dataclasses.replace(training, steps=steps, seed=seed)
    return dataclasses.replace(config, class_names=tuple(dataset.class_names), training=training)


def _output_folder(wish: str | None, name: str, force: bool) -> Path:
    """The folder asked for, which must be new unless forced; else the first free runs/NAME-k."""
    if wish is not None:
        out = Path(wish)
        if out.exists() and not force and (not out.is_dir() or any(out.iterdir())):
            raise OutputError(
                "is not empty", where=str(out), hint="choose another --out, or --force"
            )
        return out
    candidates = (Path("runs", name if k == 1 else f"{name}-{k}") for k in range(1, 10_000))
    return next(folder for folder in candidates if not folder.exists())
