// The loss: the page's own loss/ room, one image at a time. Logits lie flat, K numbers a box.
"use strict";

/** (..., K) -> (..., K), each row minus the log of the sum of its exponentials. */
function logSoftmax(logits, classes) {
  const out = new Float64Array(logits.length);
  for (let row = 0; row < logits.length; row += classes) {
    let most = -Infinity, sum = 0;
    for (let k = 0; k < classes; k++) most = Math.max(most, logits[row + k]);
    for (let k = 0; k < classes; k++) sum += Math.exp(logits[row + k] - most);
    const shift = most + Math.log(sum);
    for (let k = 0; k < classes; k++) out[row + k] = logits[row + k] - shift;
  }
  return out;
}

function softmax(logits, classes) {
  return logSoftmax(logits, classes).map(Math.exp);
}

/** d^2 / (2 beta) near zero, |d| - beta / 2 far from it; d = pred - target. */
function smoothL1(d, beta = 1) {
  return Math.abs(d) < beta ? d * d / (2 * beta) : Math.abs(d) - beta / 2;
}

function smoothL1Backward(d, beta = 1) {
  return Math.min(Math.max(d / beta, -1), 1);
}

/** What each box costs as background: (T * K) -> (T). */
function backgroundLoss(logits, classes) {
  const logProbability = logSoftmax(logits, classes);
  return Float64Array.from({ length: logits.length / classes }, (_, t) => -logProbability[t * classes]);
}

/** The costliest negatives, max(ratio * positives, minimum) of them -> (T), 1 where mined. */
function mineHardNegatives(confidenceLoss, labels, ratio = 3, minimum = 0) {
  let positives = 0;
  const negatives = [];
  for (let t = 0; t < labels.length; t++) {
    if (labels[t] > 0) positives++;
    else if (labels[t] === 0) negatives.push(t);
  }
  const wanted = Math.max(Math.trunc(ratio * positives), minimum);
  negatives.sort((a, b) => confidenceLoss[b] - confidenceLoss[a] || a - b);
  const mined = new Uint8Array(labels.length);
  for (const t of negatives.slice(0, wanted)) mined[t] = 1;
  return mined;
}

/**
 * (L_conf + alpha * L_loc) / max(1, positives, mined / max(1, ratio)), and both gradients.
 * rule: {ratio, minimum, alpha}; `mined` keeps a choice made before (a gradient check needs that).
 */
function multiboxLoss(logits, offsets, labels, targetOffsets, classes, rule = {}, mined = null) {
  const { ratio = 3, minimum = 0, alpha = 1 } = rule;
  const logProbability = logSoftmax(logits, classes), boxes = labels.length;
  const costs = Float64Array.from({ length: boxes }, (_, t) => -logProbability[t * classes]);
  mined = mined || mineHardNegatives(costs, labels, ratio, minimum);
  let positives = 0, chosen = 0;
  for (let t = 0; t < boxes; t++) { positives += labels[t] > 0; chosen += mined[t]; }
  const normaliser = Math.max(1, positives, chosen / Math.max(1, ratio)), scale = 1 / normaliser;
  const dlogits = new Float64Array(logits.length), doffsets = new Float64Array(offsets.length);
  let confidence = 0, location = 0;
  for (let t = 0; t < boxes; t++) {
    if (!(labels[t] > 0 || mined[t])) continue;
    confidence -= logProbability[t * classes + labels[t]];
    for (let k = 0; k < classes; k++) {
      const oneHot = k === labels[t] ? 1 : 0;
      dlogits[t * classes + k] = scale * (Math.exp(logProbability[t * classes + k]) - oneHot);
    }
    if (!(labels[t] > 0)) continue;
    for (let k = 4 * t; k < 4 * t + 4; k++) {
      const d = offsets[k] - targetOffsets[k];
      location += smoothL1(d);
      doffsets[k] = alpha * scale * smoothL1Backward(d);
    }
  }
  confidence *= scale;
  location *= scale;
  return {
    total: confidence + alpha * location, confidence, location, positives, normaliser,
    minedCount: chosen, mined, costs, dlogits, doffsets,
  };
}
