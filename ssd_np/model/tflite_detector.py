"""Google's SSD MobileNet v1 out of a `.tflite` file: its names checked, its classes chosen.

Every box has 91 scores there: column 0 is a background that the sigmoid does not need, the others
are COCO's own numbers, ten of which were never given to a class. The list of names beside the file
has a line for each column, or leaves the first out. Columns without a name are left out of the
heads. The default boxes lie in the file in 8 bits, off by up to half a step of 1.9 pixels; they are
taken from the formula instead, which detects better, and only compared.
"""

from pathlib import Path

import numpy as np

from ssd_np.boxes.default_boxes import default_boxes
from ssd_np.config import Config, load_config
from ssd_np.dialects import in_dialect
from ssd_np.errors import WeightsError
from ssd_np.files import as_path
from ssd_np.model.fold import folded_config, unfolded
from ssd_np.model.provenance import imported
from ssd_np.model.published import TENSORFLOW, from_published
from ssd_np.model.ssd import SSD
from ssd_np.model.tflite_file import HINT, read_tflite
from ssd_np.model.weights import set_parameters

INPUT = "normalized_input_image_tensor"
CLASSES = "BoxPredictor_0/ClassPredictor/Conv2D_bias"  # of the first map
ANCHORS = "anchors"
STEP = 0.0065  # of the default boxes in 8 bits, in parts of the image
NAMELESS = {"", "???", "N/A"}
BACKGROUND = {"background", "__background__", "_background_"}


def load_tflite(
    path: str | Path, labels: str | Path | None = None, config: Config | None = None
) -> SSD:
    """A model from `detect.tflite` and its list of class names; needs the package `tflite`.

    Without the list every column is a class, and called by its number. `config` may say what the
    network is, as for `load_torch`. Each convolution gets a batch normalisation that changes
    nothing, to train on. Raises WeightsError for any other network, by the file's own names.
    """
    where, file = str(path), read_tflite(path)
    config = in_dialect(config or load_config(TENSORFLOW.preset), TENSORFLOW.name)
    arrays = dict(file.arrays)
    if TENSORFLOW.mark not in arrays or CLASSES not in arrays or ANCHORS not in arrays:
        last = max(arrays.keys() - {ANCHORS}, default="no weights")
        wanted = f"{TENSORFLOW.mark}, {CLASSES}, {ANCHORS}"
        what = f"is another network: it has {last}, but not all of {wanted}"
        raise WeightsError(what, where, HINT)
    expected = (1, *config.input.shape, 3)
    if (file.input_name, file.input_shape) != (INPUT, expected):
        found = f"{file.input_name!r} of shape {file.input_shape}"
        raise WeightsError(f"its input is {found}, not {INPUT!r} of {expected}", where, HINT)
    _check_default_boxes(arrays.pop(ANCHORS), config, where)
    columns = len(arrays[CLASSES]) // config.feature_maps[0].boxes_per_cell
    names = read_labels(labels, columns) if labels else [str(k) for k in range(1, columns)]
    every = config.with_classes([name or "N/A" for name in names])
    tensors = from_published(arrays, TENSORFLOW, SSD(folded_config(every)), where)
    kept = [0, *(k for k, name in enumerate(names, 1) if name)]
    for name, array in tensors.items():
        if name.startswith("conf_"):  # (..., A * 91) -> (..., A * K)
            by_box = array.reshape(*array.shape[:-1], -1, columns)
            tensors[name] = by_box[..., kept].reshape(*array.shape[:-1], -1)
    config = config.with_classes([name for name in names if name])
    model = SSD(folded_config(config))
    set_parameters(model, tensors, where)
    model.provenance = (imported(path, TENSORFLOW.name, TENSORFLOW.licence),)
    return unfolded(model, config)


def read_labels(path: str | Path, columns: int) -> list[str]:
    """The name of each column but the first; "" for those without one.

    The file has a line for each column, or leaves out that of the background.
    """
    try:
        lines = as_path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        hint = "expected a line for each class, in UTF-8"
        raise WeightsError("is not a text file", str(path), hint) from error
    except (OSError, ValueError) as error:  # ValueError: a name that the system does not allow
        why = getattr(error, "strerror", None) or error
        raise WeightsError(f"can not be read: {why}", ascii(str(path))[1:-1]) from error
    names = ["" if line.strip() in NAMELESS else line.strip() for line in lines]
    background = bool(names) and (not names[0] or names[0].lower() in BACKGROUND)
    if len(names) in (columns, columns - 1) and background != (len(names) == columns):
        # every name would stand at its neighbour's column
        begins = "a background" if background else f"the class {names[0]!r}"
        what = f"begins with {begins}, and has {len(lines)} lines for {columns} columns of scores"
        raise WeightsError(what, str(path), "a line is missing, or is one too many")
    names = names[1:] if background else names
    if len(names) != columns - 1 or not any(names):
        raise WeightsError(
            f"has {len(lines)} lines, the network {columns} columns of scores",
            str(path),
            f"a line for each column, or {columns - 1} without the background's; ??? where a "
            "column has no class",
        )
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise WeightsError(f"names {twice!r} twice", str(path), "each class once")
    return names


def _check_default_boxes(anchors: np.ndarray, config: Config, where: str) -> None:
    """The file's (cy, cx, h, w) must be the config's, rounded to 8 bits."""
    ours = default_boxes(config)[:, [1, 0, 3, 2]]
    if anchors.shape != ours.shape or np.abs(anchors - ours).max() > STEP / 2:
        raise WeightsError(
            f"its {len(anchors):,} default boxes are not the {len(ours):,} of config "
            f"{config.name!r}",
            f"{where}: {ANCHORS}",
            "give a --config whose feature maps have the file's scales",
        )
