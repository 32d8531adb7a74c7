// Objects that can be dragged, with a pointer, a finger or keys: at every move all default boxes match anew.
"use strict";

const CURSORS = ["nwse-resize", "nesw-resize", "nwse-resize", "nesw-resize"];

function drawHandles() {
  const g = geometry(), svg = document.getElementById("handles");
  svg.setAttribute("width", g.width);
  svg.setAttribute("height", g.height);
  const make = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const focused = svg.contains(document.activeElement) ? document.activeElement.dataset.object : null;
  const grips = make("g", { class: "truth chosen" });
  const groups = (partOf(state.part).objects ? truths() : []).map(({ corner, label }, index) => {
    const [x, y, w, hgt] = toPixels(corner, g), name = NAMES[label - 1];
    const group = make("g", { class: `truth${index === state.object ? " chosen" : ""}`, tabindex: 0,
      role: "button",
      "aria-label": `object ${index}, ${name}: arrow keys move it, with shift they move its lower right corner, Delete removes it` });
    group.dataset.object = index;
    group.append(make("rect", { class: "rim", x, y, width: w, height: hgt }),
                 make("rect", { class: "body", x, y, width: w, height: hgt }));
    const tag = make("text", { x: x + 4, y: Math.max(y - 5, 12) });
    tag.textContent = `${index} ${name}`;
    group.append(tag);
    if (index === state.object) {  // its handles lie above all objects
      const half = Math.min(12, w / 3, hgt / 3);
      grips.dataset.object = index;
      grips.append(make("path", { class: "centre", "data-handle": "centre",
        d: `M${x + w / 2 - half} ${y + hgt / 2}h${2 * half}M${x + w / 2} ${y + hgt / 2 - half}v${2 * half}` }));
      for (let k = 0; k < 4; k++) {
        const at = [x + (k === 1 || k === 2 ? w : 0), y + (k >= 2 ? hgt : 0)];
        grips.append(make("circle", { class: "knob", cx: at[0], cy: at[1], r: 6 }));
        grips.append(make("circle",
          { class: "grip", "data-handle": k, cx: at[0], cy: at[1], r: 16, style: `cursor:${CURSORS[k]}` }));
      }
    }
    return group;
  });
  svg.replaceChildren(...groups, grips);
  if (focused !== null) svg.querySelector(`[tabindex][data-object="${focused}"]`)?.focus({ preventScroll: true });
}

function setTruth(index, corner) {
  const next = truths().map(t => ({ ...t }));
  next[index].corner = corner;
  update({ truth: next, object: index });
}

/** Corner 0 to 3 clockwise from the upper left, or "centre", brought to a point. */
function dragged(corner, handle, [x, y]) {
  const [x0, y0, x1, y1] = corner, low = -EDGE, high = 1 + EDGE;
  const inside = (value, least = low, most = high) => Math.min(Math.max(value, least), most);
  if (handle === "centre") {
    const w = x1 - x0, hgt = y1 - y0, left = inside(x - w / 2, low, high - w),
      top = inside(y - hgt / 2, low, high - hgt);
    return [left, top, left + w, top + hgt];
  }
  const right = handle === 1 || handle === 2, below = handle >= 2;
  return [
    right ? x0 : Math.min(inside(x), x1 - LEAST), below ? y0 : Math.min(inside(y), y1 - LEAST),
    right ? Math.max(inside(x), x0 + LEAST) : x1, below ? Math.max(inside(y), y0 + LEAST) : y1,
  ];
}

let drag = null;

function startDrag(event) {
  const group = event.target.closest("g.truth");
  if (!group || event.button > 0) return;
  const index = +group.dataset.object, { corner } = truths()[index], at = toFractions(event);
  const handle = event.target.dataset.handle ?? "centre";
  const centre = [(corner[0] + corner[2]) / 2, (corner[1] + corner[3]) / 2];
  drag = { index, handle: handle === "centre" ? handle : +handle,
    slip: handle === "centre" ? [at[0] - centre[0], at[1] - centre[1]] : [0, 0] };
  document.getElementById("handles").setPointerCapture(event.pointerId);
  document.querySelector(`#handles [tabindex][data-object="${index}"]`).focus({ preventScroll: true });
  event.preventDefault();
  if (index !== state.object) update({ object: index });
}

function moveDrag(event) {
  if (!drag) return;
  const at = toFractions(event).map((value, i) => value - drag.slip[i]);
  setTruth(drag.index, dragged(truths()[drag.index].corner, drag.handle, at));
}

/** Keys on an object. */
function objectKey(event) {
  const group = event.target.closest("g.truth");
  if (!group) return false;
  const index = +group.dataset.object, [x0, y0, x1, y1] = truths()[index].corner;
  const step = 1 / CONFIG.input.size[0],
    move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step],
    ArrowDown: [0, step] }[event.key];
  if (move && event.shiftKey) setTruth(index, dragged([x0, y0, x1, y1], 2, [x1 + move[0], y1 + move[1]]));
  else if (move) setTruth(index,
    dragged([x0, y0, x1, y1], "centre", [(x0 + x1) / 2 + move[0], (y0 + y1) / 2 + move[1]]));
  else if (event.key === "Delete" || event.key === "Backspace") removeTruth(index);
  else if (event.key === "Enter" || event.key === " ") update({ object: index });
  else return false;
  return true;
}

function addTruth() {
  const next = [...truths(), { corner: [0.35, 0.35, 0.65, 0.65], label: 1 }];
  update({ truth: next, object: next.length - 1 });
}

function removeTruth(index) {
  update({ truth: truths().filter((_, i) => i !== index), object: 0, box: null });
}
