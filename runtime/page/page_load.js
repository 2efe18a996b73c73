// The server's load, from the Prometheus text at /metrics once a second while the page is seen: what runs and waits, how full the KV
// memory is, tokens a second, and percentiles of the last half minute.
import { get_text } from "./page_api.js";

const kept_samples = 120; // points of a sparkline
const window_samples = 30; // of the percentiles and the hit rate
const svg_namespace = "http://www.w3.org/2000/svg";

/** Prometheus text to {values: name -> sum over labels, counts: name -> number of series, buckets: name -> Map(le -> count)}. */
export function parse_metrics(text) {
  const values = new Map();
  const counts = new Map();
  const buckets = new Map();
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (!match) continue;
    const [, name, labels = ""] = match;
    const value = match[3] === "+Inf" ? Infinity : Number(match[3]);
    if (Number.isNaN(value)) continue;
    values.set(name, (values.get(name) ?? 0) + value);
    counts.set(name, (counts.get(name) ?? 0) + 1);
    const edge = /(?:^|,)\s*le="([^"]*)"/.exec(labels);
    if (!edge) continue;
    const le = edge[1] === "+Inf" ? Infinity : Number(edge[1]);
    const histogram = buckets.get(name) ?? new Map();
    histogram.set(le, (histogram.get(le) ?? 0) + value);
    buckets.set(name, histogram);
  }
  return { values, counts, buckets };
}

/** The q-quantile of what a histogram gained between two samples, linear within a bucket; null without observations. */
export function quantile(older, newer, q) {
  const gained = [...newer].map(([le, count]) => [le, count - (older?.get(le) ?? 0)]).sort((a, b) => a[0] - b[0]);
  const total = gained.at(-1)?.[1] ?? 0;
  if (total <= 0) return null;
  let below = 0;
  let low = 0;
  for (const [le, count] of gained) {
    if (count >= q * total) {
      if (le === Infinity) return low;
      return low + (le - low) * ((q * total - below) / Math.max(count - below, 1));
    }
    below = count;
    low = le;
  }
  return low;
}

function milliseconds(seconds) {
  if (seconds === null) return "–";
  const ms = seconds * 1000;
  return ms >= 100 ? ms.toFixed(0) : ms.toFixed(1);
}

/** What each tile shows: `read` gives {shown, small, plotted} from the newest sample, the one before and the window's oldest. */
function percentile_tile(name, metric) {
  return {
    name,
    read({ now, oldest }) {
      const newer = now.buckets.get(`${metric}_bucket`);
      if (!newer) return null;
      const older = oldest?.buckets.get(`${metric}_bucket`);
      const p50 = quantile(older, newer, 0.5);
      return { shown: milliseconds(p50), small: ` ms p50, ${milliseconds(quantile(older, newer, 0.95))} p95`, plotted: (p50 ?? 0) * 1000 };
    },
  };
}

function gauge_tile(name, metric) {
  return {
    name,
    read({ now }) {
      const value = now.values.get(metric);
      return value === undefined ? null : { shown: String(value), small: "", plotted: value };
    },
  };
}

function rate_tile(name, metric) {
  return {
    name,
    read({ now, before }) {
      const value = now.values.get(metric);
      if (value === undefined || !before) return null;
      const seconds = Math.max((now.at - before.at) / 1000, 0.001);
      const rate = Math.max(value - (before.values.get(metric) ?? value), 0) / seconds; // a restarted server counts from 0
      return { shown: rate >= 100 ? rate.toFixed(0) : rate.toFixed(1), small: " tokens/s", plotted: rate };
    },
  };
}

