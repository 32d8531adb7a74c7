// Runs the network beside the page, which therefore never waits: forward, training, gradient check.
// It is started from the text of the core files and this one. A message is {kind, ...}.
"use strict";

let config = null, base = null;  // the page's weights, never changed
let current = null;  // those that forward uses: base with edits, or what was trained
let training = null;  // {optimiser, step, running, task}

onmessage = ({ data }) => ({ start, weights, look, forward, train, pause, reset, check }[data.kind])(data);

function start(data) {
  config = data.config;
  weights(data);
}

function weights({ parameters }) {
  base = parameters;
  current = copyParameters(base);
  training = null;
}

/** A photograph as the network sees it. What is transparent is white, as on a page. */
function look({ bitmap }) {
  const { width, height } = bitmap, context = new OffscreenCanvas(width, height).getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height), pixels = new Uint8Array(width * height * 3);
  for (let i = 0, to = 0; i < data.length; i += 4) {
    pixels[to++] = data[i];
    pixels[to++] = data[i + 1];
    pixels[to++] = data[i + 2];
  }
  postMessage({ kind: "looked", input: preprocess(pixels, height, width, config.input) });
}

/** Outputs and all maps of a picture. edits: [{name, index, value}] on the page's own weights. */
function forward({ id, input, edits }) {
  if (!training) {
    current = copyParameters(base);
    for (const { name, index, value } of edits) current[name].value[index] = value;
  }
  const net = new Network(config, current), begun = performance.now();
  const outputs = net.forward(input), milliseconds = performance.now() - begun;
  postMessage({ kind: "outputs", id, ...outputs, maps: mapsOf(net), milliseconds });
}

/** What every layer put out, by name; a convolution's before its ReLU as well. */
function mapsOf(net) {
  const maps = { input: net.steps[0].x };
  for (const step of net.steps) maps[step.layer.name] = step.out;
  for (const head of net.heads) {
    if (head.norm) maps[`${head.map.name}_norm`] = head.norm.out;
    maps[`conf_${head.map.name}`] = head.conf.out;
    maps[`loc_${head.map.name}`] = head.loc.out;
  }
  return maps;
}

// --- training -------------------------------------------------------------------------------------

/** Learn one picture by heart until told to pause, or up to `until` steps. */
function train({ task, until }) {
  if (!training) {
    current = task.from === "nothing" ? freshParameters(base, task.seed) : copyParameters(base);
    training = { optimiser: new SGD(current, { momentum: 0.9, clipNorm: 10 }), step: 0 };
  }
  Object.assign(training, { task, until, running: true });
  loop(training);
}

function pause() {
  if (training) training.running = false;
}

function reset() {
  training = null;
  current = copyParameters(base);
  postMessage({ kind: "reset" });
}

function loop(mine) {
  if (training !== mine || !mine.running || mine.step >= mine.until) {
    if (training === mine) { mine.running = false; postMessage({ kind: "paused", step: mine.step }); }
    return;
  }
  const begun = performance.now(), { task } = mine;
  const net = new Network(config, current);
  net.flipped = task.flipped;
  const { logits, offsets } = net.forward(task.input);
  const loss = multiboxLoss(logits, offsets, task.labels, task.offsets, net.classes, task.rule);
  const norm = mine.optimiser.step(net.backward(loss.dlogits, loss.doffsets), task.rate);
  mine.step += 1;
  postMessage({ kind: "step", step: mine.step, total: loss.total, confidence: loss.confidence,
    location: loss.location, mined: loss.mined, norm, logits, offsets,
    milliseconds: performance.now() - begun });
  setTimeout(() => loop(mine), 0);  // so that a message to pause is heard
}

// --- gradient check -------------------------------------------------------------------------------

/** Backward against (L(w + e) - L(w - e)) / 2e in double precision, some weights of every depth. */
function check({ task, entries }) {
  const parameters = copyParameters(current, Float64Array);
  const input = Float64Array.from(task.input), net = new Network(config, parameters);
  net.flipped = task.flipped;
  const lossOf = mined => {
    const { logits, offsets } = net.forward(input);
    return multiboxLoss(logits, offsets, task.labels, task.offsets, net.classes, task.rule, mined);
  };
  const loss = lossOf(null), grads = net.backward(loss.dlogits, loss.doffsets), e = 1e-5;
  const rows = entries.slice();
  const next = () => {
    if (!rows.length) { postMessage({ kind: "checked" }); return; }
    const name = rows.shift(), { value } = parameters[name];
    // the entry with the largest gradient: there is something to compare
    let index = 0;
    grads[name].forEach((g, i) => { if (Math.abs(g) > Math.abs(grads[name][index])) index = i; });
    const kept = value[index];
    value[index] = kept + e;
    const above = lossOf(loss.mined).total;
    value[index] = kept - e;
    const below = lossOf(loss.mined).total;
    value[index] = kept;
    const numeric = (above - below) / (2 * e), analytic = grads[name][index];
    const size = Math.max(Math.abs(numeric), Math.abs(analytic), 1e-8);
    postMessage({ kind: "checking", name, index, numeric, analytic,
      error: Math.abs(numeric - analytic) / size });
    setTimeout(next, 0);
  };
  next();
}
