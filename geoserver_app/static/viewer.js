// The first page: who asks, what they may see, and a map of it. Everything shown comes from /api/v1/layers with the visitor's key.
"use strict";

const WORDS = {
  zh: {
    title: "基础地理信息共享平台", subtitle: "按共建共享协议提供影像、高程与线划图", synthetic: "样例数据 · SYNTHETIC", skip: "跳到地图", panel: "图层", console: "协议管理",
    who: "以哪个部门的身份查看？", ownKey: "使用自己的密钥", keyLabel: "密钥（由共享服务处发放）", open: "打开", layers: "可用图层", style: "样式", opacity: "不透明度", legend: "图例",
    qgis: "在 QGIS 中使用", foot: "每一幅图都按协议的范围、比例尺与要素逐像素裁切；每次访问都有记录。",
    whole: "回到授权范围", compare: "左右对比：线划图与其下的影像", close: "关闭", copy: "复制", copied: "已复制", loading: "正在读取…",
    refused: "密钥未被接受：请核对后重试，或向共享服务处申请新的密钥。", unreachable: "服务暂时没有应答，请稍后再试。", none: "该密钥目前没有任何可用图层。",
    zoomIn: "放大后显示（协议限定比例尺）", zoomOut: "缩小后显示（协议限定比例尺）", enlarged: "已到最细一级，画面为放大显示", map: "地图", colour: "颜色（红 绿 蓝）", edition: "版本", scaleFrom: "比例尺", finest: "最大", coarsest: "最小", any: "不限",
    wms: "图层 ▸ 添加图层 ▸ 添加 WMS/WMTS 图层 ▸ 新建，粘贴到“URL”。", wmts: "同一窗口新建连接，粘贴后在“切片集”页选择。", xyz: "浏览器面板 ▸ XYZ Tiles ▸ 新建连接，粘贴到“URL”。",
    nothing: "此处没有可告知的内容。", height: "高程（米）", lang: "English", scale: "比例尺", gk: "高斯-克吕格 CM120", credit: "来源：", infoRefused: "此处不可查询",
  },
  en: {
    title: "Geospatial sharing", subtitle: "Orthophotos, elevation and line maps under sharing agreements", synthetic: "SYNTHETIC · 样例数据", skip: "Skip to the map", panel: "Layers", console: "Console",
    who: "See it as which department?", ownKey: "Use your own key", keyLabel: "Key (issued by the sharing service)", open: "Open", layers: "Your layers", style: "Style", opacity: "Opacity", legend: "Legend",
    qgis: "Use it in QGIS", foot: "Every picture is cut to the agreement, pixel by pixel: area, scale and attributes. Every access is recorded.",
    whole: "Back to the granted area", compare: "Compare: slide the line map aside", close: "Close", copy: "Copy", copied: "Copied", loading: "Reading…",
    refused: "The key was not accepted: check it and try again, or ask the sharing service for a new one.", unreachable: "The service does not answer right now: try again in a moment.", none: "This key has no layers at present.",
    zoomIn: "shown when you zoom in (scale limit of the agreement)", zoomOut: "shown when you zoom out (scale limit of the agreement)", enlarged: "beyond the finest level: enlarged", map: "Map", colour: "Colour (red green blue)", edition: "edition", scaleFrom: "scale", finest: "finest", coarsest: "coarsest", any: "any",
    wms: "Layer ▸ Add Layer ▸ Add WMS/WMTS Layer ▸ New, paste into “URL”.", wmts: "New connection in the same window; then choose on the “Tilesets” page.", xyz: "Browser panel ▸ XYZ Tiles ▸ New Connection, paste into “URL”.",
    nothing: "Nothing to tell of this place.", height: "Height (m)", lang: "中文", scale: "Scale", gk: "Gauss-Krüger CM120", credit: "Source: ", infoRefused: "not to be asked here",
  },
};
const FIELDS = {
  NAME: "名称", NAME_EN: "英文名", PINYIN: "拼音", TYPE: "类型", CLASS: "类别", GB: "分类代码", RN: "路线编号", RTEG: "技术等级", LANE: "车道数", WIDTH: "宽度（米）", MATRL: "路面",
  PAC: "行政区划代码", GNID: "地名代码", HYDC: "水系代码", PERIOD: "水期", ELEV: "高程（米）", STCD: "测站编码", STNM: "测站名称", RVNM: "河流名称", STTP: "站类", DTMNM: "基面名称",
  WRZ: "警戒水位（米）", GRZ: "保证水位（米）", CAPACITY: "容量", VOLTAGE: "电压", NOTE: "备注",
};
const DRAWN_FROM_BELOW = ["DEM", "DOM", "DLG", "OVERLAY"];
const TILES = "WebMercatorQuad";
const PIXEL = 0.00028;                                   // metres, OGC

