"""A config node becomes the frozen dataclass that its `_target_` names, every value checked."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ptbench.errors import ConfigError, did_you_mean
from ptbench.paths import CONF

T = TypeVar("T")


def build(node: object, name: str, base: type[T]) -> T:
    """The dataclass at `node._target_`, filled from the node.

    Raises ConfigError naming the key for a misspelt key, a missing or wrongly typed value.
    """
    if not isinstance(node, DictConfig):
        raise ConfigError(f"{name}={node!r}: one value in place of a group; set {name}.<key>=")
    cls = _target(node, name)
    if not (is_dataclass(cls) and isinstance(cls, type) and issubclass(cls, base)):
        raise ConfigError(f"{name}._target_={node._target_} is not a {base.__name__}")
    known = {f.name for f in fields(cls)}
    given = {str(key): node._get_node(key) for key in node if key != "_target_"}
    for key in given:
        if key not in known:
            raise ConfigError(
                f"{name}.{key}: no such setting of {cls.__name__}; {did_you_mean(key, known)}"
            )
    required = {f.name for f in fields(cls) if f.default is MISSING}
    if missing := sorted(required - set(given)):
        raise ConfigError(f"{name}.{missing[0]} of {cls.__name__} has no value; set it")
    values = {key: node[key] for key in given}
    try:
        filled = OmegaConf.merge(OmegaConf.structured(cls), values)
    except OmegaConfBaseException:
        for key, value in values.items():
            _check(cls, name, key, value)
        raise
    try:
        return OmegaConf.to_object(filled)  # pyright: ignore[reportReturnType]
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from error


def chosen(group: str, name: str, base: type[T], changes: Sequence[str] = ()) -> T:
    """A choice of a config group, by the values of its file and `changes`, <group>.<key>=<value>.

    Raises ConfigError naming what there is where there is no such file, and for another change.
    """
    file = CONF / group / f"{name}.yaml"
    if not file.is_file():
        known = did_you_mean(name, [choice.stem for choice in file.parent.glob("*.yaml")])
        raise ConfigError(
            f"{group}={name}: there is no such file in {group}; {known} (`ptbench list {group}`)"
        )
    for change in changes:
        if not change.startswith(f"{group}.") or "=" not in change:
            raise ConfigError(
                f"{change!r} is no setting of the {group}: write {group}.<key>=<value>"
            )
    node = OmegaConf.merge({group: OmegaConf.load(file)}, OmegaConf.from_dotlist(list(changes)))
    return build(OmegaConf.select(node, group), group, base)


def deciding(settings: Mapping[str, Any], built: Any) -> dict[str, Any]:
    """The settings that tell one result from another: those at a dataclass's default do not.

    So a setting that is added later, with the behaviour until then as its default, leaves the
    identity of every finished record as it was.
    """
    defaults = {f.name: f.default for f in fields(built) if f.default is not MISSING}
    return {k: v for k, v in settings.items() if k not in defaults or v != defaults[k]}


def _target(node: DictConfig, name: str) -> Any:
    target = node.get("_target_")
    if not target:
        raise ConfigError(f"{name}._target_ is missing: name the class, module.Class")
    module, _, cls = str(target).rpartition(".")
    try:
        return getattr(import_module(module), cls)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{name}._target_={target} cannot be imported: {error}") from error


def _check(cls: type, name: str, key: str, value: Any) -> None:
    """One value at a time, so that the message can name its key."""
    try:
        OmegaConf.merge(OmegaConf.structured(cls), {key: value})
    except OmegaConfBaseException as error:
        hint = next(f.type for f in fields(cls) if f.name == key)
        kind = getattr(hint, "__name__", hint)
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{name}.{key}={value!r} is not of type {kind}: {reason}") from error
