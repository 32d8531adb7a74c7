"""From the network's outputs to detections, and why each is what it is."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.infer.decode import Decoded as Decoded
    from ssd_np.infer.decode import Suppressed as Suppressed
    from ssd_np.infer.decode import check_finite as check_finite
    from ssd_np.infer.decode import decode_outputs as decode_outputs
    from ssd_np.infer.detect import Detector as Detector
    from ssd_np.infer.detect import one_ahead as one_ahead
    from ssd_np.infer.explain import explain_detections as explain_detections
    from ssd_np.infer.explain import explain_matching as explain_matching
    from ssd_np.infer.explain import explain_mining as explain_mining
    from ssd_np.infer.explain_text import describe as describe
    from ssd_np.infer.explain_text import to_json as to_json
    from ssd_np.infer.explain_text import to_text as to_text
    from ssd_np.infer.flips import FlipDetector as FlipDetector
    from ssd_np.infer.flips import average as average
    from ssd_np.infer.flips import mirrored as mirrored
    from ssd_np.infer.place import numbers as numbers
    from ssd_np.infer.place import place_of as place_of
    from ssd_np.infer.place import shapes as shapes
    from ssd_np.infer.reports import DetectionReport as DetectionReport
    from ssd_np.infer.reports import Explanation as Explanation
    from ssd_np.infer.reports import MatchedBox as MatchedBox
    from ssd_np.infer.reports import MiningReport as MiningReport
    from ssd_np.infer.reports import Negative as Negative
    from ssd_np.infer.reports import NeutralBox as NeutralBox
    from ssd_np.infer.reports import ObjectReport as ObjectReport
    from ssd_np.infer.reports import Place as Place
    from ssd_np.infer.reports import RunnerUp as RunnerUp
    from ssd_np.infer.reports import SuppressedReport as SuppressedReport
else:
    __getattr__, __dir__ = contents(__name__, __file__)
