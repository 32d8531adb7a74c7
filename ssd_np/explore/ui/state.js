// What the reader has chosen, all of it in the address, and what follows from it.
"use strict";

const DATA = JSON.parse(document.getElementById("data").textContent);
const CONFIG = DATA.config;
const NAMES = CONFIG.class_names;
const K = NAMES.length + 1;  // classes with the background
const DEFAULTS = defaultBoxes(CONFIG);
const CORNERS = defaultCorners(DEFAULTS);
const BOXES = DEFAULTS.length / 8;

const START = {
  part: "match", picture: 0, truth: null, threshold: CONFIG.matching.threshold,
  neutral: CONFIG.matching.neutral_threshold, ratio: CONFIG.loss.ratio,
  minimum: CONFIG.loss.minimum_negatives, score: CONFIG.decoding.show_threshold,
  iou: CONFIG.decoding.iou_threshold, object: 0, box: null, found: null, raw: false, map: 0, cell: null,
  layer: null, channel: 0, y: null, x: null, input: null, tap: null, edits: [],
  mining: true, greedy: true, corners: true, flipped: true, from: "nothing", rate: 0.01, steps: 0,
  tour: null,
};
let state = { ...START };

/** What is no choice of the reader: outputs, maps, what is trained, what an own file brought. */
const live = { own: null, outputs: null, maps: null, training: null, base: null, parameters: null,
  waiting: false };

function picture() {
  return state.picture < 0 ? live.own : DATA.pictures[state.picture];
}

/** The objects, as they are now: [{corner: [4], label}]. */
function truths() {
  return state.truth || picture().truth || [];
}

const _memory = {};

/** The value of `make`, kept while the things it depends on stay the same. */
function keep(name, needs, make) {
  const old = _memory[name];
  if (old && old.needs.every((need, i) => Object.is(need, needs[i]))) return old.value;
  const value = make();
  _memory[name] = { needs, value };
  return value;
}

function gtCorner() {
  return keep("corner", [truths()], () => Float64Array.from(truths().flatMap(t => t.corner)));
}

function gtLabels() {
  return keep("labels", [truths()], () => truths().map(t => t.label));
}

function matching() {
  return keep("matching", [gtCorner(), gtLabels(), state.threshold, state.neutral], () =>
    explainMatching(CONFIG, DEFAULTS, gtCorner(), gtLabels(), state.threshold, state.neutral));
}

function targets() {
  return keep("targets", [matching()], () =>
    targetsOf(matching().matched, gtCorner(), gtLabels(), DEFAULTS));
}

function lossRule() {
  return { ratio: state.ratio, minimum: state.minimum, alpha: CONFIG.loss.alpha };
}

function loss() {
  const { logits, offsets } = live.outputs, goal = targets();
  return keep("loss", [live.outputs, goal, state.ratio, state.minimum], () =>
    multiboxLoss(logits, offsets, goal.labels, goal.offsets, K, lossRule()));
}

function mining() {
  return keep("mining", [loss()], () => explainMining(
    CONFIG, DEFAULTS, live.outputs.logits, targets().labels, matching().iou, lossRule()));
}

function scores() {
  return keep("scores", [live.outputs], () => softmax(live.outputs.logits, K));
}

function detections(score = state.score, iou = state.iou, name = "detections") {
  const rule = CONFIG.decoding;
  return keep(name, [live.outputs, score, iou], () =>
    detect(live.outputs.logits, live.outputs.offsets, DEFAULTS, K, { score, iou,
      topKClass: rule.top_k_class, topK: rule.top_k, clip: rule.clip, maxExponent: rule.max_exponent }));
}

function judged() {
  return keep("judged", [detections(), gtCorner(), gtLabels()], () =>
    judge(detections().detections, gtCorner(), gtLabels()));
}

/** By which rule box t stands for an object: "one", "two", "neutral" or "background". */
function kindOf(t) {
  const { matched, best } = matching();
  if (matched[t] === NEUTRAL) return "neutral";
  if (matched[t] < 0) return "background";
  return best[t] === matched[t] ? "one" : "two";
}

// --- changes --------------------------------------------------------------------------------------

/** Takes over some choices and shows what follows. A new picture forgets what was about the old one. */
function update(changes) {
  if ("picture" in changes && changes.picture !== state.picture) {
    changes = { truth: null, object: 0, box: null, found: null, y: null, x: null, steps: 0, ...changes };
  }
  const before = state;
  state = { ...state, ...changes };
  if (before.picture !== state.picture || before.edits !== state.edits) refreshOutputs(before);
  render();
}

// --- the address ----------------------------------------------------------------------------------

const NUMBERS = ["picture", "threshold", "ratio", "minimum", "score", "iou", "object", "map", "channel",
                 "rate", "steps"];
