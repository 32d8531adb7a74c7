"""Published SSD300 files in and out: names, layouts, dialects, and detections as PyTorch's."""

import dataclasses
import zipfile

import numpy as np
import pytest

from ssd_np.cli import main
from ssd_np.config import config_to_json, load_config
from ssd_np.dialects import in_dialect
from ssd_np.errors import ConfigError, WeightsError
from ssd_np.model.published import amdegroot_names, torchvision_names
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import export_torchvision, load, load_torch, save

pytest.importorskip("torch")  # the network's oracle is built from it
from published_in_torch import (
    amdegroot_name,
    narrow,
    random_torch_ssd,
    torch,
)

VOC = narrow(load_config("ssd300_voc"), 16)
COCO = narrow(load_config("ssd300_coco"), 16)


@pytest.fixture(scope="module")
def coco_net():
    return random_torch_ssd(classes=91, divisor=16)


@pytest.fixture
def coco_file(coco_net, tmp_path):
    torch.save(coco_net.state_dict(), tmp_path / "coco.pth")
    return tmp_path / "coco.pth"


def write(tmp_path, tensors, name="changed.pth"):
    torch.save(tensors, tmp_path / name)
    return tmp_path / name


# --- names ---------------------------------------------------------------------------------------


def test_amdegroots_names_follow_from_torchvisions():
    both = zip(torchvision_names().items(), amdegroot_names().items(), strict=True)
    for (ours, theirs), (same, name) in both:
        assert ours == same and name == amdegroot_name(theirs)
    names = amdegroot_names()
    assert names["conv11_2.bias"] == "extras.7.bias" and names["fc7.weight"] == "vgg.33.weight"


# --- reading -------------------------------------------------------------------------------------


def test_a_torchvision_file_brings_its_weights_and_its_dialect(coco_net, coco_file):
    model = load_torch(coco_file, COCO)
    tensors = coco_net.state_dict()
    for ours, theirs in torchvision_names().items():
        value = tensors[theirs].numpy()
        value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value
        np.testing.assert_array_equal(model.parameters[ours].value, value)
    config = model.config
    assert config.boxes.clip == "sizes" and model.default_boxes[:, 2:4].max() == 1
    assert config.decoding.clip == "before_nms"
    assert config.decoding.max_exponent == pytest.approx(4.1351666)
    assert (config.l2norm.form, config.l2norm.eps) == ("max", 1e-12)
    assert config.input.mean == tuple(
        255 * m for m in (0.48235, 0.45882, 0.40784)
    ) and config.input.std == (1, 1, 1)
    assert config.input.resize == "half_pixel"
    assert config.num_classes == 90
    assert config.class_names[0] == "person" and config.class_names[11] == "N/A"
    assert config.class_names[89] == "toothbrush"  # id 90 of COCO


@pytest.mark.parametrize("new_format", [True, False])
def test_amdegroots_file_in_both_formats(tmp_path, new_format):
    net = random_torch_ssd(classes=21, divisor=16)
    tensors = {amdegroot_name(name): tensor for name, tensor in net.state_dict().items()}
    path = tmp_path / "ssd300.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=new_format)
    model = load_torch(path, VOC)
    kernel = tensors["conf.3.weight"].numpy().transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(model.parameters["conf_conv9_2.weight"].value, kernel)
    scale = tensors["L2Norm.weight"].numpy()
    np.testing.assert_array_equal(model.parameters["conv4_3_norm.scale"].value, scale)
    config = model.config
    assert config.boxes.clip == "all" and config.l2norm.form == "outside"
    assert config.input.mean == (123, 117, 104) and config.decoding.top_k_class == 200
    assert (
        np.abs(model.default_boxes - SSD(VOC).default_boxes).max(axis=1).astype(bool).sum() == 134
    )


def test_a_training_checkpoint_of_a_parallel_model_is_read(coco_net, tmp_path):
    tensors = {f"module.{name}": tensor for name, tensor in coco_net.state_dict().items()}
    model = load_torch(write(tmp_path, {"model": tensors, "epoch": 3}), COCO)
    assert model.config.boxes.clip == "sizes"


def test_missing_and_surplus_tensors_are_named(coco_net, tmp_path):
    tensors = dict(coco_net.state_dict())
    tensors["backbone.extra.5.0.weight"] = tensors.pop("backbone.extra.4.2.bias")
    with pytest.raises(WeightsError) as caught:
        load_torch(write(tmp_path, tensors), COCO)
    assert "missing tensors: ['backbone.extra.4.2.bias']" in str(caught.value)
    assert "surplus: ['backbone.extra.5.0.weight']" in str(caught.value)
    assert "changed.pth" in str(caught.value)


def test_a_wrong_shape_is_named(coco_net, tmp_path):
    tensors = dict(coco_net.state_dict())
    tensors["backbone.extra.1.2.weight"] = tensors["backbone.extra.1.2.weight"][:, :, :1, :1]
    with pytest.raises(
        WeightsError, match=r"backbone\.extra\.1\.2\.weight: shape \(32, 16, 1, 1\)"
    ):
        load_torch(write(tmp_path, tensors), COCO)


def test_another_number_of_classes_is_told(coco_file):
    with pytest.raises(WeightsError, match=r"the file has 91 classes .*, the config 21"):
        load_torch(coco_file, VOC)


def test_files_of_other_networks_are_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"\['features\.0\.weight'\].*--base-weights"):
        load_torch(write(tmp_path, {"features.0.weight": torch.ones(2)}), VOC)


