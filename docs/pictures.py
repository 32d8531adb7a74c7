"""Makes docs/images/detections.png anew, with the weights that come with the package.

python docs/pictures.py
"""

from pathlib import Path

from ssd_np import Detector, ShapesDataset, load
from ssd_np.viz.draw import draw_detections, draw_truth, gallery

SHOWN = (4,)  # of the pictures that `ssd-np train` evaluates on; few, so that names can be read


def main() -> None:
    """Truth beside detections, as in the README."""
    dataset = ShapesDataset(seed=1_000_003, count=500)
    detector = Detector(load("shapes"))
    show = detector.model.config.decoding.show_threshold
    rows = []
    for sample in map(dataset.__getitem__, SHOWN):
        truth = draw_truth(sample.image, sample.truth, dataset.class_names)
        found = draw_detections(sample.image, detector.detect(sample.image), show)
        rows.append((sample.name, truth, found))
    out = Path(__file__).parent / "images" / "detections.png"
    gallery(rows, out, "A generated picture: truth, and what the shipped detector finds")


if __name__ == "__main__":
    main()
