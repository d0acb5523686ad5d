"""Popcount behind gates of explicit Xilinx primitives, below 0.9 six-input LUTs a bit.

The bits to add up are kept by weight: `terms[j]` holds the bits of weight 2^j. Three kinds of levels reduce them:

1. *Absorb*: one LUT6_2 adds two gates' outputs and one bit of weight 1: five inputs, sum and carry. Three of them in
   a row turn six (x, w) pairs into one bit of weight 1 and three of weight 2.
2. *Compress*: two LUTs and two bits of a carry chain turn seven bits of one weight into three. The carry out has four
   times their weight and goes on along the chain to six bits of that weight: the generalised parallel counters of
   Kumm and Zipf, "Efficient high speed compression trees on Xilinx FPGAs" (MBMV 2014). Where fewer than six bits are
   left a LUT6_2 is a full adder.
3. *Add*: at most three bits of a weight are left; one LUT6_2 and one bit of carry chain each add them up.

They are instances since abc9 would tear the same compressors apart if they were written as logic.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from amaranth.hdl import Cat, Const, Instance, Module, Signal, Value

from ...compiler.planes import Gate

__all__ = ["Compressor", "Terms", "absorb", "add_up", "compress", "plan", "table"]

Terms = dict[int, list[Value]]

ABSORB_CHAIN = 3  # LUTs in a row; 64 bits take 54 LUTs with 3, 56 with 2, 54 with 4, and each costs delay
FIRST_BITS = 7  # what a compressor takes of its lowest weight: six LUT inputs and the carry input
NEXT_BITS = 6  # ... and of each further weight along the carry chain
FEWEST_FIRST = 6  # below this a compressor removes no more bits a LUT than a full adder
FEWEST_NEXT = 5
FULL_ADDER_BITS = 3
ROWS = 3  # bits of one weight that the final addition takes
LOWEST_ROWS = 5  # ... of its lowest weight, where the carry input and one LUT input are free

ZERO, ONE = Const(0, 1), Const(1, 1)


@dataclass(frozen=True, slots=True)
class Compressor:
    """Takes taken[k] bits of weight 2^(weight + 2 k); (3,) is a full adder, anything else stands on a carry chain."""

    weight: int
    taken: tuple[int, ...]


def table(function: Callable[..., bool | int], inputs: int) -> int:
    """The INIT value of a look-up table: bit i is the function of i's bits, least significant first."""
    return sum(bool(function(*(i >> k & 1 for k in range(inputs)))) << i for i in range(1 << inputs))


def two_outputs(o6: int, o5: int) -> int:
    """The INIT value of a LUT6_2 with I5 = 1, from two five-input tables."""
    return o6 << 32 | o5


OUTPUTS: dict[Gate, Callable[[int, int], bool]] = {
    Gate.XNOR: lambda x, w: x == w,
    Gate.AND: lambda x, w: x == 1 and w == 1,
    Gate.ANDN: lambda x, w: x == 0 and w == 1,
}


@cache
def absorb_table(first: Gate, second: Gate) -> int:
    """x0, w0, x1, w1, s -> the sum of two gates' outputs and s."""
    one, other = OUTPUTS[first], OUTPUTS[second]
    return two_outputs(
        table(lambda x0, w0, x1, w1, s: one(x0, w0) ^ other(x1, w1) ^ s, 5),
        table(lambda x0, w0, x1, w1, s: one(x0, w0) + other(x1, w1) + s >= 2, 5),
    )


PARITY = table(lambda *bits: sum(bits) & 1, 6)
# Bits of weight 2 and 4 of a sum of five; never both.
HIGHER = two_outputs(table(lambda *bits: sum(bits) >> 1 & 1, 5), table(lambda *bits: sum(bits) >> 2, 5))
FULL_ADDER = two_outputs(table(lambda a, b, c, *_: (a + b + c) & 1, 5), table(lambda a, b, c, *_: a + b + c >= 2, 5))
# a, b, c and the majority of the bits below: the sum bit that meets the carry, and the majority handed on
TERNARY = two_outputs(
    table(lambda a, b, c, below, _: (a + b + c + below) & 1, 5), table(lambda a, b, c, *_: a + b + c >= 2, 5)
)


