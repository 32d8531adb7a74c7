"""The SSD loss: smooth L1, cross-entropy, hard negative mining or the focal loss, and their sum."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.loss.binary import binary_cross_entropy_backward as binary_cross_entropy_backward
    from ssd_np.loss.binary import binary_cross_entropy_forward as binary_cross_entropy_forward
    from ssd_np.loss.cross_entropy import cross_entropy_backward as cross_entropy_backward
    from ssd_np.loss.cross_entropy import cross_entropy_forward as cross_entropy_forward
    from ssd_np.loss.focal import focal_factor as focal_factor
    from ssd_np.loss.focal import focal_loss_backward as focal_loss_backward
    from ssd_np.loss.focal import focal_loss_forward as focal_loss_forward
    from ssd_np.loss.mining import mine_hard_negatives as mine_hard_negatives
    from ssd_np.loss.multibox import MultiboxLoss as MultiboxLoss
    from ssd_np.loss.multibox import background_loss as background_loss
    from ssd_np.loss.multibox import multibox_loss as multibox_loss
    from ssd_np.loss.smooth_l1 import smooth_l1_backward as smooth_l1_backward
    from ssd_np.loss.smooth_l1 import smooth_l1_forward as smooth_l1_forward
else:
    __getattr__, __dir__ = contents(__name__, __file__)
