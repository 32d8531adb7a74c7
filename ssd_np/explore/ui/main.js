// Puts the parts together: tabs, pictures, notices, the worker, and what happens at every change.
"use strict";

const PARTS = [MatchPart, LossPart, DetectPart, NetworkPart, TrainPart];
const panel = document.getElementById("panel");

function partOf(id) {
  return PARTS.find(part => part.id === id);
}

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
  if (!live.outputs) { fill(document.getElementById("reading"),
    card("", note("The network is running …"))); return; }
  part.sync?.();
  drawOverlay();
  drawHandles();
  drawGrids();
  drawLegend();
  fill(document.getElementById("reading"), part.reading());
  drawState();
  drawTour();
  document.querySelectorAll("#pictures .thumb[data-key]").forEach(thumb => thumb.setAttribute("aria-pressed",
    thumb.dataset.key === `picture ${state.picture}`));
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
  panel.replaceChildren(h("h2", {}, part.question), h("p", { class: "intro", html: part.intro }),
    h("div", { class: "controls" }, part.controls()), h("div", { class: "cards", id: "reading" }));
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
  else if (event.key === "Escape") { if (state.tour !== null) tourStep(null); else update({ cell: null,
    box: null, found: null }); }
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
  window.addEventListener("hashchange",
    () => { const before = state; state = fromAddress(location.hash); refreshOutputs(before); drawPictures(); render(); });
  document.addEventListener("dragover",
    event => { event.preventDefault(); document.body.classList.add("dropping"); });
  document.addEventListener("dragleave",
    event => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
  document.addEventListener("drop",
    event => { event.preventDefault(); document.body.classList.remove("dropping"); openFile(event.dataTransfer.files[0]); });
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
