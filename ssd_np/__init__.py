"""SSD (Single Shot MultiBox Detector) in NumPy and Numba, with every gradient written by hand.

The names below are imported when first used (PEP 562), so that `import ssd_np` costs neither
Numba nor matplotlib.
"""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

__version__ = "0.2.0"

if TYPE_CHECKING:
    from ssd_np.config import Config as Config
    from ssd_np.config import load_config as load_config
    from ssd_np.data.promises import check_dataset as check_dataset
    from ssd_np.data.shapes import ShapesDataset as ShapesDataset
    from ssd_np.data.voc import VOCDataset as VOCDataset
    from ssd_np.errors import ConfigError as ConfigError
    from ssd_np.errors import SsdError as SsdError
    from ssd_np.evaluate.average_precision import evaluate_voc as evaluate_voc
    from ssd_np.infer.detect import Detector as Detector
    from ssd_np.model.ssd import SSD as SSD
    from ssd_np.model.weights import load as load
    from ssd_np.model.weights import save as save
    from ssd_np.records import Detections as Detections
    from ssd_np.records import Sample as Sample
    from ssd_np.records import Truth as Truth
    from ssd_np.train.trainer import Trainer as Trainer
else:
    __getattr__, __dir__ = contents(__name__, __file__)
