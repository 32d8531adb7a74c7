// Small tools to make elements, sliders and formulas. No framework: an element is made once, or made anew.
"use strict";

/** An element: h("p", {class: "note", onclick: f}, "text", child). Values of null leave an attribute out. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (key.startsWith("aria-")) element.setAttribute(key, String(value));
    else if (value === false) continue;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "html") element.innerHTML = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined));
  return element;
}

/** Puts children into an element. Those that are there already are not touched, for a slider may be held;
 * a new one that stands for the one with the focus gets it, by its data-key or id. */
function fill(element, ...children) {
  const active = document.activeElement;
  const name = !element.contains(active) ? null
    : active.dataset.key ? `[data-key="${CSS.escape(active.dataset.key)}"]` : active.id ? `#${CSS.escape(active.id)}` : null;
  const wanted = children.flat(Infinity).filter(Boolean);
  wanted.forEach((child, i) => {
    const there = element.childNodes[i];
    if (!there) element.append(child);
    else if (there !== child) there.replaceWith(child);
  });
  while (element.childNodes.length > wanted.length) element.lastChild.remove();
  if (name && !element.contains(active)) element.querySelector(name)?.focus({ preventScroll: true });
}

function escape_(text) {
  return String(text).replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}

/** A number for people: fixed digits, a true minus. */
function num(value, digits = 3) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  return fixed(value, digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "−");
}

function times(value) {
  return value.toLocaleString("en");
}

/** As many as there are: plural(1, "box", "boxes") is "1 box". */
function plural(count, one, many = `${one}s`) {
  return `${times(count)} ${count === 1 ? one : many}`;
}

function card(title, ...children) {
  return namedCard(null, title, ...children);
}

/** A card that the tour can lead to. */
function namedCard(id, title, ...children) {
  return h("section", { class: "card", id }, title ? h("h3", {}, title) : null, ...children);
}

function note(html) {
  return h("p", { class: "note", html });
}

/**
 * A slider with its name, its value and, if `off` is given, a position that means "none".
 * onInput gets the number. `.set(value)` moves it from outside.
 */
function slider({ id, name, about, min, max, step, value, show = v => num(v, 2), onInput }) {
  const output = h("output", { for: id }, show(value));
  const input = h("input", { id, type: "range", min, max, step, value,
    oninput: () => { output.textContent = show(+input.value); onInput(+input.value); } });
  const row = h("div", { class: "slider" },
    h("label", { for: id }, name), output, input, about ? h("small", { html: about }) : null);
  row.set = v => { if (+input.value !== v) input.value = v; output.textContent = show(v); };
  return row;
}

function toggle({ id, name, about, checked, onChange }) {
  const input = h("input", { id, type: "checkbox", checked, onchange: () => onChange(input.checked) });
  const row = h("label", { class: "toggle", for: id }, input,
    h("span", {}, name, about ? h("small", { html: about }) : null));
  row.set = v => { input.checked = v; };
  return row;
}

function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, ...attributes }, text);
}

// --- formulas -------------------------------------------------------------------------------------

/** A line of a formula; `parts` is HTML made with the helpers below. */
function formula(...lines) {
  return h("div", { class: "formula", html: lines.map(line => `<div>${line}</div>`).join("") });
}

const v = name => `<var>${name}</var>`;
const frac = (top, bottom) => `<span class="frac"><span>${top}</span><span>${bottom}</span></span>`;
const tint = (kind, text) => `<b class="${kind}">${text}</b>`;

/** A canvas of a size in CSS pixels, sharp on the screen at hand; -> its context. */
function sharp(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

let _colours = {};

/** A colour of the page's one language (page.css) as it is now, dark or light; asked once a drawing. */
function colour(name) {
  _colours[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return _colours[name];
}

function forgetColours() {
  _colours = {};
}
