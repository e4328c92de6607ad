// SPDX-License-Identifier: Apache-2.0
// The page: takes a tick a second from the hub and shows it. Everything shown comes from the
// documented API, docs/http-api.md.
import { ago, bytes, clock, count, rate, share, span } from './format.js';
import { Charts } from './charts.js';
import { el, keyed, segments, setClass, setText, Table } from './tables.js';

const $ = (id) => document.getElementById(id);
const WINDOWS = [['10s', '10 s'], ['1m', '1 min'], ['5m', '5 min'], ['30m', '30 min'],
  ['1h', '1 h'], ['6h', '6 h'], ['1d', '1 d'], ['3d', '3 d'], ['30d', '30 d'], ['total', 'total']];
const ROLES = [['server', 'served', 'requests that this fleet answered'],
  ['client', 'called', 'requests that this fleet sent to others']];
const STALE_MS = 3500;
const EVENT_ROWS = 200; // rows of a table in one tick
const SLOWEST = 8; // rows shown of the slowest of a route
const SLOWEST_OF_ALL = 4; // and of the fleet, deliveries too
const SLOWEST_ASKED = 200; // of a route's name, before other kinds, roles and methods are left out
const SLOWEST_EVERY_MS = 3000;

const page = {
  token: new URLSearchParams(location.search).get('token'),
  window: '1m',
  role: 'server',
  filter: '',
  tick: null, // the newest
  tickedAt: 0, // by this browser's clock
  source: null,
  selected: null, // key of a route, null: the fleet
  slowestAt: 0, // when the slowest were asked for last, by this browser's clock
};

function api(path, parameters = {}) {
  const query = new URLSearchParams(parameters);
  if (page.token) query.set('token', page.token);
  return `api/v1/${path}?${query}`;
}

// --- tables ---------------------------------------------------------------------------------------

const routeKey = (r) => [r.service, r.kind, r.role, r.method, r.route].join('\u0001');
const rowKey = (r) => [routeKey(r), r.peer, r.status_class].join('\u0001');

function toneOfClass(r) {
  if (r.status_class === '5xx' || r.status_class === 'error') return 'bad';
  return r.status_class === '4xx' ? 'warn' : 'quiet';
}

function routeButton(r) {
  const button = el('button', { type: 'button', class: 'route', title: 'show it in the charts' },
    r.role === 'client' ? `→ ${r.peer || ''} ${r.route}` : r.route || '/');
  button.addEventListener('click', () => select(page.selected === routeKey(r) ? null : r));
  return button;
}

const latency = (title, name, hint) => ({
  title, hint, num: true, value: (r) => r[name], text: (r) => span(r[name]),
});

const routes = new Table($('routes-table'), {
  caption: 'Routes of all hosts with their rates, errors and latency percentiles',
  key: rowKey,
  empty: 'No requests in this window.',
  sort: { column: 4, down: true },
  columns: [
    { title: 'Route', class: 'path', value: (r) => r.route, node: routeButton },
    { title: 'Service', value: (r) => r.service, text: (r) => r.service || '–' },
    { title: 'Method', value: (r) => r.method, text: (r) => r.method || '–', class: 'quiet' },
    { title: 'Class', hint: 'status class of the answer', value: (r) => r.status_class,
      text: (r) => r.status_class, tone: toneOfClass },
    { title: 'Rate', hint: 'events a second over the window', num: true,
      value: (r) => r.count / (r.window_s || 1), text: (r) => rate(r.window_s ? r.count / r.window_s : null) },
    { title: 'Count', num: true, value: (r) => r.count, text: (r) => count(r.count) },
    { title: 'Errors', hint: '5xx and broken ones; of requests called, 4xx as well', num: true,
      value: (r) => r.errors, text: (r) => count(r.errors),
      tone: (r) => (r.errors ? 'bad' : 'quiet') },
    latency('p50', 'p50_ns'), latency('p90', 'p90_ns'), latency('p95', 'p95_ns'),
    latency('p99', 'p99_ns'), latency('Max', 'max_ns'),
    latency('Queue p99', 'queue_p99_ns', 'waited unread in the socket before the application read it'),
  ],
});
routes.mark = (node, r) => {
  const on = page.selected === routeKey(r);
  node.toggleAttribute('data-selected', on);
  node.querySelector('button').setAttribute('aria-pressed', on);
};

