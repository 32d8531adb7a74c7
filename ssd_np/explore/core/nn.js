// Convolutions, pooling, activations, L2 normalisation: forward and backward of one image, the page's nn/ room.
// An image is {height, width, channels, data}, data flat (H * W * C); kernels are (k, k, C, Co).
// Sums run in double precision and are stored as the parameters are (Float32Array, or Float64Array).
"use strict";

function image(height, width, channels, like) {
  return { height, width, channels, data: new like.constructor(height * width * channels) };
}

/** Cells along an axis of the output; pad is [before, after]. ceil keeps a last, partial window. */
function outputSize(size, kernel, stride, pad, dilation = 1, ceil = false) {
  const span = size + pad[0] + pad[1] - dilation * (kernel - 1) - 1;
  const out = (ceil ? Math.ceil(span / stride) : Math.floor(span / stride)) + 1;
  return ceil && (out - 1) * stride >= size + pad[0] ? out - 1 : out;
}

/** Windows of x as rows: (Ho * Wo, k * k * C); what lies beyond the border is 0. */
function im2col(x, kernel, rule, height, width) {
  const { stride, pad: [[above], [before]], dilation } = rule, c = x.channels, inner = kernel * kernel * c;
  const cols = new x.data.constructor(height * width * inner);
  for (let oy = 0, to = 0; oy < height; oy++) {
    for (let ox = 0; ox < width; ox++) {
      for (let i = 0; i < kernel; i++) {
        const y = oy * stride - above + i * dilation;
        for (let j = 0; j < kernel; j++, to += c) {
          const left = ox * stride - before + j * dilation;
          if (y < 0 || y >= x.height || left < 0 || left >= x.width) continue;
          const from = (y * x.width + left) * c;
          for (let k = 0; k < c; k++) cols[to + k] = x.data[from + k];
        }
      }
    }
  }
  return cols;
}

/** rule: {stride, pad [[top, bottom], [left, right]], dilation}. -> {out, cache}; no ReLU. */
function conv2dForward(x, weight, bias, rule) {
  const kernel = weight.shape[0], channels = weight.shape[3];
  const height = outputSize(x.height, kernel, rule.stride, rule.pad[0], rule.dilation);
  const width = outputSize(x.width, kernel, rule.stride, rule.pad[1], rule.dilation);
  const out = image(height, width, channels, x.data), inner = kernel * kernel * x.channels;
  const plain = kernel === 1 && rule.stride === 1 && height === x.height && width === x.width;
  const cols = plain ? x.data : im2col(x, kernel, rule, height, width);
  matmul(height * width, channels, inner, cols, inner, 1, weight.value, channels, 1, out.data);
  for (let i = 0; i < out.data.length; i += channels) {
    for (let k = 0; k < channels; k++) out.data[i + k] += bias.value[k];
  }
  return { out, cache: { x, weight, rule, cols } };
}

/**
 * dout (Ho * Wo * Co) -> {dx, dw, db}: dw = cols.T @ dout, dcols = dout @ w.T, dx = col2im(dcols).
 * flipped = false makes a well-known mistake: the kernel is laid over dout as it stands.
 */
function conv2dBackward(dout, cache, inputGradient = true, flipped = true) {
  const { x, weight, rule, cols } = cache, kernel = weight.shape[0], channels = weight.shape[3];
  const pixels = dout.length / channels, inner = kernel * kernel * x.channels;
  const dw = new dout.constructor(inner * channels), db = new dout.constructor(channels);
  matmul(inner, channels, pixels, cols, 1, inner, dout, channels, 1, dw);
  for (let i = 0; i < dout.length; i += channels) {
    for (let k = 0; k < channels; k++) db[k] += dout[i + k];
  }
  if (!inputGradient) return { dx: null, dw, db };
  const dcols = new dout.constructor(pixels * inner);
  matmul(pixels, inner, channels, dout, channels, 1, weight.value, 1, channels, dcols);
  return { dx: col2im(dcols, x, kernel, rule, flipped), dw, db };
}

/** The rows of windows back to pixels: every number is added to the pixel it was read from. */
function col2im(dcols, x, kernel, rule, flipped = true) {
  const { stride, pad: [[above], [before]], dilation } = rule, c = x.channels;
  const dx = new dcols.constructor(x.data.length);
  const width = outputSize(x.width, kernel, stride, rule.pad[1], dilation);
  const pixels = dcols.length / (kernel * kernel * c);
  for (let pixel = 0, from = 0; pixel < pixels; pixel++) {
    const oy = Math.floor(pixel / width), ox = pixel % width;
    for (let tap = 0; tap < kernel * kernel; tap++, from += c) {
      const to = flipped ? tap : kernel * kernel - 1 - tap;
      const y = oy * stride - above + Math.floor(to / kernel) * dilation;
      const left = ox * stride - before + (to % kernel) * dilation;
      if (y < 0 || y >= x.height || left < 0 || left >= x.width) continue;
      const at = (y * x.width + left) * c;
      for (let k = 0; k < c; k++) dx[at + k] += dcols[from + k];
    }
  }
  return dx;
}

// --- depthwise convolution: every channel has a kernel (k, k, C) of its own -----------------------

