"""`ssd-np explore`: a page to look into a detector with, for one's own pictures and weights."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_np.commands import options as kinds
from ssd_np.errors import DataError
from ssd_np.terminal import counted, say

if TYPE_CHECKING:
    from ssd_np.explore.build import Shown
    from ssd_np.model.ssd import SSD

HELP = "make a page on which a detector can be looked into: matching, loss, suppression, network"
EXAMPLE = "ssd-np explore photo.jpg --weights blood_cells --truth photo.xml --out page.html"
MOST_PICTURES = 24  # in one page: a browser holds all of them
FROM_DATA = 6  # pictures of --truth if none is named


def options(parser: argparse.ArgumentParser) -> None:
    # fmt: off
    add = parser.add_argument
    add("images", metavar="IMAGE", nargs="*", type=kinds.Images,
        help="image files or folders (default: some of --truth, else generated pictures)")
    kinds.add_weights(parser)
    add("--truth", metavar="DATA", type=kinds.Data,
        help=f"their annotations: a Pascal VOC file, {kinds.DATA}")
    add("--out", metavar="HTML", type=kinds.output_file, default="explore.html",
        help="the page to write (default: %(default)s)")
    kinds.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Writes one HTML file that opens from the disk and fetches nothing."""
    from ssd_np.commands.knowledge import knowledge
    from ssd_np.explore.build import page, runs_in_page
    from ssd_np.files import write_atomically
    from ssd_np.model.weights import load

    model = load(arguments.weights)
    pictures = shown_pictures(arguments.images, arguments.truth, model)
    text = page(model, str(arguments.weights), pictures)
    write_atomically(arguments.out, text)
    size = f"{len(text) / 1e6:.1f} MB"
    say(f"{arguments.out}: {counted(len(pictures), 'picture')}, {size}; open it in a browser")
    if not runs_in_page(model):
        count = sum(p.value.size for p in model.parameters.values())
        say(f"the network, {count:,} parameters, is not in the page: its maps are, computed here")
    say(knowledge(str(arguments.weights), model))
    return 0


def shown_pictures(images: Sequence[str], truth: str | None, model: SSD) -> list[Shown]:
    """The images with their objects; without images, some of the data set, or generated ones."""
    from ssd_np.commands.detect import list_images
    from ssd_np.commands.explain import read_truth
    from ssd_np.data.image import read_image
    from ssd_np.data.shapes import ShapesDataset
    from ssd_np.explore.build import Shown
    from ssd_np.explore.pictures import generated

    names = model.config.class_names
    if images:
        paths = list_images(list(images))
    elif truth is not None:
        paths = _of_data(truth)
    else:
        if names != ShapesDataset.class_names:
            what = "no image is named, and generated ones show nothing that these weights know"
            raise DataError(what, hint="ssd-np explore photo.jpg --weights ...")
        return generated()
    if len(paths) > MOST_PICTURES:
        hint = f"at most {MOST_PICTURES}; name some of them"
        raise DataError(f"{len(paths)} pictures are too many for one page", hint=hint)
    truths = [read_truth(truth, path, names) if truth else None for path in paths]
    pairs = zip(paths, truths, strict=True)
    return [Shown(path.name, read_image(path), known) for path, known in pairs]


def _of_data(spec: str) -> list[Path]:
    """The first images of a data set."""
    from itertools import islice

    from ssd_np.data.items import Item
    from ssd_np.data.sources import is_stored, open_source

    if not is_stored(spec):
        raise DataError("is the annotation of one image", spec, "name the image as well")
    items = (item for item in open_source(spec, "all").items() if isinstance(item, Item))
    paths = [item.image for item in islice(items, FROM_DATA)]
    if not paths:
        raise DataError("holds no image", spec)
    return paths