const byId = (id) => document.getElementById(id);
const isDemo = document.body.dataset.demo === "yes";
const asked = new URLSearchParams(location.hash.slice(1));

const state = { language: asked.get("lang") || remembered("language") || "zh", agencies: [], agency: null, key: null, entries: [], agencyName: null, message: null, extent: null, question: 0 };

proj4.defs("EPSG:4549", "+proj=tmerc +lat_0=0 +lon_0=120 +k=1 +x_0=500000 +y_0=0 +ellps=GRS80 +units=m +no_defs");

const graticule = new ol.layer.Graticule({ strokeStyle: new ol.style.Stroke({ color: "rgba(60,90,95,.16)", width: 1 }), showLabels: false, wrapX: false });
const clicked = new ol.Overlay({ element: Object.assign(document.createElement("div"), { className: "clicked" }), positioning: "center-center", stopEvent: false });
const map = new ol.Map({
  overlays: [clicked],
  target: "map",
  layers: [graticule],
  controls: ol.control.defaults.defaults({ attribution: false, rotate: false }).extend([new ol.control.ScaleLine({ minWidth: 90 })]),
  interactions: ol.interaction.defaults.defaults({ onFocusOnly: false, altShiftDragRotate: false, pinchRotate: false }),      // the page itself never scrolls
  view: new ol.View({ center: ol.proj.fromLonLat([118.875, 32.104]), zoom: 11, minZoom: 4, maxZoom: 20, enableRotation: false, constrainResolution: true }),
});

start();

function start() {
  byId("language").addEventListener("click", () => speak(state.language === "zh" ? "en" : "zh"));
  byId("key-form").addEventListener("submit", (event) => { event.preventDefault(); state.agency = null; showAgencies(); openWith(byId("key").value.trim()); });
  byId("home").addEventListener("click", showWhole);
  byId("compare").addEventListener("click", toggleCompare);
  byId("swipe").addEventListener("input", () => { showEdge(); map.render(); });
  byId("popup-close").addEventListener("click", closePopup);
  byId("panel-switch").addEventListener("click", () => openPanel(!byId("panel").classList.contains("is-open")));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") closePopup(); });
  map.on("singleclick", (event) => ask(event.coordinate));
  map.on("pointermove", (event) => tellPlace(event.coordinate));
  map.on("moveend", tellScale);
  byId("map").addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target === byId("map")) ask(map.getView().getCenter()); });
  speak(state.language);
  if (isDemo) listAgencies();
}

// -- words

function say(name) { return WORDS[state.language][name]; }

function speak(language) {
  state.language = language in WORDS ? language : "zh";
  remember("language", state.language);
  document.documentElement.lang = state.language === "zh" ? "zh-CN" : "en";
  document.title = `${say("title")}${isDemo ? ` · ${say("synthetic")}` : ""}`;
  for (const part of document.querySelectorAll("[data-say]")) part.textContent = say(part.dataset.say);
  for (const part of document.querySelectorAll("[data-title]")) { part.title = say(part.dataset.title); part.setAttribute("aria-label", part.title); }
  byId("language").textContent = say("lang");
  byId("language").lang = state.language === "zh" ? "en" : "zh-CN";
  byId("panel").setAttribute("aria-label", say("panel"));
  byId("swipe").setAttribute("aria-label", say("compare"));
  byId("popup").setAttribute("aria-label", say("title"));
  showAgencies();
  showLayers();
  showAddresses();
  showMessage(state.message);
  showCredit();
  closePopup();
  openPanel(byId("panel").classList.contains("is-open"));
  byId("grid-place").textContent = "";
  tellScale();
}

function inLanguage(texts) { return typeof texts === "string" ? texts : texts?.[state.language] || texts?.zh || texts?.en || ""; }

function remembered(name) { try { return localStorage.getItem(`geoshare.${name}`); } catch { return null; } }
function remember(name, value) { try { localStorage.setItem(`geoshare.${name}`, value); } catch { /* a browser that keeps nothing still shows maps */ } }

// -- who asks