function depthwiseForward(x, weight, bias, rule) {
  const kernel = weight.shape[0], c = x.channels, taps = kernel * kernel;
  const height = outputSize(x.height, kernel, rule.stride, rule.pad[0], rule.dilation);
  const width = outputSize(x.width, kernel, rule.stride, rule.pad[1], rule.dilation);
  const out = image(height, width, c, x.data), cols = im2col(x, kernel, rule, height, width);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let k = 0; k < c; k++) {
      let sum = bias.value[k];
      for (let t = 0; t < taps; t++) sum += cols[(pixel * taps + t) * c + k] * weight.value[t * c + k];
      out.data[pixel * c + k] = sum;
    }
  }
  return { out, cache: { x, weight, rule, cols } };
}

function depthwiseBackward(dout, { x, weight, rule, cols }, inputGradient = true, flipped = true) {
  const kernel = weight.shape[0], c = x.channels, taps = kernel * kernel;
  const dw = new dout.constructor(taps * c), db = new dout.constructor(c);
  const dcols = new dout.constructor(cols.length);
  for (let pixel = 0; pixel < dout.length / c; pixel++) {
    for (let k = 0; k < c; k++) {
      const g = dout[pixel * c + k];
      db[k] += g;
      for (let t = 0; t < taps; t++) {
        const at = (pixel * taps + t) * c + k;
        dw[t * c + k] += cols[at] * g;
        dcols[at] = weight.value[t * c + k] * g;
      }
    }
  }
  return { dx: inputGradient ? col2im(dcols, x, kernel, rule, flipped) : null, dw, db };
}

// --- pooling and activations -----------------------------------------------------------------------------

/** The largest of each window; `from` is where it lay, of equal ones the first in reading order. */
function maxPool2dForward(x, { size, stride, pad, ceil }) {
  const height = outputSize(x.height, size, stride, pad[0], 1, ceil);
  const width = outputSize(x.width, size, stride, pad[1], 1, ceil);
  const out = image(height, width, x.channels, x.data), from = new Int32Array(out.data.length);
  for (let pixel = 0, to = 0; pixel < height * width; pixel++) {
    const top = Math.floor(pixel / width) * stride - pad[0][0], left = (pixel % width) * stride - pad[1][0];
    for (let k = 0; k < x.channels; k++, to++) {
      let best = -Infinity;
      for (let y = Math.max(top, 0); y < Math.min(top + size, x.height); y++) {
        for (let column = Math.max(left, 0); column < Math.min(left + size, x.width); column++) {
          const at = (y * x.width + column) * x.channels + k;
          if (x.data[at] > best) { best = x.data[at]; from[to] = at; }
        }
      }
      out.data[to] = best;
    }
  }
  return { out, cache: { count: x.data.length, from } };
}

function maxPool2dBackward(dout, { count, from }) {
  const dx = new dout.constructor(count);
  for (let i = 0; i < dout.length; i++) dx[from[i]] += dout[i];
  return dx;
}

/** What stands behind a layer: "none", "relu" or "relu6". */
function activationForward(data, activation) {
  if (activation === "none") return data;
  const most = activation === "relu6" ? 6 : Infinity;
  return data.map(value => Math.min(Math.max(value, 0), most));
}

/** The gradient passes where the output lies strictly inside. */
function activationBackward(dout, out, activation) {
  if (activation === "none") return dout;
  const most = activation === "relu6" ? 6 : Infinity;
  return dout.map((value, i) => (out[i] > 0 && out[i] < most ? value : 0));
}

// --- L2 normalisation -----------------------------------------------------------------------------

/** Every pixel divided by its length over the channels, times a learned scale a channel. */
function l2normForward(x, scale, eps, form) {
  const c = x.channels, out = image(x.height, x.width, c, x.data), norms = [];
  for (let i = 0; i < x.data.length; i += c) {
    let square = 0;
    for (let k = 0; k < c; k++) square += x.data[i + k] * x.data[i + k];
    const length = Math.sqrt(square);
    const norm = { inside: Math.sqrt(square + eps), max: Math.max(length, eps), outside: length + eps }[form];
    norms.push(norm);
    for (let k = 0; k < c; k++) out.data[i + k] = (x.data[i + k] / norm) * scale[k];
  }
  return { out, cache: { x, scale, eps, form, norms } };
}

/** With g = dout * scale and u = x / norm: dx = (g - s u (u . g)) / norm; s as in nn/l2norm.py. */
function l2normBackward(dout, { x, scale, eps, form, norms }) {
  const c = x.channels, dx = new dout.constructor(dout.length), dscale = new dout.constructor(c);
  norms.forEach((norm, pixel) => {
    const i = pixel * c;
    let along = 0;
    for (let k = 0; k < c; k++) along += (x.data[i + k] / norm) * dout[i + k] * scale[k];
    if (form === "max" && !(norm > eps)) along = 0;
    if (form === "outside") along = norm > eps ? (along * norm) / (norm - eps) : 0;
    for (let k = 0; k < c; k++) {
      const unit = x.data[i + k] / norm;
      dscale[k] += dout[i + k] * unit;
      dx[i + k] = (dout[i + k] * scale[k] - unit * along) / norm;
    }
  });
  return { dx, dscale };
}
