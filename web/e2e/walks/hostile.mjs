// Stores, links and files of strangers: each is refused in words or read as far as it is sound, and the page lives on.

/** @param {import("../traveller.mjs").Traveller} traveller @param {any} told */
export async function walk(traveller, told) {
  const { page } = traveller;
  const words = async () => {
    const alert = page.getByRole("alert").first();
    await alert.waitFor();
    return alert.innerText();
  };
  /** @type {Record<string, string>} */ const stores = {};
  for (const name of told.stores) {
    await page.goto(
      `${traveller.told.url}?store=${encodeURIComponent(new URL(`../../${name}`, traveller.told.url).href)}`,
    );
    stores[name] = await words();
  }
  // the page still opens what is sound, with a hash that is not ours
  await page.goto("about:blank");
  await traveller.open(told.hash);
  const year = await page.evaluate(() => document.documentElement.dataset["year"]);
  const ran = await page.evaluate(() => Reflect.get(globalThis, "ran") ?? null);
  const classes = await page.locator("[data-class]").count();
  // five million points, which are never written to a disk
  await traveller.panel("Label");
  await page.evaluate((count) => {
    const point = '{"type":"Feature","geometry":{"type":"Point","coordinates":[6,50]},"properties":{"kind":"a"}},\n';
    const some = new Blob([point.repeat(10_000)]);
    const parts = Array.from({ length: count / 10_000 }, () => some);
    const file = new File(
      ['{"type":"FeatureCollection","features":[', ...parts, point.slice(0, -2), "]}"],
      "many.geojson",
    );
    const input = document.querySelector('#panel input[type="file"]');
    if (!(input instanceof HTMLInputElement)) throw new Error("no field for files");
    const list = new DataTransfer();
    list.items.add(file);
    input.files = list.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }, told.points);
  const many = await words();
  await page.getByRole("button", { name: "Close the message" }).click();
  await traveller.panel("Look");
  await traveller.settled();
  return { stores, year, ran, classes, many, injected: await page.locator("img, script:not([type=module])").count() };
}
