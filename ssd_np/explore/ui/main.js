// Puts the parts together: tabs, pictures, notices, the worker, and what happens at every change.
"use strict";

const PARTS = [MatchPart, LossPart, DetectPart, NetworkPart, TrainPart];
const panel = document.getElementById("panel");

function partOf(id) {
  return PARTS.find(part => part.id === id);
}

// --- what the page carries ------------------------------------------------------------------------

/** Numbers from their base64 text. */
function unpack(text, Kind = Float32Array) {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function storedParameters() {
  return Object.fromEntries(Object.entries(DATA.parameters).map(([name, { shape, data }]) => [name, { shape, value: unpack(data) }]));
}

/** The picture as the network sees it, normalised. */
function inputOf(item) {
  if (item.values) return item.values;
  if (!item.input) return null;
  if (DATA.input_kind === "float32") item.values = unpack(item.input);
  else {
    const { mean, std } = CONFIG.input, f = Math.fround;
    item.values = Float32Array.from(unpack(item.input, Uint8Array), (value, i) => f(value - f(mean[i % 3])) / f(std[i % 3]));
  }
  return item.values;
}

function storedOutputs(item) {
  item.outputs = item.outputs || { logits: unpack(item.logits), offsets: unpack(item.offsets) };
  return item.outputs;
}

/** Maps of a network that is not in the page: some channels, smaller, 255 for the largest value. */
function storedMaps(item) {
  item.shownMaps = item.shownMaps || Object.fromEntries(Object.entries(item.maps || {}).map(([name, map]) =>
    [name, { ...map, channels: map.shown.length, data: Float32Array.from(unpack(map.data, Int8Array), value => value / 127 * map.most) }]));
  return item.shownMaps;
}

// --- the worker -----------------------------------------------------------------------------------

let _worker = null, _asked = 0, _busy = false, _again = false;

function askWorker(message, transfer = []) {
  if (!_worker) {
    const text = ["core", "worker"].map(id => document.getElementById(id).textContent).join("\n");
    _worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    _worker.onmessage = ({ data }) => HEARD[data.kind](data);
    _worker.onerror = event => say(`The network stopped: ${event.message}.`, "bad");
    _worker.postMessage({ kind: "start", config: CONFIG, parameters: live.base });
  }
  _worker.postMessage(message, transfer);
}

const HEARD = {
  outputs({ id, logits, offsets, maps, milliseconds }) {
    _busy = false;
    if (_again) { _again = false; requestMaps(); }
    if (id !== _asked) return;
    live.waiting = false;
    live.milliseconds = milliseconds;
    live.maps = maps;
    if (!live.running) live.outputs = { logits, offsets };
    render();
  },
  looked({ input }) {
    live.own.values = input;
    live.own.input = true;
    requestMaps();
  },
  step: tookStep,
  paused() { live.running = false; if (state.part === "network") requestMaps(); render(); },
  reset() {},
  checking(row) { live.checks?.rows.push(row); render(); },
  checked() { if (live.checks) live.checks.done = true; render(); },
};

/** Runs the network on the picture; while it runs, only the last wish is kept. */
function requestMaps() {
  const input = inputOf(picture());
  if (!input || !DATA.parameters) return;
  live.waiting = true;
  if (_busy) { _again = true; return; }
  _busy = true;
  _asked += 1;
  askWorker({ kind: "forward", id: _asked, input, edits: state.edits });
}

/** Outputs for another picture or other weights: those in the page if they hold, else the network runs. */
function refreshOutputs(before) {
  const changed = state.edits.length > 0 || live.training || live.weightsName, other = before.picture !== state.picture;
  if (other) {
    live.maps = null;
    live.checks = null;
    if (live.training && !Number.isNaN(before.picture)) { live.training = null; live.running = false; askWorker({ kind: "reset" }); }
    if (state.picture >= 0) live.outputs = storedOutputs(picture());
  }
  live.parameters = withEdits(live.base, state.edits);
  if (!changed && before.edits?.length && state.picture >= 0) { live.outputs = storedOutputs(picture()); live.maps = null; }
  if (changed || state.picture < 0 || state.part === "network") requestMaps();
}

/** Parameters with some weights changed; what is not changed is shared. */
function withEdits(parameters, edits) {
  const changed = { ...parameters };
  for (const { name, index, value } of edits) {
    if (changed[name] === parameters[name]) changed[name] = { ...changed[name], value: changed[name].value.slice() };
    changed[name].value[index] = value;
  }
  return changed;
}

// --- what is always there -------------------------------------------------------------------------

/** One sentence for the reader, until it is closed. */
function say(text, kind = "") {
  const line = h("p", { class: `notice ${kind}` }, h("span", {}, text), button("×", () => line.remove(), { "aria-label": "close" }));
  const all = document.getElementById("notices");
  all.querySelectorAll(".bad").forEach(old => old.remove());
  all.append(line);
}

/** Lines that stay as long as the weights are not the page's own. */
function drawState() {
  const all = document.getElementById("notices"), lines = [];
  if (state.edits.length) lines.push(h("p", { class: "notice steady" }, h("span", {}, `${plural(state.edits.length, "weight is", "weights are")} changed: everything here follows from ${state.edits.length > 1 ? "them" : "it"}.`), button("undo", () => update({ edits: [] }), { id: "undo" })));
  if (live.training && state.part !== "train") lines.push(h("p", { class: "notice steady" }, h("span", {}, `These are weights trained here, ${plural(live.training.step, "step")}.`), button("back to the page's weights", resetTraining)));
  if (live.weightsName) lines.push(h("p", { class: "notice steady" }, h("span", {}, `The weights are those of ${live.weightsName}.`), button("back to the page's weights", () => { live.weightsName = null; useWeights(storedParameters(), null); })));
  all.querySelectorAll(".steady").forEach(old => old.remove());
  all.prepend(...lines);
}

function drawPictures() {
  const thumb = (item, index) => h("button", { type: "button", class: "thumb", "aria-pressed": index === state.picture, "aria-label": `picture ${item.name}`, title: item.name, "data-key": `picture ${index}`, onclick: () => update({ picture: index }) },
    h("img", { src: item.src, alt: item.name }));
  fill(document.getElementById("pictures"), DATA.pictures.map(thumb), live.own ? thumb(live.own, -1) : null,
    button(["your own", h("small", {}, "drop a picture, or click")], () => document.getElementById("file").click(), { class: "thumb own", id: "own" }));
}

function drawTabs() {
  fill(document.getElementById("parts"), PARTS.map((part, i) => button([h("b", {}, i + 1), ` ${part.title}`], () => update({ part: part.id }),
    { role: "tab", id: `tab-${part.id}`, "aria-selected": part.id === state.part, "aria-controls": "panel", tabindex: part.id === state.part ? 0 : -1, "data-key": part.id })));
  const chosen = document.getElementById(`tab-${state.part}`), strip = chosen.parentElement;
  if (strip.scrollWidth > strip.clientWidth) strip.scrollLeft = chosen.offsetLeft - strip.clientWidth / 2 + chosen.clientWidth / 2;
}

function drawLegend() {
  fill(document.getElementById("legend"), partOf(state.part).legend().map(([kind, words]) => h("span", {}, h("i", { class: `swatch ${kind}` }), words)));
}

function drawTools() {
  const theme = () => {
    const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    everything();
  };
  const link = async event => {
    history.replaceState(null, "", `#${toAddress()}`);
    try { await navigator.clipboard.writeText(location.href); event.target.textContent = "copied"; } catch { event.target.textContent = "it is the address above"; }
    setTimeout(() => { event.target.textContent = "copy the link"; }, 1600);
  };
  fill(document.getElementById("tools"), button("tour", () => tourStep(state.tour === null ? 0 : null), { id: "tourbutton", class: "main" }),
    button("copy the link", link, { id: "link", title: "the address holds all that you have chosen" }), button("dark / light", theme, { id: "theme" }), button("?", () => document.getElementById("help").showModal(), { id: "helpbutton", "aria-label": "keys and colours" }));
  const keys = [["1 – 5", "the parts"], ["Tab", "to objects, sliders and lists"], ["arrow keys", "on an object: move it; on the picture: the cell; on a map: the value"], ["Shift + arrow keys", "on an object: its lower right corner"], ["Delete", "takes an object away"], ["M", "on the picture: the next map"], ["T", "the tour"], ["Escape", "lets go of a cell, a box, the tour"]];
  const kinds = [["truth", "an object, as a person annotated it"], ["one", "a default box that stands for an object by rule one: the best of all"], ["two", "by rule two: it overlaps an object enough"], ["neutral", "neutral: counts for nothing"], ["faint", "background"], ["mined", "a mined background box: trained on"], ["found", "a detection"], ["dropped", "dropped by suppression"]];
  fill(document.getElementById("help"), h("h2", {}, "Colours"), h("ul", { class: "kinds" }, kinds.map(([kind, words]) => h("li", {}, h("i", { class: `swatch ${kind}` }), words))),
    h("h2", {}, "Keys"), h("dl", {}, keys.flatMap(([key, words]) => [h("dt", {}, key), h("dd", {}, words)])),
    note(`The page holds the network ${escape_(CONFIG.name)} (${times(DATA.count)} parameters, weights ${escape_(DATA.weights)}), fetches nothing, and sends nothing.`), h("form", { method: "dialog" }, h("button", {}, "close")));
}

// --- every change ---------------------------------------------------------------------------------

let _frame = 0, _mounted = null;

/** Draws everything that depends on the choices, once before the next picture on the screen. */
function render() {
  cancelAnimationFrame(_frame);
  _frame = requestAnimationFrame(_render);
}

function _render() {
  forgetColours();
  const part = partOf(state.part);
  if (_mounted !== part.id) mount(part);
  drawPicture();
  panel.classList.toggle("waiting", !live.outputs);
  if (!live.outputs) { fill(document.getElementById("reading"), card("", note("The network is running …"))); return; }
  part.sync?.();
  drawOverlay();
  drawHandles();
  drawGrids();
  drawLegend();
  fill(document.getElementById("reading"), part.reading());
  drawState();
  drawTour();
  document.querySelectorAll("#pictures .thumb[data-key]").forEach(thumb => thumb.setAttribute("aria-pressed", thumb.dataset.key === `picture ${state.picture}`));
  writeAddress();
  const { dataset } = document.documentElement;  // for whoever waits for the page
  dataset.ready = part.id;
  if (imageOf(picture())) dataset.first ??= Math.round(performance.now());
}

function mount(part) {
  _mounted = part.id;
  over.cell = over.box = null;
  drawTabs();
  document.getElementById("main").dataset.part = part.id;
  panel.setAttribute("aria-labelledby", `tab-${part.id}`);
  panel.replaceChildren(h("h2", {}, part.question), h("p", { class: "intro", html: part.intro }), h("div", { class: "controls" }, part.controls()), h("div", { class: "cards", id: "reading" }));
}

function everything() {
  _mounted = null;
  drawTools();
  drawPictures();
  render();
}

function keyDown(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, dialog")) return;
  if (objectKey(event) || stageKey(event)) { event.preventDefault(); return; }
  const index = PARTS.findIndex(part => part.id === state.part), tab = event.target.closest("[role=tab]");
  const side = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (tab && side) {
    const { id } = PARTS[(index + side + PARTS.length) % PARTS.length];
    document.getElementById(`tab-${id}`).focus();
    update({ part: id });
    event.preventDefault();
  } else if (/^[1-5]$/.test(event.key)) update({ part: PARTS[event.key - 1].id });
  else if (event.key.toLowerCase() === "t") tourStep(state.tour === null ? 0 : null);
  else if (event.key === "Escape") { if (state.tour !== null) tourStep(null); else update({ cell: null, box: null, found: null }); }
}

function listen() {
  const handles = document.getElementById("handles");
  handles.addEventListener("pointerdown", startDrag);
  handles.addEventListener("pointermove", moveDrag);
  for (const end of ["pointerup", "pointercancel"]) handles.addEventListener(end, () => { drag = null; });
  stage.addEventListener("pointermove", stageMove);
  stage.addEventListener("pointerleave", stageLeave);
  stage.addEventListener("click", stageClick);
  document.addEventListener("keydown", keyDown);
  let width = 0;
  new ResizeObserver(() => { if (width !== document.body.clientWidth) { width = document.body.clientWidth; render(); } }).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
  window.addEventListener("hashchange", () => { const before = state; state = fromAddress(location.hash); refreshOutputs(before); drawPictures(); render(); });
  document.addEventListener("dragover", event => { event.preventDefault(); document.body.classList.add("dropping"); });
  document.addEventListener("dragleave", event => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  document.addEventListener("drop", event => { event.preventDefault(); document.body.classList.remove("dropping"); openFile(event.dataTransfer.files[0]); });
  const field = document.getElementById("file");
  field.addEventListener("change", () => { openFile(field.files[0]); field.value = ""; });
}

function begin() {
  state = fromAddress(location.hash);
  if (DATA.home) document.getElementById("home").hidden = false;
  live.base = live.parameters = DATA.parameters ? storedParameters() : null;
  live.outputs = storedOutputs(picture());
  listen();
  everything();
  if (state.edits.length) refreshOutputs({ ...state, edits: [] });
  if (state.steps && DATA.parameters) startTraining(state.steps);  // a link to a training: made again
}

begin();
