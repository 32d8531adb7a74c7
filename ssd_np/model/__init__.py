"""The network: trunk, heads, and weights in and out."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.model.archive import read_archive as read_archive
    from ssd_np.model.archive import read_arrays as read_arrays
    from ssd_np.model.archive import read_arrays_and_comment as read_arrays_and_comment
    from ssd_np.model.archive import write_archive as write_archive
    from ssd_np.model.base import build_stages as build_stages
    from ssd_np.model.budget import check_budget as check_budget
    from ssd_np.model.budget import forward_bytes as forward_bytes
    from ssd_np.model.eight_bits import in_eight_bits as in_eight_bits
    from ssd_np.model.eight_bits import in_full as in_full
    from ssd_np.model.fold import fold_batchnorm as fold_batchnorm
    from ssd_np.model.fold import folded_config as folded_config
    from ssd_np.model.fold import for_inference as for_inference
    from ssd_np.model.fold import unfolded as unfolded
    from ssd_np.model.grey import grey_model as grey_model
    from ssd_np.model.grey import sum_colours as sum_colours
    from ssd_np.model.heads import Head as Head
    from ssd_np.model.heads import grid_to_rows as grid_to_rows
    from ssd_np.model.heads import rows_to_grid as rows_to_grid
    from ssd_np.model.own_layers import as_they_are as as_they_are
    from ssd_np.model.own_layers import changed as changed
    from ssd_np.model.own_layers import check_described as check_described
    from ssd_np.model.own_layers import kinds_of as kinds_of
    from ssd_np.model.pretrained import base_names as base_names
    from ssd_np.model.pretrained import decimate as decimate
    from ssd_np.model.pretrained import preset_of as preset_of
    from ssd_np.model.pretrained import read_base as read_base
    from ssd_np.model.pretrained import save_base as save_base
    from ssd_np.model.pretrained import set_base as set_base
    from ssd_np.model.pretrained import trunk_names as trunk_names
    from ssd_np.model.published import Maker as Maker
    from ssd_np.model.published import amdegroot_names as amdegroot_names
    from ssd_np.model.published import check_no_branches as check_no_branches
    from ssd_np.model.published import few as few
    from ssd_np.model.published import from_published as from_published
    from ssd_np.model.published import from_tensorflow_layout as from_tensorflow_layout
    from ssd_np.model.published import from_torch_layout as from_torch_layout
    from ssd_np.model.published import linzaer_names as linzaer_names
    from ssd_np.model.published import maker_of as maker_of
    from ssd_np.model.published import reducedfc_names as reducedfc_names
    from ssd_np.model.published import tensorflow_names as tensorflow_names
    from ssd_np.model.published import to_published as to_published
    from ssd_np.model.published import to_tensorflow_layout as to_tensorflow_layout
    from ssd_np.model.published import to_torch_layout as to_torch_layout
    from ssd_np.model.published import torchvision_names as torchvision_names
    from ssd_np.model.published import vgg16_names as vgg16_names
    from ssd_np.model.receptive_field import ReceptiveField as ReceptiveField
    from ssd_np.model.receptive_field import receptive_fields as receptive_fields
    from ssd_np.model.separable_head import SeparableHead as SeparableHead
    from ssd_np.model.ssd import SSD as SSD
    from ssd_np.model.statistics import measure_statistics as measure_statistics
    from ssd_np.model.tflite_detector import load_tflite as load_tflite
    from ssd_np.model.tflite_detector import read_labels as read_labels
    from ssd_np.model.tflite_file import Tflite as Tflite
    from ssd_np.model.tflite_file import is_tflite as is_tflite
    from ssd_np.model.tflite_file import read_tflite as read_tflite
    from ssd_np.model.torch_file import read_torch as read_torch
    from ssd_np.model.torch_pickle import Machine as Machine
    from ssd_np.model.torch_pickle import Storage as Storage
    from ssd_np.model.torch_pickle import Tensor as Tensor
    from ssd_np.model.trace import Row as Row
    from ssd_np.model.trace import tensors as tensors
    from ssd_np.model.trace import trace_table as trace_table
    from ssd_np.model.weights import check_own_layers as check_own_layers
    from ssd_np.model.weights import check_parameters as check_parameters
    from ssd_np.model.weights import check_same_network as check_same_network
    from ssd_np.model.weights import config_of as config_of
    from ssd_np.model.weights import contents_of as contents_of
    from ssd_np.model.weights import export as export
    from ssd_np.model.weights import export_torchvision as export_torchvision
    from ssd_np.model.weights import from_maker as from_maker
    from ssd_np.model.weights import load as load
    from ssd_np.model.weights import load_torch as load_torch
    from ssd_np.model.weights import locate as locate
    from ssd_np.model.weights import optimiser_arrays as optimiser_arrays
    from ssd_np.model.weights import save as save
    from ssd_np.model.weights import set_parameters as set_parameters
    from ssd_np.model.weights_file import opened as opened
    from ssd_np.model.weights_file import plain as plain
    from ssd_np.model.zip_file import Member as Member
    from ssd_np.model.zip_file import StoredZip as StoredZip
else:
    __getattr__, __dir__ = contents(__name__, __file__)
