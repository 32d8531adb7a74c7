// Runs the page's own functions on cases (see cases.py): plain lists in, plain lists out.
"use strict";

const flat = value => Float64Array.from(value.flat(Infinity));
const list = value => Array.from(value);
const rows = (values, width) => Array.from({ length: values.length / width },
  (_, i) => list(values.slice(i * width, (i + 1) * width)));
const cube = ({ height, width, channels, data }) =>
  rows(list(rows(data, channels)), width).slice(0, height);
const block = value => ({ height: value.length, width: value[0].length, channels: value[0][0].length,
  data: flat(value) });
const whole = value => Uint8Array.from(value.flat(Infinity));

const RUN = {
  default_boxes({ config, rows: wanted }) {
    const every = defaultBoxes(config);
    return { count: every.length / 8, rows: wanted.map(t => list(every.slice(8 * t, 8 * t + 8))) };
  },
  corner_to_center: ({ boxes }) => rows(cornerToCenter(flat(boxes)), 4),
  center_to_corner: ({ boxes }) => rows(centerToCorner(flat(boxes)), 4),
  iou_matrix({ a_corner, b_corner }) {
    const iou = iouMatrix(flat(a_corner), flat(b_corner));
    return a_corner.map((_, i) => list(iou.slice(i * b_corner.length, (i + 1) * b_corner.length)));
  },
  match_iou: ({ iou, boxes, threshold, neutral_threshold }) =>
    list(matchIou(flat(iou), iou.length, boxes, threshold, neutral_threshold || null)),
  match: ({ gt_corner, default_corner, threshold, neutral_threshold }) =>
    list(match(flat(gt_corner), flat(default_corner), threshold, neutral_threshold || null)),
  make_targets({ gt_corner, gt_labels, threshold, neutral_threshold }) {
    const { labels, offsets } = makeTargets(flat(gt_corner), gt_labels, defaultBoxes(TINY), threshold,
                                            neutral_threshold || null);
    const chosen = list(labels.keys()).filter(t => labels[t] !== 0);
    return { rows: chosen, labels: chosen.map(t => labels[t]),
      offsets: chosen.map(t => list(offsets.slice(4 * t, 4 * t + 4))) };
  },
  encode: ({ gt_center, default_boxes }) => rows(encode(flat(gt_center), flat(default_boxes)), 4),
  decode: ({ offsets, default_boxes, max_exponent }) =>
    rows(decode(flat(offsets), flat(default_boxes), max_exponent || null), 4),
  nms: ({ boxes_corner, scores, iou_threshold, top_k }) =>
    nms(flat(boxes_corner), scores, iou_threshold, top_k),
  softmax: ({ logits }) => rows(softmax(flat(logits), logits[0].length), logits[0].length),
  log_softmax: ({ logits }) => rows(logSoftmax(flat(logits), logits[0].length), logits[0].length),
  smooth_l1: ({ d }) => ({ out: d.map(v => smoothL1(v)), dpred: d.map(v => smoothL1Backward(v)) }),
  mine_hard_negatives: ({ confidence_loss, labels, ratio, minimum }) =>
    list(mineHardNegatives(confidence_loss, labels, ratio, minimum)),
  multibox_loss({ logits, offsets, target_labels, target_offsets, ratio, alpha, minimum }) {
    const classes = logits[0].length;
    const loss = multiboxLoss(flat(logits), flat(offsets), target_labels, flat(target_offsets), classes,
                              { ratio, alpha, minimum });
    return { total: loss.total, location: loss.location, confidence: loss.confidence,
      mined: list(loss.mined), dlogits: rows(loss.dlogits, classes), doffsets: rows(loss.doffsets, 4) };
  },
  conv2d({ x, w, b, stride, pad, dilation, dout }) {
    const shape = [w.length, w[0].length, w[0][0].length, w[0][0][0].length];
    const input = block(x);
    const { out, cache } = conv2dForward(input, { shape, value: flat(w) }, { value: flat(b) },
                                         { stride, pad: [[pad, pad], [pad, pad]], dilation });
    const { dx, dw, db } = conv2dBackward(flat(dout), cache);
    const kernel = rows(rows(rows(dw, shape[3]), shape[2]), shape[1]);
    return { out: cube(out), dx: cube({ ...input, data: dx }), dw: kernel, db: list(db) };
  },
  depthwise({ x, w, b, stride, pad, dilation, dout }) {
    const shape = [w.length, w[0].length, w[0][0].length], input = block(x);
    const { out, cache } = depthwiseForward(input, { shape, value: flat(w) }, { value: flat(b) },
                                            { stride, pad: [[pad, pad], [pad, pad]], dilation });
    const { dx, dw, db } = depthwiseBackward(flat(dout), cache);
    return { out: cube(out), dx: cube({ ...input, data: dx }), dw: rows(rows(dw, shape[2]), shape[1]),
      db: list(db) };
  },
  activation({ x, activation, dout }) {
    const out = activationForward(flat(x), activation);
    return { out: list(out), dx: list(activationBackward(flat(dout), out, activation)) };
  },
  max_pool2d({ x, size, stride, pad, ceil, dout }) {
    const input = block(x);
    const { out, cache } = maxPool2dForward(input, { size, stride, pad: [[pad, pad], [pad, pad]], ceil });
    return { out: cube(out), dx: cube({ ...input, data: maxPool2dBackward(flat(dout), cache) }) };
  },
  l2norm({ x, scale, eps, form, dout }) {
    const input = block(x);
    const { out, cache } = l2normForward(input, scale, eps, form);
    const { dx, dscale } = l2normBackward(flat(dout), cache);
    return { out: cube(out), dx: cube({ ...input, data: dx }), dscale: list(dscale) };
  },
  resize: ({ image, height, width }) => cube({ height, width, channels: 3,
    data: resizeAntialias(whole(image), image.length, image[0].length, height, width) }),
  preprocess({ image, input }) {
    const seen = cube({ height: input.size[0], width: input.size[1], channels: 3,
      data: preprocess(whole(image), image.length, image[0].length, input) });
    return { rows: seen.filter((_, y) => y % 31 === 0).map(row => row.filter((_, x) => x % 17 === 0)) };
  },
  detect({ logits, offsets, score, iou, top_k }) {
    const rule = { score, iou, topKClass: TINY.decoding.top_k_class, topK: top_k,
      clip: TINY.decoding.clip, maxExponent: TINY.decoding.max_exponent };
    const { detections } = detect(flat(logits), flat(offsets), defaultBoxes(TINY), logits[0].length, rule);
    return { boxes_corner: detections.map(d => d.corner), labels: detections.map(d => d.label),
      scores: detections.map(d => d.score) };
  },
  average_precision({ boxes_corner, labels, scores, gt_corner, gt_labels, class_names }) {
    const found = labels.map((label, i) => ({ label, score: scores[i], corner: boxes_corner[i] }));
    const { verdicts } = judge(found, flat(gt_corner), gt_labels);
    return Object.fromEntries([...new Set(gt_labels)].map(label => {
      const own = verdicts.filter((_, i) => labels[i] === label).map(v => v.right);
      const { recall, precision } = precisionRecall(own, gt_labels.filter(k => k === label).length);
      return [class_names[label - 1], { ap: averagePrecision(recall, precision), recall, precision }];
    }));
  },
};