async function listAgencies() {
  try {
    const answer = await fetch("/api/v1/demo");
    if (!answer.ok) throw new Error(answer.status);
    state.agencies = (await answer.json()).agencies;
  } catch {
    showMessage("unreachable");
    return;
  }
  const wanted = state.agencies.find((one) => one.id === asked.get("agency")) || state.agencies.find((one) => one.id === "water") || state.agencies[0];
  showAgencies();
  if (wanted && !state.key) choose(wanted);
}

function showAgencies() {
  const list = byId("agencies");
  if (!list) return;
  list.replaceChildren(...state.agencies.map((one) => {
    const [name, aside] = state.language === "zh" ? [one.name_zh, one.name_en] : [one.name_en, one.name_zh];
    const chosen = state.agency === one.id;
    const button = make("button", { type: "button", className: "agency" }, make("b", {}, short(name)), make("small", {}, short(aside)));
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", String(chosen));
    button.tabIndex = chosen || (!state.agency && one === state.agencies[0]) ? 0 : -1;
    button.dataset.agency = one.id;
    button.addEventListener("click", () => choose(one));
    button.addEventListener("keydown", stepAgency);
    return button;
  }));
}

function short(name) { return name.replace(/[（(].*?[）)]/g, "").trim(); }

function stepAgency(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = state.agencies.findIndex((one) => one.id === event.currentTarget.dataset.agency);
  const next = state.agencies[(at + step + state.agencies.length) % state.agencies.length];
  choose(next);
  byId("agencies").querySelector(`[data-agency="${CSS.escape(next.id)}"]`).focus();
}

function choose(agency) {
  state.agency = agency.id;
  showAgencies();
  openWith(agency.key);
}

async function openWith(key) {
  const question = ++state.question;
  closePopup();
  let answer, content;
  try {
    answer = await fetch(`/api/v1/layers?${new URLSearchParams({ key })}`, { headers: { "Accept-Language": state.language }, credentials: "omit" });
    content = await answer.json();
  } catch {
    content = null;
  }
  if (question !== state.question) return;
  state.entries.forEach((entry) => map.removeLayer(entry.drawn));
  state.entries = [];
  state.key = key;
  if (!answer || !content || !answer.ok) {
    refuse(answer && [401, 403].includes(answer.status) ? "refused" : "unreachable");
    return;
  }
  state.agencyName = content.agency;
  state.addresses = content.addresses;
  state.entries = content.layers.filter((layer) => layer.addresses.tiles?.[TILES])
    .sort((a, b) => DRAWN_FROM_BELOW.indexOf(a.product) - DRAWN_FROM_BELOW.indexOf(b.product)).map(entryOf);
  const hasPhoto = state.entries.some((entry) => entry.layer.product === "DOM");
  for (const entry of state.entries) {
    if (hasPhoto && entry.layer.product === "DLG") entry.drawn.setOpacity(0.8);       // the photo shows through
    map.addLayer(entry.drawn);
  }
  state.extent = state.entries.length ? state.entries.map((entry) => entry.extent).reduce((a, b) => ol.extent.extend(a.slice(), b)) : null;
  showLayers();
  showAddresses();
  showCredit();
  showMessage(content.layers.length ? null : "none");
  showWhole();
}

function refuse(message) {
  state.agencyName = null;
  state.addresses = null;
  showLayers();
  showAddresses();
  showCredit();
  showMessage(message);
}

function showMessage(name) {
  state.message = name;
  byId("message").hidden = !name;
  byId("message").textContent = name ? say(name) : "";
}

// -- layers

function entryOf(layer) {
  const set = layer.tile_matrix_sets.find((one) => one.id === TILES);
  const extent = ol.proj.transformExtent(layer.bounds, "EPSG:4326", "EPSG:3857");
  const style = (layer.styles.find((one) => one.name === "shaded-relief") || layer.styles.find((one) => one.default) || layer.styles[0])?.name || null;
  const reach = ["DLG", "OVERLAY"].includes(layer.product) ? ol.extent.buffer(extent, 800) : extent;      // symbols are wider than what they stand for
  const entry = { layer, extent, style, minZoom: set.min_zoom, maxZoom: set.max_zoom };
  // Half a level of grace: a view between two levels asks for the nearest, which must be one that the agreement covers.
  entry.drawn = new ol.layer.Tile({ extent: reach, source: sourceOf(entry), minZoom: Math.max(0, set.min_zoom - 0.5), preload: 0 });
  entry.drawn.on("prerender", (event) => swipeBefore(entry, event));
  entry.drawn.on("postrender", (event) => swipeAfter(entry, event));
  return entry;
}

