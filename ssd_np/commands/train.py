"""`ssd-np train`: a training, an evaluation on unseen images, pictures of both."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_np.commands import options as kinds
from ssd_np.data.sources import SHAPES, describe, usual_splits
from ssd_np.errors import ConfigError
from ssd_np.files import free_folder
from ssd_np.terminal import counted, last_names, note, say

if TYPE_CHECKING:
    from ssd_np.commands.datasets import Dataset
    from ssd_np.config import Config
    from ssd_np.model.about import About
    from ssd_np.model.provenance import Origin, Provenance
    from ssd_np.model.weights_file import Arrays
    from ssd_np.train.trainer import Trainer

HELP = "train a detector, evaluate it on unseen images, draw what it sees"
EXAMPLE = "ssd-np train --data voc:BCCD"
MOST_WAITED = 0.1  # of the time, for data


def options(parser: argparse.ArgumentParser) -> None:
    """None has a default of its own: --resume must see what was given."""
    # fmt: off
    add = parser.add_argument
    kinds.add_data(parser, default=None)
    add("--split", type=kinds.split, help="to train on (default: what there is)")
    add("--val-split", type=kinds.split,
        help="of --data, to choose best.npz by (default: none; a tenth is held back where the "
        "config is fitted)")
    add("--eval-data", type=kinds.data, metavar="DATA",
        help="to evaluate on at the end (default: --data)")
    add("--eval-split", type=kinds.split,
        help="of --eval-data, or none (default: test, else val, else what is drawn)")
    kinds.add_classes(parser)
    add("--strict", action="store_true", help="refuse data with problems instead of leaving out")
    add("--leave-out-difficult", action="store_true",
        help="do not train on objects that Pascal VOC marks as difficult")
    add("--config", type=kinds.Input,
        help="preset or .json file (default: tiny for shapes; for other data one that fits it)")
    add("--size", metavar="WIDTHxHEIGHT", type=kinds.size,
        help="of the pictures the network sees (default: the config's, its boxes in proportion)")
    add("--out", metavar="FOLDER", type=kinds.output_folder(),
        help="for the results (default: runs/CONFIG, or runs/CONFIG-2, ...)")
    add("--resume", metavar="RUN", type=kinds.name,
        help="go on with the training in this folder, as it was started: no other option, but "
        "--force if its data changed")
    kinds.add_force(parser)
    add("--seed", type=kinds.whole, help="of weights, order and augmentation")
    start = parser.add_mutually_exclusive_group().add_argument
    start("--base-weights", metavar="FILE", type=kinds.Input,
          help="begin with this base: an .npz of ssd-np pretrain, torchvision's vgg16 .pth, ..., "
          "or base, the one that comes with the package")
    start("--from-scratch", action="store_true",
          help="begin with random weights, and not with the base that comes with the package")
    start("--fine-tune", metavar="WEIGHTS", type=kinds.Input,
          help="begin with this detector and its config; what it knows of classes by name is kept")
    add("--freeze-base", metavar="LAYER", nargs="?", const="", type=kinds.layer,
        help="do not train the base, or not up to this layer")
    add("--patience", metavar="N", type=kinds.whole,
        help="end after so many validations without a better one (default: the config's, 0: never)")
    length = parser.add_mutually_exclusive_group().add_argument
    length("--minutes", metavar="M", type=kinds.minutes,
           help="to read, train and evaluate in; as many steps as that allows (default: 6 where "
           "the config is fitted)")
    length("--steps", type=kinds.positive, help="batches (default: the config's)")
    length("--epochs", type=kinds.positive, help="passes over the data instead of steps")


def run(arguments: argparse.Namespace) -> int:
    """Trains and reports; the output folder holds everything, also what a resumed run needs."""
    from ssd_np.commands.datasets import describe_evaluation, training_data
    from ssd_np.commands.run_folder import recall
    from ssd_np.config import load_config
    from ssd_np.data.stored import StoredDataset
    from ssd_np.train import start
    from ssd_np.train.trainer import Trainer

    began = time.perf_counter()
    if arguments.resume:
        recall(arguments)
    data = arguments.data = arguments.data or SHAPES
    if not (arguments.split and arguments.eval_split):
        usual = usual_splits(data, arguments.eval_data)
        arguments.split = arguments.split or usual[0]
        arguments.eval_split = arguments.eval_split or usual[1]
    fits = data != SHAPES and not (arguments.config or arguments.fine_tune)
    config = load_config(arguments.config or ("tiny" if data == SHAPES else "small"))
    seed = config.training.seed if arguments.seed is None else arguments.seed
    easy = arguments.leave_out_difficult
    wanted = seed, arguments.strict, not easy, arguments.classes
    measured = None if arguments.eval_data else arguments.eval_split
    others = (measured, arguments.val_split)
    dataset = training_data(data, arguments.split, *wanted, others)
    kind, file = _origin(arguments, fits)
    tensors: Arrays = {}
    history: Provenance = ()
    if not arguments.resume:
        beginning = _beginning(arguments, dataset, config, seed, (kind, file), fits)
        config, tensors, history = beginning
    if isinstance(dataset, StoredDataset):
        dataset = dataset.sized_for(config.input.shape)
    # data that is missing should be missed before the training, not after it
    names = config.class_names if arguments.resume else dataset.class_names
    dataset, validation, unseen = _parts(arguments, dataset, names, seed)
    if not arguments.resume:
        inherited = arguments.fine_tune if data == SHAPES else None
        config = start.fitted(
            config, dataset, seed, arguments.steps, arguments.epochs, inherited,
            0 if validation is None else len(validation), arguments.minutes, arguments.patience,
        )  # fmt: skip
    model, new = start.network(config, seed, tensors, file or "", arguments.freeze_base, history)
    if kind == "base" and not arguments.resume:
        start.settle(model, dataset, config.training)
    told = _begins_with(file, new, 1.0 if arguments.resume else config.training.base_multiplier)
    if told:
        say(told)
    if arguments.freeze_base is not None:
        learn = sum(p.value.size for p in model.parameters.values() if p.trainable)
        say(f"frozen up to {arguments.freeze_base or config.base_end}: {learn:,} numbers learn")
    out = Path(arguments.resume or arguments.out or free_folder(Path("runs", config.name)))
    # `files.check_outputs` was asked before anything was read
    force = arguments.force or not arguments.resume
    origin = _told(arguments)
    trainer = Trainer(model, dataset, config.training, out, validation, origin=origin, force=force)
    trainer.budget.began = began
    trainer.budget.evaluated = 0 if unseen is None else len(unseen)
    if arguments.resume:
        trainer.resume()
        say(f"{out}: going on at step {trainer.progress.step} of {config.training.steps}")
    else:
        _begin(arguments, config, out, (dataset, validation, unseen), seed)
    _fit(trainer)
    if validation is not None:
        split = f"{arguments.split}, held back" if arguments.held_back else arguments.val_split
        chosen_by = describe_evaluation(data, split)
        best = trainer.progress.best_score
        say(f"best.npz is chosen by {chosen_by}; highest mAP at IoU 0.5 there: {best:.4f}")
    _evaluate(arguments, unseen, out)
    return 0


def _begins_with(file: str | None, new: Sequence[str], base_multiplier: float) -> str:
    """For people: the file of weights and what it lacks; or that a base of random weights learns at
    another rate; or nothing."""
    from ssd_np.model.weights import BASE

    if file == str(BASE):
        return "begins with the base of this package"
    if file:
        return f"begins with {file}" + (f"; not in it: {', '.join(new)}" if new else "")
    if base_multiplier == 1:
        return ""
    slower = f"{base_multiplier:g} of the rate (training.base_multiplier)"
    return f"begins with random weights, of which the base learns at {slower}: see --base-weights"


def _beginning(
    arguments: argparse.Namespace,
    dataset: Dataset,
    config: Config,
    seed: int,
    origin: tuple[str, str | None],
    fits: bool,
) -> tuple[Config, Arrays, Provenance]:
    """The config of a training that begins, fitted to the data, or with weights that go on with it,
    or as asked for; these weights, and where they come from. Images that choose instead of teaching
    are held back."""
    from ssd_np.config import sized
    from ssd_np.data.splits import hold_back
    from ssd_np.data.stored import StoredDataset
    from ssd_np.model.about import about
    from ssd_np.train import start

    kind, file = origin
    weights = about(file) if file and kind == "base" else file
    tunes = arguments.data != SHAPES and bool(arguments.fine_tune)
    arguments.held_back = []
    if (fits or tunes) and not arguments.val_split and isinstance(dataset, StoredDataset):
        arguments.held_back = [dataset.names[i] for i in hold_back(dataset.names, seed)]
    if fits:
        config = _fitted(arguments, dataset, seed, weights)
    config, tensors, history = start.beginning(config, dataset.class_names, weights, fits)
    if tunes:
        config = _fitted(arguments, dataset, seed, weights, config)
    resized = sized(config, arguments.size) if arguments.size and not fits else config
    return resized, tensors, history


def _begin(
    arguments: argparse.Namespace,
    config: Config,
    out: Path,
    parts: tuple[Dataset, Dataset | None, Dataset | None],
    seed: int,
) -> None:
    """Writes what the run is told, and says what it begins with; `parts`: see `_parts`."""
    from ssd_np.commands.datasets import tell_classes, tell_idle
    from ssd_np.commands.run_folder import begin

    dataset, *others = parts
    begin(out, arguments, config, dataset)
    tell_idle(dataset, config.loss)
    say(f"{counted(len(dataset), 'image')}, classes: {', '.join(config.class_names)}")
    if arguments.data != SHAPES and not arguments.config:  # fitted
        tell_classes(dataset, *others)
        say(_chosen_by(arguments, seed))
    say(f"results go to {out}: config.json, run.json, log.csv, loss.png, last.npz, best.npz")


def _told(arguments: argparse.Namespace) -> Origin:
    """What the weights say of where they come from: the command, and the names of the data that is
    learned from and of the data that best.npz is chosen by."""
    from ssd_np.model.provenance import Origin, Used

    chosen_by = () if arguments.val_split in (None, "none") else (arguments.val_split,)
    chosen_by = (f"{arguments.split}, held back",) if arguments.held_back else chosen_by
    name = last_names(arguments.data)
    data = tuple(Used(name, split) for split in (arguments.split, *chosen_by))
    return Origin(command=arguments.line(arguments), data=data)


def _origin(arguments: argparse.Namespace, fits: bool) -> tuple[str, str | None]:
    """How the training begins, and with which file: a config that is fitted with the base that
    comes with the package, unless told otherwise."""
    from ssd_np.model.weights import BASE, locate

    if arguments.fine_tune:
        if arguments.config:
            raise ConfigError("--fine-tune brings its own config", hint="leave --config out")
        return "detector", arguments.fine_tune
    if arguments.base_weights:
        return "base", str(locate(arguments.base_weights))
    if fits and not arguments.from_scratch:
        return "base", str(BASE)
    if arguments.freeze_base is not None and not arguments.resume:
        hint = "give a --base-weights file, or --fine-tune"
        raise ConfigError("--freeze-base would freeze random weights", hint=hint)
    return "random", None


def _fitted(
    arguments: argparse.Namespace,
    dataset: Dataset,
    seed: int,
    base: About | str | None,
    detector: Config | None = None,
) -> Config:
    """The config that fits the data and the weights that it begins with, or that of a `detector`
    which goes on with the data; says why."""
    from ssd_np.fit.config import MINUTES, fit, tuned
    from ssd_np.fit.fingerprint import fingerprint
    from ssd_np.model.pretrained import network_of

    found, minutes = fingerprint(dataset, seed), arguments.minutes or MINUTES
    held = len(arguments.held_back)
    if detector is not None:
        config, reasons = tuned(found, detector, minutes, seed, held)
    else:
        network, how = network_of(base) if base else None, (None, minutes, seed, held)
        config, reasons = fit(found, network, arguments.size, *how, arguments.from_scratch)
    told = reasons[:-1] if arguments.steps or arguments.epochs else reasons  # the last: how long
    say("\n".join([f"fitted to {describe(arguments.data, arguments.split)}:", *told]))
    return config


def _chosen_by(arguments: argparse.Namespace, seed: int) -> str:
    """For people: what best.npz is chosen by, and what the end is evaluated on."""
    from ssd_np.data.splits import FEWEST

    by = describe(arguments.data, arguments.val_split or "")
    if arguments.held_back:
        by = (
            f"{len(arguments.held_back)} more images of {arguments.split}, held back by seed {seed}"
        )
    elif arguments.val_split in (None, "none"):
        by = "nothing, it is the average of the last weights"
        by += "" if arguments.val_split else f": of fewer than {FEWEST} images none is held back"
    looked_at = f"; {arguments.eval_split} is looked at once, at the end"
    return f"best.npz is chosen by {by}" + looked_at * (arguments.eval_split != "none")


def _parts(
    arguments: argparse.Namespace, dataset: Dataset, names: Sequence[str], seed: int
) -> tuple[Dataset, Dataset | None, Dataset | None]:
    """The data sets to learn from, to choose by and to evaluate on, the latter None where none is
    wished for."""
    from ssd_np.commands.datasets import tell_shared, unseen_data
    from ssd_np.data.stored import StoredDataset

    data, rest = arguments.data, (arguments.strict, arguments.classes)
    other, split = arguments.eval_data or data, arguments.eval_split
    unseen = unseen_data(other, split, "--eval-split", names, seed, *rest)
    validation = unseen_data(data, arguments.val_split, "--val-split", names, seed + 1, *rest)
    if arguments.held_back and isinstance(dataset, StoredDataset):
        chosen, places = set(arguments.held_back), range(len(dataset))
        validation = dataset.part([i for i in places if dataset.names[i] in chosen])
        dataset = dataset.part([i for i in places if dataset.names[i] not in chosen])
    tell_shared(dataset, unseen, "evaluated on", "learns from")
    tell_shared(dataset, validation, "chosen by", "learns from")
    tell_shared(validation, unseen, "evaluated on", "is chosen by")
    return dataset, validation, unseen


def _fit(trainer: Trainer) -> None:
    """Trains; a stop says how to go on."""
    from ssd_np.train.checkpoint import LAST

    try:
        result = trainer.fit()
    except KeyboardInterrupt as stop:
        how = f"go on with: ssd-np train --resume {shlex.quote(str(trainer.out_dir))}"
        if not os.path.exists(trainer.out_dir / LAST):
            how = "before its first step: begin again as before, with --force if --out is given"
        note(f"{str(stop) or 'stopped'}; {how}")
        raise
    told = f"{counted(result.steps, 'step')} in {result.seconds:.0f} s, average loss "
    say(f"{told}{result.loss:.3f}, waited for data {result.waited:.1%} of the time")
    if result.waited > MOST_WAITED:
        note("note: reading images holds it up; smaller files, or a disk nearby, would be faster")


def _evaluate(arguments: argparse.Namespace, unseen: Dataset | None, out: Path) -> None:
    """Measures best.npz on the unseen images, if there are any."""
    from ssd_np.commands.datasets import describe_evaluation
    from ssd_np.commands.measure import detect, measure
    from ssd_np.model.weights import load

    weights = out / "best.npz"
    if unseen is not None:
        data = describe_evaluation(arguments.eval_data or arguments.data, arguments.eval_split)
        measure(detect(load(weights), unseen), unseen, data, out)
    say(f"weights: {weights}\nloss: {out / 'loss.png'}, step by step in {out / 'log.csv'}")
