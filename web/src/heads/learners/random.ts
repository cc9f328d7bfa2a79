import type { Pcg64 } from "../../base";

/** Random numbers for what draws millions of them: sfc32, seeded from PCG64. */
export class Fast {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: Pcg64) {
    [this.#a, this.#b, this.#c, this.#d] = [seed.uint32() | 0, seed.uint32() | 0, seed.uint32() | 0, 1];
    for (let round = 0; round < 12; round++) this.uint32();
  }

  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** From 0 to 1, 1 not included. */
  next(): number {
    return this.uint32() / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }
}
