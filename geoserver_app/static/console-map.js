// Maps of the console: outlines and areas over a plain ground. What is shown comes from this server alone.
"use strict";

const COLOURS = { extent: ["rgba(90,107,115,.0)", "#7d8b8d"], piece: ["rgba(15,92,99,.22)", "#0f5c63"], outline: ["rgba(255,255,255,.65)", "#7d9196"], chosen: ["rgba(15,92,99,.32)", "#0f5c63"], area: ["rgba(201,138,11,.22)", "#8a5a00"], place: ["rgba(141,31,45,.14)", "#8d1f2d"] };

/** A style for a kind of shape, with a name in the middle where it has one. */
function paint(kind, name = "") {
  const [fill, line] = COLOURS[kind];
  return new ol.style.Style({
    fill: new ol.style.Fill({ color: fill }),
    stroke: new ol.style.Stroke({ color: line, width: kind === "outline" ? 1 : 1.8, lineDash: kind === "extent" ? [5, 4] : undefined }),
    image: new ol.style.Circle({ radius: 6, fill: new ol.style.Fill({ color: "#8d1f2d" }), stroke: new ol.style.Stroke({ color: "#fff", width: 2 }) }),
    text: name ? new ol.style.Text({ text: name, font: "12px system-ui, sans-serif", overflow: false, fill: new ol.style.Fill({ color: "#1c2b33" }), stroke: new ol.style.Stroke({ color: "#fff", width: 3 }) }) : undefined,
  });
}

function readFeatures(geojson) {
  return new ol.format.GeoJSON({ dataProjection: "EPSG:4326", featureProjection: "EPSG:3857" }).readFeatures(geojson);
}

/** A map in `target` with vector layers of these names, lowest first; each has its source under its name. */
function makeMap(target, ...names) {
  const sources = Object.fromEntries(names.map((name) => [name, new ol.source.Vector({ wrapX: false })]));
  const layers = names.map((name) => new ol.layer.Vector({ source: sources[name], style: (feature) => paint(feature.get("kind") || name, feature.get("name") || feature.get("clause") || ""), declutter: true }));
  const map = new ol.Map({
    target,
    layers: [new ol.layer.Graticule({ strokeStyle: new ol.style.Stroke({ color: "rgba(60,90,95,.14)", width: 1 }), showLabels: false, wrapX: false }), ...layers],
    controls: ol.control.defaults.defaults({ attribution: false, rotate: false }).extend([new ol.control.ScaleLine({ minWidth: 80 })]),
    interactions: ol.interaction.defaults.defaults({ altShiftDragRotate: false, pinchRotate: false, mouseWheelZoom: false }).extend([new ol.interaction.MouseWheelZoom({ condition: ol.events.condition.focus })]),
    view: new ol.View({ center: ol.proj.fromLonLat([118.88, 32.1]), zoom: 9, minZoom: 3, maxZoom: 19, enableRotation: false }),
  });
  return { map, sources };
}

/** Show all that the sources hold. */
function fit(map, ...sources) {
  const extent = sources.filter((one) => one.getFeatures().length).reduce((all, one) => ol.extent.extend(all, one.getExtent()), ol.extent.createEmpty());
  if (!ol.extent.isEmpty(extent)) map.getView().fit(extent, { padding: [22, 22, 22, 22], maxZoom: 16 });
}

document.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll(".map[data-shapes]")) {
    const { map, sources } = makeMap(element, "piece");
    sources.piece.addFeatures(readFeatures(element.dataset.shapes));
    fit(map, sources.piece);
  }
});
