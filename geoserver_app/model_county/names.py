"""Invented but plausible place names, each in Chinese, in Pinyin with tones, and in plain letters for English."""

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from geoserver_app.model_county import plan

FIRST = {
    "青": "qīng",
    "云": "yún",
    "柳": "liǔ",
    "石": "shí",
    "白": "bái",
    "龙": "lóng",
    "凤": "fèng",
    "梅": "méi",
    "竹": "zhú",
    "松": "sōng",
    "桃": "táo",
    "荷": "hé",
    "兰": "lán",
    "金": "jīn",
    "玉": "yù",
    "清": "qīng",
    "永": "yǒng",
    "新": "xīn",
    "东": "dōng",
    "西": "xī",
    "南": "nán",
    "北": "běi",
    "上": "shàng",
    "下": "xià",
    "红": "hóng",
    "杏": "xìng",
    "双": "shuāng",
    "长": "cháng",
    "安": "ān",
    "和": "hé",
    "福": "fú",
    "荻": "dí",
    "苇": "wěi",
    "枫": "fēng",
}
SECOND = {
    "溪": "xī",
    "桥": "qiáo",
    "湾": "wān",
    "塘": "táng",
    "坡": "pō",
    "林": "lín",
    "泉": "quán",
    "沟": "gōu",
    "田": "tián",
    "井": "jǐng",
    "岗": "gǎng",
    "渡": "dù",
    "圩": "wéi",
    "墩": "dūn",
    "浦": "pǔ",
    "滩": "tān",
    "坝": "bà",
    "巷": "xiàng",
}
LAST = {"村": "cūn", "庄": "zhuāng", "": ""}
HILLS = {"山": "shān", "岭": "lǐng", "峰": "fēng"}
STREETS = (
    ("人民路", "Rénmín Lù"),
    ("样例大道", "Yànglì Dàdào"),
    ("测绘路", "Cèhuì Lù"),
    ("青澜路", "Qīnglán Lù"),
    ("镜湖路", "Jìnghú Lù"),
    ("云岭路", "Yúnlǐng Lù"),
    ("学府路", "Xuéfǔ Lù"),
    ("文昌街", "Wénchāng Jiē"),
    ("通济街", "Tōngjì Jiē"),
    ("柳巷", "Liǔ Xiàng"),
    ("梅园路", "Méiyuán Lù"),
    ("滨江路", "Bīnjiāng Lù"),
    ("荷塘街", "Hétáng Jiē"),
    ("竹山路", "Zhúshān Lù"),
    ("石城街", "Shíchéng Jiē"),
    ("东门街", "Dōngmén Jiē"),
    ("西门街", "Xīmén Jiē"),
    ("南湖路", "Nánhú Lù"),
    ("金桥路", "Jīnqiáo Lù"),
    ("永安街", "Yǒng'ān Jiē"),
    ("枫林路", "Fēnglín Lù"),
    ("新河路", "Xīnhé Lù"),
    ("双塔路", "Shuāngtǎ Lù"),
    ("长堤路", "Chángdī Lù"),
)


class Name(NamedTuple):
    zh: str
    pinyin: str

    @property
    def en(self) -> str:
        return plain(self.pinyin)


def plain(pinyin: str) -> str:
    """Pinyin without its tones.

    >>> plain("Liǔtáng Zhèn")
    'Liutang Zhen'
    """
    return "".join(c for c in unicodedata.normalize("NFD", pinyin) if not unicodedata.combining(c))


def village_names() -> Iterator[Name]:
    """Names of villages, none twice."""
    yield from _shuffled(FIRST, SECOND, LAST, 71)


def hill_names() -> Iterator[Name]:
    yield from _shuffled(FIRST, HILLS, {"": ""}, 72)


def stream_names() -> Iterator[Name]:
    yield from _shuffled(FIRST, {"溪": "xī", "河": "hé", "港": "gǎng"}, {"": ""}, 73)


def _shuffled(first: dict, second: dict, last: dict, seed: int) -> Iterator[Name]:
    combinations = [(a, b, c) for a in first for b in second for c in last if a != b]
    for i in np.random.default_rng((plan.SEED, seed)).permutation(len(combinations)):
        a, b, c = combinations[i]
        stem = first[a] + second[b]
        yield Name(a + b + c, f"{stem.capitalize()} {last[c].capitalize()}".strip())
