"""The layers of a config, one file a kind, which says everything about it."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.kinds.batchnorm import BatchNormLayer as BatchNormLayer
    from ssd_np.kinds.conv import ConvLayer as ConvLayer
    from ssd_np.kinds.depthwise import DepthwiseLayer as DepthwiseLayer
    from ssd_np.kinds.feature_map import FeatureMap as FeatureMap
    from ssd_np.kinds.feature_map import FeatureMapConfig as FeatureMapConfig
    from ssd_np.kinds.feature_map import ListedMapConfig as ListedMapConfig
    from ssd_np.kinds.feature_map import ScaledMapConfig as ScaledMapConfig
    from ssd_np.kinds.kind import LayerKind as LayerKind
    from ssd_np.kinds.kind import Window as Window
    from ssd_np.kinds.kind import require_pad as require_pad
    from ssd_np.kinds.merge import MergeLayer as MergeLayer
    from ssd_np.kinds.pool import PoolLayer as PoolLayer
    from ssd_np.kinds.walk import Placed as Placed
else:
    __getattr__, __dir__ = contents(__name__, __file__)
