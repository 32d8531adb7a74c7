// The matrix product behind every convolution of the page, forward and backward.
"use strict";

/**
 * out (rows * columns) = a (rows * inner) @ b (inner * columns), each read by its two steps, so that
 * a transposed matrix is the same matrix with its steps exchanged. Four rows and four columns at a
 * time: 16 sums stay in registers while 8 numbers are read.
 */
function matmul(rows, columns, inner, a, aRow, aColumn, b, bRow, bColumn, out) {
  const panels = Math.ceil(columns / 4), packed = new Float64Array(panels * inner * 4);
  for (let p = 0; p < panels; p++) {
    const wide = Math.min(4, columns - 4 * p);
    for (let k = 0, to = p * inner * 4; k < inner; k++, to += 4) {
      for (let j = 0; j < wide; j++) packed[to + j] = b[k * bRow + (4 * p + j) * bColumn];
    }
  }
  const block = new Float64Array(inner * 4);
  for (let i = 0; i < rows; i += 4) {
    const high = Math.min(4, rows - i);
    if (high < 4) block.fill(0);
    for (let k = 0, to = 0; k < inner; k++, to += 4) {
      for (let r = 0; r < high; r++) block[to + r] = a[(i + r) * aRow + k * aColumn];
    }
    for (let p = 0; p < panels; p++) {
      _fourByFour(block, packed, p * inner * 4, inner, out, i, high, 4 * p,
                  Math.min(4, columns - 4 * p), columns);
    }
  }
  return out;
}

const _sums = new Float64Array(16);

function _fourByFour(a, b, from, inner, out, row, high, column, wide, columns) {
  for (let half = 0; half < 4; half += 2) {  // two rows at a time: 8 sums fit the registers
    let c00 = 0, c01 = 0, c02 = 0, c03 = 0, c10 = 0, c11 = 0, c12 = 0, c13 = 0;
    for (let k = 0, i = half, j = from; k < inner; k++, i += 4, j += 4) {
      const a0 = a[i], a1 = a[i + 1], b0 = b[j], b1 = b[j + 1], b2 = b[j + 2], b3 = b[j + 3];
      c00 += a0 * b0; c01 += a0 * b1; c02 += a0 * b2; c03 += a0 * b3;
      c10 += a1 * b0; c11 += a1 * b1; c12 += a1 * b2; c13 += a1 * b3;
    }
    const s = 4 * half;
    _sums[s] = c00; _sums[s + 1] = c01; _sums[s + 2] = c02; _sums[s + 3] = c03;
    _sums[s + 4] = c10; _sums[s + 5] = c11; _sums[s + 6] = c12; _sums[s + 7] = c13;
  }
  for (let r = 0; r < high; r++) {
    for (let j = 0; j < wide; j++) out[(row + r) * columns + column + j] = _sums[4 * r + j];
  }
}
