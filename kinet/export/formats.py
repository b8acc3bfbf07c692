"""The formats, and which of the libraries that are installed can write and run each."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kinet.errors import ExportError, unknown_name

FULL_PRECISION = "float32"


@dataclass(frozen=True)
class Converter:
    """A way to write a format: the backend that holds the model, and the modules it takes."""

    backend: str
    needs: tuple[str, ...]

    def missing(self) -> list[str]:
        """The modules that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes
    ----------
    name, title : str
        As the user writes it, and as messages do.
    ending : str
        What is added to the model's name, less ``.keras``.
    converters : tuple of Converter
        The ways to write it, the best first.
    runner : str
        The module that runs the file; it is not exported where it cannot be run.
    extra : str
        The extra of the distribution that brings all of this.
    module : str
        The module of this package that writes and runs it.
    narrowers : mapping of str to (str, str)
        Precisions beside float32 that make the file faster where it is run, each with the
        library that writes it and the extra that brings it.
    """

    name: str
    title: str
    ending: str
    converters: tuple[Converter, ...]
    runner: str
    extra: str
    module: str
    narrowers: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that it is written in, float32 first."""
        return (FULL_PRECISION, *self.narrowers)

    @property
    def is_folder(self) -> bool:
        """Whether an export is a folder."""
        return not self.ending.startswith(".")

    def files(self, path: Path) -> tuple[Path, ...]:
        """What an export to `path` consists of; whoever reads it opens the last one first."""
        return (path.with_suffix(".bin"), path) if self.name == "openvino" else (path,)


# The original backend does not matter: every backend reads every model file. PyTorch is the way
# for those who have no TensorFlow. JAX writes none of these in a usable way.
_TORCH_ONNX = Converter("torch", ("torch", "onnx", "onnxscript"))

FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        Format(
            name="onnx",
            title="ONNX",
            ending=".onnx",
            converters=(Converter("tensorflow", ("tensorflow", "onnx", "tf2onnx")), _TORCH_ONNX),
            runner="onnxruntime",
            extra="onnx",
            module="kinet.export.onnx_file",
        ),
        Format(
            name="savedmodel",
            title="SavedModel",
            ending="_savedmodel",
            converters=(Converter("tensorflow", ("tensorflow",)),),
            runner="tensorflow",
            extra="tensorflow",
            module="kinet.export.savedmodel_folder",
        ),
        Format(
            name="litert",
            title="LiteRT",
            ending=".tflite",
            converters=(Converter("tensorflow", ("tensorflow",)),),
            runner="ai_edge_litert",
            extra="tensorflow,litert",
            module="kinet.export.litert_file",
        ),
        Format(
            name="openvino",
            title="OpenVINO",
            ending=".xml",
            converters=(Converter("tensorflow", ("tensorflow",)), _TORCH_ONNX),
            runner="openvino",
            extra="openvino",
            module="kinet.export.openvino_file",
            narrowers={"bfloat16": ("openvino", "openvino"), "int8": ("nncf", "int8")},
        ),
    )
}


def get_format(name: str) -> Format:
    """The format called `name`.

    Raises
    ------
    ExportError
        If there is none.
    """
    if name not in FORMATS:
        raise ExportError(unknown_name("format", name, FORMATS))
    return FORMATS[name]


def choose_converter(form: Format) -> Converter:
    """The best way to write `form` with what is installed.

    Raises
    ------
    ExportError
        If there is none, or the file could not be run and compared.
    """
    install = f'install it with: pip install "mulkinet[{form.extra}]"'
    for converter in form.converters:
        if not converter.missing():
            break
    else:
        ways = " or ".join(" + ".join(converter.needs) for converter in form.converters)
        lacking = " or ".join(" + ".join(converter.missing()) for converter in form.converters)
        raise ExportError(
            f"{form.title} is written with {ways}; not installed: {lacking}; "
            'install them with: pip install "mulkinet[export]"'
        )
    if importlib.util.find_spec(form.runner) is None:
        raise ExportError(
            f"{form.title} is not exported unless the file can be run and compared with the "
            f"model, and {form.runner} is not installed; {install}"
        )
    return converter


def check_precision(form: Format, precision: str) -> None:
    """Refuse a precision that the format is not written in, or not with what is installed.

    Raises
    ------
    ExportError
        If it cannot be written.
    """
    if precision not in form.precisions:
        raise ExportError(
            f"precision {precision!r} was asked for; {form.title} allows: "
            f"{', '.join(form.precisions)}"
        )
    needed, extra = form.narrowers.get(precision, (None, None))
    if needed is not None and importlib.util.find_spec(needed) is None:
        raise ExportError(
            f"{form.title} in {precision} is written with {needed}, which is not installed; "
            f'install it with: pip install "mulkinet[{extra}]"'
        )
