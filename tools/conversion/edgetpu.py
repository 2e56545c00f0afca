"""A .tflite file through edgetpu_compiler: what of it runs on the Edge TPU, what does not, and what to do about it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conversion.writing import appearing
from edgecam.errors import InputError
from edgecam.labels import load_labels
from edgecam.modelfile import EDGETPU_OP, POSTPROCESS_OP, ModelFile
from edgecam.modelfile.quantisation import INTEGER, quantisation_of
from edgecam.models.catalogue import sibling_labels

COMPILER = "edgetpu_compiler"
_MAPPED = "Mapped to Edge TPU"
_LIMIT = 900.0
_ROW = re.compile(r"^(?P<name>[A-Za-z][\w-]*)\s+(?P<count>\d+)\s+(?P<status>\S.*?)\s*$")
_SIZE = re.compile(r"^(?P<what>[A-Z][\w -]*?): (?P<number>[\d.]+)(?P<unit>B|KiB|MiB|GiB)\s*$")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_STREAMED = "Off-chip memory used for streaming uncached model parameters"

#: Operators that the Edge TPU runs, compiler 16 (coral.ai/docs/edgetpu/models-intro); sizes may still keep one off it.
_SUPPORTED = """
ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED L2_NORMALIZATION LOGISTIC
LSTM MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1
RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SPLIT_V SQUARED_DIFFERENCE
SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV
"""
SUPPORTED = frozenset(_SUPPORTED.split())
_ADVICE = {
    "LEAKY_RELU": "use PRELU with one slope per channel: `tools/convert nanodet --edgetpu` does",
    "HARD_SWISH": "train with ReLU6 instead",
    "DEQUANTIZE": "convert with integers throughout: --quantise uint8",
    "PADV2": "pad with zeros",
    "MIRROR_PAD": "pad with zeros",
}


@dataclass(frozen=True, slots=True)
class Mapping:
    """Some operators of one kind: how many, and what the compiler says of them."""

    operator: str
    count: int
    status: str

    @property
    def mapped(self) -> bool:
        """True where they run on the Edge TPU."""
        return self.status == _MAPPED


@dataclass(frozen=True, slots=True)
class Report:
    """What edgetpu_compiler said: its version, sizes in bytes by name, and the fate of every operator."""

    version: str
    sizes: dict[str, int]
    mappings: tuple[Mapping, ...]

    @property
    def on_tpu(self) -> int:
        """Operators that run on the Edge TPU."""
        return sum(each.count for each in self.mappings if each.mapped)

    @property
    def on_cpu(self) -> int:
        """Operators that run on the CPU."""
        return sum(each.count for each in self.mappings if not each.mapped)

    def rows(self) -> list[tuple[str, int, str]]:
        """A table of the operators, those on the CPU first."""
        return [
            (each.operator, each.count, each.status) for each in sorted(self.mappings, key=lambda each: each.mapped)
        ]

    def document(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "compiler": self.version,
            "bytes": self.sizes,
            "on_edgetpu": self.on_tpu,
            "on_cpu": self.on_cpu,
            "operators": [{**asdict(each), "mapped": each.mapped} for each in self.mappings],
            "warnings": list(self.warnings()),
        }

    def warnings(self) -> Iterator[str]:
        """What costs speed, one line each."""
        costly = [each for each in self.mappings if not each.mapped and each.operator != POSTPROCESS_OP]
        for each in costly:
            advice = _ADVICE.get(each.operator, "")
            yield f"{each.count} {each.operator} on the CPU: {each.status}{': ' + advice if advice else ''}"
        if any(each.status.startswith("More than one subgraph") for each in costly):
            yield "all after the first operator that is not mapped runs on the CPU: mend that one first"
        if streamed := self.sizes.get(_STREAMED, 0):
            yield f"{streamed / 1e6:.1f} MB of weights do not fit on the chip and are sent anew for every picture"


def parsed(log: str) -> Report:
    """The report in what edgetpu_compiler printed, or wrote into its log. Raises InputError where there is none."""
    version = re.search(r"^Edge TPU Compiler version (\S+)", log, re.MULTILINE)
    sizes = {}
    rows = []
    in_table = False
    for line in log.splitlines():
        if found := _SIZE.match(line.strip()):
            sizes[found["what"]] = round(float(found["number"]) * _UNITS[found["unit"]])
        elif line.split() == ["Operator", "Count", "Status"]:
            in_table = True
        elif in_table and (row := _ROW.match(line)):
            rows.append(Mapping(row["name"], int(row["count"]), row["status"]))
    if not rows:
        raise InputError("no table of operators in the compiler's log: run it with -s, or give the _edgetpu.log file")
    return Report(version[1] if version else "", sizes, tuple(rows))


def read_log(path: Path) -> Report:
    """The report in a log file of edgetpu_compiler. Raises InputError."""
    try:
        return parsed(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): give the _edgetpu.log file") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def find_compiler() -> str | None:
    """Where edgetpu_compiler is, None where it is not installed."""
    return shutil.which(COMPILER)


def failure(log: str) -> str:
    """Why the compiler gave up, in its own words."""
    marks = ("ERROR:", "Invalid model", "Compilation failed", "Internal compiler error", "Model not quantized")
    said = [line.strip() for line in log.splitlines() if line.strip().startswith(marks)]
    return " ".join(dict.fromkeys(said)) or "it says nothing of the reason"


def expected(file: ModelFile) -> list[Mapping]:
    """What the compiler will say of a model, by the list of supported operators alone."""
    main = file.structure.graphs[0]
    counts: dict[str, int] = {}
    for operator in main.operators:
        counts[operator.code.name] = counts.get(operator.code.name, 0) + 1
    status = {True: _MAPPED, False: "Operation not supported"}
    return [Mapping(name, count, status[name in SUPPORTED]) for name, count in sorted(counts.items())]


def checked(path: Path) -> ModelFile:
    """A model that the compiler would take. Raises InputError, which says what to do where it would not."""
    file = ModelFile.load(path)
    if file.compiled_for_edgetpu:
        raise InputError(f"{path}: compiled already (it has {EDGETPU_OP}): give the model it was compiled from")
    counts = quantisation_of(file.structure)
    if counts.kind not in (INTEGER, "mixed"):
        raise InputError(f"{path}: counts in {counts.kind}, the Edge TPU in integers: convert it with --quantise uint8")
    return file


def compiled(path: Path, output: Path) -> tuple[Path, Report]:
    """Run edgetpu_compiler; returns the model it made and its report. Raises InputError."""
    compiler = find_compiler()
    if compiler is None:
        raise InputError(f"{COMPILER} is not installed: {remedy(path)}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            command = [compiler, "-s", "-a", "-o", folder, str(path.resolve())]
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_LIMIT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(
                f"{path}: {COMPILER} was still at work after {_LIMIT:g} s: make the model smaller"
            ) from error
        except OSError as error:
            raise InputError(
                f"{compiler}: cannot be run ({error.strerror}): it is a program for x86-64 Linux"
            ) from error
        made = Path(folder) / f"{path.stem}_edgetpu.tflite"
        if done.returncode != 0 or not made.is_file():
            raise InputError(f"{path}: {COMPILER} gave up: {failure(done.stdout + done.stderr)}")
        report = parsed(done.stdout)
        target = output / made.name
        ModelFile.load(made)
        with appearing(target) as part:
            part.write_bytes(made.read_bytes())
    if labels := sibling_labels(path):
        load_labels(labels)
        with appearing(target.with_suffix(labels.suffix)) as part:
            part.write_bytes(labels.read_bytes())
    return target, report


def remedy(path: Path) -> str:
    """What to do without the compiler, in one line."""
    return (
        "it runs on x86-64 Linux only (Debian or Ubuntu, package edgetpu-compiler of Coral's repository; not on a"
        f" Raspberry Pi): take {path.name} to such a machine, run `{COMPILER} -s -a {path.name}`, bring back"
        f" {path.stem}_edgetpu.tflite; `tools/convert edgetpu --log FILE` reads its log"
    )