const deliveries = new Table($('deliveries-table'), {
  caption: 'Webhook deliveries of all hosts by event type and endpoint',
  key: (r) => [r.service, r.event_type, r.endpoint].join('\u0001'),
  empty: 'No deliveries in this window.',
  columns: [
    { title: 'Event', class: 'path', value: (r) => r.event_type, text: (r) => r.event_type || '–' },
    { title: 'Endpoint', value: (r) => r.endpoint, text: (r) => r.endpoint || '–' },
    { title: 'Service', value: (r) => r.service, text: (r) => r.service || '–' },
    { title: 'Delivered', num: true, value: (r) => r.delivered, text: (r) => count(r.delivered) },
    { title: 'Failed', num: true, value: (r) => r.failed, text: (r) => count(r.failed),
      tone: (r) => (r.failed ? 'bad' : 'quiet') },
    { title: 'Dead', hint: 'dead-lettered: given up after the last attempt', num: true,
      value: (r) => r.dead_lettered, text: (r) => count(r.dead_lettered),
      tone: (r) => (r.dead_lettered ? 'bad' : 'quiet') },
    { title: 'Attempts', num: true, value: (r) => r.attempts, text: (r) => count(r.attempts) },
    { title: 'Retried', hint: 'attempts that failed', num: true, value: (r) => r.attempts_failed,
      text: (r) => count(r.attempts_failed), tone: (r) => (r.attempts_failed ? 'warn' : 'quiet') },
    latency('p50', 'p50_ns'), latency('p90', 'p90_ns'), latency('p95', 'p95_ns'),
    latency('p99', 'p99_ns'),
    latency('Wait p99', 'wait_p99_ns', 'from enqueue to the first attempt'),
  ],
});

const hosts = new Table($('hosts-table'), {
  caption: 'Hosts whose agents stream to this hub',
  key: (r) => r.host,
  empty: 'No agent has connected yet. Start vowd and vow-export --hub on a host.',
  columns: [
    { title: 'Host', class: 'path', value: (r) => r.host, text: (r) => r.host },
    { title: 'State', value: (r) => (r.connected ? 'connected' : 'silent'),
      text: (r) => (r.connected ? 'connected' : 'silent'), tone: (r) => (r.connected ? 'good' : 'bad') },
    { title: 'Last heard', num: true, value: (r) => r.last_seen_unix_ns,
      text: (r) => ago(r.last_seen_unix_ns, page.tick.status.at_unix_ns) },
    { title: 'CPU', num: true, value: (r) => r.cpu, text: (r) => share(r.cpu) },
    { title: 'Memory', num: true, value: (r) => r.memory, text: (r) => share(r.memory) },
    { title: 'Pressure', hint: 'share of time in which some task waited, most of cpu, memory and io', num: true,
      value: (r) => r.pressure, text: (r) => (r.pressure === null ? '–' : `${r.pressed} ${share(r.pressure)}`),
      tone: (r) => (r.pressure > 0.3 ? 'warn' : 'quiet') },
    { title: 'In flight', hint: 'HTTP requests, the age of the oldest, and the services with most of them', num: true,
      value: (r) => r.flying, text: (r) => inFlight(r) },
    { title: 'Sent again', hint: 'TCP segments a second', num: true, value: (r) => r.again,
      text: (r) => rate(r.again) },
    { title: 'Events', hint: 'reported by its collectors', num: true, value: (r) => r.events,
      text: (r) => count(r.events) },
    { title: 'Dropped', hint: 'seen but not reported, by reason', num: true, value: (r) => r.drops,
      text: (r) => (r.drops ? `${count(r.drops)} (${r.reasons})` : '0'), tone: (r) => (r.drops ? 'warn' : 'quiet') },
    { title: 'Lost records', hint: 'gone before they reached the hub', num: true,
      value: (r) => r.gap_records_total, text: (r) => count(r.gap_records_total),
      tone: (r) => (r.gap_records_total ? 'bad' : 'quiet') },
    { title: 'Problem', hint: 'with its records', value: (r) => r.problem, text: (r) => r.problem || '–',
      tone: (r) => (r.problem ? 'bad' : 'quiet') },
    { title: 'Version', value: (r) => r.version, text: (r) => r.version || '–', class: 'quiet' },
  ],
});

