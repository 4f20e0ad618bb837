"""What PyInstaller asks for: where the hook for this package lies."""

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """The folder of the hooks; named in pyproject.toml."""
    return [str(Path(__file__).parent)]
