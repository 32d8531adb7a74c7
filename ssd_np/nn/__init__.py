"""What layers compute: forward/backward pairs in NumPy, and thin layer objects."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.nn.batchnorm import batchnorm_backward as batchnorm_backward
    from ssd_np.nn.batchnorm import batchnorm_forward as batchnorm_forward
    from ssd_np.nn.batchnorm import batchnorm_inference_backward as batchnorm_inference_backward
    from ssd_np.nn.batchnorm import batchnorm_inference_forward as batchnorm_inference_forward
    from ssd_np.nn.batchnorm import check_batchnorm as check_batchnorm
    from ssd_np.nn.batchnorm import running_statistics as running_statistics
    from ssd_np.nn.blocks import Block as Block
    from ssd_np.nn.blocks import Norm as Norm
    from ssd_np.nn.blocks import Pool as Pool
    from ssd_np.nn.blocks import batchnorm_block_backward as batchnorm_block_backward
    from ssd_np.nn.blocks import batchnorm_block_forward as batchnorm_block_forward
    from ssd_np.nn.blocks import check_steps as check_steps
    from ssd_np.nn.blocks import conv_block_backward as conv_block_backward
    from ssd_np.nn.blocks import conv_block_forward as conv_block_forward
    from ssd_np.nn.blocks import depthwise_block_backward as depthwise_block_backward
    from ssd_np.nn.blocks import depthwise_block_forward as depthwise_block_forward
    from ssd_np.nn.blocks import network_forward as network_forward
    from ssd_np.nn.conv import check_convolution as check_convolution
    from ssd_np.nn.conv import conv2d_backward as conv2d_backward
    from ssd_np.nn.conv import conv2d_forward as conv2d_forward
    from ssd_np.nn.conv import described as described
    from ssd_np.nn.depthwise import check_depthwise as check_depthwise
    from ssd_np.nn.depthwise import depthwise_backward as depthwise_backward
    from ssd_np.nn.depthwise import depthwise_forward as depthwise_forward
    from ssd_np.nn.hsv import scale_saturation as scale_saturation
    from ssd_np.nn.hsv import turn_hue as turn_hue
    from ssd_np.nn.im2col import col2im as col2im
    from ssd_np.nn.im2col import compiled as compiled
    from ssd_np.nn.init import Zeros as Zeros
    from ssd_np.nn.init import caffe_xavier as caffe_xavier
    from ssd_np.nn.init import glorot_uniform as glorot_uniform
    from ssd_np.nn.init import he_normal as he_normal
    from ssd_np.nn.init import small_normal as small_normal
    from ssd_np.nn.l2norm import l2norm_backward as l2norm_backward
    from ssd_np.nn.l2norm import l2norm_forward as l2norm_forward
    from ssd_np.nn.layers import BatchNorm as BatchNorm
    from ssd_np.nn.layers import Conv as Conv
    from ssd_np.nn.layers import Convolution as Convolution
    from ssd_np.nn.layers import Depthwise as Depthwise
    from ssd_np.nn.layers import L2Normalization as L2Normalization
    from ssd_np.nn.layers import Layer as Layer
    from ssd_np.nn.layers import MaxPool as MaxPool
    from ssd_np.nn.layers import Merge as Merge
    from ssd_np.nn.layers import Module as Module
    from ssd_np.nn.layers import Ops as Ops
    from ssd_np.nn.merge import merge_backward as merge_backward
    from ssd_np.nn.merge import merge_forward as merge_forward
    from ssd_np.nn.merge import nearest as nearest
    from ssd_np.nn.parameter import Parameter as Parameter
    from ssd_np.nn.pool import max_pool2d_backward as max_pool2d_backward
    from ssd_np.nn.pool import max_pool2d_forward as max_pool2d_forward
    from ssd_np.nn.pool import pool_output_size as pool_output_size
    from ssd_np.nn.relu import activation_backward as activation_backward
    from ssd_np.nn.relu import activation_forward as activation_forward
    from ssd_np.nn.relu import check_activation as check_activation
    from ssd_np.nn.relu import relu6_backward as relu6_backward
    from ssd_np.nn.relu import relu6_forward as relu6_forward
    from ssd_np.nn.relu import relu_backward as relu_backward
    from ssd_np.nn.relu import relu_forward as relu_forward
    from ssd_np.nn.sequential import Sequential as Sequential
    from ssd_np.nn.sgd import sgd_update as sgd_update
    from ssd_np.nn.sgd import square_sum as square_sum
    from ssd_np.nn.sigmoid import softplus as softplus
    from ssd_np.nn.softmax import log_softmax_backward as log_softmax_backward
    from ssd_np.nn.softmax import log_softmax_forward as log_softmax_forward
else:
    __getattr__, __dir__ = contents(__name__, __file__)
