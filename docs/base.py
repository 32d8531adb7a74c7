"""Makes ssd_np/weights/base.npz: the base that comes with the package.

    python docs/base.py detect.tflite voc:BCCD voc:raccoon coco:chess

The trunk of Google's COCO detector (Apache 2.0) is given the statistics of the photographs and,
with `--steps`, goes on learning to detect in them, all data sets at once: of each the split
`train`, without images that also stand in another of its splits. Kernels are written in 8 bits.
"""

import argparse
import dataclasses
import hashlib
import tempfile
from itertools import islice
from pathlib import Path

from ssd_np.config import load_config
from ssd_np.data.batches import Batches
from ssd_np.data.digest import digest
from ssd_np.data.sources import open_source
from ssd_np.data.stored import StoredDataset
from ssd_np.errors import NoSuchSplit
from ssd_np.fit.config import fit
from ssd_np.fit.fingerprint import fingerprint
from ssd_np.model.about import about
from ssd_np.model.pretrained import read_base, save_base, set_base, trunk_names
from ssd_np.model.provenance import Origin, Provenance, Used
from ssd_np.model.ssd import SSD
from ssd_np.model.statistics import measure_statistics
from ssd_np.model.weights import SHIPPED
from ssd_np.records import Sample, Truth
from ssd_np.terminal import last_names
from ssd_np.train.trainer import Trainer

UNSEEN = ("val", "valid", "test")


class Together:
    """Several data sets as one: their images, and their classes one behind the other."""

    def __init__(self, specs: list[str]) -> None:
        self.class_names: list[str] = []
        self.items: list[tuple[StoredDataset, int, int]] = []  # data set, index, labels before
        for spec in specs:
            dataset, hidden = StoredDataset(open_source(spec, "train")), unseen(spec)
            first = len(self.class_names)
            self.class_names += [f"{name} of {spec}" for name in dataset.class_names]
            kept = [i for i, one in enumerate(digests(dataset)) if one not in hidden]
            self.items += [(dataset, i, first) for i in kept]
            print(f"{spec}: {len(kept)} of {len(dataset)} images")

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Sample:
        dataset, i, _ = self.items[index]
        return dataclasses.replace(dataset[i], truth=self.truth(index), class_names=())

    def truth(self, index: int) -> Truth:
        dataset, i, first = self.items[index]
        truth = dataset.truth(i)
        return Truth(truth.boxes_corner, truth.labels + first, size=truth.size)


def digests(dataset: StoredDataset) -> list[str]:
    """What each image's file comes to."""
    return [hashlib.sha256(Path(one).read_bytes()).hexdigest() for one in dataset.identities()]


def unseen(spec: str) -> set[str]:
    """The images that measure a training: whatever is in the other splits."""
    found: set[str] = set()
    for split in UNSEEN:
        try:
            found |= set(digests(StoredDataset(open_source(spec, split))))
        except NoSuchSplit:
            continue
    return found


def provenance(trunk: str, specs: list[str], data: Together, steps: int) -> Provenance:
    """What was done, above what the trunk tells of itself; its licence holds for the base, too."""
    before, names = about(trunk).history, [last_names(spec) for spec in specs]
    command = ["python docs/base.py", last_names(trunk), *names]
    line = Origin(
        "made",
        command=" ".join([*command, *([f"--steps {steps}"] if steps else [])]),
        data=(Used(", ".join(names), "train", len(data), digest(data)),),
        note="batch normalisation with the statistics of the data, kernels in 8 bits",
        licence=before[0].licence,
    )
    return (line, *before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("trunk", help="detect.tflite")
    parser.add_argument("data", nargs="+", help="data sets, as --data names them")
    parser.add_argument("--steps", type=int, default=0, help="of training; 0: statistics only")
    parser.add_argument("--out", default=SHIPPED / "base.npz")
    arguments = parser.parse_args()
    data, preset = Together(arguments.data), load_config("small")
    config = fit(fingerprint(data), affordable=max(1, arguments.steps)).config
    model = SSD(config)
    set_base(model, read_base(arguments.trunk, config)[1], arguments.trunk)
    with Batches(data, config, batch_size=8, seed=0) as batches:
        measure_statistics(model, (batch.images for batch in islice(batches, len(data) // 8)))
    if arguments.steps:
        with tempfile.TemporaryDirectory() as folder:
            Trainer(model, data, config.training, folder, force=True).fit()
    arrays = {name: model.parameters[name].value for name in trunk_names(config)}
    told = provenance(arguments.trunk, arguments.data, data, arguments.steps)
    save_base(arguments.out, preset, arrays, eight_bits=True, provenance=told)
    print(f"{arguments.out}: {Path(arguments.out).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
