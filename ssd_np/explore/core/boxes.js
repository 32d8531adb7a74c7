// Boxes: the page's own boxes/ room. Each function is named as the library's, in camel case, and
// tests/explore holds it against the library. Boxes lie flat, four numbers each (default boxes
// eight), as fractions of the image.
"use strict";

const BACKGROUND = -1, NEUTRAL = -2;

/** (xmin, ymin, xmax, ymax) -> (cx, cy, w, h), flat (N * 4). */
function cornerToCenter(boxes) {
  const out = new Float64Array(boxes.length);
  for (let i = 0; i < boxes.length; i += 4) {
    out[i] = (boxes[i] + boxes[i + 2]) / 2;
    out[i + 1] = (boxes[i + 1] + boxes[i + 3]) / 2;
    out[i + 2] = boxes[i + 2] - boxes[i];
    out[i + 3] = boxes[i + 3] - boxes[i + 1];
  }
  return out;
}

/** (cx, cy, w, h) -> (xmin, ymin, xmax, ymax), flat (N * 4). */
function centerToCorner(boxes) {
  const out = new Float64Array(boxes.length);
  for (let i = 0; i < boxes.length; i += 4) {
    out[i] = boxes[i] - boxes[i + 2] / 2;
    out[i + 1] = boxes[i + 1] - boxes[i + 3] / 2;
    out[i + 2] = boxes[i] + boxes[i + 2] / 2;
    out[i + 3] = boxes[i + 1] + boxes[i + 3] / 2;
  }
  return out;
}

/** Corner boxes cut at the border of the image, [0, 1]. */
function clip(boxesCorner) {
  return Float64Array.from(boxesCorner, value => Math.min(Math.max(value, 0), 1));
}

/** Width times height of box i; 0 for a reversed box. */
function area(boxesCorner, i = 0) {
  const [xmin, ymin, xmax, ymax] = boxesCorner.slice(4 * i, 4 * i + 4);
  return Math.max(xmax - xmin, 0) * Math.max(ymax - ymin, 0);
}

/** Intersection over union of every box of a with every box of b -> (A * B), row by row. */
function iouMatrix(aCorner, bCorner) {
  const rows = aCorner.length / 4, columns = bCorner.length / 4;
  const out = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    const left = aCorner[4 * i], top = aCorner[4 * i + 1];
    const right = aCorner[4 * i + 2], bottom = aCorner[4 * i + 3];
    const areaA = Math.max(right - left, 0) * Math.max(bottom - top, 0);
    for (let j = 0; j < columns; j++) {
      const x0 = bCorner[4 * j], y0 = bCorner[4 * j + 1];
      const x1 = bCorner[4 * j + 2], y1 = bCorner[4 * j + 3];
      const width = Math.max(Math.min(right, x1) - Math.max(left, x0), 0);
      const height = Math.max(Math.min(bottom, y1) - Math.max(top, y0), 0);
      const intersection = width * height;
      const union = areaA + Math.max(x1 - x0, 0) * Math.max(y1 - y0, 0) - intersection;
      out[i * columns + j] = union > 0 ? intersection / union : 0;
    }
  }
  return out;
}

// --- default boxes --------------------------------------------------------------------------------

/** (T * 8): cx cy w h and four variances; map by map, row by row, box by box of map.shapes. */
function defaultBoxes(config) {
  const out = [], [height, width] = config.input.size, cut = config.boxes.clip;
  const inside = value => Math.min(Math.max(value, 0), 1);
  for (const map of config.feature_maps) {
    const [rows, columns] = map.size, [down, across] = map.step;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (const [w, h] of map.shapes) {
          const center = [(column + 0.5) * across / width, (row + 0.5) * down / height];
          let box = [...center, w / width, h / height];
          if (cut === "all") box = box.map(inside);
          if (cut === "sizes") box = [box[0], box[1], Math.min(box[2], 1), Math.min(box[3], 1)];
          out.push(...box, ...config.boxes.variances);
        }
      }
    }
  }
  return Float64Array.from(out);
}