function inFlight(row) {
  if (row.flying === null) return '–';
  const more = [...(row.oldest ? [span(row.oldest * 1e9)] : []), ...row.holders];
  return row.flying && more.length ? `${count(row.flying)} (${more.join(', ')})` : count(row.flying);
}

function hostRows(status) {
  return status.hosts.map((host) => {
    const gauges = status.gauges.filter((g) => g.host === host.host);
    const gauge = (name) => gauges.find((g) => g.name === name && !g.service && !g.label)?.value ?? null;
    const collectors = status.collectors.filter((c) => c.host === host.host);
    const pressure = ['cpu', 'memory', 'io'].map((of) => [of, gauge(`psi_${of}_some_ratio`)])
      .filter(([, ratio]) => ratio !== null).sort((a, b) => b[1] - a[1])[0] ?? ['', null];
    const drops = collectors.flatMap((c) => Object.entries(c.drops_total)).filter(([, n]) => n > 0);
    return {
      ...host,
      cpu: gauge('cpu_ratio'),
      memory: gauge('memory_used_ratio') ?? gauge('memory_ratio'),
      pressed: pressure[0],
      pressure: pressure[1],
      flying: gauge('http_requests_in_flight'),
      oldest: gauge('http_oldest_request_age_s'),
      holders: gauges.filter((g) => g.name === 'http_requests_in_flight' && g.service && g.value > 0)
        .sort((a, b) => b.value - a.value).slice(0, 3).map((g) => `${g.service} ${g.label} ${count(g.value)}`),
      again: gauge('tcp_retransmits_per_s'),
      events: collectors.reduce((sum, c) => sum + c.events_total, 0),
      drops: drops.reduce((sum, [, n]) => sum + n, 0),
      reasons: drops.map(([reason, n]) => `${reason} ${count(n)}`).join(', '),
    };
  });
}

// --- service levels -------------------------------------------------------------------------------

function sloCard() {
  return el('article', { class: 'card' },
    el('h3'), el('p', { class: 'promise' }),
    el('p', { class: 'compliance' }, el('span', { class: 'figure' }), el('span', { class: 'note' })),
    el('div', { class: 'bar' }, el('span', { class: 'fill' })),
    el('p', { class: 'budget' }), el('p', { class: 'burn' }));
}

function promise(o) {
  const what = o.threshold_ns === null ? 'without error' : `within ${span(o.threshold_ns)}`;
  const of = [o.selector.kind, o.selector.service, o.selector.method, o.selector.route].filter(Boolean).join(' ');
  return `${share(o.target_ratio)} ${what}${of ? ` · ${of}` : ''} · over ${span(o.period_ns)}`;
}

function toneOfObjective(o) {
  if (o.alert === 'firing') return 'bad';
  if (o.compliance_ratio === null) return 'idle';
  return o.breached || o.budget_left_ratio < 0.25 || o.alert === 'pending' ? 'warn' : 'good';
}

