// Learning takes seconds, and blocks must answer meanwhile: it has a worker of its own.
import type { Running } from "../base";
import { fitHead, predictor, type About, type Head, type Samples, type Settings } from "../heads";
import { loadKernels, type Kernels } from "../kernels";
import { suggest, uncertainty, validate, type Report, type Suggestion, type Task } from "../validation";
import { Caller, type Handlers, type Port } from "./rpc";
import type { Learning, SuggestQuestion } from "./types";

export type LearningCalls = {
  fit: {
    args: { samples: Samples; head: string; about: About; settings: Settings; seed: number };
    part: never;
    result: Head;
  };
  validate: { args: Task; part: never; result: Report };
  suggest: { args: SuggestQuestion; part: never; result: readonly Suggestion[] };
};

export function learningCalls(load: () => Promise<Kernels> = loadKernels): Handlers<LearningCalls> {
  let kernels: Promise<Kernels> | undefined;
  const ready = () => (kernels ??= load());
  return {
    fit: ({ samples, head, about, settings, seed }, { signal, progress }) =>
      fitHead(samples, head, about, settings, seed, { signal, progress }),
    validate: async (task, { signal, progress }) => validate(task, await ready(), { signal, progress }),
    suggest: async (question, { signal, progress }) => chosen(question, await ready(), { signal, progress }),
  };
}

async function chosen(question: SuggestQuestion, kernels: Kernels, running: Running): Promise<readonly Suggestion[]> {
  const { candidates, labelled, head, count, spacing } = question;
  const { signal } = running;
  const unsure = head
    ? uncertainty(await predictor(head, kernels).probabilities([candidates], signal && { signal }), head.classes.length)
    : new Float64Array(candidates.scales.length).fill(1);
  return suggest({ ...candidates, unsure }, labelled, count, spacing, running);
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
    validate: (task, running = {}) => caller.call("validate", task, running),
    suggest: (question, running = {}) => caller.call("suggest", question, running),
    close: () => {
      hand.terminate();
      caller.break("learning was closed");
    },
  };
}

function spawnLearning(): Hand {
  return new Worker(new URL("./learning.worker.ts", import.meta.url), { type: "module", name: "learning" });
}
