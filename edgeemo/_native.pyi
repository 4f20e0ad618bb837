"""The C front end (cmake_ext/python/binding.c). Use edgeemo.features: it checks the arrays."""

from typing import Any, final

from numpy.typing import NDArray

# Any C-contiguous buffer serves; typed as arrays because numpy's stubs call them buffers only
# from Python 3.12 on.
_Samples = NDArray[Any]  # float32 or int16

__version__: str  # of the build; absent when the module was compiled by hand

# A spec is any object with the attributes of edgeemo.features.FeatureSpec.

@final
class Frontend:
    """One stream of samples. Not shared between threads: a second one gets a RuntimeError."""

    def __new__(cls, spec: object, fixed: bool = False) -> Frontend: ...
    def frames(self, n: int, /) -> int:
        """Frames that a push of n more samples would complete."""

    def push(self, samples: _Samples, out: _Samples, /) -> int:
        """Take float32 or int16 samples; fill out, float32, with frames(n) frames or more room.

        Returns the frames written, or a negative status; then nothing has changed.
        """

    def whole(self, samples: _Samples, out: _Samples, /) -> int:
        """All frames of a clip of float32 samples; out has exactly their room. Not if `fixed`.

        Returns the frames written, or a negative status. The stream is neither read nor changed,
        and several threads may do this at once.
        """

    def reset(self) -> None:
        """Forget all samples."""

def check_spec(spec: object, /) -> str:
    """Name of the status of a spec: "EDGEEMO_OK", or the first fault."""

def choices() -> dict[str, tuple[str, ...]]:
    """The words that each choice of a spec may have."""

def first_bad_sample(samples: _Samples, /) -> int:
    """Index of the first float32 sample that a push refuses, or -1."""

def normalize_utterance(samples: _Samples, out: _Samples, /) -> int:
    """(samples - mean) / sqrt(variance + 1e-7), float32; returns a status, 0 if all is well."""

def describe(features: _Samples, bands: int, out: NDArray[Any], /) -> int:
    """How a log-mel, float32 [frames, bands], lies and moves (edgeemo_confidence.h).

    out is float32 [26]. Returns a status, 0 if all is well.
    """

def confidence(values: NDArray[Any], parts: NDArray[Any], bias: float, /) -> float:
    """The probability that a regression gives for values, float32 [n].

    parts is float32 [4 n]: centers, scales, and the weights of the values and of their squares.
    """

def smoothing_weight(elapsed: float, seconds: float, /) -> float:
    """1 - e^(-elapsed / seconds), as a float32."""

@final
class Gate:
    """Energy over an adaptive noise floor (edgeemo_gate.h). Not shared between threads."""

    def __new__(cls, sample_rate: int) -> Gate: ...
    def blocks(self, n: int, /) -> int:
        """Blocks of 10 ms that a push of n more samples would complete."""

    def push(self, samples: _Samples, out: NDArray[Any], /) -> int:
        """Take float32 samples; fill out, uint8, with 1 for each block that is speech.

        Returns the answers written, or a negative status; then nothing has changed.
        """

    def reset(self) -> None:
        """Forget all samples and the noise floor."""

@final
class Model:
    """An int8 network (edgeemo_model.h). Not shared between threads."""

    def __new__(cls, blob: bytes, block: int = 1, kernels: str | None = None) -> Model: ...
    def push(self, rows: NDArray[Any], /) -> int:
        """Take rows, float32 features or int8; tokens since the reset, or a negative status."""

    def outputs(self, out: NDArray[Any], /) -> int:
        """The estimate so far to out, float32 or int8; values written, or a negative status."""

    def rows(self, tensor: int, out: NDArray[Any], /) -> int:
        """All rows of a tensor, int8, as long as its memory holds all; for tests."""

    def reset(self) -> None:
        """Forget all frames."""

    def info(self) -> dict[str, Any]:
        """What the blob holds, "bytes" of memory, name of the "kernels"."""

def model_layout() -> dict[str, Any]:
    """Fields of a blob's tables, kinds of layers by name, limits."""

def model_kernels() -> tuple[str, ...]:
    """Sets of kernels that this processor can run, the portable one first, the best last."""

def model_status_text(status: int, /) -> str:
    """The text of a status."""

@final
class Stream:
    """Samples to estimates (edgeemo_stream.h). Not shared between threads."""

    def __new__(
        cls,
        spec: object,
        blob: bytes,
        model: tuple[int, int, int, float, float],
        regression: NDArray[Any] | None,
        bias: float,
        settings: tuple[int, int, int, int, int, float, float, float, float],
        fixed: bool = False,
    ) -> Stream:
        """Make one.

        model is least, classes_at, classes, low, high of edgeemo_speech_model; regression and bias
        are as for `confidence`; settings are the fields of edgeemo_stream_settings. `fixed`: front
        end and gate in integers.
        """

    def push(self, samples: _Samples, /) -> int:
        """Take float32 or int16 samples; estimates that became ready, or a negative status."""

    def gap(self, filler: _Samples, last: _Samples, /) -> int:
        """Sound that was lost: what stands for it, and the last 10 ms before it."""

    def estimate(self, out: NDArray[Any], /) -> tuple[int, int, int, int, int, float] | None:
        """The newest estimate: start, end, speech, known, expression, confidence; values to out."""

    def flush(self, out: NDArray[Any], /) -> tuple[int, int, int, int, int, float] | None:
        """The estimate of what came after the last one, if any; and a reset."""

    def reset(self) -> None:
        """Forget all samples."""
