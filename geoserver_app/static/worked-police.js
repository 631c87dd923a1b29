// Police: districts of stations, incidents, cars that move; which station a place belongs to, and the cars nearest to it.
import { Page, byId, make } from "/static/worked.js";

const WORDS = {
  zh: {
    title: "警务一张图", subtitle: "派出所辖区、警情与巡逻车：点击地图，查询所属派出所与最近警力", districts: "派出所与辖区", incidents: "一周警情", grid: "警情千米格网", cars: "巡逻车", click: "点击地图上的一处（或按回车查询图中心）。",
    station: "所属派出所", none: "不在任何可见辖区内", border: "位于辖区界线上", nearest: "最近的巡逻车", nobody: "{within} 内没有可见的空闲巡逻车", unit: "车组", status: "状态", away: "距离",
    free: "空闲", busy: "出警", rescue: "协助救援",
    "sees-police": "公安厅看到自己的全部图层。", "sees-fire": "消防总队按与公安厅的协议，只看到格网统计、辖区，以及江南正在协助救援的车辆。", "sees-civil": "公安厅没有与民政厅共享这些图层：查询被拒绝，与图层不存在时的回答相同。",
  },
  en: {
    title: "Police", subtitle: "Districts, incidents and patrol cars: click the map for its station and the nearest units", districts: "Stations and districts", incidents: "Incidents of a week", grid: "Incidents by the square kilometre", cars: "Patrol cars", click: "Click a place on the map, or press Enter for its middle.",
    station: "Station", none: "in no district that may be seen", border: "on the border of districts", nearest: "Nearest patrol cars", nobody: "no free car to be seen within {within}", unit: "unit", status: "status", away: "away",
    free: "free", busy: "on a call", rescue: "helping a rescue",
    "sees-police": "The police sees all that is its own.", "sees-fire": "By its agreement with the police the fire brigade sees the grid, the districts, and those cars south of the river that are helping in a rescue.", "sees-civil": "The police shares none of this with civil affairs: questions are refused as if there were no such layers.",
  },
};
const COLOURS = { free: "#2b8a3e", busy: "#e67700", rescue: "#c92a2a" };
const WITHIN = 20000;

const NAMED_AT = 25;                                        // metres a pixel

const car = (feature, resolution) => {
  const colour = COLOURS[feature.get("STATUS")] || "#495057";
  return [
    new ol.style.Style({ image: new ol.style.Circle({ radius: 8, fill: new ol.style.Fill({ color: colour }), stroke: new ol.style.Stroke({ color: "#fff", width: 2.5 }) }) }),
    resolution > NAMED_AT ? new ol.style.Style() : new ol.style.Style({ text: new ol.style.Text({ text: feature.get("UNIT") || "", offsetY: -17, font: "600 11px system-ui, sans-serif", fill: new ol.style.Fill({ color: colour }), stroke: new ol.style.Stroke({ color: "#fff", width: 3 }) }) }),
  ];
};
const asked = (feature) => new ol.style.Style({
  image: new ol.style.Circle({ radius: 7, fill: new ol.style.Fill({ color: "#d3362d" }), stroke: new ol.style.Stroke({ color: "#fff", width: 3 }) }),
  stroke: new ol.style.Stroke(feature.get("isDistrict") ? { color: "#1c4f9c", width: 3 } : { color: "#d3362d", width: 2, lineDash: [6, 6] }),
  fill: new ol.style.Fill({ color: "rgba(28, 79, 156, .10)" }),
});

let marks = null, last = null, counts = {};

const page = new Page({ words: WORDS, agencies: ["police", "fire", "civil"], opened, spoken: (one) => one.agency && one.choose(one.agency), clicked });

function opened(one) {
  const layers = [["police-districts", "districts", true], ["police-incident-grid", "grid", one.agency.id === "fire"], ["police-incidents", "incidents", false]];
  for (const [name, word, visible] of layers) {
    const drawn = one.tiles(name, { visible });
    if (drawn) one.toggle(one.say(word), drawn, { legend: name === "police-districts" ? null : name });
  }
  marks = one.things(asked, 6);
  if (one.layer("police-cars")) {
    one.shownLayers.push(one.layer("police-cars"));
    const drawn = one.things(car, 7);
    one.toggle(one.say("cars"), drawn);
    for (const status of Object.keys(COLOURS)) {
      counts[status] = make("small", {}, "");
      const dot = make("span", { className: "dot" });
      dot.style.background = COLOURS[status];
      byId("switches").append(make("label", {}, dot, make("span", {}, one.say(status)), counts[status]));
    }
    one.follow("police-cars", drawn.getSource(), { changed: count });
  } else if (!one.layer("police-districts")) one.tell("nothing");
  byId("answer").replaceChildren(make("p", {}, one.say("click")));
  if (last) clicked(last);
}

function count(source) {
  for (const status of Object.keys(COLOURS)) counts[status].textContent = source.getFeatures().filter((one) => one.get("STATUS") === status).length;
}

async function clicked(place) {
  last = place;
  const [lon, lat] = place.map((one) => one.toFixed(7)), source = marks.getSource(), here = new ol.geom.Point(ol.proj.fromLonLat(place)), agency = page.agency;
  source.clear();
  source.addFeature(new ol.Feature(here));
  const [districts, cars] = await Promise.all([
    page.ask("/features/collections/police-districts.DISTRICT/containing", { lon, lat }),
    page.ask("/features/collections/police-cars.CARS/nearest", { lon, lat, count: 5, within: WITHIN, ...(agency.id === "police" ? { filter: "STATUS = 'free'" } : {}) }),
  ]);
  if (agency !== page.agency || last !== place || !districts || !cars) return;
  const format = new ol.format.GeoJSON({ featureProjection: "EPSG:3857" });
  for (const one of format.readFeatures(districts)) { one.set("isDistrict", true); source.addFeature(one); }
  for (const one of cars.features) source.addFeature(new ol.Feature(new ol.geom.LineString([here.getCoordinates(), ol.proj.fromLonLat(one.nearest)])));
  byId("answer").replaceChildren(...told(districts.features, cars.features));
}

function told(districts, cars) {
  const name = (one) => (page.language === "en" ? one.properties.NAME_EN : one.properties.NAME) || one.properties.NAME;
  const rows = cars.map((one) => make("tr", {}, make("td", {}, one.properties.UNIT), make("td", {}, page.say(one.properties.STATUS)), make("td", {}, page.distance(one.distance))));
  const head = make("tr", {}, ...["unit", "status", "away"].map((word) => make("th", {}, page.say(word))));
  return [
    make("p", { className: "muted" }, page.say("station")), make("h3", {}, districts.map(name).join(" / ") || page.say("none")),
    districts.some((one) => one.border) ? make("p", { className: "muted" }, page.say("border")) : "",
    make("p", { className: "muted" }, page.say("nearest")),
    cars.length ? make("table", {}, make("tbody", {}, head, ...rows)) : make("p", {}, page.say("nobody", { within: page.distance(WITHIN) })),
  ].filter(Boolean);
}
