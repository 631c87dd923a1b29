// A saved map: pictures of it, each asked of this server for the view at hand and decided there.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll(".map[data-map]")) {
    const place = JSON.parse(element.dataset.place || "{}");
    const source = new ol.source.ImageWMS({
      url: "/", params: { LAYERS: "map", VERSION: "1.3.0" }, ratio: 1, projection: "EPSG:3857", hidpi: false,
      imageLoadFunction: (image, address) => {
        const asked = new URL(address, location.href).searchParams;
        image.getImage().src = `/api/v1/maps/${element.dataset.map}/picture?${new URLSearchParams({ bounds: asked.get("BBOX"), crs: "EPSG:3857", width: asked.get("WIDTH"), height: asked.get("HEIGHT") })}`;
      },
    });
    new ol.Map({
      target: element, layers: [new ol.layer.Image({ source })],
      controls: ol.control.defaults.defaults({ attribution: false, rotate: false }).extend([new ol.control.ScaleLine({ minWidth: 80 })]),
      view: new ol.View({ center: ol.proj.fromLonLat([place.lon ?? 118.88, place.lat ?? 32.1]), zoom: place.zoom ?? 10, minZoom: 3, maxZoom: 19, enableRotation: false }),
    });
  }
});
