"""Count the instructions that a kernel executes on a GPU, without one: an interpreter of its machine code.

``Machine`` takes a cubin as NVRTC makes it, disassembled by ``nvdisasm`` (NVIDIA's, which comes with Triton), and
executes blocks of threads, warp by warp and 32 lanes at a time in NumPy: registers, predicates, shared and global
memory, divergence and reconvergence (BSSY, BSYNC), barriers. So a count is the number of warp instructions issued for
true inputs, each loop and branch as often as it is taken, and the memory that comes out is checked as that of any
other build. An instruction with a false predicate is issued, and counted, too; a branch that only some lanes take
counts both ways, each with its part of the lanes.

What it doesn't see: time. Instructions are issued at one a cycle at best, by each of the four schedulers of a
multiprocessor; conversions, special functions and memory have pipes that take fewer (``Machine.cycles``), and what
waits for memory is hidden by other warps or not. Special functions are exact here, on a GPU they are not quite.
"""

import re
import shutil
import struct
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

LANES = 32
EVERY = 2**LANES - 1
PARAMETERS, SHARED_BASE = 0x210, 0x400
"""Where arguments and shared memory begin on sm_90."""
REGISTERS = 65536
"""Registers of a multiprocessor; a warp takes them by 256."""
SHARED = 227 * 1024
"""Bytes of shared memory of a multiprocessor that blocks can have; 1,024 of each are the system's."""
MOST_WARPS = 64

U4, I4, F4, U8, I8, F8 = np.uint32, np.int32, np.float32, np.uint64, np.int64, np.float64


class UnknownInstructionError(Exception):
    """This interpreter doesn't know it: another version of the compiler made the code."""


def tool(name):
    """Path of NVIDIA's tool, on the path or from Triton's package; None where there is none."""
    found, spec = shutil.which(name), find_spec("triton")
    if found or spec is None or not spec.origin:
        return found
    path = Path(spec.origin).parent / "backends/nvidia/bin" / name
    return str(path) if path.exists() else None


def _tool(name, *arguments):
    return subprocess.run([tool(name), *arguments], capture_output=True, text=True, check=True).stdout


