"""CoNLL-2005 on the Brown corpus: trained on news, reported on fiction."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from tasks.conll05 import CoNLL05


@dataclass(frozen=True)
class CoNLL05Brown(CoNLL05):
    """Carreras & Màrquez 2005, the test set of other genres than train's."""

    source: ClassVar[Source] = Hub("conll05", splits={"test": "test_brown"})