/** (T * 8) -> (T * 4) corners of the default boxes. */
function defaultCorners(defaults) {
  const centers = new Float64Array(defaults.length / 2);
  for (let t = 0; t < centers.length / 4; t++) {
    for (let k = 0; k < 4; k++) centers[4 * t + k] = defaults[8 * t + k];
  }
  return centerToCorner(centers);
}

function boxesOfMap(map) {
  return map.size[0] * map.size[1] * map.shapes.length;
}

/** Which map, cell and shape default box t is, with its boxes. */
function placeOf(config, defaults, t) {
  let first = 0, map = null;
  for (map of config.feature_maps) {
    if (t < first + boxesOfMap(map)) break;
    first += boxesOfMap(map);
  }
  const perCell = map.shapes.length, columns = map.size[1], cell = Math.floor((t - first) / perCell);
  const center = [...defaults.slice(8 * t, 8 * t + 4)];
  return {
    index: t, feature_map: map.name, row: Math.floor(cell / columns), column: cell % columns,
    shape: map.names[(t - first) % perCell], meaning: map.meanings[(t - first) % perCell], center,
      corner: [...centerToCorner(center)],
  };
}

// --- matching -------------------------------------------------------------------------------------

/** Which object each default box stands for: its index, -1 background, -2 neutral. */
function match(gtCorner, defaultCorner, threshold = 0.5, neutralThreshold = null) {
  const truths = gtCorner.length / 4, boxes = defaultCorner.length / 4;
  const iou = iouMatrix(gtCorner, defaultCorner);
  return matchIou(iou, truths, boxes, threshold, neutralThreshold);
}

/** The same from the overlaps (G * T): rule two first, then rule one, which overwrites it. */
function matchIou(iou, truths, boxes, threshold = 0.5, neutralThreshold = null) {
  const matched = byThreshold(iou, truths, boxes, threshold, neutralThreshold);
  for (const [g, t] of bestPairs(iou, truths, boxes)) matched[t] = g;
  return matched;
}

/** Rule one: the best pair of all, then the best among the rest, ... as [object, box]. */
function bestPairs(iou, truths, boxes) {
  const pairs = [], served = new Set(), taken = new Set();
  while (served.size < truths) {
    let best = 0, pair = null;
    for (let g = 0; g < truths; g++) {
      if (served.has(g)) continue;
      for (let t = 0; t < boxes; t++) {
        if (iou[g * boxes + t] > best && !taken.has(t)) { best = iou[g * boxes + t]; pair = [g, t]; }
      }
    }
    if (!pair) break;
    served.add(pair[0]);
    taken.add(pair[1]);
    pairs.push(pair);
  }
  return pairs;
}

/** Rule two: every box joins its best object from the threshold on; a little below, it is neutral. */
function byThreshold(iou, truths, boxes, threshold, neutralThreshold) {
  const neutral = neutralThreshold === null ? threshold : neutralThreshold;
  const matched = new Int32Array(boxes).fill(BACKGROUND);
  for (let t = 0; t < boxes; t++) {
    let best = -1, whose = BACKGROUND;
    for (let g = 0; g < truths; g++) {
      if (iou[g * boxes + t] > best) { best = iou[g * boxes + t]; whose = g; }
    }
    if (best >= threshold) matched[t] = whose;
    else if (best >= neutral) matched[t] = NEUTRAL;
  }
  return matched;
}

/** A well-known mistake in place of rule one: all take their best box, the last to come keeps it. */
function matchLastWins(gtCorner, defaultCorner, threshold = 0.5, neutralThreshold = null) {
  const truths = gtCorner.length / 4, boxes = defaultCorner.length / 4;
  const iou = iouMatrix(gtCorner, defaultCorner);
  const matched = byThreshold(iou, truths, boxes, threshold, neutralThreshold);
  for (let g = 0; g < truths; g++) {
    const row = iou.subarray(g * boxes, (g + 1) * boxes);
    const best = Math.max(...row);
    if (best > 0) matched[row.indexOf(best)] = g;
  }
  return matched;
}

// --- offsets --------------------------------------------------------------------------------------

