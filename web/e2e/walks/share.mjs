// J5: a link that another browser follows.

/** @param {import("../traveller.mjs").Traveller} traveller @param {any} told */
export async function walk(traveller, told) {
  const { page, context } = traveller;
  await traveller.open(`#area=${told.area.join(",")}&panel=find&threshold=0.6`);
  await page.getByRole("button", { name: "Like this" }).click();
  await traveller.click(told.like);
  const mine = await traveller.data("section[data-above]");
  await traveller.panel("Share");
  const link = await page.getByRole("textbox", { name: /Link to this view/ }).inputValue();
  await traveller.shot("share");
  const browser = context.browser();
  if (!browser) throw new Error("no browser");
  const other = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  try {
    const there = await other.newPage();
    await there.goto(link);
    await there.waitForFunction(() => document.documentElement.dataset["state"] === "idle");
    await there.getByRole("tab", { name: "Find" }).click();
    const section = there.locator("section[data-above]");
    await section.waitFor();
    const theirs = await section.evaluate((each) => ({ .../** @type {HTMLElement} */ (each).dataset }));
    return { mine, theirs, link };
  } finally {
    await other.close();
  }
}
