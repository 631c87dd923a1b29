// Transport: a stake to its place and a place to its stake, stretches between two stakes, and what happens along a route.
import { Page, byId, make } from "/static/worked.js";

const LAYER = "transport-routes";
const WORDS = {
  zh: {
    title: "公路里程桩", subtitle: "由桩号到位置，由位置到桩号；断链处桩号重复或跳过；路况事件按桩号落图", routes: "路线、里程桩与事件", click: "点击公路附近的一处，查询桩号；或输入桩号。", route: "路线", stake: "桩号", from: "起", to: "止", go: "查询",
    at: "{route} {stake}", aside: "路{side}侧 {metres}", right: "右", left: "左", on: "路上", breaks: "断链", long: "长链", short: "短链", events: "沿线事件", what: "事件", where: "桩号", length: "实地长 {ground}，桩号长 {staked}", nowhere: "不在可见范围内",
    "sees-transport": "交通厅看到自己的全部路线、里程桩与事件。", "sees-police": "公安厅按与交通厅的协议查询，云岭镇除外：那里没有桩号可告知；事件的内部说明也不告知。", "sees-civil": "交通厅没有与民政厅共享路线：查询被拒绝，与图层不存在时的回答相同。",
  },
  en: {
    title: "Kilometre posts", subtitle: "A stake to its place and back; over broken chains, where stakes come twice or not at all; events by their stakes", routes: "Routes, posts and events", click: "Click near a road for its stake, or write a stake.", route: "route", stake: "stake", from: "from", to: "to", go: "Ask",
    at: "{route} {stake}", aside: "{metres} to the {side} of the road", right: "right", left: "left", on: "on the road", breaks: "Broken chains", long: "long", short: "short", events: "Events along it", what: "event", where: "stakes", length: "{ground} on the ground, {staked} by its stakes", nowhere: "not within what may be seen",
    "sees-transport": "The transport department sees all its routes, posts and events.", "sees-police": "By its agreement with transport the police may ask everywhere but in Yunling: no stakes are told there, nor the words of events for the department's own men.", "sees-civil": "Transport shares no routes with civil affairs: questions are refused as if there were no such layer.",
  },
};

const line = new ol.style.Style({ stroke: new ol.style.Stroke({ color: "#5f3dc4", width: 6 }), image: new ol.style.Circle({ radius: 8, fill: new ol.style.Fill({ color: "#d3362d" }), stroke: new ol.style.Stroke({ color: "#fff", width: 3 }) }) });
const format = new ol.format.GeoJSON({ featureProjection: "EPSG:3857" });
let marks = null, routes = [], chosen = null;

const page = new Page({ words: WORDS, agencies: ["transport", "police", "civil"], opened, spoken: (one) => one.agency && one.choose(one.agency), clicked });

async function opened(one) {
  const drawn = one.tiles(LAYER);
  if (drawn) one.toggle(one.say("routes"), drawn, { legend: LAYER });
  marks = one.things(line, 6);
  routes = [];
  const agency = one.agency, found = await one.ask(`/routes/${LAYER}`, {});
  if (agency !== one.agency || !found) return;
  routes = found.routes;
  chosen = routes.some((each) => each.route === chosen) ? chosen : routes[0]?.route;
  show();
}

/** The form, with `facts` of the last answer above it. */
async function show(facts = [make("p", {}, page.say("click"))]) {
  const agency = page.agency, route = routes.find((one) => one.route === chosen);
  const choice = make("select", { ariaLabel: page.say("route") }, ...routes.map((one) => make("option", { value: one.route, selected: one.route === chosen }, `${one.route}  ${one.from}–${one.to}`)));
  choice.addEventListener("change", () => { chosen = choice.value; marks.getSource().clear(); show(); });
  const stake = make("input", { placeholder: route?.from || "K0+000", ariaLabel: page.say("stake") }), point = make("form", {}, stake, make("button", {}, page.say("go")));
  point.addEventListener("submit", (event) => { event.preventDefault(); place(stake.value); });
  const [from, to] = ["from", "to"].map((word) => make("input", { placeholder: page.say(word), ariaLabel: page.say(word) }));
  const stretch = make("form", {}, from, to, make("button", {}, page.say("go")));
  stretch.addEventListener("submit", (event) => { event.preventDefault(); between(from.value, to.value); });
  const breaks = (route?.breaks || []).map((one) => make("tr", {}, make("td", {}, `${one.back} = ${one.ahead}`), make("td", {}, `${page.say(one.kind)} ${page.distance(one.metres)}`)));
  byId("answer").replaceChildren(
    ...facts, choice, point, stretch, ...(breaks.length ? [make("p", { className: "muted" }, page.say("breaks")), make("table", {}, make("tbody", {}, ...breaks))] : []),
  );
  if (!chosen) return;
  const found = await page.ask(`/routes/${LAYER}/events`, { route: chosen });
  if (!found || agency !== page.agency || route?.route !== chosen) return;
  const rows = found.features.map((one) => {
    const { TITLE, KIND, FROM_STAKE, TO_STAKE } = one.properties, name = make("button", { type: "button" }, TITLE || KIND);
    name.addEventListener("click", () => mark(one));
    return make("tr", {}, make("td", {}, name), make("td", {}, one.geometry ? [FROM_STAKE, TO_STAKE].filter(Boolean).join(" – ") : page.say("nowhere")));
  });
  if (rows.length) byId("answer").append(make("p", { className: "muted" }, page.say("events")), make("table", {}, make("tbody", {}, ...rows)));
}

function mark(feature, zoom = true) {
  const source = marks.getSource();
  source.clear();
  if (!feature.geometry) return;
  source.addFeature(format.readFeature(feature));
  if (zoom) page.map.getView().fit(source.getExtent(), { padding: [90, 90, 90, 90], maxZoom: 15, duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 300 });
}

async function place(stake) {
  const found = await page.ask(`/routes/${LAYER}/point`, { route: chosen, stake });
  if (!found) return;
  mark(found);
  await show([heading(found)]);
}

async function between(from, to) {
  const found = await page.ask(`/routes/${LAYER}/stretch`, { route: chosen, from, to });
  if (!found) return;
  mark(found);
  const { length, staked } = found.properties;
  await show([make("h3", {}, `${chosen} ${found.properties.from} – ${found.properties.to}`), make("p", { className: "muted" }, page.say("length", { ground: page.distance(length), staked: page.distance(staked) }))]);
}

async function clicked([lon, lat]) {
  const found = await page.ask(`/routes/${LAYER}/stake`, { lon: lon.toFixed(7), lat: lat.toFixed(7), within: 500 });
  if (!found) return;
  mark(found, false);
  chosen = found.properties.route;
  const { side, offset } = found.properties;
  await show([heading(found), make("p", { className: "muted" }, side === "on" ? page.say("on") : page.say("aside", { side: page.say(side), metres: page.distance(offset) }))]);
}

function heading(found) { return make("h3", {}, page.say("at", found.properties)); }
