"""Any torch module as an extractor: through the API, or by `module:object` on a command line. No recipe names one."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.errors import InputError
from saddlepoint.extractors.extractor import FeatureExtractor, Seen
from saddlepoint.extractors.network import check_images, digest_of, in_pixels

PLAIN = (bool, int, float, str, tuple, type(None))


def to_range(pixels: Tensor) -> Tensor:
    """Pixels 0 … 255 to [-1, 1]: what a module gets when it brings no preprocessing."""
    return pixels / 127.5 - 1


class ModuleExtractor:
    """A module of yours as an extractor.

    The digest is over the class, the plain attributes (numbers, words, tuples), the parameters and the buffers of every module
    inside, over the source of classes that are not torch's and of `preprocess`, where Python can find it, and over
    `preprocessing`. What none of them tells, such as a function that `forward` calls, belongs in `preprocessing`: two extractors
    of one digest share cached features.

    Args:
        module: from preprocessed images to features `[n, …]`, which are flattened, or to (features, logits `[n, K]`). It is in eval
            mode for a pass and back as it was afterwards. Of float64 it gives float64 features.
        title: as tables show it.
        preprocess: pixels 0 … 255, float32 `[n, C, H, W]` (or points `[n, d]`), to what the module takes.
        preprocessing: what `preprocess` does, in words; needed with it.
        classes: what the logits mean.
        layers: the layers that features, and logits, come from.

    Raises:
        InputError: `preprocess` came without its words, or the title is Inception's, whose numbers have names of their own.

    >>> extractor = ModuleExtractor(nn.AdaptiveAvgPool2d(2), title="2 x 2 means")
    >>> extractor(torch.zeros(3, 1, 8, 8, dtype=torch.uint8)).features.shape
    torch.Size([3, 4])
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        title: str,
        preprocess: Callable[[Tensor], Tensor] | None = None,
        preprocessing: str = "",
        classes: Sequence[str] = (),
        layers: Sequence[str] = ("output",),
        device: str = "cpu",
    ) -> None:
        if preprocess is not None and not preprocessing:
            problem = f"{title}: preprocess came without words; say in preprocessing what it does, for the digest and the card"
            raise InputError([problem])
        if title.strip().lower() == "inception":
            raise InputError([f"{title}: the title is taken; a number from anything but the published Inception is no FID"])
        self.name = "module"
        self.title = title
        self.layers = tuple(layers)
        self.classes = tuple(classes)
        self.device = device
        self._module = module.to(device)
        self._preprocess = preprocess or to_range
        self._preprocessing = preprocessing or "x / 127.5 - 1; points as they are"
        self._own_range = preprocess is None
        floats = (tensor.dtype for _, tensor in _tensors(module) if tensor.is_floating_point())
        self._dtype = next(floats, torch.float32)

    @property
    def digest(self) -> str:
        module = self._module
        tensors = dict(_tensors(module))
        parts = [(name, _kind(part), _plain(part)) for name, part in module.named_modules()]
        kinds = {_kind(part): type(part) for part in module.modules()}
        code = {name: _source(kind) for name, kind in kinds.items() if not name.startswith("torch.")}
        return digest_of(tensors, self.name, self._preprocessing, _source(self._preprocess), parts, code)

    def __call__(self, images: Tensor) -> Seen:
        points = images.ndim == 2 and images.is_floating_point()
        if not points:
            check_images(images, self.title)
        placed = images.detach().to(self.device)
        given = (placed if points else in_pixels(placed)).to(self._dtype)
        taken = given if points and self._own_range else self._preprocess(given)
        answers = self._answers(taken, list(images.shape))
        features, logits = answers if isinstance(answers, tuple) else (answers, None)
        return Seen(self._checked(features, len(images)), None if logits is None else self._checked(logits, len(images)))

    def _answers(self, taken: Tensor, shape: list[int]) -> Any:
        training = [part for part in self._module.modules() if part.training]
        try:
            with torch.no_grad():
                return self._module.eval()(taken)
        except (RuntimeError, ValueError) as error:
            reason = str(error).split("\n")[0]
            raise InputError([f"{self.title}: does not take images of {shape} ({reason})"]) from None
        finally:
            for part in training:
                part.training = True

    def _checked(self, answers: Any, n: int) -> Tensor:
        if not isinstance(answers, Tensor) or answers.ndim < 2 or len(answers) != n:
            came = list(answers.shape) if isinstance(answers, Tensor) else type(answers).__name__
            raise InputError([f"{self.title}: gave {came} for {n} images; a module gives [n, d], or ([n, d], [n, K])"])
        wide = answers.dtype if answers.dtype == torch.float64 else torch.float32
        return answers.detach().flatten(1).to("cpu", wide)


def extractor_of(reference: str, device: str = "cpu") -> FeatureExtractor:
    """The extractor that `module:object` names: an extractor, a torch module, or a function of no arguments that gives one of them.

    For command lines only, whose user chose what to import; the current folder is looked in first.

    Raises:
        InputError: there is no such module or object, or it is something else.
    """
    place, _, name = reference.partition(":")
    if not place or not name.isidentifier():
        raise InputError([f"extractor: {reference} is not module:object, as in my_features:encoder"])
    place = place.removesuffix(".py")
    found = _imported(reference, place, name)
    if callable(found) and not isinstance(found, nn.Module) and not _sees(found):
        found = _made(reference, found)
    if isinstance(found, nn.Module):
        return ModuleExtractor(found, title=name, device=device)
    if not _sees(found):
        kind = type(found).__name__
        raise InputError(
            [f"extractor: {reference} is of type {kind}; give a torch module, a ModuleExtractor, or a function that makes one"]
        )
    extractor: FeatureExtractor = found
    return extractor


def _made(reference: str, function: Callable[[], Any]) -> Any:
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise InputError(
            [f"extractor: {reference} is a function that cannot be called without arguments ({error}); give a torch module"]
        ) from None
    except ValueError:
        # A built-in function says nothing of its arguments.
        pass
    return function()


def _imported(reference: str, place: str, name: str) -> Any:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(place), name)
    except AttributeError:
        raise InputError([f"extractor: the module {place} has no {name}"]) from None
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        raise InputError(
            [f"extractor: {reference} cannot be imported ({reason}); it is looked for in {here} and on Python's path"]
        ) from None
    finally:
        sys.path.remove(here)


def _sees(found: Any) -> bool:
    return callable(found) and all(isinstance(getattr(found, word, None), str) for word in ("name", "title", "digest"))


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers, those that no state dict keeps included."""
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _kind(part: nn.Module) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"


def _source(thing: Any) -> str:
    """The code of a class or function; nothing where it was typed in."""
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return ""


def _plain(part: nn.Module) -> dict[str, str]:
    held = {name: value for name, value in vars(part).items() if isinstance(value, PLAIN) and not name.startswith("_")}
    return {name: repr(value) for name, value in sorted(held.items()) if name != "training"}