function updateSlo(card, o) {
  const [title, text, compliance, bar, budget, burn] = card.children;
  const left = Math.max(0, Math.min(1, o.budget_left_ratio));
  const idle = o.compliance_ratio === null;
  setClass(card, `card ${toneOfObjective(o)}`);
  setText(title, o.name);
  setText(text, promise(o));
  setText(compliance.children[0], idle ? 'no events' : share(o.compliance_ratio));
  setText(compliance.children[1], idle ? '' : `good of ${count(o.good + o.bad)}${o.exact ? '' : ', within ±0.27 %'}`);
  bar.firstElementChild.style.width = `${left * 100}%`;
  bar.setAttribute('title', `error budget left: ${share(o.budget_left_ratio)}`);
  setText(budget, o.budget_left_ratio < 0
    ? `error budget overspent by ${share(-o.budget_left_ratio)}`
    : `${share(o.budget_left_ratio)} of the error budget left`);
  setText(burn, o.alert === 'firing'
    ? `firing: burns ${o.burn_long.toFixed(1)}× too fast (alert at ${o.burn_alert}×)`
    : `burn ${o.burn_long.toFixed(2)}× / ${o.burn_short.toFixed(2)}× (alert at ${o.burn_alert}×)`);
}

function showSlo(status) {
  const list = status.objectives;
  setText($('slo-hint'), list.length ? 'judged over the whole fleet' : 'none configured');
  keyed($('slo-cards'), list, (o) => o.name, sloCard, updateSlo);
}

// --- alerts and scaling -----------------------------------------------------------------------------

function entry() {
  return el('li', {}, el('span', { class: 'when' }), el('div', {},
    el('p', { class: 'what' }), el('p', { class: 'why' })));
}

function updateEntry(node, tone, at, what, why) {
  const [when, text] = node.children;
  setClass(node, tone);
  setText(when, clock(at));
  when.setAttribute('title', new Date(at / 1e6).toString());
  setText(text.children[0], what);
  setText(text.children[1], why);
}

function showList(node, items, keyOf, update, empty) {
  const shown = items.length ? items.slice(0, 30) : [null];
  keyed(node, shown, (item) => (item ? keyOf(item) : 'empty'),
    (item) => (item ? entry() : el('li', { class: 'empty' }, empty)),
    (li, item) => item && update(li, item));
}

function showAlerts(alerts) {
  showList($('alerts-list'), alerts,
    (a) => `${a.at_unix_ns}/${a.fingerprint}/${a.to}/${a.host}`,
    (li, a) => updateEntry(li, a.to === 'firing' ? 'bad' : 'good', a.at_unix_ns,
      `${a.objective} ${a.to}${a.host ? ` on ${a.host}` : ' for the fleet'}${a.severity === 'page' ? ' · page' : ''}`,
      a.reason), 'Nothing has fired.');
}

function scalerTile() {
  return el('div', { class: 'scaler' }, el('span', { class: 'label' }), el('span', { class: 'figure' }),
    el('span', { class: 'note' }));
}

function scalerValue(s, value) {
  if (value === null) return 'no signal';
  if (s.signal === 'latency') return span(value);
  if (s.signal === 'rate') return rate(value);
  return s.gauge && s.gauge.endsWith('_ratio') ? share(value) : count(Math.round(value * 100) / 100);
}

function updateScaler(node, s) {
  const [label, figure, note] = node.children;
  setText(label, s.name);
  setText(figure, `${s.replicas} ${s.replicas === 1 ? 'replica' : 'replicas'}`);
  setText(note, `${scalerValue(s, s.value)} now, target ${scalerValue(s, s.target)} each · ${s.minimum}–${s.maximum}`);
}

function showScaling(scale) {
  keyed($('scalers'), scale.scalers, (s) => s.name, scalerTile, updateScaler);
  showList($('decisions-list'), scale.decisions,
    (d) => `${d.at_unix_ns}/${d.scaler}/${d.host}`,
    (li, d) => updateEntry(li, d.from === d.to ? 'quiet' : 'info', d.at_unix_ns,
      `${d.scaler}: ${d.from === d.to ? `stays at ${d.to}` : `${d.from} → ${d.to}`}${d.host ? ` on ${d.host}` : ' for the fleet'}${d.limited_by ? ` · ${d.limited_by.replaceAll('_', ' ')}` : ''}`,
      d.reason), 'No decision yet.');
}

// --- header -----------------------------------------------------------------------------------------

