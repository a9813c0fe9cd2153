// Drives the board in a real browser: figures, languages, phone and desk, and the update after a commit.
const assert = require('node:assert');
const { execFileSync } = require('node:child_process');
const { chromium } = require(process.env.DRIVER);

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const { ADDRESS, BROWSER, MRR_MINOR, MRR_AFTER_MINOR, IMPORT } = process.env;

(async () => {
  const browser = await chromium.launch({ executablePath: BROWSER.includes('/') ? BROWSER : `/usr/bin/${BROWSER}`, args: flags });
  const faults = [];
  for (const [width, height, colorScheme] of [[1280, 900, 'light'], [390, 844, 'dark']]) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    context.setDefaultTimeout(120000);
    const page = await context.newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => { if (message.type() === 'error') faults.push(message.text()); });
    await page.goto(`${ADDRESS}/?lang=en`);
    await page.waitForSelector(`[data-metric=mrr][data-value="${MRR_MINOR}"]`);
    await page.waitForSelector('[data-section=cohorts] svg');
    await page.waitForSelector('[data-section=movements] svg', { state: 'attached' });
    assert.strictEqual(await page.locator('.tile').count(), 8);
    const english = await page.locator('[data-metric=mrr] .value').innerText();
    assert.match(english, /^\$[\d,]+$/);
    await page.getByRole('button', { name: 'ES' }).click();
    await page.waitForSelector('h2:has-text("Movimientos de MRR")');
    const spanish = await page.locator('[data-metric=mrr] .value').innerText();
    assert.match(spanish, /^[\d.]+\sUS\$$/);
    assert.strictEqual(english.replace(/\D/g, ''), spanish.replace(/\D/g, ''));
    assert.strictEqual(await page.locator('html').getAttribute('lang'), 'es');
    assert.ok(page.url().endsWith('?lang=es'));
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(overflow <= 0, `the page is ${overflow} px too wide at ${width} px`);
    // The figures behind a drawing, and that they add up.
    await page.locator('[data-section=movements] summary').click();
    const cells = await page.locator('[data-section=movements] td:nth-child(2)').allInnerTexts();
    const minor = cells.map((text) => Number(text.replace('−', '-').replace(/[^\d-]/g, '')));
    const sum = minor.slice(0, -1).reduce((left, right) => left + right, 0);
    assert.strictEqual(sum, minor[minor.length - 1], cells.join(' | '));
    await context.close();
  }
  const page = await browser.newPage();
  page.setDefaultTimeout(120000);
  await page.goto(`${ADDRESS}/?lang=en`);
  await page.waitForSelector(`[data-metric=mrr][data-value="${MRR_MINOR}"]`);
  const [program, ...words] = JSON.parse(IMPORT);
  execFileSync(program, words);
  await page.waitForSelector(`[data-metric=mrr][data-value="${MRR_AFTER_MINOR}"]`);
  await page.waitForSelector('[data-metric=mrr] .badge.checked', { timeout: 400000 });
  assert.deepStrictEqual(faults, []);
  await browser.close();
})().catch((error) => { console.error(error); process.exit(1); });