const MAYBE = ["neutral", "box", "y", "x", "input", "tour"];  // numbers or nothing
const FLAGS = ["mining", "greedy", "corners", "flipped", "raw"];
const WORDS = ["part", "layer", "from"];
const PAIRS = ["found", "cell", "tap"];  // a default box and a class; row and column, twice

/** The choices that differ from the start, as the part of an address behind "#". */
function toAddress(s = state) {
  const out = [["part", s.part]];
  const put = (key, value) => { if (value !== START[key]) out.push([key, value === null ? "none" : value]); };
  for (const key of [...NUMBERS, ...MAYBE, ...WORDS.slice(1)]) {
    if (key === "picture" && s.picture < 0) continue;  // an own picture stays on its own computer
    put(key, typeof s[key] === "number" ? +s[key].toFixed(4) : s[key]);
  }
  for (const key of FLAGS) if (s[key] !== START[key]) out.push([key, s[key] ? 1 : 0]);
  for (const key of PAIRS) if (s[key]) out.push([key, s[key].join(".")]);
  if (s.truth) {
    out.push(["truth", s.truth.map(t => [NAMES[t.label - 1], ...t.corner.map(c => +c.toFixed(4))].join(","))
      .join(";") || "none"]);
  }
  if (s.edits.length) out.push(["edits",
    s.edits.map(e => `${e.name},${e.index},${+e.value.toFixed(4)}`).join(";")]);
  return out.map(([key, value]) =>
    `${key}=${encodeURIComponent(value).replace(/%2C/g, ",").replace(/%3B/g, ";")}`)
    .join("&");
}

/** The choices an address names. What it says wrongly is told in one sentence and left out. */
function fromAddress(hash) {
  const s = { ...START }, wrong = [];
  for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    const number = text === "none" ? null : Number(text);
    if (NUMBERS.includes(key) && number !== null && Number.isFinite(number)) s[key] = number;
    else if (MAYBE.includes(key) && (number === null || Number.isFinite(number))) s[key] = number;
    else if (FLAGS.includes(key)) s[key] = text === "1";
    else if (key === "part" && PARTS.some(part => part.id === text)) s.part = text;
    else if (key === "layer" && DATA.layers.some(layer => layer.name === text)) s.layer = text;
    else if (key === "from" && ["nothing", "weights"].includes(text)) s.from = text;
    else if (PAIRS.includes(key) && /^\d+\.\d+$/.test(text)) s[key] = text.split(".").map(Number);
    else if (key === "truth") s.truth = _truthFrom(text, wrong);
    else if (key === "edits") s.edits = _editsFrom(text, wrong);
    else wrong.push(`${key}=${text}`);
  }
  const inside = (key, low, high) => {
    if (s[key] !== null && !(s[key] >= low
      && s[key] <= high)) { wrong.push(`${key}=${s[key]}`); s[key] = START[key]; }
  };
  for (const key of ["threshold", "score", "iou"]) inside(key, 0, 1);
  inside("picture", 0, DATA.pictures.length - 1);
  inside("map", 0, CONFIG.feature_maps.length - 1);
  inside("box", 0, BOXES - 1);
  inside("ratio", 0, 10);
  inside("minimum", 0, 100);
  inside("steps", 0, 500);
  if (s.neutral !== null) inside("neutral", 0, s.threshold);
  if (s.cell && !(s.cell.length === 2
    && s.cell.every((c, axis) => c >= 0 && c < CONFIG.feature_maps[s.map].size[axis]))) s.cell = null;
  if (s.found && !(s.found[0] < BOXES && s.found[1] < K)) s.found = null;
  if (wrong.length) say(`This address does not fit this page: ${wrong.join(", ")} was left out.`, "bad");
  return s;
}

function _truthFrom(text, wrong) {
  if (text === "none") return [];
  const out = [];
  for (const item of text.split(";")) {
    const [name, ...corner] = item.split(","), label = NAMES.indexOf(name) + 1;
    const numbers = corner.map(Number);
    if (label && numbers.length === 4 && numbers.every(c => c >= -2 && c <= 2)
        && numbers[2] > numbers[0] && numbers[3] > numbers[1]) out.push({ corner: numbers, label });
    else wrong.push(`the object ${item}`);
  }
  return out;
}

function _editsFrom(text, wrong) {
  return text.split(";").map(item => item.split(",")).filter(([name, index, value]) => {
    const count = DATA.parameters?.[name]?.count ?? 0;
    const there = Number.isInteger(+index) && +index >= 0 && +index < count && Number.isFinite(+value);
    if (!there) wrong.push(`the weight ${name} ${index}`);
    return there;
  }).map(([name, index, value]) => ({ name, index: +index, value: +value }));
}

let _writing = 0;

/** Writes the address a moment after the last change: browsers allow only so many a second. */
function writeAddress() {
  clearTimeout(_writing);
  _writing = setTimeout(() => history.replaceState(null, "", `#${toAddress()}`), 120);
}
