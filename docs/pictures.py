"""Makes the pictures of docs/images/ anew: detections.png with the weights that come with the
package, costs.png from the table in what_it_costs.md, and by the README's lines, with the files in
SSD_PUBLISHED, published.jpg.

python docs/pictures.py
"""

import os
import re
import tempfile
from pathlib import Path

from matplotlib.cbook import get_sample_data
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ssd_np import Detector, ShapesDataset, load
from ssd_np.cli import main as cli
from ssd_np.viz.costs import costs_figure
from ssd_np.viz.draw import draw_detections, draw_truth, gallery

DOCS = Path(__file__).parent
SHOWN = (4,)  # of the pictures that `ssd-np train` evaluates on; few, so that names can be read
MADE_FROM = "table"  # where costs.png keeps the lines that it was drawn from


def main() -> None:
    """All pictures."""
    dataset = ShapesDataset(seed=1_000_003, count=500)
    detector = Detector(load("shapes"))
    show = detector.model.config.decoding.show_threshold
    rows = []
    for sample in map(dataset.__getitem__, SHOWN):
        truth = draw_truth(sample.image, sample.truth, dataset.class_names)
        found = draw_detections(sample.image, detector.detect(sample.image), show)
        rows.append((sample.name, truth, found))
    out = DOCS / "images" / "detections.png"
    gallery(rows, out, "A generated picture: truth, and what the shipped detector finds")
    draw_costs()
    if published := os.environ.get("SSD_PUBLISHED"):
        draw_published(Path(published))


def draw_published(files: Path) -> None:
    """What faces and everyday classes are found in matplotlib's photograph, as a small JPEG."""
    photo = get_sample_data("grace_hopper.jpg", asfileobj=False)
    with tempfile.TemporaryDirectory() as folder:
        faces, coco = f"{folder}/faces.npz", f"{folder}/coco.npz"
        slim, labels = str(files / "version-slim-320.pth"), str(files / "labelmap.txt")
        for line in (
            ["import", slim, faces, "--classes", "face", "--size", "320x240"],
            ["import", str(files / "detect.tflite"), coco, "--labels", labels],
            ["detect", photo, "--weights", faces, "--weights", coco, "--out", f"{folder}/out"],
        ):
            if cli(line):  # the command has said what is wrong
                raise SystemExit(1)
        with Image.open(f"{folder}/out/grace_hopper.png") as picture:
            picture.save(DOCS / "images" / "published.jpg", quality=85)


def draw_costs() -> None:
    """The table of ratios as bars; its text goes into the file, so that a test can compare."""
    table, out = table_of_costs(), DOCS / "images" / "costs.png"
    columns, rows = read_ratios(table)
    costs_figure(columns, rows, out)
    note = PngInfo()
    note.add_text(MADE_FROM, table)
    with Image.open(out) as picture:
        picture.load()
    picture.save(out, pnginfo=note)


def table_of_costs() -> str:
    """The lines of the first table of what_it_costs.md."""
    text = (DOCS / "what_it_costs.md").read_text(encoding="utf-8")
    return re.search(r"(?:^\|.*\n)+", text, re.M)[0]


def read_ratios(table: str) -> tuple[list[str], dict[str, list[float | None]]]:
    """Names of the columns, and for each row its name and ratios: 1 of "1 (463 ms)"."""
    lines = [[cell.strip() for cell in line.strip("|").replace("`", "").split("|")]
             for line in table.splitlines()]  # fmt: skip
    ratios = {
        name: [float(number[0]) if (number := re.search(r"[\d.]+", cell)) else None
               for cell in cells]
        for name, *cells in lines[2:]
    }  # fmt: skip
    return lines[0][1:], ratios


if __name__ == "__main__":
    main()