def absorb(m: Module, x: Value, w: Value, gates: Sequence[Gate]) -> Terms:
    """Bits of weights 1 and 2 whose sum is the number of ones that the gates of x and w yield."""
    width = len(x)
    luts = -(-width // 2)
    chains = -(-luts // ABSORB_CHAIN)
    terms: Terms = {0: [], 1: []}
    for chain in range(chains):
        below: Value = ZERO
        for lut in range(chain * luts // chains, (chain + 1) * luts // chains):
            first, second = 2 * lut, 2 * lut + 1
            # An odd width ends in a pair that differs.
            pair, gate = ((x[second], w[second]), gates[second]) if second < width else ((ZERO, ONE), Gate.XNOR)
            init = absorb_table(gates[first], gate)
            below, carry = _lut6_2(m, f"absorb_{lut}", init, [x[first], w[first], *pair, below])
            terms[1].append(carry)
        terms[0].append(below)
    return terms


def plan(heights: dict[int, int], top: int) -> list[list[Compressor]]:
    """Rounds of compressors after which the final addition can take what is left.

    heights: bits of each weight, changed to what is left; top: the highest weight that counts.
    """
    rounds = []
    while over := _too_high(heights):
        blocks = list(_carry_chains(heights, over, top)) or [Compressor(j, (FULL_ADDER_BITS,)) for j in over]
        for block in blocks:
            for k, taken in enumerate(block.taken):
                heights[block.weight + 2 * k] -= taken
            for weight in _outputs(block):
                heights[weight] = heights.get(weight, 0) + 1
        rounds.append(blocks)
    return rounds


def _too_high(heights: dict[int, int]) -> list[int]:
    several = sorted(j for j, height in heights.items() if height > 1)
    return [j for j in several if heights[j] > (LOWEST_ROWS if j == several[0] else ROWS)]


def _carry_chains(heights: dict[int, int], over: list[int], top: int) -> Iterable[Compressor]:
    """Compressors on carry chains for the weights that have too many bits; none if a full adder does as well."""
    left = dict(heights)
    for j in over:
        while left[j] >= FEWEST_FIRST:
            taken = [min(left[j], FIRST_BITS)]
            while j + 2 * len(taken) <= top and left.get(j + 2 * len(taken), 0) >= FEWEST_NEXT:
                taken.append(min(left[j + 2 * len(taken)], NEXT_BITS))
            for k, bits in enumerate(taken):
                left[j + 2 * k] -= bits
            yield Compressor(j, tuple(taken))


def _outputs(block: Compressor) -> range:
    """Weights of a compressor's output bits."""
    full_adder = block.taken == (FULL_ADDER_BITS,)
    return range(block.weight, block.weight + (2 if full_adder else 2 * len(block.taken) + 1))


def compress(m: Module, terms: Terms, blocks: Sequence[Compressor], prefix: str) -> Terms:
    """One round: the compressors' outputs, and the bits that none of them takes."""
    left = {j: list(bits) for j, bits in terms.items()}
    made: list[tuple[int, Value]] = []
    for number, block in enumerate(blocks):
        name = f"{prefix}_{number}"
        taken = [_pop(left[block.weight + 2 * k], count) for k, count in enumerate(block.taken)]
        if block.taken == (FULL_ADDER_BITS,):
            results: Sequence[Value] = _lut6_2(m, name, FULL_ADDER, taken[0])
        else:
            results = _counter(m, name, taken)
        made += zip(_outputs(block), results, strict=True)
    for j, bit in made:
        left.setdefault(j, []).append(bit)
    return left


def _counter(m: Module, name: str, taken: Sequence[Sequence[Value]]) -> list[Value]:
    """Counts of bits of weights 1, 4, 16 ... in one binary number.

    At the lower bit of each pair of carry chain positions the LUT yields the parity of five bits b and a sixth d, so
    that the chain adds parity(b), d and the carry. At the upper one count(b) >> 1 is 0, 1 or 2: 1 lets the carry
    propagate, 2 and 0 set the carry out (of four times the weight) to 1 and 0 and the carry in becomes the sum.
    """
    propagate: list[Value] = []
    generate: list[Value] = []
    carry_in: Value = ZERO
    for k, group in enumerate(taken):
        bits = list(group)
        if len(bits) > NEXT_BITS:
            carry_in = bits.pop()
        bits += [ZERO] * (NEXT_BITS - len(bits))
        parity = Signal(name=f"{name}_parity_{k}")
        m.submodules[f"{name}_low_{k}"] = Instance(
            "LUT6", p_INIT=Const(PARITY, 64), **{f"i_I{n}": bit for n, bit in enumerate(bits)}, o_O=parity
        )
        two, four = _lut6_2(m, f"{name}_high_{k}", HIGHER, bits[:-1])
        propagate += [parity, two]
        generate += [bits[-1], four]
    sums, carry = _carry_chain(m, name, propagate, generate, carry_in)
    return [*sums, carry]


def add_up(m: Module, terms: Terms, bits: int) -> Value:
    """The sum of all terms, modulo 2^bits: at most three bits of a weight, five of the lowest that has several."""
    several = [j for j in range(bits) if len(terms.get(j, ())) > 1]
    single = [terms[j][0] if terms.get(j) else ZERO for j in range(several[0] if several else bits)]
    if not several:
        return Cat(single)
    lowest = list(terms[several[0]])
    carry_in = lowest.pop() if len(lowest) > ROWS else ZERO
    below = lowest.pop() if len(lowest) > ROWS else ZERO
    propagate: list[Value] = []
    generate: list[Value] = []
    for j in range(several[0], bits):
        row = lowest if j == several[0] else terms.get(j, [])
        generate.append(below)
        if row:
            total, below = _lut6_2(m, f"add_{j}", TERNARY, [*row, *[ZERO] * (ROWS - len(row)), below])
            propagate.append(total)
        else:  # only a majority and a carry arrive here
            propagate.append(below)
            below = ZERO
    sums, _ = _carry_chain(m, "add", propagate, generate, carry_in)
    return Cat(single, sums)


def _pop(bits: list[Value], count: int) -> list[Value]:
    """The first `count` bits, removed: those that have waited longest."""
    taken, bits[:] = bits[:count], bits[count:]
    return taken


def _lut6_2(m: Module, name: str, init: int, inputs: Sequence[Value]) -> tuple[Value, Value]:
    """A LUT6_2 with up to five inputs: its outputs O6 and O5."""
    o6, o5 = Signal(name=f"{name}_o6"), Signal(name=f"{name}_o5")
    padded = [*inputs, *[ZERO] * (5 - len(inputs)), ONE]
    m.submodules[name] = Instance(
        "LUT6_2",
        p_INIT=Const(init, 64),
        **{f"i_I{n}": bit for n, bit in enumerate(padded)},
        o_O6=o6,
        o_O5=o5,
    )
    return o6, o5


def _carry_chain(
    m: Module, name: str, propagate: Sequence[Value], generate: Sequence[Value], carry_in: Value
) -> tuple[list[Value], Value]:
    """The sum bits of a carry chain and its carry out; CARRY4s, four bits each."""
    sums: list[Value] = []
    carry = carry_in
    for number, start in enumerate(range(0, len(propagate), 4)):
        size = min(4, len(propagate) - start)
        s, d, o, co = (Signal(4, name=f"{name}_{port}_{number}") for port in ("s", "di", "o", "co"))
        m.d.comb += [s.eq(Cat(propagate[start : start + 4])), d.eq(Cat(generate[start : start + 4]))]
        m.submodules[f"{name}_carry_{number}"] = Instance(
            "CARRY4",
            i_CI=ZERO if number == 0 else carry,  # the first carry comes from outside, the next ones along the chain
            i_CYINIT=carry if number == 0 else ZERO,
            i_S=s,
            i_DI=d,
            o_O=o,
            o_CO=co,
        )
        sums += [o[k] for k in range(size)]
        carry = co[size - 1]
    return sums, carry
