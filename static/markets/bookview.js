/**
 * The order book as rows that never move: asks above (best at the bottom), the spread, bids below (best on top).
 *
 * Rows are made once for the height of the panel and only their texts and bar widths change. A row is a button: a click
 * or Enter hands its price to the order form; the arrow keys walk over the rows, so the book is one stop of the Tab key.
 */

import { groupingSteps, isCrossed, spreadOf, visibleLevels } from "./booklevels.js";
import { formatDecimal, formatRoundedDown, placesOf, shareForDrawing } from "./decimal.js";
import { byId, element, oncePerFrame, setText } from "./dom.js";

const ROW_HEIGHT_PX = 20;
const ROWS_MIN = 5;
const ROWS_MAX = 25;

export class BookView {
  /** `onPick(priceUnits)` takes the price of a chosen level; `ownPrices(side)` gives the set of the user's own prices. */
  constructor(market, book, { onPick, ownPrices }) {
    this.market = market;
    this.book = book;
    this.onPick = onPick;
    this.ownPrices = ownPrices;
    this.auctionPrice = null;
    this.step = market.tick;
    this.asks = byId("book-asks");
    this.bids = byId("book-bids");
    this.rows = { ask: [], bid: [] };
    this.draw = oncePerFrame(() => this.render());
    this.body = byId("book-body");
    new ResizeObserver(() => this.fit()).observe(this.body);
    this.body.addEventListener("click", (event) => this.pick(event.target.closest("button")));
    this.body.addEventListener("keydown", (event) => this.moveFocus(event));
    this.grouping = byId("book-grouping");
    this.grouping.addEventListener("change", () => this.chooseStep());
    this.offerSteps(0n);
    this.fit();
  }

  /** Offers merge steps that suit the price level; keeps the current choice while it is offered. */
  offerSteps(lastPrice) {
    const steps = groupingSteps(this.market.tick, lastPrice);
    if (steps.length === this.grouping.options.length) return;
    this.steps = steps;
    this.grouping.replaceChildren(
      ...steps.map((step, index) => element("option", { value: String(index), selected: step === this.step }, formatDecimal(step, 0))),
    );
  }

  chooseStep() {
    this.step = this.steps[this.grouping.selectedIndex];
    this.render();
  }

  fit() {
    const spreadHeight = byId("book-spread").offsetHeight;
    const room = Math.floor((this.body.clientHeight - spreadHeight) / 2 / ROW_HEIGHT_PX);
    const count = Math.min(ROWS_MAX, Math.max(ROWS_MIN, room));
    if (count === this.rows.bid.length) return;
    this.rows.ask = makeRows("ask", count);
    this.rows.bid = makeRows("bid", count);
    this.asks.replaceChildren(...this.rows.ask.map((row) => row.button).reverse());
    this.bids.replaceChildren(...this.rows.bid.map((row) => row.button));
    this.rows.bid[0].button.tabIndex = 0;
    this.render();
  }

  render() {
    const count = this.rows.bid.length;
    const asks = visibleLevels(this.book.asks, "ask", this.step, count);
    const bids = visibleLevels(this.book.bids, "bid", this.step, count);
    const deepest = [asks, bids].map((rows) => rows.at(-1)?.total ?? 0n).reduce((left, right) => (left > right ? left : right));
    this.renderSide("ask", asks, deepest);
    this.renderSide("bid", bids, deepest);
    this.renderSpread();
  }

  renderSide(side, levels, deepest) {
    const places = placesOf(this.step);
    const own = this.ownPrices(side);
    this.rows[side].forEach((row, index) => {
      const level = levels[index];
      row.price = level?.price ?? null;
      row.button.disabled = level === undefined;
      setText(row.priceCell, level ? formatDecimal(level.price, places, { group: true }) : "");
      setText(row.quantityCell, level ? formatRoundedDown(level.quantity, this.market.quantityPlaces, { group: true }) : "");
      setText(row.totalCell, level ? formatRoundedDown(level.total, this.market.quantityPlaces, { group: true }) : "");
      const mine = level !== undefined && [...own].some((price) => inside(price, level.price, side, this.step));
      row.button.classList.toggle("is-own", mine);
      row.button.title = mine ? "You have an order here" : "";
      row.button.style.setProperty("--depth", level ? String(shareForDrawing(level.total, deepest)) : "0");
    });
  }

  /** What a call auction would trade at now, null where there is none. */
  showAuction(price) {
    this.auctionPrice = price;
    this.draw();
  }

  renderSpread() {
    const { bids, asks } = this.book;
    const crossed = isCrossed(bids, asks);
    setText(byId("book-spread-label"), crossed ? "" : "Spread");
    byId("book-spread").title = crossed ? "Buy and sell orders cross: they trade together at one price when the auction ends" : "";
    setText(byId("book-spread-value"), crossed ? this.crossedText() : this.spreadText(spreadOf(bids, asks)));
  }

  crossedText() {
    if (this.auctionPrice === null) return "Crossed: auction";
    return `Auction at ${formatDecimal(this.auctionPrice, this.market.pricePlaces, { group: true })}`;
  }

  spreadText(spread) {
    if (spread === null) return this.book.live ? "No spread: one side is empty" : "Loading the book…";
    return `${formatDecimal(spread.spread, this.market.pricePlaces, { group: true })} (${formatRoundedDown(spread.percent, 2)} %)`;
  }

  pick(button) {
    const row = [...this.rows.ask, ...this.rows.bid].find((candidate) => candidate.button === button);
    if (row?.price) this.onPick(row.price);
  }

  moveFocus(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step === undefined) return;
    const buttons = [...this.body.querySelectorAll("button:not(:disabled)")];
    const next = buttons[buttons.indexOf(document.activeElement) + step];
    if (next === undefined) return;
    event.preventDefault();
    for (const button of buttons) button.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}

function makeRows(side, count) {
  return Array.from({ length: count }, () => {
    const priceCell = element("span", { className: "book-price" });
    const quantityCell = element("span", { className: "book-quantity" });
    const totalCell = element("span", { className: "book-total" });
    const button = element("button", { type: "button", className: `book-row book-${side}`, tabIndex: -1, disabled: true }, priceCell, quantityCell, totalCell);
    return { button, priceCell, quantityCell, totalCell, price: null };
  });
}

function inside(price, shown, side, step) {
  return side === "bid" ? price >= shown && price < shown + step : price <= shown && price > shown - step;
}