class Resources(NamedTuple):
    """What a block's threads and the block itself take."""

    registers: int
    shared: int
    spilled: int

    def occupancy(self, threads):
        """Share of the warps of a multiprocessor (sm_90) that blocks of that many threads can fill."""
        warps = -(-threads // LANES)
        by_registers = REGISTERS // (-(-self.registers * LANES // 256) * 256) // warps
        return min(by_registers, SHARED // (self.shared + 1024), MOST_WARPS // warps) * warps / MOST_WARPS


def resources(cubin: Path):
    """The resources of the one kernel in a cubin."""
    text = _tool("cuobjdump", "--dump-resource-usage", str(cubin))
    return Resources(*(int(re.search(rf"\b{name}:(\d+)", text)[1]) for name in ("REG", "SHARED", "LOCAL")))


def _sections(cubin):
    """Names and contents of an ELF file."""
    (offset,) = struct.unpack_from("<Q", cubin, 0x28)
    size, count, names = struct.unpack_from("<3H", cubin, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", cubin, offset + size * i) for i in range(count)]
    text = cubin[headers[names][4] :]
    return {text[h[0] : text.index(0, h[0])].decode(): cubin[h[4] : h[4] + h[5]] for h in headers}


class Memory:
    """Global memory: arrays at addresses, one far from the other; loads of words that hold no byte of them raise."""

    def __init__(self):
        self._arrays = []

    def put(self, array, offset=0):
        """Address of an array's bytes, ``offset`` beyond a whole 4,096."""
        flat = array.reshape(-1).view(np.uint8)
        assert np.shares_memory(flat, array)
        room = np.zeros(len(flat) + 64, np.uint8)
        room[32:-32] = flat
        self._arrays.append((len(self._arrays) + 1 << 32, offset, room, array))
        return self._arrays[-1][0] + offset

    def get(self, array):
        """The array as it is by now."""
        room = next(room for _, _, room, kept in self._arrays if kept is array)
        return room[32:-32].view(array.dtype).reshape(array.shape)

    def reach(self, addresses, width, whole):
        """The bytes of one array, and places in it, for aligned words of ``width`` bytes: all in it, or a part."""
        start, offset, room, _ = self._arrays[int(addresses[0] >> U8(32)) - 1]
        at = addresses.astype(I8) - start - offset
        length, beyond = len(room) - 64, 0 if whole else width - 1
        assert (addresses % U8(width) == 0).all(), "words at addresses that aren't whole"
        assert ((at >= -beyond) & (at + width <= length + beyond)).all(), "words that hold no byte of the array"
        return room, at + 32


class Instruction(NamedTuple):
    guard: tuple[str, int, bool] | None  # P or UP, number, negated
    name: str
    modifiers: tuple[str, ...]
    operands: tuple[str, ...]
    text: str


LINE = re.compile(r"\s+/\*([0-9a-f]{4,})\*/\s+(?:@(!?)(U?P)(\d) )?\s*([A-Z0-9_.]+)\s*(.*?)\s*(?:\(\*\".*)?;?\s*$")


@cache
def _disassemble(cubin: Path):
    """Instructions by number (their address / 16), and labels."""
    instructions, labels = [], {}
    for line in _tool("nvdisasm", "-c", str(cubin)).splitlines():
        if label := re.match(r"([.$]?[\w$.]+):", line):
            labels[label[1]] = len(instructions)
        elif found := LINE.match(line):
            address, no, kind, number, opcode, rest = found.groups()
            assert int(address, 16) == 16 * len(instructions)
            name, *modifiers = opcode.split(".")
            guard = (kind, int(number), bool(no)) if kind else None
            operands = tuple(part.strip().replace(".reuse", "") for part in rest.split(",")) if rest else ()
            instructions.append(Instruction(guard, name, tuple(modifiers), operands, line.strip()))
    return instructions, labels


class Warp:
    """Registers, predicates and groups of lanes that run together."""

    def __init__(self, lanes, identifiers):
        self.r, self.u = np.zeros((257, LANES), U4), np.zeros((65, 1), U4)
        self.p, self.up = np.zeros((9, LANES), bool), np.zeros((9, 1), bool)
        self.p[7] = self.up[7] = True
        self.local = np.zeros((260, LANES), U4)
        self.identifiers = identifiers
        self.groups = [(0, lanes)]
        self.alive = lanes
        self.barriers = {}  # number and lane: the lanes that meet there
        self.met = Counter()  # number and those lanes: which are there


def lanes_of(bits):
    return (bits >> np.arange(LANES) & 1).astype(bool)


def bits_of(lanes):
    return int(np.packbits(lanes, bitorder="little").view(U4)[0])


# Operands


def _number(text, is_float):
    text = text.strip()
    if not is_float:
        return int(text, 0) & EVERY
    special = {"+INF": np.inf, "-INF": -np.inf, "+QNAN": np.nan, "-QNAN": np.nan}
    value = special[text] if text in special else float(text)
    return int(np.array(value, F4).view(U4))


def operand(text, is_float, banks):
    """A function of a warp: the operand's 32 bits for each lane, or for all of them at once."""
    found = re.fullmatch(r"([-~]?)(\|?)(U?R)(Z|\d+)((?:\.\w+)*)\|?((?:\.\w+)*)", text)
    constant = re.fullmatch(r"([-~]?)(\|?)c\[(0x\w+)\]\[(?:R(\d+)\+)?(0x\w+)\]\|?", text)
    if found:
        sign, is_absolute, kind, number = found[1], found[2], found[3], found[4]
        n = {"R": 255, "UR": 63}[kind] if number == "Z" else int(number)
        read = (lambda w: w.r[n]) if kind == "R" else (lambda w: w.u[n])
        part = (found[5] + found[6]).strip(".")
        if part.startswith("B"):
            shift, inner = U4(8 * int(part[1])), read
            read = lambda w: inner(w) >> shift & U4(255)  # noqa: E731
        elif part:
            raise UnknownInstructionError(text)
    elif constant:
        sign, is_absolute, bank, at = constant[1], constant[2], banks[int(constant[3], 16)], int(constant[5], 16)
        if constant[4]:
            register = int(constant[4])
            read = lambda w: bank(w.r[register] + U4(at))  # noqa: E731
        else:
            fixed = bank(np.array([at], U4))
            read = lambda w: fixed  # noqa: E731
    elif re.match(r"[-+]?(\d|INF|QNAN)", text):
        value = np.array([_number(text, is_float)], U4)
        return lambda w: value
    else:
        raise UnknownInstructionError(text)
    if is_float:
        if is_absolute:
            absolute = read
            read = lambda w: absolute(w) & U4(0x7FFFFFFF)  # noqa: E731
        if sign == "-":
            return lambda w: read(w) ^ U4(0x80000000)
    elif sign == "-":
        return lambda w: -read(w)
    elif sign == "~":
        return lambda w: ~read(w)
    return read


def predicate(text):
    found = re.fullmatch(r"(!?)(U?P)(T|\d)", text)
    if not found:
        raise UnknownInstructionError(text)
    n, no = 7 if found[3] == "T" else int(found[3]), bool(found[1])
    if found[2] == "P":
        return (lambda w: ~w.p[n]) if no else (lambda w: w.p[n])
    return (lambda w: ~w.up[n]) if no else (lambda w: w.up[n])


def _register(text):
    """Its file (as an attribute of a warp) and number."""
    found = re.fullmatch(r"(U?)(R|P)(Z|T|\d+)", text)
    if not found:
        raise UnknownInstructionError(text)
    file = {"R": "r", "UR": "u", "P": "p", "UP": "up"}[found[1] + found[2]]
    spare = {"r": 256, "u": 64, "p": 8, "up": 8}[file]
    return file, spare if found[3] in "ZT" else int(found[3])


# What instructions do: functions of their operands' bits


def f(bits):
    return bits.view(F4)


def b(value):
    return np.asarray(value, F4).view(U4)


def s(bits):
    return bits.view(I4)


def fma(x, y, z):
    return b(f(x).astype(F8) * f(y) + f(z))


def pick(smallest, x, y):
    return np.where(smallest, np.minimum(x, y), np.maximum(x, y))


def to_int(x):
    return np.clip(x.astype(F8), -(2**31), 2**31 - 1).astype(I4).view(U4)


def permute(low, selector, high):
    both = np.stack(np.broadcast_arrays(low, high), 1).view(np.uint8)  # of each lane eight bytes
    which = (selector[:, None] >> np.arange(0, 16, 4, dtype=U4) & U4(7)).astype(I8)
    return np.ascontiguousarray(np.take_along_axis(both, which, 1) if len(which) > 1 else both[:, which[0]]).view(U4)[
        :, 0
    ]


def logic(table, x, y, z):
    result = U4(0)
    for case in range(8):
        if table >> case & 1:
            result = result | (x if case & 4 else ~x) & (y if case & 2 else ~y) & (z if case & 1 else ~z)
    return result


def halves(low, high, kind):
    if kind == "F16":
        bits = [np.asarray(f(x).astype(np.float16)).view(np.uint16).astype(U4) for x in (low, high)]
    else:
        bits = [(x + U4(0x7FFF) + (x >> U4(16) & U4(1))) >> U4(16) for x in (low, high)]
    return bits[0] | bits[1] << U4(16)


COMPARE: dict[str, Callable] = {
    "LT": np.less,
    "LE": np.less_equal,
    "GT": np.greater,
    "GE": np.greater_equal,
    "EQ": np.equal,
    "NE": np.not_equal,
}

PIPES = {
    "conversions and special functions": (8, ("F2I", "I2F", "MUFU")),
    "loads and stores": (4, ("LDG", "LD", "STG", "ST", "LDS", "STS", "LDL", "STL")),
}
"""Those that take less than a warp at once from each scheduler: for how many cycles an instruction holds them at least,
and which do."""


class Machine:
    """A multiprocessor that executes blocks of the one kernel of a cubin for sm_90, one at a time."""

    def __init__(self, cubin: Path, memory: Memory):
        self._memory = memory
        self._code, self._labels = _disassemble(cubin)
        constants = {name: data for name, data in _sections(cubin.read_bytes()).items() if ".nv.constant" in name}
        banks = {int(re.search(r"constant(\d)", name)[1]): bytearray(data) for name, data in constants.items()}
        self._bank0 = np.zeros(0x1000, np.uint8)
        self._banks = {0: self._read(lambda: self._bank0)}
        for number, data in banks.items():
            if number:
                fixed = np.frombuffer(bytes(data) + bytes(4), np.uint8)
                self._banks[number] = self._read(lambda fixed=fixed: fixed)
        self.counts = np.zeros(len(self._code), np.int64)
        self._steps = []

    @staticmethod
    def _read(bank):
        return lambda at: bank()[at[:, None].astype(I8) + np.arange(4)].copy().view(U4)[:, 0]

    @property
    def count(self):
        """Warp instructions issued so far."""
        return int(self.counts.sum())

    @property
    def cycles(self):
        """The fewest cycles of a scheduler that issued all of it: to issue, and in each of the narrower pipes."""
        names = [instruction.name for instruction in self._code]
        held = {
            pipe: cycles * sum(int(n) for n, name in zip(self.counts, names, strict=True) if name in some)
            for pipe, (cycles, some) in PIPES.items()
        }
        return {"issue": self.count, **held}

    def launch(self, grid, threads, arguments, blocks):
        """Execute some blocks, (x, y, z) each, of a launch with such arguments (NumPy scalars)."""
        at = PARAMETERS
        self._bank0[:12] = np.array([threads, 1, 1], U4).view(np.uint8)
        self._bank0[12:24] = np.array(grid, U4).view(np.uint8)
        for argument in arguments:
            data = np.frombuffer(argument.tobytes(), np.uint8)
            at = -(-at // len(data)) * len(data)
            self._bank0[at : at + len(data)] = data
            at += len(data)
        self._steps = [None] * len(self._code)
        with np.errstate(all="ignore"):
            for block in blocks:
                self._run(threads, dict(zip(("SR_CTAID.X", "SR_CTAID.Y", "SR_CTAID.Z"), block, strict=True)))

    def _run(self, threads, block):
        self._shared = np.full(0x10000, 255, np.uint8)  # what nobody wrote is NaN as float
        warps = []
        for first in range(0, threads, LANES):
            lanes = 2 ** min(threads - first, LANES) - 1
            tid = np.arange(first, first + LANES).astype(U4)
            identifiers = {name: np.array([n], U4) for name, n in block.items()}
            warps.append(Warp(lanes, identifiers | {"SR_TID.X": tid, "SR_CgaCtaId": np.zeros(1, U4)}))
        running = [self._warp(warp) for warp in warps]
        while running:
            running = [warp for warp in running if next(warp, None)]

    def _warp(self, warp):
        """Run one warp; yields at each barrier of its block."""
        at_barrier = []
        while warp.groups or at_barrier:
            if not warp.groups:
                yield True
                warp.groups, at_barrier = at_barrier, []
            number, lanes = warp.groups.pop()
            mask = None if lanes == EVERY else lanes_of(lanes)
            while True:
                self.counts[number] += 1
                if self._steps[number] is None:
                    self._steps[number] = self._compile(number, self._code[number])
                what = self._steps[number](warp, mask, lanes)
                if what is None:
                    number += 1
                    continue
                if what == "barrier":
                    at_barrier.append((number + 1, lanes))
                elif what != "end":
                    warp.groups.extend(what)
                break

    # One instruction, as a function of a warp and the lanes that run: None, or the groups to go on with.

    def _compile(self, number, code):
        if code.name in ("BRA", "BRX", "EXIT", "BSSY", "BSYNC", "CALL", "RET", "BAR"):
            return self._control(number, code)
        try:
            act = self._act(code)
        except (UnknownInstructionError, ValueError, KeyError) as error:
            return self._unknown(code, error)
        if code.guard is None:
            return lambda w, mask, lanes: act(w, mask)
        guard = predicate(("!" if code.guard[2] else "") + f"{code.guard[0]}{code.guard[1]}")

        def guarded(w, mask, lanes):
            holds = np.broadcast_to(guard(w), (LANES,))
            if mask is not None:
                holds = holds & mask
            if holds.all():
                act(w, None)
            elif holds.any():
                act(w, holds)

        return guarded

    @staticmethod
    def _unknown(code, error):
        def fail(w, mask, lanes):
            raise UnknownInstructionError(code.text) from error

        return fail

    def _control(self, number, code):
        guard = predicate(("!" if code.guard[2] else "") + f"{code.guard[0]}{code.guard[1]}") if code.guard else None
        target = next((self._labels[m[1]] for o in code.operands if (m := re.search(r"`\(([^)]+)\)", o))), None)
        extra = None  # of BRA.U: a uniform predicate as its first operand
        if code.name == "BRA" and len(code.operands) == 2:
            extra = predicate(code.operands[0])

        def taken(w, lanes):
            holds = np.ones(LANES, bool)
            for condition in (guard, extra):
                if condition is not None:
                    holds = holds & condition(w)
            return bits_of(holds) & lanes

        def arrive(w, barrier, members):
            here = w.met[barrier, members]
            if here and here == members & w.alive:
                w.met[barrier, members] = 0
                return [(w.met_at[barrier], here)]
            return []

        def branch(w, mask, lanes):
            go = taken(w, lanes)
            if go == lanes:
                return [(target, lanes)]
            return [(number + 1, lanes & ~go), (target, go)] if go else None

        def indexed(w, mask, lanes):
            register, offset = re.match(r"R(\d+) (-?0x\w+)", code.operands[0]).groups()
            to = (s(w.r[int(register)]).astype(I8) + int(offset, 16) + 16 * (number + 1)) // 16
            return [(int(t), bits_of(to == t) & lanes) for t in np.unique(to[lanes_of(lanes)])]

        def leave(w, mask, lanes):
            go = taken(w, lanes)
            w.alive &= ~go
            groups = [(number + 1, lanes & ~go)] if lanes & ~go else []
            for barrier, members in list(w.met):
                groups += arrive(w, barrier, members)
            return groups or "end" if go else None

        def divide(w, mask, lanes):
            for lane in np.flatnonzero(lanes_of(lanes)):
                w.barriers[code.operands[0], lane] = lanes

        def meet(w, mask, lanes):
            members = w.barriers[code.operands[0], int(lanes).bit_length() - 1]
            w.met[code.operands[0], members] |= lanes
            w.met_at = getattr(w, "met_at", {}) | {code.operands[0]: number + 1}
            return arrive(w, code.operands[0], members) or "end"

        def back(w, mask, lanes):
            register = int(re.match(r"R(\d+)", code.operands[0])[1])
            (to,) = np.unique(w.r[register][lanes_of(lanes)])
            return [(int(to) // 16, lanes)]

        return {
            "BRA": branch,
            "BRX": indexed,
            "EXIT": leave,
            "BSSY": divide,
            "BSYNC": meet,
            "CALL": lambda w, mask, lanes: [(target, lanes)],
            "RET": back,
            "BAR": lambda w, mask, lanes: "barrier",
        }[code.name]

    def _act(self, code):
        name, modifiers, operands = code.name, code.modifiers, list(code.operands)
        name = name.removeprefix("U")  # on registers that all lanes share
        if name in ("NOP", "WARPSYNC", "PREFETCH", "CCTL"):
            return lambda w, mask: None
        if name in ("LDL", "STL"):
            return self._local(name, modifiers, operands)
        if name in ("LDG", "LD", "LDS"):
            return self._load(name, modifiers, operands)
        if name in ("STG", "ST", "STS"):
            return self._store(name, modifiers, operands)
        if name in ("S2R", "S2UR", "CS2R"):
            return self._special(operands)
        if name == "LDC":
            return self._constant(modifiers, operands)
        if name == "VOTEU":
            return self._vote(modifiers, operands)
        if name in ("P2R", "R2P") and not modifiers:
            return self._packed_predicates(name, operands)
        number = self._outputs(name, operands)
        outputs = [_register(o) for o in operands[:number]]
        inputs, compute = self._arithmetic(name, modifiers, operands[number:], number)
        return self._assign(outputs, inputs, compute)

    @staticmethod
    def _outputs(name, operands):
        """How many of the operands are results."""
        if name in ("ISETP", "FSETP", "PLOP3"):
            return 2
        if name == "LOP3" and "P" in operands[0]:
            return 2
        if name == "FCHK":
            return 1
        if name in ("IADD3", "LEA", "IMAD"):  # a register, then predicates: carries
            return 1 + next(i for i, o in enumerate([*operands[1:], "R0"]) if not re.fullmatch(r"U?P(T|\d)", o))
        return 1

    @staticmethod
    def _assign(outputs, inputs, compute):
        def act(w, mask):
            values = compute(w, *(read(w) for read in inputs))
            for (file, n), value in zip(outputs, values, strict=False):
                rows = value if isinstance(value, tuple) else (value,)
                for k, row in enumerate(rows):
                    target = getattr(w, file)[n + k if n < len(getattr(w, file)) - 1 else n]
                    if file in ("u", "up"):  # the same in all lanes that run
                        target[:] = row[0 if mask is None or len(row) == 1 else mask.argmax()]
                    elif mask is None:
                        target[:] = row
                    else:
                        np.copyto(target, row, where=mask)

        return act

    def _arithmetic(self, name, modifiers, operands, outputs):
        """Functions that read the inputs, and one that makes of them the results."""
        is_float = name in ("FADD", "FMUL", "FFMA", "FMNMX", "FSEL", "FSETP", "FCHK", "MUFU", "F2I", "F2FP")
        predicates = [predicate(o) for o in operands if re.fullmatch(r"!?U?P(T|\d)", o)]
        values = [o for o in operands if not re.fullmatch(r"!?U?P(T|\d)", o)]

        def read(*texts, as_float=is_float):
            return [operand(text, as_float, self._banks) for text in texts]

        def with_predicates(*texts):
            return [*read(*texts), *predicates]

        if name in ("MOV", "R2UR"):
            return read(values[0]), lambda w, x: [x]
        if name == "FADD":
            return read(*values), lambda w, x, y: [b(f(x) + f(y))]
        if name == "FMUL":
            return read(*values), lambda w, x, y: [b(f(x) * f(y))]
        if name == "FFMA":
            return read(*values), lambda w, x, y, z: [fma(x, y, z)]
        if name == "FMNMX":
            return with_predicates(*values), lambda w, x, y, p: [b(pick(p, f(x), f(y)))]
        if name in ("FSEL", "SEL"):
            return with_predicates(*values), lambda w, x, y, p: [np.where(p, x, y)]
        if name == "MUFU":
            function = {"RCP": lambda x: 1 / x, "RSQ": lambda x: 1 / np.sqrt(x)}[modifiers[0]]
            return read(*values), lambda w, x: [b(function(f(x)))]
        if name == "FCHK":  # whether a division needs its long way
            return read(*values), lambda w, x, y: [~(_ordinary(x) & _ordinary(y))]
        if name == "F2I" and modifiers[0] in ("FLOOR", "CEIL"):
            whole = {"FLOOR": np.floor, "CEIL": np.ceil}[modifiers[0]]
            return read(*values), lambda w, x: [to_int(whole(f(x)))]
        if name == "F2I" and "U32" in modifiers and "TRUNC" in modifiers:
            return read(*values), lambda w, x: [np.clip(f(x).astype(F8), 0, EVERY).astype(U4)]
        if name == "F2FP" and modifiers[0] in ("F16", "BF16"):
            return read(*values), lambda w, x, y: [halves(y, x, modifiers[0])]
        if name in ("I2FP", "I2F"):
            kinds = [m for m in modifiers if m in ("S32", "U32", "U8")]
            if {"U64", "S64", "F64"} & set(modifiers):
                raise UnknownInstructionError(name)
            if "RP" in modifiers:  # rounded up: only integer divisions have it, which mend what is off
                to_float = lambda x: np.nextafter(x.astype(F4), F4(np.inf))  # noqa: E731
            else:
                to_float = lambda x: x.astype(F4)  # noqa: E731
            is_signed = not kinds or kinds[0] == "S32"
            bits = U4(255 if "U8" in kinds else EVERY)
            return read(*values), lambda w, x: [b(to_float(s(x) if is_signed else x & bits))]
        if name == "HFMA2":  # the compiler's way to load a constant
            high, low = (int(np.float16(float(v)).view(np.uint16)) for v in values[2:])
            assert values[:2] == ["-RZ", "RZ"]
            return [], lambda w: [np.array([high << 16 | low], U4)]
        if name == "IABS":
            return read(*values), lambda w, x: [np.abs(s(x)).view(U4)]
        if name == "VIADD":
            return read(*values), lambda w, x, y: [x + y]
        if name in ("VIMNMX", "IMNMX"):
            view = (lambda x: x) if "U32" in modifiers else s
            return with_predicates(*values), lambda w, x, y, p: [pick(p, view(x), view(y)).view(U4)]
        if name == "VIADDMNMX":
            view = (lambda x: x) if "U32" in modifiers else s
            return with_predicates(*values), lambda w, x, y, z, p: [pick(p, view(x + y), view(z)).view(U4)]
        if name == "LOP3":
            table = int(values[-1], 16)
            if outputs == 2:
                return read(*values[:3]), lambda w, x, y, z: [(r := logic(table, x, y, z)) != 0, r]
            return read(*values[:3]), lambda w, x, y, z: [logic(table, x, y, z)]
        if name == "PLOP3":
            tables = [int(v, 16) for v in values]
            return predicates, lambda w, x, y, z: [
                logic(t, *(np.where(p, U4(EVERY), U4(0)) for p in (x, y, z))) != 0 for t in tables
            ]
        if name == "PRMT":
            return read(*values), lambda w, x, y, z: [permute(x, y, z)]
        if name in ("ISETP", "FSETP"):
            return self._comparison(name, modifiers, values, predicates)
        if name == "IADD3":
            return self._addition(modifiers, values, predicates, outputs)
        if name == "IMAD":
            return self._product(modifiers, values, predicates)
        if name in ("LEA", "SHF"):
            return self._shift(name, modifiers, values, predicates)
        raise UnknownInstructionError(name)

    def _comparison(self, name, modifiers, values, predicates):
        compare = COMPARE[modifiers[0].removesuffix("U") if name == "FSETP" else modifiers[0]]
        unordered = name == "FSETP" and modifiers[0] in ("GTU", "GEU", "LTU", "LEU", "NEU", "EQU")
        join = np.logical_or if "OR" in modifiers else np.logical_and
        view = f if name == "FSETP" else ((lambda x: x) if "U32" in modifiers else s)
        strict = COMPARE.get({"GE": "GT", "LE": "LT"}.get(modifiers[0], modifiers[0]))

        def compute(w, x, y, with_this, low=None):
            x, y = view(x), view(y)
            holds = compare(x, y)
            if unordered:
                holds = holds | np.isnan(x) | np.isnan(y)
            if low is not None:  # the comparison of lower words, which decides where these are equal
                holds = (x == y) & low if modifiers[0] == "EQ" else strict(x, y) | ((x == y) & low)
            return [join(holds, with_this), join(~holds, with_this)]

        reads = [operand(v, name == "FSETP", self._banks) for v in values]
        return [*reads, *predicates], compute

    def _addition(self, modifiers, values, predicates, outputs):
        """The sum of three; a negated one is 2³² less it, which carries where it is 0."""
        negated = [v.startswith(("-R", "-U")) for v in values]
        plain = [operand(v[no:], False, self._banks) for v, no in zip(values, negated, strict=True)]

        def compute(w, *inputs):
            total = U8(0)
            for x, no in zip(inputs[:3], negated, strict=True):
                total = total + (U8(2**32) - x.astype(U8) if no else x.astype(U8))
            for carry in inputs[3:]:
                total = total + carry.astype(U8)
            carries = total >> U8(32)
            return [total.astype(U4), carries >= 1, carries >= 2][:outputs]

        return [*plain, *(predicates if "X" in modifiers else [])], compute

    def _product(self, modifiers, values, predicates):
        unsigned = "U32" in modifiers
        wide = "WIDE" in modifiers or "HI" in modifiers
        reads = [operand(v, False, self._banks) for v in values]
        if not wide:
            carry = predicates if "X" in modifiers else []
            return [*reads, *carry], lambda w, x, y, z, *c: [x * y + z + (c[0].astype(U4) if c else U4(0))]
        third = re.fullmatch(r"(-?)(U?R)(Z|\d+)", values[2])
        if not third or third[1]:
            raise UnknownInstructionError(values[2])
        pair = [values[2], values[2] if third[3] == "Z" else f"{third[2]}{int(third[3]) + 1}"]
        reads = [*reads[:2], *(operand(v, False, self._banks) for v in pair)]

        def compute(w, x, y, low, high):
            signed = (s(x).astype(I8) * s(y).astype(I8)).view(U8)
            product = x.astype(U8) * y.astype(U8) if unsigned else signed
            addend = high.astype(U8) << U8(32) | low
            total = product + addend
            top, bottom = (total >> U8(32)).astype(U4), total.astype(U4)
            return [top] if "HI" in modifiers else [(bottom, top), total < addend]

        return reads, compute

    def _shift(self, name, modifiers, values, predicates):
        reads = [operand(v, False, self._banks) for v in values]

        def pair(low, high):
            return high.astype(U8) << U8(32) | low

        if name == "LEA":
            carry = predicates if "X" in modifiers else []
            if "HI" not in modifiers:

                def low(w, x, y, n, *c):
                    total = (x << n).astype(U8) + y + (c[0].astype(U8) if c else U8(0))
                    return [total.astype(U4), total >> U8(32) != 0]

                return [*reads, *carry], low
            if "SX32" in modifiers:
                reads.insert(2, lambda w, x=reads[0]: (s(x(w)) >> I4(31)).view(U4))

            def high(w, x, y, z, n, *c):
                total = (pair(x, z) << n.astype(U8) >> U8(32)) + y + (c[0].astype(U8) if c else U8(0))
                return [total.astype(U4), total >> U8(32) != 0]

            return [*reads, *carry], high

        def shift(w, low, n, high):
            n = (n & U4(31) if "W" in modifiers else np.minimum(n, 32)).astype(U8)
            if "L" in modifiers:
                if "HI" in modifiers:
                    return [(pair(low, high) << n >> U8(32)).astype(U4)]
                return [(low.astype(U8) << n).astype(U4)]
            if "HI" in modifiers:
                if "S32" in modifiers:
                    return [(s(high).astype(I8) >> n.astype(I8)).astype(I4).view(U4)]
                return [(high.astype(U8) >> n).astype(U4)]
            return [(pair(low, high) >> n).astype(U4)]

        return reads, shift

    def _special(self, operands):
        file, n = _register(operands[0])
        what = operands[1]

        def act(w, mask):
            value = np.zeros(1, U4) if what == "SRZ" else w.identifiers[what]
            for k in range(2 if what == "SRZ" else 1):
                getattr(w, file)[n + k][mask if mask is not None and file == "r" else slice(None)] = (
                    value if len(value) == 1 or mask is None else value[mask]
                )

        return act

    @staticmethod
    def _packed_predicates(name, operands):
        """Predicates as bits of a register, there or back."""
        some = int(operands[-1], 16)
        _, n = _register(operands[0] if name == "P2R" else operands[1])

        def pack(w, mask):
            bits = sum(w.p[k].astype(U4) << U4(k) for k in range(7) if some >> k & 1)
            w.r[n][slice(None) if mask is None else mask] = bits if mask is None else bits[mask]

        def unpack(w, mask):
            for k in range(7):
                if some >> k & 1:
                    np.copyto(w.p[k], w.r[n] >> U4(k) & U4(1) != 0, where=True if mask is None else mask)

        if name == "P2R" and operands[1:3] != ["PR", "RZ"]:
            raise UnknownInstructionError(name)
        return pack if name == "P2R" else unpack

    @staticmethod
    def _vote(modifiers, operands):
        join = {"ANY": np.any, "ALL": np.all}[modifiers[0]]
        file, n = _register(operands[0])
        asked = predicate(operands[1])

        def act(w, mask):
            getattr(w, file)[n] = join(np.broadcast_to(asked(w), LANES)[slice(None) if mask is None else mask])

        return act

    def _constant(self, modifiers, operands):
        file, n = _register(operands[0])
        bank, inside = re.fullmatch(r"c\[(0x\w+)\]\[(.*)\]", operands[1]).groups()
        words = 2 if "64" in modifiers else 1
        register = re.match(r"R(\d+)", inside)
        offset = re.search(r"(0x\w+)$", inside)

        def act(w, mask):
            at = w.r[int(register[1])] if register else np.zeros(1, U4)
            at = at if mask is None or not register else np.where(mask, at, U4(0))
            for k in range(words):
                value = self._banks[int(bank, 16)](at + U4((int(offset[1], 16) if offset else 0) + 4 * k))
                target = getattr(w, file)[n + k]
                if mask is None or file == "u":
                    target[:] = value
                else:
                    np.copyto(target, value, where=mask)

        return act

    # Memory

    def _local(self, name, modifiers, operands):
        """Each lane's own, at most 1,024 bytes: what doesn't fit into its registers."""
        where, what = operands if name == "STL" else operands[::-1]
        address, (_, n), words = self._address(where), _register(what), max(1, self._width(modifiers) // 4)

        def act(w, mask):
            lanes = np.arange(LANES) if mask is None else np.flatnonzero(mask)
            at = address(w)[lanes].astype(I8) // 4 % 256
            for k in range(words):
                if name == "STL":
                    w.local[at + k, lanes] = w.r[n + k][lanes]
                else:
                    w.r[n + k][lanes] = w.local[at + k, lanes]

        return act

    @staticmethod
    def _address(text):
        """A function of a warp: addresses, 64 bits each."""
        parts = re.search(r"\[([^\]]*)\]$", text)[1].replace("-0x", "+-0x").split("+")
        reads = []
        for part in parts:
            if found := re.fullmatch(r"(U?R)(Z|\d+)((?:\.\w+)*)", part):
                kind, number, suffix = found.groups()
                if number == "Z":
                    continue
                n, scale = int(number), U8(1)
                file = "r" if kind == "R" else "u"
                if x := re.fullmatch(r"\.X(\d+)", suffix):
                    scale, suffix = U8(int(x[1])), ""
                if suffix == ".64" or (kind == "UR" and "desc" in text):
                    reads.append(
                        lambda w, file=file, n=n: getattr(w, file)[n + 1].astype(U8) << U8(32) | getattr(w, file)[n]
                    )
                else:
                    reads.append(lambda w, file=file, n=n, scale=scale: getattr(w, file)[n].astype(U8) * scale)
            elif part:
                reads.append(lambda w, value=U8(int(part, 16) & 2**64 - 1): value)

        def address(w):
            total = np.zeros(LANES, U8)
            for read in reads:
                total = total + read(w)
            return total

        return address

    @staticmethod
    def _width(modifiers):
        return next((n for m, n in {"U8": 1, "U16": 2, "64": 8, "128": 16}.items() if m in modifiers), 4)

    def _place(self, name, addresses, width):
        if name in ("LDS", "STS"):
            at = (addresses & U8(0xFFFFFF)).astype(I8)
            assert (at % width == 0).all()
            assert (at >= SHARED_BASE).all()
            return self._shared, at
        return self._memory.reach(addresses, width, whole=name in ("ST", "STG"))

    def _load(self, name, modifiers, operands):
        _, n = _register(operands[0])
        address, width = self._address(operands[1]), self._width(modifiers)

        def act(w, mask):
            lanes = slice(None) if mask is None else mask
            data, at = self._place(name, address(w)[lanes], width)
            loaded = data[at[:, None] + np.arange(width)]
            if width < 4:
                loaded = np.pad(loaded, ((0, 0), (0, 4 - width)))
            for k, row in enumerate(np.ascontiguousarray(loaded).view(U4).T):
                w.r[n + k][lanes] = row

        return act

    def _store(self, name, modifiers, operands):
        address, width = self._address(operands[0]), self._width(modifiers)
        _, n = (None, 255) if operands[1] == "RZ" else _register(operands[1])

        def act(w, mask):
            lanes = slice(None) if mask is None else mask
            data, at = self._place(name, address(w)[lanes], width)
            rows = [w.r[255 if n == 255 else n + k][lanes] for k in range(max(1, width // 4))]
            bytes_ = np.ascontiguousarray(np.stack(rows, 1)).view(np.uint8)[:, :width]
            data[at[:, None] + np.arange(width)] = bytes_

        return act


def _ordinary(bits):
    exponent = bits >> U4(23) & U4(255)
    return (exponent > 32) & (exponent < 222)
