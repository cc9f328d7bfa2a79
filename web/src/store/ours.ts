// A store of our own layout: arrays of each zone cover the whole lattice, tessera.json says which years there are.
import { PageError, type Running } from "../base";
import type { Files, Piece } from "../files";
import { COLS, ROWS } from "../geo";
import { EmbeddingStore } from "./embeddings";
import { DOCUMENT, DOCUMENT_LIMIT, parseHeader } from "./header";
import { SCALES, codesSpec, formatOf, type Layout } from "./layout";
import { manifestBoxes } from "./manifest";
import { Overviews } from "./overviews";
import { Shards } from "./shard";
import { Source, type Extent } from "./source";

/** Undefined where there is no tessera.json. */
export async function openOurs(files: Files, running: Running): Promise<EmbeddingStore | undefined> {
  let piece: Piece;
  try {
    piece = await files.get(DOCUMENT, DOCUMENT_LIMIT, running);
  } catch (error) {
    if (error instanceof PageError && error.kind === "missing") return undefined;
    throw error;
  }
  const header = parseHeader(piece.bytes, `${files.name}/${DOCUMENT}`);
  const { layout, years } = header;
  const shards = new Shards(files);
  return new EmbeddingStore({
    name: nameOf(files),
    identity: files.identity,
    etag: piece.etag,
    model: header.model,
    years: [...years].sort((a, b) => a - b),
    zones: new Map(header.zones.map((zone) => [zone, [latticeExtent(zone, layout)]])),
    source: new Source(shards, { isClean: true, isWhole: true }),
    timeOf: (_, year) => Promise.resolve(years.includes(year) ? years.indexOf(year) : null),
    extent: (other) => manifestBoxes(files, other),
    overviews: new Overviews(files, shards, header),
  });
}

function latticeExtent(zone: number, layout: Layout): Extent {
  const specs = [SCALES, ...[layout.dims, ...layout.prefixes].map((dims) => codesSpec(dims, layout.dims))];
  return {
    window: { zone, row: 0, col: 0, height: ROWS, width: COLS },
    group: `utm${String(zone).padStart(2, "0")}`,
    specs: new Map(specs.map((spec) => [spec.name, { spec, form: formatOf(layout, spec) }])),
  };
}

export function nameOf(files: Files): string {
  return files.name.split("/").filter(Boolean).at(-1) ?? files.name;
}
