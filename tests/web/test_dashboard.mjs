// SPDX-License-Identifier: Apache-2.0
// The dashboard in Debian's chromium: node test_dashboard.mjs URL TEST. Each test is a promise of
// the page; it throws when the promise is broken. test_dashboard.py feeds the hub and runs them.
import { chromium } from 'playwright-core';
import assert from 'node:assert/strict';

const [url, wanted] = process.argv.slice(2);
const LIMIT = 15000; // ms for anything to appear

const text = (page, selector) => page.locator(selector).first().textContent();
const appears = (page, test, argument) => page.waitForFunction(test, argument, { timeout: LIMIT, polling: 100 });

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
    assert.match(await text(page, '#pill-hosts'), /1 of 1 host connected/);
    assert.match(await text(page, '#tile-p95'), /^[\d.]+.(µs|ms)$/);
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
    const unit = { 'µs': 1e3, ms: 1e6 };
    const [, figure, name] = /^([\d.]+).(µs|ms)$/.exec(cells[9]);
    assert.ok(Math.abs(figure * unit[name] / row.p95_ns - 1) < 0.01, `${cells[9]} is not ${row.p95_ns} ns`);
  },

  async the_charts_follow_the_chosen_route(page) {
    await appears(page, () => document.querySelectorAll('#routes-table tbody tr').length >= 10);
    await page.getByRole('button', { name: '/r5', exact: true }).click();
    assert.match(await text(page, '#chart-title'), /\/r5 · feed/);
    await appears(page, () => /now p50 [\d.]+/.test(document.getElementById('plot-latency').getAttribute('aria-label')));
    assert.ok(await page.locator('#plot-rate canvas').count() === 1, 'a chart is drawn');
    const drawn = await page.evaluate(() => {
      const canvas = document.querySelector('#plot-latency canvas');
      return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v);
    });
    assert.ok(drawn, 'the chart is not empty');
    await page.getByRole('button', { name: 'show the whole fleet' }).click();
    assert.equal(await text(page, '#chart-title'), 'All requests served');
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
  },

  // The hub is killed after "shown" and started again after "stale".
  async a_hub_that_goes_away_is_seen_and_found_again(page) {
    await appears(page, () => document.getElementById('live').dataset.state === 'live');
    console.log('shown');
    await appears(page, () => document.getElementById('live').dataset.state === 'stale');
    assert.match(await text(page, '#live-text'), /no figures for \d+ s/);
    console.log('stale');
    await page.waitForFunction(() => document.getElementById('live').dataset.state === 'live', null, { timeout: 2 * LIMIT });
  },
};

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const wrong = [];
try {
  const page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
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
