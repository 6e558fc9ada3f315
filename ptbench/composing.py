"""Hydra's composition, made once for all cells of a sweep that read the same config files."""

from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar

from hydra._internal import hydra as maker
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import IConfigRepository
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from ptbench.paths import ROOT


class Loader(ConfigLoaderImpl):
    """Composes as Hydra does: groups' choices say which files are read, other values come after.

    Hydra takes a fifth of a second for a cell, twice: before the sweep, to see that all can be
    composed, and when it is the cell's turn.
    """

    # of the process, as a worker of joblib gets a loader anew for each cell
    _composed: ClassVar[dict[tuple[Any, ...], DictConfig]] = {}
    _repositories: ClassVar[dict[tuple[Any, ...], IConfigRepository]] = {}

    def _load_configuration_impl(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        asked = OverridesParser.create().parse_overrides(overrides)
        # a key added or taken away, or many at once, must keep its turn among the others
        simple = all(one.type is OverrideType.CHANGE and not _is_mapping(one) for one in asked)
        plain = [one for one in asked if simple and self._is_plain(one, config_name)]
        choices = [str(one.input_line) for one in asked if one not in plain]
        how = run_mode, from_shell, validate_sweep_overrides
        key = (*self._sources, config_name, *choices, *how)
        if key not in self._composed:
            self._composed[key] = super()._load_configuration_impl(config_name, choices, *how)
        config = deepcopy(self._composed[key])
        self._apply_overrides_to_config(plain, config)
        own = [one for one in asked if not one.is_hydra_override()]
        config.hydra.overrides.task = [one.input_line for one in own]
        job = config.hydra.job
        job.override_dirname = get_overrides_dirname(own, **job.config.override_dirname)
        return config

    def _is_plain(self, override: Override, config_name: str | None) -> bool:
        """Whether it changes one value and no choice of files."""
        if override.package or override.is_hydra_override() or override.is_sweep_override():
            return False
        key = (*self._sources, config_name)
        if key not in self._repositories:
            _, self._repositories[key] = self._parse_overrides_and_create_caching_repo(
                config_name, []
            )
        return not self._repositories[key].group_exists(override.key_or_group)

    @property
    def _sources(self) -> tuple[str, ...]:
        return str(Path.cwd()), *map(str, self.config_search_path.get_path())


def _is_mapping(override: Override) -> bool:
    return isinstance(override.value(), dict)


def prepare() -> None:
    """Has Hydra compose so in this process, and know `${root:}`, this project's folder."""
    maker.ConfigLoaderImpl = Loader  # pyright: ignore[reportPrivateImportUsage]
    OmegaConf.register_new_resolver("root", lambda: str(ROOT), replace=True)
