import { PageError } from "../base";
import type { Loaded } from "../compute";
import type { Box } from "../geo";
import type { Tile } from "../map";
import { bytesOf, hectares, sameArea } from "./areas";
import type { Colours } from "./looking.svelte";
import { MOST_BYTES, type Session } from "./session.svelte";

const AUTOMATIC = 90_000_000; // bytes that are read without a click

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6).toLocaleString("en")} MB`;
}

/** Blocks of the area and a year in memory; read where they are not yet. Undefined where it was cancelled or failed. */
export async function load(session: Session, year = session.year): Promise<Loaded | undefined> {
  const { looking, jobs } = session;
  const area = session.settleArea();
  if (!area || year === undefined || !session.store) return undefined;
  const known = looking.loaded[year];
  if (known && sameArea(known.area, area)) return known;
  const retry = () => void load(session, year);
  const need = bytesOf(area, session.dims);
  if (need > MOST_BYTES) {
    const words = `${Math.round(hectares(area)).toLocaleString("en")} ha take ${megabytes(need)} of memory; expected at most ${megabytes(MOST_BYTES)}. Zoom in, or draw a smaller area.`;
    jobs.fail("Area", new PageError("refused", words));
    return undefined;
  }
  const loaded = await jobs.run(
    "loading",
    `Reading ${year}`,
    async (running) => (await session.services.compute()).load(area, year, session.dims, running),
    { lane: `load-${year}`, retry },
  );
  if (!loaded) return undefined;
  const same = Object.entries(looking.loaded).filter(([, each]) => sameArea(each.area, area));
  for (const each of Object.values(looking.loaded)) if (!same.some(([, one]) => one === each)) each.release();
  looking.loaded = { ...Object.fromEntries(same), [year]: loaded };
  return loaded;
}

export function coloursLayer(year: number): string {
  return `colours-${year}`;
}

/** False colour of the area, with one stretch. */
export async function colour(
  session: Session,
  how: Colours = session.looking.colours,
  year = session.year,
): Promise<void> {
  session.looking.colours = how;
  const loaded = await load(session, year);
  if (!loaded) return;
  const tiles: Tile[] = [];
  const id = coloursLayer(loaded.year);
  // years that are compared have one stretch
  const main = session.year === undefined ? undefined : session.looking.loaded[session.year];
  const like = main && sameArea(main.area, loaded.area) && main.dims === loaded.dims ? main : loaded;
  const done = await session.jobs.run(
    "loading",
    "Colouring",
    async (running) => {
      await loaded.colours(how, ({ window, rgba }) => tiles.push({ window, step: 1, data: rgba }), running, like);
      return true;
    },
    { lane: `colours-${loaded.year}`, retry: () => void colour(session, how, year) },
  );
  if (!done) return;
  session.putLayer({
    id,
    title: `Colours ${loaded.year}`,
    paint: { kind: "rgba" },
    tiles,
    visible: true,
    opacity: 1,
    side: "both",
  });
  bottom(session, id);
  session.looking.pixels = loaded.valid;
  session.tell(`False colour of ${loaded.valid.toLocaleString("en")} pixels of ${loaded.year}.`);
}

/** Colours lie under maps and scores. */
function bottom(session: Session, id: string): void {
  const [mine, others] = [
    session.layers.filter((each) => each.id === id),
    session.layers.filter((each) => each.id !== id),
  ];
  const after = others.findIndex((each) => !/^(preview|colours)/.test(each.id));
  session.layers = after < 0 ? [...others, ...mine] : others.toSpliced(after, 0, ...mine);
}

/** The stored preview of what is seen, where the store has one. */
export async function preview(session: Session): Promise<void> {
  const { store, box, year } = session;
  if (!store?.preview || !box || year === undefined) return;
  const width = Math.min(2048, Math.round(globalThis.innerWidth * Math.min(2, globalThis.devicePixelRatio)));
  const pictures = await session.jobs.run(
    "loading",
    "Preview",
    async (running) => store.preview?.({ kind: "box", box }, year, width, running),
    { lane: "preview" },
  );
  session.looking.preview = pictures !== undefined;
  if (!pictures) return;
  session.putLayer({
    id: "preview",
    title: "Preview",
    paint: { kind: "rgba" },
    tiles: pictures.map(({ window, step, rgba }) => ({ window, step, data: rgba })),
    visible: true,
    opacity: 1,
    side: "both",
  });
  bottom(session, "preview");
}

/** What is shown at once after opening: colours of all that there is, where it is little enough. */
export async function first(session: Session, extent: Box | undefined): Promise<void> {
  await preview(session);
  if (session.area && !session.tooMuch) return colour(session);
  if (!extent) return;
  const whole = { kind: "box", box: extent } as const;
  if (bytesOf(whole, session.dims) > AUTOMATIC) return;
  session.setArea(whole);
  await colour(session);
}

/** Two years side by side. */
export async function compareWith(session: Session, year: number | undefined): Promise<void> {
  session.looking.compare = year;
  if (year === undefined) {
    session.swipe = undefined;
    for (const layer of session.layers) if (layer.side !== "both") session.changeLayer(layer.id, { side: "both" });
    return;
  }
  session.swipe ??= 0.5;
  if (session.year !== undefined && !session.layer(coloursLayer(session.year))) await colour(session);
  if (year !== session.year && !session.layer(coloursLayer(year))) await colour(session, session.looking.colours, year);
  for (const layer of session.layers) {
    if (layer.id === coloursLayer(year)) session.changeLayer(layer.id, { side: "right" });
    else if (session.year !== undefined && layer.id === coloursLayer(session.year))
      session.changeLayer(layer.id, { side: year === session.year ? "both" : "left" });
  }
}

/** Another year of the same place: what is shown is read again, labels stay. */
export async function setYear(session: Session, year: number): Promise<void> {
  if (year === session.year || !session.store?.years.includes(year)) return;
  const old = session.year;
  session.year = year;
  session.tell(`Year ${year}.`);
  await preview(session);
  const shown = old !== undefined && session.layer(coloursLayer(old)) !== undefined;
  if (shown) {
    await colour(session);
    if (session.year !== year) return;
    if (old !== session.looking.compare) session.dropLayer(coloursLayer(old));
  }
}
