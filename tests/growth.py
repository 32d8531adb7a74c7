"""How cost grows with size, each beside a named peer: the table and chart of docs/what_it_costs.md.

    python tests/growth.py             measures, prints, and writes both

CPU time of one thread, the least of a few runs, both taking turns. The exponent is the slope of a
line through the logarithms: 1 where twice the size costs twice the time. Needs the extra `test`.
"""

import dataclasses
import gc
import json
import os
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

os.environ |= {"SSD_NP_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

import matplotlib
import numpy as np
import real_torchvision  # torchvision can be imported from here on
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch.utils.data import BatchSampler, RandomSampler
from torchvision.models.detection._utils import BoxCoder, SSDMatcher
from torchvision.models.detection.ssd import SSD as torchvision_ssd
from torchvision.ops import box_iou

from ssd_np.bench.twin import torch_network
from ssd_np.boxes.coords import center_to_corner
from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.config import load_config, sized
from ssd_np.data.batches import Batches
from ssd_np.data.coco import CocoDataset, CocoSource
from ssd_np.data.image import LARGE, read_image
from ssd_np.data.lint import check
from ssd_np.data.shapes import ShapesDataset
from ssd_np.data.voc import VOCDataset
from ssd_np.engine import select
from ssd_np.infer.decode import decode_outputs
from ssd_np.model.archive import read_archive, write_archive
from ssd_np.model.ssd import SSD
from ssd_np.viz.draw import save_picture
from ssd_np.viz.loss import loss_curve

DOCS = Path(__file__).parents[1] / "docs"
RUNS = 2
Pair = tuple[float, Callable[[], object], Callable[[], object]]  # size, ours, the peer's
assert real_torchvision


def epoch_order(_: Path) -> Iterator[Pair]:
    config = load_config("tiny")
    for count in (1_000, 10_000, 100_000, 1_000_000):

        def ours(count=count):
            with Batches(ShapesDataset(0, count), config, count // 10, 0, threads=0) as batches:
                return [batches.places(step) for step in range(10)]

        yield (
            count,
            ours,
            lambda count=count: list(BatchSampler(RandomSampler(range(count)), count // 10, True)),
        )


def matching(_: Path) -> Iterator[Pair]:
    corner = center_to_corner(default_boxes(load_config("ssd300_voc"))[:, :4])
    theirs, matcher, ops = torch.from_numpy(corner), SSDMatcher(0.5), select()
    for truths in (10, 30, 100, 300):
        crowd = np.tile([[0.4, 0.4, 0.6, 0.6]], (truths, 1))  # all in one place
        yield (
            truths,
            lambda crowd=crowd: ops.match(crowd, corner),
            lambda crowd=crowd: matcher(box_iou(torch.from_numpy(crowd), theirs)),
        )


def loss(_: Path) -> Iterator[Pair]:
    rng, ops, batch, boxes = np.random.default_rng(0), select(), 2, 8732
    for classes in (21, 81, 301, 1204):
        logits = rng.standard_normal((batch, boxes, classes)).astype(np.float32)
        offsets = rng.standard_normal((batch, boxes, 4)).astype(np.float32)
        labels = np.where(rng.random((batch, boxes)) < 0.002, 1, 0)
        a, b, c = map(torch.from_numpy, (logits, offsets, labels))

        def theirs(a=a, b=b, c=c):
            """torchvision's SSD.compute_loss."""
            a, b, positive = a.requires_grad_(), b.requires_grad_(), c > 0
            cost = torch.nn.functional.cross_entropy(a.flatten(0, 1), c.flatten(), reduction="none")
            cost = cost.view(c.shape)
            negative = torch.where(positive, -torch.inf, cost.detach())
            rank = negative.sort(1, descending=True)[1].sort(1)[1]
            chosen = positive | (rank < 3 * positive.sum(1, keepdim=True))
            far = torch.nn.functional.smooth_l1_loss(b[positive], b[positive] * 0, reduction="sum")
            ((cost[chosen].sum() + far) / positive.sum()).backward()

        yield (
            classes,
            lambda x=(logits, offsets, labels, 0 * offsets): ops.multibox_loss(*x),
            theirs,
        )


def _weights(folder: Path) -> Iterator[tuple[int, dict, dict, Path]]:
    for millions in (1, 4, 10, 26):
        arrays = {f"w{i}": np.ones(250_000, np.float32) for i in range(4 * millions)}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        yield millions, arrays, tensors, folder / f"{millions}"


def saving(folder: Path) -> Iterator[Pair]:
    for size, arrays, tensors, path in _weights(folder):
        yield (
            size,
            lambda path=path, arrays=arrays: write_archive(f"{path}.npz", {}, arrays),
            lambda path=path, tensors=tensors: torch.save(tensors, f"{path}.pt"),
        )


def reading(folder: Path) -> Iterator[Pair]:
    for size, _, _, path in _weights(folder):
        yield (
            size,
            lambda path=path: read_archive(f"{path}.npz"),
            lambda path=path: torch.load(f"{path}.pt"),
        )


def _instances(path: Path, names: list[str]) -> Path:
    """COCO's annotations of images of 480 x 640, seven objects each."""
    rng, count = np.random.default_rng(0), len(names)
    images = [
        {"id": i, "file_name": name, "height": 480, "width": 640} for i, name in enumerate(names)
    ]
    objects = [
        {"id": i, "image_id": i % count, "category_id": 1, "iscrowd": 0, "area": 900.5,
         "bbox": [10.5, 20.25 + i // count, 30.0, 40.0], "segmentation": [rng.random(30).tolist()]}
        for i in range(7 * count)
    ]  # fmt: skip
    kinds = [{"id": 1, "name": "thing", "supercategory": "any"}]
    content = {"images": images, "annotations": objects, "categories": kinds}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _photograph(path: Path, height: int, width: int) -> Path:
    """Blobs of colour, as large as asked for."""
    blobs = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)
    Image.fromarray(blobs).resize((width, height)).save(path)
    return path


def annotations(folder: Path) -> Iterator[Pair]:
    from pycocotools.coco import COCO

    _photograph(folder / "one.jpg", 480, 640)
    for count in (500, 1_000, 2_000, 4_000):
        path = _instances(folder / f"{count}.json", count * ["one.jpg"])
        yield (
            count,
            lambda path=path: CocoDataset(folder, path),
            lambda path=path: COCO(str(path)),
        )


def checking(folder: Path) -> Iterator[Pair]:
    """check-data: annotations, headers, and each image decoded, none of them remembered; the peer
    reads the annotations and decodes the images."""
    for count, path in ((30, "30"), (100, "100"), (300, "300"), (1000, "1000")):
        images = folder / f"images{path}"
        images.mkdir()
        _photograph(folder / "one.jpg", 480, 640)
        names = [f"{i}.jpg" for i in range(count)]
        for name in names:
            os.link(folder / "one.jpg", images / name)
        path = _instances(folder / f"check{count}.json", names)

        def ours(images=images, path=path):
            with tempfile.TemporaryDirectory() as cache:
                os.environ["XDG_CACHE_HOME"] = cache
                return check(CocoSource(images, path))

        def theirs(images=images, path=path):
            for image in json.loads(path.read_text(encoding="utf-8"))["images"]:
                Image.open(images / image["file_name"]).convert("RGB")

        yield count, ours, theirs


def voc(folder: Path) -> Iterator[Pair]:
    _photograph(folder / "one.jpg", 375, 500)
    thing = "<object><name>thing</name><difficult>0</difficult><bndbox><xmin>10</xmin>"
    thing += "<ymin>20</ymin><xmax>100</xmax><ymax>200</ymax></bndbox></object>"
    for count in (200, 600, 2_000, 6_000):
        root = folder / f"voc{count}"
        for part in ("Annotations", "JPEGImages"):
            (root / part).mkdir(parents=True)
        for i in range(count):
            os.link(folder / "one.jpg", root / "JPEGImages" / f"{i}.jpg")
            head = f"<annotation><filename>{i}.jpg</filename><size><width>500</width>"
            head += "<height>375</height><depth>3</depth></size>"
            text = f"{head}{3 * thing}</annotation>"
            (root / "Annotations" / f"{i}.xml").write_text(text, encoding="utf-8")

        def theirs(root=root):
            for path in (root / "Annotations").iterdir():
                for item in ElementTree.parse(path).getroot().iter("object"):
                    [float(side.text) for side in item.find("bndbox")]
                with Image.open(root / "JPEGImages" / f"{path.stem}.jpg") as image:
                    image.getexif()

        yield count, lambda root=root: VOCDataset(root, "all"), theirs


def decoding(_: Path) -> Iterator[Pair]:
    """A threshold for drawing, 0.3, and 20 boxes that pass it."""
    rng, ops, config = np.random.default_rng(0), select(), load_config("ssd300_voc")
    rule = dataclasses.replace(config.decoding, score_threshold=0.3)
    defaults = default_boxes(config)
    anchors = torch.from_numpy(300 * center_to_corner(defaults[:, :4])).float()
    network = SimpleNamespace(
        box_coder=BoxCoder((10.0, 10.0, 5.0, 5.0)),
        score_thresh=0.3, nms_thresh=rule.iou_threshold,
        topk_candidates=rule.top_k_class, detections_per_img=rule.top_k,
    )  # fmt: skip
    for classes in (2, 21, 81, 301):
        logits = rng.standard_normal((len(defaults), classes)).astype(np.float32)
        logits[:, 0] += 10
        logits[rng.integers(0, len(defaults), 20), rng.integers(1, classes, 20)] += 20
        offsets = rng.standard_normal((len(defaults), 4)).astype(np.float32)
        heads = {
            "cls_logits": torch.from_numpy(logits)[None],
            "bbox_regression": torch.from_numpy(offsets)[None],
        }
        yield (
            classes,
            lambda x=(logits, offsets): decode_outputs(*x, defaults, rule, ops),
            lambda heads=heads: torchvision_ssd.postprocess_detections(
                network, heads, [anchors], [(300, 300)]
            ),
        )


def loss_pictures(folder: Path) -> Iterator[Pair]:
    """loss.png, beside the same columns drawn with all their points."""
    rng = np.random.default_rng(0)
    for steps in (1_000, 6_000, 30_000, 120_000):
        total = 5 / np.sqrt(1 + np.arange(steps) / 100) + rng.random(steps)
        columns = {"step": np.arange(steps), "total": total, "location": total / 3,
                   "confidence": total / 2, "learning_rate": np.full(steps, 1e-3)}  # fmt: skip

        def theirs(columns=columns):
            figure = Figure(figsize=(7, 5), layout="constrained")
            above, below = figure.subplots(2, 1)
            for name in ("total", "location", "confidence"):
                above.plot(columns["step"], columns[name], label=name)
            below.plot(columns["step"], columns["learning_rate"])
            above.set_yscale("log"), above.legend()
            figure.savefig(folder / "theirs.png")

        yield steps, lambda columns=columns: loss_curve(columns, folder / "ours.png"), theirs


def pictures(folder: Path) -> Iterator[Pair]:
    """The PNG that `detect FOLDER` writes of a photograph."""
    for megapixels in (1, 2, 4, 12):
        side = int((megapixels * 1e6) ** 0.5)
        picture = read_image(_photograph(folder / f"{side}.jpg", side, side))
        yield (
            megapixels,
            lambda picture=picture: save_picture(picture, folder / "ours.png"),
            lambda picture=picture: Image.fromarray(picture).save(folder / "theirs.png"),
        )


def photographs(folder: Path) -> Iterator[Pair]:
    for megapixels in (1, 4, 11, 24):
        side = int((megapixels * 1e6) ** 0.5)
        path = _photograph(folder / f"{megapixels}.jpg", side, side)
        yield (
            megapixels,
            lambda path=path: read_image(path, LARGE),
            lambda path=path: np.array(Image.open(path).convert("RGB")),
        )


def _forward(sizes: tuple[tuple[int, int], ...], by_side: bool) -> Iterator[Pair]:
    """(side, batch) -> forwards of `tiny` and its twin."""
    for side, batch in sizes:
        model = SSD(sized(load_config("tiny"), (side, side)))
        images = np.random.default_rng(0).standard_normal((batch, side, side, 3)).astype(np.float32)
        _, twin = torch_network(torch, model, channels_last=False)
        planes = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        yield (
            side * side if by_side else batch,
            lambda model=model, images=images: model.forward(images),
            lambda twin=twin, planes=planes: twin(planes),
        )


def batches(_: Path) -> Iterator[Pair]:
    yield from _forward(((128, 1), (128, 4), (128, 16), (128, 64)), by_side=False)


def pixels(_: Path) -> Iterator[Pair]:
    yield from _forward(((128, 1), (256, 1), (384, 1), (512, 1)), by_side=True)


ROWS = {
    "an epoch's order, images": (epoch_order, "PyTorch"),
    "matching a crowd, truths": (matching, "torchvision"),
    "loss, classes": (loss, "torchvision"),
    "writing, million weights": (saving, "torch.save"),
    "reading, million weights": (reading, "torch.load"),
    "decoding, classes": (decoding, "torchvision"),
    "opening COCO, images": (annotations, "pycocotools"),
    "check-data on COCO, images": (checking, "Pillow, decoding"),
    "opening VOC, images": (voc, "ElementTree, header"),
    "a JPEG, megapixels": (photographs, "Pillow, whole"),
    "a PNG, megapixels": (pictures, "Pillow, level 6"),
    "loss.png, steps": (loss_pictures, "Matplotlib, all"),
    "tiny, images in a batch": (batches, "PyTorch"),
    "tiny, pixels": (pixels, "PyTorch"),
}


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def measure(row: Callable[[Path], Iterator[Pair]], folder: Path) -> np.ndarray:
    """(sizes, 3): size, our seconds, the peer's."""
    found = []
    for size, ours, theirs in row(folder):
        with torch.set_grad_enabled(row is loss):
            ours(), theirs()
            runs = [(seconds(ours), seconds(theirs)) for _ in range(RUNS)]
        found.append((size, *np.min(runs, axis=0)))
    return np.array(found)


def exponent(sizes: np.ndarray, times: np.ndarray) -> float:
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def table(measured: dict[str, np.ndarray]) -> str:
    lines = ["| | sizes | ms | exponent | peer | its ms | exponent | ratio |"]
    lines.append("|---" * 8 + "|")
    for name, values in measured.items():
        sizes, ours, theirs = values.T
        told = f"{sizes[0]:,.0f} to {sizes[-1]:,.0f}"
        lines.append(
            f"| {name} | {told} | {1e3 * ours[-1]:,.4g} | {exponent(sizes, ours):.2f} | "
            f"{ROWS[name][1]} | {1e3 * theirs[-1]:,.4g} | {exponent(sizes, theirs):.2f} | "
            f"{ours[-1] / theirs[-1]:.2f} |"
        )
    return "\n".join(lines)


def chart(measured: dict[str, np.ndarray], path: Path) -> None:
    """A small plot a row, logarithmic on both axes."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(5, 3, figsize=(10, 13), layout="constrained")
    for axis in axes.flat[len(measured) :]:
        axis.remove()
    for axis, (name, values) in zip(axes.flat, measured.items(), strict=False):
        sizes, ours, theirs = values.T
        axis.loglog(sizes, 1e3 * theirs, "o--", color="0.6", label=ROWS[name][1])
        axis.loglog(sizes, 1e3 * ours, "o-", color="tab:blue", label="ssd_np")
        axis.set_xticks(sizes, [f"{size:,.0f}" for size in sizes], fontsize=7)
        axis.xaxis.set_minor_formatter("")
        axis.set_title(name, fontsize=9)
        axis.set_ylabel("ms", fontsize=8)
        axis.legend(fontsize=7)
    figure.savefig(path, dpi=80)


def main() -> None:
    torch.set_num_threads(1)
    gc.freeze()  # Python's collector does not walk through all that is imported here, for either
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (row, _) in ROWS.items():
            measured[name] = measure(row, Path(folder))
            print(table({name: measured[name]}).splitlines()[-1], file=sys.stderr)
    page, mark = DOCS / "what_it_costs.md", "growth"
    before, _, rest = page.read_text(encoding="utf-8").partition(f"<!-- {mark} -->\n")
    _, _, after = rest.partition(f"<!-- /{mark} -->\n")
    whole = f"{before}<!-- {mark} -->\n{table(measured)}\n<!-- /{mark} -->\n{after}"
    page.write_text(whole, encoding="utf-8")
    chart(measured, DOCS / "images" / "growth.png")


if __name__ == "__main__":
    main()
