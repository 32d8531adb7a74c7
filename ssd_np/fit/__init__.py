"""Fitting: what a data set looks like, what follows from it, and the config that says so."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.fit.boxes import chance_to_match as chance_to_match
    from ssd_np.fit.boxes import cluster as cluster
    from ssd_np.fit.boxes import fit_boxes as fit_boxes
    from ssd_np.fit.boxes import maps_of as maps_of
    from ssd_np.fit.boxes import matched as matched
    from ssd_np.fit.boxes import shape_iou as shape_iou
    from ssd_np.fit.boxes import worst_iou as worst_iou
    from ssd_np.fit.config import Fitted as Fitted
    from ssd_np.fit.config import Map as Map
    from ssd_np.fit.config import available_maps as available_maps
    from ssd_np.fit.config import boxes_in_words as boxes_in_words
    from ssd_np.fit.config import first_guess as first_guess
    from ssd_np.fit.config import fit as fit
    from ssd_np.fit.config import seen as seen
    from ssd_np.fit.config import training_for as training_for
    from ssd_np.fit.config import tuned as tuned
    from ssd_np.fit.config import with_boxes as with_boxes
    from ssd_np.fit.decide import augmentation as augmentation
    from ssd_np.fit.decide import flips as flips
    from ssd_np.fit.decide import input_shape as input_shape
    from ssd_np.fit.decide import learning_rate as learning_rate
    from ssd_np.fit.decide import light as light
    from ssd_np.fit.decide import matchable as matchable
    from ssd_np.fit.decide import network as network
    from ssd_np.fit.decide import of_area as of_area
    from ssd_np.fit.decide import proportions as proportions
    from ssd_np.fit.decide import steps as steps
    from ssd_np.fit.decide import too_small as too_small
    from ssd_np.fit.decide import zoom as zoom
    from ssd_np.fit.fingerprint import Fingerprint as Fingerprint
    from ssd_np.fit.fingerprint import class_weights as class_weights
else:
    __getattr__, __dir__ = contents(__name__, __file__)
