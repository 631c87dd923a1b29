"""A map service elsewhere, as far as tests need one: it says what it was asked, and misbehaves where it is told to."""

import io
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from PIL import Image

CAPABILITIES = """<?xml version="1.0"?>
<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms"><Capability><Request><GetMap><Format>image/png</Format></GetMap></Request>
<Layer><CRS>EPSG:3857</CRS><CRS>EPSG:4326</CRS><EX_GeographicBoundingBox><westBoundLongitude>118</westBoundLongitude><eastBoundLongitude>119</eastBoundLongitude>
<southBoundLatitude>31</southBoundLatitude><northBoundLatitude>33</northBoundLatitude></EX_GeographicBoundingBox>
<Layer><Name>rain</Name><Title>Rain radar</Title></Layer><Layer><Name>secret</Name></Layer></Layer></Capability></WMS_Capabilities>"""

WFS = """<?xml version="1.0"?>
<WFS_Capabilities version="2.0.0" xmlns="http://www.opengis.net/wfs/2.0" xmlns:ows="http://www.opengis.net/ows/1.1"><ows:OperationsMetadata>
<ows:Operation name="GetFeature"><ows:Parameter name="outputFormat"><ows:AllowedValues><ows:Value>application/json</ows:Value></ows:AllowedValues></ows:Parameter>
</ows:Operation></ows:OperationsMetadata><FeatureTypeList><FeatureType><Name>w:gauges</Name></FeatureType></FeatureTypeList></WFS_Capabilities>"""

BOMB = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>' \
       '<WMS_Capabilities version="1.3.0"><Layer><Name>&c;&b;</Name></Layer></WMS_Capabilities>'


class Remote:
    def __init__(self):
        self.asked: list[tuple[str, dict]] = []
        self.mood = ""
        self.features = 3

    @property
    def last(self) -> dict:
        return dict(parse_qsl(urlsplit(self.asked[-1][0]).query))

    def body(self, query: dict) -> tuple[str, bytes]:
        match query.get("SERVICE", "WMS").upper(), query.get("REQUEST", query.get("request", "")):
            case "WMS", "GetCapabilities":
                return "text/xml", (BOMB if self.mood == "bomb" else CAPABILITIES).encode()
            case "WFS", "GetCapabilities":
                return "text/xml", WFS.encode()
            case "WFS", "GetFeature":
                start, count = int(query["STARTINDEX"]), int(query["COUNT"])
                numbers = range(start, min(start + count, self.features))
                return "application/json", json.dumps({"type": "FeatureCollection", "features": [
                    {"type": "Feature", "properties": {"n": n, "name": f"站{n}"}, "geometry": {"type": "Point", "coordinates": [118.7 + n / 1e5, 32.0]}} for n in numbers
                ]}).encode()
        width, height = int(query["width"]), int(query["height"])
        if self.mood == "huge picture":
            width = height = 9_000
        out = io.BytesIO()
        Image.new("RGBA", (width, height), (200, 30, 30, 255)).save(out, "PNG", compress_level=1)
        return "image/png", out.getvalue()


@contextmanager
def serving():
    remote = Remote()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            remote.asked.append((self.path, dict(self.headers)))
            if remote.mood == "redirect":
                self.send_response(302)
                self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
                self.end_headers()
                return
            media_type, body = remote.body(dict(parse_qsl(urlsplit(self.path).query)))
            if remote.mood == "not a picture":
                media_type, body = "text/html", b"<script>alert(1)</script>"
            self.send_response(500 if remote.mood == "broken" else 200)
            self.send_header("Content-Type", media_type)
            if remote.mood != "endless":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if remote.mood == "slow":
                time.sleep(2)
            try:
                for _ in range(2_000 if remote.mood == "endless" else 1):
                    self.wfile.write(body if remote.mood != "endless" else bytes(64 << 10))
            except OSError:
                pass

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    remote.port = server.server_port
    try:
        yield remote
    finally:
        server.shutdown()
        server.server_close()