const tiles = [
  gauge_tile("Requests running", "troupe_requests_running"),
  gauge_tile("Requests waiting", "troupe_requests_waiting"),
  {
    name: "KV memory in use",
    full: 100,
    read({ now }) {
      const sum = now.values.get("troupe_kv_usage_ratio");
      if (sum === undefined) return null;
      const percent = (100 * sum) / now.counts.get("troupe_kv_usage_ratio"); // one series a worker
      return { shown: percent.toFixed(1), small: " %", plotted: percent };
    },
  },
  rate_tile("Generated", "troupe_generation_tokens_total"),
  rate_tile("Prompts read", "troupe_prompt_tokens_total"),
  percentile_tile("Time to first token", "troupe_time_to_first_token_seconds"),
  percentile_tile("Time between tokens", "troupe_inter_token_latency_seconds"),
  {
    name: "Prompt tokens from cache",
    full: 100,
    read({ now, oldest }) {
      const gained = (metric) => (now.values.get(metric) ?? 0) - (oldest?.values.get(metric) ?? 0);
      const queries = gained("troupe_prefix_cache_queries_total");
      if (!(queries > 0)) return { shown: "–", small: " of the last ½ min", plotted: 0 };
      const percent = (100 * gained("troupe_prefix_cache_hits_total")) / queries;
      return { shown: percent.toFixed(0), small: " %", plotted: percent };
    },
  },
];

function make_element(parent, tag, class_name) {
  const element = document.createElement(tag);
  if (class_name) element.className = class_name;
  parent.append(element);
  return element;
}

/** A tile's elements and the function that updates them. */
function build_tile(parent, tile) {
  const box = make_element(parent, "div", "tile");
  make_element(box, "div", "name").textContent = tile.name;
  const row = make_element(box, "div", "row");
  const value = make_element(row, "div", "value");
  const number = make_element(value, "span", "");
  const small = make_element(value, "small", "");
  number.textContent = "–";
  const chart = document.createElementNS(svg_namespace, "svg");
  chart.setAttribute("viewBox", `0 0 ${kept_samples - 1} 32`);
  chart.setAttribute("preserveAspectRatio", "none");
  chart.setAttribute("aria-hidden", "true");
  const area = document.createElementNS(svg_namespace, "polygon");
  const line = document.createElementNS(svg_namespace, "polyline");
  chart.append(area, line);
  row.append(chart);
  const plotted = [];
  return (samples) => {
    const figures = tile.read(samples);
    number.textContent = figures?.shown ?? "–";
    small.textContent = figures?.small ?? "";
    plotted.push(figures?.plotted ?? 0);
    if (plotted.length > kept_samples) plotted.shift();
    const top = tile.full ?? Math.max(...plotted, 1e-9);
    const first = kept_samples - plotted.length;
    const points = plotted.map((v, i) => `${first + i},${(30.5 - (29 * Math.min(v, top)) / top).toFixed(1)}`);
    line.setAttribute("points", points.join(" "));
    area.setAttribute("points", [`${first},32`, ...points, `${kept_samples - 1},32`].join(" "));
  };
}

/** Polls for good. `key` gives the API key of the moment. */
export function start_load(parent, connection, key) {
  const updates = tiles.map((tile) => build_tile(parent, tile));
  const history = []; // the window's samples, oldest first
  const show = (text, state) => {
    if (connection.textContent !== text) connection.textContent = text;
    connection.className = `connection ${state}`;
  };
  const poll = async () => {
    try {
      const sample = parse_metrics(await get_text("/metrics", key(), AbortSignal.timeout(5000)));
      sample.at = performance.now();
      const before = history.at(-1);
      history.push(sample);
      if (history.length > window_samples) history.shift();
      for (const update of updates) update({ now: sample, before, oldest: history.length > 1 ? history[0] : undefined });
      show("connected", "good");
    } catch (error) {
      if (error.status === 401) show("API key needed", "bad");
      else show(error.status ? `no figures (${error.status})` : "no connection", "bad");
    }
  };
  let next = 0;
  const loop = async () => {
    next = 0;
    if (document.hidden) return; // visibilitychange starts it again
    await poll();
    next = setTimeout(loop, 1000);
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !next) loop();
  });
  loop();
}
