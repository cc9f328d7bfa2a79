// The walls: a room imports only the rooms that src/rooms.json allows, through their index.ts; files make no circle.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

import rooms from "../src/rooms.json";

const SRC = resolve(import.meta.dirname, "../src");
const allowed: Record<string, string[]> = rooms;
const IMPORT =
  /(?:import|export)\s[^"';]*?from\s*["']([^"']+)["']|import\s*\(\s*["']([^"']+)["']|import\s*["']([^"']+)["']|new URL\(\s*["'](\.[^"']+)["']/g;

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? sources(path) : /\.(ts|svelte)$/.test(entry.name) ? [path] : [];
  });
}

function target(from: string, name: string): string | undefined {
  if (!name.startsWith(".")) return undefined;
  const path = resolve(dirname(from), name.replace(/\?.*$/, ""));
  return [path, `${path}.ts`, join(path, "index.ts")].find((each) => files.has(each));
}

const files = new Set(sources(SRC));
const edges = [...files].map((file) => {
  const text = readFileSync(file, "utf8");
  const found = [...text.matchAll(IMPORT)].map((hit) => target(file, (hit[1] ?? hit[2] ?? hit[3] ?? hit[4]) as string));
  return { file, to: found.filter((each) => each !== undefined) };
});
const room = (file: string) =>
  relative(SRC, file).split("/").length > 1 ? relative(SRC, file).split("/")[0] : undefined;

describe("the house", () => {
  it("has rooms that import only what their row allows, through the face", () => {
    const wrong = edges.flatMap(({ file, to }) =>
      to
        .filter((other) => {
          const [mine, theirs] = [room(file), room(other)];
          if (theirs === undefined || mine === theirs) return false;
          const face = /index\.ts$|\.svelte$|\.worker\.ts$/.test(other);
          return !(face && (mine === undefined || (allowed[mine] ?? []).includes(theirs)));
        })
        .map((other) => `${relative(SRC, file)} imports ${relative(SRC, other)}`),
    );
    expect(wrong).toEqual([]);
  });

  it("has a row for each room", () => {
    const found = new Set([...files].map(room).filter((each) => each !== undefined));
    expect([...found].filter((each) => !(each in allowed))).toEqual([]);
  });

  it("has no circle of files", () => {
    const next = new Map(edges.map(({ file, to }) => [file, to.filter((other) => !other.endsWith(".worker.ts"))]));
    const done = new Set<string>();
    const walk = (file: string, path: string[]): string | undefined => {
      if (path.includes(file))
        return [...path.slice(path.indexOf(file)), file].map((each) => relative(SRC, each)).join(" -> ");
      if (done.has(file)) return undefined;
      for (const other of next.get(file) ?? []) {
        const circle = walk(other, [...path, file]);
        if (circle) return circle;
      }
      done.add(file);
      return undefined;
    };
    expect([...files].map((file) => walk(file, [])).find((each) => each)).toBeUndefined();
  });

  it("has no module above 400 lines", () => {
    const long = [...files].filter((file) => readFileSync(file, "utf8").split("\n").length > 400);
    expect(long.map((file) => relative(SRC, file))).toEqual([]);
  });
});
