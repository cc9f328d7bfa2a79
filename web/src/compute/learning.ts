// Learning takes seconds, and blocks must answer meanwhile: it has a worker of its own.
import { fitHead, type About, type Head, type Samples, type Settings } from "../heads";
import { Caller, type Handlers, type Port } from "./rpc";
import type { Learning } from "./types";

export type LearningCalls = {
  fit: {
    args: { samples: Samples; head: string; about: About; settings: Settings; seed: number };
    part: never;
    result: Head;
  };
};

export function learningCalls(): Handlers<LearningCalls> {
  return {
    fit: ({ samples, head, about, settings, seed }, { signal, progress }) =>
      fitHead(samples, head, about, settings, seed, { signal, progress }),
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
    close: () => {
      hand.terminate();
      caller.break("learning was closed");
    },
  };
}

function spawnLearning(): Hand {
  return new Worker(new URL("./learning.worker.ts", import.meta.url), { type: "module", name: "learning" });
}
