/**
 * The market's state in words: told by a stream of its own, asked for on every connection, and now and then besides.
 *
 * `status` is the API's word (TRADING, HALT, CANCEL_ONLY, BREAK), `marketState` the exact one behind it. A halt by a
 * circuit breaker says when its call auction begins (`until`) and when the market reopens (`resumesAt`), an auction
 * what it would trade now.
 */

import { formatDecimal, parseDecimal } from "./decimal.js";
import { byId, setText } from "./dom.js";
import { getJson } from "./rest.js";
import { showSilence } from "./silence.js";

/** A safety net under the stream; each page costs the exchange only this much while nothing happens. */
const POLL_MS = 60000;

const WORDS = {
  POST_ONLY: ["info", "Post-only: orders that would trade at once are not taken."],
  HALT: ["warning", "Trading is halted. Open orders can be canceled; new orders are not taken."],
  AUCTION: ["warning", "Call auction: limit orders are collected and trade together when the market reopens."],
  CANCEL_ONLY: ["warning", "Cancel-only: open orders can be canceled; new orders are not taken."],
  BREAK: ["warning", "This market is closed. New orders are not taken."],
  PRE_LAUNCH: ["info", "This market has not opened yet. New orders are not taken."],
};
const BY_CAUSE = {
  BREAKER: "Trading is halted, because the price moved too fast. Open orders can be canceled; new orders are not taken.",
  NO_AUCTION_PRICE: "Trading stays halted: the auction found no price near the last one. Open orders can be canceled.",
};

/** For a list of markets. */
const SHORT = {
  POST_ONLY: "Post-only",
  HALT: "Halted",
  HALTED: "Halted",
  AUCTION: "Auction",
  CANCEL_ONLY: "Cancel-only",
  BREAK: "Closed",
  CLOSED: "Closed",
  PRE_LAUNCH: "Not open yet",
};

/** What the page needs of an answer or event; times are null where no timer runs. */
export function readState(told) {
  const amount = (text) => (text ? parseDecimal(text) : null);
  return {
    status: told.status,
    state: told.marketState ?? told.status,
    cause: told.cause ?? "NONE",
    untilMs: told.until ?? null,
    resumesAtMs: told.resumesAt ?? null,
    indicativePrice: amount(told.indicativePrice),
    indicativeQuantity: amount(told.indicativeQty),
    haltAbove: amount(told.haltAbove),
    haltBelow: amount(told.haltBelow),
    staleSinceMs: told.staleSince ?? null,
  };
}

/** [kind, text] for the banner, or null while trading is normal. */
export function bannerOf(market) {
  const words = WORDS[market.state] ?? WORDS[market.status] ?? null;
  return words !== null && market.state === "HALTED" ? [words[0], BY_CAUSE[market.cause] ?? words[1]] : words;
}

/** "Halted"; empty while trading is normal. */
export function shortWord(market) {
  return SHORT[market.state] ?? SHORT[market.status] ?? "";
}

/** "Reopens in 1:05.", with the call auction before it; empty where no timer runs. */
export function countdownText(state, nowMs) {
  const left = (ms) => {
    const seconds = Math.max(0, Math.ceil((ms - nowMs) / 1000));
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  };
  const ends = state.resumesAtMs ?? state.untilMs;
  if (ends === null) return "";
  const calls = state.state === "HALTED" && state.untilMs !== null && state.untilMs < ends;
  return `${calls ? `Call auction in ${left(state.untilMs)}, reopens` : "Reopens"} in ${left(ends)}.`;
}

/** What the auction would trade now; empty outside an auction. */
export function auctionText(state, market) {
  if (state.state !== "AUCTION") return "";
  if (state.indicativePrice === null) return "No orders would trade yet.";
  const price = formatDecimal(state.indicativePrice, market.pricePlaces, { group: true });
  return `Indicative price ${price} ${market.quote}, ${formatDecimal(state.indicativeQuantity ?? 0n, 0)} ${market.base} would trade.`;
}

/** "47,500.00 – 52,500.00": beyond these prices the market halts; empty where no circuit breaker could trip. */
export function haltText(state, market) {
  const price = (units) => (units === null ? "…" : formatDecimal(units, market.pricePlaces, { group: true }));
  return state.haltAbove === null && state.haltBelow === null ? "" : `${price(state.haltBelow)} – ${price(state.haltAbove)}`;
}

export class MarketStateView {
  /** `onChange(state)` hears of every answer and event. */
  constructor(market, onChange) {
    this.market = market;
    this.onChange = onChange;
    this.events = 0;
    this.show(readState({ status: market.status, marketState: market.state }));
    window.setInterval(() => document.visibilityState === "visible" && this.refresh(), POLL_MS);
    window.setInterval(() => this.tick(), 500);
  }

  follow(feed) {
    feed.subscribe(`${this.market.symbol.toLowerCase()}@marketState`, {
      onReady: () => this.refresh(),
      onData: (event) => {
        this.events += 1;
        this.show(readState(event));
      },
    });
  }

  async refresh() {
    const events = this.events;
    try {
      const state = readState(await getJson("/api/v3/marketState", { symbol: this.market.symbol }));
      // An event that came meanwhile may be newer than the answer.
      if (events === this.events) this.show(state);
    } catch (error) {
      console.warn("the market state did not load:", error.message);
    }
  }

  show(state) {
    this.state = state;
    const banner = bannerOf(state);
    const node = byId("state-banner");
    node.hidden = banner === null;
    node.className = `state-banner notice notice-${banner?.[0] ?? "info"}`;
    setText(byId("state-text"), banner?.[1] ?? "");
    setText(byId("state-auction"), auctionText(state, this.market));
    const halts = haltText(state, this.market);
    byId("halt-range").hidden = halts === "";
    setText(byId("halt-prices"), halts);
    showSilence(state.staleSinceMs);
    this.onChange(state);
    this.tick();
  }

  /** The countdown is not announced: a screen reader would speak every second. */
  tick() {
    setText(byId("state-countdown"), bannerOf(this.state) === null ? "" : countdownText(this.state, Date.now()));
  }
}
