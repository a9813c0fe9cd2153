// A page of another site with our script: what happens on it is sent, also when nobody takes it at first, or the page is left.
const assert = require('node:assert');
const http = require('node:http');
const { chromium } = require(process.env.DRIVER);

const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const { EVENTS, BROWSER } = process.env;
const html = `<!doctype html><title>Curso</title>
<script>window.atalaya = window.atalaya || []; atalaya.push(['page', 'Lección']);</script>
<script async src="${EVENTS}/v1/browser.js" data-key="web-key-123"></script>`;

(async () => {
  const site = http.createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html; charset=utf-8');
    answer.end(html);
  });
  await new Promise((done) => site.listen(0, '127.0.0.1', done));
  const at = `http://127.0.0.1:${site.address().port}`;
  const browser = await chromium.launch({ executablePath: BROWSER.includes('/') ? BROWSER : `/usr/bin/${BROWSER}`, args: flags });
  const page = await (await browser.newContext()).newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  const tell = (call) => page.evaluate((call) => window.atalaya.push(call), call);
  const loaded = () => page.waitForFunction(() => window.atalaya && !Array.isArray(window.atalaya));
  const sent = () => page.waitForFunction(() => JSON.parse(localStorage.getItem('atalaya.events') || '[]').length === 0);

  await page.goto(`${at}/lecciones/1?utm_source=boletin&utm_medium=email&utm_campaign=otono`);
  await loaded();
  await tell(['track', 'Lesson done', { minutes: 5 }]);
  await sent();

  // Nobody takes it: it waits in the browser, and the next page sends it.
  let refusals = 0;
  const busy = { status: 503, headers: { 'retry-after': '1', 'access-control-allow-origin': '*', 'access-control-expose-headers': 'retry-after' } };
  await page.route('**/v1/batch', (route) => { refusals += 1; return route.fulfill(busy); });
  await tell(['identify', 'ana', { plan: 'pro' }]);
  await tell(['track', 'While nobody listened']);
  while (refusals < 2) await page.waitForRequest('**/v1/batch');
  assert.strictEqual(await page.evaluate(() => JSON.parse(localStorage.getItem('atalaya.events')).length), 2);
  await page.unroute('**/v1/batch');
  await page.goto(`${at}/precios`);
  await loaded();
  await sent();

  // Left at once.
  await tell(['track', 'Left']);
  await page.goto(`${at}/adios`);
  await loaded();
  await tell(['reset']);
  await tell(['group', 'acme']);
  await tell(['nothing']);
  await sent();
  assert.deepStrictEqual(faults, []);
  await browser.close();
  site.close();
})().catch((error) => { console.error(error); process.exit(1); });
