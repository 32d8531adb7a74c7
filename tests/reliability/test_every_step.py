"""The figures of the lessons, and the single steps that rooms offer beside their whole tasks, with
wrong types, shapes, dtypes and numbers: a result, or the library's own error. At the end stands who
is walked by nobody.
"""

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from test_every_function import EXAMPLES
from test_every_part import CALLS
from training_runs import narrow_config
from wrong import ALWAYS, leaks

import ssd_np
from ssd_np import data, fit, infer, model, train
from ssd_np.contents import homes
from ssd_np.data.pipeline import augment
from ssd_np.data.shapes import ShapesDataset
from ssd_np.engine import select
from ssd_np.errors import SsdError
from ssd_np.evaluate.confusion import confusion
from ssd_np.fit.fingerprint import fingerprint
from ssd_np.infer.explain import explain
from ssd_np.model.published import LINZAER
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load, locate
from ssd_np.records import Detections
from ssd_np.train.sgd import SGD

RNG, CONFIG, DATA = np.random.default_rng(0), narrow_config(steps=1), ShapesDataset(0, 3)
MODEL, SAMPLE, OPS = SSD(CONFIG), DATA[0], select()
IMAGE, TRUTH, DEFAULTS = SAMPLE.image, SAMPLE.truth, MODEL.default_boxes
BOXES, LABELS = TRUTH.boxes_corner, TRUTH.labels
LOGITS, OFFSETS = (out[0] for out in MODEL.forward(RNG.random((1, 128, 128, 3), np.float32)))
SIGHT = fingerprint(ShapesDataset(0, 12))
SHAPES, WEIGHTS = np.array([[60.0, 22.0], [30.0, 34.0], [40.0, 40.0]]), np.full(3, 1 / 3)
STEPS, SIZE = [(8.0, 8.0), (16.0, 16.0)], (128, 160)
FOUND = Detections(BOXES, LABELS, np.full(len(LABELS), 0.75), CONFIG.class_names)
CONFUSED = confusion([FOUND], [TRUTH])
SHAPES_MODEL = load("shapes")
TOLD = explain(SHAPES_MODEL, IMAGE, TRUTH, 0.2)
PATCHES = np.array([[0.1, 0.1, 0.8, 0.9], [0.0, 0.0, 1.0, 1.0]])
VIEW, FILL = np.array([-5, -5, 100, 90]), (123.0, 117.0, 104.0)
NOWHERE = Path("nowhere")
OBJECT = data.Labelled(0, "cat", (1, 1, 5, 5))
ITEM = data.Item("a", "a", NOWHERE, "here", (20, 30), np.array([[1.0, 1, 5, 5]]), [OBJECT])
NOTE = data.Annotation("a.png", (20, 30), [data.VOCObject("cat", (1, 1, 5, 5), False)])
MINED = np.arange(len(LOGITS)) % 9 == 0
TARGETS = np.where(MINED, 0, 1)
SPEEDS = {"forward": [0.5, 1.0, None, 1.0, 2.0, 3.0]}
HISTORY = augment(SAMPLE, CONFIG, RNG)[3]
WEIGHTS_OF = {name: p.value for name, p in MODEL.parameters.items()}
HEADER = model.contents_of(MODEL)[0]


def axes():
    return Figure().subplots()


