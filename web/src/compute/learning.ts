// Learning takes seconds, and blocks must answer meanwhile: it has a worker of its own.
import { fitHead, predictor, type About, type Head, type Samples, type Settings } from "../heads";
import { loadKernels } from "../kernels";
import { suggest, uncertainty, validate, type Labelled, type Report, type Suggestion, type Task } from "../validation";
import { Caller, type Handlers, type Port } from "./rpc";
import type { Learning, Places } from "./types";

const SPACING = 100; // metres between places that are suggested

export type LearningCalls = {
  fit: {
    args: { samples: Samples; head: string; about: About; settings: Settings; seed: number };
    part: never;
    result: Head;
  };
  validate: { args: { task: Task }; part: never; result: Report };
  suggest: {
    args: { head: Head; candidates: Places; labelled: Labelled; count: number };
    part: never;
    result: readonly Suggestion[];
  };
};

export function learningCalls(): Handlers<LearningCalls> {
  return {
    fit: ({ samples, head, about, settings, seed }, { signal, progress }) =>
      fitHead(samples, head, about, settings, seed, { signal, progress }),
    validate: async ({ task }, { signal, progress }) => validate(task, await loadKernels(), { signal, progress }),
    suggest: async ({ head, candidates, labelled, count }, { signal, progress }) => {
      const probabilities = await predictor(head, await loadKernels()).probabilities([candidates], { signal });
      const unsure = uncertainty(probabilities, head.classes.length);
      return suggest({ ...candidates, unsure }, labelled, count, SPACING, { signal, progress });
    },
  };
}

interface Hand extends Port {
  terminate(): void;
  addEventListener(kind: "message" | "error" | "messageerror", got: (event: MessageEvent) => void): void;
}

/** Start the worker that learns. */
export function startLearning(spawn: () => Hand = spawnLearning): Learning {
  const hand = spawn();
  const caller = new Caller<LearningCalls>(hand);
  const broke = () => caller.break("the worker that learns stopped, perhaps for lack of memory; reload the page");
  hand.addEventListener("error", broke);
  hand.addEventListener("messageerror", broke);
  return {
    fit: (samples, head, about, settings, seed, running = {}) =>
      caller.call("fit", { samples, head, about, settings, seed }, running),
    validate: (task, running = {}) => caller.call("validate", { task }, running),
    suggest: (head, candidates, labelled, count, running = {}) =>
      caller.call("suggest", { head, candidates, labelled, count }, running),
    close: () => {
      hand.terminate();
      caller.break("learning was closed");
    },
  };
}

function spawnLearning(): Hand {
  return new Worker(new URL("./learning.worker.ts", import.meta.url), { type: "module", name: "learning" });
}
