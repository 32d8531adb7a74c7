"""The folder of a training: what it was told stands there, and is found again by `--resume`."""

import argparse
from pathlib import Path

from ssd_np.commands.datasets import Dataset
from ssd_np.config import Config, config_to_json
from ssd_np.data.reading import read_json
from ssd_np.data.stored import StoredDataset
from ssd_np.errors import ConfigError, DataError
from ssd_np.files import json_text, remove_files, write_atomically
from ssd_np.train.ready import FILES

# what the config does not hold; `held_back` are names of images that choose instead of teaching
DECIDED = ("data", "split", "eval_split", "held_back")  # those that are never left open
SETTINGS = (*DECIDED, "eval_data", "val_split", "classes", "leave_out_difficult", "freeze_base")
KINDS = {"leave_out_difficult": bool, "classes": list, "held_back": list}  # all others are texts
# all that may stand beside --resume
WITH_RESUME = ("command", "module", "line", "debug", "resume", "force")


def begin(out: Path, arguments: argparse.Namespace, config: Config, dataset: Dataset) -> None:
    """Writes what the training is told, in the place of a run that --force gives up."""
    remove_files(out, (*FILES, "config.json", "run.json", "split.json"))
    write_atomically(out / "config.json", config_to_json(config))
    settings = {name: getattr(arguments, name) for name in SETTINGS}
    write_atomically(out / "run.json", json_text(settings) + "\n")
    if isinstance(dataset, StoredDataset) and dataset.drawn:
        write_atomically(out / "split.json", json_text(dataset.drawn) + "\n")


def recall(arguments: argparse.Namespace) -> None:
    """Fills in what the run was started with, from the files it left; nothing else may be given."""
    for name, value in vars(arguments).items():
        if name not in WITH_RESUME and value is not None and value is not False:
            raise ConfigError(
                "a resumed training goes on as it was started",
                where=f"--{name.replace('_', '-')}",
                hint="leave it out; to train the weights further or otherwise, start a new run: "
                "ssd-np train --fine-tune RUN/best.npz",
            )
    run = Path(arguments.resume)
    try:
        settings = read_json(run / "run.json", "run.json")
        recalled = {name: settings[name] for name in SETTINGS}
        for name, value in recalled.items():
            kind = KINDS.get(name, str)
            good = isinstance(value, kind) or (value is None and name not in DECIDED)
            if not good or (kind is list and not all(isinstance(v, str) for v in value or ())):
                raise TypeError(f"{name} is {str(value)[:99]}")
    except (DataError, KeyError, TypeError) as error:
        hint = "give the folder that `ssd-np train` wrote its results to"
        raise DataError(f"holds no training to go on with ({error})", str(run), hint) from error
    vars(arguments).update(recalled, config=run / "config.json", seed=None)
