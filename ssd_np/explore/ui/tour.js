// A guided walk: every step is a state of the page and a few words.
"use strict";

const TOUR = [
  ["A picture, and what it shows", { part: "match" }, "#stage",
   "These boxes are the <b>truth</b>: what a person says is in the picture. Drag a corner or the middle of one. A detector should learn to draw them by itself."],
  ["A detector starts from a grid", { part: "match", map: 1, cell: [3, 2] }, "#grids",
   "The network looks at the picture through grids of cells. Every cell holds a few <b>default boxes</b> of fixed shape. All it will ever say is: this one, but a little to the left and wider."],
  ["Who stands for whom", { part: "match", object: 0 }, "#objects",
   "For every object some default boxes must stand, so that the network knows which of its answers should have been that object. <b>Rule one</b>: the best box of all, for every object. <b>Rule two</b>: every box with enough overlap."],
  ["Objects can be in each other's way", { part: "match", object: 0, threshold: 0.35, neutral: 0.25 },
    "#threshold",
   "With a lower threshold more boxes stand for an object. Those of the <b>neutral zone</b> are neither object nor background: they count for nothing. Move an object onto another, and see who loses a box to whom."],
  ["Almost everything is background", { part: "loss" }, "#curve",
   "A handful of boxes are positive, more than a thousand are background. Trained on all, a network would learn to say “background” always. So only the <b>costliest</b> count: those left of the cut."],
  ["One box, all its numbers", { part: "loss", pick: "mined" }, "#onebox",
   "A mined box: its scores, what they cost, and the gradient that goes back. The gradient is the softmax, with 1 taken from the right class, over the number of positives."],
  ["From answers to boxes", { part: "detect", raw: true }, "#stage",
   "Now the other way: every default box, moved and stretched by its offsets. Most are unsure and faint. Where many agree, there is an object."],
  ["One box for each object", { part: "detect", pick: "found" }, "#onefound",
   "Of boxes that overlap too much, the best scored stays: <b>suppression</b>. Green stays, purple was dropped. Move the slider to 1, and none is dropped any more."],
  ["Inside the network", { part: "network", layer: "conv4_2", fallback: true }, "#sum",
   "Each value of each map is one sum of products. Change a weight: the maps, the boxes, the loss, everything on this page follows."],
  ["Let it learn, then break it", { part: "train" }, "#panel",
   "From random weights the network learns this one picture by heart in about thirty steps. Then switch a mistake on. The gradient check tells one of them at once; others only show in what it finds."],
];

/** Goes to a step of the tour; null ends it. */
function tourStep(index) {
  if (index === null || index < 0
    || index >= TOUR.length) { update({ tour: null }); document.getElementById("tourbutton").focus(); return; }
  const [, { pick, fallback, ...wanted }] = TOUR[index];
  const keep_ = { picture: Math.max(state.picture, 0), tour: index };
  if (fallback && !DATA.layers.some(layer => layer.name === wanted.layer)) delete wanted.layer;
  if (wanted.cell && (wanted.map >= CONFIG.feature_maps.length
    || wanted.cell.some((c, axis) =>
    c >= CONFIG.feature_maps[wanted.map].size[axis]))) { wanted.map = 0; wanted.cell = [0, 0]; }
  update({ ...START, truth: state.truth, edits: state.edits, ...keep_, ...wanted });
  if (pick === "mined" && live.outputs) update({ box: mining().ranked[0] });
  if (pick === "found" && live.outputs && detections().detections.length) {
    const { detections: kept, dropped } = detections();
    const most = [...kept].sort((a, b) =>
      dropped.filter(d => d.by === b.t).length - dropped.filter(d => d.by === a.t).length)[0];
    update({ found: [most.t, most.label] });
  }
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const target = document.querySelector(TOUR[index][2]), place = target?.getBoundingClientRect();
    if (place && (place.top < 60
      || place.bottom > window.innerHeight * 0.7)) target.scrollIntoView({ block: "start",
      behavior: "smooth" });
    document.getElementById("tournext")?.focus({ preventScroll: true });
  }));
}

function drawTour() {
  const box = document.getElementById("tour");
  document.querySelectorAll(".lit").forEach(element => element.classList.remove("lit"));
  box.hidden = state.tour === null || !TOUR[state.tour];
  if (box.hidden) return;
  const [title, , target, words] = TOUR[state.tour];
  document.querySelector(target)?.closest(".slider, figure, .stage, .grids, .card, .right")?.classList.add("lit");
  if (box.dataset.step === String(state.tour)) return;
  box.dataset.step = state.tour;
  fill(box, h("div", { class: "dots" },
    TOUR.map((_, i) => button("", () => tourStep(i),
    { "aria-label": `step ${i + 1}`, "aria-current": i === state.tour ? "step" : null }))),
    h("h2", {}, h("small", {}, `${state.tour + 1} of ${TOUR.length}`), ` ${title}`), h("p", { html: words }),
    h("div", { class: "line" },
      button("Back", () => tourStep(state.tour - 1), { disabled: state.tour === 0, "data-key": "tourback" }),
      button(state.tour === TOUR.length - 1 ? "Done" : "Next", () => tourStep(state.tour + 1),
        { class: "main", id: "tournext", "data-key": "tournext" }),
      button("End the tour", () => tourStep(null), { class: "quiet", id: "tourend" })));
}