function sourceOf(entry) {
  return new ol.source.XYZ({ url: withQuery(here(entry.layer.addresses.tiles[TILES]), { style: entry.style }), minZoom: entry.minZoom, maxZoom: entry.maxZoom, transition: 150 });
}

/** An address of the service as seen from this page, which may have been opened by another name of the same host; braces are kept. */
function here(address) { return address.replace(/^https?:\/\/[^/]+/, ""); }

/** `address` with more query parameters; braces of a template are kept. */
function withQuery(address, more) {
  const query = new URLSearchParams(Object.entries(more).filter(([, value]) => value !== null && value !== undefined));
  return query.size ? address + (address.includes("?") ? (/[?&]$/.test(address) ? "" : "&") : "?") + query : address;
}

function showLayers() {
  byId("layers-part").hidden = !state.entries.length;
  byId("layers-of").textContent = state.agencyName ? `· ${inLanguage({ zh: state.agencyName.name_zh, en: state.agencyName.name_en })}` : "";
  byId("layers").replaceChildren(...[...state.entries].reverse().map(rowOf));
  tellScale();
}

function rowOf(entry) {
  const { layer, drawn } = entry;
  const id = `layer-${layer.name.replace(/[^a-z0-9]/gi, "-")}`;
  const shown = make("input", { type: "checkbox", id, checked: drawn.getVisible() });
  shown.addEventListener("change", () => { drawn.setVisible(shown.checked); showCredit(); map.render(); });
  const title = make("label", { htmlFor: id }, inLanguage(layer.title), make("small", {}, `${layer.product} · ${say("edition")} ${layer.edition} · ${windowOf(layer.scale)}`));
  const opacity = make("input", { type: "range", min: 0, max: 100, value: Math.round(drawn.getOpacity() * 100), id: `${id}-opacity` });
  opacity.addEventListener("input", () => drawn.setOpacity(opacity.value / 100));
  const tools = make("div", { className: "layer-tools" }, make("label", { htmlFor: opacity.id }, say("opacity")), opacity);
  const drawable = layer.styles.filter((one) => one.name !== "water-level");             // that one needs a level and a datum beside its name
  if (drawable.length > 1) {
    const choice = make("select", { id: `${id}-style` }, ...drawable.map((one) => make("option", { value: one.name, selected: one.name === entry.style }, inLanguage(one.title) || one.name)));
    choice.addEventListener("change", () => { entry.style = choice.value; drawn.setSource(sourceOf(entry)); showLayers(); byId(choice.id).focus(); });
    tools.append(make("label", { htmlFor: choice.id }, say("style")), choice);
  }
  entry.hint = make("p", { className: "hint", hidden: true });
  return make("li", { className: "layer" }, make("div", { className: "layer-head" }, shown, title), entry.hint, tools, legendOf(entry));
}

function legendOf(entry) {
  const address = entry.layer.addresses.legend?.[entry.style];
  if (!address || entry.layer.product === "DOM") return "";               // a photo explains itself
  const part = make("details", { open: Boolean(entry.legendOpen) }, make("summary", {}, say("legend")));
  const fill = () => {
    if (part.open && !part.querySelector("img")) part.append(make("img", { className: "legend", alt: `${say("legend")}: ${inLanguage(entry.layer.title)}`, src: withQuery(here(address), { lang: state.language }) }));
  };
  part.addEventListener("toggle", () => { entry.legendOpen = part.open; fill(); });
  fill();
  return part;
}

function windowOf(scale) {
  const side = (value, otherwise) => (value ? `1:${Math.round(value).toLocaleString("en")}` : otherwise);
  if (!scale?.min_denominator && !scale?.max_denominator) return `${say("scaleFrom")} ${say("any")}`;
  return [scale.min_denominator && `${say("finest")} ${side(scale.min_denominator)}`, scale.max_denominator && `${say("coarsest")} ${side(scale.max_denominator)}`].filter(Boolean).join(" · ");
}

function showCredit() {
  const lines = [...new Set(state.entries.filter((entry) => entry.drawn.getVisible()).map((entry) => inLanguage(entry.layer.credit)).filter(Boolean))];
  byId("credit").textContent = lines.length ? say("credit") + lines.join("; ") : "";
  byId("credit").title = byId("credit").textContent;
}

