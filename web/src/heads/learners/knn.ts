import type { Learner } from "../types";
import { float32, int32, trainingOf } from "./samples";

const NEIGHBOURS = 5;

/** The labels themselves. By default the largest odd number of neighbours up to the root of the labels, at most five. */
export const knn: Learner = {
  head: "knn",
  defaults: { neighbours: 0, distance: false },
  async fit(samples, classes, settings, _seed, running) {
    running?.signal?.throwIfAborted();
    const { n, dims, y } = trainingOf(samples, classes);
    const wanted = Math.floor(Number(settings["neighbours"] ?? 0));
    const rule = Math.min(NEIGHBOURS, Math.floor((Math.floor(Math.sqrt(n)) + 1) / 2) * 2 - 1);
    return {
      widths: int32([dims]),
      codes: { dtype: "int8", shape: [n, dims], data: samples.codes.slice() },
      scales: float32(samples.scales, [n, 1]),
      target: { dtype: "int64", shape: [n], data: BigInt64Array.from(y, BigInt) },
      neighbours: int32([Math.min(n, wanted > 0 ? wanted : rule)]),
      ...(settings["distance"] === true ? { vote: int32([1]) } : {}),
    };
  },
};
