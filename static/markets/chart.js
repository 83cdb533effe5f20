/**
 * The candlestick chart with volume and moving averages. Drawing only: values here are floating point and go nowhere else.
 */

import {
  CandlestickSeries,
  CrosshairMode,
  HistogramSeries,
  LineSeries,
  createChart,
} from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { INTERVALS, candleFromEvent, candleFromRow, joinOlder, movingAverage } from "./candles.js";
import { byId, element } from "./dom.js";
import { getJson } from "./rest.js";
import { momentText } from "./times.js";

const PAGE = 500;
const AVERAGES = [{ length: 7, colour: "--chart-average-1" }, { length: 25, colour: "--chart-average-2" }];
const INTERVAL_KEY = "chart-interval";

export class PriceChart {
  constructor(market, feed) {
    this.market = market;
    this.feed = feed;
    this.candles = [];
    this.generation = 0;
    this.exhausted = true;
    this.loaded = false;
    this.loadingOlder = false;
    this.hovering = false;
    this.build();
    this.buildIntervals();
    document.addEventListener("themechange", () => this.applyTheme());
  }

  build() {
    this.chart = createChart(byId("chart"), {
      autoSize: true,
      layout: { attributionLogo: false, fontSize: 11, fontFamily: getComputedStyle(document.body).fontFamily },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.24 } },
      timeScale: { borderVisible: false, timeVisible: true, secondsVisible: false, rightOffset: 6, tickMarkFormatter: tickMark },
      localization: { timeFormatter: (seconds) => momentText(seconds * 1000) },
    });
    this.bars = this.chart.addSeries(CandlestickSeries, { borderVisible: false });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false,
    });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.averages = AVERAGES.map(() => this.chart.addSeries(LineSeries, {
      lineWidth: 1, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false,
    }));
    const places = this.market.pricePlaces;
    for (const series of [this.bars, ...this.averages]) {
      series.applyOptions({ priceFormat: { type: "price", precision: places, minMove: 1 / 10 ** places } });
    }
    this.applyTheme();
    this.chart.subscribeCrosshairMove((move) => this.showLegend(move.seriesData.get(this.bars), move.seriesData.get(this.volume)));
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null && range.from < 20) this.loadOlder();
    });
  }

  buildIntervals() {
    const stored = readStored(INTERVAL_KEY);
    this.interval = INTERVALS.includes(stored) ? stored : "1m";
    const group = byId("chart-intervals");
    group.replaceChildren(...INTERVALS.map((interval) => element(
      "button",
      { type: "button", className: "interval", data: { interval }, attributes: { "aria-pressed": String(interval === this.interval) } },
      interval,
    )));
    group.addEventListener("click", (event) => {
      const interval = event.target.closest("button")?.dataset.interval;
      if (interval && interval !== this.interval) this.changeInterval(interval);
    });
  }

  changeInterval(interval) {
    this.feed.unsubscribe(this.stream());
    this.interval = interval;
    writeStored(INTERVAL_KEY, interval);
    for (const button of byId("chart-intervals").children) {
      button.setAttribute("aria-pressed", String(button.dataset.interval === interval));
    }
    this.generation += 1;
    this.exhausted = true;
    this.loaded = false;
    this.candles = [];
    this.follow();
  }

  stream() {
    return `${this.market.symbol.toLowerCase()}@kline_${this.interval}`;
  }

  follow() {
    this.chart.timeScale().applyOptions({ secondsVisible: this.interval === "1s" });
    this.feed.subscribe(this.stream(), {
      onReady: () => this.load(),
      onData: (event) => this.update(candleFromEvent(event.k)),
    });
  }

  /** Loads the newest page and keeps older pages that are there already, as after a reconnect. */
  async load() {
    this.generation += 1;
    const mine = this.generation;
    const rows = await this.fetchPage({});
    if (rows === null || mine !== this.generation) return;
    const fresh = !this.loaded;
    this.loaded = true;
    this.exhausted = rows.length < PAGE;
    this.candles = rows.length > 0 ? joinOlder(this.candles, rows) : [];
    this.drawAll();
    if (fresh) this.showNewest();
  }

  async loadOlder() {
    if (this.loadingOlder || this.exhausted || this.candles.length === 0) return;
    this.loadingOlder = true;
    const mine = this.generation;
    const rows = await this.fetchPage({ endTime: this.candles[0].time * 1000 - 1 });
    this.loadingOlder = false;
    if (rows === null || mine !== this.generation) return;
    this.exhausted = rows.length < PAGE;
    this.candles = joinOlder(rows, this.candles);
    this.drawAll();
  }

  async fetchPage(extra) {
    const message = byId("chart-message");
    try {
      const rows = await getJson("/api/v3/klines", { symbol: this.market.symbol, interval: this.interval, limit: PAGE, ...extra });
      message.hidden = rows.length > 0 || this.candles.length > 0;
      message.textContent = "No trades yet. The chart starts with the first one.";
      return rows.map(candleFromRow);
    } catch (error) {
      message.hidden = this.candles.length > 0;
      message.textContent = `The chart did not load: ${error.message}`;
      return null;
    }
  }

  update(bar) {
    const last = this.candles.at(-1);
    if (!this.loaded || (last !== undefined && bar.time < last.time)) return;
    if (bar.time === last?.time) this.candles[this.candles.length - 1] = bar;
    else this.candles.push(bar);
    this.bars.update(bar);
    this.volume.update(this.volumeBar(bar));
    AVERAGES.forEach(({ length }, index) => {
      const point = movingAverage(this.candles.slice(-length), length)[0];
      if (point !== undefined) this.averages[index].update(point);
    });
    byId("chart-message").hidden = true;
    if (!this.hovering) this.showLegend(bar, { value: bar.volume });
  }

  drawAll() {
    this.bars.setData(this.candles);
    this.volume.setData(this.candles.map((bar) => this.volumeBar(bar)));
    AVERAGES.forEach(({ length }, index) => this.averages[index].setData(movingAverage(this.candles, length)));
    this.showLegend();
  }

  showNewest() {
    const width = Math.max(30, Math.floor(byId("chart").clientWidth / 8));
    this.chart.timeScale().setVisibleLogicalRange({ from: this.candles.length - width, to: this.candles.length + 5 });
  }

  /** Figures of the bar under the crosshair, else of the newest one. */
  showLegend(bar, volume) {
    this.hovering = bar !== undefined && bar.time !== this.candles.at(-1)?.time;
    const shown = bar ?? this.candles.at(-1);
    const legend = byId("chart-legend");
    if (shown === undefined) {
      legend.replaceChildren();
      return;
    }
    const price = (value) => value.toLocaleString("en-US", { minimumFractionDigits: this.market.pricePlaces, maximumFractionDigits: this.market.pricePlaces });
    const amount = (volume?.value ?? shown.volume ?? 0).toLocaleString("en-US", { maximumFractionDigits: 4 });
    const tone = shown.close < shown.open ? "sell" : "buy";
    const facts = [["O", price(shown.open)], ["H", price(shown.high)], ["L", price(shown.low)], ["C", price(shown.close)], ["Vol", amount]];
    legend.replaceChildren(...facts.map(([name, value]) => element("span", {}, `${name} `, element("b", { className: tone }, value))));
  }

  volumeBar(bar) {
    return { time: bar.time, value: bar.volume, color: bar.close < bar.open ? this.colours.sellVolume : this.colours.buyVolume };
  }

  applyTheme() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.colours = { buyVolume: colour("--chart-volume-buy"), sellVolume: colour("--chart-volume-sell") };
    this.chart.applyOptions({
      layout: { background: { color: colour("--surface") }, textColor: colour("--text-muted") },
      grid: { vertLines: { color: colour("--chart-grid") }, horzLines: { color: colour("--chart-grid") } },
    });
    const [up, down] = [colour("--chart-up"), colour("--chart-down")];
    this.bars.applyOptions({ upColor: up, wickUpColor: up, downColor: down, wickDownColor: down });
    AVERAGES.forEach((average, index) => this.averages[index].applyOptions({ color: colour(average.colour) }));
    this.volume.setData(this.candles.map((bar) => this.volumeBar(bar)));
  }
}

/** Axis marks in local time; `kind` is the library's TickMarkType: 0 year, 1 month, 2 day, 3 minute, 4 second. */
function tickMark(seconds, kind) {
  const date = new Date(seconds * 1000);
  const options = [
    { year: "numeric" }, { month: "short" }, { day: "numeric", month: "short" },
    { hour: "2-digit", minute: "2-digit" }, { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  ][kind];
  return date.toLocaleString("en-GB", options);
}

function readStored(key) {
  try {
    return window.localStorage.getItem(key);
  } catch (error) {
    console.info("choices are not stored:", error.message);
    return null;
  }
}

function writeStored(key, value) {
  try {
    window.localStorage.setItem(key, value);
  } catch (error) {
    console.info("choices are not stored:", error.message);
  }
}
