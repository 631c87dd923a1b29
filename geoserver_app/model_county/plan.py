"""What is drawn by hand: where the river runs, where hills rise, where the towns are. Kilometres from the south-west corner."""

from dataclasses import dataclass

SEED = 20110601

RIVER = ((-2.0, 9.3), (2.2, 9.9), (6.2, 9.2), (10.2, 8.7), (13.8, 9.8), (17.2, 11.2), (20.8, 10.9), (27.0, 12.6))
RIVER_WIDTHS = (0.86, 0.95, 0.80, 0.78, 1.30, 1.05, 0.85, 0.95)
ISLAND = ((13.0, 9.62), (13.6, 9.98), (14.5, 10.26), (15.0, 10.30), (14.6, 9.96), (13.8, 9.56), (13.2, 9.40))
LAKE = (6.5, 3.9, 1.55, 0.95)
"""Centre x, y and half axes of the lake."""

HILLS = (
    (18.6, 4.3, 4.1, 3.0, 1.0),
    (22.6, 5.6, 2.0, 2.0, 0.55),
    (15.4, 2.2, 2.0, 1.6, 0.5),
    (4.4, 13.2, 2.6, 1.3, 0.5),
    (15.6, 13.6, 2.2, 0.9, 0.32),
    (2.3, 1.5, 0.8, 0.7, 0.30),
)
"""Where the ground rises: centre x, y, radii, strength."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A town and the division it gives its name to. Codes 329901xxx are invented: no real division begins with 3299."""

    code: str
    name_zh: str
    name_en: str
    pinyin: str
    x: float
    y: float
    radius: float


COUNTY_CODE, COUNTY_ZH, COUNTY_EN = "329901", "样例县", "Sample County"

TOWNS = (
    Town(code="329901100", name_zh="城关镇", name_en="Chengguan", pinyin="Chéngguān Zhèn", x=10.7, y=6.0, radius=1.75),
    Town(code="329901101", name_zh="临江镇", name_en="Linjiang", pinyin="Línjiāng Zhèn", x=15.9, y=8.9, radius=0.55),
    Town(code="329901102", name_zh="镜湖镇", name_en="Jinghu", pinyin="Jìnghú Zhèn", x=4.6, y=6.2, radius=0.50),
    Town(code="329901103", name_zh="柳塘镇", name_en="Liutang", pinyin="Liǔtáng Zhèn", x=3.9, y=1.9, radius=0.42),
    Town(code="329901104", name_zh="石桥镇", name_en="Shiqiao", pinyin="Shíqiáo Zhèn", x=11.3, y=1.9, radius=0.45),
    Town(code="329901105", name_zh="云岭镇", name_en="Yunling", pinyin="Yúnlǐng Zhèn", x=21.9, y=2.3, radius=0.36),
    Town(code="329901106", name_zh="望山镇", name_en="Wangshan", pinyin="Wàngshān Zhèn", x=8.3, y=11.6, radius=0.46),
    Town(code="329901107", name_zh="东渡镇", name_en="Dongdu", pinyin="Dōngdù Zhèn", x=21.6, y=8.9, radius=0.50),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A through road, by the places it joins. Route numbers are invented."""

    number: str
    name_zh: str
    stops: tuple[tuple[float, float] | str, ...]


ROUTES = (
    Route(number="G397", name_zh="沿江国道", stops=((-0.6, 7.2), "镜湖镇", "城关镇", "临江镇", "东渡镇", (25.2, 9.0))),
    Route(number="S391", name_zh="望石线", stops=((8.9, 15.4), "望山镇", "城关镇", "石桥镇", (11.9, -0.6))),
    Route(number="S392", name_zh="城云线", stops=("城关镇", "云岭镇", (25.2, 1.3))),
    Route(number="X901", name_zh="环湖线", stops=("镜湖镇", "柳塘镇", "石桥镇")),
    Route(number="X902", name_zh="石云线", stops=("石桥镇", "云岭镇")),
    Route(number="X903", name_zh="云东线", stops=("云岭镇", "东渡镇")),
    Route(number="X904", name_zh="江北西线", stops=("望山镇", (-0.6, 11.6))),
    Route(number="X905", name_zh="江北东线", stops=("望山镇", (13.2, 12.0), (19.5, 13.4), (25.2, 14.3))),
    Route(number="X906", name_zh="柳西线", stops=("柳塘镇", (-0.6, 2.9))),
)

RAILWAY = ((-1.0, 8.1), (3.0, 7.75), (7.0, 7.9), (10.6, 8.0), (13.0, 7.6), (15.3, 7.9), (18.0, 8.2), (21.5, 7.9), (26.0, 7.4))
CANAL = ((9.3, 8.6), (8.6, 7.2), (8.3, 5.6), (7.7, 4.2))
POWER_LINE = ((-1.0, 4.9), (3.2, 5.0), (8.6, 2.9), (13.0, 3.6), (16.2, 6.3), (20.0, 7.2), (26.0, 6.4))
RESERVOIRS = (
    ("龙泉水库", "Lóngquán Shuǐkù", 16.4, 4.6, 20.0),
    ("云岭水库", "Yúnlǐng Shuǐkù", 20.7, 3.1, 24.0),
    ("望山水库", "Wàngshān Shuǐkù", 4.9, 12.6, 12.0),
)
"""Name, pinyin, a point near the dam, depth at the dam in metres."""
