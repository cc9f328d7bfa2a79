/** Random numbers of a seed: sfc32, which is fast, passes PractRand and is the same in every browser. */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(seed: number) {
    this.a = seed >>> 0;
    this.b = Math.floor(seed / 2 ** 32) >>> 0;
    this.c = 0x9e3779b9;
    for (let i = 0; i < 15; i++) this.whole();
  }

  /** A whole number from 0 to 2^32 - 1. */
  whole(): number {
    const sum = (this.a + this.b + this.counter++) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** A number from 0 to below 1. */
  next(): number {
    return this.whole() / 2 ** 32;
  }

  /** A whole number from 0 to below `count`. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** `count` different whole numbers below `total`, in random order; all of them where there are fewer. */
  choose(count: number, total: number): Int32Array<ArrayBuffer> {
    const all = Int32Array.from({ length: total }, (_, i) => i);
    const kept = Math.min(count, total);
    for (let i = 0; i < kept; i++) {
      const j = i + this.below(total - i);
      const value = all[i] as number;
      all[i] = all[j] as number;
      all[j] = value;
    }
    return all.slice(0, kept);
  }
}
