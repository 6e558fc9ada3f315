"""The config of another cell of the same command: another task, all else as it was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from ptbench.paths import CONF

OWN = ("task", "start", "rerun")  # what the other cell does not take over


@contextmanager
def another(task: str) -> Iterator[DictConfig]:
    """Composes what `task=<task>` in the place of this job's task would have given.

    So its tuned settings and its sweep's are its own, and it is the cell that the same sweep has
    for that task. Hydra's own config is the other job's meanwhile.
    """
    hydra = HydraConfig.instance()
    here = hydra.cfg
    asked = [o for o in HydraConfig.get().overrides.task if o.partition("=")[0] not in OWN]
    started = GlobalHydra.instance().is_initialized()
    with nullcontext() if started else initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", [*asked, f"task={task}", "start=null"], return_hydra_config=True)
    try:
        hydra.set_config(deepcopy(config))
        with open_dict(config):
            del config["hydra"]
        OmegaConf.resolve(config)
        yield config
    finally:
        hydra.cfg = here
