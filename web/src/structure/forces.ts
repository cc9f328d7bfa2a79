/** Shape of closeness in the picture, 1 / (1 + a d^2b), fitted to a least distance of 0.1 and a spread of 1 (McInnes et al. 2018, 3.2). */
export const A = 1.5769434603113077;
export const B = 0.8950608779109733;

const LOWEST = 2 ** -30; // squared distances that the tables tell apart
const BITS = 8; // of the mantissa: forces are right to 0.4 %
const SHIFT = 23 - BITS;
const SOFTENING = 0.001; // keeps the push of two points on one place finite, as in the paper's reference code

/**
 * Pull and push by squared distance, from a table by the first bits of its float32: a power and two divisions for each
 * of some 10^8 meetings would take most of the time.
 */
export class Forces {
  private readonly number = new Float32Array(1);
  private readonly bits = new Uint32Array(this.number.buffer);
  private readonly first: number;
  private readonly pulls: Float32Array;
  private readonly pushes: Float32Array;

  constructor() {
    this.number[0] = LOWEST;
    this.first = (this.bits[0] as number) >>> SHIFT;
    this.number[0] = 2 ** 40;
    const length = ((this.bits[0] as number) >>> SHIFT) - this.first;
    this.pulls = new Float32Array(length);
    this.pushes = new Float32Array(length);
    for (let i = 0; i < length; i++) {
      this.bits[0] = ((i + this.first) << SHIFT) | (1 << (SHIFT - 1));
      const square = this.number[0] as number;
      this.pulls[i] = pull(square);
      this.pushes[i] = push(square);
    }
  }

  /** What an edge of squared length `square` pulls with, times the difference of its ends; below 0. */
  pull(square: number): number {
    return square < LOWEST ? 0 : (this.pulls[this.place(square)] ?? 0);
  }

  /** What two points push each other with; above 0. */
  push(square: number): number {
    return this.pushes[square < LOWEST ? 0 : this.place(square)] ?? 0;
  }

  private place(square: number): number {
    this.number[0] = square;
    return ((this.bits[0] as number) >>> SHIFT) - this.first;
  }
}

/** The gradient of the pull, without a table. */
export function pull(square: number): number {
  const power = square ** B;
  return (-2 * A * B * power) / square / (A * power + 1);
}

/** The gradient of the push, without a table. */
export function push(square: number): number {
  return (2 * B) / ((SOFTENING + square) * (A * square ** B + 1));
}
