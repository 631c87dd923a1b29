// Water: levels as they rise, above warning or not, each in its own datum and in the national one; and the ground below a level.
import { Page, byId, make } from "/static/worked.js";

const LAYER = "water-levels", HEIGHTS = "dem";
const WORDS = {
  zh: {
    title: "实时水位", subtitle: "每个测站的水位按其基面换算到 1985 国家高程基准；与高程比较，绘制低于水位的地面", areas: "水文测站与蓄滞洪区", levels: "实时水位", click: "点击一个测站，绘制低于其水位且与之连通的地面。", gauge: "测站", level: "水位（米）", national: "1985 基准", state: "状态",
    normal: "正常", warning: "超警戒", guaranteed: "超保证", unknown: "不明", below: "低于水位的地面", area: "面积", volume: "水量", deepest: "最大水深", accuracy: "换算精度", hectares: "{n} 公顷", cubic: "{n} 万立方米", plus: "±{n} 米", none: "无法换算",
    "sees-water": "水利厅看到自己的全部测站；高程按与测绘局的协议，25 米格网，南部两行图幅。", "sees-meteorology": "气象局按与水利厅的协议只看到河道站；没有高程的数值授权，不能绘制淹没范围。", "sees-civil": "水利厅没有与民政厅共享水位：查询被拒绝，与图层不存在时的回答相同。",
  },
  en: {
    title: "Water levels", subtitle: "Each level in its own datum and in the national one of 1985; held against the heights: the ground below it", areas: "Gauges and flood detention areas", levels: "Water levels", click: "Click a gauge for the ground below its level to which its water comes.", gauge: "gauge", level: "level (m)", national: "in 1985", state: "state",
    normal: "normal", warning: "above warning", guaranteed: "above guarantee", unknown: "not known", below: "Ground below the level", area: "area", volume: "volume", deepest: "deepest", accuracy: "of the datum", hectares: "{n} ha", cubic: "{n} thousand m3", plus: "+-{n} m", none: "no way",
    "sees-water": "The water department sees all its gauges; heights by its agreement with the bureau: a grid of 25 m, the two southern rows of sheets.", "sees-meteorology": "By its agreement with water the weather bureau sees gauges of rivers alone; it is granted no heights in numbers, so no flood is drawn for it.", "sees-civil": "Water shares no levels with civil affairs: questions are refused as if there were no such layer.",
  },
};
const COLOURS = { normal: "#2b8a3e", warning: "#e67700", guaranteed: "#c92a2a" };
const HALF = 5000, PIXELS = 640;

const states = new Map();
const gauge = (feature, resolution) => {
  const told = states.get(feature.getId()), colour = COLOURS[told?.level.state] || "#868e96", name = resolution < 45 ? `${feature.get("STNM") || ""} ${feature.get("Z")?.toFixed(2) ?? ""}` : "";
  return [
    new ol.style.Style({ image: new ol.style.RegularShape({ points: 3, radius: 11, rotation: Math.PI, fill: new ol.style.Fill({ color: colour }), stroke: new ol.style.Stroke({ color: "#fff", width: 2.5 }) }) }),
    new ol.style.Style({ text: new ol.style.Text({ text: name, offsetY: -19, font: "600 12px system-ui, sans-serif", fill: new ol.style.Fill({ color: colour }), stroke: new ol.style.Stroke({ color: "#fff", width: 3 }) }) }),
  ];
};
let flood = null, drawn = null, chosen = null, facts = [];

const page = new Page({ words: WORDS, agencies: ["water", "meteorology", "civil"], opened, spoken: (one) => one.agency && one.choose(one.agency), clicked });