function pill(node, text, tone) {
  setText(node, text);
  setClass(node, `pill ${tone}`);
}

function showHeader(status) {
  const connected = status.hosts.filter((h) => h.connected).length;
  const firing = status.objectives.filter((o) => o.alert === 'firing').length;
  const word = status.hosts.length === 1 ? 'host' : 'hosts';
  pill($('pill-hosts'), `${connected} of ${status.hosts.length} ${word} connected`,
    status.hosts.length === 0 ? 'idle' : connected === status.hosts.length ? 'good' : 'warn');
  pill($('pill-alerts'), firing ? `${firing} firing` : 'nothing firing', firing ? 'bad' : 'good');
  $('pill-trouble').hidden = !status.trouble;
  pill($('pill-trouble'), 'hub in trouble', 'bad');
  $('notice').hidden = !status.trouble;
  setText($('notice'), status.trouble ? `The hub is in trouble: ${status.trouble}. What it does not acknowledge agents keep and send again.` : '');
  document.title = firing ? `(${firing}) vow` : 'vow';
  setText($('scope'), status.host ? `fleet · ${status.host}` : 'fleet');
  setText($('about'), `vow-hub ${status.version} · ${bytes(status.rss_bytes)} · ${share(status.cpu_ratio)} of a core · up ${span(status.at_unix_ns - status.started_unix_ns)}`);
}

function showTiles(point) {
  setText($('tile-rate'), rate(point.rate));
  setText($('tile-errors'), point.p50_ns === null ? '–' : share(point.error_ratio));
  setClass($('tile-errors'), `figure ${point.error_ratio >= 0.01 ? 'bad' : ''}`);
  for (const name of ['p50', 'p90', 'p95', 'p99']) setText($(`tile-${name}`), span(point[`${name}_ns`]));
}

// --- the slowest --------------------------------------------------------------------------------------

const slowest = new Table($('slowest-table'), {
  caption: 'The slowest observations that came with a tag',
  key: (r) => [rowKey(r), r.host, r.at_unix_ns, r.latency_ns, r.tag].join('\u0001'),
  empty: 'Nothing of this route came with a tag in this window.',
  columns: [
    { title: 'Tag', hint: 'what the application said, a trace id say', value: (r) => r.tag,
      node: (r) => el('span', { class: 'tag' }, r.tag) },
    { title: 'Latency', num: true, value: (r) => r.latency_ns, text: (r) => span(r.latency_ns) },
    { title: 'When', value: (r) => r.at_unix_ns, text: (r) => clock(r.at_unix_ns) },
    { title: 'Status', num: true, value: (r) => r.status, text: (r) => String(r.status), tone: toneOfClass },
    { title: 'Route', class: 'path', value: (r) => r.route, text: (r) => `${r.method} ${r.route}`.trim() },
    { title: 'Service', value: (r) => r.service, text: (r) => r.service || '–' },
    { title: 'Host', class: 'quiet', value: (r) => r.host, text: (r) => r.host || '–' },
  ],
});

async function loadSlowest() {
  const { selected, selectedRoute, window } = page;
  const parameters = selected
    ? { window, limit: SLOWEST_ASKED, service: selectedRoute.service, route: selectedRoute.route }
    : { window, limit: SLOWEST_OF_ALL };
  page.slowestAt = performance.now();
  const answer = await fetch(api('exemplars', parameters)).catch(() => null);
  if (selected !== page.selected || window !== page.window || !answer || !answer.ok) return;
  const rows = (await answer.json()).filter((r) => !selected || routeKey(r) === selected);
  slowest.show(rows.slice(0, selected ? SLOWEST : SLOWEST_OF_ALL));
  $('slowest').hidden = rows.length === 0 && !selected;
}

// --- charts -----------------------------------------------------------------------------------------

const charts = new Charts($('plot-rate'), $('plot-latency'));

async function loadTrend() {
  const wanted = page.selected;
  const parameters = wanted ? page.selectedRoute : {};
  const answer = await fetch(api('trend', parameters)).catch(() => null);
  if (wanted !== page.selected || !answer || !answer.ok) return;
  charts.load(await answer.json());
}