function showWhole() {
  if (!state.extent) return;
  const view = map.getView(), [width, height] = map.getSize(), margin = 48;
  const exact = view.getZoomForResolution(view.getResolutionForExtent(state.extent, [width - margin, height - margin]));
  const duration = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 250;
  view.animate({ center: ol.extent.getCenter(state.extent), zoom: Math.floor(exact + 0.15), duration });        // a whole level: words of tiles stay sharp
}

// -- comparing: what is drawn over the topmost picture is cut at the slider; where nothing is, that picture

function isSwiped(entry) {
  if (byId("swipe").hidden) return false;
  const shown = state.entries.filter((one) => one.drawn.getVisible());
  const picture = shown.findLastIndex((one) => ["DOM", "DEM"].includes(one.layer.product));
  return shown.slice(picture + 1 < shown.length ? picture + 1 : picture).includes(entry);
}

/** The slider's knob stays within its ends by half its width, so where it stands is not quite its value. */
function edgeOf(width) {
  const knob = 16;
  return knob / 2 + ((width - knob) * byId("swipe").value) / 100;
}

function showEdge() {
  byId("edge").hidden = byId("swipe").hidden;
  byId("edge").style.left = `${edgeOf(map.getSize()[0])}px`;
}

function swipeBefore(entry, event) {
  if (!isSwiped(entry)) return;
  const context = event.context, [width, height] = map.getSize(), edge = edgeOf(width);
  const corners = [[0, 0], [edge, 0], [edge, height], [0, height]].map((pixel) => ol.render.getRenderPixel(event, pixel));
  context.save();
  context.beginPath();
  corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.clip();
  entry.isCut = true;
}

function swipeAfter(entry, event) {
  if (entry.isCut) event.context.restore();
  entry.isCut = false;
}

function toggleCompare() {
  const on = byId("swipe").hidden;
  byId("swipe").hidden = !on;
  byId("compare").setAttribute("aria-pressed", String(on));
  showEdge();
  map.render();
}

// -- addresses for QGIS

function showAddresses() {
  byId("qgis").hidden = !state.addresses;
  if (!state.addresses) return;
  const tiles = addressLine("XYZ", "", "xyz");
  const choice = make("select", { id: "xyz-layer", title: "XYZ" }, ...[...state.entries].reverse().map((entry) => make("option", { value: entry.layer.name }, inLanguage(entry.layer.title))));
  choice.setAttribute("aria-label", `XYZ: ${say("layers")}`);
  const fill = () => {
    const entry = state.entries.find((one) => one.layer.name === choice.value);
    if (entry) tiles.querySelector("input").value = withQuery(entry.layer.addresses.tiles[TILES], { style: entry.layer.styles.length > 1 ? entry.style : null });
  };
  choice.addEventListener("change", fill);
  tiles.querySelector("p").after(choice);
  fill();
  byId("addresses").replaceChildren(addressLine("WMS", state.addresses.wms, "wms"), addressLine("WMTS", state.addresses.wmts, "wmts"), ...(state.entries.length ? [tiles] : []));
}

function addressLine(kind, address, how) {
  const box = make("input", { readOnly: true, value: address, className: "mono", id: `address-${how}` });
  box.setAttribute("aria-label", kind);
  box.addEventListener("focus", () => box.select());
  const button = make("button", { type: "button", className: "copy" }, say("copy"));
  button.setAttribute("aria-label", `${say("copy")} ${kind}`);
  button.addEventListener("click", () => copy(box, button));
  return make("li", {}, make("b", {}, kind), make("p", {}, say(how)), make("div", { className: "address" }, box, button));
}

async function copy(box, button) {
  try {
    await navigator.clipboard.writeText(box.value);
  } catch {
    box.select();
    document.execCommand("copy");                     // a page that is not served over https has no clipboard of its own
  }
  button.textContent = say("copied");
  setTimeout(() => { button.textContent = say("copy"); }, 1600);
}

// -- asking about a place

async function ask(coordinate) {
  const question = ++state.question;
  const entries = [...state.entries].reverse().filter((entry) => entry.drawn.getVisible() && entry.layer.operations.includes("GetFeatureInfo") && entry.minZoom <= map.getView().getZoom() + 0.5);
  showPopup(make("p", {}, say("loading")));
  clicked.setPosition(coordinate);
  const resolution = Math.max(map.getView().getResolution(), state.entries.length ? 0.3 : 1), half = 50.5 * resolution;
  const place = { BBOX: [coordinate[0] - half, coordinate[1] - half, coordinate[0] + half, coordinate[1] + half].join(","), WIDTH: 101, HEIGHT: 101, I: 50, J: 50 };
  const told = await Promise.all(entries.map((entry) => infoOf(entry, place)));
  if (question !== state.question) return;
  const parts = told.flat();
  showPopup(...(parts.length ? parts : [make("p", {}, say("nothing"))]), make("p", { className: "muted mono" }, degrees(ol.proj.toLonLat(coordinate))));
}

