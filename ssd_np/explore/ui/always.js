// What is always there: notices, pictures, tabs, legend, tools and help.
"use strict";

/** One sentence for the reader, until it is closed. */
function say(text, kind = "") {
  const line = h("p", { class: `notice ${kind}` }, h("span", {}, text),
    button("×", () => line.remove(), { "aria-label": "close" }));
  const all = document.getElementById("notices");
  all.querySelectorAll(".bad").forEach(old => old.remove());
  all.append(line);
}

/** Lines that stay as long as the weights are not the page's own. */
function drawState() {
  const all = document.getElementById("notices"), lines = [];
  if (state.edits.length) lines.push(h("p", { class: "notice steady" },
    h("span", {}, `${plural(state.edits.length, "weight is", "weights are")} changed: everything here follows from ${state.edits.length > 1 ? "them" : "it"}.`), button("undo", () => update({ edits: [] }), { id: "undo" })));
  if (live.training && state.part !== "train") lines.push(h("p", { class: "notice steady" },
    h("span", {}, `These are weights trained here, ${plural(live.training.step, "step")}.`),
    button("back to the page's weights", resetTraining)));
  if (live.weightsName) lines.push(h("p", { class: "notice steady" },
    h("span", {}, `The weights are those of ${live.weightsName}.`),
    button("back to the page's weights",
    () => { live.weightsName = null; useWeights(storedParameters(), null); })));
  all.querySelectorAll(".steady").forEach(old => old.remove());
  all.prepend(...lines);
}

function drawPictures() {
  const thumb = (item, index) => h("button",
    { type: "button", class: "thumb", "aria-pressed": index === state.picture,
    "aria-label": `picture ${item.name}`, title: item.name, "data-key": `picture ${index}`,
    onclick: () => update({ picture: index }) },
    h("img", { src: item.src, alt: item.name }));
  fill(document.getElementById("pictures"), DATA.pictures.map(thumb), live.own ? thumb(live.own, -1) : null,
    button(["your own", h("small", {}, "drop a picture, or click")],
      () => document.getElementById("file").click(), { class: "thumb own", id: "own" }));
}

function drawTabs() {
  fill(document.getElementById("parts"),
    PARTS.map((part, i) => button([h("b", {}, i + 1), ` ${part.title}`], () => update({ part: part.id }),
    { role: "tab", id: `tab-${part.id}`, "aria-selected": part.id === state.part, "aria-controls": "panel",
      tabindex: part.id === state.part ? 0 : -1, "data-key": part.id })));
  const chosen = document.getElementById(`tab-${state.part}`), strip = chosen.parentElement;
  if (strip.scrollWidth > strip.clientWidth) strip.scrollLeft = chosen.offsetLeft - strip.clientWidth / 2
    + chosen.clientWidth / 2;
}

function drawLegend() {
  fill(document.getElementById("legend"),
    partOf(state.part).legend().map(([kind, words]) => h("span", {}, h("i", { class: `swatch ${kind}` }),
    words)));
}

function drawTools() {
  const theme = () => {
    const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    everything();
  };
  const link = async event => {
    history.replaceState(null, "", `#${toAddress()}`);
    try { await navigator.clipboard.writeText(location.href); event.target.textContent = "copied"; } catch { event.target.textContent = "it is the address above"; }
    setTimeout(() => { event.target.textContent = "copy the link"; }, 1600);
  };
  fill(document.getElementById("tools"),
    button("tour", () => tourStep(state.tour === null ? 0 : null), { id: "tourbutton", class: "main" }),
    button("copy the link", link, { id: "link", title: "the address holds all that you have chosen" }),
      button("dark / light", theme, { id: "theme" }),
      button("?", () => document.getElementById("help").showModal(),
      { id: "helpbutton", "aria-label": "keys and colours" }));
  const keys = [["1 – 5", "the parts"], ["Tab", "to objects, sliders and lists"],
    ["arrow keys", "on an object: move it; on the picture: the cell; on a map: the value"],
    ["Shift + arrow keys", "on an object: its lower right corner"], ["Delete", "takes an object away"],
    ["M", "on the picture: the next map"], ["T", "the tour"], ["Escape", "lets go of a cell, a box, the tour"]];
  const kinds = [["truth", "an object, as a person annotated it"],
    ["one", "a default box that stands for an object by rule one: the best of all"],
    ["two", "by rule two: it overlaps an object enough"], ["neutral", "neutral: counts for nothing"],
    ["faint", "background"], ["mined", "a mined background box: trained on"], ["found", "a detection"],
    ["dropped", "dropped by suppression"]];
  fill(document.getElementById("help"), h("h2", {}, "Colours"),
    h("ul", { class: "kinds" },
    kinds.map(([kind, words]) => h("li", {}, h("i", { class: `swatch ${kind}` }), words))),
    h("h2", {}, "Keys"), h("dl", {}, keys.flatMap(([key, words]) => [h("dt", {}, key), h("dd", {}, words)])),
    note(`The page holds the network ${escape_(CONFIG.name)} (${times(DATA.count)} parameters, weights ${escape_(DATA.weights)}), fetches nothing, and sends nothing.`), h("form", { method: "dialog" }, h("button", {}, "close")));
}
