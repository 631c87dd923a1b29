"""Merkle trees as certificate transparency has them: RFC 9162 (and 6962), section 2.1, with SHA-256."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

LEAF, NODE = b"\x00", b"\x01"
"""Before what is hashed: no leaf can be taken for a node."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(NODE + left + right).digest()


class Tree:
    """The root of any number of leaves, taken one by one: only the roots of whole subtrees are kept."""

    __slots__ = ("size", "_roots")

    def __init__(self, leaves: Iterable[bytes] = ()):
        self.size = 0
        self._roots: list[bytes] = []
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf: bytes) -> None:
        """`leaf` is a `leaf_hash`."""
        self.size += 1
        roots, left_over = self._roots, self.size
        while not left_over & 1:
            leaf = sha256(NODE + roots.pop() + leaf).digest()
            left_over >>= 1
        roots.append(leaf)

    def root(self) -> bytes:
        """
        >>> Tree().root().hex()[:16]                                       # RFC 9162: the hash of nothing
        'e3b0c44298fc1c14'
        >>> leaves = [leaf_hash(bytes([n])) for n in range(3)]
        >>> Tree(leaves).root() == node_hash(node_hash(leaves[0], leaves[1]), leaves[2])
        True
        """
        if not self._roots:
            return sha256().digest()
        *others, right = self._roots
        for left in reversed(others):
            right = node_hash(left, right)
        return right


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """What it takes beside leaf `index` to work out the root (RFC 9162, 2.1.3.1)."""
    if len(leaves) <= 1:
        return []
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    if index < split:
        return [*inclusion_path(leaves[:split], index), Tree(leaves[split:]).root()]
    return [*inclusion_path(leaves[split:], index - split), Tree(leaves[:split]).root()]


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root of the tree of `size` leaves in which `leaf` has that place, by its inclusion path (RFC 9162, 2.1.3.2); None where the path
    doesn't lead there.

    >>> leaves = [leaf_hash(bytes([n])) for n in range(7)]
    >>> all(root_from_path(leaves[n], n, 7, inclusion_path(leaves, n)) == Tree(leaves).root() for n in range(7))
    True
    """
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for other in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = node_hash(other, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, other)
        place, last = place >> 1, last >> 1
    return found if last == 0 else None