async function infoOf(entry, place) {
  const query = { SERVICE: "WMS", VERSION: "1.3.0", REQUEST: "GetFeatureInfo", LAYERS: entry.layer.name, QUERY_LAYERS: entry.layer.name, STYLES: entry.style || "", CRS: "EPSG:3857", FORMAT: "image/png", INFO_FORMAT: "application/json", FEATURE_COUNT: 5, ...place };
  try {
    const answer = await fetch(withQuery(here(entry.layer.addresses.wms), query), { headers: { "Accept-Language": state.language }, credentials: "omit" });
    if (!answer.ok) return [];
    return (await answer.json()).features.map((feature) => factsOf(entry, feature)).filter(Boolean);
  } catch {
    return [];
  }
}

function factsOf(entry, feature) {
  const { red, green, blue, ...others } = feature.properties || {};
  const rows = Object.entries(others).filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => factRow(fieldName(name), typeof value === "number" ? String(Math.round(value * 100) / 100) : String(value)));
  if ([red, green, blue].every(Number.isFinite)) {
    const swatch = make("span", { className: "swatch" });
    swatch.style.background = `rgb(${red}, ${green}, ${blue})`;
    rows.push(factRow(say("colour"), swatch, `${red} ${green} ${blue}`));
  }
  if (!rows.length) return null;                        // a shape of which the agreement tells nothing
  const title = inLanguage(entry.layer.classes?.[feature.feature_class]) || feature.feature_class || inLanguage(entry.layer.title);
  return make("div", {}, make("h3", {}, title), make("table", {}, make("tbody", {}, ...rows)));
}

function factRow(name, ...value) {
  return make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, ...value));
}

function fieldName(name) {
  if (name === "height") return say(name);
  return (state.language === "zh" && Object.hasOwn(FIELDS, name) && FIELDS[name]) || name;
}

function showPopup(...content) {
  byId("popup-content").replaceChildren(...content);
  byId("popup").hidden = false;
}

function closePopup() {
  byId("popup").hidden = true;
  clicked.setPosition(undefined);
}

function openPanel(open) {
  byId("panel").classList.toggle("is-open", open);
  byId("panel-switch").setAttribute("aria-expanded", String(open));
  byId("panel-switch").textContent = say(open ? "map" : "panel");
}

// -- where, and how large

function tellPlace(coordinate) {
  const lonLat = ol.proj.toLonLat(coordinate);
  byId("place").textContent = degrees(lonLat);
  const [east, north] = Math.abs(lonLat[0] - 120) < 4 && lonLat[1] > 0 && lonLat[1] < 60 ? proj4("EPSG:4549", lonLat) : [];
  byId("grid-place").textContent = east ? `${say("gk")} E ${east.toFixed(1)} N ${north.toFixed(1)}` : "";
}

/** WGS 84 and CGCS2000 agree within a metre: one pair of numbers stands for both. */
function degrees([lon, lat]) {
  return `WGS84/CGCS2000 ${Math.abs(lon).toFixed(5)}°${lon < 0 ? "W" : "E"} ${Math.abs(lat).toFixed(5)}°${lat < 0 ? "S" : "N"}`;
}

function tellScale() {
  const view = map.getView(), zoom = view.getZoom();
  const [, latitude] = ol.proj.toLonLat(view.getCenter());
  const denominator = (view.getResolution() * Math.cos((latitude * Math.PI) / 180)) / PIXEL;
  byId("scale").textContent = `${say("scale")} 1:${Number(denominator.toPrecision(3)).toLocaleString("en")} · z${zoom.toFixed(1)}`;
  for (const entry of state.entries) {
    if (!entry.hint) continue;
    const words = zoom < entry.minZoom - 0.5 ? "zoomIn" : zoom > entry.maxZoom + 0.5 ? "enlarged" : "";
    entry.hint.hidden = !words;
    entry.hint.textContent = words ? say(words) : "";
  }
}

/** An element with properties and children; texts become text nodes, never markup. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== "" && child !== null));
  return element;
}
