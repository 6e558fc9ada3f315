"""A backbone's layers one by one, so that a pass can end below one of them, or begin there."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from ptbench.attention import HOOK


class _Reached(Exception):
    """A pass has come to the layer below which it ends."""

    def __init__(self, states: Tensor):
        self.states = states


class Stack:
    """The layers of a backbone that is one stack of them."""

    def __init__(self, layers: nn.ModuleList):
        self.layers = layers
        self._rest: tuple[None, ...] | None = None  # what a layer gives beside hidden states

    @classmethod
    def of(cls, model: PreTrainedModel, calls: int) -> "Stack | None":
        """None for two stacks, or layers that share their weights: `calls` is for all of them."""
        attention = [name for name, module in model.named_modules() if HOOK in module.__dict__]
        stems = {re.sub(r"\.\d+\..*", "", name) for name in attention}
        layers = model.get_submodule(stems.pop())
        if not isinstance(layers, nn.ModuleList) or stems or len(layers) != calls:
            return None
        return cls(layers)

    def below(self, depth: int, run: Callable[[], Any]) -> Tensor:
        """The hidden states that enter layer `depth` of a pass, which ends there."""

        def stop(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            raise _Reached(given[0] if given else named["hidden_states"])

        def note(_: Any, __: Any, output: Any) -> None:
            self._rest = (None,) * (len(output) - 1) if isinstance(output, tuple) else None

        handles = [
            self.layers[depth].register_forward_pre_hook(stop, with_kwargs=True),
            self.layers[0].register_forward_hook(note),
        ]
        try:
            run()
        except _Reached as reached:
            return reached.states
        finally:
            for handle in handles:
                handle.remove()
        raise AssertionError("a pass reaches every layer")

    @contextmanager
    def entered(self, depth: int, states: Tensor) -> Iterator[None]:
        """A pass inside does nothing below layer `depth`, which sees these hidden states."""

        def enter(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
            if given:
                return (states, *given[1:]), named
            return given, {**named, "hidden_states": states}

        def skip(*given: Any, **named: Any) -> Any:
            return states if self._rest is None else (states, *self._rest)

        handle = self.layers[depth].register_forward_pre_hook(enter, with_kwargs=True)
        skipped = list(self.layers)[:depth]
        own = [layer.__dict__.get("forward") for layer in skipped]  # checkpointing's, if any
        for layer in skipped:
            layer.forward = skip
        try:
            yield
        finally:
            handle.remove()
            for layer, forward in zip(skipped, own, strict=True):
                del layer.forward
                if forward is not None:
                    layer.forward = forward
