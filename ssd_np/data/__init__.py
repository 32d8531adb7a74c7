"""Images and their objects: readers, generated shapes, checks, augmentation, batches."""

from typing import TYPE_CHECKING

from ssd_np.contents import contents

if TYPE_CHECKING:
    from ssd_np.data.batches import Batch as Batch
    from ssd_np.data.batches import Batches as Batches
    from ssd_np.data.coco import CocoDataset as CocoDataset
    from ssd_np.data.coco import CocoSource as CocoSource
    from ssd_np.data.coco import field as field
    from ssd_np.data.coco import image_size as image_size
    from ssd_np.data.coco import pixel_box as pixel_box
    from ssd_np.data.coco import read_instances as read_instances
    from ssd_np.data.coverage import Coverage as Coverage
    from ssd_np.data.exif import turn_boxes as turn_boxes
    from ssd_np.data.geometric import Crop as Crop
    from ssd_np.data.geometric import Expand as Expand
    from ssd_np.data.geometric import HorizontalFlip as HorizontalFlip
    from ssd_np.data.geometric import VerticalFlip as VerticalFlip
    from ssd_np.data.geometric import Window as Window
    from ssd_np.data.geometric import Windowed as Windowed
    from ssd_np.data.geometric import draw_canvas as draw_canvas
    from ssd_np.data.geometric import draw_patch as draw_patch
    from ssd_np.data.geometric import into_window as into_window
    from ssd_np.data.geometric import keep_centred as keep_centred
    from ssd_np.data.geometric import mirror_x as mirror_x
    from ssd_np.data.geometric import mirror_y as mirror_y
    from ssd_np.data.geometric import out_of_window as out_of_window
    from ssd_np.data.image import Header as Header
    from ssd_np.data.image import normalise as normalise
    from ssd_np.data.image import preprocess as preprocess
    from ssd_np.data.image import read_header as read_header
    from ssd_np.data.image import read_image as read_image
    from ssd_np.data.image import resize as resize
    from ssd_np.data.items import Dataset as Dataset
    from ssd_np.data.items import Item as Item
    from ssd_np.data.items import Labelled as Labelled
    from ssd_np.data.items import Problem as Problem
    from ssd_np.data.items import Source as Source
    from ssd_np.data.items import sample_at as sample_at
    from ssd_np.data.labels import label_map as label_map
    from ssd_np.data.labels import relabel as relabel
    from ssd_np.data.labels import similar_names as similar_names
    from ssd_np.data.lint import check as check
    from ssd_np.data.lint import check_item as check_item
    from ssd_np.data.lint import unknown_classes as unknown_classes
    from ssd_np.data.patches import centres_inside as centres_inside
    from ssd_np.data.patches import draw_patches as draw_patches
    from ssd_np.data.patches import patches_pass as patches_pass
    from ssd_np.data.photometric import Light as Light
    from ssd_np.data.photometric import LightingNoise as LightingNoise
    from ssd_np.data.photometric import brightness as brightness
    from ssd_np.data.photometric import contrast as contrast
    from ssd_np.data.photometric import draw_order as draw_order
    from ssd_np.data.photometric import lighting_noise as lighting_noise
    from ssd_np.data.pipeline import Chain as Chain
    from ssd_np.data.pipeline import augment as augment
    from ssd_np.data.pipeline import distort as distort
    from ssd_np.data.report import Report as Report
    from ssd_np.data.shapes import Placed as Placed
    from ssd_np.data.shapes import ShapesDataset as ShapesDataset
    from ssd_np.data.shapes import draw_layout as draw_layout
    from ssd_np.data.shapes import paint as paint
    from ssd_np.data.shared import shared_images as shared_images
    from ssd_np.data.sources import check_spec as check_spec
    from ssd_np.data.sources import describe as describe
    from ssd_np.data.sources import is_stored as is_stored
    from ssd_np.data.sources import open_source as open_source
    from ssd_np.data.sources import voc_roots as voc_roots
    from ssd_np.data.stored import StoredDataset as StoredDataset
    from ssd_np.data.stored import box_faults as box_faults
    from ssd_np.data.stored import header_of as header_of
    from ssd_np.data.stored import place as place
    from ssd_np.data.stored import truth_of as truth_of
    from ssd_np.data.transform import Step as Step
    from ssd_np.data.transform import Transform as Transform
    from ssd_np.data.transform import undo_boxes as undo_boxes
    from ssd_np.data.view import look as look
    from ssd_np.data.view import look_resized as look_resized
    from ssd_np.data.view import whole as whole
    from ssd_np.data.voc import VOCDataset as VOCDataset
    from ssd_np.data.voc import VOCSource as VOCSource
    from ssd_np.data.voc import annotation_of as annotation_of
    from ssd_np.data.voc import images_by_stem as images_by_stem
    from ssd_np.data.voc import layout as layout
    from ssd_np.data.voc import list_files as list_files
    from ssd_np.data.voc import make_item as make_item
    from ssd_np.data.voc import pair_roots as pair_roots
    from ssd_np.data.voc import read_ids as read_ids
    from ssd_np.data.voc import read_item as read_item
    from ssd_np.data.voc_annotation import Annotation as Annotation
    from ssd_np.data.voc_annotation import VOCObject as VOCObject
    from ssd_np.data.voc_annotation import parse_annotation as parse_annotation
else:
    __getattr__, __dir__ = contents(__name__, __file__)