function select(route) {
  page.selected = route ? routeKey(route) : null;
  page.selectedRoute = route && Object.fromEntries(
    ['service', 'kind', 'role', 'method', 'route'].map((name) => [name, route[name]]));
  setText($('chart-title'), route ? `${route.method} ${route.route} · ${route.service}` : 'All requests served');
  $('chart-reset').hidden = !route;
  charts.clear();
  charts.draw();
  loadTrend();
  loadSlowest();
  if (page.tick) showRoutes(page.tick);
}
$('chart-reset').addEventListener('click', () => select(null));

function showTrend(trend) {
  const point = page.selected ? trend.routes.find((r) => routeKey(r) === page.selected) : trend.fleet;
  charts.add(trend.fleet.at_unix_s, point);
}

// --- the tick ---------------------------------------------------------------------------------------

function matches(row) {
  const text = [row.service, row.method, row.route, row.peer, row.status_class, row.event_type, row.endpoint]
    .join(' ').toLowerCase();
  return page.filter.split(/\s+/).every((word) => text.includes(word));
}

function showRoutes(tick) {
  const shown = tick.routes.filter((r) => r.kind !== 'delivery' && r.kind !== 'attempt'
    && r.role === page.role && matches(r));
  routes.show(shown);
  setText($('routes-title'), tick.routes.length >= EVENT_ROWS ? `Routes (busiest ${EVENT_ROWS})` : 'Routes');
  deliveries.show(tick.deliveries.filter(matches));
}

function show(tick) {
  page.tick = tick;
  page.tickedAt = performance.now();
  showHeader(tick.status);
  showTiles(tick.trend.fleet);
  showTrend(tick.trend);
  showSlo(tick.status);
  showRoutes(tick);
  showAlerts(tick.alerts);
  showScaling(tick.scale);
  hosts.show(hostRows(tick.status));
  if (page.tickedAt - page.slowestAt >= SLOWEST_EVERY_MS) loadSlowest();
  showLive();
}

function showLive() {
  const age = page.tickedAt ? performance.now() - page.tickedAt : null;
  const live = $('live');
  const state = age === null ? 'waiting' : age > STALE_MS ? 'stale' : 'live';
  live.dataset.state = state;
  document.body.toggleAttribute('data-stale', state === 'stale');
  document.body.toggleAttribute('data-waiting', state === 'waiting');
  setText($('live-text'), state === 'live' ? 'live'
    : state === 'stale' ? `no figures for ${Math.round(age / 1000)} s, connecting again`
      : 'waiting for the first figures');
}
setInterval(showLive, 1000);

// --- the stream -------------------------------------------------------------------------------------

function connect() {
  page.source?.close();
  const source = new EventSource(api('events', { window: page.window }));
  page.source = source;
  source.addEventListener('open', () => {
    loadTrend();
    loadSlowest();
  });
  source.addEventListener('tick', (event) => show(JSON.parse(event.data)));
  source.addEventListener('error', () => {
    // The browser connects again by itself unless the hub refused.
    if (source.readyState !== EventSource.CLOSED || page.source !== source) return;
    askToken();
    setTimeout(() => page.source === source && connect(), 2000);
  });
}

async function askToken() {
  const answer = await fetch(api('hosts')).catch(() => null);
  if (!answer || answer.status !== 401) return;
  $('notice').hidden = false;
  setText($('notice'), 'This hub asks for a token. Open the page with ?token=… ; the token is in the file "token" of the hub\'s folder.');
}

segments($('windows'), WINDOWS, page.window, (name) => {
  page.window = name;
  connect();
});
segments($('roles'), ROLES, page.role, (name) => {
  page.role = name;
  if (page.tick) showRoutes(page.tick);
});
$('filter').addEventListener('input', (event) => {
  page.filter = event.target.value.trim().toLowerCase();
  if (page.tick) showRoutes(page.tick);
});

connect();
