/** The market's headline: last price and the figures of the last 24 hours. */

import { formatDecimal, formatRoundedDown, parseDecimal, parseSigned } from "./decimal.js";
import { byId, setText } from "./dom.js";
import { getJson } from "./rest.js";

export class TickerView {
  constructor(market) {
    this.market = market;
    this.last = 0n;
    this.updates = 0;
    this.lastNode = byId("last-price");
    this.bookNode = byId("book-last");
  }

  follow(feed) {
    feed.subscribe(`${this.market.symbol.toLowerCase()}@ticker`, {
      onReady: () => this.load(),
      onData: (event) => this.show({
        last: event.c, change: event.p, percent: event.P, high: event.h, low: event.l, volume: event.v, total: event.q,
      }),
    });
  }

  async load() {
    const before = this.updates;
    try {
      const row = await getJson("/api/v3/ticker/24hr", { symbol: this.market.symbol });
      // A trade overtook this answer: it is older, and the stream's own figures follow that trade.
      if (this.updates !== before) return;
      this.show({
        last: row.lastPrice, change: row.priceChange, percent: row.priceChangePercent, high: row.highPrice,
        low: row.lowPrice, volume: row.volume, total: row.quoteVolume,
      });
    } catch (error) {
      console.warn("the ticker did not load:", error.message);
    }
  }

  show(day) {
    const price = (text) => formatDecimal(parseDecimal(text), this.market.pricePlaces, { group: true });
    const change = parseSigned(day.change);
    const sign = change > 0n ? "+" : "";
    const changeNode = byId("day-change");
    setText(changeNode, `${sign}${formatDecimal(change, this.market.pricePlaces, { group: true })} ${sign}${formatDecimal(parseSigned(day.percent), 2)} %`);
    changeNode.className = change < 0n ? "sell" : change > 0n ? "buy" : "";
    setText(byId("day-high"), price(day.high));
    setText(byId("day-low"), price(day.low));
    setText(byId("day-volume"), formatRoundedDown(parseDecimal(day.volume), 2, { group: true }));
    setText(byId("day-total"), formatRoundedDown(parseDecimal(day.total), 2, { group: true }));
    this.showLast(parseDecimal(day.last));
  }

  /** A newer last price, from a trade or the ticker. */
  showLast(price) {
    this.updates += 1;
    if (price === 0n || price === this.last) return;
    const tone = this.last === 0n ? "" : price > this.last ? "buy" : "sell";
    this.lastNode.className = `ticker-last num ${tone}`;
    this.last = price;
    const text = formatDecimal(price, this.market.pricePlaces, { group: true });
    setText(this.lastNode, text);
    setText(this.bookNode, text);
    this.bookNode.className = `book-last ${tone}`;
    document.title = `${text} ${this.market.symbol} · Nebannpet`;
  }
}
