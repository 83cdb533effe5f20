/** The trading page: wires market data, the order form and the account together. One story per module, this one joins. */

import { AccountPanel } from "./accountpanel.js";
import { socketUrl } from "./address.js";
import { retryDelayMs } from "./backoff.js";
import { followBook } from "./bookfeed.js";
import { BookView } from "./bookview.js";
import { PriceChart } from "./chart.js";
import { ConnectionView } from "./connectionview.js";
import { formatDecimal, parseDecimal } from "./decimal.js";
import { byId, oncePerFrame } from "./dom.js";
import { LocalBook } from "./localbook.js";
import { readMarket } from "./market.js";
import { MarketFeed } from "./marketfeed.js";
import { MarketMenu } from "./marketmenu.js";
import { MarketStateView } from "./marketstate.js";
import { closeNewestNotice, notify } from "./notices.js";
import { OrderForm } from "./orderform.js";
import { getJson } from "./rest.js";
import { wireTabs } from "./tabs.js";
import { TickerView } from "./tickerview.js";
import { TradesView } from "./tradesview.js";

const page = byId("trade");

/** All markets by symbol. Without them nothing can be drawn, so this tries until the exchange answers. */
async function loadMarkets() {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const info = await getJson("/api/v3/exchangeInfo");
      return new Map(info.symbols.map((entry) => [entry.symbol, readMarket(entry)]));
    } catch (error) {
      byId("connection-text").textContent = "The exchange does not answer: trying again";
      console.warn("exchangeInfo did not load:", error.message);
      await new Promise((resolve) => window.setTimeout(resolve, retryDelayMs(attempt, Math.random())));
    }
  }
}

function start(markets) {
  const market = markets.get(page.dataset.symbol);
  const connection = new ConnectionView(page);
  const feed = new MarketFeed(socketUrl(page.dataset.stream), (phase, retryAtMs) => connection.report("market data", phase, retryAtMs));
  const book = new LocalBook();
  const account = new AccountPanel({
    page,
    market,
    markets,
    onPhase: (phase, retryAtMs) => connection.report("trading", phase, retryAtMs),
    onChange: () => {
      form.refresh();
      bookView.draw();
    },
    onFound: (clientOrderId) => form.settled(clientOrderId),
  });
  const form = new OrderForm({
    market,
    book,
    account,
    place: (request) => account.place(request),
    onPlaced: (result) => {
      account.takePlaced(result);
      announcePlaced(result, market);
    },
    onUnknown: () => account.session.ready && account.resync(),
  });
  const bookView = new BookView(market, book, {
    onPick: (price) => form.usePrice(price),
    ownPrices: (side) => account.ownPrices(side),
  });
  const ticker = new TickerView(market);
  const trades = new TradesView(market);
  const chart = new PriceChart(market, feed);
  const menu = new MarketMenu([...markets.values()], feed, page.dataset.query);
  const state = new MarketStateView(market, (told) => {
    bookView.showAuction(told.state === "AUCTION" ? told.indicativePrice : null);
    form.collects = told.state === "AUCTION";
    form.refresh();
  });
  const refreshForm = oncePerFrame(() => form.refresh());

  followBook(feed, book, market, () => {
    bookView.offerSteps(ticker.last);
    bookView.draw();
    refreshForm();
  });
  state.follow(feed);
  ticker.follow(feed);
  trades.follow(feed, (price) => ticker.showLast(price));
  chart.follow();
  feed.start();
  if (page.dataset.signedIn === "yes") account.start();
  wireTabs(byId("account-tabs"), (name) => showPanels("account", name));
  const views = wireTabs(byId("view-tabs"), (name) => {
    page.dataset.view = name;
  });
  byId("book-body").addEventListener("click", () => {
    if (page.dataset.view === "book") views.select("order");
  });
  wireKeys({ menu, form });
}

function announcePlaced(result, market) {
  if (result.orderListId > -1 && result.orders !== undefined) {
    notify("info", result.contingencyType === "OCO"
      ? `OCO with ${result.orders.length} orders is placed: one cancels the other.`
      : `Order is placed; once it is filled, ${result.orders.length > 2 ? "two others follow, and one cancels the other" : "another follows"}.`);
    return;
  }
  const filled = parseDecimal(result.executedQty);
  if (filled > 0n) return;
  const side = result.side === "BUY" ? "Buy" : "Sell";
  if (result.status === "PENDING_NEW") notify("info", `${side} order is in review, because its price is far from the last trade.`);
  if (result.status !== "NEW") return;
  if (result.stopPrice !== undefined || result.trailingDelta !== undefined) {
    notify("info", `${side} order waits for its trigger.`);
    return;
  }
  const price = formatDecimal(parseDecimal(result.price), market.pricePlaces, { group: true });
  const shared = result.allocations === undefined ? "" : `, for ${result.allocations.length} account${result.allocations.length === 1 ? "" : "s"}`;
  notify("info", `${side} order at ${price} ${market.quote} is in the book${shared}.`);
}

function showPanels(group, name) {
  for (const panel of document.querySelectorAll(`[data-panel-of="${group}"]`)) panel.hidden = panel.dataset.panel !== name;
}

/** Keys: "/" markets, B buy, S sell, Escape closes what is open. Letters do nothing while typing. */
function wireKeys({ menu, form }) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (!menu.close()) closeNewestNotice();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=radio]), select, textarea")) return;
    const action = {
      "/": () => menu.toggle(true),
      b: () => form.chooseSide("BUY"),
      s: () => form.chooseSide("SELL"),
    }[event.key.toLowerCase()];
    if (action === undefined || byId("confirm-dialog").open) return;
    event.preventDefault();
    action();
  });
}

start(await loadMarkets());
