"""What `ssd-np explain` finds and says, the page finds and says: one report, word for word."""

import dataclasses
import json

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from test_cases import differences

from ssd_np.config import MatchingConfig, load_config
from ssd_np.data.image import preprocess
from ssd_np.data.shapes import ShapesDataset
from ssd_np.explore.build import core_sources
from ssd_np.explore.described import described
from ssd_np.explore.pictures import crowd
from ssd_np.infer.explain import explain
from ssd_np.infer.explain_text import to_json
from ssd_np.model.ssd import SSD
from ssd_np.model.weights import load
from ssd_np.records import Truth

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
# the page's words for an image: the same records as explain's, as JSON
EXPLAIN = """(config, truth, logits, offsets) => {
  const defaults = defaultBoxes(config), corner = Float64Array.from(truth.corners.flat());
  const { threshold, neutral_threshold: neutral } = config.matching, rule = config.decoding;
  const found = explainMatching(config, defaults, corner, truth.labels, threshold, neutral);
  const { labels } = targetsOf(found.matched, corner, truth.labels, defaults);
  const loss = { ratio: config.loss.ratio, minimum: config.loss.minimum_negatives };
  const mining = explainMining(config, defaults, Float64Array.from(logits.flat()), labels, found.iou, loss);
  const out = detect(Float64Array.from(logits.flat()), Float64Array.from(offsets.flat()), defaults,
    logits[0].length, { score: rule.show_threshold, iou: rule.iou_threshold,
    topKClass: rule.top_k_class, topK: rule.top_k, clip: rule.clip, maxExponent: rule.max_exponent });
  const name = label => config.class_names[label - 1], place = t => placeOf(config, defaults, t);
  return {
    objects: found.objects, neutral: found.neutral,
    mining: { positives: mining.positives, wanted: mining.wanted, mined: mining.mined,
              first_left_out: mining.first_left_out },
    detections: out.detections.map(d => ({ name: name(d.label), score: d.score, corner: d.corner,
      place: place(d.t), offsets: offsets[d.t], variances: config.boxes.variances,
      arithmetic: decodingLines(defaults.slice(8 * d.t, 8 * d.t + 8), offsets[d.t], rule.max_exponent) })),
    suppressed: out.dropped.map(d => ({ name: name(d.label), score: d.score, place: place(d.t),
      by: out.detections.findIndex(k => k.t === d.by && k.label === d.label), iou: d.iou })),
  };
}"""  # noqa: E501


@pytest.fixture(scope="module")
def core():
    browser = Browser()
    browser.run("\n".join(core_sources()) + "; 0")
    yield browser
    browser.close()


def situations():
    """(name, model, image, truth): the shipped weights, a neutral zone, conflicts, no objects."""
    model, data = load("shapes"), ShapesDataset(1_000_003, 40)
    for index in (4, 18, 36):
        yield f"picture {index}", model, data[index].image, data.truth(index)
    zone = SSD(dataclasses.replace(model.config, matching=MatchingConfig(0.5, 0.3)))
    for name, parameter in zone.parameters.items():
        parameter.assign(model.parameters[name].value)
    yield "neutral zone", zone, data[20].image, data.truth(20)
    yield "one box for two objects", model, crowd().image, crowd().truth
    over = Truth([[0.3, 0.2, 0.8, 0.7], [0.34, 0.23, 0.88, 0.71]], [3, 4])
    yield "two objects on each other", model, data[0].image, over
    beyond = Truth([[-0.2, 0.1, 0.3, 0.6], [1.2, 1.2, 1.4, 1.4]], [1, 2])
    yield "beyond the border", model, data[0].image, beyond
    yield "no object", model, data[0].image, Truth(np.zeros((0, 4)), [])


@pytest.mark.parametrize(("name", "model", "image", "truth"), list(situations()))
def test_the_page_says_what_explain_says(core, name, model, image, truth):
    expected = to_json(explain(model, image, truth))
    logits, offsets = model.forward(preprocess(image, model.config)[None])
    told = {"corners": truth.boxes_corner.tolist(), "labels": truth.labels.tolist()}
    values = (described(model.config), told, logits[0].tolist(), offsets[0].tolist())
    got = core.run(f"({EXPLAIN})({','.join(json.dumps(value) for value in values)})")
    assert got.keys() <= expected.keys()
    for part, answer in got.items():
        assert differences(expected[part], answer, part)[:5] == []


def test_the_situations_hold_what_they_should():
    """Both rules, runners-up of every kind, neutral boxes, an object without a box."""
    reports = [explain(model, image, truth) for _, model, image, truth in situations()]
    reasons = " ".join(o.runner_up.reason for r in reports for o in r.objects if o.runner_up)
    for words in ("background", "neutral", "best box of object", "overlaps object"):
        assert words in reasons, words
    assert any(r.neutral for r in reports) and any(r.suppressed for r in reports)
    assert any(not o.matches for r in reports for o in r.objects)
    assert load_config("tiny").matching.neutral_threshold is None
