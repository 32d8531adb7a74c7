// From pixels to what a network sees: Pillow's bilinear resizing to the last bit, and normalising.
"use strict";

/**
 * Along one axis, for each of `size` outputs: first input pixel and whole-number weights, as Pillow
 * computes them (22 bits behind the point). When shrinking, the triangle widens: all pixels count.
 */
function _weights(input, size) {
  const scale = input / size, spread = Math.max(scale, 1), out = [];
  for (let i = 0; i < size; i++) {
    const center = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(center - spread + 0.5), 0);
    const last = Math.min(Math.trunc(center + spread + 0.5), input);
    const weights = [];
    for (let p = first; p < last; p++) {
      weights.push(Math.max(0, 1 - Math.abs((p - center + 0.5) / spread)));
    }
    const sum = weights.reduce((a, b) => a + b, 0);
    out.push([first, weights.map(w => Math.trunc((w / sum) * (1 << 22) + 0.5))]);
  }
  return out;
}

/** Pixels (H * W * 3) 0..255 -> (newHeight * newWidth * 3): rows first, then columns, as Pillow. */
function resizeAntialias(pixels, height, width, newHeight, newWidth) {
  const across = newWidth === width ? pixels : _resizeAxis(pixels, height, width, newWidth, 3, 1);
  if (newHeight === height) return across;
  return _resizeAxis(across, newWidth, height, newHeight, 3, newWidth);
}

/** step 1: along a row; else along a column of rows `step` pixels wide. */
function _resizeAxis(pixels, lines, input, size, channels, step) {
  const out = new Uint8ClampedArray(lines * size * channels);
  const along = step === 1 ? channels : step * channels, half = 1 << 21;
  _weights(input, size).forEach(([first, weights], i) => {
    for (let line = 0; line < lines; line++) {
      const from = step === 1 ? line * input * channels : line * channels;
      const to = step === 1 ? (line * size + i) * channels : (i * lines + line) * channels;
      for (let k = 0; k < channels; k++) {
        let sum = half;
        for (let p = 0; p < weights.length; p++) sum += pixels[from + (first + p) * along + k] * weights[p];
        out[to + k] = Math.floor(sum / (1 << 22));
      }
    }
  });
  return out;
}

/** The four nearest pixels only, between pixel centres: torchvision's rule. -> Float32Array. */
function resizeHalfPixel(pixels, height, width, newHeight, newWidth) {
  const rows = _neighbours(height, newHeight), columns = _neighbours(width, newWidth);
  const out = new Float32Array(newHeight * newWidth * 3), f = Math.fround;
  rows.forEach(([top, bottom, down], y) => columns.forEach(([left, right, over], x) => {
    for (let k = 0; k < 3; k++) {
      const at = (row, column) => pixels[(row * width + column) * 3 + k];
      const before = f(at(top, left) + f((at(bottom, left) - at(top, left)) * down));
      const after = f(at(top, right) + f((at(bottom, right) - at(top, right)) * down));
      out[(y * newWidth + x) * 3 + k] = before + f((after - before) * over);
    }
  }));
  return out;
}

function _neighbours(size, newSize) {
  return Array.from({ length: newSize }, (_, i) => {
    const position = Math.min(Math.max((i + 0.5) * (size / newSize) - 0.5, 0), size - 1);
    const first = Math.trunc(position);
    return [first, Math.min(first + 1, size - 1), Math.fround(position - first)];
  });
}

/** Pixels (H * W * 3) as the network sees them, Float32Array of input.size: resized, (value - mean) / std. */
function preprocess(pixels, height, width, input) {
  const resize = input.resize === "half_pixel" ? resizeHalfPixel : resizeAntialias;
  const seen = resize(pixels, height, width, ...input.size);
  const mean = input.mean.map(Math.fround), std = input.std.map(Math.fround);
  return Float32Array.from(seen, (value, i) => Math.fround(value - mean[i % 3]) / std[i % 3]);
}
