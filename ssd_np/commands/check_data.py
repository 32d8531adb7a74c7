"""`ssd-np check-data`: what is wrong with a data set, and how well default boxes cover it."""

from __future__ import annotations

import argparse
import json

import numpy as np

from ssd_np.config import load_config
from ssd_np.data.coverage import coverage
from ssd_np.data.lint import check
from ssd_np.data.sources import describe, open_source
from ssd_np.viz.figures import coverage as coverage_figure


def run(arguments: argparse.Namespace) -> int:
    """Prints a report and changes nothing; exit code 1 if training would leave something out."""
    spec, split, names = arguments.data, arguments.split, arguments.classes
    config = load_config(arguments.config)
    report = check(open_source(spec, split), names)
    covered = coverage(np.reshape(report.boxes, (-1, 4)), config)
    if arguments.out and report.boxes:
        coverage_figure(covered.best_iou, covered.sizes, arguments.out, covered.threshold)
    if arguments.json:
        values = {"data": describe(spec, split), **report.as_dict(), "config": config.name}
        print(json.dumps({**values, "coverage": covered.as_dict()}, indent=2))
    else:
        print("\n".join([describe(spec, split), *report.lines(), "", f"config {config.name}:"]))
        print("\n".join(covered.lines()))
    return 1 if report.drops else 0
