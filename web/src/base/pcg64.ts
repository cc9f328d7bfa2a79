// numpy's default generator (PCG64 seeded by SeedSequence), so that Python and the page draw the same folds.
// https://numpy.org/doc/stable/reference/random/bit_generators/pcg64.html

const MASK32 = 0xffffffffn;
const MASK64 = (1n << 64n) - 1n;
const MASK128 = (1n << 128n) - 1n;
const MULTIPLIER = (2549297995355413924n << 64n) + 4865540595714422341n;
const POOL = 4;

/** A hash of the pool, whose constant changes with every call. */
function hasher(start: number, factor: number): (value: number) => number {
  let constant = start;
  return (value) => {
    value ^= constant;
    constant = Math.imul(constant, factor);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
}

function mix(x: number, y: number): number {
  const value = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
  return (value ^ (value >>> 16)) >>> 0;
}

/** Four words of 64 bits from a seed: whole numbers of 0 or more. */
function seeded(seed: readonly number[]): bigint[] {
  const entropy = seed.flatMap((one) => {
    const words = [one >>> 0];
    for (let rest = Math.floor(one / 2 ** 32); rest > 0; rest = Math.floor(rest / 2 ** 32)) words.push(rest >>> 0);
    return words;
  });
  const hash = hasher(0x43b0d7e5, 0x931e8875);
  const pool = Array.from({ length: POOL }, (_, index) => hash(entropy[index] ?? 0));
  const blend = (to: number, word: number) => (pool[to] = mix(pool[to] ?? 0, hash(word)));
  for (let from = 0; from < POOL; from++) {
    for (let to = 0; to < POOL; to++) if (from !== to) blend(to, pool[from] ?? 0);
  }
  for (const word of entropy.slice(POOL)) for (let to = 0; to < POOL; to++) blend(to, word);
  const out = hasher(0x8b51f9dd, 0x58f38ded);
  const words = Array.from({ length: 8 }, (_, index) => BigInt(out(pool[index % POOL] ?? 0)));
  return [0, 2, 4, 6].map((at) => (words[at] ?? 0n) | ((words[at + 1] ?? 0n) << 32n));
}

/** `numpy.random.default_rng(seed)`, as far as the page draws from it. */
export class Pcg64 {
  #state: bigint;
  readonly #increment: bigint;
  #kept: number | undefined;

  constructor(...seed: readonly number[]) {
    const [a, b, c, d] = seeded(seed.length ? seed : [0]) as [bigint, bigint, bigint, bigint];
    this.#increment = ((((c << 64n) | d) << 1n) | 1n) & MASK128;
    this.#state = (this.#increment + ((a << 64n) | b)) & MASK128;
    this.#step();
  }

  #step(): void {
    this.#state = (this.#state * MULTIPLIER + this.#increment) & MASK128;
  }

  uint64(): bigint {
    this.#step();
    const folded = (this.#state >> 64n) ^ (this.#state & MASK64);
    const turn = this.#state >> 122n;
    return ((folded >> turn) | (folded << (64n - turn))) & MASK64;
  }

  uint32(): number {
    if (this.#kept !== undefined) {
      const kept = this.#kept;
      this.#kept = undefined;
      return kept;
    }
    const both = this.uint64();
    this.#kept = Number(both >> 32n);
    return Number(both & MASK32);
  }

  /** From 0 to 1, 1 not included. */
  random(): number {
    return Number(this.uint64() >> 11n) / 2 ** 53;
  }

  /** A whole number from 0 to `most`, which is included; below 2^32. */
  upTo(most: number): number {
    if (most === 0) return 0;
    // as numpy shuffles: the bits that the largest needs, until they are not above it
    const mask = 0xffffffff >>> Math.clz32(most);
    for (;;) {
      const value = (this.uint32() & mask) >>> 0;
      if (value <= most) return value;
    }
  }

  /** 0 to count - 1 in random order. */
  permutation(count: number): Int32Array {
    const out = Int32Array.from({ length: count }, (_, index) => index);
    for (let i = count - 1; i > 0; i--) {
      const j = this.upTo(i);
      [out[i], out[j]] = [out[j] as number, out[i] as number];
    }
    return out;
  }
}
