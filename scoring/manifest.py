"""What an evaluation was, in one file that anybody can check: ``manifest.json``.

It holds the request, everything that the score depends on by digest, the machine, and the result
without its timings: the same request on the same machine gives the same bytes.
``scripts/verify_evaluation.py`` carries it out again.

The **protocol digest** names all that a score depends on besides the model and the machine. Code
and networks enter it by content and not by a version that somebody must remember to raise; two
evaluations share it only if the same code would have scored them in the same way.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import torch

from scoring.contract import AsrInfo, Hex64, ParlerModel, Record, TtsRequest, TtsResult
from scoring.tts.parler.precision import Precision, usual_precision
from scoring.tts.prompts import STREAM_VERSION
from scoring.weights_digest import weights_digest

MANIFEST_NAME = "manifest.json"
PACKAGE = Path(__file__).parent

# The first component with a matching path owns a file; the rest of the package is the formula.
COMPONENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "engine": ("tts/parler/",),
        "asr": ("asr/", "audio.py"),
        "metrics": ("metrics/",),
        "prompts": ("tts/prompts.py", "tts/prompt_stream/"),
    }
)
REST = "formula"
# These rank scores and check them, and take no part in them.
UNINVOLVED = ("competition/", "audit/")

# Networks that the metrics run and that other packages hold: package, files in it.
NETWORKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"dnsmos": ("speechmos", "dnsmos_models/*.onnx"), "silero": ("faster_whisper", "assets/*.onnx")}
)

# What decides by rules of its own which words are equal and how audio is resampled.
RULE_PACKAGES = ("jiwer", "soxr", "whisper-normalizer")
# What else computes. Versions differ in rounding, so they are recorded and no part of the protocol.
COMPUTING_PACKAGES = (
    "ctranslate2",
    "faster-whisper",
    "hibari-tts",
    "numba",
    "numpy",
    "onnxruntime",
    "openai-whisper",
    "safetensors",
    "scipy",
    "soundfile",
    "speechmos",
    "tokenizers",
    "torch",
    "transformers",
)


class RecogniserIdentity(Record):
    """A recogniser without the name under which somebody keeps it."""

    engine: str
    version: str
    digest: Hex64


class Protocol(Record):
    """All that makes scores comparable."""

    contract: int
    competition_id: str
    code: dict[str, Hex64]
    networks: dict[str, Hex64]
    rules: dict[str, str]
    recognisers: tuple[RecogniserIdentity, ...]
    human_floor: float
    stream_version: str
    prompts_digest: Hex64
    seed: int
    max_seconds: float

    @property
    def digest(self) -> str:
        """sha256 over the canonical JSON of all fields."""
        return _sha256(self.model_dump(mode="json"))


class Machine(Record):
    """What computed, as far as rounding may depend on it."""

    device: str
    architecture: str
    processor: str
    python: str
    threads: int
    packages: dict[str, str]
    precision: Precision = "float32"


class Manifest(Record):
    """One evaluation. ``result`` has no timings; its digests name weights and prompts."""

    manifest: Literal[1] = 1
    protocol_digest: Hex64
    protocol: Protocol
    request: TtsRequest
    base_digest: Hex64 | None
    machine: Machine
    result: TtsResult


def describe(request: TtsRequest, result: TtsResult) -> Manifest:
    """The manifest of a COMPLETED evaluation on this machine."""
    protocol = current_protocol(request, result)
    untimed = result.model_copy(update={"timings": {}, "protocol_digest": protocol.digest})
    return Manifest(
        protocol_digest=protocol.digest,
        protocol=protocol,
        request=request,
        base_digest=_base_digest(request, result),
        machine=this_machine(request.device),
        result=untimed,
    )


def write_manifest(manifest: Manifest, out: Path) -> None:
    """Write ``manifest.json`` whole or not at all."""
    partial = out / f"{MANIFEST_NAME}.partial"
    partial.write_text(json.dumps(manifest.model_dump(mode="json"), indent=1) + "\n", "utf-8")
    partial.replace(out / MANIFEST_NAME)


def current_protocol(request: TtsRequest, result: TtsResult) -> Protocol:
    """The protocol of a COMPLETED evaluation that this code carried out."""
    assert result.asr is not None
    assert result.prompts_digest is not None
    recognisers = [result.asr] if result.second_asr is None else [result.asr, result.second_asr]
    return Protocol(
        contract=result.contract,
        competition_id=result.competition_id,
        code=code_digests(),
        networks=_networks(result),
        rules=_versions(RULE_PACKAGES),
        recognisers=tuple(_identity(info) for info in recognisers),
        human_floor=result.human_floor,
        stream_version=STREAM_VERSION,
        prompts_digest=result.prompts_digest,
        seed=request.seed,
        max_seconds=request.max_seconds,
    )


def this_machine(device: str) -> Machine:
    """This machine as it computes on ``device``."""
    kind = device.partition(":")[0]
    return Machine(
        device=kind,
        architecture=platform.machine(),
        processor=_cpu_name() if kind == "cpu" else torch.cuda.get_device_name(device),
        python=platform.python_version(),
        threads=torch.get_num_threads(),
        packages=_versions((*RULE_PACKAGES, *COMPUTING_PACKAGES)),
        precision=usual_precision(torch.device(device)),
    )


def code_digests() -> dict[str, str]:
    """sha256 over paths and contents of this package's code and data, by component."""
    digests = {name: hashlib.sha256() for name in (*COMPONENTS, REST)}
    for path in sorted(p for suffix in ("py", "json") for p in PACKAGE.rglob(f"*.{suffix}")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(UNINVOLVED):
            continue
        content = path.read_bytes()
        component = next((c for c, owned in COMPONENTS.items() if name.startswith(owned)), REST)
        digests[component].update(f"{name}\0{len(content)}\0".encode() + content)
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _networks(result: TtsResult) -> dict[str, str]:
    packaged = {name: _network_digest(*where) for name, where in NETWORKS.items()}
    learned = result.learned_mos
    return packaged if learned is None else {**packaged, "learned_mos": learned.digest}


def _network_digest(package: str, pattern: str) -> str:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None, "the metrics ran, so it is installed"
    return _files_digest(sorted(Path(spec.origin).parent.glob(pattern)))


def _base_digest(request: TtsRequest, result: TtsResult) -> str | None:
    """Names the base model's weights, tokenizer and settings, where the evaluator brought them."""
    model = request.synthesiser
    if not isinstance(model, ParlerModel) or model.base_dir is None:
        return None
    # What the sketch was made against was hashed while it was loaded; gigabytes, once is enough.
    sketch = None if result.synthesiser is None else result.synthesiser.sketch
    weights = weights_digest(model.base_dir) if sketch is None else sketch.base_digest
    return _sha256(
        {"weights": weights, "files": _files_digest(sorted(model.base_dir.glob("*.json")))}
    )


def _files_digest(files: list[Path]) -> str:
    contents = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return _sha256(contents)


def _identity(info: AsrInfo) -> RecogniserIdentity:
    return RecogniserIdentity(engine=info.engine, version=info.version, digest=info.digest)


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Of those packages that are installed: some are optional."""
    versions = {package: _version(package) for package in sorted(packages)}
    return {package: version for package, version in versions.items() if version is not None}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _sha256(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
