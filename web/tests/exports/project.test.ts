// With TESSERA_PAGE_OUT, a project is left there for tests/page/test_page_project.py.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { strToU8, unzipSync, zipSync } from "fflate";
import { describe, expect, it } from "vitest";

import { readProject, writeProject, type Project } from "../../src/exports";
import { adopt } from "../../src/formats";
import { readHead } from "../../src/heads";
import { NOTHING } from "../../src/labels";

const bytes = readFileSync(join(import.meta.dirname, "../fixtures/heads/linear.json"));
const head = readHead(new Uint8Array(bytes), "linear.json");
const input = head.inputs[0];
if (!input) throw new Error("no input");
const { labels } = adopt(
  NOTHING,
  {
    name: "t",
    columns: ["c"],
    rows: [
      { shapes: [{ kind: "point", at: [5.1234567, 50.5] }], values: { c: "10" } },
      {
        shapes: [
          {
            kind: "polygon",
            rings: [
              [
                [5, 50],
                [5.1, 50],
                [5.1, 50.1],
                [5, 50],
              ],
            ],
          },
        ],
        values: { c: "<b>Äcker</b>" },
      },
    ],
    notes: [],
  },
  "c",
  "s",
);
const project: Project = {
  store: { url: "https://example.org/s.zarr", name: "s.zarr", etag: '"abc"', model: input.model },
  year: 2023,
  area: [5, 50, 5.1, 50.1],
  labels,
  places: "exact",
  heads: new Map([
    ["linear", head],
    ["../x/línear", head],
  ]),
  settings: { threshold: 0.9 },
};
const file = (content: Uint8Array, name = "p.zip") => new File([new Uint8Array(content)], name);
const document = (change: object) => {
  const about = {
    ...JSON.parse(JSON.stringify({ format: "tessera-project", version: 1, ...project, classes: [] })),
    ...change,
  };
  return file(zipSync({ "project.json": strToU8(JSON.stringify(about)) }));
};

describe("projects", () => {
  it("come back as they were", async () => {
    const written = await writeProject(project);
    const out = process.env["TESSERA_PAGE_OUT"];
    if (out) writeFileSync(join(out, "p.zip"), written);
    const back = await readProject(file(written));
    expect(back.store).toEqual(project.store);
    expect([back.year, back.area, back.places, back.settings]).toEqual([
      2023,
      project.area,
      "exact",
      { threshold: 0.9 },
    ]);
    expect(back.labels.classes).toEqual(labels.classes);
    expect(back.labels.labels.map(({ shape, classId }) => [shape, classId])).toEqual(
      labels.labels.map(({ shape, classId }) => [shape, classId]),
    );
    expect([...back.heads.keys()]).toEqual(["linear", "xlinear"]);
    expect(back.heads.get("linear")).toEqual(head);
    expect(await writeProject(project)).toEqual(written);
  });

  it("hide places where that is wanted", async () => {
    const written = unzipSync(await writeProject({ ...project, places: "none" }));
    const text = new TextDecoder().decode(written["labels.geojson"]);
    expect(text).not.toMatch(/5\.1234/);
    expect((await readProject(file(await writeProject({ ...project, places: "none" })))).labels.labels).toEqual([]);
    const coarse = await readProject(file(await writeProject({ ...project, places: "coarse" })));
    expect(coarse.labels.labels[0]?.shape).toEqual({ kind: "point", at: [5.12, 50.5] });
  });

  it.each([
    [{ format: "x" }, /has format x 1; expected tessera-project 1/],
    [{ version: 9 }, /expected tessera-project 1/],
    [
      { store: { ...project.store, url: "javascript:alert(1)" } },
      /store.url is javascript:alert\(1\); expected http or https/,
    ],
    [{ year: "2023" }, /year is 2023; expected a whole number/],
    [{ area: [1, 2] }, /area is .*; expected west/],
    [{ places: "some" }, /expected exact, coarse or none/],
    [{ classes: [{ name: "a", colour: "url(x)" }] }, /olour/],
    [{ classes: "x" }, /classes is x; expected a list/],
  ])("with %o are refused in words", async (change, expected) => {
    await expect(readProject(document(change))).rejects.toThrow(expected);
  });

  it("without a document, or none at all, are refused in words", async () => {
    await expect(readProject(file(zipSync({ "a.txt": strToU8("x") })))).rejects.toThrow(/holds no project.json/);
    await expect(readProject(file(strToU8("PK")))).rejects.toThrow(/zip archive/);
  });
});
