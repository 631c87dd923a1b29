"""The names by which features are known outside: opaque, and for ever the same.

A name hides the key under which a feature is stored: from keys one could read how many features there are elsewhere, and which were taken in
together. It is the key and the part, enciphered as one block by AES under a secret of this instance for each layer and table: a permutation, so no two
features share a name, and whoever has not the secret can neither tell the order of two names nor make one up. What is no name of ours, with odds
of 2^32 to one, deciphers to no feature.
"""

import hmac
import re
import struct
import threading
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ID = re.compile(r"[0-9a-f]{32}")
BLOCK = struct.Struct(">qII")               # key, part, and what must be 0
CIPHERS_KEPT = 1024


class FeatureIds:
    """Names of features.

    Parameters
    ----------
    secret : bytes
        Of this instance, or shared by all hosts that serve the same layers.
    """

    def __init__(self, secret: bytes):
        self._secret = hmac.digest(secret, b"names of features", sha256)
        self._ciphers: OrderedDict[tuple[str, str], Cipher] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, layer: str, table: str, keys: Sequence[int] | np.ndarray, parts: Sequence[int] | np.ndarray) -> list[str]:
        """One name a feature, for every agency: made of its key, so it is the same wherever its key is.

        >>> ids = FeatureIds(b"secret")
        >>> one, other = ids.of("dlg", "HYDL", [7, 8], [0, 0])
        >>> ids.key_of("dlg", "HYDL", one), ids.key_of("dlg", "LRDL", one), ids.key_of("dlg", "HYDL", "7")
        ((7, 0), None, None)
        """
        text = self._enciphered(layer, table, keys, parts).hex()
        return [text[start : start + 32] for start in range(0, len(text), 32)]

    def numbers(self, layer: str, table: str, keys: Sequence[int] | np.ndarray) -> np.ndarray:
        """What features are called where a name must be a number that JavaScript keeps: the first 53 bits of the name of the whole feature, (n,) uint64.

        >>> ids = FeatureIds(b"secret")
        >>> int(ids.numbers("dlg", "HYDL", [7])[0]) == int(ids.of("dlg", "HYDL", [7], [0])[0], 16) >> 75
        True
        """
        blocks = np.frombuffer(self._enciphered(layer, table, keys, 0), dtype=">u8").reshape(-1, 2)
        return blocks[:, 0].astype(np.uint64) >> np.uint64(11)

    def _enciphered(self, layer: str, table: str, keys: Sequence[int] | np.ndarray, parts: Sequence[int] | np.ndarray | int) -> bytes:
        blocks = np.zeros(len(keys), np.dtype([("key", ">i8"), ("part", ">u4"), ("zero", ">u4")]))
        blocks["key"], blocks["part"] = keys, parts
        return self._cipher(layer, table).encryptor().update(blocks.tobytes())

    def key_of(self, layer: str, table: str, text: str) -> tuple[int, int] | None:
        """Key and part of the feature that is called so; None where no feature can be."""
        if not ID.fullmatch(text):
            return None
        key, part, zero = BLOCK.unpack(self._cipher(layer, table).decryptor().update(bytes.fromhex(text)))
        return (key, part) if zero == 0 else None

    def _cipher(self, layer: str, table: str) -> Cipher:
        with self._lock:
            cipher = self._ciphers.get((layer, table))
            if cipher is None:
                key = hmac.digest(self._secret, f"{layer}\0{table}".encode(), sha256)
                # one block a name: names are to be equal where features are, which is what is feared of this mode elsewhere
                cipher = self._ciphers[layer, table] = Cipher(algorithms.AES256(key), modes.ECB())
                while len(self._ciphers) > CIPHERS_KEPT:
                    self._ciphers.popitem(last=False)
            return cipher
