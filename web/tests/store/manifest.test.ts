import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import { UrlFiles } from "../../src/files";
import { openStore } from "../../src/store";
import { serve, type Served } from "../server";
import { filesOf } from "../stores";

let server: Served;
const MANIFEST = new Uint8Array(readFileSync(join(import.meta.dirname, "../fixtures/store/manifest.parquet")));
const extent = async () => (await openStore(new UrlFiles(`${server.url}/s`, { wait: 1 }))).extent();

beforeEach(async () => {
  server = await serve(filesOf("ours", "s"));
});
afterEach(() => server.close());

it("says where data lie by the manifest, to the chunk", async () => {
  server.files.set("s/manifest.parquet", MANIFEST);
  const boxes = await extent();
  expect(boxes.length).toBeGreaterThan(0);
  const [west, south, east, north] = boxes.reduce(
    (all, box) => [Math.min(all[0], box[0]), Math.min(all[1], box[1]), Math.max(all[2], box[2]), Math.max(all[3], box[3])] as const,
  ); // prettier-ignore
  // windows of 40 pixels on both sides of 6 E touch two columns of chunks of 32
  expect([west, south, east, north].map((value) => Math.round(value * 100) / 100)).toEqual([5.99, 49.99, 6.01, 50.0]);
  expect((east - west) * 71_700).toBeLessThan(1500);
});

it("knows nothing without one", async () => expect(await extent()).toEqual([]));

it.each([0, 100, 5000, MANIFEST.length - 20])("refuses one that was changed at %i", async (at) => {
  const bytes = MANIFEST.slice();
  bytes.fill(255, at, at + 16);
  server.files.set("s/manifest.parquet", bytes);
  // what is not read may be anything
  const found = await extent().catch((error: unknown) => error);
  if (found instanceof Error) expect(found).toMatchObject({ name: "PageError" });
});