/** Offsets that lead from each default box (T * 8) to its object (T * 4, center form) -> (T * 4). */
function encode(gtCenter, defaults) {
  const out = new Float64Array(gtCenter.length);
  for (let t = 0; t < gtCenter.length / 4; t++) {
    const d = defaults.subarray(8 * t, 8 * t + 8), g = gtCenter.subarray(4 * t, 4 * t + 4);
    out[4 * t] = (g[0] - d[0]) / d[2] / d[4];
    out[4 * t + 1] = (g[1] - d[1]) / d[3] / d[5];
    out[4 * t + 2] = Math.log(g[2] / d[2]) / d[6];
    out[4 * t + 3] = Math.log(g[3] / d[3]) / d[7];
  }
  return out;
}

/** The inverse of encode: (T * 4), (T * 8) -> (T * 4) in center form. */
function decode(offsets, defaults, maxExponent = null) {
  const out = new Float64Array(offsets.length), limit = maxExponent === null ? Infinity : maxExponent;
  for (let t = 0; t < offsets.length / 4; t++) {
    const d = defaults.subarray(8 * t, 8 * t + 8);
    out[4 * t] = d[0] + offsets[4 * t] * d[4] * d[2];
    out[4 * t + 1] = d[1] + offsets[4 * t + 1] * d[5] * d[3];
    out[4 * t + 2] = d[2] * Math.exp(Math.min(offsets[4 * t + 2] * d[6], limit));
    out[4 * t + 3] = d[3] * Math.exp(Math.min(offsets[4 * t + 3] * d[7], limit));
  }
  return out;
}

/** Matches become labels (T; 0 background, -1 neutral) and offsets (T * 4). */
function targetsOf(matched, gtCorner, gtLabels, defaults) {
  const labels = new Int32Array(matched.length), offsets = new Float64Array(4 * matched.length);
  const centers = cornerToCenter(Float64Array.from(gtCorner));
  for (let t = 0; t < matched.length; t++) {
    const g = matched[t];
    if (g === NEUTRAL) labels[t] = -1;
    if (g < 0) continue;
    labels[t] = gtLabels[g];
    offsets.set(encode(centers.subarray(4 * g, 4 * g + 4), defaults.subarray(8 * t, 8 * t + 8)), 4 * t);
  }
  return { labels, offsets };
}

/** What the network should have said: labels (T) and offsets (T * 4). */
function makeTargets(gtCorner, gtLabels, defaults, threshold = 0.5, neutralThreshold = null) {
  const matched = match(gtCorner, defaultCorners(defaults), threshold, neutralThreshold);
  return targetsOf(matched, gtCorner, gtLabels, defaults);
}

// --- suppression ----------------------------------------------------------------------------------

/** Indices of the topK highest scores, best first; of equal ones the lower index. */
function bestFirst(scores, topK = null) {
  const order = Array.from(scores, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b);
  return topK === null ? order : order.slice(0, topK);
}

/** Greedy non-maximum suppression: kept indices, best first. */
function nms(boxesCorner, scores, iouThreshold = 0.45, topK = null) {
  return suppress(boxesCorner, scores, iouThreshold, topK).kept;
}

/** The same with who dropped whom: kept indices, and dropped as {index, by, iou}. */
function suppress(boxesCorner, scores, iouThreshold = 0.45, topK = null) {
  const kept = [], dropped = [];
  for (const index of bestFirst(scores, topK)) {
    const by = kept.find(k => _overlap(boxesCorner, k, index) > iouThreshold);
    if (by === undefined) kept.push(index);
    else dropped.push({ index, by, iou: _overlap(boxesCorner, by, index) });
  }
  return { kept, dropped };
}

/** IoU of box i and box j of one list. */
function _overlap(boxes, i, j) {
  i *= 4;
  j *= 4;
  const width = Math.min(boxes[i + 2], boxes[j + 2]) - Math.max(boxes[i], boxes[j]);
  const height = Math.min(boxes[i + 3], boxes[j + 3]) - Math.max(boxes[i + 1], boxes[j + 1]);
  if (width <= 0 || height <= 0) return 0;
  const a = (boxes[i + 2] - boxes[i]) * (boxes[i + 3] - boxes[i + 1]);
  const b = (boxes[j + 2] - boxes[j]) * (boxes[j + 3] - boxes[j + 1]);
  return width * height / (a + b - width * height);
}
