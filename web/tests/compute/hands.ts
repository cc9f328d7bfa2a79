// Workers in this thread, behind real message channels: what crosses is cloned and transferred as in a browser.
import { MessageChannel } from "node:worker_threads";

import { engine } from "../../src/compute/engine";
import type { Hand } from "../../src/compute/pool";
import { serveCalls, type Port } from "../../src/compute/rpc";

export function spawnHere(): Hand {
  const { port1, port2 } = new MessageChannel();
  serveCalls(port2 as unknown as Port, engine());
  const hand = port1 as unknown as Hand & { close(): void };
  return Object.assign(hand, { terminate: () => hand.close() });
}
