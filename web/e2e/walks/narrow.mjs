// J1 on a telephone: 390 pixels wide.

/** @param {import("../traveller.mjs").Traveller} traveller @param {any} told */
export async function walk(traveller, told) {
  const { page } = traveller;
  await traveller.open();
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
  const widths = [await wide()];
  const axe = await traveller.axe();
  for (const name of told.panels) {
    await traveller.panel(name);
    widths.push(await wide());
    axe.push(...(await traveller.axe()));
    if (name === "Find") await traveller.shot("narrow");
  }
  return { widths, axe };
}
