"""What a config of MMSegmentation is, once it is read: plain data that its registries take."""

from __future__ import annotations

from typing import Any, TypeAlias

ConfigData: TypeAlias = dict[str, Any]
"""A config or a part of one, such as a model's; which keys it has is up to the class in `type`."""
