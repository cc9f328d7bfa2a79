import { PageError } from "../base";
import { merge } from "./merge";
import { parseLabels } from "./parse";
import type { Labels } from "./types";

const DATABASE = "tessera-labels";
const TABLE = "labels";

interface Kept {
  readonly identity: string;
  readonly revision: number;
  readonly labels: Labels;
}

/** Labels of one store in the browser's database: they survive a reload and a crash, and tabs see each other's. */
export interface Keeper {
  load(): Promise<Labels | undefined>;
  /** Saved; what another tab saved since is merged in, and the result comes back where it differs. */
  save(labels: Labels): Promise<Labels | undefined>;
  close(): void;
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's database failed"));
  });
}

async function database(factory: IDBFactory): Promise<IDBDatabase> {
  const request = factory.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: "identity" });
  try {
    return await done(request);
  } catch (cause) {
    throw new PageError(
      "load",
      "This browser keeps no data for this page (a private window?); save labels to a file before you leave.",
      { cause },
    );
  }
}

function parseKept(value: unknown): Kept | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { identity, revision, labels } = Object.fromEntries(Object.entries(value));
  if (typeof identity !== "string" || typeof revision !== "number") return undefined;
  return { identity, revision, labels: parseLabels(labels) };
}

/** @param changed is called when another tab has saved, with what makes of this tab's labels those of both. */
export async function openKeeper(
  identity: string,
  changed: (both: (mine: Labels) => Labels) => void,
  factory: IDBFactory = indexedDB,
): Promise<Keeper> {
  const base = await database(factory);
  const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(`${DATABASE}:${identity}`);
  let seen: Kept | undefined; // what this tab last read or wrote
  let queue: Promise<unknown> = Promise.resolve();

  const read = async () => parseKept(await done(base.transaction(TABLE).objectStore(TABLE).get(identity)));

  const write = (labels: Labels) =>
    new Promise<Kept>((resolve, reject) => {
      // one transaction reads and writes, so that no other tab comes between
      const transaction = base.transaction(TABLE, "readwrite", { durability: "strict" });
      const table = transaction.objectStore(TABLE);
      let next: Kept | undefined;
      const request = table.get(identity);
      request.onsuccess = () => {
        try {
          const there = parseKept(request.result);
          const alone = there === undefined || there.revision === seen?.revision;
          const result = alone ? labels : merge(seen?.labels ?? { classes: [], labels: [] }, labels, there.labels);
          next = { identity, revision: (there?.revision ?? 0) + 1, labels: result };
          table.put(next);
        } catch (error) {
          transaction.abort();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      transaction.oncomplete = () => (next ? resolve(next) : reject(new Error("nothing was saved")));
      transaction.onerror = transaction.onabort = () =>
        reject(
          new PageError("load", "Labels could not be kept in this browser (is its disk full?); save them to a file.", {
            cause: transaction.error,
          }),
        );
    });

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = queue.then(work, work);
    queue = turn.catch(() => undefined);
    return turn;
  };

  if (channel)
    channel.onmessage = () =>
      void inTurn(async () => {
        const there = await read();
        if (!there || there.revision === seen?.revision) return;
        const before = seen?.labels ?? { classes: [], labels: [] };
        seen = there;
        changed((mine) => merge(before, mine, there.labels));
      }).catch(() => undefined);

  return {
    load: () =>
      inTurn(async () => {
        seen = await read();
        return seen?.labels;
      }),
    save: (labels) =>
      inTurn(async () => {
        seen = await write(labels);
        channel?.postMessage(seen.revision);
        return seen.labels === labels ? undefined : seen.labels;
      }),
    close: () => {
      channel?.close();
      void queue.then(() => base.close());
    },
  };
}
