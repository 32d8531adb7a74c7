// One value of a map: the patch below it, the kernel, their products, and what their sum becomes.
"use strict";

/** What a layer reads, and how: {source, kind, kernel, stride, pad, dilation, activation}. */
function readingOf(name) {
  const at = CONFIG.layers.findIndex(layer => layer.name === name);
  if (at >= 0) return { ...CONFIG.layers[at], source: at ? CONFIG.layers[at - 1].name : "input" };
  const map = CONFIG.feature_maps.find(item => name.endsWith(`_${item.name}`) || name === `${item.name}_norm`);
  if (name === `${map.name}_norm`) return { kind: "norm", source: map.name };
  const border = CONFIG.head_kernel >> 1, pad = [[border, border], [border, border]];
  const source = map.l2norm_scale === null ? map.name : `${map.name}_norm`;
  return { kind: "head", kernel: CONFIG.head_kernel, stride: 1, pad, dilation: 1, activation: "none", source };
}

function sumCard(layer, maps, channel) {
  const rule = readingOf(layer.name), source = maps[rule.source], out = maps[layer.name];
  const [y, x] = chosenValue(out), value = out.data[(y * out.width + x) * out.channels + channel];
  if (rule.kind === "pool") return poolCard(rule, source, channel, y, x, value);
  if (rule.kind === "norm") {
    return card("Normalised", note(`Each pixel of ${escape_(rule.source)} is divided by its length over all
      ${source.channels} channels, then times a learned scale: ${num(value, 4)}.`));
  }
  return productsCard({ layer, rule, channel, y, x, value, ...productsOf(layer.name, rule, source, channel, y, x) });
}

/** Everything that is added up for one value, input map by input map. */
function productsOf(name, rule, source, channel, y, x) {
  const weight = live.parameters[`${name}.weight`], bias = live.parameters[`${name}.bias`].value[channel];
  const kernel = weight.shape[0], depthwise = rule.kind === "depthwise";
  const inputs = depthwise ? 1 : weight.shape[2], outputs = weight.shape[weight.shape.length - 1];
  const from = c => (depthwise ? channel : c);  // depthwise: a map is made of the one below it alone
  const index = (i, j, c) => ((i * kernel + j) * inputs + c) * outputs + channel;
  const pixel = (i, j, c) => {  // null beyond the border, where 0 is read
    const row = y * rule.stride - rule.pad[0][0] + i * rule.dilation;
    const column = x * rule.stride - rule.pad[1][0] + j * rule.dilation;
    const there = row >= 0 && column >= 0 && row < source.height && column < source.width;
    return there ? source.data[(row * source.width + column) * source.channels + from(c)] : null;
  };
  const product = (i, j, c) => (pixel(i, j, c) ?? 0) * weight.value[index(i, j, c)];
  const shares = Array.from({ length: inputs }, (_, c) => {
    let sum = 0;
    for (let i = 0; i < kernel; i++) for (let j = 0; j < kernel; j++) sum += product(i, j, c);
    return sum;
  });
  const order = bestFirst(shares.map(Math.abs)).slice(0, 10), c = Math.min(state.input ?? order[0], inputs - 1);
  const tap = state.tap?.every(i => i < kernel) ? state.tap : [kernel >> 1, kernel >> 1];
  return { weight, bias, kernel, inputs, from, index, pixel, product, shares, order, c, tap };
}

let _products = null;

/** The card of a value. While its weight is changed it stays the same element: a slider is held there. */
function productsCard(of) {
  const { layer, channel, y, x, c, tap } = of;
  const key = [layer.name, channel, y, x, c, ...tap, Boolean(live.training)].join();
  if (_products?.key !== key) {
    const parts = Array.from({ length: 3 }, () => h("div", { class: "part" })), edit = editSliders(of);
    const element = namedCard("sum", "The sum behind it", parts[0], parts[1], edit, parts[2]);
    _products = { key, parts, edit, element };
  }
  const { parts, edit, element } = _products;
  fill(parts[0], sumFormula(of));
  fill(parts[1], kernelTables(of));
  fill(parts[2], shareRows(of));
  edit.set?.(of);
  return element;
}

function sumFormula({ rule, bias, kernel, inputs, shares, value }) {
  const sum = shares.reduce((a, b) => a + b, 0), total = num(sum + bias, 4);
  const count = `${kernel} × ${kernel} × ${inputs} = ${times(kernel * kernel * inputs)} products`;
  const last = { none: "", relu: ` &nbsp;→ ReLU: max(0, ${total})`, relu6: ` &nbsp;→ ReLU6: min(6, max(0, ${total}))` };
  return formula(`${v("out")} = ${v("bias")} + Σ patch · kernel &nbsp; over ${count}`,
    `= ${num(bias, 4)} + ${num(sum, 4)} = ${total}${last[rule.activation]} = <b>${num(value, 4)}</b>`);
}

