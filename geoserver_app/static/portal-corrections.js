// Marking an error: pictures of the chosen layer, each asked of this server for the view at hand and decided there, and one shape drawn on them.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const canvas = document.querySelector("#canvas");
  if (!canvas) return;
  const form = canvas.closest("form"), layer = form.elements.layer, told = form.querySelector("[data-told]");
  const drawn = new ol.source.Vector({ wrapX: false });
  const format = new ol.format.GeoJSON({ dataProjection: "EPSG:4326", featureProjection: "EPSG:3857" });
  const look = [
    new ol.style.Style({ stroke: new ol.style.Stroke({ color: "#fff", width: 6 }), image: new ol.style.Circle({ radius: 11, stroke: new ol.style.Stroke({ color: "#fff", width: 6 }) }) }),
    new ol.style.Style({
      stroke: new ol.style.Stroke({ color: "#c8102e", width: 3 }), fill: new ol.style.Fill({ color: "rgba(200,16,46,.12)" }),
      image: new ol.style.Circle({ radius: 10, stroke: new ol.style.Stroke({ color: "#c8102e", width: 3 }), fill: new ol.style.Fill({ color: "rgba(200,16,46,.12)" }) }),
    }),
  ];
  const pictures = new ol.layer.Image();
  const map = new ol.Map({
    target: canvas, layers: [pictures, new ol.layer.Vector({ source: drawn, style: look })],
    controls: ol.control.defaults.defaults({ attribution: false, rotate: false }).extend([new ol.control.ScaleLine({ minWidth: 80 })]),
    view: new ol.View({ center: ol.proj.fromLonLat([118.88, 32.1]), zoom: 9, minZoom: 3, maxZoom: 20, enableRotation: false }),
  });

  function say() {
    const isDark = !layer.selectedOptions[0]?.hasAttribute("data-pictured");
    told.textContent = isDark ? told.dataset.dark : drawn.getFeatures().length || form.elements.point.value.trim() ? told.dataset.some : told.dataset.none;
  }

  function keep() {
    const [one] = drawn.getFeatures();
    form.elements.place.value = one ? format.writeGeometry(one.getGeometry(), { decimals: 8 }) : "";
    say();
  }

  function show(goes) {
    const chosen = layer.selectedOptions[0];
    if (!chosen) return;
    pictures.setSource(chosen.hasAttribute("data-pictured") ? new ol.source.ImageWMS({
      url: "/", params: { LAYERS: "map", VERSION: "1.3.0" }, ratio: 1, projection: "EPSG:3857", hidpi: false,
      imageLoadFunction: (image, address) => {
        const asked = new URL(address, location.href).searchParams;
        image.getImage().src = `/api/v1/corrections/canvas?${new URLSearchParams({ layer: chosen.value, bounds: asked.get("BBOX"), crs: "EPSG:3857", width: asked.get("WIDTH"), height: asked.get("HEIGHT") })}`;
      },
    }) : null);
    if (goes) map.getView().fit(ol.proj.transformExtent(chosen.dataset.extent.split(",").map(Number), "EPSG:4326", "EPSG:3857"), { padding: [20, 20, 20, 20], maxZoom: 17 });
    say();
  }

  let drawing = null;
  function draw(type) {
    if (drawing) map.removeInteraction(drawing);
    drawing = new ol.interaction.Draw({ source: drawn, type, stopClick: true });
    drawing.on("drawstart", () => drawn.clear());
    drawing.on("drawend", () => { form.elements.point.value = ""; setTimeout(keep, 0); });
    map.addInteraction(drawing);
    for (const button of form.querySelectorAll("[data-draw]")) button.setAttribute("aria-pressed", String(button.dataset.draw === type));
  }

  for (const button of form.querySelectorAll("[data-draw]")) button.addEventListener("click", () => draw(button.dataset.draw));
  form.querySelector("[data-clear]").addEventListener("click", () => { drawn.clear(); form.elements.point.value = ""; keep(); });
  form.elements.point.addEventListener("change", () => {
    const [lon, lat] = form.elements.point.value.split(/[,，\s]+/).map(Number);
    if (!Number.isFinite(lon) || !Number.isFinite(lat)) return;
    drawn.clear();
    drawn.addFeature(new ol.Feature(new ol.geom.Point(ol.proj.fromLonLat([lon, lat]))));
    map.getView().animate({ center: ol.proj.fromLonLat([lon, lat]), zoom: Math.max(map.getView().getZoom(), 15), duration: 0 });
    keep();
  });
  layer.addEventListener("change", () => show(true));
  let isBack = false;
  try {
    if (canvas.dataset.place) { drawn.addFeature(new ol.Feature(format.readGeometry(canvas.dataset.place))); isBack = true; }
  } catch { drawn.clear(); }
  show(!isBack);
  if (isBack) map.getView().fit(drawn.getExtent(), { padding: [60, 60, 60, 60], maxZoom: 16 });
  draw("Point");
  canvas.dataset.ready = "yes";
});
