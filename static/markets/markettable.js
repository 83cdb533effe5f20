/** Rows of markets with live last price, 24 h change and volume: for the market list and the menu of the trading page. */

import { SCALE, formatDecimal, formatRoundedDown, parseDecimal } from "./decimal.js";
import { element, oncePerFrame, setText } from "./dom.js";
import { getJson } from "./rest.js";

const ONE = 10n ** BigInt(SCALE);

export class MarketTable {
  /** `link(market)` makes the address of a row; `body` is the tbody to fill. */
  constructor(body, markets, link) {
    this.rows = new Map(markets.map((market) => [market.symbol, makeRow(market, link(market))]));
    body.replaceChildren(...[...this.rows.values()].map((row) => row.node));
    this.draw = oncePerFrame(() => this.render());
  }

  follow(feed) {
    for (const symbol of this.rows.keys()) {
      feed.subscribe(`${symbol.toLowerCase()}@miniTicker`, {
        onData: (event) => this.take(symbol, { last: event.c, open: event.o, high: event.h, low: event.l, volume: event.v, total: event.q }),
      });
    }
    return this.load();
  }

  async load() {
    try {
      // Without names, a market that has no data yet is left out; named, it would refuse the whole list.
      for (const day of await getJson("/api/v3/ticker/24hr")) {
        this.take(day.symbol, {
          last: day.lastPrice, open: day.openPrice, high: day.highPrice, low: day.lowPrice, volume: day.volume, total: day.quoteVolume,
        });
      }
    } catch (error) {
      console.warn("the tickers did not load:", error.message);
    }
  }

  /** Shows only markets whose symbol contains the text. */
  filter(text) {
    const wanted = text.trim().toUpperCase().replaceAll("/", "");
    for (const [symbol, row] of this.rows) row.node.hidden = !symbol.includes(wanted);
  }

  take(symbol, day) {
    const row = this.rows.get(symbol);
    if (row === undefined) return;
    row.day = Object.fromEntries(Object.entries(day).map(([key, text]) => [key, parseDecimal(text)]));
    this.draw();
  }

  /** `word` in a badge and `ends` beside it; `why` for whoever points at it or has it read. Empty texts show nothing. */
  showState(symbol, word, why, ends) {
    const state = this.rows.get(symbol)?.state;
    if (state === undefined) return;
    state.badge.hidden = word === "";
    state.badge.title = why;
    setText(state.word, word);
    setText(state.why, why);
    setText(state.ends, word === "" ? "" : ends);
  }

  render() {
    for (const row of this.rows.values()) if (row.day) show(row);
  }
}

/** Change from `open` to `last` in units of one percent, rounded towards zero; null without an open price. */
export function changePercent(open, last) {
  return open > 0n ? ((last - open) * 100n * ONE) / open : null;
}

function show({ market, cells, day }) {
  const price = (units) => (units > 0n ? formatDecimal(units, market.pricePlaces, { group: true }) : "–");
  const percent = changePercent(day.open, day.last);
  setText(cells.last, price(day.last));
  setText(cells.change, percent === null ? "–" : `${percent > 0n ? "+" : ""}${formatRoundedDown(percent, 2)} %`);
  cells.change.className = `num ${percent === null || percent === 0n ? "" : percent > 0n ? "buy" : "sell"}`;
  setText(cells.high, price(day.high));
  setText(cells.low, price(day.low));
  setText(cells.volume, `${formatRoundedDown(day.total, 2, { group: true })} ${market.quote}`);
}

function makeRow(market, href) {
  const cells = Object.fromEntries(
    ["last", "change", "high", "low", "volume"].map((name) => [name, element("td", { className: `num market-${name}` }, "–")]),
  );
  const link = element("a", { href }, element("b", {}, market.base), element("span", { className: "muted" }, `/${market.quote}`));
  const state = {
    word: element("span"),
    why: element("span", { className: "visually-hidden" }),
    // The countdown is not announced: a screen reader would speak every second.
    ends: element("span", { className: "market-ends num muted", attributes: { "aria-hidden": "true" } }),
  };
  state.badge = element("span", { className: "market-state badge badge-warn", hidden: true }, state.word, " ", state.why);
  const head = element("th", { scope: "row" }, link, " ", state.badge, " ", state.ends);
  const node = element("tr", {}, head, cells.last, cells.change, cells.high, cells.low, cells.volume);
  node.dataset.symbol = market.symbol;
  return { market, node, cells, state, day: null };
}
