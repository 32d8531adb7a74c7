"""Pictures; the only room with matplotlib."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.viz.augmentation import augmentation_figure as augmentation_figure
    from ssd_np.viz.augmentation import replay as replay
    from ssd_np.viz.augmentation import strip_figure as strip_figure
    from ssd_np.viz.boxes import default_box_figure as default_box_figure
    from ssd_np.viz.boxes import detection_figure as detection_figure
    from ssd_np.viz.canvas import draw_box as draw_box
    from ssd_np.viz.canvas import leave_room as leave_room
    from ssd_np.viz.canvas import number_at as number_at
    from ssd_np.viz.canvas import panels_in as panels_in
    from ssd_np.viz.canvas import plain_numbers as plain_numbers
    from ssd_np.viz.canvas import show_image as show_image
    from ssd_np.viz.canvas import tidy as tidy
    from ssd_np.viz.confusion import confusion_figure as confusion_figure
    from ssd_np.viz.confusion import draw_outcome as draw_outcome
    from ssd_np.viz.costs import costs_figure as costs_figure
    from ssd_np.viz.cover import coverage as coverage
    from ssd_np.viz.draw import draw_detections as draw_detections
    from ssd_np.viz.draw import draw_truth as draw_truth
    from ssd_np.viz.draw import gallery as gallery
    from ssd_np.viz.draw import save_picture as save_picture
    from ssd_np.viz.draw import scaled as scaled
    from ssd_np.viz.explain import decode_figure as decode_figure
    from ssd_np.viz.explain import mined_figure as mined_figure
    from ssd_np.viz.fitting import boxes_figure as boxes_figure
    from ssd_np.viz.im2col import im2col_figure as im2col_figure
    from ssd_np.viz.loss import loss_curve as loss_curve
    from ssd_np.viz.matching import match_figure as match_figure
    from ssd_np.viz.mining import draw_ranks as draw_ranks
    from ssd_np.viz.mining import mining_figure as mining_figure
    from ssd_np.viz.network import feature_map_figure as feature_map_figure
    from ssd_np.viz.network import network_figure as network_figure
    from ssd_np.viz.network import receptive_field_figure as receptive_field_figure
    from ssd_np.viz.recall import precision_recall as precision_recall
    from ssd_np.viz.screen import show as show
else:
    __getattr__, __dir__ = contents(__name__, __file__)
