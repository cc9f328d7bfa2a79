import type { Area, LonLat } from "../geo";
import type { View } from "../map";

/** What a link says. Anything can stand in a link, so each part is believed only within its bounds, else left out. */
export interface HashState {
  readonly store?: string;
  readonly year?: number;
  readonly compare?: number; // the other year of the swipe
  readonly view?: View;
  readonly panel?: string;
  readonly area?: Area;
  readonly threshold?: number; // cosine
  readonly like?: readonly LonLat[];
  readonly unlike?: readonly LonLat[];
  readonly learner?: string;
  readonly classes?: readonly { readonly name: string; readonly colour: string }[];
  readonly hidden?: readonly string[]; // layers that are off
}

const MOST = 16_000; // characters of a hash that is read at all
const MOST_POINTS = 2_000;
const WORD = /^[a-z][a-z0-9-]{0,30}$/;

function number(text: string | undefined, low: number, high: number): number | undefined {
  if (text === undefined || !/^-?\d+(\.\d+)?$/.test(text)) return undefined;
  const value = Number(text);
  return value >= low && value <= high ? value : undefined;
}

function year(text: string | null): number | undefined {
  const value = number(text ?? undefined, 1970, 2200);
  return value !== undefined && Number.isInteger(value) ? value : undefined;
}

function place(text: string): LonLat | undefined {
  const [a, b, ...more] = text.split(",");
  const [lon, lat] = [number(a, -180, 180), number(b, -90, 90)];
  return lon === undefined || lat === undefined || more.length > 0 ? undefined : [lon, lat];
}

function places(text: string | null, most = MOST_POINTS): readonly LonLat[] | undefined {
  if (text === null || text === "") return undefined;
  const parts = text.split(";");
  if (parts.length > most) return undefined;
  const read = parts.map(place).filter((each) => each !== undefined);
  return read.length === parts.length ? read : undefined;
}

function view(text: string | null): View | undefined {
  const [a, b, c] = (text ?? "").split(",");
  const [lon, lat, zoom] = [number(a, -180, 180), number(b, -85.1, 85.1), number(c, 0, 22)];
  return lon === undefined || lat === undefined || zoom === undefined ? undefined : { lon, lat, zoom };
}

function area(text: string | null): Area | undefined {
  if (text === null) return undefined;
  if (!text.includes(";")) {
    const [west, south, east, north, ...more] = text.split(",").map((each) => number(each, -540, 540));
    if (west === undefined || south === undefined || east === undefined || north === undefined || more.length > 0)
      return undefined;
    return west < east && south < north && south >= -90 && north <= 90
      ? { kind: "box", box: [west, south, east, north] }
      : undefined;
  }
  const polygons = text.split("!").map((each) => places(each));
  const whole = polygons.every((ring) => ring !== undefined && ring.length >= 4);
  return whole && polygons.length <= 50
    ? { kind: "polygons", polygons: polygons.filter((ring) => ring !== undefined).map((ring) => [ring]) }
    : undefined;
}

/** A store's address: http or https, and without a name and a password in it. */
export function storeUrl(text: string | null, base?: string): string | undefined {
  if (text === null || text === "" || text.length > 2_000) return undefined;
  try {
    const url = new URL(text, base);
    const fit = (url.protocol === "http:" || url.protocol === "https:") && url.username === "" && url.password === "";
    return fit ? url.href : undefined;
  } catch {
    return undefined;
  }
}

function classes(text: string | null): HashState["classes"] {
  if (text === null) return undefined;
  const parts = text.split("|").slice(0, 200);
  const read = parts.map((each) => {
    const [colour, ...name] = each.split("~");
    const clean = name.join("~").trim();
    return colour && /^[0-9a-f]{6}$/.test(colour) && clean !== "" && clean.length <= 80
      ? { name: clean, colour: `#${colour}` }
      : undefined;
  });
  const good = read.filter((each) => each !== undefined);
  return good.length > 0 ? good : undefined;
}

function defined<T extends object>(value: { [K in keyof T]: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Partial<T>;
}

export function parseHash(hash: string, base?: string): HashState {
  const text = hash.replace(/^#/, "");
  if (text === "" || text.length > MOST) return {};
  const said = new URLSearchParams(text);
  const word = (name: string) => {
    const value = said.get(name);
    return value !== null && WORD.test(value) ? value : undefined;
  };
  const hidden = said
    .get("hidden")
    ?.split(",")
    .slice(0, 50)
    .filter((each) => WORD.test(each));
  return defined<HashState>({
    store: storeUrl(said.get("store"), base),
    year: year(said.get("year")),
    compare: year(said.get("compare")),
    view: view(said.get("at")),
    panel: word("panel"),
    area: area(said.get("area")),
    threshold: number(said.get("threshold") ?? undefined, -1, 2),
    like: places(said.get("like"), 200),
    unlike: places(said.get("unlike"), 200),
    learner: word("learner"),
    classes: classes(said.get("classes")),
    hidden: hidden && hidden.length > 0 ? hidden : undefined,
  });
}

const short = (value: number, digits: number) => String(Number(value.toFixed(digits)));
const pair = ([lon, lat]: LonLat) => `${short(lon, 6)},${short(lat, 6)}`;

function areaText(value: Area): string {
  if (value.kind === "box") return value.box.map((each) => short(each, 6)).join(",");
  return value.polygons.map((rings) => (rings[0] ?? []).map(pair).join(";")).join("!");
}

export function formatHash(state: HashState): string {
  const said: [string, string][] = [];
  const add = (name: string, value: string | undefined) => {
    if (value !== undefined && value !== "") said.push([name, value]);
  };
  add("store", state.store);
  add("year", state.year?.toString());
  add("compare", state.compare?.toString());
  if (state.view) add("at", [short(state.view.lon, 5), short(state.view.lat, 5), short(state.view.zoom, 2)].join(","));
  add("panel", state.panel);
  if (state.area) add("area", areaText(state.area));
  if (state.threshold !== undefined) add("threshold", short(state.threshold, 3));
  add("like", state.like?.map(pair).join(";"));
  add("unlike", state.unlike?.map(pair).join(";"));
  add("learner", state.learner);
  add("classes", state.classes?.map(({ name, colour }) => `${colour.slice(1)}~${name.replaceAll("|", "/")}`).join("|"));
  add("hidden", state.hidden?.join(","));
  // signs that a hash may hold as they are stay readable
  return said
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replace(/%(2C|3A|2F|3B|7E|21)/g, decodeURIComponent)}`)
    .join("&");
}