function opened(one) {
  states.clear();
  facts = [];
  const areas = one.tiles("water-gauges", { opacity: 0.75, visible: false });
  if (areas) one.toggle(one.say("areas"), areas);
  flood = one.put(new ol.layer.Image({ opacity: 0.75, zIndex: 4 }));
  byId("answer").replaceChildren(make("p", {}, one.say("click")));
  if (!one.layer(LAYER)) { one.tell("nothing"); return; }
  one.shownLayers.push(one.layer(LAYER));
  drawn = one.things(gauge, 7);
  one.toggle(one.say("levels"), drawn);
  for (const [state, colour] of Object.entries(COLOURS)) {
    const dot = make("span", { className: "dot" });
    dot.style.background = colour;
    byId("switches").append(make("label", {}, dot, make("span", {}, one.say(state))));
  }
  one.follow(LAYER, drawn.getSource(), { every: 2, changed: list });
}

async function list() {
  const agency = page.agency, found = await page.ask(`/gauges/${LAYER}`, { datum: "1985" });
  if (!found || agency !== page.agency) return;
  for (const one of found.features) states.set(one.id, one);
  drawn.changed();
  show();
}

function show() {
  const rows = [...states.values()].sort((a, b) => (b.level.over_warning ?? -99) - (a.level.over_warning ?? -99)).map((one) => {
    const { STNM, STCD, Z } = one.properties, name = make("button", { type: "button" }, STNM || STCD), state = make("td", {}, page.say(one.level.state || "unknown"));
    name.addEventListener("click", () => water(one));
    state.style.color = COLOURS[one.level.state] || "";
    return make("tr", {}, make("td", {}, name), make("td", {}, Z?.toFixed(2) ?? ""), make("td", {}, one.level.height?.toFixed(2) ?? page.say("none")), state);
  });
  const head = make("tr", {}, ...["gauge", "level", "national", "state"].map((word) => make("th", {}, page.say(word))));
  byId("answer").replaceChildren(...(facts.length ? facts : [make("p", {}, page.say("click"))]), make("table", {}, make("tbody", {}, head, ...rows)));
}

async function water(one) {
  chosen = one.id;
  flood.setSource(null);
  facts = [];
  show();
  const [x, y] = ol.proj.fromLonLat(one.geometry.coordinates), extent = [x - HALF, y - HALF, x + HALF, y + HALF];
  const query = { gauge: one.properties.STCD, dem: HEIGHTS, crs: "EPSG:3857", bbox: extent.join(","), width: PIXELS, height: PIXELS };
  const address = await page.picture(`/gauges/${LAYER}/inundation`, query);
  if (!address || chosen !== one.id) return;
  flood.setSource(new ol.source.ImageStatic({ url: address, imageExtent: extent, projection: "EPSG:3857" }));
  page.map.getView().fit(extent, { padding: [20, 20, 20, 20], duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 300 });
  const told = await page.ask(`/gauges/${LAYER}/inundation`, { ...query, f: "json" });
  if (!told || chosen !== one.id) return;
  const rows = [
    ["area", page.say("hectares", { n: Math.round(told.area / 1e4) })], ["volume", page.say("cubic", { n: Math.round(told.volume / (page.language === "zh" ? 1e4 : 1e3)).toLocaleString("en") })],
    ["deepest", told.deepest === null ? "" : page.say("metres", { n: told.deepest.toFixed(2) })], ["national", page.say("metres", { n: told.height.toFixed(2) })], ["accuracy", told.accuracy === null ? null : page.say("plus", { n: told.accuracy })],
  ].filter(([, value]) => value !== null).map(([word, value]) => make("tr", {}, make("td", {}, page.say(word)), make("td", {}, value)));
  facts = [make("p", { className: "muted" }, page.say("below")), make("h3", {}, one.properties.STNM || one.properties.STCD), make("table", {}, make("tbody", {}, ...rows))];
  show();
}

function clicked(_, event) {
  const feature = event && page.map.forEachFeatureAtPixel(event.pixel, (one) => one, { hitTolerance: 6, layerFilter: (layer) => layer === drawn });
  const one = feature && states.get(feature.getId());
  if (one) water(one);
}
