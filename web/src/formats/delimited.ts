import { PageError } from "../base";
import { Counter } from "./corners";
import { checkPlace, fromEpsg } from "./crs";
import { MOST_BYTES, MOST_COLUMNS, type Row, type Table, type Value } from "./types";

const LON = ["lon", "longitude", "long", "lng", "x_wgs84"];
const LAT = ["lat", "latitude", "y_wgs84"];
const EPSG = /^epsg[:_ ]?(\d{4,6})$/i;

/** Points of a CSV: columns of longitude and latitude, or x and y with a column `epsg`. Comma, semicolon or tab. */
export function readDelimited(name: string, bytes: Uint8Array): Table {
  if (bytes.length > MOST_BYTES)
    throw new PageError("refused", `${name} has ${bytes.length} bytes; expected at most ${MOST_BYTES}`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new PageError("input", `${name} is not UTF-8; save it as CSV UTF-8`);
  }
  const [head, ...lines] = records(text, name);
  if (!head) throw new PageError("input", `${name} is empty; expected a header and a line a place`);
  if (head.length > MOST_COLUMNS)
    throw new PageError("refused", `${name} has ${head.length} columns; expected at most ${MOST_COLUMNS}`);
  const names = head.map((each) => each.trim());
  const twice = names.find((each, i) => names.indexOf(each) !== i);
  if (twice !== undefined)
    throw new PageError("input", `${name} has the column "${twice}" twice; name each column once`);
  const [x, y] = placeColumns(names, name);
  const epsg = names.findIndex((each) => each.toLowerCase() === "epsg");
  const counter = new Counter(name);
  const rows: Row[] = [];
  let empty = 0;
  lines.forEach((fields, i) => {
    const where = `${name}, line ${i + 2},`;
    if (fields.length !== names.length) {
      throw new PageError("input", `${where} has ${fields.length} fields; the header has ${names.length}`);
    }
    counter.row();
    const [east, north] = [number(fields[x]), number(fields[y])];
    if (east === null && north === null) {
      empty++;
      return;
    }
    if (typeof east !== "number" || typeof north !== "number") {
      throw new PageError(
        "input",
        `${where} has no number for its place; expected one in "${names[x]}" and "${names[y]}"`,
      );
    }
    const code = epsg < 0 ? 4326 : Number(EPSG.exec(fields[epsg] ?? "")?.[1] ?? fields[epsg]);
    const at = checkPlace(...fromEpsg(code, where)(east, north), where);
    rows.push({
      shapes: [{ kind: "point", at }],
      values: Object.fromEntries(names.map((each, j) => [each, value(fields[j])])),
    });
  });
  const columns = names.filter((_, i) => i !== x && i !== y);
  return { name, columns, rows, notes: empty > 0 ? [`${empty} lines without a place left out`] : [] };
}

function placeColumns(names: readonly string[], where: string): [number, number] {
  const lower = names.map((each) => each.toLowerCase());
  const find = (wanted: readonly string[]) => lower.findIndex((each) => wanted.includes(each));
  const lon = find(LON);
  const lat = find(LAT);
  if (lon >= 0 && lat >= 0) return [lon, lat];
  const x = find(["x", "easting", "east"]);
  const y = find(["y", "northing", "north"]);
  if (x >= 0 && y >= 0 && lower.includes("epsg")) return [x, y];
  const hint =
    x >= 0 && y >= 0 ? ' beside x and y expected a column "epsg", such as 32631' : " expected columns lon and lat";
  throw new PageError("input", `${where} has the columns ${names.slice(0, 8).join(", ").slice(0, 120)};${hint}`);
}

/** Records of RFC 4180; the separator is what the first line holds most of. */
function records(text: string, where: string): string[][] {
  const start = text.charCodeAt(0) === 0xfeff ? 1 : 0;
  const first = text.slice(start, text.indexOf("\n", start) < 0 ? undefined : text.indexOf("\n", start));
  const separator = [",", ";", "\t"].reduce((best, each) =>
    first.split(each).length > first.split(best).length ? each : best,
  );
  const out: string[][] = [];
  let record: string[] = [];
  let at = start;
  while (at <= text.length) {
    let field = "";
    if (text[at] === '"') {
      let end = at;
      do {
        end = text.indexOf('"', end + 1);
        if (end < 0) throw new PageError("input", `${where} opens a quote that it does not close`);
        if (text[end + 1] !== '"') break;
        end++;
      } while (true);
      field = text.slice(at + 1, end).replaceAll('""', '"');
      at = end + 1;
    } else {
      let end = at;
      while (end < text.length && text[end] !== separator && text[end] !== "\n" && text[end] !== "\r") end++;
      field = text.slice(at, end);
      at = end;
    }
    record.push(field);
    if (text[at] === separator) {
      at++;
      continue;
    }
    if (text[at] === "\r") at++;
    if (at < text.length && text[at] !== "\n") throw new PageError("input", `${where} has text behind a quoted field`);
    if (record.length > 1 || record[0] !== "") out.push(record);
    record = [];
    at++;
  }
  return out;
}

/** A number, null of an empty field, the text of any other. */
function number(field: string | undefined): number | string | null {
  const text = (field ?? "").trim();
  if (text === "" || /^(na|nan|null|none|#n\/a)$/i.test(text)) return null;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
}

function value(field: string | undefined): Value {
  const text = (field ?? "").trim();
  return number(text) === null ? null : text;
}
