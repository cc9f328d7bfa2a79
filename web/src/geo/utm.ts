// UTM on WGS 84 by Krueger's series to the sixth order in n: within 10 nm of the projection anywhere on the lattice.
// One northern CRS a zone, as the stores have it: southern northings are negative.
const A = 6378137;
const F = 1 / 298.257223563;
const N = F / (2 - F);
const E = Math.sqrt(F * (2 - F));
const K0 = 0.9996;
const FALSE_EASTING = 500_000;
const RADIUS = (A / (1 + N)) * (1 + N ** 2 / 4 + N ** 4 / 64 + N ** 6 / 256) * K0;
const RADIANS = Math.PI / 180;

const series = (first: number, ...factors: number[]) => factors.reduce((sum, f, k) => sum + f * N ** (first + k), 0);
const ALPHA = [
  series(1, 1 / 2, -2 / 3, 5 / 16, 41 / 180, -127 / 288, 7891 / 37800),
  series(2, 13 / 48, -3 / 5, 557 / 1440, 281 / 630, -1983433 / 1935360),
  series(3, 61 / 240, -103 / 140, 15061 / 26880, 167603 / 181440),
  series(4, 49561 / 161280, -179 / 168, 6601661 / 7257600),
  series(5, 34729 / 80640, -3418889 / 1995840),
  series(6, 212378941 / 319334400),
];
const BETA = [
  series(1, 1 / 2, -2 / 3, 37 / 96, -1 / 360, -81 / 512, 96199 / 604800),
  series(2, 1 / 48, 1 / 15, -437 / 1440, 46 / 105, -1118711 / 3870720),
  series(3, 17 / 480, -37 / 840, -209 / 4480, 5569 / 90720),
  series(4, 4397 / 161280, -11 / 504, -830251 / 7257600),
  series(5, 4583 / 161280, -108847 / 3991680),
  series(6, 20648693 / 638668800),
];

export const LAT_MIN = -80;
export const LAT_MAX = 84;

/** The zone of a longitude by the nominal rule, without the exceptions of Norway; 180 E belongs to zone 60. */
export function zoneOf(lon: number): number {
  return Math.min(60, Math.max(1, Math.floor((lon + 180) / 6) + 1));
}

export function centralMeridian(zone: number): number {
  return 6 * zone - 183;
}

/** Easting and northing in a zone, metres, of a point in degrees. */
export function fromLonLat(lon: number, lat: number, zone: number): [x: number, y: number] {
  const turned = lon - centralMeridian(zone);
  const lambda = (turned - 360 * Math.round(turned / 360)) * RADIANS;
  const tau = Math.tan(lat * RADIANS);
  const secant = Math.hypot(1, tau);
  const sigma = Math.sinh(E * Math.atanh((E * tau) / secant));
  const conformal = tau * Math.hypot(1, sigma) - sigma * secant;
  const cosine = Math.cos(lambda);
  const xi = Math.atan2(conformal, cosine);
  const eta = Math.asinh(Math.sin(lambda) / Math.hypot(conformal, cosine));
  let [x, y] = [eta, xi];
  ALPHA.forEach((alpha, k) => {
    const order = 2 * (k + 1);
    y += alpha * Math.sin(order * xi) * Math.cosh(order * eta);
    x += alpha * Math.cos(order * xi) * Math.sinh(order * eta);
  });
  return [FALSE_EASTING + RADIUS * x, RADIUS * y];
}

/** Longitude (-180 to 180) and latitude, degrees, of an easting and northing in a zone. */
export function toLonLat(x: number, y: number, zone: number): [lon: number, lat: number] {
  const [xi, eta] = [y / RADIUS, (x - FALSE_EASTING) / RADIUS];
  let [xi0, eta0] = [xi, eta];
  BETA.forEach((beta, k) => {
    const order = 2 * (k + 1);
    xi0 -= beta * Math.sin(order * xi) * Math.cosh(order * eta);
    eta0 -= beta * Math.cos(order * xi) * Math.sinh(order * eta);
  });
  const [sine, cosine] = [Math.sinh(eta0), Math.cos(xi0)];
  const conformal = Math.sin(xi0) / Math.hypot(sine, cosine);
  let tau = conformal / (1 - E * E);
  for (let step = 0; step < 6; step++) {
    const secant = Math.hypot(1, tau);
    const sigma = Math.sinh(E * Math.atanh((E * tau) / secant));
    const found = tau * Math.hypot(1, sigma) - sigma * secant;
    const slope = ((1 - E * E) * Math.hypot(1, found) * secant) / (1 + (1 - E * E) * tau * tau);
    const change = (conformal - found) / slope;
    tau += change;
    if (Math.abs(change) <= 1e-15 * Math.max(1, Math.abs(tau))) break;
  }
  const lon = centralMeridian(zone) + Math.atan2(sine, cosine) / RADIANS;
  return [lon - 360 * Math.round(lon / 360), Math.atan(tau) / RADIANS];
}
