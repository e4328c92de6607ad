// SPDX-License-Identifier: Apache-2.0
// The two charts: the last five minutes of the fleet or of one route, a point a second.
import { span, rate } from './format.js';

const POINTS = 300;
const HEIGHT = 190; // of a chart without its legend, in pixels
const FIELDS = ['rate', 'error_ratio', 'p50_ns', 'p90_ns', 'p95_ns', 'p99_ns'];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function time(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
}

function axes(values) {
  const line = { stroke: colour('--chart-grid'), width: 1 };
  const font = '11px ' + getComputedStyle(document.body).fontFamily;
  return [
    { stroke: colour('--muted'), font, grid: { show: false }, ticks: { show: false }, size: 24, space: 90,
      values: (u, splits) => splits.map(time) },
    { stroke: colour('--muted'), font, grid: line, ticks: { show: false }, size: 64, values, space: 36 },
  ];
}

function options(node, lines, values) {
  return {
    width: node.clientWidth || 600,
    height: HEIGHT,
    cursor: { sync: { key: 'vow' }, points: { size: 6 }, y: false },
    legend: { live: true },
    scales: { x: { time: true }, y: { range: (u, min, max) => [0, max > 0 ? max * 1.12 : 1] } },
    axes: axes((u, splits) => splits.map(values)),
    series: [
      { value: (u, at) => (at === null ? '–' : time(at)) },
      ...lines.map(({ label, stroke, fill }) => ({
        label, stroke: colour(stroke), fill: fill && colour(fill), width: 1.75, spanGaps: false,
        points: { show: false }, value: (u, v) => (v === null ? '–' : values(v)),
      })),
    ],
  };
}

export class Charts {
  constructor(rateNode, latencyNode) {
    this.nodes = [rateNode, latencyNode];
    this.plots = [];
    this.clear();
    this.build();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.build());
    new ResizeObserver(() => this.resize()).observe(rateNode);
  }

  clear() {
    this.at = [];
    this.data = Object.fromEntries(FIELDS.map((name) => [name, []]));
  }

  build() {
    const [rateNode, latencyNode] = this.nodes;
    this.plots.forEach((plot) => plot.destroy());
    this.plots = [
      new window.uPlot(options(rateNode, [
        { label: 'requests', stroke: '--blue', fill: '--blue-soft' },
        { label: 'errors', stroke: '--red', fill: '--red-soft' },
      ], rate), [[], [], []], rateNode),
      new window.uPlot(options(latencyNode, [
        { label: 'p50', stroke: '--green' },
        { label: 'p90', stroke: '--amber' },
        { label: 'p95', stroke: '--blue' },
        { label: 'p99', stroke: '--violet' },
      ], span), [[], [], [], [], []], latencyNode),
    ];
    this.draw();
  }

  resize() {
    this.plots.forEach((plot, i) => plot.setSize({
      width: this.nodes[i].clientWidth, height: HEIGHT,
    }));
  }

  /** The whole past, as /api/v1/trend gives it. */
  load(trend) {
    this.at = trend.at_unix_s.slice(-POINTS);
    for (const name of FIELDS) this.data[name] = trend[name].slice(-POINTS);
    this.draw();
  }

  /** One second more. Without a point nothing happened in it. */
  add(at, point) {
    if (this.at.length && at <= this.at[this.at.length - 1]) return;
    const keep = at - POINTS;
    this.at.push(at);
    for (const name of FIELDS)
      this.data[name].push(point ? point[name] : name === 'rate' || name === 'error_ratio' ? 0 : null);
    while (this.at[0] <= keep) {
      this.at.shift();
      for (const name of FIELDS) this.data[name].shift();
    }
    this.draw();
  }

  draw() {
    const { rate: all, error_ratio: ratio, p50_ns: p50, p90_ns: p90, p95_ns: p95,
      p99_ns: p99 } = this.data;
    const now = this.at[this.at.length - 1];
    const errors = all.map((value, i) => value * ratio[i]);
    this.plots[0].setData([this.at, all, errors]);
    this.plots[1].setData([this.at, p50, p90, p95, p99]);
    // Soon after the start the charts show what there is, a minute at least.
    const from = Math.max(now - POINTS, Math.min(this.at[0], now - 60));
    if (now) this.plots.forEach((plot) => plot.setScale('x', { min: from, max: now }));
    const last = all.length - 1;
    // Without a pointer in the chart the legend shows the newest figures.
    if (last >= 0) this.plots.forEach((plot) => plot.cursor.left < 0 && plot.setLegend({ idx: last }, false));
    this.nodes[0].setAttribute('aria-label', last < 0 ? 'no figures yet'
      : `now ${rate(all[last])}, of which ${rate(errors[last])} errors`);
    this.nodes[1].setAttribute('aria-label', last < 0 ? 'no figures yet'
      : `now p50 ${span(p50[last])}, p90 ${span(p90[last])}, p95 ${span(p95[last])}, p99 ${span(p99[last])}`);
  }
}
