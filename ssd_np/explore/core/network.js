// SSD of one image: the trunk, a head on every feature map, backward through all of it, and SGD.
"use strict";

/**
 * The network of a config. parameters: {name: {shape, value}}; value is a Float32Array, or a
 * Float64Array where gradients are checked by numbers.
 */
class Network {
  constructor(config, parameters) {
    this.config = config;
    this.parameters = parameters;
    this.classes = config.class_names.length + 1;
    this.defaults = defaultBoxes(config);
    this.flipped = true;  // false: the mistake of conv2dBackward
  }

  /** The picture as the network sees it, flat (H * W * 3) -> {logits (T * K), offsets (T * 4)}. */
  forward(input) {
    const [height, width] = this.config.input.size;
    let x = { height, width, channels: 3, data: input };
    this.steps = [];  // of the trunk, in order: what backward and the Network part read
    this.heads = [];
    const boxes = this.defaults.length / 8;
    const logits = new input.constructor(boxes * this.classes), offsets = new input.constructor(boxes * 4);
    let first = 0;
    for (const layer of this.config.layers) {
      x = this._layer(layer, x);
      const map = this.config.feature_maps.find(m => m.name === layer.name);
      if (map) first = this._head(map, x, logits, offsets, first);
    }
    return { logits, offsets };
  }

  _layer(layer, x) {
    if (layer.kind === "pool") {
      const { out, cache } = maxPool2dForward(x, layer);
      this.steps.push({ layer, x, out, cache });
      return out;
    }
    const p = this.parameters, forward = layer.kind === "depthwise" ? depthwiseForward : conv2dForward;
    const { out, cache } = forward(x, p[`${layer.name}.weight`], p[`${layer.name}.bias`], layer);
    const active = { ...out, data: activationForward(out.data, layer.activation) };
    this.steps.push({ layer, x, before: out, out: active, cache });
    return active;
  }

  /** Scores and offsets of a map's boxes: in a cell first the K scores of each box, then the offsets. */
  _head(map, x, logits, offsets, first) {
    const p = this.parameters, border = this.config.head_kernel >> 1;
    const rule = { stride: 1, pad: [[border, border], [border, border]], dilation: 1 };
    const head = { map, first, x };
    if (map.l2norm_scale !== null) {
      const { eps, form } = this.config.l2norm;
      head.norm = l2normForward(x, p[`${map.name}_norm.scale`].value, eps, form);
      x = head.norm.out;
    }
    for (const [kind, target] of [["conf", logits], ["loc", offsets]]) {
      const name = `${kind}_${map.name}`;
      head[kind] = conv2dForward(x, p[`${name}.weight`], p[`${name}.bias`], rule);
      head[kind].input = x;
      target.set(head[kind].out.data, first * (target === logits ? this.classes : 4));
    }
    this.heads.push(head);
    return first + head.loc.out.data.length / 4;
  }

  /** Gradients of the outputs -> {parameter's name: its gradient}. A map's head and the next layer add. */
  backward(dlogits, doffsets, inputGradient = false) {
    const grads = {}, first = this.config.layers[0].name;
    let dx = null, below = true;
    for (const step of [...this.steps].reverse()) {
      const { layer } = step;
      const head = this.heads.find(h => h.map.name === layer.name);
      if (head) dx = add(dx, this._headBackward(head, dlogits, doffsets, grads));
      if (layer.kind === "pool") { dx = maxPool2dBackward(dx, step.cache); continue; }
      below = inputGradient || layer.name !== first;
      const dout = activationBackward(dx, step.out.data, layer.activation);
      const backward = layer.kind === "depthwise" ? depthwiseBackward : conv2dBackward;
      const back = backward(dout, step.cache, below, this.flipped);
      grads[`${layer.name}.weight`] = back.dw;
      grads[`${layer.name}.bias`] = back.db;
      dx = back.dx;
    }
    if (inputGradient) grads.input = dx;
    return grads;
  }

  _headBackward(head, dlogits, doffsets, grads) {
    let dmap = null;
    const rows = head.loc.out.data.length / 4, number = head.x.data.constructor;
    for (const [kind, gradient, wide] of [["conf", dlogits, this.classes], ["loc", doffsets, 4]]) {
      const part = gradient.slice(head.first * wide, (head.first + rows) * wide);
      const back = conv2dBackward(number.from(part), head[kind].cache, true, this.flipped);
      grads[`${kind}_${head.map.name}.weight`] = back.dw;
      grads[`${kind}_${head.map.name}.bias`] = back.db;
      dmap = add(dmap, back.dx);
    }
    if (!head.norm) return dmap;
    const { dx, dscale } = l2normBackward(dmap, head.norm.cache);
    grads[`${head.map.name}_norm.scale`] = dscale;
    return dx;
  }
}

function add(a, b) {
  return a === null ? b : a.map((value, i) => value + b[i]);
}

/** The same parameters as another kind of number, or as a copy. */
function copyParameters(parameters, kind = Float32Array) {
  return Object.fromEntries(Object.entries(parameters).map(
    ([name, { shape, value }]) => [name, { shape, value: kind.from(value) }]));
}

// --- training -------------------------------------------------------------------------------------

/** v <- momentum v + scale g + decay w; w <- w - rate v. scale shortens gradients longer than clipNorm. */
class SGD {
  constructor(parameters, { momentum = 0.9, weightDecay = 0, clipNorm = null } = {}) {
    Object.assign(this, { parameters, momentum, weightDecay, clipNorm });
    this.velocity = {};
    for (const [name, { value }] of Object.entries(parameters)) {
      this.velocity[name] = new value.constructor(value.length);
    }
  }

  /** One update; -> the norm of all gradients before they were shortened. */
  step(grads, rate) {
    let square = 0;
    for (const grad of Object.values(grads)) for (const g of grad) square += g * g;
    const norm = Math.sqrt(square);
    const scale = this.clipNorm && norm > this.clipNorm ? this.clipNorm / norm : 1;
    for (const [name, { value: w }] of Object.entries(this.parameters)) {
      const v = this.velocity[name], g = grads[name];
      const decay = name.endsWith(".bias") ? 0 : this.weightDecay;
      for (let i = 0; i < w.length; i++) {
        v[i] = this.momentum * v[i] + scale * g[i] + decay * w[i];
        w[i] -= rate * v[i];
      }
    }
    return norm;
  }
}

/** Numbers from a seed, the same in every browser (mulberry32), and normal ones from them. */
function generator(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

/** Parameters of a network that knows nothing: He's start in the trunk, nearly 0 in the heads. */
function freshParameters(parameters, seed) {
  const { normal } = generator(seed), fresh = {};
  for (const [name, { shape, value }] of Object.entries(parameters)) {
    if (name.endsWith(".scale")) { fresh[name] = { shape, value: value.slice() }; continue; }
    const head = /^(conf|loc)_/.test(name), bias = name.endsWith(".bias");
    const fanIn = shape[0] * shape[1] * (shape.length === 4 ? shape[2] : 1);
    const spread = bias ? 0 : head ? 0.01 : Math.sqrt(2 / fanIn);
    fresh[name] = { shape, value: value.map(() => spread * normal()) };
  }
  return fresh;
}