/** Patch, kernel and products of one input map. A weight of the kernel can be chosen. */
function kernelTables({ rule, kernel, weight, index, pixel, product, shares, from, c, tap }) {
  const all = Array.from({ length: kernel }, (_, i) => i);
  const table = (name, cell) => h("div", { class: "taps" }, h("small", {}, name),
    h("table", {}, all.map(i => h("tr", {}, all.map(j => cell(i, j))))));
  const at = (i, j) => weight.value[index(i, j, c)];
  const most = Math.max(1e-6, ...all.flatMap(i => all.map(j => Math.abs(at(i, j)))));
  const shade = number => `background:color-mix(in srgb, var(--${number < 0 ? "less" : "ink"}) `
    + `${Math.round(45 * Math.abs(number) / most)}%, transparent)`;
  const choose = (i, j) => button(num(at(i, j), 2), () => update({ tap: [i, j] }),
    { class: "tap", "aria-pressed": i === tap[0] && j === tap[1], "data-key": `tap ${i} ${j}` });
  const name = rule.source === "input" ? `The ${["red", "green", "blue"][c]} of the picture` : `Map ${from(c)} of ${rule.source}`;
  return [
    h("h4", {}, `${name} adds ${num(shares[c], 4)}`),
    h("div", { class: "products" },
      table("patch", (i, j) => h("td", {}, pixel(i, j, c) === null ? "0 (border)" : num(pixel(i, j, c), 2))),
      h("span", {}, "·"),
      table("kernel: click a weight", (i, j) => h("td", { style: shade(at(i, j)) }, choose(i, j))),
      h("span", {}, "="),
      table("products", (i, j) => h("td", {}, num(product(i, j, c), 2)))),
  ];
}

/** Two sliders, for the chosen weight and the bias; what is looked at stays while they move. */
function editSliders({ layer, channel, y, x, c, tap, weight, bias, index }) {
  if (live.training) {
    return note("These are weights trained here; to change single ones, go back to the page's own weights.");
  }
  const at = index(...tap, c), value = weight.value[at];
  const change = (name, place) => number => update({ y, x, input: c, tap, channel,
    edits: [...state.edits.filter(e => e.name !== name || e.index !== place), { name, index: place, value: number }] });
  const make = (id, text, number, onInput) => {
    const span = Math.max(2, Math.ceil(2 * Math.abs(number))), show = n => num(n, 3);
    return slider({ id, name: text, min: -span, max: span, step: 0.01, value: number, show, onInput });
  };
  const one = make("weight", "this weight", value, change(`${layer.name}.weight`, at));
  const two = make("bias", "the bias", bias, change(`${layer.name}.bias`, channel));
  const element = h("div", { class: "edit" }, one, two);
  element.set = now => { one.set(now.weight.value[at]); two.set(now.bias); };
  return element;
}

function shareRows({ rule, shares, order, from, c }) {
  const most = Math.max(Math.abs(shares[order[0]]), 1e-9);
  const name = k => (rule.source === "input" ? ["red", "green", "blue"][k] : `map ${from(k)}`);
  const bar = k => h("span", { class: "bar" }, h("i", { class: shares[k] < 0 ? "less" : "more",
    style: `width:${Math.round(100 * Math.abs(shares[k]) / most)}%` }));
  const row = k => h("button", { type: "button", class: `row plain${k === c ? " chosen" : ""}`,
    "data-key": `input ${k}`, onclick: () => update({ input: k }) },
    h("span", { class: "name" }, name(k)), bar(k), h("span", { class: "words" }, num(shares[k], 4)));
  return [h("h4", {}, "Which input maps add most"), h("div", { class: "rows" }, order.map(row))];
}

function poolCard(rule, source, channel, y, x, value) {
  const all = Array.from({ length: rule.size }, (_, i) => i);
  const cell = (i, j) => {
    const row = y * rule.stride - rule.pad[0][0] + i, column = x * rule.stride - rule.pad[1][0] + j;
    const there = row >= 0 && column >= 0 && row < source.height && column < source.width;
    const number = there ? source.data[(row * source.width + column) * source.channels + channel] : null;
    return h("td", { class: number === value ? "goal" : null }, there ? num(number, 3) : "–");
  };
  return namedCard("sum", "The largest of a window",
    h("div", { class: "products" },
      h("div", { class: "taps" }, h("small", {}, `map ${channel} of ${rule.source}`),
        h("table", {}, all.map(i => h("tr", {}, all.map(j => cell(i, j)))))),
      h("span", {}, "→"), h("b", {}, num(value, 4))),
    note("Max-pooling learns nothing: the largest value goes on, and backward the gradient goes to where it came from."));
}
