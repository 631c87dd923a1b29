"""Stakes as they are written beside a road: `K123+456.7` counts metres along a route, and at a broken chain one post reads two of them."""

import re
from dataclasses import dataclass

from layers.errors import StakeRefused
from layers.geodesy import Place

STAKE = re.compile(r"K([0-9]{1,4})(?:[+ ]([0-9]{1,3}(?:\.[0-9]{1,3})?))?(?:/([1-9]))?")
FULL_WIDTH = str.maketrans("Ｋｋk＋．＝／０１２３４５６７８９　", "KKK+.=/0123456789 ")


@dataclass(frozen=True, slots=True)
class Stake:
    """`metres` as the stakes count; `which` (from 1) of several places that are called so, None where it does not say."""

    metres: float
    which: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Stake":
        """`K123+456.7`, `k123+456`, `K123`, full-width too; a blank stands for a `+` that an address has lost. Raises StakeRefused.

        >>> Stake.parse("K123+456.7"), Stake.parse("k7 5").metres, str(Stake.parse("Ｋ45＋020/2"))
        (Stake(metres=123456.7, which=None), 7005.0, 'K45+020/2')
        """
        found = STAKE.fullmatch(text.strip().translate(FULL_WIDTH))
        if found is None:
            raise StakeRefused("stake-spelling", value=text)
        kilometres, metres, which = found.groups()
        return cls(1000.0 * int(kilometres) + float(metres or 0), int(which) if which else None)

    def __str__(self) -> str:
        return written(self.metres) + (f"/{self.which}" if self.which else "")


def written(metres: float) -> str:
    """A stake as it is written, to the millimetre.

    >>> written(123456.7), written(45000), written(999.9999)
    ('K123+456.7', 'K45+000', 'K1+000')
    """
    whole = round(metres * 1000)
    kilometres, rest = divmod(whole, 1_000_000)
    metres, millimetres = divmod(rest, 1000)
    return f"K{kilometres}+{metres:03d}" + (f".{millimetres:03d}".rstrip("0") if millimetres else "")


@dataclass(frozen=True, slots=True)
class Post:
    """A post beside the road, CRS84: what it reads on the side one comes from, and on the other; they differ at a broken chain alone."""

    place: Place
    back: float
    ahead: float


def reading(text: str) -> tuple[float, float]:
    """What a post says: before and behind it. Raises StakeRefused.

    >>> reading("K45+300=K45+520"), reading("K7")
    ((45300.0, 45520.0), (7000.0, 7000.0))
    """
    back, _, ahead = text.translate(FULL_WIDTH).partition("=")
    first = Stake.parse(back).metres
    return first, Stake.parse(ahead).metres if ahead else first