# room.function -> a sound call's arguments
STEPS_OF = {
    "data.columns": lambda: (["filename", "class", "xmin", "ymin", "xmax", "ymax"], NOWHERE),
    "data.class_names": lambda: (["a", "b"], None, NOWHERE),
    "data.check_indexed": lambda: (DATA,),
    "data.check_class_names": lambda: (DATA,),
    "data.item_place": lambda: (DATA, 0),
    "data.similar_names": lambda: (["a", "A"], "here"),
    "data.read_json": lambda: (NOWHERE, "list", 100),
    "data.read_instances": lambda: (NOWHERE,),
    "data.read_table": lambda: (NOWHERE,),
    "data.read_data_yaml": lambda: (NOWHERE, ("names",)),
    "data.list_pictures": lambda: (NOWHERE, "all"),
    "data.list_splits": lambda: (NOWHERE,),
    "data.list_images": lambda: (NOWHERE,),
    "data.layout": lambda: (NOWHERE,),
    "data.read_ids": lambda: (NOWHERE, "all", NOWHERE),
    "data.pair_roots": lambda: (["a", "b"], "all"),
    "data.split_folders": lambda: (NOWHERE,),
    "data.find_yaml": lambda: (NOWHERE,),
    "data.open_splits": lambda: ("nowhere",),
    "data.shared_images": lambda: (DATA, DATA),
    "data.check_spec": lambda: ("voc:nowhere",),
    "data.describe": lambda: ("voc:nowhere", "all"),
    "data.is_stored": lambda: ("voc:x",),
    "data.listed_splits": lambda: ("voc:nowhere",),
    "data.usual_splits": lambda: ("voc:nowhere", None),
    "data.voc_roots": lambda: ("a,b",),
    "data.resolve": lambda: ("val", ["train", "valid"]),
    "data.resolve_all": lambda: ("trainval", ["train", "valid"]),
    "data.image_size": lambda: ({"width": 4, "height": 5}, "here"),
    "data.pixel_box": lambda: ({"bbox": [1, 2, 3, 4]}, "here"),
    "data.check_classes": lambda: (["a"], ["a", "b"], "here"),
    "evaluate.common_class_names": lambda: ([FOUND], [TRUTH]),
    "evaluate.coco_result": lambda: ([FOUND], [TRUTH]),
    "evaluate.worst_first": lambda: (CONFUSED.outcomes,),
    "fit.chance_to_match": lambda: (SHAPES, (8.0, 8.0)),
    "fit.fit_boxes": lambda: (SHAPES, WEIGHTS, STEPS, [16.0, 32.0], RNG),
    "fit.matched": lambda: (SHAPES, SHAPES[:2], np.abs(SHAPES - 30) / 9),
    "fit.available_maps": lambda: (CONFIG, SIZE),
    "fit.boxes_in_words": lambda: (CONFIG, SIGHT),
    "fit.first_guess": lambda: (SIGHT, SIZE, fit.available_maps(CONFIG, SIZE)),
    "fit.seen": lambda: (SIGHT, CONFIG.augmentation, SIZE, RNG),
    "fit.training_for": lambda: (40, CONFIG, 100, 2.0, 0, 0.5),
    "fit.tuned": lambda: (SIGHT, CONFIG, 2.0, 0, 1),
    "fit.with_boxes": lambda: (CONFIG, SIGHT, SIZE, 0),
    "fit.augmentation": lambda: (SIGHT, SIZE),
    "fit.flips": lambda: (SIGHT,),
    "fit.input_shape": lambda: (SIGHT, False),
    "fit.learning_rate": lambda: (True, 8, 0.5),
    "fit.light": lambda: (SIGHT,),
    "fit.matchable": lambda: (SIGHT, SIZE, 2.0),
    "fit.network": lambda: ("small", False),
    "fit.of_area": lambda: (256, 1.5),
    "fit.proportions": lambda: (SHAPES,),
    "fit.steps": lambda: (40, 100, 2.0, 8),
    "fit.too_small": lambda: (SIGHT, SIZE),
    "fit.zoom": lambda: (SIGHT, SIZE),
    "infer.to_json": lambda: (TOLD,),
    "infer.to_text": lambda: (TOLD,),
    "infer.explain_detections": lambda: (MODEL, LOGITS, OFFSETS, 0.1),
    "infer.explain_matching": lambda: (MODEL, TRUTH),
    "infer.explain_mining": lambda: (MODEL, LOGITS, TRUTH),
    "infer.describe": lambda: (infer.place_of(MODEL, 3), SIZE),
    "infer.one_ahead": lambda: ([1, 2], OPS),
    "model.write_archive": lambda: ("a.npz", {"a": 1}, {"b": WEIGHTS}, True, False),
    "model.write_npz": lambda: ("a.npz", {"b": WEIGHTS}, b"", True),
    "model.check_budget": lambda: (CONFIG, "here"),
    "model.forward_bytes": lambda: (CONFIG,),
    "model.in_eight_bits": lambda: ({"a.weight": np.ones((1, 1, 2, 3), np.float32)},),
    "model.in_full": lambda: ({"b": WEIGHTS}, "here"),
    "model.folded_config": lambda: (CONFIG,),
    "model.unfolded": lambda: (MODEL, CONFIG),
    "model.check_described": lambda: (MODEL, ("a",)),
    "model.kinds_of": lambda: (CONFIG,),
    "model.base_names": lambda: (CONFIG,),
    "model.trunk_names": lambda: (CONFIG, True),
    "model.network_of": lambda: (str(locate("shapes")),),
    "model.read_base": lambda: (str(locate("shapes")), CONFIG, False),
    "model.save_base": lambda: ("b.npz", CONFIG, {"b": WEIGHTS}, False, ()),
    "model.set_base": lambda: (SSD(CONFIG), dict(WEIGHTS_OF), "here"),
    "model.imported": lambda: (str(locate("shapes")), "maker", "licence"),
    "model.provenance_in": lambda: (HEADER, "here"),
    "model.with_command": lambda: ((model.Origin("imported"),), "ssd-np import"),
    "model.written": lambda: (SHAPES_MODEL.provenance,),
    "model.maker_of": lambda: (["a", "b"],),
    "model.check_no_branches": lambda: (["a", "b"], "here"),
    "model.few": lambda: (["a", "b"],),
    "model.from_published": lambda: (WEIGHTS_OF, LINZAER, MODEL, "here"),
    "model.to_published": lambda: (LINZAER, MODEL),
    "model.from_maker": lambda: (WEIGHTS_OF, LINZAER, CONFIG, "here"),
    "model.opened": lambda: (ALWAYS, "hint"),
    "model.amdegroot_names": tuple,
    "model.linzaer_names": tuple,
    "model.reducedfc_names": tuple,
    "model.tensorflow_names": tuple,
    "model.torchvision_names": tuple,
    "model.vgg16_names": tuple,
    "model.is_torch": lambda: (b"PK\3\4",),
    "model.tensors": lambda: (CONFIG,),
    "model.check_own_layers": lambda: (HEADER, MODEL, "here"),
    "model.check_parameters": lambda: (MODEL, WEIGHTS_OF, "here"),
    "model.set_parameters": lambda: (MODEL, dict(WEIGHTS_OF), "here"),
    "model.check_same_network": lambda: (CONFIG, MODEL, "here"),
    "model.config_of": lambda: (HEADER, "here", ()),
    "model.contents_of": lambda: (MODEL,),
    "model.locate": lambda: ("shapes",),
    "model.optimiser_arrays": lambda: (HEADER, ["a"], "here"),
    "model.read_export": lambda: (str(locate("shapes")),),
    "model.sum_colours": lambda: (WEIGHTS_OF, CONFIG, CONFIG.input),
    "train.columns_for": lambda: (["a"], True),
    "train.read_log": lambda: (NOWHERE, 2),
    "train.frozen": lambda: (MODEL,),
    "train.save_checkpoint": lambda: (
        "c.npz", MODEL, SGD(MODEL.parameters), train.Progress(), CONFIG.training, {"a": 1}, True),
    "train.load_checkpoint": lambda: (
        "nowhere.npz", MODEL, SGD(MODEL.parameters), CONFIG.training, {"a": 1}, True),
    "train.averaged": lambda: (SGD(MODEL.parameters),),
    "train.optimiser_of": lambda: (CONFIG.training, MODEL, OPS, None),
    "train.check_parts": lambda: (print, lambda step: 0.1, SGD(MODEL.parameters)),
    "train.checked_loss": lambda: (
        train.LossAndGradients(1.0, LOGITS[None], OFFSETS[None], {"a": 1.0}),),
    "train.checked_rate": lambda: (0.1, 3),
    "train.name_of": lambda: (print,),
    "train.require_methods": lambda: ("callback", train.Log(), ["begin"], "hint"),
    "train.ssd_loss": lambda: (CONFIG, OPS),
    "train.accuracy": lambda: (
        train.Classifier(train.classifier_config(CONFIG, DATA.class_names)),
        train.classifier_config(CONFIG, DATA.class_names), DATA, 4),
    "train.check_callbacks": lambda: ([train.Log()],),
    "train.check_data": lambda: ("training", DATA, MODEL, 0),
    "train.mapping_of": lambda: ("training", DATA, MODEL),
    "train.beginning": lambda: (CONFIG, ["a"], None, False),
    "train.fitted": lambda: (CONFIG, DATA, 0, 4, None, "here", 2, None, None),
    "train.looks": lambda: (CONFIG.training, 20),
    "train.network": lambda: (CONFIG, 0, dict(WEIGHTS_OF), "here", "", ()),
    "train.settle": lambda: (MODEL, DATA, CONFIG.training),
    "train.validate_every": lambda: (CONFIG.training, 20),
    "train.validations": lambda: (20,),
    "viz.augmentation_figure": lambda: (SAMPLE, CONFIG, RNG, Figure()),
    "viz.replay": lambda: (SAMPLE, HISTORY),
    "viz.strip_figure": lambda: ([("a", IMAGE, BOXES)], Figure()),
    "viz.default_box_figure": lambda: (CONFIG, IMAGE, Figure(), (0.5, 0.5)),
    "viz.detection_figure": lambda: ([("a", IMAGE, BOXES, ["x"] * len(BOXES))], Figure()),
    "viz.draw_box": lambda: (axes(), (0.1, 0.1, 0.5, 0.5), "red", "-", 2.0),
    "viz.leave_room": lambda: (axes(), BOXES[:, :2]),
    "viz.number_at": lambda: (axes(), (0.5, 0.5), 3),
    "viz.panels_in": lambda: (Figure(), 3, 2),
    "viz.plain_numbers": lambda: (axes().xaxis,),
    "viz.show_image": lambda: (axes(), IMAGE, True),
    "viz.tidy": lambda: (axes(),),
    "viz.confusion_figure": lambda: (CONFUSED, Figure()),
    "viz.draw_outcome": lambda: (IMAGE, FOUND, TRUTH, CONFUSED.outcomes[0]),
    "viz.costs_figure": lambda: (list("abcdef"), SPEEDS, Figure()),
    "viz.coverage": lambda: (WEIGHTS, WEIGHTS * 90, Figure(), 0.5),
    "viz.scaled": lambda: (IMAGE, 64),
    "viz.decode_figure": lambda: (IMAGE, TOLD.detections[0], TOLD.suppressed, Figure()),
    "viz.mined_figure": lambda: (IMAGE, TOLD.mining, Figure()),
    "viz.boxes_figure": lambda: (BOXES, [CONFIG], Figure()),
    "viz.im2col_figure": lambda: (np.arange(16.0).reshape(4, 4), np.ones((2, 2)), Figure()),
    "viz.match_figure": lambda: (IMAGE, BOXES, DEFAULTS, Figure(), 0.5, 0.4),
    "viz.draw_ranks": lambda: (axes(), np.arange(9.0)[::-1] + 1, np.arange(9) < 3),
    "viz.mining_figure": lambda: (LOGITS, TARGETS, MINED, Figure()),
    "viz.feature_map_figure": lambda: (IMAGE, [("a", RNG.random((4, 5, 6)))], Figure(), 5),
    "viz.network_figure": lambda: (CONFIG, Figure()),
    "viz.show": tuple,
    "viz.receptive_field_figure": lambda: (
        CONFIG, Figure(), dict.fromkeys((m.name for m in CONFIG.feature_maps), 9.0)),
}  # fmt: skip


