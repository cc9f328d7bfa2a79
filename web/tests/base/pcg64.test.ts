import { describe, expect, it } from "vitest";

import { Pcg64 } from "../../src/base";

// numpy.random.default_rng(seed): three numbers, then a permutation of 12
const KEPT: readonly [readonly number[], readonly number[], readonly number[]][] = [
  [[0], [0.6369616873214543, 0.2697867137638703, 0.04097352393619469], [2, 10, 3, 11, 0, 4, 7, 5, 1, 9, 8, 6]],
  [[1], [0.5118216247002567, 0.9504636963259353, 0.14415961271963373], [1, 7, 6, 10, 11, 3, 4, 5, 8, 0, 9, 2]],
  [[18], [0.39930576921757277, 0.7174146792882161, 0.2808233280360034], [5, 7, 2, 10, 8, 9, 3, 0, 6, 11, 1, 4]],
  [[2147483647], [0.27085409914511427, 0.9338994503936809, 0.4394176650121123], [7, 4, 1, 0, 3, 11, 2, 9, 10, 8, 6, 5]],
  [
    [1099511627781],
    [0.004739459374490829, 0.3725845824112115, 0.5872294266977701],
    [10, 2, 11, 3, 4, 1, 9, 7, 5, 6, 0, 8],
  ],
  [
    [0, 80],
    [0.7124927759195419, 0.10877350572149058, 0.9612472576233946],
    [11, 6, 5, 4, 1, 0, 3, 7, 10, 2, 8, 9],
  ],
  [
    [7, 77],
    [0.02169279135532931, 0.1859119288585217, 0.41718408943732144],
    [6, 10, 3, 8, 5, 4, 11, 1, 9, 2, 0, 7],
  ],
  [
    [1, 2, 3, 4, 5, 6],
    [0.6218049217551649, 0.11940126789606353, 0.8390479995608978],
    [7, 4, 11, 9, 6, 8, 10, 0, 2, 1, 5, 3],
  ],
];

describe("PCG64", () => {
  it.each(KEPT)("of seed %j draws what numpy draws", (seed, numbers, order) => {
    const generator = new Pcg64(...seed);
    expect([generator.random(), generator.random(), generator.random()]).toEqual(numbers);
    expect([...generator.permutation(12)]).toEqual(order);
  });

  it("draws the same long permutations", () => {
    const order = new Pcg64(3).permutation(100_000);
    const sum = order.reduce((total, one, at) => (total + one * (at % 97)) % 1_000_003, 0);
    expect(sum).toBe(867417);
  });
});
