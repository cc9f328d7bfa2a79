import { PageError } from "../base";
import type { Places } from "../formats";
import { mapLayer } from "./classify";
import { download } from "./download";
import { SCORES } from "./find";
import type { Session } from "./session.svelte";

export function stem(session: Session): string {
  return (session.store?.name ?? "tessera").replace(/\.zarr$/, "").replace(/[^A-Za-z0-9_-]+/g, "-") || "tessera";
}

export async function saveLabels(session: Session, kind: "geojson" | "csv", places: Places = "exact"): Promise<void> {
  const { labels } = session.labelling;
  const name = `${stem(session)}-labels.${kind}`;
  await session.jobs.run("exporting", "Saving labels", async () => {
    const { labelsToGeoJson, labelsToRows } = await import("../formats");
    if (kind === "geojson") return download(name, labelsToGeoJson(labels, places), "application/geo+json");
    const { csv } = await import("../exports");
    download(name, csv(["longitude", "latitude", "class"], labelsToRows(labels, places)), "text/csv");
  });
}

/** The map of a year: a GeoTIFF a zone with its names and colours, or its patches as polygons. */
export async function saveMap(session: Session, kind: "geotiff" | "polygons"): Promise<void> {
  const { classifying } = session;
  const head = classifying.fitted?.head;
  const layer = classifying.year === undefined ? undefined : session.layer(mapLayer(classifying.year));
  if (!head || !layer) return;
  const name = `${stem(session)}-map-${classifying.year}`;
  await session.jobs.run("exporting", "Writing the map", async (running) => {
    const { classMap, geoJson, joinClasses, polygonsOf, valuesOf } = await import("../exports");
    const tiles = layer.tiles.flatMap(({ window, data }) =>
      data instanceof Uint8Array ? [{ window, values: valuesOf(data, head.values) }] : [],
    );
    const mosaics = joinClasses(tiles, 255);
    if (mosaics.length === 0) throw new PageError("missing", "There is no map yet; press “Learn and map” first.");
    if (kind === "geotiff") {
      for (const mosaic of mosaics) {
        const zone = mosaics.length > 1 ? `-utm${mosaic.window.zone}` : "";
        for (const file of await classMap(`${name}${zone}`, mosaic, head, running)) download(file.name, file.bytes);
      }
      return;
    }
    const names = new Map(head.values.map((value, index) => [value, head.classes[index] ?? String(value)]));
    const features = mosaics.flatMap(({ window, values }) => polygonsOf(values, window, names, 0.05));
    download(`${name}.geojson`, geoJson(features), "application/geo+json");
  });
}

/** What is like the examples, at or above the threshold, as polygons with their hectares. */
export async function saveFound(session: Session): Promise<void> {
  const layer = session.layer(SCORES);
  const { threshold } = session.finding;
  if (!layer) return;
  await session.jobs.run("exporting", "Tracing patches", async () => {
    const { geoJson, joinClasses, polygonsOf } = await import("../exports");
    const tiles = layer.tiles.map(({ window, data }) => ({
      window,
      values: Uint8Array.from(data, (value) => (value >= threshold ? 1 : 255)),
    }));
    const names = new Map([[1, `cosine at least ${threshold.toFixed(2)}`]]);
    const features = joinClasses(tiles, 255).flatMap(({ window, values }) => polygonsOf(values, window, names));
    download(`${stem(session)}-like.geojson`, geoJson(features), "application/geo+json");
  });
}

export async function saveHead(session: Session): Promise<void> {
  const head = session.classifying.fitted?.head;
  if (!head) return;
  await session.jobs.run("exporting", "Saving the head", async () => {
    const { writeHead } = await import("../heads");
    download(`${stem(session)}-head.json`, writeHead(head), "application/json");
  });
}