# in a sound call, by name: they are for files that some maker published
REFUSED = "model.from_published", "model.to_published", "model.from_maker"


# Called for each image, object or name, where a check would cost more than the step itself
EACH = {
    "boxes.box_shapes", "data.annotation_of", "data.below", "data.box_faults",
    "data.centres_inside", "data.check_area", "data.check_classes_of", "data.check_regular",
    "data.draw", "data.draw_canvas", "data.draw_layout", "data.draw_order", "data.draw_patches",
    "data.field", "data.halvings", "data.header_of", "data.hold_back", "data.images_by_stem",
    "data.label_file", "data.labels_of", "data.look", "data.look_resized", "data.make_item",
    "data.paint",
    "data.parse_annotation", "data.parse_line", "data.patches_pass", "data.place",
    "data.read_bytes", "data.read_item", "data.read_text", "data.relabel", "data.sample_at",
    "data.undecodable", "data.whole", "evaluate.check_sizes", "evaluate.clean",
    "evaluate.match_image", "evaluate.measured", "infer.average", "infer.numbers",
    "infer.shapes",
}  # fmt: skip
# steps inside of a source, a network or a training, which they take as a whole
INSIDE = {
    "data.check", "data.item_by_name", "data.open_split", "data.unknown_classes",
    "kinds.require_pad", "model.as_they_are", "model.build_stages", "model.changed",
    "model.maps_at_once", "model.plain", "model.steps_of", "nn.compiled", "nn.described",
    "train.begin", "train.check_before_writing", "train.check_ready", "train.claim_folder",
    "train.conditions_of", "train.first_broken", "train.report", "train.saving_first",
    "train.set_length", "train.sign", "train.untouched",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STEPS_OF)
def test_no_other_error(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    room, function = name.split(".")
    call, made = getattr(importlib.import_module(f"ssd_np.{room}"), function), STEPS_OF[name]
    try:
        call(*made())
    except SsdError as error:
        assert "nowhere" in str(error) or name in REFUSED, (name, error)
    found = list(leaks(call, made(), name, objects=True))
    assert not found, "\n".join([f"{len(found)} calls:", *found])


def function(name):
    room, _, own = name.split(":")[0].rpartition(".")
    return getattr(importlib.import_module(f"ssd_np.{room}"), own)


def test_every_public_function_is_walked():
    """All that a room's table of contents lists, and docs/api shows, but EACH and INSIDE."""
    walked = {*map(function, (*EXAMPLES, *STEPS_OF)), *(called for called, _ in CALLS.values())}
    left = set()
    for room in sorted(Path(ssd_np.__file__).parent.glob("**/__init__.py")):
        for name, home in homes(str(room)).items():
            one = getattr(importlib.import_module(home), name)
            if inspect.isfunction(one) and one not in walked:
                left.add(f"{room.parent.name}.{name}")
    assert left == EACH | INSIDE
