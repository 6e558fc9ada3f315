"""One composition for all cells of the same files, equal to Hydra's own of each."""

from collections.abc import Callable, Sequence

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ptbench import sweeps
from ptbench.composing import Loader
from ptbench.paths import CONF

CELL = ("task=pocket_ner", "model=tiny", "method=ptuning_v2")


@pytest.fixture
def compose(monkeypatch: pytest.MonkeyPatch) -> Callable[..., DictConfig]:
    """By a loader of ours that has composed nothing yet, or by Hydra's."""
    monkeypatch.setattr(Loader, "_composed", {})

    def composed(overrides: Sequence[str], loader: type[ConfigLoaderImpl] = Loader) -> DictConfig:
        made = loader(create_config_search_path(str(CONF)))
        return made.load_configuration("config", list(overrides), RunMode.RUN)

    return composed


def same(one: DictConfig, two: DictConfig) -> bool:
    """In all, unresolved, in the order of keys, and in what may be set."""
    kept = [config._get_flag("struct") for config in (one, two)]
    return OmegaConf.to_yaml(one) == OmegaConf.to_yaml(two) and kept[0] == kept[1]


@pytest.mark.parametrize("name", sweeps.names())
def test_cells_of_each_sweep(name: str, compose: Callable[..., DictConfig]) -> None:
    axes = sweeps.read(name).axes
    cells = [[f"{key}={values[end]}" for key, values in axes.items()] for end in (0, -1)]
    for asked in cells:
        overrides = [f"sweeps={name}", *asked]
        assert same(compose(overrides), compose(overrides, ConfigLoaderImpl))


OVERRIDES = {
    "values in any order": ["seed=3", *CELL, "train.learning_rate=1e-2", "sweep=other"],
    "a value twice": [*CELL, "seed=1", "seed=2"],
    "a list": [*CELL, "method.layers=[0,1]"],
    "a mapping on a group": [*CELL, "train={epochs: 3}", "task={validation: 40}"],
    "null": [*CELL, "data.train_rows=null"],
    "a mapping behind a value": [*CELL, "task.validation=20", "task={validation: 40}"],
    "a key forced behind a value": [*CELL, "train.epochs=2", "++train.epochs=4"],
    "a new key": [*CELL, "+method.extra=1", "++train.epochs=4"],
    "a key less": [*CELL, "~train.clip", "seed=1"],
    "Hydra's own": [*CELL, "hydra.job.name=x", "hydra/launcher=joblib", "hydra.launcher.n_jobs=3"],
    "an interpolation": [*CELL, "train.epochs=${seed}", "seed=5"],
    "a protocol": ["protocol=search", *CELL],
    "quotes": [*CELL, "sweep='a=b,c'"],
}


@pytest.mark.parametrize("what", OVERRIDES)
def test_overrides_of_each_form(what: str, compose: Callable[..., DictConfig]) -> None:
    asked = OVERRIDES[what]
    before = compose(CELL)
    assert same(compose(asked), compose(asked, ConfigLoaderImpl))
    assert same(compose(CELL), before)


FAULTS = {
    "no such key": "train.learning_rat=1",
    "no such key of the top": "sed=1",
    "no such choice": "method=none_such",
    "several values": "seed=1,2",
    "a key that is there": "+seed=1",
    "no key to take away": "~train.none_such",
}


@pytest.mark.parametrize("what", FAULTS)
def test_faults_are_told_as_hydra_tells_them(what: str, compose: Callable[..., DictConfig]) -> None:
    told = []
    for loader in (Loader, ConfigLoaderImpl):
        with pytest.raises(HydraException) as caught:
            compose([*CELL, FAULTS[what]], loader)
        told.append((type(caught.value), str(caught.value), str(caught.value.__cause__)))
    assert told[0] == told[1]


def test_files_are_read_once_for_cells_that_differ_in_values(
    compose: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    compose([*CELL, "seed=0"])
    monkeypatch.setattr(ConfigLoaderImpl, "_load_configuration_impl", None)
    config = compose([*CELL, "seed=7", "train.epochs=2"])
    assert (config.seed, config.train.epochs) == (7, 2)
    assert config.hydra.overrides.task == [*CELL, "seed=7", "train.epochs=2"]
    with pytest.raises(TypeError):
        compose([*CELL[:2], "method=finetune"])
