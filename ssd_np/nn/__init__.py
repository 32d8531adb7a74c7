"""What layers compute: forward/backward pairs in NumPy, and thin layer objects."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.nn.conv import conv2d_backward as conv2d_backward
    from ssd_np.nn.conv import conv2d_forward as conv2d_forward
    from ssd_np.nn.hsv import scale_saturation as scale_saturation
    from ssd_np.nn.hsv import turn_hue as turn_hue
    from ssd_np.nn.im2col import col2im as col2im
    from ssd_np.nn.im2col import col2im_image as col2im_image
    from ssd_np.nn.im2col import col2im_plain as col2im_plain
    from ssd_np.nn.im2col import im2col_plain as im2col_plain
    from ssd_np.nn.im2col import im2col_rows as im2col_rows
    from ssd_np.nn.im2col import kernel_sides as kernel_sides
    from ssd_np.nn.im2col import output_size as output_size
    from ssd_np.nn.init import caffe_xavier as caffe_xavier
    from ssd_np.nn.init import glorot_uniform as glorot_uniform
    from ssd_np.nn.init import he_normal as he_normal
    from ssd_np.nn.init import small_normal as small_normal
    from ssd_np.nn.l2norm import l2norm_backward as l2norm_backward
    from ssd_np.nn.l2norm import l2norm_forward as l2norm_forward
    from ssd_np.nn.layers import Conv as Conv
    from ssd_np.nn.layers import FreshMemory as FreshMemory
    from ssd_np.nn.layers import L2Norm as L2Norm
    from ssd_np.nn.layers import Layer as Layer
    from ssd_np.nn.layers import MaxPool as MaxPool
    from ssd_np.nn.layers import Parameter as Parameter
    from ssd_np.nn.layers import Sequential as Sequential
    from ssd_np.nn.layers import Workspace as Workspace
    from ssd_np.nn.parallel import for_each as for_each
    from ssd_np.nn.parallel import one_blas_thread as one_blas_thread
    from ssd_np.nn.parallel import scratch as scratch
    from ssd_np.nn.parallel import shares as shares
    from ssd_np.nn.parallel import thread_count as thread_count
    from ssd_np.nn.pool import max_pool2d_backward as max_pool2d_backward
    from ssd_np.nn.pool import max_pool2d_forward as max_pool2d_forward
    from ssd_np.nn.pool import max_pool2d_plain as max_pool2d_plain
    from ssd_np.nn.pool import pool_output_size as pool_output_size
    from ssd_np.nn.relu import relu_backward as relu_backward
    from ssd_np.nn.relu import relu_forward as relu_forward
    from ssd_np.nn.sgd import sgd_update as sgd_update
    from ssd_np.nn.sgd import square_sum as square_sum
    from ssd_np.nn.softmax import log_softmax_backward as log_softmax_backward
    from ssd_np.nn.softmax import log_softmax_forward as log_softmax_forward
    from ssd_np.nn.tiled import column_sums as column_sums
    from ssd_np.nn.tiled import flipped_kernel as flipped_kernel
    from ssd_np.nn.tiled import output_shape as output_shape
    from ssd_np.nn.winograd import applies as applies
    from ssd_np.nn.winograd import winograd_plain as winograd_plain
    from ssd_np.nn.winograd_kernels import input_tiles as input_tiles
    from ssd_np.nn.winograd_kernels import kernel_tiles as kernel_tiles
    from ssd_np.nn.winograd_kernels import output_gradient_tiles as output_gradient_tiles
    from ssd_np.nn.winograd_kernels import output_tiles as output_tiles
else:
    __getattr__, __dir__ = contents(__name__, __file__)
