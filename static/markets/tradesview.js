/** The market's recent trades, newest on top, coloured by the side that took. */

import { formatDecimal, parseDecimal } from "./decimal.js";
import { byId, element, oncePerFrame } from "./dom.js";
import { getJson } from "./rest.js";
import { clockText } from "./times.js";

const KEPT_MAX = 60;

export class TradesView {
  constructor(market) {
    this.market = market;
    this.list = byId("trades-list");
    this.trades = [];
    this.drawn = 0;
    this.draw = oncePerFrame(() => this.render());
  }

  /** Follows the stream; history comes by REST whenever the stream (re)starts, so nothing is missing in between. */
  follow(feed, onTrade) {
    feed.subscribe(`${this.market.symbol.toLowerCase()}@trade`, {
      onReady: () => this.load(),
      onData: (event) => {
        this.add([{ id: event.t, price: event.p, quantity: event.q, timeMs: event.T, sold: event.m }]);
        onTrade(parseDecimal(event.p));
      },
    });
  }

  async load() {
    try {
      const rows = await getJson("/api/v3/trades", { symbol: this.market.symbol, limit: KEPT_MAX });
      this.add(rows.map((row) => ({ id: row.id, price: row.price, quantity: row.qty, timeMs: row.time, sold: row.isBuyerMaker })));
    } catch (error) {
      console.warn("recent trades did not load:", error.message);
    }
  }

  add(trades) {
    const known = new Set(this.trades.map((trade) => trade.id));
    const fresh = trades.filter((trade) => !known.has(trade.id));
    if (fresh.length === 0) return;
    this.trades = [...this.trades, ...fresh].sort((left, right) => right.id - left.id).slice(0, KEPT_MAX);
    this.draw();
  }

  render() {
    byId("trades-empty").hidden = this.trades.length > 0;
    while (this.list.children.length < this.trades.length) this.list.append(makeRow());
    this.trades.forEach((trade, index) => {
      const [price, quantity, time] = this.list.children[index].children;
      price.className = trade.sold ? "sell" : "buy";
      price.textContent = formatDecimal(parseDecimal(trade.price), this.market.pricePlaces, { group: true });
      quantity.textContent = formatDecimal(parseDecimal(trade.quantity), this.market.quantityPlaces, { group: true });
      time.textContent = clockText(trade.timeMs);
    });
  }
}

function makeRow() {
  return element("li", {}, element("span"), element("span"), element("span"));
}
