import { PageError } from "../base";
import { toLonLat, type LonLat } from "../geo";

/** From the coordinates of a file to degrees. */
export type ToLonLat = (x: number, y: number) => LonLat;

const degrees: ToLonLat = (x, y) => [x, y];

/** The northings of southern UTM zones begin 10,000 km south of the equator; ours are below 0. */
const SOUTH = 10_000_000;
const RADIUS = 6_378_137; // of Web Mercator's sphere, metres (EPSG:3857)

/** Of an EPSG code: WGS 84 and its like in degrees, UTM on WGS 84 or ETRS89, Web Mercator. */
export function fromEpsg(code: number, where: string): ToLonLat {
  if (code === 4326 || code === 4258 || code === 4269 || code === 4979) return degrees;
  if (code === 3857 || code === 900913) return mercator;
  if (code >= 32601 && code <= 32660) return utm(code - 32600, false);
  if (code >= 32701 && code <= 32760) return utm(code - 32700, true);
  if (code >= 25828 && code <= 25838) return utm(code - 25800, false);
  throw new PageError(
    "input",
    `${where} is in EPSG:${code}; this page reads degrees (EPSG:4326), UTM on WGS 84 or ETRS89, and Web Mercator. Save it in EPSG:4326`,
  );
}

/** Of the text of a .prj file. */
export function fromWkt(text: string, where: string): ToLonLat {
  const epsg = /AUTHORITY\["EPSG",\s*"?(\d{4,6})"?\]\]\s*$/i.exec(text.trim());
  if (epsg) return fromEpsg(Number(epsg[1]), where);
  const zone = /UTM[ _]zone[ _](\d{1,2})\s*([NS])?/i.exec(text);
  const isModern = /WGS[ _]?(19)?84|ETRS[ _]?(19)?89/i.test(text);
  if (zone && isModern && Number(zone[1]) >= 1 && Number(zone[1]) <= 60) {
    return utm(Number(zone[1]), zone[2]?.toUpperCase() === "S");
  }
  if (/^\s*GEOGCS/i.test(text) && isModern) return degrees;
  if (/Web_Mercator|Pseudo-Mercator|Mercator_Auxiliary_Sphere/i.test(text)) return mercator;
  const name = /^\s*\w+\[\s*"([^"]{1,60})/.exec(text)?.[1] ?? "an unknown system";
  throw new PageError("input", `${where} is in ${name}; expected degrees, UTM or Web Mercator. Save it in EPSG:4326`);
}

function utm(zone: number, isSouth: boolean): ToLonLat {
  return (x, y) => toLonLat(x, isSouth ? y - SOUTH : y, zone);
}

const mercator: ToLonLat = (x, y) => [
  (x / RADIUS) * (180 / Math.PI),
  (2 * Math.atan(Math.exp(y / RADIUS)) - Math.PI / 2) * (180 / Math.PI),
];

/** A place on Earth, or one line that says why not. */
export function checkPlace(lon: number, lat: number, where: string): LonLat {
  if (!Number.isFinite(lon) || !Number.isFinite(lat)) {
    throw new PageError("input", `${where} has a place that is no number; expected longitude and latitude`);
  }
  if (Math.abs(lat) > 90 || Math.abs(lon) > 360) {
    const hint =
      Math.abs(lon) <= 90 && Math.abs(lat) <= 180
        ? "longitude and latitude look exchanged"
        : "it looks as if it were in metres";
    throw new PageError(
      "input",
      `${where} has a place at longitude ${lon}, latitude ${lat}; expected degrees (EPSG:4326): ${hint}`,
    );
  }
  return [lon > 180 ? lon - 360 : lon < -180 ? lon + 360 : lon, lat];
}