def test_a_config_with_other_layers_has_no_published_names(coco_file):
    with pytest.raises(WeightsError, match=r"'ssd512_coco' is not the published SSD300.*conv12_1"):
        load_torch(coco_file, narrow(load_config("ssd512_coco"), 16))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.999])
def test_a_truncated_file_is_refused(coco_file, keep):
    raw = coco_file.read_bytes()
    coco_file.write_bytes(raw[: int(keep * len(raw))])
    with pytest.raises(WeightsError, match=r"coco\.pth"):
        load_torch(coco_file, COCO)


# --- the way out ---------------------------------------------------------------------------------


def test_import_after_export_is_the_identity(tmp_path):
    """Weights, names and every choice of the config, though its dialect is not torchvision's."""
    config = dataclasses.replace(VOC, matching=dataclasses.replace(VOC.matching, threshold=0.6))
    model = SSD(config, seed=5)
    export_torchvision(tmp_path / "out.npz", model)
    back = load_torch(tmp_path / "out.npz")
    assert back.config == config
    for name, parameter in model.parameters.items():
        np.testing.assert_array_equal(back.parameters[name].value, parameter.value)
    given = load_torch(tmp_path / "out.npz", VOC)
    assert given.config == VOC


def test_export_after_import_gives_the_file_that_torch_loads(coco_net, coco_file, tmp_path):
    export_torchvision(tmp_path / "out.npz", load_torch(coco_file, COCO))
    arrays = np.load(tmp_path / "out.npz")
    fresh = random_torch_ssd(classes=91, divisor=16, seed=9)
    fresh.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    for name, tensor in coco_net.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor), name


def test_arrays_under_torchvisions_names_from_elsewhere_get_its_dialect(coco_net, tmp_path):
    arrays = {name: tensor.numpy() for name, tensor in coco_net.state_dict().items()}
    np.savez(tmp_path / "theirs.npz", **arrays)
    assert load_torch(tmp_path / "theirs.npz", COCO).config == in_dialect(COCO, "torchvision")


def test_what_is_not_the_published_network_is_not_exported(tmp_path):
    with pytest.raises(WeightsError, match=r"config 'tiny' is not the published SSD300") as caught:
        export_torchvision(tmp_path / "out.npz", SSD(load_config("tiny")))
    assert len(str(caught.value)) < 300  # a line to read, not the names of seventy tensors
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("size", [304, (300, 304)])
def test_another_size_of_image_is_not_exported(size, tmp_path):
    """Its maps are as large, so that names and shapes would fit; its boxes would not."""
    config = dataclasses.replace(VOC, input=dataclasses.replace(VOC.input, size=size))
    with pytest.raises(WeightsError, match=r"sees images of 30[04] x 30[04] pixels"):
        export_torchvision(tmp_path / "out.npz", SSD(config))
    assert not (tmp_path / "out.npz").exists()


def test_a_damaged_export_is_refused(tmp_path):
    export_torchvision(tmp_path / "out.npz", SSD(VOC))
    raw = bytearray((tmp_path / "out.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "out.npz").write_bytes(raw)
    with pytest.raises(WeightsError, match=r"out\.npz"):
        load_torch(tmp_path / "out.npz")
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    with pytest.raises(WeightsError, match="named neither"):
        load_torch(tmp_path / "empty.npz")


# --- fine-tuning ---------------------------------------------------------------------------------


def test_replace_heads_keeps_all_but_the_class_heads(tmp_path):
    model = SSD(VOC, seed=5)
    save(tmp_path / "w.npz", model)
    tuned = load(tmp_path / "w.npz", replace_heads=["apple", "pear"])
    assert tuned.config == dataclasses.replace(VOC, class_names=("apple", "pear"))
    for name, parameter in tuned.parameters.items():
        if name.startswith("conf_"):
            boxes = model.parameters[name].value.shape[-1] // 21
            assert parameter.value.shape[-1] == 3 * boxes
        else:
            np.testing.assert_array_equal(parameter.value, model.parameters[name].value)
    fresh = load(tmp_path / "w.npz", replace_heads=[name.upper() for name in VOC.class_names])
    old, new = (m.parameters["conf_fc7.weight"].value for m in (model, fresh))
    assert old.shape == new.shape and np.abs(old - new).max() > 0  # other classes start anew


@pytest.mark.parametrize("names", ["person", [], ["a", "a"]])
def test_replace_heads_wants_a_list_of_names(tmp_path, names):
    save(tmp_path / "w.npz", SSD(VOC))
    with pytest.raises(ConfigError):
        load(tmp_path / "w.npz", replace_heads=names)


# --- the whole way, on the command line ----------------------------------------------------------


def test_import_export_import_on_the_command_line(coco_file, tmp_path, capsys):
    config = tmp_path / "narrow.json"
    config.write_text(config_to_json(COCO))
    first, out, second = (str(tmp_path / name) for name in ("a.npz", "b.npz", "c.npz"))
    assert main(["import", str(coco_file), first, "--config", str(config)]) == 0
    assert main(["export", "--to", "torchvision", first, out]) == 0
    said = capsys.readouterr().out
    assert "num_classes=91" in said and "image_mean=[0.48235, 0.45882, 0.40784]" in said
    assert "DefaultBoxGenerator" not in said  # torchvision's own boxes fit
    assert main(["import", out, second]) == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "c.npz").read_bytes()
