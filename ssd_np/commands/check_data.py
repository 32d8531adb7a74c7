"""`ssd-np check-data`: what is wrong with a data set, and how well default boxes cover it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ssd_np.commands import options as kinds
from ssd_np.errors import DataError
from ssd_np.files import json_text
from ssd_np.terminal import say

if TYPE_CHECKING:
    from ssd_np.data.items import Source

HELP = "look for mistakes in a data set, count its objects, compare them with default boxes"
EXAMPLE = "ssd-np check-data voc:BCCD --split trainval+test --out coverage.png"


def options(parser: argparse.ArgumentParser) -> None:
    # fmt: off
    add = parser.add_argument
    add("data", metavar="DATA", type=kinds.stored_data, help=kinds.DATA)
    add("--split", type=kinds.split, default="trainval", help="to check (default: %(default)s)")
    add("--classes", metavar="A,B,...", type=kinds.names, help="names allowed (default: any)")
    add("--config", type=kinds.Input, default="small",
        help="preset or .json file whose boxes count (default: %(default)s)")
    add("--out", metavar="PNG", type=kinds.output_file,
        help="draw how well the boxes cover the objects")
    kinds.add_json(parser, "a table")
    kinds.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints a report and changes nothing; exit code 1 if training would leave something out."""
    import numpy as np

    from ssd_np.commands.datasets import some_images
    from ssd_np.config import load_config
    from ssd_np.data.coverage import coverage
    from ssd_np.data.lint import check
    from ssd_np.data.sources import describe, open_source
    from ssd_np.viz.cover import coverage as coverage_figure

    spec, split, names = arguments.data, arguments.split, arguments.classes
    config = load_config(arguments.config)
    source = some_images(open_source(spec, split), spec, split)
    report = check(source, names)
    covered = coverage(np.reshape(report.boxes, (-1, 4)), config)
    drawn = arguments.out if report.boxes else None
    if drawn:
        coverage_figure(covered.best_iou, covered.sizes, drawn, covered.threshold)
    sound = report.boxes and not any(f.effect == "stops" for f in report.findings)
    fitted = _fitted(source) if sound else {}
    if arguments.json:
        values = {"data": describe(spec, split), **report.as_dict(), "config": config.name}
        values |= {"coverage": covered.as_dict(), "picture": drawn, "fitted": fitted}
        say(json_text(values))
    else:
        say("\n".join([describe(spec, split), *report.lines(), "", f"config {config.name}:"]))
        say("\n".join(covered.lines()))
        if fitted:
            say(f"\nfitted to this data: ssd-np config --fit {spec} --split {split}")
            say("\n".join(fitted["reasons"]))
            say(
                f"not covered: {covered.uncovered:.1%} with the {config.num_boxes:,} boxes of "
                f"{config.name}, {fitted['uncovered']:.1%} with {fitted['boxes']:,} fitted ones"
            )
        if drawn:
            say(f"drawn in {drawn}")
    if arguments.out and not drawn:
        raise DataError("no object to draw the coverage of", where=describe(spec, split))
    return 1 if report.drops else 0


def _fitted(source: Source) -> dict:
    """What `ssd-np config --fit` makes for this data: its reasons, boxes and coverage."""
    from ssd_np.data.coverage import coverage
    from ssd_np.data.stored import StoredDataset
    from ssd_np.fit.config import fit
    from ssd_np.fit.fingerprint import fingerprint

    dataset = StoredDataset(source)
    dataset.leave_out_undecodable()
    found = fingerprint(dataset)
    config, reasons = fit(found)
    uncovered = coverage(found.boxes, config).uncovered
    return {"reasons": reasons, "boxes": config.num_boxes, "uncovered": uncovered}
