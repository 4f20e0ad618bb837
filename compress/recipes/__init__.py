"""Recipes: TOML files that define a run completely, and the tables they consist of."""

from .file import dump_recipe, load_recipe, recipe_names
from .stage_tables import (
    EarlyStoppingConfig,
    FinetuneConfig,
    HeadsConfig,
    PruneConfig,
    QatConfig,
    SoundsConfig,
)
from .tables import (
    SCHEMA,
    AugmentConfig,
    DataConfig,
    DistillConfig,
    ImageAugmentConfig,
    Recipe,
    SpecAugmentConfig,
    StudentConfig,
    TeacherConfig,
)

__all__ = [
    "SCHEMA",
    "AugmentConfig",
    "DataConfig",
    "DistillConfig",
    "EarlyStoppingConfig",
    "FinetuneConfig",
    "HeadsConfig",
    "ImageAugmentConfig",
    "PruneConfig",
    "QatConfig",
    "Recipe",
    "SoundsConfig",
    "SpecAugmentConfig",
    "StudentConfig",
    "TeacherConfig",
    "dump_recipe",
    "load_recipe",
    "recipe_names",
]
