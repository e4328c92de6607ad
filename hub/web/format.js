// SPDX-License-Identifier: Apache-2.0
// Figures as people read them: three significant digits, a unit, a thin space between.
const SPACE = ' ';
const NONE = '–';

function digits(value) {
  if (value === 0) return '0';
  if (value >= 99.95) return Math.round(value).toString();
  if (value >= 9.995) return value.toFixed(1);
  return value.toFixed(2);
}

/** A latency or another span in nanoseconds. */
export function span(ns) {
  if (ns === null || ns === undefined) return NONE;
  if (ns === 0) return '0';
  if (ns < 999.5) return digits(ns) + SPACE + 'ns';
  if (ns < 999.5e3) return digits(ns / 1e3) + SPACE + 'µs';
  if (ns < 999.5e6) return digits(ns / 1e6) + SPACE + 'ms';
  if (ns < 60e9) return digits(ns / 1e9) + SPACE + 's';
  return longSpan(ns / 1e9);
}

function longSpan(seconds) {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const first = parts.findIndex(([size]) => seconds >= size);
  const [size, unit] = parts[first];
  const whole = Math.floor(seconds / size);
  const rest = parts[first + 1];
  const more = rest ? Math.floor((seconds - whole * size) / rest[0]) : 0;
  return whole + SPACE + unit + (more ? SPACE + more + SPACE + rest[1] : '');
}

/** How many: 999, 1.20 k, 50.0 M. */
export function count(n) {
  if (n === null || n === undefined) return NONE;
  if (n < 1000) return String(n);
  if (n < 999.5e3) return digits(n / 1e3) + SPACE + 'k';
  if (n < 999.5e6) return digits(n / 1e6) + SPACE + 'M';
  return digits(n / 1e9) + SPACE + 'G';
}

/** Events a second. */
export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return NONE;
  return perSecond >= 1000 ? count(perSecond) + '/s' : digits(perSecond) + '/s';
}

export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; n >= 1023.5 && unit < units.length - 1; unit++) n /= 1024;
  return (unit ? digits(n) : n) + SPACE + units[unit];
}

/** A share of 1 as per cent. */
export function share(ratio) {
  if (ratio === null || ratio === undefined) return NONE;
  const percent = ratio * 100;
  // 99.96 % must not become 100 %, and 0.004 % must not become 0 %.
  if (percent > 99.9 && percent < 100) return Math.floor(percent * 1000) / 1000 + SPACE + '%';
  if (percent > 0 && percent < 0.01) return '<0.01' + SPACE + '%';
  const places = Math.abs(percent) >= 99.95 ? 0 : Math.abs(percent) < 10 ? 2 : 1;
  return Number(percent.toFixed(places)) + SPACE + '%';
}

/** "12 s ago" of a time of day in ns, as the hub's clock tells it. */
export function ago(unixNs, nowNs) {
  if (unixNs === null || unixNs === undefined) return 'never';
  const seconds = Math.max(0, (nowNs - unixNs) / 1e9);
  return seconds < 1.5 ? 'now' : longSpan(Math.round(seconds)) + ' ago';
}

export function clock(unixNs) {
  return new Date(unixNs / 1e6).toLocaleTimeString([], { hour12: false });
}
