"""SNIPS slots: what each word of a request to an assistant fills."""

from dataclasses import dataclass
from typing import ClassVar

from ptbench.data import Hub, Source
from ptbench.kinds import Kind, Labelling, bio
from ptbench.task import Task

SLOTS = """
album artist best_rating city condition_description condition_temperature country cuisine
current_location entity_name facility genre geographic_poi location_name movie_name
movie_type music_item object_location_type object_name object_part_of_series_type
object_select object_type party_size_description party_size_number playlist playlist_owner
poi rating_unit rating_value restaurant_name restaurant_type served_dish service sort
spatial_relation state timeRange track year
"""


@dataclass(frozen=True)
class SnipsSlots(Task):
    """Coucke et al. 2018, in the split of Goo et al. 2018; not on the hub in this form."""

    source: ClassVar[Source] = Hub(
        "snips",
        splits={"validation": "dev"},
        sizes={"train": 13084, "validation": 700, "test": 700},
    )
    kind: ClassVar[Kind] = Labelling(
        labels=bio(*SLOTS.split()),
        pattern="[P] {tokens} [P] slots : [P]",
        target="slot_tags",
    )
    selected: ClassVar[str | None] = "validation"
