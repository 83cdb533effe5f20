/** The market list page: every market with live figures and a filter. */

import { socketUrl } from "./address.js";
import { ConnectionView } from "./connectionview.js";
import { byId } from "./dom.js";
import { readMarket } from "./market.js";
import { ListStates } from "./liststates.js";
import { MarketFeed } from "./marketfeed.js";
import { MarketTable } from "./markettable.js";
import { getJson } from "./rest.js";

const page = byId("market-list");
const info = await getJson("/api/v3/exchangeInfo");
const markets = info.symbols.map(readMarket);
const connection = new ConnectionView(page);
const feed = new MarketFeed(socketUrl(page.dataset.stream), (phase, retryAtMs) => connection.report("market data", phase, retryAtMs));
const table = new MarketTable(byId("market-list-body"), markets, (market) => `/trade/${market.symbol}`);

byId("market-filter").addEventListener("input", (event) => table.filter(event.target.value));
byId("market-list-empty").textContent = "No market is listed yet.";
byId("market-list-empty").hidden = markets.length > 0;
table.follow(feed);
new ListStates(table, markets).follow(feed);
feed.start();
