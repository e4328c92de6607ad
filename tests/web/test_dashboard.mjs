// SPDX-License-Identifier: Apache-2.0
// The dashboard in Debian's chromium: node test_dashboard.mjs URL TEST. Each test is a promise of
// the page; it throws when the promise is broken. test_dashboard.py feeds the hub and runs them.
import { chromium } from 'playwright-core';
import assert from 'node:assert/strict';

const [url, wanted] = process.argv.slice(2);
const LIMIT = 300000; // ms for anything to appear; ends what hangs, and judges no speed

const text = (page, selector) => page.locator(selector).first().textContent();
const appears = (page, test, argument) => page.waitForFunction(test, argument, { timeout: LIMIT, polling: 100 });

/** That a cell shows so many ns, to its three digits; a dash is null. */
function near(shown, ns) {
  const unit = { 'µs': 1e3, ms: 1e6, s: 1e9 };
  const [, figure, name] = /^([\d.]+).(µs|ms|s)$/.exec(shown) ?? [];
  assert.ok(ns === null ? shown === '–' : Math.abs(figure * unit[name] / ns - 1) < 0.01, `${shown} is not ${ns} ns`);
}

const tests = {
  async figures_appear_and_move(page) {
    await appears(page, () => document.getElementById('live').dataset.state === 'live');
    await appears(page, () => document.querySelectorAll('#routes-table tbody tr').length >= 10);
    await appears(page, () => /^[1-9]/.test(document.getElementById('tile-rate').textContent));
    const total = page.getByRole('button', { name: 'total', exact: true });
    await total.click();
    assert.equal(await total.getAttribute('aria-pressed'), 'true');
    const count = () => [...document.querySelectorAll('#routes-table tbody tr')]
      .map((row) => row.children[5].textContent).join();
    const first = await page.evaluate(count);
    await page.waitForFunction((before) => [...document.querySelectorAll('#routes-table tbody tr')]
      .map((row) => row.children[5].textContent).join() !== before, first, { timeout: LIMIT });
    await appears(page, () => /1 of 1 host connected/.test(document.getElementById('pill-hosts').textContent));
    for (const name of ['p50', 'p90', 'p95', 'p99'])
      await appears(page, (tile) => /^[\d.]+.(µs|ms)$/.test(document.getElementById(tile).textContent), `tile-${name}`);
    assert.match(await text(page, 'footer'), /±0\.27/);
  },

  async the_table_shows_what_the_api_says(page) {
    await appears(page, () => document.querySelectorAll('#routes-table tbody tr').length >= 10);
    // Of one tick: what came last over the stream, and what stands in the table right then.
    const [rows, shown] = await page.evaluate(() => new Promise((done) => {
      const source = new EventSource('api/v1/events?window=1m');
      source.addEventListener('tick', (event) => setTimeout(() => {
        source.close();
        done([JSON.parse(event.data).routes, [...document.querySelectorAll('#routes-table tbody tr')]
          .map((row) => [...row.children].map((cell) => cell.textContent))]);
      }, 300), { once: false });
    }));
    const row = rows.find((r) => r.route === '/r3');
    const cells = shown.find((r) => r[0] === '/r3');
    assert.equal(cells[1], 'feed');
    near(cells[9], row.p95_ns);
  },

  // The figures stand still here: 400 webhooks were sent, and the window is all time.
  async deliveries_and_routes_show_four_percentiles(page) {
    const heads = (table) => page.locator(`#${table} thead button`).allTextContents();
    const four = ['p50', 'p90', 'p95', 'p99'];
    for (const table of ['routes-table', 'deliveries-table'])
      assert.deepEqual((await heads(table)).filter((head) => /^p\d/.test(head)), four);
    await page.getByRole('button', { name: 'total', exact: true }).click();
    await page.locator('#deliveries .more').click({ timeout: LIMIT });
    await appears(page, () => [...document.querySelectorAll('#deliveries-table tbody tr')]
      .reduce((sum, row) => sum + [3, 4, 5].reduce((n, i) => n + Number(row.children[i].textContent), 0), 0) === 400);
    const rows = await page.evaluate(async () => (await fetch('api/v1/deliveries?window=total')).json());
    const shown = await page.evaluate(() => [...document.querySelectorAll('#deliveries-table tbody tr')]
      .map((row) => [...row.children].map((cell) => cell.textContent)));
    assert.equal(shown.length, rows.length);
    const first = (await heads('deliveries-table')).indexOf('p50');
    for (const cells of shown) {
      const row = rows.find((r) => r.event_type === cells[0] && r.endpoint === cells[1]);
      four.forEach((name, i) => near(cells[first + i], row[`${name}_ns`]));
    }
  },

  async the_charts_follow_the_chosen_route(page) {
    await appears(page, () => document.querySelectorAll('#routes-table tbody tr').length >= 10);
    await page.getByRole('button', { name: '/r5', exact: true }).click();
    assert.match(await text(page, '#chart-title'), /\/r5 · feed/);
    await appears(page, () => /now p50 [\d.]+.*, p90 [\d.]+.*, p95 [\d.]+.*, p99 [\d.]+/
      .test(document.getElementById('plot-latency').getAttribute('aria-label')));
    const lines = await page.locator('#plot-latency .u-legend .u-label').allTextContents();
    assert.deepEqual(lines.filter((label) => /^p\d/.test(label)), ['p50', 'p90', 'p95', 'p99']);
    assert.ok(await page.locator('#plot-rate canvas').count() === 1, 'a chart is drawn');
    await appears(page, () => {
      const canvas = document.querySelector('#plot-latency canvas');
      return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v);
    });
    await page.getByRole('button', { name: 'show the whole fleet' }).click();
    assert.equal(await text(page, '#chart-title'), 'All requests served');
  },

  // An agent that captures no HTTP.
  async a_host_shows_what_it_feels(page) {
    await appears(page, () => {
      const heads = [...document.querySelectorAll('#hosts-table thead th')].map((head) => head.textContent.trim());
      const cells = [...document.querySelectorAll('#hosts-table tbody tr > *')].map((cell) => cell.textContent);
      const of = (head) => cells[heads.findIndex((text) => text.startsWith(head))] ?? '';
      return /^(cpu|memory|io) [<\d]/.test(of('Pressure')) && /^[\d.]+/.test(of('Sent again'))
        && of('In flight') === '–';
    });
  },

  // An application made three observations with tags and one without; no more come.
  async the_slowest_are_shown_with_their_tags(page) {
    await page.getByRole('button', { name: 'total', exact: true }).click();
    // Tag, latency, status, route and service of each row, while the rows are to be seen.
    const become = (...rows) => appears(page, (wanted) => !document.getElementById('slowest').hidden
      && [...document.querySelectorAll('#slowest-table tbody tr')]
        .map((row) => [0, 1, 3, 4, 5].map((i) => row.children[i].textContent.replace(/\s/g, ' ')).join(' '))
        .join() === wanted, rows.join());
    const book = '4bf92f3577b34da6a3ce929d0e0e4736 9.00 s 503 /book shop';
    await become(book, 'slow 2.00 s 200 /pay shop', 'fast 1.00 ms 200 /pay shop');
    await page.getByRole('button', { name: '/book', exact: true }).click();
    await become(book);
    await page.getByRole('button', { name: '/quiet', exact: true }).click();
    await become();
    assert.match(await text(page, '#slowest .empty'), /came with a tag/);
    await page.getByRole('button', { name: 'show the whole fleet' }).click();
    await appears(page, () => document.querySelectorAll('#slowest-table tbody tr').length === 3);
  },

  async the_filter_leaves_what_matches(page) {
    await appears(page, () => document.querySelectorAll('#routes-table tbody tr').length >= 10);
    await page.getByRole('searchbox').fill('/r7');
    await appears(page, () => document.querySelectorAll('#routes-table tbody tr').length === 1);
    assert.equal(await text(page, '#routes-table tbody th'), '/r7');
    await page.getByRole('searchbox').fill('nothing like it');
    await appears(page, () => document.getElementById('routes-table').hidden);
  },

  async dark_and_narrow_screens_fit(page) {
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.setViewportSize({ width: 390, height: 800 });
    await appears(page, () => document.getElementById('live').dataset.state === 'live');
    const [width, light] = await page.evaluate(() => [document.documentElement.scrollWidth,
      getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).every((c) => c > 128)]);
    assert.ok(width <= 390, `the page is ${width} px wide on a screen of 390`);
    assert.ok(!light, 'the background is dark');
    const name = page.locator('#routes-table tbody th').first();
    await name.waitFor({ timeout: LIMIT });
    const scrolled = await page.evaluate(() => {
      const box = document.querySelector('#routes .scroll');
      box.scrollLeft = 300;
      return box.scrollLeft;
    });
    const { x, width: taken } = await name.boundingBox();
    assert.ok(scrolled > 100 && x >= 0 && x + taken < 200, `a route at ${x} px of a table scrolled by ${scrolled}`);
  },

  // The hub is killed after "shown" and started again after "stale".
  async a_hub_that_goes_away_is_seen_and_found_again(page) {
    await appears(page, () => document.getElementById('live').dataset.state === 'live');
    console.log('shown');
    await appears(page, () => document.getElementById('live').dataset.state === 'stale');
    assert.match(await text(page, '#live-text'), /no figures for \d+ s/);
    console.log('stale');
    await page.waitForFunction(() => document.getElementById('live').dataset.state === 'live', null, { timeout: LIMIT });
  },
};

const browser = await chromium.launch({
  timeout: LIMIT,
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const wrong = [];
try {
  const page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
  page.setDefaultTimeout(LIMIT);
  page.on('pageerror', (error) => wrong.push(`error in the page: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin)) wrong.push(`the page asked ${request.url()}`);
  });
  await page.goto(url);
  await tests[wanted](page);
} catch (error) {
  wrong.unshift(error.message.split('\n')[0]);
} finally {
  await browser.close();
}
if (wrong.length) {
  console.error(wrong.join('; '));
  process.exit(1);
}
